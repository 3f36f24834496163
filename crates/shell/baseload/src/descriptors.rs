//! How many connections this process has files for.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open whatever comes: the store, the journal, listeners, batches, engines.
const OWN: u64 = 64;
/// Files of a thread that serves.
const THREAD: u64 = 4;
/// Files that a connection takes: its own, and one to an upstream.
const EACH: u64 = 2;

/// Fewer connections than this are worth a word.
pub(crate) const FEW: usize = 1_024;

/// Raises the limit of open files to the most that this process may have, and says how many connections that is enough for beside so many
/// threads that serve, at most `wanted`.
pub(crate) fn connections(wanted: usize, threads: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit.current = limit.maximum;
        }
    }
    fitting(limit.current, wanted, threads)
}

/// As many as fit, and one at least; `None` is no limit.
fn fitting(files: Option<u64>, wanted: usize, threads: usize) -> usize {
    let own = OWN + THREAD * threads as u64;
    let fit = files.map_or(u64::MAX, |files| files.saturating_sub(own) / EACH).max(1);
    usize::try_from(fit).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_two_files() {
        assert_eq!(fitting(None, 16_384, 16), 16_384);
        assert_eq!(fitting(Some(1_048_576), 16_384, 16), 16_384);
        assert_eq!(fitting(Some(1_024), 16_384, 16), 448);
        assert_eq!(fitting(Some(1_024), 16_384, 2), 476);
        assert_eq!(fitting(Some(10), 16_384, 2), 1);
    }
}
