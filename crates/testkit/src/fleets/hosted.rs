//! Endpoints that others host: by the token, by the provisioned unit, and by both under one contract.

use super::{any, maybe, term};
use crate::dice::Dice;

const ENDPOINTS: [(&str, &str); 4] = [("api", "m"), ("units", "m"), ("both", "m"), ("second", "n")];

pub(super) fn draw(dice: &mut Dice) -> String {
    let mut text = String::new();
    for (name, model) in ENDPOINTS {
        let region = any(dice, &["eu", "us"]);
        text.push_str(&format!(
            "\n[endpoints.{name}]\nmodel = \"{model}\"\nregion = \"{region}\"\ndialect = \"openai\"\n\
             url = \"https://{name}.example.com/v1\"\nslots = 64\nqueue = 64\n"
        ));
    }
    text.push_str(&tokens(dice));
    text.push_str(&second(dice));
    text.push_str(&maybe(dice, 0.6, units));
    text.push_str(&maybe(dice, 0.6, both));
    text
}

/// By the token, perhaps with a minimum, with or without a price of its own for what is cached.
fn tokens(dice: &mut Dice) -> String {
    let (term, cents) = (term(dice), dice.count(40, 160));
    let cached = maybe(dice, 0.5, |_| "cached = \"0.10 USD/1M tokens\"\n".to_owned());
    let floor = maybe(dice, 0.5, |dice| {
        format!("[[contracts.tokens.floor]]\nleast = \"{} kUSD/month\"\nper = \"month\"\nbasis = \"use\"\n", dice.count(1, 300))
    });
    format!(
        "\n[contracts.tokens]\nparty = \"other\"\npreset = \"on-demand\"\nendpoints = [\"api\"]\ninput = \"{}.{:02} USD/1M tokens\"\n\
         output = \"4 USD/1M tokens\"\nrounding = \"0.01 USD\"\n{cached}{term}{floor}",
        cents / 100,
        cents % 100
    )
}

/// Another model, at tiers by tokens.
fn second(dice: &mut Dice) -> String {
    let (term, millions, apply) = (term(dice), dice.count(1, 4000), any(dice, &["graduated", "volume"]));
    let (low, high) = any(dice, &["0.30 0.90", "0.90 0.30"]).split_once(' ').expect("there are two");
    format!(
        "\n[contracts.second]\nparty = \"cloud\"\nendpoints = [\"second\"]\n{term}\
         [[contracts.second.rates]]\nmeter = \"input\"\ntiers = [{{ from = \"0 tokens\", rate = \"{low} USD/1M tokens\" }}, \
         {{ from = \"{millions} M tokens\", rate = \"{high} USD/1M tokens\" }}]\ntiers_apply = \"{apply}\"\n\
         [[contracts.second.rates]]\nmeter = \"output\"\nrate = \"2 USD/1M tokens\"\n"
    )
}

/// Units that are paid for in another currency, and beyond them, perhaps, at a rate.
fn units(dice: &mut Dice) -> String {
    let (term, units, per_minute) = (term(dice), dice.count(5, 300), dice.count(20_000, 90_000));
    let overflow = maybe(dice, 0.4, |_| "overflow = { rate = \"3 EUR/unit-hour\" }\n".to_owned());
    format!(
        "\n[contracts.units]\nparty = \"other\"\npreset = \"provisioned\"\nendpoints = [\"units\"]\nunits = {units}\n\
         tokens_per_unit_minute = {per_minute}\nrate = \"1 EUR/unit-hour\"\ncurrency = \"EUR\"\n{overflow}{term}"
    )
}

/// Units, and what they can't take by the token, under one contract on one endpoint.
fn both(dice: &mut Dice) -> String {
    let (term, units) = (term(dice), dice.count(5, 100));
    format!(
        "\n[contracts.both]\nparty = \"cloud\"\nendpoints = [\"both\"]\n{term}\
         capacity = [{{ model = \"m\", units = {units}, tokens_per_unit_minute = 50000 }}]\n\
         [[contracts.both.rates]]\nmeter = \"units\"\ncharge = \"committed\"\nrate = \"1.20 USD/unit-hour\"\n\
         [[contracts.both.rates]]\nmeter = \"input\"\nrate = \"0.80 USD/1M tokens\"\n\
         [[contracts.both.rates]]\nmeter = \"output\"\nrate = \"3 USD/1M tokens\"\n"
    )
}
