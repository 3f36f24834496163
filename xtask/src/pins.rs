//! What the tests fetch from other registries is pinned by version and hash, and is no release that is known to have carried something else.

use serde_json::Value;

use crate::finding::Finding;
use crate::tree::Tree;

/// Releases that must never be had: a stealer of credentials was published in LiteLLM's name.
const STOLEN: [(&str, &str); 2] = [("litellm", "1.82.7"), ("litellm", "1.82.8")];

/// Reports each Python or Node package that a list of ours names without its version and hash, and each stolen one.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let is_list = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with("requirements") && name.ends_with(".txt"));
    let python = tree.files().filter(|(path, _)| is_list(path)).flat_map(|(path, text)| check_python(path, text));
    python.chain(tree.ending("package-lock.json").flat_map(|(path, text)| check_node(path, text))).collect()
}

fn check_python(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut whole = line.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            whole.push_str(lines.next().map_or("", |(_, line)| line));
        }
        let requirement = whole.split(" #").next().unwrap_or_default().trim();
        if requirement.is_empty() || requirement.starts_with(['#', '-']) {
            continue;
        }
        let named = requirement.split([' ', ';']).next().unwrap_or_default();
        let (name, version) = named.split_once("==").unwrap_or((named, ""));
        let name = name.split(['[', '<', '>', '=', '~', '!']).next().unwrap_or_default().to_lowercase().replace(['_', '.'], "-");
        let is_pinned = !version.is_empty() && !version.contains('*') && requirement.contains("--hash=sha256:");
        findings.extend(fault(&name, version, is_pinned).map(|text| Finding::at(path, index + 1, text)));
    }
    findings
}

fn check_node(path: &str, text: &str) -> Vec<Finding> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(packages) = lock["packages"].as_object() else { return vec![Finding::of(path, "names no packages")] };
    let fetched = packages.iter().filter(|(folder, package)| !folder.is_empty() && package["link"] != true);
    let faults = fetched.filter_map(|(folder, package)| {
        let name = folder.rsplit("node_modules/").next().unwrap_or_default();
        fault(
            name,
            package["version"].as_str().unwrap_or_default(),
            package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha")),
        )
    });
    faults.map(|text| Finding::of(path, text)).collect()
}

/// What is wrong with fetching this.
fn fault(name: &str, version: &str, is_pinned: bool) -> Option<String> {
    if STOLEN.contains(&(name, version)) {
        return Some(format!("{name} {version} carried a stealer of credentials"));
    }
    (!is_pinned).then(|| format!("{name} is not pinned by its version and hash"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_stealer_in_litellm_1_82_7_and_1_82_8_is_found() {
        for (name, version) in [("litellm", "1.82.7"), ("LiteLLM", "1.82.8"), ("litellm[proxy]", "1.82.8")] {
            let text = format!("# ours\n{name}=={version} \\\n    --hash=sha256:aa\n");
            assert_eq!(
                found("tests/a/requirements.txt", &text),
                [format!("tests/a/requirements.txt:2: litellm {version} carried a stealer of credentials")]
            );
        }
        assert_eq!(found("requirements-b.txt", "litellm==1.82.6 --hash=sha256:aa\n"), [""; 0]);
    }

    #[test]
    fn what_is_not_pinned_is_found() {
        let said = |line: usize| [format!("requirements.txt:{line}: a is not pinned by its version and hash")];
        for loose in ["a", "a>=1", "a==1.0", "a==1.* --hash=sha256:aa", "a==1.0 \\\n    --hash=md5:aa"] {
            assert_eq!(found("requirements.txt", &format!("--require-hashes\n{loose}\n")), said(2), "{loose}");
        }
        assert_eq!(found("requirements.txt", "a==1 ; python_version > '3' --hash=sha256:aa\n"), [""; 0]);
        let lock = r#"{"packages":{"":{"name":"x"},"node_modules/b":{"version":"1","integrity":"sha512-x"},"node_modules/b/node_modules/c":{"version":"1"}}}"#;
        assert_eq!(found("a/package-lock.json", lock), ["a/package-lock.json: c is not pinned by its version and hash"]);
        assert_eq!(found("package-lock.json", "{}"), ["package-lock.json: names no packages"]);
    }
}
