//! Where things are kept on this machine.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn base(variable: &str, under_home: &str) -> Result<PathBuf> {
    let stated = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    match stated {
        Some(path) => Ok(path),
        None => Ok(std::env::home_dir().context("find the home directory: set HOME")?.join(under_home)),
    }
}

/// The state directory as stated, or the default of that name.
pub fn state(stated: Option<PathBuf>, name: &str) -> Result<PathBuf> {
    match stated {
        Some(path) => Ok(path),
        None => Ok(base("XDG_STATE_HOME", ".local/state")?.join("baseload").join(name)),
    }
}

/// A folder for this process alone, which removes it when it is done.
pub fn scratch() -> Result<PathBuf> {
    let folder = base("XDG_CACHE_HOME", ".cache")?.join("baseload").join(format!("books-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(folder)
}

/// Where models are kept.
pub fn models() -> Result<PathBuf> {
    match std::env::var_os("BASELOAD_MODELS") {
        Some(path) => Ok(path.into()),
        None => Ok(base("XDG_CACHE_HOME", ".cache")?.join("baseload").join("models")),
    }
}

/// Where the solver of this version of `highs` is kept.
pub fn solver() -> Result<PathBuf> {
    Ok(base("XDG_CACHE_HOME", ".cache")?.join("baseload").join("solver").join(highs::VERSION))
}

/// The embedded engine's program, which is installed beside this one.
pub fn engine() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program's own file")?;
    let engine = own.with_file_name("baseload-engine");
    if engine.is_file() {
        return Ok(engine);
    }
    anyhow::bail!("find {}: the engine is installed beside baseload (build it with `cargo build -p engine`)", engine.display())
}
