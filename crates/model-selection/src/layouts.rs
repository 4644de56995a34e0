//! Knows the layouts in which models are published: one file for each family.

use std::collections::{BTreeMap, BTreeSet};

use provisioner_core::FetchError;

use crate::{
    manifests::Manifests,
    names::{Format, Kind},
    question::Question,
    refusal,
    scope::{Decided, Scope},
    weights::SetName,
};

mod core_ml;
mod diffusers;
pub(crate) mod gguf;
mod nested;
pub(crate) mod onnx;
mod parts;
mod sentence_transformers;
mod single_file;
pub(crate) mod transformers;

/// How deep a search for the only model of a folder goes.
const MAX_DEPTH: usize = 8;

/// Formats of exports that may be the model where nothing native is, in the order in which they win.
const EXPORTS: [Format; 4] = [Format::Onnx, Format::OpenVino, Format::Paddle, Format::OtherFramework];

/// Chooses what an engine loads of a whole folder: native weights before exports, a repository's own manifests before names.
pub(crate) fn whole(question: &Question<'_>) -> Result<Decided, FetchError> {
    let scope = question.scope;
    if let Some(pipeline) = diffusers::components(question) {
        return transformers::decide(question, &transformers::Terms::pipeline(pipeline));
    }
    let modules = sentence_transformers::module_folders(question);
    let has_in_modules = |format: Format| {
        scope.files.iter().any(|file| file.is_weights(format) && modules.contains(file.folder()))
    };
    let native =
        |format: Format| transformers::decide(question, &transformers::Terms::of(format, modules.clone()));
    let has = |format: Format| scope.has_at_top(format);
    if is_indexed(question) {
        return native(Format::Safetensors);
    }
    let has_anywhere = |format: Format| scope.files.iter().any(|file| file.is_weights(format));
    for format in [Format::Safetensors, Format::CTranslate2, Format::Npz] {
        if (has(format) && leads(scope, format)) || has_in_modules(format) {
            return native(format);
        }
    }
    if scope.find("genai_config.json").is_some() && has(Format::Onnx) {
        return onnx::decide(question);
    }
    if !gguf::models(scope).is_empty() {
        return gguf::whole(question);
    }
    for format in [Format::Nemo, Format::Ggml, Format::Dduf, Format::Llamafile] {
        if has_anywhere(format) {
            return single_file::decide(question, format);
        }
    }
    if has_in_modules(Format::Pickle) || (has(Format::Pickle) && leads(scope, Format::Pickle)) {
        if has(Format::Safetensors) && !has_main(scope, Format::Pickle) {
            return Err(several_at_top(question));
        }
        return native(Format::Pickle);
    }
    if question.depth < MAX_DEPTH
        && let Some(decided) = nested::decide(question, Format::Safetensors, whole)
    {
        return decided;
    }
    if has_anywhere(Format::LiteRt) {
        return single_file::decide(question, Format::LiteRt);
    }
    for format in EXPORTS {
        if has_anywhere(format) {
            return onnx::exports(question, format, whole);
        }
    }
    if has_anywhere(Format::CoreMl) {
        return core_ml::decide(question);
    }
    if has_anywhere(Format::Compiled) {
        return onnx::exports(question, Format::Compiled, whole);
    }
    if question.depth < MAX_DEPTH
        && let Some(decided) = nested::decide(question, Format::Pickle, whole)
    {
        return decided;
    }
    if has_anywhere(Format::Bin) {
        return single_file::decide(question, Format::Bin);
    }
    let has_parts = scope.files.iter().any(|file| file.kind == Kind::Weights(Format::RawPart));
    Err(refusal::no_weights(question.repo, has_parts))
}

/// Returns the folders that a pipeline or a list of modules in a folder names, each with its slash, as far as these were read.
pub(crate) fn named_folders(folder: &str, manifests: &Manifests) -> BTreeSet<String> {
    let components = diffusers::named(manifests, folder).unwrap_or_default();
    let modules = sentence_transformers::named(manifests, folder).unwrap_or_default();
    components.into_iter().chain(modules).collect()
}

/// Returns whether an index at the top names files in folders: then these are the model at the top.
fn is_indexed(question: &Question<'_>) -> bool {
    let scope = question.scope;
    let is_index = |rel: &&str| !rel.contains('/');
    let indexes = scope.files.iter().filter(|file| file.kind == Kind::Index(Format::Safetensors));
    indexes.map(|file| file.rel).filter(is_index).any(|rel| {
        let named = question.manifests.weight_files(&scope.full(rel)).unwrap_or_default();
        named.iter().any(|name| name.contains('/') && scope.find(name).is_some())
    })
}

/// Formats that may hold the model where they lie at the top.
const LEADING: [Format; 10] = [
    Format::Safetensors,
    Format::CTranslate2,
    Format::Npz,
    Format::Gguf,
    Format::Nemo,
    Format::Ggml,
    Format::Pickle,
    Format::Onnx,
    Format::OpenVino,
    Format::OtherFramework,
];

/// How many times larger the largest set of another format is at the least where a set under no usual name is a part.
const PART: u64 = 4;

/// Returns whether the files of a format at the top are the model, and no part beside one of another format: they have a usual
/// name or an index, or no other format has a set that is much larger.
fn leads(scope: &Scope<'_>, format: Format) -> bool {
    if has_main(scope, format) {
        return true;
    }
    if format == Format::Npz {
        // Voices and filters are arrays, too.
        return !scope
            .files
            .iter()
            .any(|file| matches!(file.kind, Kind::Weights(other) if other != Format::Npz));
    }
    let own = largest_set(scope, format);
    LEADING.iter().all(|other| largest_set(scope, *other) / PART <= own)
}

/// Returns whether a file of a format at the top has the name of a main set, or an index goes with it.
fn has_main(scope: &Scope<'_>, format: Format) -> bool {
    scope.files.iter().filter(|file| file.folder().is_empty()).any(|file| match file.kind {
        Kind::Index(own) => own == format,
        Kind::Weights(own) if own == format => {
            format == Format::CTranslate2 || SetName::parse(file.name(), format).is_main()
        }
        _ => false,
    })
}

/// Returns the size of the largest set of a format at the top, in bytes.
fn largest_set(scope: &Scope<'_>, format: Format) -> u64 {
    if format == Format::Npz && !has_main(scope, format) {
        return 0;
    }
    let mut sets: BTreeMap<String, u64> = BTreeMap::new();
    for file in scope.files.iter().filter(|file| file.is_weights(format) && file.folder().is_empty()) {
        let size = sets.entry(SetName::parse(file.name(), format).stem).or_default();
        *size = size.saturating_add(file.size);
    }
    sets.into_values().max().unwrap_or_default()
}

/// Returns the error of files of several formats at the top, none of which has a usual name.
fn several_at_top(question: &Question<'_>) -> FetchError {
    let scope = question.scope;
    let is_model = |kind: Kind| matches!(kind, Kind::Weights(format) if LEADING.contains(&format));
    let files = scope.files.iter().filter(|file| file.folder().is_empty() && is_model(file.kind));
    let choices: Vec<_> = files.map(|file| (file.path.clone(), file.size)).collect();
    refusal::several_models(question.repo, &choices)
}
