//! What is asked for: tiers that are promised or not, and training that comes again.

use super::{any, maybe};
use crate::dice::Dice;

pub(super) fn draw(dice: &mut Dice) -> String {
    let mut all = vec![chat(dice), search(dice)];
    all.push(maybe(dice, 0.8, |dice| training("train", dice)));
    all.push(maybe(dice, 0.3, |dice| training("tune", dice)));
    all.concat()
}

fn chat(dice: &mut Dice) -> String {
    let (flex, default, later) = (dice.count(1, 300), dice.count(1, 900), dice.count(1, 900));
    let mix = maybe(dice, 0.5, |_| "mix = { input = \"60 %\", cached = \"15 %\", output = \"25 %\" }\n".to_owned());
    let least = maybe(dice, 0.4, |dice| format!(", least = \"{} %\"", dice.count(5, 90)));
    let worth = any(
        dice,
        &[
            "price = \"1 USD/1M tokens\"",
            "value = \"0.80 USD/1M tokens\"",
            "price = \"0.50 USD/1M tokens\", value = \"1.50 USD/1M tokens\"",
        ],
    );
    format!(
        "\n[workloads.chat]\nkind = \"serving\"\nmodel = \"m\"\n{mix}classes = [\n\
         {{ tier = \"flex\", ttft = \"20 s\", tpot = \"500 ms\", demand = \"{flex}000 tokens/s\", {worth} }},\n\
         {{ tier = \"default\", ttft = \"2 s\", tpot = \"80 ms\", demand = [{{ from = 2026-01-01, is = \"{default}000 tokens/s\" }}, \
         {{ from = 2027-02-10, is = \"{later}000 tokens/s\" }}], price = \"2 USD/1M tokens\"{least} }},\n\
         {{ tier = \"priority\", ttft = \"1 s\", tpot = \"50 ms\", demand = \"7777 tokens/s\", price = \"5 USD/1M tokens\" }},\n]\n"
    )
}

/// Without a price or a value, so that it is worth what it would cost elsewhere.
fn search(dice: &mut Dice) -> String {
    let (demand, model) = (dice.count(1, 90), any(dice, &["m", "n", "n"]));
    format!(
        "\n[workloads.search]\nkind = \"serving\"\nmodel = \"{model}\"\nmix = {{ input = \"90 %\", output = \"10 %\" }}\n\
         classes = [{{ tier = \"default\", ttft = \"2 s\", tpot = \"80 ms\", demand = \"{demand}123 tokens/s\" }}]\n"
    )
}

fn training(name: &str, dice: &mut Dice) -> String {
    let (work, gang) = (dice.count(2, 200), dice.count(1, 460));
    let from = maybe(dice, 0.6, |dice| format!("from = {}\n", any(dice, &["2026-10-20", "2027-01-10", "2027-02-28"])));
    let deadline = maybe(dice, 0.7, |dice| {
        let promised = maybe(dice, 0.5, |_| "promised = true\n".to_owned());
        format!("deadline = {}\n{promised}", any(dice, &["2027-03-20", "2027-05-01"]))
    });
    let comes_again = if deadline.is_empty() { 0.0 } else { 0.5 };
    let again = maybe(dice, comes_again, |dice| {
        format!("recurs = {{ every_months = {}, until = 2027-06-01, growth = \"{} %\" }}\n", dice.count(1, 2), dice.count(0, 25))
    });
    let value = maybe(dice, 0.5, |dice| format!("value = \"{} kUSD\"\n", dice.count(5, 900)));
    let accelerators = any(dice, &["\"old\", \"new\"", "\"new\", \"old\"", "\"old\""]);
    format!(
        "\n[workloads.{name}]\nkind = \"training\"\naccelerators = [{accelerators}]\nwork = \"{work}321 accelerator-hours\"\ngang = {gang}\n\
         {from}{deadline}{again}{value}"
    )
}
