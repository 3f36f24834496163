//! I8: decisions, taken again.

use dispatch::Record;
use dispatch::audit::is_the_same_again;
use fleet::Fleet;

use super::{Breach, Invariant};

/// I8: every journaled decision under this fleet is taken again, bit for bit, from what it saw.
#[must_use]
pub fn check_replay(fleet: &Fleet, records: &[Record]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for record in records {
        let Record::Decided { attempt, question, decision, .. } = record else { continue };
        if question.fleet == fleet.version && !is_the_same_again(fleet, question, decision) {
            breaches.push(Breach::new(Invariant::I8, format!("the decision of attempt {attempt} is another when it is taken again")));
        }
    }
    breaches
}
