//! Keeps the secrets of upstreams fresh while the service runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fleet::{EndpointId, Fleet, Secret};
use gateway::{Gateway, Upstream};

use crate::watched::Mark;
use crate::{log, secrets};

/// How often a secret's command is run again: tokens of clouds live an hour.
const COMMANDS_EVERY: Duration = Duration::from_secs(300);

/// What a secret was read from, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A variable, which nobody changes while we run.
    Env,
    File(Mark),
    Command(Instant),
}

impl Seen {
    fn of(secret: &Secret) -> Self {
        match secret {
            Secret::Env(_) => Self::Env,
            Secret::File(path) => Self::File(Mark::of(Path::new(path))),
            Secret::Command(_) => Self::Command(Instant::now()),
        }
    }

    /// What there is to see now, if that is another secret, or may be.
    fn changed(self, secret: &Secret) -> Option<Self> {
        let now = Self::of(secret);
        match (self, now) {
            (Self::Command(then), Self::Command(at)) => (at.saturating_duration_since(then) >= COMMANDS_EVERY).then_some(now),
            _ => (self != now).then_some(now),
        }
    }
}

/// The secrets of all hosted endpoints.
pub struct Rotation(Mutex<BTreeMap<EndpointId, Seen>>);

impl Rotation {
    /// To be made before the secrets are read, so that no change between is missed.
    pub fn new(fleet: &Fleet) -> Self {
        let hosted = fleet.endpoints.iter().filter(|(.., endpoint)| !endpoint.url.is_empty());
        Self(Mutex::new(hosted.filter_map(|(id, _, endpoint)| Some((id, Seen::of(endpoint.key.as_ref()?)))).collect()))
    }

    /// Reads what has changed, and gives it to the gateway; what can't be read stays as it was.
    pub fn refresh(&self, fleet: &Fleet, gateway: &Gateway) -> Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, seen) in all.iter_mut() {
            let endpoint = &fleet.endpoints[*id];
            let Some(secret) = &endpoint.key else { continue };
            let Some(now) = seen.changed(secret) else { continue };
            *seen = now;
            let name = fleet.endpoints.name(*id);
            let text = secrets::resolve(secret).with_context(|| format!("keep the old key of endpoint {name}"))?;
            let upstream = Upstream::of(endpoint, fleet.models.name(endpoint.model), Some(text.expose()));
            gateway.replace_upstream(*id, upstream.with_context(|| format!("keep the old key of endpoint {name}"))?);
            if let Seen::File(_) = now {
                log::say(format_args!("the key of endpoint {name} has changed and is used from now on"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_seen_once_and_a_variable_never() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("key");
        let secret = Secret::File(path.display().to_string());
        let none = Seen::of(&secret);
        assert_eq!(none.changed(&secret), None);
        std::fs::write(&path, "one").expect("a file");
        let one = none.changed(&secret).expect("it has come");
        assert_eq!(one.changed(&secret), None);
        std::fs::write(folder.path().join("new"), "two").expect("a file");
        std::fs::rename(folder.path().join("new"), &path).expect("it takes its place");
        assert!(one.changed(&secret).is_some());
        let variable = Secret::Env("HOME".to_owned());
        assert_eq!(Seen::of(&variable).changed(&variable), None);
    }
}
