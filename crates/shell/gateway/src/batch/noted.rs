//! The prices that were noted for batches, kept over a restart. Nothing rests on them: without them a batch only doesn't know for a while
//! what is cheap, so what is torn, or of another currency, is as good as nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use dispatch::batch::Prices;
use fleet::{Fleet, ModelId};
use serde::{Deserialize, Serialize};
use units::Currency;

use crate::batch::shelf::replace;

/// What the file is called, before its ending.
const NAME: &str = "noted-prices";

/// The prices of every model, by its name: another fleet file numbers them otherwise.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    currency: Currency,
    models: BTreeMap<String, Prices>,
}

impl Noted {
    pub fn of(fleet: &Fleet, prices: &BTreeMap<ModelId, Prices>) -> Self {
        let models = prices.iter().map(|(model, prices)| (fleet.models.name(*model).to_owned(), prices.clone()));
        Self { currency: fleet.currency, models: models.collect() }
    }

    /// Writes them in place of those before.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        replace(folder, NAME, self)
    }

    /// What was written of the models that the fleet has.
    pub fn read(folder: &Path, fleet: &Fleet) -> BTreeMap<ModelId, Prices> {
        let written = fs::read(folder.join(NAME).with_extension("json")).ok();
        let noted = written.and_then(|written| serde_json::from_slice::<Self>(&written).ok());
        let Some(noted) = noted.filter(|noted| noted.currency == fleet.currency) else { return BTreeMap::new() };
        noted.models.into_iter().filter_map(|(name, prices)| Some((fleet.models.id(&name)?, prices))).collect()
    }
}

#[cfg(test)]
mod tests {
    use units::{Instant, Money};

    use super::*;
    use crate::fixture;

    #[test]
    fn what_was_noted_is_read_again_and_a_torn_file_is_as_good_as_none() {
        let (folder, fleet) = (tempfile::tempdir().expect("a temporary folder"), fixture::fleet());
        assert_eq!(Noted::read(folder.path(), &fleet), BTreeMap::new());
        let model = fleet.models.id("smollm2-135m").expect("the laptop fleet has it");
        let mut prices = Prices::default();
        prices.note(Instant::from_micros(1_800_000_000_000_000), Money::from_nanos(i128::MAX));
        let prices = BTreeMap::from([(model, prices)]);
        let mut noted = Noted::of(&fleet, &prices);
        noted.models.insert("gone".to_owned(), Prices::default());
        noted.write(folder.path()).expect("room");
        assert_eq!(Noted::read(folder.path(), &fleet), prices);
        noted.currency = "EUR".parse().expect("a currency");
        noted.write(folder.path()).expect("room");
        assert_eq!(Noted::read(folder.path(), &fleet), BTreeMap::new(), "of another currency");
        let path = folder.path().join("noted-prices.json");
        let whole = fs::read(&path).expect("it is there");
        for cut in 0..whole.len() {
            fs::write(&path, whole.get(..cut).expect("within it")).expect("room");
            assert_eq!(Noted::read(folder.path(), &fleet), BTreeMap::new(), "cut at {cut}");
        }
    }
}
