//! Where the library is, and whether it is the right one.

use std::path::{Path, PathBuf};

use lp::Failure;

use crate::library::Functions;
use crate::memory;

/// The version that `baseload solver pull` fetches; another patch of the same minor version will do.
pub const VERSION: &str = "1.15.1";
/// What the library's file is called here.
pub const FILE: &str = if cfg!(windows) {
    "highs.dll"
} else if cfg!(target_os = "macos") {
    "libhighs.dylib"
} else {
    "libhighs.so"
};
/// Names a library to use in place of the one that was fetched.
const VARIABLE: &str = "BASELOAD_SOLVER";

/// Loads the library that `BASELOAD_SOLVER` names, or the one in `folder`.
pub fn find(folder: &Path) -> Result<&'static Functions, Failure> {
    let (path, hint) = match std::env::var_os(VARIABLE) {
        Some(stated) => (PathBuf::from(stated), format!("{VARIABLE} names it")),
        None => (folder.join(FILE), "fetch it with `baseload solver pull`".to_owned()),
    };
    load(&path).map_err(|reason| Failure::Missing(format!("{reason}: {hint}")))
}

fn load(path: &Path) -> Result<&'static Functions, String> {
    if !path.is_file() {
        return Err(format!("there is no solver at {}", path.display()));
    }
    memory::give_back();
    let functions = Functions::load(path).map_err(|error| format!("the solver at {} can't be loaded ({error})", path.display()))?;
    accept(&functions.version()).map_err(|reason| format!("the solver at {} {reason}", path.display()))?;
    Ok(functions)
}

fn accept(version: &str) -> Result<(), String> {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    let wanted = minor(VERSION).unwrap_or_default();
    if minor(version).as_ref() == Some(&wanted) { Ok(()) } else { Err(format!("is HiGHS {version}, and {wanted} is needed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_minor_version_is_refused() {
        assert_eq!(["1.15.1", "1.15.0", "1.15.12"].map(accept), [const { Ok(()) }; 3]);
        for version in ["1.14.0", "1.150.1", "2.15.1", "1.15", ""] {
            assert_eq!(accept(version), Err(format!("is HiGHS {version}, and 1.15 is needed")));
        }
    }

    #[test]
    fn what_is_missing_or_no_library_is_told_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(FILE);
        let reason = |path| load(path).err().unwrap_or_default();
        assert!(reason(&path).starts_with("there is no solver at "), "{}", reason(&path));
        std::fs::write(&path, "not a library").expect("a file");
        assert!(reason(&path).contains("can't be loaded ("), "{}", reason(&path));
    }
}
