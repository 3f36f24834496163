//! Every dependency on every platform: its licence, and that it comes from the registry or from this repository.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::finding::{Finding, TaskError};
use crate::spdx;

/// Asks cargo for all packages of the lock file and reports those whose licence or origin we don't accept.
pub fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let fail = |reason: String| TaskError::Program { program: "cargo metadata".to_owned(), reason };
    let arguments = ["metadata", "--format-version", "1", "--locked", "--all-features"];
    let output = Command::new(cargo).args(arguments).current_dir(root).output().map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| fail(error.to_string()))?;
    Ok(check_packages(&metadata, root))
}

fn check_packages(metadata: &Value, root: &Path) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut findings: Vec<Finding> = packages.iter().flat_map(|package| check_package(package, root)).collect();
    if packages.is_empty() {
        findings.push(Finding::of("Cargo.lock", "names no package"));
    }
    findings
}

/// Other ways to do TLS: one is enough to keep up to date.
const BANNED: [&str; 6] = ["openssl", "openssl-sys", "openssl-src", "native-tls", "aws-lc-sys", "boring-sys"];

fn check_package(package: &Value, root: &Path) -> Vec<Finding> {
    let text = |field: &str| package[field].as_str().unwrap_or_default();
    let name = format!("{} {}", text("name"), text("version"));
    let licence = match text("license") {
        "" => Some(Finding::of(&name, "states no licence")),
        terms if spdx::accepted(terms) => None,
        terms => Some(Finding::of(&name, format!("is under {terms}, which is not among the accepted licences"))),
    };
    let origin = match package["source"].as_str() {
        None => (!Path::new(text("manifest_path")).starts_with(root)).then(|| Finding::of(&name, "lies outside this repository")),
        Some(source) => (!source.starts_with("registry+") && !source.starts_with("sparse+"))
            .then(|| Finding::of(&name, "does not come from the registry")),
    };
    let banned = BANNED.contains(&text("name")).then(|| Finding::of(&name, "is banned: TLS is rustls, with ring"));
    licence.into_iter().chain(origin).chain(banned).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::check_packages;

    fn found(license: Option<&str>, source: Option<&str>, manifest: &str) -> Vec<String> {
        let package = json!({ "name": "a", "version": "1.0.0", "license": license, "source": source, "manifest_path": manifest });
        check_packages(&json!({ "packages": [package] }), Path::new("/repo")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn accepted_licences_from_known_places_pass() {
        assert_eq!(found(Some("MIT OR Apache-2.0"), Some("registry+x"), "/home/a/Cargo.toml"), [""; 0]);
        assert_eq!(found(Some("Apache-2.0"), None, "/repo/a/Cargo.toml"), [""; 0]);
    }

    #[test]
    fn another_way_to_do_tls_is_found() {
        let package = json!({ "name": "openssl-sys", "version": "0.9.0", "license": "MIT", "source": "registry+x", "manifest_path": "" });
        let found: Vec<String> =
            check_packages(&json!({ "packages": [package] }), Path::new("/repo")).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["openssl-sys 0.9.0: is banned: TLS is rustls, with ring"]);
    }

    #[test]
    fn copyleft_and_silence_are_found() {
        let expected = ["a 1.0.0: is under GPL-3.0-only, which is not among the accepted licences"];
        assert_eq!(found(Some("GPL-3.0-only"), Some("registry+x"), ""), expected);
        assert_eq!(found(None, Some("registry+x"), ""), ["a 1.0.0: states no licence"]);
    }

    #[test]
    fn strange_origins_are_found() {
        assert_eq!(found(Some("MIT"), Some("git+https://host/a"), ""), ["a 1.0.0: does not come from the registry"]);
        assert_eq!(found(Some("MIT"), None, "/elsewhere/Cargo.toml"), ["a 1.0.0: lies outside this repository"]);
        assert_eq!(check_packages(&json!({}), Path::new("/repo")).len(), 1);
    }
}
