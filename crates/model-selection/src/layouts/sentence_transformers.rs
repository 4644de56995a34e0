//! Models of sentence-transformers: `modules.json` names the folders of the steps behind the Transformer.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::question::Question;

/// Returns the folders of the modules, each with its slash. Some modules have weights of their own.
pub(crate) fn module_folders(question: &Question<'_>) -> BTreeSet<String> {
    let scope = question.scope;
    if scope.find("modules.json").is_none() {
        return BTreeSet::new();
    }
    if let Some(Value::Array(modules)) = question.manifests.json(&scope.full("modules.json")) {
        let paths = modules.iter().filter_map(|module| module.get("path")?.as_str());
        let folders = paths.map(|path| path.trim_start_matches("./").trim_matches('/'));
        return folders.filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/")).collect();
    }
    // The library numbers the folders that it writes: `1_Pooling`.
    let first = scope.files.iter().filter_map(|file| file.rel.split_once('/').map(|(folder, _)| folder));
    let is_numbered = |folder: &&str| {
        folder
            .split_once('_')
            .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    first.filter(is_numbered).map(|folder| format!("{folder}/")).collect()
}
