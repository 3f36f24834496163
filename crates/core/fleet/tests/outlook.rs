//! What the words of planning become: offers, expansions, money, demand, ventures, mishaps, the horizon.

use fleet::{
    Answer, Block, Cap, CapacityOf, Debt, Expansion, Fleet, Horizon, Mishap, Mix, Of, Offer, Ramp, Recurs, Risk, Severity, Source, Stake,
    Terms, Venture, WorkloadKind, parse,
};
use units::{Instant, Money, Rate, Share, Span};

const HEAD: &str = r#"format = 1
name = "lab"
currency = "USD"
time_zone = "America/New_York"
[currencies.EUR]
rates = "1.08 USD"
[parties.north]
roles = ["supplier"]
[regions.eu]
jurisdiction = "EU"
[accelerators.h100]
peak = "989 TFLOP/s"
memory = "80 GB"
bandwidth = "3.35 TB/s"
power = "1 kW"
[models.llama]
parameters = "8 B"
context = 8192
[endpoints.web]
model = "llama"
url = "https://api.example.com/v1"
[contracts.web]
party = "north"
preset = "on-demand"
endpoints = ["web"]
input = "0.15 USD/1M tokens"
output = "0.60 USD/1M tokens"
start = 2026-01-01
end = 2029-01-01
"#;

/// The fleet with these sections, which must be right.
fn fleet(rest: &str) -> Fleet {
    let parsed = parse(&format!("{HEAD}{rest}"));
    let wrong: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    parsed.fleet.expect("without errors there is a fleet")
}

/// The codes of what is wrong with these sections.
fn codes(rest: &str) -> Vec<&'static str> {
    parse(&format!("{HEAD}{rest}")).diagnostics.iter().map(|it| it.code).collect()
}

/// A midnight in New York in winter.
fn day(date: &str) -> Instant {
    let at: jiff::Timestamp = format!("{date}T05:00:00Z").parse().expect("a date");
    Instant::from(at)
}

fn percent(percent: i64) -> Share {
    Share::from_ppm(percent * 10_000)
}

#[test]
fn dates_and_months_are_in_the_files_zone() {
    let fleet = fleet("[plan]\nfrom = 2026-01-01\nmonths = 72");
    assert_eq!(fleet.time_zone.iana_name(), Some("America/New_York"));
    let horizon = Horizon { from: Some(day("2026-01-01")), months: Some(72), blocks: Vec::new(), gap: None };
    assert_eq!(fleet.horizon, horizon);
}

#[test]
fn nothing_said_is_nothing_at_risk() {
    let fleet = fleet("");
    assert_eq!((fleet.horizon, fleet.risk), (Horizon::default(), Risk::default()));
    assert!(fleet.caps.is_empty() && fleet.ventures.is_empty() && fleet.sources.is_empty());
    let north = &fleet.parties[fleet.parties.id("north").expect("it is there")];
    assert_eq!((north.default, north.delay), (Share::NONE, None));
    assert_eq!(fleet.finance, fleet::Finance::default());
}

#[test]
fn a_month_has_blocks_that_are_a_whole() {
    let blocks = |rest: &str, demand: &str| {
        format!(
            "[plan]\ngap = \"0.5 %\"\nblocks = [{{ name = \"peak\", hours = \"30 %\", demand = \"140 %\" }}, {{ name = \"rest\", hours = \"{rest}\", demand = \"{demand}\" }}]"
        )
    };
    let horizon = fleet(&blocks("70 %", "82.857 %")).horizon;
    let block = |name: &str, hours, demand| Block { name: name.to_owned(), hours, demand };
    assert_eq!(horizon.blocks, [block("peak", percent(30), percent(140)), block("rest", percent(70), Share::from_ppm(828_570))]);
    assert_eq!(horizon.gap, Some(Share::from_ppm(5_000)));
    // 0.3 x 140 % + 0.7 x 83 % is 100.1 %, the most that passes.
    for (rest, demand, want) in [("70 %", "83 %", &[] as &[&str]), ("70 %", "83.01 %", &["BL0213"]), ("70.0001 %", "82.857 %", &["BL0213"])]
    {
        assert_eq!(codes(&blocks(rest, demand)), want, "{rest} with {demand}");
    }
}

#[test]
fn what_may_be_signed_and_what_may_be_ordered_is_kept() {
    let fleet = fleet(
        "[contracts.x]\nparty = \"north\"\nstatus = \"discussed\"\nstart = 2026-01-01\nend = 2028-01-01\ncurrency = \"EUR\"\noffer = { by = 2026-12-01, starts = [2027-01-01, 2026-02-01] }\n[contracts.x.capacity]\naccelerator = \"h100\"\ncount = 0\n[[contracts.x.expansion]]\naccelerator = \"h100\"\nmost = 20000\nper_month = 2000\nlead_months = 6\ncapex = \"30000 EUR\"\n[[contracts.x.expansion]]\naccelerator = \"h100\"\nmost = 5\n[[contracts.x.first_refusal]]\nuses = []\nanswer = { days = 60, takes = \"30 %\" }\n[[contracts.x.first_refusal]]\nuses = []",
    );
    let x = &fleet.contracts[fleet.contracts.id("x").expect("it is there")];
    assert_eq!(x.offer, Some(Offer { by: Some(day("2026-12-01")), starts: vec![day("2026-02-01"), day("2027-01-01")] }));
    let CapacityOf::Accelerators(accelerator) = x.capacity[0].of else { unreachable!("the clause is of accelerators") };
    let bare = Expansion { accelerator, most: 5, per_month: None, lead_months: 0, capex: None };
    let whole = Expansion { accelerator, most: 20_000, per_month: Some(2_000), lead_months: 6, capex: Some(Money::from_units(30_000)) };
    assert_eq!(x.expansions, [whole, bare]);
    let answers: Vec<_> = x.first_refusals.iter().map(|it| it.answer).collect();
    assert_eq!(answers, [Answer { days: 60, takes: percent(30) }, Answer { days: 0, takes: Share::NONE }]);
}

#[test]
fn money_has_terms() {
    let fleet = fleet(
        "[workloads.chat]\nkind = \"serving\"\nmodel = \"llama\"\nclasses = [{ tier = \"default\", ttft = \"1 s\", tpot = \"50 ms\", demand = \"5000 tokens/s\" }]\n[finance]\ninterest = \"3 %\"\ndebt = { owed = \"2 GUSD\", limit = [{ from = 2026-01-01, is = \"10 GUSD\" }], rate = \"8 %\", covenant = \"300 %\", lender = \"north\" }\nrevenue = { name = \"r\", from = 2026-01-01, amount = \"1 GEUR\", workload = \"chat\", likelihood = \"80 %\" }\nraises = { name = \"f\", from = 2026-01-01, amount = \"1 GUSD\", likelihood = \"60 %\", cost = \"12 %\" }\ncosts = { name = \"burn\", from = 2026-01-01, amount = \"1 GUSD\" }",
    );
    let finance = &fleet.finance;
    let debt = Debt {
        owed: Money::from_units(2_000_000_000),
        limit: Ramp::new(vec![(day("2026-01-01"), Money::from_units(10_000_000_000))]).expect("it rises"),
        rate: percent(8),
        covenant: Some(percent(300)),
        lender: fleet.parties.id("north"),
    };
    assert_eq!((finance.interest, finance.debt.as_ref()), (percent(3), Some(&debt)));
    let chat = fleet.workloads.id("chat");
    assert_eq!(finance.revenue[0].terms, Terms { likelihood: percent(80), cost: None, earned_by: chat });
    assert_eq!(finance.raises[0].terms, Terms { likelihood: percent(60), cost: Some(percent(12)), earned_by: None });
    assert_eq!(finance.costs[0].terms, Terms::default());
}

#[test]
fn demand_has_a_price_a_value_and_a_promise() {
    let fleet = fleet(
        "[workloads.chat]\nkind = \"serving\"\nmodel = \"llama\"\nmix = { input = \"70 %\", cached = \"5 %\", output = \"25 %\" }\nclasses = [{ tier = \"default\", ttft = \"1 s\", tpot = \"50 ms\", demand = \"5000 tokens/s\", price = \"2 USD/1M tokens\", value = \"1 USD/1M tokens\", least = \"90 %\" }]\n[workloads.embed]\nkind = \"serving\"\nmodel = \"llama\"\nclasses = []",
    );
    let serving = |name: &str| match &fleet.workloads[fleet.workloads.id(name).expect("it is there")].kind {
        WorkloadKind::Serving { classes, mix, .. } => (classes.clone(), *mix),
        WorkloadKind::Training { .. } => unreachable!("both are served"),
    };
    let (classes, mix) = serving("chat");
    assert_eq!(mix, Mix { input: percent(70), cached: percent(5), output: percent(25) });
    let a_million = |units| Some(Rate { money: Money::from_units(units), per: 1_000_000 });
    assert_eq!((classes[0].price, classes[0].value, classes[0].least), (a_million(2), a_million(1), Some(percent(90))));
    assert_eq!(serving("embed").1, Mix::default());
}

#[test]
fn training_comes_again() {
    let job = "[workloads.research]\nkind = \"training\"\naccelerators = [\"h100\"]\nwork = \"100 accelerator-hours\"\ngang = 8\n";
    let of = |rest: &str| {
        let fleet = fleet(&format!("{job}{rest}"));
        match fleet.workloads[fleet.workloads.id("research").expect("it is there")].kind {
            WorkloadKind::Training { from, recurs, promised, .. } => (from, recurs, promised),
            WorkloadKind::Serving { .. } => unreachable!("it is trained"),
        }
    };
    let recurs = Recurs { every_months: 3, until: day("2031-01-01"), growth: percent(20) };
    let text =
        "from = 2026-01-01\ndeadline = 2026-03-01\npromised = true\nrecurs = { every_months = 3, until = 2031-01-01, growth = \"20 %\" }";
    assert_eq!(of(text), (Some(day("2026-01-01")), Some(recurs), true));
    assert_eq!(of("promised = false"), (None, None, false));
}

#[test]
fn a_venture_is_paid_for_by_its_partners_and_the_lab() {
    let fleet = fleet(
        "[ventures.stargate]\nparty = \"north\"\ncost = \"38 GUSD/GW\"\nleverage = \"100 %\"\nlead_months = 18\nstakes = [{ party = \"north\", amount = \"19 GUSD\", from = 2026-01-01, to = 2029-01-01 }, { amount = \"1 GEUR\", from = 2026-01-01, to = 2027-01-01 }]\n[ventures.zero]\nparty = \"other\"\ncost = \"2 USD/W\"\nstakes = { amount = \"1 USD\", from = 2026-01-01, to = 2027-01-01 }\n[parties.other]\nroles = []",
    );
    let span = |from: &str, to: &str| Span { from: day(from), to: day(to) };
    let stakes = vec![
        Stake { party: fleet.parties.id("north"), amount: "19 GUSD".parse().expect("an amount"), span: span("2026-01-01", "2029-01-01") },
        Stake { party: None, amount: "1 GEUR".parse().expect("an amount"), span: span("2026-01-01", "2027-01-01") },
    ];
    let [(first, stargate), (second, zero)] = fleet.ventures.as_slice() else { unreachable!("there are two") };
    let party = fleet.parties.id("north").expect("it is there");
    let cost_per_watt = Rate { money: Money::from_units(38_000_000_000), per: 1_000_000_000 };
    assert_eq!(
        (first.as_str(), stargate),
        ("stargate", &Venture { party, cost_per_watt, leverage: percent(100), lead_months: 18, stakes })
    );
    assert_eq!((second.as_str(), zero.leverage, zero.lead_months), ("zero", Share::NONE, 0));
    assert_eq!(zero.cost_per_watt, Rate { money: Money::from_units(2), per: 1 });
}

#[test]
fn what_may_go_wrong_is_kept() {
    let text = HEAD
        .replace("roles = [\"supplier\"]", "roles = [\"supplier\"]\ndefault = \"2 %\"\ndelay = { likelihood = \"40 %\", months = 12 }")
        .replace(
            "power = \"1 kW\"",
            "power = \"1 kW\"\nidle = \"30 %\"\nsupply = 20000\nshortage = { likelihood = \"30 %\", months = 18 }",
        );
    let site = "[sites.oslo]\nregion = \"eu\"\npower = \"1 MW\"\nenergy = \"0.05 USD/kWh\"\nshortfall = { likelihood = \"20 %\", months = 12, share = \"25 %\" }\n";
    let risk = "[risk]\ndemand = \"20 %\"\nprice_drift = \"-30 %\"\nprice = \"15 %\"\nrent = \"40 %\"\ncommon = \"50 %\"\n";
    let caps = "[[caps]]\nparty = \"north\"\nshare = \"70 %\"\nof = \"work\"\nto = 2027-01-01\n[[caps]]\nparty = \"north\"\nshare = \"60 %\"\nof = \"spend\"";
    let fleet = parse(&format!("{text}{site}{risk}{caps}")).fleet.expect("it is right");
    let north = fleet.parties.id("north").expect("it is there");
    let mishap = |likelihood, months, share| Some(Mishap { likelihood: percent(likelihood), months, share: percent(share) });
    assert_eq!((fleet.parties[north].default, fleet.parties[north].delay), (percent(2), mishap(40, 12, 100)));
    assert_eq!(fleet.sites[fleet.sites.id("oslo").expect("it is there")].shortfall, mishap(20, 12, 25));
    let h100 = &fleet.accelerators[fleet.accelerators.id("h100").expect("it is there")];
    assert_eq!((h100.idle, &h100.supply, h100.shortage), (percent(30), &Some(Ramp::constant(20_000)), mishap(30, 18, 100)));
    let risk = Risk { demand: percent(20), price_drift: percent(-30), price: percent(15), rent: percent(40), common: percent(50) };
    assert_eq!(fleet.risk, risk);
    let until = Span { from: Instant::MIN, to: day("2027-01-01") };
    let cap = |share, of, span| Cap { party: north, share: percent(share), of, span };
    assert_eq!(fleet.caps, [cap(70, Of::Work, until), cap(60, Of::Spend, Span::ALWAYS)]);
}

#[test]
fn figures_name_sources_of_the_file() {
    let figure = "[sites.oslo]\nregion = \"eu\"\npower = { value = \"1 MW\", source = \"S001\" }\nenergy = \"0.05 USD/kWh\"\n";
    let source = "[sources.S001]\nspeaker = \"Wall Street Journal\"\nsays = \"1 MW\"\nwhen = \"2025-09\"\n";
    let text = |text: &str| Some(text.to_owned());
    let want = Source { speaker: "Wall Street Journal".to_owned(), says: text("1 MW"), when: text("2025-09") };
    assert_eq!(fleet(&format!("{figure}{source}")).sources["S001"], want);
    assert_eq!(codes(&format!("{figure}{source}")), [] as [&str; 0]);
    assert_eq!(codes(&format!("{figure}{}", source.replace("S001", "S002"))), ["BL0304"]);
    assert_eq!(codes(figure), [] as [&str; 0], "without the table, a source is any text");
}
