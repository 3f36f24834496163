//! Every code that `check` may show, with what `baseload explain CODE` says about it.

/// What a code means, and an example of it wrong and right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code, such as `BL0207`; it never changes its meaning.
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// A paragraph: why it matters and what to do.
    pub explanation: &'static str,
    /// An example that shows it.
    pub wrong: &'static str,
    /// The same, put right.
    pub right: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal, $wrong:literal => $right:literal;)*) => {
        $(#[doc = $title] pub(crate) const $name: &str = $code;)*

        /// Every code, in order.
        pub const CODES: &[CodeInfo] =
            &[$(CodeInfo { code: $code, title: $title, explanation: $explanation, wrong: $wrong, right: $right }),*];
    };
}

codes! {
    SYNTAX = "BL0001", "not TOML",
        "The file is not well-formed TOML, so what stands at the caret could not be read. The rest of the file is checked as well as it can be; names and keys that are missing are only reported once the syntax is right.",
        "name = \"lab" => "name = \"lab\"";
    TOO_LARGE = "BL0002", "file too large",
        "A fleet file may have at most 4 MiB. A fleet that needs more repeats itself: a ramp has one step per change, not one per day.",
        "(a file of 5 MiB)" => "(a file under 4 MiB)";
    TOO_MANY_ROWS = "BL0003", "too many rows or steps",
        "A table of the file holds at most 65,535 rows, and a list at most 65,535 entries.",
        "(70,000 tables [endpoints.X])" => "(one endpoint per model and pool)";
    FORMAT = "BL0004", "unknown format",
        "`format` names the version of the file format, so that a later `baseload` can read an earlier file. This one reads format 1.",
        "format = 2" => "format = 1";
    TOO_MANY = "BL0005", "too many problems",
        "More than 500 problems were found; the first 500 are shown. Usually one cause is behind most of them.",
        "(a file of another program)" => "(a fleet file)";
    UNKNOWN_KEY = "BL0101", "unknown key",
        "The key is none that this table may have, so it would do nothing. `baseload schema` prints all keys for an editor; docs/fleet-file.md explains them.",
        "[models.llama]\ncontxt = 8192" => "[models.llama]\ncontext = 8192";
    MISSING_KEY = "BL0102", "missing key",
        "The table needs this key: there is no default that would be right for everybody.",
        "[accelerators.h100]\nmemory = \"80 GB\"" => "[accelerators.h100]\nmemory = \"80 GB\"\npower = \"700 W\"";
    WRONG_TYPE = "BL0103", "wrong type",
        "Another kind of value must stand here: text where a number is, a table where a list is, and so on.",
        "slots = \"4\"" => "slots = 4";
    UNKNOWN_WORD = "BL0104", "unknown word",
        "Only certain words may stand here; the hint lists them.",
        "status = \"sigend\"" => "status = \"signed\"";
    ONE_OF = "BL0105", "not exactly one of these",
        "Of several keys that say the same thing in different ways, exactly one must stand here.",
        "overflow = { to = \"spare\", rate = \"1 USD/unit-hour\" }" => "overflow = { to = \"spare\" }";
    PRESET_KEY = "BL0106", "key of another preset",
        "A preset is a short way to write clauses, and each has its own short keys. With another preset, or with none, write the clause itself.",
        "preset = \"on-demand\"\ncount = 64" => "preset = \"reserved\"\ncount = 64";
    BAD_NAME = "BL0107", "name that can't be used",
        "Names appear in headers, file names and reports: 1 to 64 letters, digits and `-`, `_`, `.`, `/`, `:`, `@`.",
        "[pools.\"my pool\"]" => "[pools.my-pool]";
    NEEDS = "BL0108", "key that needs another",
        "The key says something about another key of the same table, which isn't there, so it could never apply.",
        "{ tier = \"default\", least = \"90 %\" }" => "{ tier = \"default\", least = \"90 %\", demand = \"5000 tokens/s\" }";
    FIGURE = "BL0201", "not such a figure",
        "Figures carry their unit inside the quotes, so that no one has to guess it. The hint gives an example of what fits here.",
        "power = \"300\"" => "power = \"300 MW\"";
    RANGE = "BL0202", "figure out of range",
        "The figure is too large, too small, zero or below zero where that can't be.",
        "slots = 0" => "slots = 4";
    PER = "BL0205", "per another period",
        "The amount says per which period it is, and the floor says `per` another one. One of them is wrong.",
        "least = \"30 GUSD/year\"\nper = \"month\"" => "least = \"30 GUSD/year\"\nper = \"year\"";
    SHARE = "BL0206", "share above the whole",
        "A share of a whole is between 0 % and 100 %.",
        "share = \"120 %\"" => "share = \"20 %\"";
    RAMP_ORDER = "BL0207", "ramp out of order",
        "The steps of a ramp are in rising order of time, each with its own date: the amount holds from its date until the next.",
        "power = [{ from = 2027-01-01, is = \"2 GW\" }, { from = 2026-01-01, is = \"1 GW\" }]" =>
        "power = [{ from = 2026-01-01, is = \"1 GW\" }, { from = 2027-01-01, is = \"2 GW\" }]";
    RAMP_EMPTY = "BL0208", "list without entries",
        "The list must have at least one entry.",
        "power = []" => "power = \"1 GW\"";
    DATE = "BL0209", "not a date",
        "Dates are TOML's own, without quotes. A date without an offset is in the contract's time zone, or else in the fleet's.",
        "start = \"2026-01-01\"" => "start = 2026-01-01";
    UNPLANNED = "BL0210", "range without a planning value",
        "The figure is a range with no `value`. Planning uses the range; `baseload up` needs one figure to decide with, and refuses the fleet until `value` is there.",
        "power = { low = \"4 GW\", high = \"5 GW\" }" => "power = { value = \"4.5 GW\", low = \"4 GW\", high = \"5 GW\" }";
    UPSIDE_DOWN = "BL0211", "range upside down",
        "In a range, `low` is at most `value`, and `value` at most `high`.",
        "{ low = \"5 GW\", high = \"4 GW\" }" => "{ low = \"4 GW\", high = \"5 GW\" }";
    TIME_ZONE = "BL0212", "unknown time zone",
        "Time zones are named as in the IANA database, such as `UTC` or `America/Los_Angeles`.",
        "time_zone = \"PST\"" => "time_zone = \"America/Los_Angeles\"";
    SUM = "BL0213", "parts that are not a whole",
        "The parts must come to 100 %: the kinds of a workload's tokens, the hours of all blocks of a month, and the demand of the blocks weighted with their hours (within 0.1 %).",
        "mix = { input = \"70 %\", output = \"25 %\" }" => "mix = { input = \"75 %\", output = \"25 %\" }";
    UNKNOWN_NAME = "BL0301", "unknown name",
        "The name is none that the file defines in the table that is meant.",
        "pools = [\"nroth\"]" => "pools = [\"north\"]";
    ALIAS = "BL0302", "alias that is taken",
        "Clients ask for a model by its name or an alias, so each may mean one model only.",
        "[models.a]\naliases = [\"default\"]\n[models.b]\naliases = [\"default\"]" => "[models.a]\naliases = [\"default\"]\n[models.b]\naliases = []";
    TWICE = "BL0303", "named twice",
        "The list names the same thing twice.",
        "pools = [\"north\", \"north\"]" => "pools = [\"north\"]";
    SOURCE = "BL0304", "unknown source",
        "The file has a table of sources, but none of this name, so nobody could look up where the figure comes from. In a file without `[sources]` a source is any text.",
        "{ value = \"4.5 GW\", source = \"S099\" }" => "[sources.S099]\nspeaker = \"Wall Street Journal\"";
    ENDS_FIRST = "BL0401", "ends before it starts",
        "A span is half-open: from its first instant to the first instant after it, so the end must come after the start.",
        "start = 2027-01-01\nend = 2026-01-01" => "start = 2026-01-01\nend = 2027-01-01";
    NEST_CIRCLE = "BL0402", "nested in a circle",
        "`under` names the umbrella that a contract draws down. Following it from contract to contract must come to an end.",
        "[contracts.a]\nunder = \"b\"\n[contracts.b]\nunder = \"a\"" => "[contracts.a]\nunder = \"b\"\n[contracts.b]";
    NEST_CURRENCY = "BL0403", "nested in another currency",
        "A contract's charges draw down the floor of its umbrella, or of a floor that lists it, so both must be in one currency.",
        "currency = \"EUR\"\nunder = \"umbrella-in-usd\"" => "currency = \"USD\"\nunder = \"umbrella-in-usd\"";
    NEST_PARTY = "BL0404", "nested under another party",
        "A contract can only draw down an umbrella that is with the same party.",
        "party = \"westcloud\"\nunder = \"northgrid-umbrella\"" => "party = \"northgrid\"\nunder = \"northgrid-umbrella\"";
    NAMES_NOBODY = "BL0405", "clause that names nobody",
        "The clause doesn't say what, or whom, it is about, so it could never apply.",
        "[[contracts.x.capacity]]\ncount = 64" => "[[contracts.x.capacity]]\naccelerator = \"h100\"\ncount = 64";
    OVERFLOW_CIRCLE = "BL0406", "overflow in a circle",
        "What exceeds the capacity goes to another contract, from there perhaps to a third: following it must come to an end.",
        "[contracts.a]\noverflow = \"a\"" => "[contracts.a]\noverflow = \"b\"";
    METER_UNIT = "BL0407", "unit that the meter doesn't count in",
        "The price is per a unit that this meter doesn't count.",
        "meter = \"input\"\nrate = \"2 USD/accelerator-hour\"" => "meter = \"input\"\nrate = \"0.15 USD/1M tokens\"";
    CURRENCY = "BL0408", "amount in another currency",
        "All amounts of a contract are in the contract's currency; those outside contracts are in the fleet's.",
        "currency = \"USD\"\nrate = \"2 EUR/accelerator-hour\"" => "currency = \"USD\"\nrate = \"2.20 USD/accelerator-hour\"";
    TRANCHES = "BL0409", "tranches exceed the capacity",
        "The tranches of a delivery come to more than the capacity that the contract ever gives a right to.",
        "capacity of 4096, tranches of 2048 and 4096" => "capacity of 4096, tranches of 2048 and 2048";
    TIER_ORDER = "BL0410", "tiers out of order",
        "Tiers are in rising order of their thresholds, and the first begins at zero.",
        "tiers = [{ from = \"1 M tokens\", rate = \"1 USD/1M tokens\" }]" => "tiers = [{ from = \"0 tokens\", rate = \"1 USD/1M tokens\" }]";
    NO_CAPACITY = "BL0411", "committed rate without capacity",
        "A committed rate is paid for the capacity whether used or not, so the contract needs a capacity clause for the same thing. Only accelerators and provisioned units have one.",
        "[[contracts.x.rates]]\nmeter = \"accelerators\"\ncharge = \"committed\"" => "[contracts.x.capacity]\naccelerator = \"h100\"\ncount = 64";
    OUTSIDE_TERM = "BL0412", "outside the term",
        "The date lies outside the contract's term, or the contract outside its umbrella's, so what it says can't happen as written.",
        "end = 2029-01-01\n(a tranche due 2030-01-01)" => "end = 2031-01-01\n(a tranche due 2030-01-01)";
    EXCHANGE = "BL0413", "no exchange rate",
        "Decisions compare costs in the fleet's currency, so each other currency that the file uses needs a dated rate.",
        "currency = \"USD\"\n(a contract in EUR)" => "[currencies.EUR]\nrates = [{ from = 2026-01-01, is = \"1.08 USD\" }]";
    CLAUSE_TWICE = "BL0414", "two clauses for one thing",
        "The contract has two clauses for the same thing, and nothing says which one holds. Write one with a ramp or with tiers.",
        "(two capacity clauses for h100)" => "(one with two steps)";
    SELF_SUBSTITUTION = "BL0415", "in place of itself",
        "A substitution names another contract, whose capacity and floors fall away while this one is in force.",
        "[[contracts.x.substitution]]\nof = \"x\"" => "[[contracts.x.substitution]]\nof = \"y\"";
    OFFER = "BL0416", "offer of a contract that isn't discussed",
        "An offer says that a contract may be signed, and when it may start. A contract that is signed, at a standstill or over is no offer any more.",
        "status = \"signed\"\noffer = { by = 2026-06-30 }" => "status = \"discussed\"\noffer = { by = 2026-06-30 }";
    EXPANSION = "BL0417", "expansion of no capacity",
        "An expansion raises a capacity clause of the same accelerators at the contract's own rates, so the contract needs one. Its count may begin at zero.",
        "[contracts.x.expansion]\naccelerator = \"h100\"\nmost = 4096" => "[contracts.x.capacity]\naccelerator = \"h100\"\ncount = 0";
    POWER = "BL0501", "beyond the site's power",
        "The accelerators of the site's pools, times what each takes, times the site's PUE, come to more than the site's power at that date.",
        "(1,000 accelerators of 1 kW, PUE 1.2, at a site of 1 MW)" => "(800 of them)";
    MEMORY = "BL0502", "model that doesn't fit",
        "The model needs more memory than the accelerators of one replica have. Without a stated `memory`, two bytes a parameter are assumed.",
        "a 70 B model on one accelerator of 80 GB" => "accelerators = 2 in its profile";
    REPLICAS = "BL0503", "replicas beyond the pool",
        "The replicas of the endpoint need more accelerators than the pool ever has.",
        "replicas = 3, of 8 accelerators each, on a pool of 16" => "replicas = 2";
    NOWHERE = "BL0504", "endpoint with neither pool nor URL",
        "An endpoint is the replicas of a model on a pool, or a hosted API at a URL: one of the two must be there.",
        "[endpoints.east]\nmodel = \"llama\"" => "[endpoints.east]\nmodel = \"llama\"\nurl = \"https://api.example.com/v1\"";
    URL = "BL0505", "URL that can't be used",
        "An upstream's URL is https, with a host and without a user, password, query or fragment; http only to this machine.",
        "url = \"http://api.example.com/v1\"" => "url = \"https://api.example.com/v1\"";
    PROFILE = "BL0506", "profile of something else",
        "The endpoint's profile is for another model or another accelerator than the endpoint has.",
        "(a profile for h100, on a pool of b200)" => "(a profile for b200)";
    SHADOW_TWICE = "BL0507", "two endpoints for one model's shadow",
        "Under `up --shadow` a model's requests that don't say where to go take the endpoint that is marked with `shadow`, so one of a model's endpoints may be marked.",
        "[endpoints.east]\nmodel = \"llama\"\nshadow = true\n[endpoints.west]\nmodel = \"llama\"\nshadow = true" => "[endpoints.east]\nmodel = \"llama\"\nshadow = true\n[endpoints.west]\nmodel = \"llama\"";
    ENDPOINTS = "BL0508", "too many endpoints for one model",
        "Each request looks at all endpoints of its model, so a model has 64 at most. Servers that are alike can stand behind one endpoint: its pool's replicas, or one URL that spreads what it gets.",
        "65 endpoints with `model = \"llama\"`" => "64 endpoints with `model = \"llama\"`";
    SECRET = "BL0601", "secret in the file",
        "A fleet file is shared, reviewed and kept, so a secret must not stand in it. Name where it is: an environment variable, a file or a command. A secret that stood in a file that others could see should be replaced.",
        "key = \"(the key itself)\"" => "key = { env = \"NORTH_KEY\" }";
    UNCOVERED = "BL0701", "nothing pays for it",
        "No contract covers the pool or the hosted endpoint (or, for an overflow, the contract that takes it doesn't), so what it does could not be metered to a contract, and dispatch won't use it.",
        "[pools.north]\n(and no contract with pools = [\"north\"])" => "[contracts.north]\npools = [\"north\"]";
    NO_PRICE = "BL0702", "contract without a price for what it covers",
        "The contract covers the pool or endpoint but has no rate for what that uses: accelerator time on a pool, tokens or units on a hosted endpoint. Use would be metered at nothing.",
        "endpoints = [\"west\"]" => "endpoints = [\"west\"]\ninput = \"0.15 USD/1M tokens\"\noutput = \"0.60 USD/1M tokens\"";
    SLO_ZERO = "BL0703", "promise that can't be kept",
        "A time to the first token, or per token, of zero would be missed by every request.",
        "ttft = \"0 ms\"" => "ttft = \"500 ms\"";
    NOT_SERVED = "BL0704", "no endpoint serves it",
        "The workload's model has no endpoint, so its requests could go nowhere.",
        "[workloads.chat]\nmodel = \"llama\"" => "[endpoints.north]\nmodel = \"llama\"";
    CLASS_TWICE = "BL0705", "two classes for one tier",
        "A workload has at most one class per tier.",
        "classes = [{ tier = \"flex\", .. }, { tier = \"flex\", .. }]" => "classes = [{ tier = \"flex\", .. }, { tier = \"default\", .. }]";
    EARNED = "BL0706", "revenue that nothing could earn",
        "Revenue that names a workload is earned as far as its demand is served, so the workload must be of the kind `serving` and have a demand.",
        "[[finance.revenue]]\nworkload = \"pretraining\"" => "[[finance.revenue]]\nworkload = \"chat\"";
    NOT_COMPUTED = "BL0901", "read, but not computed yet",
        "What stands here is read, checked and kept, but nothing computes with it yet: no amount, placement or refusal changes because of it. It is listed so that nobody relies on it.",
        "[contracts.x.termination]\nnotice = \"180 days\"" => "(nothing to do)";
    UNPAID = "BL0902", "a floor that unpaid power does not lessen",
        "A joint venture builds the power that its partners have paid for, and a plan uses no more. A floor of a contract with it is due whole all the same, however much is not built: the file says nothing else. Where the floor shrinks with what is late, a delivery clause and `abated_while_late` say so.",
        "floor = \"9 GUSD/year\"" => "[contracts.x.floor]\nabated_while_late = true";
}
