//! Pipelines of diffusers: `model_index.json` names the components, and each lies in a folder of its name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    manifests::Manifests,
    names::{Kind, folder_kind},
    question::Question,
    scope::File,
};

/// Returns the folders of a pipeline's components, each with its slash. `None` where the scope is not a pipeline, or none of
/// its components has weights.
pub(crate) fn components(question: &Question<'_>) -> Option<BTreeSet<String>> {
    let scope = question.scope;
    scope.find("model_index.json")?;
    let folders: BTreeSet<String> = match named(question.manifests, &scope.folder) {
        Some(named) => {
            let present: BTreeSet<&str> = scope.files.iter().map(File::folder).collect();
            named.into_iter().flat_map(|folder| with_halves(&present, folder)).collect()
        }
        // The names of the folders decide where nothing was read.
        None => scope
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

/// Returns the folders that the index of a folder names, each with its slash. `None` where it was not read, or is malformed.
pub(crate) fn named(manifests: &Manifests, folder: &str) -> Option<BTreeSet<String>> {
    let Value::Object(index) = manifests.json(&format!("{folder}model_index.json"))? else { return None };
    let components = index.iter().filter(|(name, value)| !name.starts_with('_') && is_component(value));
    Some(components.map(|(name, _)| format!("{name}/")).collect())
}

/// Returns a component's folder. Exporters write an autoencoder as two: `vae_encoder` and `vae_decoder` for `vae`.
fn with_halves(present: &BTreeSet<&str>, folder: String) -> Vec<String> {
    let has = |folder: &String| present.contains(folder.as_str());
    let name = folder.trim_end_matches('/');
    let halves = ["encoder", "decoder"].map(|half| format!("{name}_{half}/"));
    if !has(&folder) && halves.iter().any(has) { halves.into() } else { vec![folder] }
}

/// Returns whether a value names a library and a class. A pipeline may leave a component out with nulls.
fn is_component(value: &Value) -> bool {
    value.as_array().is_some_and(|pair| pair.len() == 2 && pair[1].is_string())
}
