//! Signed contracts for accelerators: committed and metered, with tiers, floors, prepayments and deliveries.

use super::{any, maybe, term};
use crate::dice::Dice;

pub(super) fn draw(dice: &mut Dice) -> String {
    let reserved = reserved(dice);
    // What may be expanded can't be replaced in a plan.
    let replaced = if reserved.contains("expansion") { 0.0 } else { 0.4 };
    let mut all = vec![reserved, maybe(dice, replaced, replacing), metered(dice)];
    all.push(maybe(dice, 0.4, beyond));
    all.push(maybe(dice, 0.3, umbrella));
    all.push(maybe(dice, 0.3, owned));
    all.concat()
}

/// Paid whether used or not, with most of what can be agreed on.
fn reserved(dice: &mut Dice) -> String {
    let (term, count, cents) = (term(dice), dice.count(20, 600), dice.count(80, 260));
    let frame = dice.chance(0.3);
    let mut text = format!(
        "\n[contracts.reserved]\nparty = \"cloud\"\npreset = \"reserved\"\npools = [\"north\"]\ncount = {count}\n\
         rate = \"{}.{:02} USD/accelerator-hour\"\n{term}",
        cents / 100,
        cents % 100
    );
    if frame {
        text.push_str("under = \"frame\"\n");
    }
    let expands = dice.chance(0.4);
    for _ in 0..if expands { 0 } else { dice.count(0, 2) } {
        let (amount, many) = (dice.count(20, 900), dice.count(1, 9));
        let dates = ["2026-12-01 2026-12-01", "2026-12-01 2027-02-01", "2027-01-01 2027-01-01", "2027-02-20 2027-03-05"];
        let (due, from) = any(dice, &dates).split_once(' ').expect("there are two");
        text.push_str(&format!(
            "[[contracts.reserved.prepayment]]\namount = \"{amount} kUSD\"\ndue = {due}\ncredited_from = {from}\ncredit_periods = {many}\n"
        ));
    }
    text.push_str(&maybe(dice, 0.5, |dice| delivery("reserved", count, dice)));
    for _ in 0..dice.count(0, 2) {
        text.push_str(&floor("reserved", dice));
    }
    if expands {
        text.push_str(&expansion("reserved", dice));
    }
    if frame {
        let least = dice.count(100, 900);
        let basis = any(dice, &["purchase", "amortisation", "use"]);
        text.push_str(&format!(
            "\n[contracts.frame]\nparty = \"cloud\"\nstart = 2026-03-01\nend = 2029-06-01\n\
             [[contracts.frame.floor]]\nleast = \"{least} kUSD/quarter\"\nper = \"quarter\"\nbasis = \"{basis}\"\n"
        ));
    }
    text
}

/// An offer that takes the place of what is reserved.
fn replacing(dice: &mut Dice) -> String {
    let (count, share) = (dice.count(20, 200), dice.count(20, 100));
    let more = maybe(dice, 0.5, |dice| expansion("replacing", dice));
    format!(
        "\n[contracts.replacing]\nparty = \"cloud\"\nstatus = \"discussed\"\noffer = {{ starts = [2027-03-01] }}\npreset = \"reserved\"\n\
         pools = [\"mixed\", \"north\"]\naccelerator = \"new\"\ncount = {count}\nrate = \"1.20 USD/accelerator-hour\"\nstart = 2027-02-01\nend = 2028-03-01\n\
         [[contracts.replacing.substitution]]\nof = \"reserved\"\nshare = \"{share} %\"\n{more}"
    )
}

/// Tranches: some were due before the plan and have come or not, some are due in it.
fn delivery(contract: &str, count: usize, dice: &mut Dice) -> String {
    let (first, rest) = (count / 2, count - count / 2);
    let came = any(dice, &["due = 2026-02-01, delivered = 2026-03-01", "due = 2027-01-01, delivered = 2027-01-01", "due = 2026-04-01"]);
    let due = any(dice, &["2027-01-01", "2027-02-14", "2027-03-01"]);
    let penalty = maybe(dice, 0.5, |dice| {
        let cap = maybe(dice, 0.5, |_| "cap = \"40 kUSD\"\n".to_owned());
        format!("penalty = \"0.50 USD/accelerator-hour\"\n{cap}")
    });
    format!(
        "[contracts.{contract}.delivery]\naccelerator = \"new\"\n{penalty}tranches = [{{ count = {first}, {came} }}, {{ count = {rest}, due = {due} }}]\n"
    )
}

/// A minimum in money or in time, with what may come with it.
fn floor(contract: &str, dice: &mut Dice) -> String {
    let per = any(dice, &["month", "quarter", "year", "term"]);
    let (thousands, hours) = (dice.count(20, 900), dice.count(20_000, 400_000));
    let least = if per == "term" {
        format!("\"{thousands} kUSD\"")
    } else if dice.chance(0.3) {
        format!("\"{hours} accelerator-hours\"\nmeters = [\"accelerators\"]\nrate = \"1.70 USD/accelerator-hour\"")
    } else {
        any(dice, &["steps", "plain", "plain"]).replace("plain", &format!("\"{thousands} kUSD/{per}\"")).replace(
            "steps",
            &format!(
                "[{{ from = 2026-01-01, is = \"{thousands} kUSD/{per}\" }}, {{ from = 2027-03-01, is = \"{} kUSD/{per}\" }}]",
                thousands / 3
            ),
        )
    };
    let basis = any(dice, &["purchase", "amortisation", "use"]);
    let carry =
        maybe(dice, 0.4, |dice| format!("carry_over = {{ share = \"{} %\", windows = {} }}\n", dice.count(20, 100), dice.count(1, 2)));
    let abated = maybe(dice, 0.4, |_| "abated_while_late = true\n".to_owned());
    format!("[[contracts.{contract}.floor]]\nleast = {least}\nper = \"{per}\"\nbasis = \"{basis}\"\n{carry}{abated}")
}

/// A right to order more, which may cost something beside.
fn expansion(contract: &str, dice: &mut Dice) -> String {
    let (most, lead) = (dice.count(5, 120), dice.count(0, 3));
    let per_month = maybe(dice, 0.5, |dice| format!("per_month = {}\n", dice.count(3, 40)));
    let capex = maybe(dice, 0.5, |dice| format!("capex = \"{} USD\"\n", dice.count(0, 3000)));
    format!("[[contracts.{contract}.expansion]]\naccelerator = \"new\"\nmost = {most}\nlead_months = {lead}\n{per_month}{capex}")
}

/// By the hour, on two kinds of chip, at rates that may depend on how much.
fn metered(dice: &mut Dice) -> String {
    let (term, escalation) = (term(dice), maybe(dice, 0.3, |_| "escalation = { by = \"3 %\", every = \"quarter\" }\n".to_owned()));
    let (from, apply, over) = (dice.count(5, 90), any(dice, &["graduated", "volume"]), any(dice, &["period", "term"]));
    let (low, high) = any(dice, &["2.10 2.90", "2.90 2.10"]).split_once(' ').expect("there are two");
    let rate = if dice.chance(0.6) {
        format!(
            "tiers = [{{ from = \"0 accelerator-hours\", rate = \"{low} USD/accelerator-hour\" }}, \
             {{ from = \"{from}000 accelerator-hours\", rate = \"{high} USD/accelerator-hour\" }}]\ntiers_apply = \"{apply}\"\nover = \"{over}\"\n"
        )
    } else {
        "rate = \"2.40 USD/accelerator-hour\"\n".to_owned()
    };
    let floors: String = (0..dice.count(0, 2)).map(|_| floor("metered", dice)).collect();
    format!(
        "\n[contracts.metered]\nparty = \"cloud\"\npools = [\"north\", \"south\"]\n{term}\
         [[contracts.metered.rates]]\nmeter = \"accelerators\"\nof = \"new\"\n{escalation}{rate}\
         [[contracts.metered.rates]]\nmeter = \"accelerators\"\nof = \"old\"\nrate = \"0.60 USD/accelerator-hour\"\n{floors}"
    )
}

/// Paid to a capacity, and beyond it at a rate, in another currency.
fn beyond(dice: &mut Dice) -> String {
    let (term, count) = (term(dice), dice.count(5, 80));
    format!(
        "\n[contracts.beyond]\nparty = \"other\"\npreset = \"reserved\"\npools = [\"mixed\"]\ncount = {count}\n\
         rate = \"1.30 EUR/accelerator-hour\"\ncurrency = \"EUR\"\noverflow = {{ rate = \"2.60 EUR/accelerator-hour\" }}\n{term}"
    )
}

/// A commitment over what is nested under it.
fn umbrella(dice: &mut Dice) -> String {
    let (term, least) = (term(dice), dice.count(20, 500));
    format!(
        "\n[contracts.nested]\nparty = \"other\"\nunder = \"above\"\npreset = \"spot\"\npools = [\"south\"]\nrate = \"0.45 USD/accelerator-hour\"\n{term}\
         [[contracts.nested.floor]]\nleast = \"{} kUSD/month\"\nper = \"month\"\n\
         \n[contracts.above]\nparty = \"other\"\npreset = \"take-or-pay\"\nstart = 2026-01-01\nend = 2029-06-01\n\
         [[contracts.above.floor]]\nleast = \"{least} kUSD/quarter\"\nper = \"quarter\"\nbasis = \"purchase\"\n",
        least / 6
    )
}

/// The lab's own, which cost energy only.
fn owned(dice: &mut Dice) -> String {
    let (term, count) = (term(dice), dice.count(5, 60));
    format!(
        "\n[contracts.owned]\nparty = \"other\"\npreset = \"owned\"\npools = [\"mixed\"]\naccelerator = \"new\"\ncount = {count}\n{term}"
    )
}
