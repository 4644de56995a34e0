//! Repositories whose models lie in folders: the only one is taken, and several are a choice.

use std::collections::{BTreeMap, BTreeSet};

use provisioner_core::{FetchError, LeftOutReason, Notice, RelativePath};

use super::{parts, transformers};
use crate::{
    listing::Listing,
    names::{Format, folder_kind, split},
    question::{Question, Whole, is_training},
    refusal,
    scope::{Decided, File, Scope, Verdict},
};

/// The files that make a folder a model of its own.
const OWN: [&str; 6] = [
    "config.json",
    "model_index.json",
    "genai_config.json",
    "modules.json",
    "adapter_config.json",
    "params.json",
];

/// How many folders a file lies at the most below that of its model.
const MAX_DEPTH: usize = 16;

/// Looks for models of a format in folders. `None` where there is none.
pub(crate) fn decide(
    question: &Question<'_>,
    format: Format,
    whole: Whole,
) -> Option<Result<Decided, FetchError>> {
    let folders = folders(question.scope, format);
    match folders.len() {
        0 => None,
        1 => {
            let folder = folders.keys().next()?;
            Some(match at_top(question.scope, folder, format) {
                Some(terms) => transformers::decide(question, &terms),
                None => inside(question, folder, whole),
            })
        }
        _ if parts::are_parts(question, &folders) && is_native(format) => {
            let named = folders.into_keys().collect();
            Some(transformers::decide(question, &transformers::Terms::of(format, named)))
        }
        _ => Some(Err(several(question, &folders))),
    }
}

fn is_native(format: Format) -> bool {
    matches!(format, Format::Safetensors | Format::Pickle)
}

/// Returns where the weights lie, where the folder has only them, and the configuration of the model lies at the top. `None` for
/// a folder that is a model of its own.
fn at_top(scope: &Scope<'_>, folder: &str, format: Format) -> Option<transformers::Terms> {
    let is_named_for_nothing = folder_kind(&folder.to_ascii_lowercase()).is_none();
    let is_bare = !OWN.iter().any(|name| scope.find(&format!("{folder}{name}")).is_some());
    let is_described = scope.find("config.json").is_some() || (is_bare && parts::are_described(scope));
    (is_native(format) && is_named_for_nothing && is_bare && is_described)
        .then(|| transformers::Terms::of(format, BTreeSet::from([folder.to_owned()])))
}

/// Returns the error of several folders with models.
pub(crate) fn several(question: &Question<'_>, folders: &BTreeMap<String, u64>) -> FetchError {
    let path = |folder: &String| RelativePath::new(question.scope.full(folder.trim_end_matches('/'))).ok();
    let choices: Vec<_> = folders.iter().filter_map(|(folder, size)| Some((path(folder)?, *size))).collect();
    refusal::several_models(question.repo, &choices)
}

/// Returns the folders of models with weights of a format, each with its slash, and their sizes in bytes.
pub(crate) fn folders(scope: &Scope<'_>, format: Format) -> BTreeMap<String, u64> {
    let weights = scope.files.iter().filter(|file| file.is_weights(format) && !is_training(file.folder()));
    let homes: BTreeSet<&str> = weights.map(File::folder).filter(|folder| !folder.is_empty()).collect();
    let mut found: BTreeMap<String, u64> =
        homes.into_iter().map(|folder| (home(scope, folder).to_owned(), 0)).collect();
    // Beside others, a folder with another format of the same is none.
    if found.keys().any(|folder| folder_kind(&folder.to_ascii_lowercase()).is_none()) {
        found.retain(|folder, _| folder_kind(&folder.to_ascii_lowercase()).is_none());
    }
    for file in &scope.files {
        let home = above(file.folder()).find(|folder| found.contains_key(*folder)).map(str::to_owned);
        if let Some(size) = home.and_then(|home| found.get_mut(&home)) {
            *size = size.saturating_add(file.size);
        }
    }
    found
}

/// Returns the nearest folder that says what its model is; the folder itself where none does.
fn home<'a>(scope: &Scope<'_>, folder: &'a str) -> &'a str {
    let is_own = |folder: &str| OWN.iter().any(|name| scope.find(&format!("{folder}{name}")).is_some());
    let is_component = is_own(parent(folder)) && !parent(folder).is_empty();
    if is_own(folder) && !is_component {
        return folder;
    }
    above(parent(folder)).find(|above| is_own(above)).unwrap_or(folder)
}

/// Returns a folder and those above it, the nearest first, without the top. No model lies deeper than this looks.
fn above(folder: &str) -> impl Iterator<Item = &str> {
    let folders = std::iter::successors(Some(folder), |folder| Some(parent(folder)));
    folders.take_while(|folder| !folder.is_empty()).take(MAX_DEPTH)
}

fn parent(folder: &str) -> &str {
    split(folder.trim_end_matches('/')).0
}

/// Chooses inside the only folder that has a model.
fn inside(question: &Question<'_>, folder: &str, whole: Whole) -> Result<Decided, FetchError> {
    let outer = question.scope;
    let files = outer.files.iter().filter(|file| file.rel.starts_with(folder));
    let listing: Listing = files.map(|file| (file.path.as_str(), file.size)).collect();
    let scope = Scope::of(&listing, &outer.full(folder));
    let decided = whole(&Question {
        repo: question.repo,
        scope: &scope,
        manifests: question.manifests,
        depth: question.depth + 1,
    })?;
    let mut inner = scope.files.iter().zip(decided.verdicts).map(|(file, verdict)| (file.path, verdict));
    let by_path: BTreeMap<_, _> = inner.by_ref().collect();
    let outside = Verdict::Leave(LeftOutReason::NotAsked);
    let verdicts =
        outer.files.iter().map(|file| by_path.get(file.path).copied().unwrap_or(outside)).collect();
    let mut notices = decided.notices;
    let is_outside = |file: &&File<'_>| {
        let folder = file.folder();
        let is_other = !is_training(folder) && folder_kind(&folder.to_ascii_lowercase()).is_none();
        file.is_weights(Format::Pickle) && is_other && !by_path.contains_key(file.path)
    };
    let pickles: Vec<String> =
        outer.files.iter().filter(is_outside).map(|file| file.path.to_string()).collect();
    if !pickles.is_empty() {
        let told = notices.iter_mut().find_map(|notice| match notice {
            Notice::PicklesLeftOut { files } => Some(files),
            _ => None,
        });
        match told {
            Some(files) => files.extend(pickles),
            None => notices.push(Notice::PicklesLeftOut { files: pickles }),
        }
    }
    let below = decided.inner.unwrap_or_default();
    Ok(Decided { verdicts, notices, inner: Some(format!("{folder}{below}")), ..decided })
}
