//! The guide shows the files that it imports, and shows them as they are.

use import::{focus, litellm};

const GUIDE: &str = include_str!("../../../../docs/way-in.md");
const CONFIG: &str = include_str!("docs/config.yaml");
const BILL: &str = include_str!("docs/bill.csv");

#[test]
fn the_guide_shows_what_it_imports() {
    for (shown, language) in [(CONFIG, "yaml"), (BILL, "csv")] {
        assert!(GUIDE.contains(&format!("```{language}\n{shown}```\n")), "the guide shows another {language}");
    }
    // 10 M tokens at 2.50 and 4 M at 10; the machine is no token.
    let total = focus(BILL).expect("it can be imported").totals.first().copied().expect("dollars");
    assert_eq!([total.explained.to_string(), total.listed.to_string()], ["65", "310.42"]);
    let fleet = litellm(CONFIG).expect("it can be imported").fleet;
    assert!(fleet.contains("units = 50\n") && fleet.contains("input = \"2.5 USD/1M tokens\"\n"), "{fleet}");
}
