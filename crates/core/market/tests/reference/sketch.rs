//! A case as a person reads it: a line per contract, clause and usage.

use core::fmt::{Debug, Write};

use fleet::Fleet;
use market::Usage;

/// Every contract with its clauses, then what was posted.
pub fn sketch(fleet: &Fleet, usages: &[Usage]) -> String {
    let mut text = String::new();
    for (_, name, contract) in fleet.contracts.iter() {
        let calendar = &contract.calendar;
        let zone = calendar.zone().iana_name().unwrap_or("?");
        let head = format!(
            "\n{name} {:?} under {:?} term [{}, {}) {:?} from {} {zone}, rounded to {}",
            contract.status,
            contract.under,
            contract.term.from,
            contract.term.to,
            calendar.period(),
            calendar.anchor(),
            contract.rounding.nanos()
        );
        text.push_str(&head);
        add(&mut text, &contract.capacity);
        add(&mut text, &contract.rates);
        add(&mut text, contract.overflow.as_slice());
        add(&mut text, &contract.prepayments);
        add(&mut text, contract.delivery.as_slice());
        add(&mut text, &contract.floors);
        add(&mut text, &contract.substitutions);
    }
    for usage in usages {
        let posted = format!("\n{:?} {:?} {} held {} used {}", usage.contract, usage.meter, usage.at, usage.held, usage.used);
        text.push_str(&posted);
    }
    text.push('\n');
    text
}

fn add<T: Debug>(text: &mut String, clauses: &[T]) {
    for clause in clauses {
        write!(text, "\n  {clause:?}").expect("a string takes what is written to it");
    }
}
