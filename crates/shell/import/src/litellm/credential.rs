//! `credential_list`: keys and addresses under a name, which deployments share.

use std::collections::{BTreeMap, BTreeSet};

use crate::litellm::deployment::{Deployment, why_left};
use crate::names;
use crate::page::Page;
use crate::yaml::Node;

/// Values that have a place in a fleet file.
const KEPT: [&str; 7] = ["api_key", "api_base", "base_url", "api_version", "organization", "vertex_project", "vertex_location"];

/// A credential of the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credential<'a> {
    index: usize,
    values: &'a Node,
}

impl<'a> Credential<'a> {
    /// A value that a fleet file has a place for.
    pub(super) fn get(self, name: &str) -> Option<&'a Node> {
        self.values.stated(name).filter(|_| KEPT.contains(&name))
    }

    /// Where a value stands.
    pub(super) fn place(self, name: &str) -> String {
        format!("credential_list[{}].credential_values.{name}", self.index)
    }
}

/// The credentials by their names; of several of one name the first, as LiteLLM has it.
pub(super) fn list(root: &Node) -> BTreeMap<&str, Credential<'_>> {
    let mut found = BTreeMap::new();
    for (index, node) in items(root).iter().enumerate() {
        if let Some((name, values)) = node.get("credential_name").and_then(Node::text).zip(node.get("credential_values")) {
            found.entry(name).or_insert(Credential { index, values });
        }
    }
    found
}

fn items(root: &Node) -> &[Node] {
    root.get("credential_list").map(Node::items).unwrap_or_default()
}

/// Lists what of the credentials has no place in the fleet file, and each that nothing in it uses.
pub(super) fn leave(page: &mut Page, root: &Node, deployments: &[Deployment<'_>]) {
    let used: BTreeSet<usize> = deployments.iter().filter_map(|it| it.credential).map(|it| it.index).collect();
    for (index, node) in items(root).iter().enumerate() {
        let path = format!("credential_list[{index}]");
        if !used.contains(&index) {
            page.left(node.line, format!("{path}: no deployment that was imported takes it"));
            continue;
        }
        for (name, value) in node.rows().iter().filter(|(name, _)| !["credential_name", "credential_values"].contains(&name.as_str())) {
            page.left(value.line, format!("{path}.{}: {}", names::shown(name), why_left(name)));
        }
        let values = node.get("credential_values").map(Node::rows).unwrap_or_default();
        for (name, value) in values.iter().filter(|(name, _)| !KEPT.contains(&name.as_str())) {
            page.left(value.line, format!("{path}.credential_values.{}: {}", names::shown(name), why_left(name)));
        }
    }
}
