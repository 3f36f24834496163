//! I11: secrets.

use super::{Breach, Invariant};

/// I11: none of these secrets is in any of these outputs, each with the name of where it came out. A secret that is found is not said.
#[must_use]
pub fn check_secrets<'a>(outputs: impl IntoIterator<Item = (&'a str, &'a [u8])>, secrets: &[&str]) -> Vec<Breach> {
    let has = |output: &[u8], secret: &str| !secret.is_empty() && output.windows(secret.len()).any(|window| window == secret.as_bytes());
    let mut breaches = Vec::new();
    for (name, output) in outputs {
        let found = secrets.iter().enumerate().filter(|(_, secret)| has(output, secret));
        breaches.extend(found.map(|(number, _)| Breach::new(Invariant::I11, format!("secret {number} is in {name}"))));
    }
    breaches
}
