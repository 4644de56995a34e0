//! Pipelines of diffusers: `model_index.json` names the components, and each lies in a folder of its name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    names::{Kind, folder_kind},
    question::Question,
};

/// Returns the folders of a pipeline's components, each with its slash. `None` where the scope is not a pipeline, or none of
/// its components has weights.
pub(crate) fn components(question: &Question<'_>) -> Option<BTreeSet<String>> {
    let scope = question.scope;
    scope.find("model_index.json")?;
    let folders: BTreeSet<String> = match question.manifests.json(&scope.full("model_index.json")) {
        Some(Value::Object(index)) => index
            .iter()
            .filter(|(name, value)| !name.starts_with('_') && is_component(value))
            .map(|(name, _)| format!("{name}/"))
            .collect(),
        // The names of the folders decide where nothing was read.
        _ => scope
            .files
            .iter()
            .filter_map(|file| file.rel.split_once('/'))
            .filter(|(folder, _)| {
                folder_kind(&folder.to_ascii_lowercase()).is_none() && !folder.starts_with('.')
            })
            .map(|(folder, _)| format!("{folder}/"))
            .collect(),
    };
    let has_weights = scope
        .files
        .iter()
        .any(|file| matches!(file.kind, Kind::Weights(_)) && folders.contains(file.folder()));
    has_weights.then_some(folders)
}

/// Returns whether a value names a library and a class. A pipeline may leave a component out with nulls.
fn is_component(value: &Value) -> bool {
    value.as_array().is_some_and(|pair| pair.len() == 2 && pair[1].is_string())
}
