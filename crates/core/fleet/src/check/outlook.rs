//! What only holds between the plan's own sections and those of contracts.

use std::collections::BTreeMap;

use crate::check::sound;
use crate::codes;
use crate::contract::CapacityOf;
use crate::diagnostic::Diagnostic;
use crate::reader::Reader;
use crate::rows::Rows;

/// Whether each expansion has a capacity clause to raise.
pub(super) fn expansions(rows: &Rows, root: &Reader<'_>) {
    // The capacity of a contract with an error inside may be the one that is looked for.
    for (_, name, contract) in sound(&rows.contracts).filter(|(_, name, _)| !root.findings.is_flawed(&format!("contracts.{name}"))) {
        for (number, expansion) in contract.expansions.iter().enumerate() {
            if !contract.capacity.iter().any(|clause| clause.of == CapacityOf::Accelerators(expansion.accelerator)) {
                let place = root.clause_place(&["contracts", name, "expansion"], number, "accelerator");
                let message = format!("`{name}` has no capacity of these accelerators that could be raised");
                let hint = "add a capacity clause of this `accelerator`; its `count` may begin at 0";
                root.add(Diagnostic::error(codes::EXPANSION, &place, message, hint));
            }
        }
    }
}

/// Floors of a venture's contracts that stay due for power that nobody may pay for.
pub(super) fn unpaid(rows: &Rows, root: &Reader<'_>) {
    let pays = |party| sound(&rows.ventures).any(|(_, _, venture)| venture.party == party);
    for (_, name, contract) in sound(&rows.contracts).filter(|(.., contract)| pays(contract.party)) {
        let built = contract.capacity.iter().any(|clause| matches!(clause.of, CapacityOf::Power(_)));
        if built && contract.floors.iter().any(|floor| !floor.abated_while_late) {
            let place = root.place_of(&["contracts", name, "floor"]);
            let message =
                format!("a plan has this floor of `{name}` due whole, also for power that its venture's partners have not paid for");
            let hint = "if it isn't, write `abated_while_late` and a delivery clause, or a smaller floor";
            root.add(Diagnostic::not_computed(codes::UNPAID, &place, message, hint));
        }
    }
}

/// Whether each venture has a party of its own, whose contracts its money pays for.
pub(super) fn ventures(rows: &Rows, root: &Reader<'_>) {
    let mut first = BTreeMap::new();
    for (_, name, venture) in sound(&rows.ventures) {
        let place = root.place_of(&["ventures", name, "party"]);
        if let Some((earlier, other)) = first.get(&venture.party) {
            let message = format!("`{other}` already pays for what this party delivers");
            let problem = Diagnostic::error(codes::TWICE, &place, message, "name another party, or put the stakes into one venture");
            root.add(problem.related(earlier, "first here"));
        } else {
            first.insert(venture.party, (place, name));
        }
    }
}
