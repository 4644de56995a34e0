//! Knows the layouts in which models are published: one file for each family.

use provisioner_core::FetchError;

use crate::{
    names::{Format, Kind},
    question::Question,
    refusal,
    scope::Decided,
};

mod diffusers;
pub(crate) mod gguf;
mod nested;
mod onnx;
mod sentence_transformers;
mod single_file;
pub(crate) mod transformers;

/// How deep a search for the only model of a folder goes.
const MAX_DEPTH: usize = 8;

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
    let has_anywhere = |format: Format| scope.files.iter().any(|file| file.is_weights(format));
    for format in [Format::Safetensors, Format::CTranslate2, Format::Npz] {
        if has(format) || has_in_modules(format) {
            return native(format);
        }
    }
    if scope.find("genai_config.json").is_some() && has(Format::Onnx) {
        return onnx::decide(question);
    }
    if !gguf::models(scope).is_empty() {
        return gguf::whole(question);
    }
    for format in [Format::Nemo, Format::Ggml] {
        if has_anywhere(format) {
            return single_file::decide(question, format);
        }
    }
    if has(Format::Pickle) || has_in_modules(Format::Pickle) {
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
    for format in [Format::Onnx, Format::OpenVino, Format::OtherFramework, Format::CoreMl, Format::Compiled] {
        if has_anywhere(format) {
            return onnx::exports(question, format, whole);
        }
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
