//! Contracts of any terms: deals as files with their digits changed, and usage of them.

use fleet::{Fleet, Meter};
use market::{Balances, Usage, periods, statement};
use units::{Instant, Money, Quantity};

const DEALS: [&str; 5] = [
    include_str!("../../../fleets/deals/azure-ptu.toml"),
    include_str!("../../../fleets/deals/coreweave.toml"),
    include_str!("../../../fleets/deals/oracle.toml"),
    include_str!("../../../fleets/midsize.toml"),
    include_str!("../../../fleets/laptop.toml"),
];
/// Of each contract so many periods are looked at.
const PERIODS_MAX: usize = 6;

/// A statement's lines add up to what is due, and it is the same in whatever order and in however many pieces usage was posted.
///
/// The first byte names a deal, the second how many digits of it are changed; then three bytes for each (where, and to what), then eight for
/// each usage.
pub fn contract(bytes: &[u8]) {
    let [which, changes, rest @ ..] = bytes else { return };
    let (digits, usage) = rest.split_at((usize::from(changes % 12) * 3).min(rest.len()));
    let text = changed(DEALS[usize::from(*which) % DEALS.len()], digits);
    let Some(fleet) = fleet::parse(&text).fleet else { return };
    if fleet.contracts.is_empty() {
        return;
    }
    let usages: Vec<Usage> = usage.chunks_exact(8).take(32).map(|gene| self::usage(&fleet, gene)).collect();
    let (mut forward, mut backward) = (Balances::default(), Balances::default());
    usages.iter().for_each(|usage| forward.post(&fleet, usage));
    for usage in usages.iter().rev() {
        let (held, used) = (Quantity::new(usage.held.count() / 2), Quantity::new(usage.used.count() / 2));
        let rest = Usage {
            held: Quantity::new(usage.held.count() - held.count()),
            used: Quantity::new(usage.used.count() - used.count()),
            ..*usage
        };
        backward.post(&fleet, &Usage { held, used, ..*usage });
        backward.post(&fleet, &rest);
    }
    for (id, name, _) in fleet.contracts.iter() {
        for period in periods(&fleet, id).take(PERIODS_MAX) {
            let due = statement(&fleet, &forward, id, period);
            assert_eq!(due, statement(&fleet, &backward, id, period), "{name} {period}: the order makes a difference in\n{text}");
            let sum: Money = due.lines.iter().map(|line| line.money).sum();
            assert_eq!(sum, due.due, "{name} {period}: lines don't add up in\n{text}");
        }
    }
}

/// The text with some of its digits changed.
fn changed(text: &str, genes: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    for gene in genes.chunks_exact(3) {
        let at = places[usize::from(u16::from_be_bytes([gene[0], gene[1]])) % places.len()];
        bytes[at] = b'0' + gene[2] % 10;
    }
    String::from_utf8(bytes).expect("a digit for a digit leaves it text")
}

/// A usage: of which contract, on which meter, when in its first periods, and how much.
fn usage(fleet: &Fleet, gene: &[u8]) -> Usage {
    let number = |at: usize| usize::from(gene[at]);
    let (contract, _, terms) = fleet.contracts.iter().nth(number(0) % fleet.contracts.len()).expect("it is below their number");
    let meters: Vec<Meter> = terms.rates.iter().map(|clause| clause.meter).chain(tokens(fleet)).chain(time(fleet)).collect();
    let meter = meters.get(number(1) % meters.len().max(1)).copied().unwrap_or(Meter::Energy(fleet::Id::from_index(0)));
    let span = terms.period(*periods(fleet, contract).start() + i64::from(gene[2]) % 6);
    let length = span.to.micros().saturating_sub(span.from.micros()).max(1);
    let at = Instant::from_micros(span.from.micros().saturating_add(i64::from(gene[3]) * (length / 256)));
    let held = i64::from(u16::from_be_bytes([gene[4], gene[5]])) << (gene[6] % 32);
    Usage { contract, meter, at, held: Quantity::new(held), used: Quantity::new(held / 256 * i64::from(gene[7])) }
}

fn tokens(fleet: &Fleet) -> impl Iterator<Item = Meter> {
    fleet
        .models
        .iter()
        .flat_map(|(model, ..)| [Meter::InputTokens(model), Meter::CachedTokens(model), Meter::OutputTokens(model), Meter::UnitTime(model)])
}

fn time(fleet: &Fleet) -> impl Iterator<Item = Meter> {
    fleet.accelerators.iter().map(|(accelerator, ..)| Meter::AcceleratorTime(accelerator))
}
