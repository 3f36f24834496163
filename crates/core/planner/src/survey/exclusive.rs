//! What an offer would keep from others: rows that close when it is signed.

use crate::instance::{Fit, Limit, LimitKind, On, Series};
use crate::survey::fits::barred;
use crate::survey::ground::Ground;
use crate::survey::limits::{Bound, Unit, all_of};
use crate::survey::refused::{Refused, Why};
use crate::survey::scope::kept_by;
use crate::survey::supplies::Source;
use crate::survey::works::Asked;

/// A limit for each supply that an offer's exclusivity would close.
///
/// # Errors
/// Where it would close some of a supply's work only.
pub(crate) fn exclusive(
    ground: &Ground<'_>,
    sources: &[Source],
    asked: &[Asked<'_>],
    fits: &[Fit],
    wanted: f64,
) -> Result<Vec<Bound>, Vec<Refused>> {
    let (mut bounds, mut refused) = (Vec::new(), Vec::new());
    for (choice, fleet) in ground.fleets.iter().enumerate() {
        let contract = ground.choices[choice].contract;
        for (clause, kept) in kept_by(fleet, contract).into_iter().enumerate() {
            let months = ground.horizon.months_in(kept.span);
            for (supply, source) in sources.iter().enumerate() {
                let own = fits.iter().filter(|fit| fit.supply == supply);
                let closes: Vec<bool> = own.map(|fit| barred(fleet, &kept, source, &asked[fit.work].needs)).collect();
                if !closes.contains(&true) || months.is_empty() {
                    continue;
                }
                if closes.contains(&false) {
                    let place = format!("contracts.{}.exclusivity.{clause}", fleet.contracts.name(contract));
                    refused.push(Refused::new(place, Why::OffersExclusivity));
                    continue;
                }
                let fixed = all_of(ground, source, wanted);
                let closed = ground.horizon.steps.iter().zip(&fixed);
                let closed = closed.map(|(step, all)| if months.contains(&step.month) { -all } else { 0.0 }).collect();
                let limit = Limit {
                    name: format!("exclusivity of {} against {}", ground.choices[choice].name, source.supply.name),
                    kind: LimitKind::Contract(contract),
                    terms: vec![(supply, 1.0)],
                    most: Series { fixed, by_choice: vec![(choice, closed)] },
                    expansions: Vec::new(),
                };
                let unit = if matches!(source.supply.on, On::Tokens(_)) { Unit::Tokens } else { Unit::Hours };
                bounds.push(Bound { unit, clause: None, limit });
            }
        }
    }
    refused.sort_by(|a, b| a.place.cmp(&b.place));
    refused.dedup();
    if refused.is_empty() { Ok(bounds) } else { Err(refused) }
}
