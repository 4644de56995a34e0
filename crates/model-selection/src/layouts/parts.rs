//! Models whose parts lie in folders or under names of their own, and that a configuration at the top describes in a format of its
//! framework: `hyperparams.yaml` of speechbrain, `config.yaml` of pyannote, `pipeline.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    names::{folder_kind, is_precision},
    question::Question,
    scope::Scope,
};

/// The names of files that describe a model of several parts.
const DESCRIBING: [&str; 8] = [
    "config.yaml",
    "config.yml",
    "hyperparams.yaml",
    "hyperparams.yml",
    "model_config.yaml",
    "pipeline.json",
    "pipeline.yaml",
    "config.json",
];

/// The words by which people say for what hardware an export is.
const HARDWARE: [&str; 6] = ["cpu", "cuda", "gpu", "npu", "directml", "mobile"];

/// Returns whether a file at the top of a scope describes a model of several parts.
pub(crate) fn are_described(scope: &Scope<'_>) -> bool {
    DESCRIBING.iter().any(|name| scope.find(name).is_some())
}

/// Returns whether folders with weights are the parts of one model: a file at the top describes them, none has a name
/// by which people tell variants apart, and no two of them state the same architecture.
pub(crate) fn are_parts(question: &Question<'_>, folders: &BTreeMap<String, u64>) -> bool {
    let Question { scope, manifests, .. } = question;
    if folders.len() < 2 || !are_described(scope) {
        return false;
    }
    let has_config = |folder: &String| scope.find(&format!("{folder}config.json")).is_some();
    let only_config = DESCRIBING[..DESCRIBING.len() - 1].iter().all(|name| scope.find(name).is_none());
    if only_config && folders.keys().any(has_config) {
        return false;
    }
    let is_variant = |folder: &String| {
        let folder = folder.to_ascii_lowercase();
        let says_variant = |word: &str| is_size(word) || is_precision(word) || HARDWARE.contains(&word);
        folder_kind(&folder).is_some() || folder.split(['/', '-', '_', '.']).any(says_variant)
    };
    if folders.keys().any(is_variant) {
        return false;
    }
    let mut stated = BTreeSet::new();
    let is_new = |config: Value| {
        let word = |name: &str| config.get(name).map(Value::to_string);
        stated.insert((word("model_type"), word("architectures"), word("_class_name")))
    };
    let configs =
        folders.keys().filter_map(|folder| manifests.json(&scope.full(&format!("{folder}config.json"))));
    configs.into_iter().all(is_new)
}

/// Returns whether a word states how large a model is, or which release it is: `7b`, `300m`, `v2`.
fn is_size(word: &str) -> bool {
    const WORDS: [&str; 6] = ["tiny", "small", "base", "medium", "large", "xl"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = word.strip_suffix(['b', 'm']).or(word.strip_prefix('v'));
    WORDS.contains(&word) || numbered.is_some_and(is_number)
}
