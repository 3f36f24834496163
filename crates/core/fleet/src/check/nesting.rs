//! What contracts say of each other: umbrellas and overflow.

use std::collections::BTreeSet;

use crate::check::{day, get, sound};
use crate::codes;
use crate::contract::{Contract, Overflow};
use crate::diagnostic::Diagnostic;
use crate::id::{ContractId, Id};
use crate::reader::Reader;
use crate::rows::Rows;

/// Whether each umbrella is one that a contract can draw down.
pub(super) fn umbrellas(rows: &Rows, root: &Reader<'_>) {
    for circle in circles(rows, |contract| contract.under) {
        let message = format!("contracts are nested in a circle: {}", shown(rows, &circle));
        let hint = "an umbrella is under no contract that is under it: take `under` out of one of them";
        report_circle(rows, root, &circle, "under", codes::NEST_CIRCLE, message, hint);
    }
    for (_, name, contract) in sound(&rows.contracts) {
        let Some((above_name, above)) = contract.under.and_then(|id| get(&rows.contracts, id)) else { continue };
        let place = root.place_of(&["contracts", name, "under"]);
        if above.currency != contract.currency {
            let message = format!("`{name}` is in {}, but its umbrella `{above_name}` is in {}", contract.currency, above.currency);
            let hint = format!("write both in one currency, or take `{name}` out from under it");
            let problem = Diagnostic::error(codes::NEST_CURRENCY, &place, message, hint);
            root.add(problem.related(&root.place_of(&["contracts", above_name, "currency"]), format!("in {}", above.currency)));
        }
        if above.party != contract.party {
            let message = format!("`{name}` is with another party than its umbrella `{above_name}`");
            let hint = "a contract draws down an umbrella of its own party only: change `under` or `party`";
            let problem = Diagnostic::error(codes::NEST_PARTY, &place, message, hint);
            root.add(problem.related(&root.place_of(&["contracts", above_name, "party"]), "the umbrella's party"));
        }
        if contract.term.from < above.term.from || contract.term.to > above.term.to {
            let (from, to) = (day(above.term.from, root), day(above.term.to, root));
            let message = format!("`{name}` is in force when its umbrella `{above_name}` ({from} to {to}) is not");
            let hint = "outside the umbrella's term its charges draw nothing down; change a date if that is not meant";
            let side = if contract.term.from < above.term.from { "start" } else { "end" };
            let problem = Diagnostic::warning(codes::OUTSIDE_TERM, &root.place_of(&["contracts", name, side]), message, hint);
            root.add(problem.related(&root.place_of(&["contracts", above_name, side]), "the umbrella's"));
        }
    }
}

/// Whether overflow comes to an end.
pub(super) fn overflows(rows: &Rows, root: &Reader<'_>) {
    let next = |contract: &Contract| match contract.overflow {
        Some(Overflow::To(id)) => Some(id),
        _ => None,
    };
    for circle in circles(rows, next) {
        let message = if circle.len() == 1 {
            format!("`{}` overflows into itself", name(rows, circle[0]))
        } else {
            format!("overflow goes in a circle: {}", shown(rows, &circle))
        };
        let hint = "name a contract that takes what exceeds this one's capacity, or a rate at which it is billed here";
        report_circle(rows, root, &circle, "overflow", codes::OVERFLOW_CIRCLE, message, hint);
    }
}

/// Whether the contracts that clauses name are ones that they can be about.
pub(super) fn named(rows: &Rows, root: &Reader<'_>) {
    for (index, name, contract) in sound(&rows.contracts) {
        for (number, _) in contract.substitutions.iter().enumerate().filter(|(_, it)| it.of.index() == index) {
            let place = root.clause_place(&["contracts", name, "substitution"], number, "of");
            let message = format!("`{name}` takes the place of itself");
            root.add(Diagnostic::error(codes::SELF_SUBSTITUTION, &place, message, "name the contract whose place it takes"));
        }
        for (number, floor) in contract.floors.iter().enumerate() {
            for (other_name, other) in floor.contracts.iter().filter_map(|id| get(&rows.contracts, *id)) {
                if other.currency != contract.currency {
                    let place = root.clause_place(&["contracts", name, "floor"], number, "contracts");
                    let message = format!("the floor is in {}, but `{other_name}` is in {}", contract.currency, other.currency);
                    root.add(Diagnostic::error(codes::NEST_CURRENCY, &place, message, "count only contracts in the floor's currency"));
                }
            }
        }
    }
}

/// Every circle once, from its first contract by name.
fn circles(rows: &Rows, next: impl Fn(&Contract) -> Option<ContractId>) -> Vec<Vec<ContractId>> {
    let mut done = BTreeSet::new();
    let mut circles = Vec::new();
    for (index, _, _) in sound(&rows.contracts) {
        let mut path: Vec<ContractId> = Vec::new();
        let mut at = Some(ContractId::from_index(index));
        while let Some(id) = at.filter(|id| !done.contains(id)) {
            if let Some(first) = path.iter().position(|seen| *seen == id) {
                circles.push(path[first..].to_vec());
                break;
            }
            path.push(id);
            at = get(&rows.contracts, id).and_then(|(_, contract)| next(contract));
        }
        done.extend(path);
    }
    circles
}

fn name(rows: &Rows, id: ContractId) -> &str {
    get(&rows.contracts, id).map_or("", |(name, _)| name)
}

fn shown(rows: &Rows, circle: &[ContractId]) -> String {
    circle.iter().chain(circle.first()).map(|id| format!("`{}`", name(rows, *id))).collect::<Vec<_>>().join(" -> ")
}

fn report_circle(rows: &Rows, root: &Reader<'_>, circle: &[ContractId], key: &str, code: &'static str, message: String, hint: &str) {
    let place = |id: ContractId| root.place_of(&["contracts", name(rows, id), key]);
    let problem = Diagnostic::error(code, &place(circle[0]), message, hint);
    root.add(match circle.last().filter(|_| circle.len() > 1) {
        Some(last) => problem.related(&place(*last), "which comes back to the first"),
        None => problem,
    });
}
