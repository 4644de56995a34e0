//! Models of sentence-transformers: `modules.json` names the folders of the steps behind the Transformer.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{manifests::Manifests, question::Question};

/// What the library writes where a model has several ways: which modules each of them goes through.
pub(crate) const ROUTER: &str = "router_config.json";

/// Returns the folders of the modules, each with its slash. Some modules have weights of their own.
pub(crate) fn module_folders(question: &Question<'_>) -> BTreeSet<String> {
    let scope = question.scope;
    if scope.find("modules.json").is_none() {
        return BTreeSet::new();
    }
    named(question.manifests, &scope.folder).unwrap_or_else(|| usual_folders(question))
}

/// Returns the folders of the modules that the list in a folder names, each with its slash. `None` where it was not read, or is
/// malformed.
pub(crate) fn named(manifests: &Manifests, top: &str) -> Option<BTreeSet<String>> {
    let Value::Array(modules) = manifests.json(&format!("{top}modules.json"))? else { return None };
    let mut folders = BTreeSet::new();
    for path in modules.iter().filter_map(|module| module.get("path")?.as_str()) {
        let folder = with_slash(path);
        folders.extend(routed(manifests, top, &folder));
        folders.insert(folder);
    }
    folders.remove("");
    Some(folders)
}

/// Returns the folders of the modules that a router in that folder goes through.
fn routed(manifests: &Manifests, top: &str, folder: &str) -> Vec<String> {
    let config = manifests.json(&format!("{top}{folder}{ROUTER}"));
    let types = config.as_ref().and_then(|config| config.get("types")?.as_object());
    let paths = types.into_iter().flatten().map(|(path, _)| format!("{folder}{}", with_slash(path)));
    paths.collect()
}

fn with_slash(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() { String::new() } else { format!("{path}/") }
}

/// Returns the folders whose names are those that the library gives to modules: `1_Pooling`, or `query_0_WordEmbeddings` in a model
/// with several ways.
fn usual_folders(question: &Question<'_>) -> BTreeSet<String> {
    let files = question.scope.files.iter();
    let first = files.filter_map(|file| file.rel.split_once('/').map(|(folder, _)| folder));
    let has_router = question.scope.find(ROUTER).is_some();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let is_module = |folder: &&str| {
        let mut words = folder.split('_');
        let last = words.next_back();
        let has_number = if has_router { words.any(is_number) } else { words.next().is_some_and(is_number) };
        last.is_some() && has_number
    };
    first.filter(is_module).map(|folder| format!("{folder}/")).collect()
}
