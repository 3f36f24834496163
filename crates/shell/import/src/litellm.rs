//! A LiteLLM proxy's `config.yaml` into a fleet file.

mod credential;
mod deployment;
mod provider;
mod secret;
mod settings;
mod url;
mod write;

use crate::error::ImportError;
use crate::finding::Imported;
use crate::page::Page;
use crate::yaml::{self, Value};

/// Makes a fleet file of a LiteLLM proxy's config.
///
/// # Errors
/// When the text is no YAML, or no such config, or none of its models can be imported.
pub fn litellm(text: &str) -> Result<Imported, ImportError> {
    let root = yaml::read(text)?;
    let hint = "give the proxy's config.yaml: a table with a `model_list`";
    if !matches!(root.value, Value::Table(_)) {
        return Err(ImportError::at(root.line, "the file is no LiteLLM config", hint));
    }
    let list = root.get("model_list").ok_or_else(|| ImportError::at(root.line, "the config has no `model_list`", hint))?;
    if !matches!(list.value, Value::List(_)) {
        return Err(ImportError::at(list.line, "`model_list` is no list", "write each model as `- model_name: ...`"));
    }
    if list.items().is_empty() {
        let hint = "give a config that states its models: those that LiteLLM keeps in its database are not in this one";
        return Err(ImportError::at(list.line, "`model_list` has no model", hint));
    }
    let credentials = credential::list(&root);
    let mut page = Page::default();
    let mut deployments = Vec::new();
    for (index, node) in list.items().iter().enumerate() {
        if !matches!(node.value, Value::Table(_)) {
            let message = format!("`model_list[{index}]` is no table");
            return Err(ImportError::at(node.line, message, "write each model as `- model_name: ...` with `litellm_params:` below it"));
        }
        deployments.extend(deployment::read(node, index, &credentials, &mut page)?);
    }
    if deployments.is_empty() {
        return Err(ImportError::at(list.line, "none of its models can be imported", page.left_out().collect::<Vec<_>>().join("\n")));
    }
    settings::leave(&mut page, &root);
    credential::leave(&mut page, &root, &deployments);
    let mut secrets = secret::Secrets::default();
    write::fleet(&mut page, &root, &deployments, &mut secrets);
    secrets.tell_rest(&mut page, &root);
    page.finish(Vec::new())
}
