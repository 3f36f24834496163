//! Cash, debt, raises, revenue and costs, in two currencies.

use super::{any, maybe};
use crate::dice::Dice;

pub(super) fn draw(dice: &mut Dice) -> String {
    if dice.chance(0.1) {
        return String::new();
    }
    let (cash, at) = (dice.count(300, 4000), any(dice, &["2027-01-01", "2026-12-20"]));
    let (money, interest) = (any(dice, &["kUSD", "kEUR"]), dice.count(0, 4));
    let floor = maybe(dice, 0.7, |dice| format!("floor = \"{} kUSD\"\n", dice.count(0, 600)));
    let staff = dice.count(500, 3650);
    format!(
        "\n[finance]\ncash = {{ at = {at}, amount = \"{cash} {money}\" }}\ninterest = \"{interest} %\"\n{floor}{}{}{}\
         costs = [{{ name = \"staff\", from = 2027-01-01, to = 2028-01-01, amount = \"{staff} kUSD\" }}, \
         {{ name = \"rent\", from = 2027-02-11, amount = \"33333 EUR\" }}]\n",
        maybe(dice, 0.7, debt),
        maybe(dice, 0.8, revenue),
        maybe(dice, 0.7, raises)
    )
}

fn debt(dice: &mut Dice) -> String {
    let (owed, limit, rate) = (dice.count(0, 200), dice.count(250, 2500), dice.count(0, 12));
    let covenant = maybe(dice, 0.5, |dice| format!(", covenant = \"{} %\"", dice.count(20, 90)));
    let later = dice.count(200, 3000);
    format!(
        "debt = {{ owed = \"{owed} kUSD\", limit = [{{ from = 2026-01-01, is = \"{limit} kUSD\" }}, \
         {{ from = 2027-03-01, is = \"{later} kUSD\" }}], rate = \"{rate} %\", lender = \"bank\"{covenant} }}\n"
    )
}

fn revenue(dice: &mut Dice) -> String {
    let (amount, licences) = (dice.count(1, 20), dice.count(10, 400));
    format!(
        "revenue = [{{ name = \"subscriptions\", from = 2026-12-01, to = 2028-01-01, amount = \"{amount} MUSD\", workload = \"chat\" }}, \
         {{ name = \"licences\", from = 2027-02-03, to = 2027-04-01, amount = \"{licences} kEUR\" }}]\n"
    )
}

fn raises(dice: &mut Dice) -> String {
    let (amount, cost) = (dice.count(200, 3000), dice.count(0, 25));
    let currency = any(dice, &["kUSD", "kEUR"]);
    format!(
        "raises = [{{ name = \"series\", from = 2027-02-01, to = 2027-06-01, amount = \"{amount} {currency}\", cost = \"{cost} %\" }}, \
         {{ name = \"grant\", from = 2027-03-10, amount = \"250 kUSD\" }}]\n"
    )
}
