//! What may be signed, what bars what, power to be built, and limits on dependence.

use super::{any, maybe};
use crate::dice::Dice;

pub(super) fn draw(dice: &mut Dice) -> String {
    let mut all = vec![maybe(dice, 0.7, offered), maybe(dice, 0.5, joint), maybe(dice, 0.4, holder)];
    for _ in 0..dice.count(0, 2) {
        let (party, share, of) = (any(dice, &["maker", "cloud", "other"]), dice.count(55, 95), any(dice, &["work", "spend"]));
        let span = maybe(dice, 0.5, |_| "from = 2027-02-01\nto = 2027-06-01\n".to_owned());
        all.push(format!("\n[[caps]]\nparty = \"{party}\"\nshare = \"{share} %\"\nof = \"{of}\"\n{span}"));
    }
    all.concat()
}

/// A reservation on offer from several months, perhaps with a right to more.
fn offered(dice: &mut Dice) -> String {
    let (count, rate, end) = (dice.count(20, 300), dice.count(20, 70), any(dice, &["2027-05-01", "2028-02-01"]));
    let offer =
        any(dice, &["", "by = 2027-02-20, starts = [2027-02-01, 2027-03-01]", "starts = [2027-02-01, 2027-04-01]", "by = 2027-01-20"]);
    let floor =
        maybe(dice, 0.4, |dice| format!("[[contracts.offered.floor]]\nleast = \"{} kUSD/month\"\nper = \"month\"\n", dice.count(10, 90)));
    let prepayment = maybe(dice, 0.4, |_| "[[contracts.offered.prepayment]]\namount = \"40 kUSD\"\ncredit_periods = 2\n".to_owned());
    let refused = maybe(dice, 0.3, |_| "[[contracts.offered.exclusivity]]\nregions = [\"us\"]\nexcept = [\"metered\"]\n".to_owned());
    format!(
        "\n[contracts.offered]\nparty = \"other\"\nstatus = \"discussed\"\noffer = {{ {offer} }}\npreset = \"reserved\"\npools = [\"south\"]\n\
         count = {count}\nrate = \"0.{rate} USD/accelerator-hour\"\nstart = 2027-02-01\nend = {end}\n\
         calendar = {{ anchor = 2027-02-01, period = \"month\" }}\n{floor}{prepayment}{refused}"
    )
}

/// Power of a joint venture, as far as it is paid for.
fn joint(dice: &mut Dice) -> String {
    let (kilowatts, stake, lead) = (dice.count(20, 150), dice.count(50, 600), dice.count(0, 3));
    let currency = any(dice, &["kUSD", "kEUR"]);
    format!(
        "\n[contracts.power]\nparty = \"joint\"\npools = [\"south\"]\nstart = 2027-01-01\nend = 2029-01-01\n\
         rates = [{{ meter = \"accelerators\", of = \"old\", rate = \"0.40 USD/accelerator-hour\" }}, \
         {{ meter = \"accelerators\", of = \"new\", rate = \"1.40 USD/accelerator-hour\" }}]\n\
         capacity = [{{ site = \"south\", power = \"{kilowatts} kW\" }}]\n\
         \n[ventures.joint]\nparty = \"joint\"\ncost = \"4 MUSD/MW\"\nleverage = \"{} %\"\nlead_months = {lead}\n\
         stakes = [{{ amount = \"{stake} {currency}\", from = 2026-11-01, to = 2027-05-01 }}, \
         {{ party = \"cloud\", amount = \"100 kUSD\", from = 2027-01-01, to = 2027-03-01 }}]\n",
        dice.count(0, 2) * 50
    )
}

/// A contract that bars others: work from elsewhere, or offers until an answer.
fn holder(dice: &mut Dice) -> String {
    let uses = any(dice, &["[\"training\"]", "[\"serving\"]"]);
    let to = any(dice, &["2027-02-15", "2027-04-01"]);
    let exclusivity = maybe(dice, 0.5, |_| {
        format!(
            "[[contracts.holder.exclusivity]]\nuses = {uses}\nmodels = []\nfrom = 2027-01-01\nto = {to}\nexcept = [\"reserved\", \"tokens\"]\n"
        )
    });
    let days = dice.count(20, 80);
    let regions = any(dice, &["[\"us\"]", "[\"eu\"]", "[\"eu\", \"us\"]"]);
    format!(
        "\n[contracts.holder]\nparty = \"joint\"\npools = [\"north\"]\nstart = 2026-06-01\nend = 2029-01-01\n\
         rates = [{{ meter = \"accelerators\", rate = \"2.20 USD/accelerator-hour\" }}]\n{exclusivity}\
         [[contracts.holder.first_refusal]]\nregions = {regions}\nanswer = {{ days = {days}, takes = \"50 %\" }}\n"
    )
}
