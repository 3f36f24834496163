//! The HiGHS solver behind `lp::Solver`.
