//! Keeps the secrets of upstreams fresh while the service runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fleet::{EndpointId, Fleet, Secret};
use gateway::{Gateway, Upstream};

use crate::secrets::SecretText;
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

impl Seen {
    /// Reads a secret that may be another one by now, and hands it to `take`.
    fn refresh(&mut self, secret: &Secret, take: impl FnOnce(&SecretText) -> Result<()>) -> Result<()> {
        let Some(now) = self.changed(secret) else { return Ok(()) };
        if let Self::Command(_) = now {
            *self = now;
        }
        take(&secrets::resolve(secret)?)?;
        *self = now;
        Ok(())
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

    /// Reads what has changed, and gives it to the gateway; what can't be read stays as it was, holds up no other, and is read again: a file
    /// the next time, a command when its time comes.
    ///
    /// # Errors
    /// The first of what went wrong.
    pub fn refresh(&self, fleet: &Fleet, gateway: &Gateway) -> Result<()> {
        self.each(|id, seen| {
            let (endpoint, name) = (&fleet.endpoints[id], fleet.endpoints.name(id));
            let Some(secret) = &endpoint.key else { return Ok(()) };
            seen.refresh(secret, |text| {
                gateway.replace_upstream(id, Upstream::of(endpoint, fleet.models.name(endpoint.model), Some(text.expose()))?);
                if let Secret::File(_) = secret {
                    log::say(format_args!("the key of endpoint {name} has changed and is used from now on"));
                }
                Ok(())
            })
            .with_context(|| format!("keep the old key of endpoint {name}"))
        })
    }

    fn each(&self, mut refresh: impl FnMut(EndpointId, &mut Seen) -> Result<()>) -> Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = Ok(());
        for (id, seen) in all.iter_mut() {
            done = done.and(refresh(*id, seen));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_read_again_and_holds_up_no_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secrets = ["one", "two"].map(|name| Secret::File(folder.path().join(name).display().to_string()));
        let ids = [0, 1].map(<EndpointId as fleet::Id>::from_index);
        let rotation = Rotation(Mutex::new(ids.iter().zip(&secrets).map(|(id, secret)| (*id, Seen::of(secret))).collect()));
        let write = |name: &str, text: &str, mode: u32| {
            std::fs::write(folder.path().join(name), text).expect("a file");
            std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(mode)).expect("it is ours");
        };
        let read = |fails: bool| {
            let mut read = Vec::new();
            let done = rotation.each(|id, seen| {
                seen.refresh(&secrets[fleet::Id::index(id)], |text| {
                    read.push(text.expose().to_owned());
                    anyhow::ensure!(!fails, "not now");
                    Ok(())
                })
            });
            (done.is_ok(), read)
        };
        write("one", "others may read it", 0o644);
        write("two", "second", 0o600);
        assert_eq!(read(false), (false, vec!["second".to_owned()]), "the first can't be read, the second can");
        assert_eq!(read(false), (false, Vec::new()), "and the second has been");
        write("one", "first", 0o600);
        assert_eq!(read(true), (false, vec!["first".to_owned()]), "what comes of it may fail for a while");
        assert_eq!(read(false), (true, vec!["first".to_owned()]), "though the file has not changed since");
        assert_eq!(read(false), (true, Vec::new()));
    }

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
