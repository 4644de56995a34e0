//! Chooses the files of a repository that belong to the model.
//!
//! - One file: it, and the other shards of its set.
//! - A quantization: the GGUF file, or set of shards, whose name has it as whole words.
//! - Patterns: the files that they match.
//! - Otherwise the files that an engine loads: configuration, tokenizer and safetensors of a Transformers repository; or the one
//!   model of a GGUF repository.
//!
//! A projector (`mmproj*.gguf`) goes along with a GGUF model and is never one; an importance matrix is neither.
#![expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "names on the Hub differ in letter case"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use provisioner_core::{
    Entry, FetchError, FetchErrorKind, Hint, LeftOut, LeftOutReason, RelativePath, Role, readable_size,
    reference::{RepoRef, RepoTarget, Selection, ShardName, is_companion},
    shell_word, told,
};

use crate::{
    choice::{Choice, Chosen},
    listing::Listing,
    manifests::Manifests,
    patterns::Patterns,
};

/// Describes a file that may be chosen.
#[derive(Clone, Debug)]
struct File {
    path: RelativePath,
    size: u64,
}

/// Holds what was picked, before each file has its role.
struct Picked {
    files: Vec<File>,
    entry: Entry,
    projector: Option<RelativePath>,
}

/// The files that an engine loads beside the weights, in a Transformers repository.
const SIDE_FILES: [&str; 22] = [
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "quantize_config.json",
    "quant_config.json",
    "hf_quant_config.json",
    "normalizer.json",
];

/// Chooses the files of a reference.
///
/// # Errors
/// [`FetchErrorKind::NotFound`] where the listing has nothing of what the reference names, or no model;
/// [`FetchErrorKind::Ambiguous`] with the choices where it has several models; [`FetchErrorKind::MissingShard`] for a set that
/// is not whole; [`FetchErrorKind::InvalidPattern`].
pub fn select(repo: &RepoRef, listing: &Listing, _manifests: &Manifests) -> Result<Choice, FetchError> {
    let tree: Vec<_> = listing
        .iter()
        .filter_map(|(_, file)| Some(File { path: file.path.clone()?, size: file.size }))
        .collect();
    let picked = match repo.target() {
        RepoTarget::Path(path) => one_file(repo, path, &tree),
        RepoTarget::Quantization(quantization) => one_quantization(repo, quantization, &tree),
        RepoTarget::Repository(selection) if selection.is_empty() => whole(repo, &tree),
        RepoTarget::Repository(selection) => selected(selection, tree),
    }?;
    Ok(complete(picked, listing))
}

/// Gives each file its role, or the reason why it stays out.
fn complete(picked: Picked, listing: &Listing) -> Choice {
    let Picked { files, entry, projector } = picked;
    let chosen = files.into_iter().map(|file| {
        let role = role_of(&file.path, projector.as_ref());
        Chosen { path: file.path, size: file.size, role }
    });
    let mut files: Vec<_> = chosen.collect();
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let taken: HashSet<_> = files.iter().map(|file| file.path.as_str()).collect();
    let left_out = listing.iter().filter(|(name, _)| !taken.contains(name)).map(|(name, file)| LeftOut {
        path: name.to_owned(),
        size: file.size,
        reason: if file.path.is_none() { LeftOutReason::UnsafeName } else { LeftOutReason::NotAsked },
    });
    let left_out = left_out.collect();
    Choice { files, entry, projector, left_out, notices: Vec::new() }
}

fn role_of(path: &RelativePath, projector: Option<&RelativePath>) -> Role {
    let name = path.file_name();
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        _ if projector == Some(path) => Role::Projector,
        _ if name.starts_with("adapter_") => Role::Adapter,
        Some("gguf" | "safetensors") => Role::Weights,
        _ if name.ends_with(".index.json") => Role::Weights,
        _ if name.contains("token") || name.contains("vocab") || name == "merges.txt" => Role::Tokenizer,
        Some("json" | "jinja") => Role::Configuration,
        _ => Role::Other,
    }
}

fn one_file(hub: &RepoRef, path: &RelativePath, tree: &[File]) -> Result<Picked, FetchError> {
    if let Some(set) = ShardName::parse(path.file_name()) {
        let above = path.folder();
        let wanted = (1..=set.count()).map(|number| format!("{above}{}", set.sibling(number)));
        // A set may have as many shards as a repository has files.
        let by_path: HashMap<_, _> = tree.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut files = Vec::new();
        for shard in wanted {
            match by_path.get(shard.as_str()) {
                Some(file) => files.push((*file).clone()),
                None if by_path.contains_key(path.as_str()) || !files.is_empty() => {
                    let message = format!("missing shard `{shard}`, of {}", set.count());
                    return Err(FetchError::new(FetchErrorKind::MissingShard, message).with_hint(
                        "the repository does not have it at this revision; try another, or another model",
                    ));
                }
                None => break,
            }
        }
        if !files.is_empty() {
            return Ok(gguf(files, path.clone(), tree));
        }
    }
    match tree.iter().find(|file| file.path == *path) {
        Some(file) => Ok(gguf(vec![file.clone()], path.clone(), tree)),
        None => Err(no_file(hub, path, tree)),
    }
}

/// Returns the error of a file that the repository lacks, with the files that it has instead.
fn no_file(hub: &RepoRef, path: &RelativePath, tree: &[File]) -> FetchError {
    let is_below = |file: &File| {
        file.path.as_str().strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    if tree.iter().any(is_below) {
        let (id, pattern) =
            (hub.clone().whole().to_string(), format!("{}/*", globset::escape(path.as_str())));
        let message = format!("`{path}` is a folder of the repository, and no file");
        return FetchError::new(FetchErrorKind::NotFound, message)
            .with_hint(Hint::TakeFolder { id, pattern });
    }
    let ending = path.as_str().rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    let is_alike = |file: &&File| !ending.is_empty() && file.path.as_str().ends_with(ending);
    let alike: Vec<_> = tree.iter().filter(is_alike).collect();
    let shown = if alike.is_empty() { tree.iter().collect() } else { alike };
    unknown(format!("the repository has no file `{path}`"), &names(&shown))
}

fn names(files: &[&File]) -> Vec<String> {
    files.iter().map(|file| format!("`{}`", file.path)).collect()
}

fn one_quantization(hub: &RepoRef, quantization: &str, tree: &[File]) -> Result<Picked, FetchError> {
    let (repo, models) = (hub.repo(), models(tree));
    let matching: Vec<_> = models.iter().filter(|(name, _)| has_words(name, quantization)).collect();
    match matching.as_slice() {
        [(first, files)] => {
            let entry = files.first().map(|file| file.path.clone());
            let entry = entry.ok_or_else(|| unknown(format!("`{first}` has no files"), &[]))?;
            one_file(hub, &entry, tree)
        }
        [] if models.is_empty() => {
            let whole = hub.clone().whole();
            let message =
                format!("`{repo}` has no quantization `{quantization}`, for it has no GGUF files at all");
            Err(FetchError::new(FetchErrorKind::NotFound, message)
                .with_hint(format!("`{whole}` is what an engine loads of it")))
        }
        [] => {
            let choices: Vec<_> = models.values().map(|files| described(hub, files)).collect();
            Err(unknown(format!("`{repo}` has no quantization `{quantization}`"), &choices))
        }
        several => {
            let choices = told(several.iter().map(|(_, files)| described(hub, files)));
            let message = format!("`{quantization}` fits several models of `{repo}`: {choices}");
            Err(FetchError::new(FetchErrorKind::Ambiguous, message))
        }
    }
}

fn whole(hub: &RepoRef, tree: &[File]) -> Result<Picked, FetchError> {
    let repo = hub.repo();
    let loaded: Vec<_> = tree.iter().filter(|file| is_loaded(file.path.as_str())).cloned().collect();
    if loaded.iter().any(|file| file.path.as_str().ends_with(".safetensors")) {
        return Ok(Picked { files: loaded, entry: Entry::Folder, projector: None });
    }
    let models = models(tree);
    match models.len() {
        0 => {
            let message = format!(
                "`{repo}` has no weights that are taken by themselves: no safetensors at its top, and no GGUF"
            );
            Err(FetchError::new(FetchErrorKind::NotFound, message).with_hint(Hint::NameFiles))
        }
        1 => {
            let entry = models.values().flatten().next().map(|file| file.path.clone());
            let entry = entry.ok_or_else(|| unknown(format!("`{repo}` is empty"), &[]))?;
            let picked = one_file(hub, &entry, tree)?;
            Ok(Picked { entry: Entry::Folder, ..picked })
        }
        _ => {
            let choices = told(models.values().map(|files| described(hub, files)));
            let message = format!("`{repo}` has several models: {choices}");
            let repo = hub.clone().whole();
            let one = models.values().flatten().next().map(|file| file.path.as_str()).unwrap_or_default();
            let hint = Hint::NameOne { example: format!("{repo}/{one}"), id: repo.to_string() };
            Err(FetchError::new(FetchErrorKind::Ambiguous, message).with_hint(hint))
        }
    }
}

fn selected(selection: &Selection, tree: Vec<File>) -> Result<Picked, FetchError> {
    let patterns = Patterns::of(selection)?;
    let (files, others): (Vec<_>, Vec<_>) =
        tree.into_iter().partition(|file| patterns.take(file.path.as_str()));
    if files.is_empty() {
        let others = names(&others.iter().collect::<Vec<_>>());
        return Err(unknown("the patterns take no file of the repository".to_owned(), &others));
    }
    Ok(Picked { files, entry: Entry::Folder, projector: None })
}

/// Returns whether an engine loads a file of a Transformers repository. Weights in other formats are the same weights
/// again.
fn is_loaded(path: &str) -> bool {
    let is_weight = path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json");
    let is_template = path.ends_with(".jinja");
    let is_side = SIDE_FILES.contains(&path) || is_template || path.ends_with(".tiktoken");
    // Transformers keeps chat templates beside the main one in a folder.
    let is_top = !path.contains('/')
        || path
            .strip_prefix("additional_chat_templates/")
            .is_some_and(|name| is_template && !name.contains('/'));
    is_top && ((is_weight && !path.starts_with("consolidated")) || is_side)
}

/// Returns the GGUF models of a repository, by the name of their first file without its ending and number, each with its files in
/// order.
fn models(tree: &[File]) -> BTreeMap<String, Vec<File>> {
    let mut models: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in tree.iter().filter(|file| is_model(&file.path)) {
        let path = file.path.as_str();
        let stem = path.strip_suffix(".gguf").unwrap_or(path);
        let name = match ShardName::parse(file.path.file_name()) {
            Some(_) => stem.get(..stem.len() - "-00000-of-00000".len()).unwrap_or(stem),
            None => stem,
        };
        models.entry(name.to_owned()).or_default().push(file.clone());
    }
    for files in models.values_mut() {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
    models
}

fn is_model(path: &RelativePath) -> bool {
    path.as_str().ends_with(".gguf") && !is_companion(path.file_name())
}

fn is_projector(path: &RelativePath) -> bool {
    path.as_str().ends_with(".gguf") && path.file_name().to_ascii_lowercase().starts_with("mmproj")
}

/// Returns whether a name has a quantization as whole words. `UD-Q4_K_M` is another quantization than `Q4_K_M`.
fn has_words(name: &str, quantization: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_edge = |c: char| "-./ ".contains(c);
    name.match_indices(quantization).any(|(at, found)| {
        let (before, after) = (&name[..at], &name[at + found.len()..]);
        let is_whole = (before.is_empty() || before.ends_with(is_edge))
            && (after.is_empty() || after.starts_with(is_edge));
        is_whole
            && !before.strip_suffix('-').is_some_and(|word| {
                word == "UD" || word.ends_with("-UD") || word.ends_with(".UD") || word.ends_with("/UD")
            })
    })
}

/// Returns a model with the projector that goes along: one beside it, of the precision that loses nothing an engine uses.
fn gguf(mut files: Vec<File>, entry: RelativePath, tree: &[File]) -> Picked {
    let goes_along = entry.as_str().ends_with(".gguf") && !is_projector(&entry);
    let home = entry.folder();
    let mut beside: Vec<_> = tree
        .iter()
        .filter(|file| {
            is_projector(&file.path) && (file.path.folder() == home || file.path.folder().is_empty())
        })
        .collect();
    let rank = |file: &&File| {
        let name = file.path.file_name().to_ascii_uppercase();
        ["F16", "BF16", "Q8_0", "F32"]
            .iter()
            .position(|precision| has_words(name.trim_end_matches(".GGUF"), precision))
            .unwrap_or(9)
    };
    beside.sort_by_key(|file| (rank(file), file.path.clone()));
    let projector = beside.first().filter(|_| goes_along).map(|file| file.path.clone());
    files.extend(beside.first().filter(|_| goes_along).map(|file| (*file).clone()));
    Picked { files, entry: Entry::File(entry), projector }
}

/// Returns the error of a name that a source does not have, with the names that it has instead.
fn unknown(what: String, choices: &[String]) -> FetchError {
    let hint = if choices.is_empty() {
        Hint::text("the repository is empty")
    } else {
        Hint::text(format!("there are: {}", told(choices.iter())))
    };
    FetchError::new(FetchErrorKind::NotFound, what).with_hint(hint)
}

/// A model as the reference that means it alone, ready for a shell, and its size.
fn described(hub: &RepoRef, files: &[File]) -> String {
    let bytes: u64 = files.iter().fold(0, |sum, file| sum.saturating_add(file.size));
    let first = files.first().and_then(|file| hub.clone().file(&file.path).ok());
    let reference = first.unwrap_or_else(|| hub.clone()).to_string();
    format!("`{}` ({})", shell_word(&reference), readable_size(bytes))
}

#[cfg(test)]
mod tests;
