//! Plans as they are settled: exact to the unit, and nothing for the auditor to find; a fault that is planted is found.

mod answer;
mod difference;
mod faults;
mod settled;
