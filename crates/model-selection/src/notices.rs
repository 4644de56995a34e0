//! Says what a person should know of a choice of native weights: what an engine may miss, and what it must be told.

use std::collections::BTreeSet;

use provisioner_core::{LeftOutReason, Notice, Role};
use serde_json::Value;

use crate::{
    code::Code,
    names::{Format, Kind, is_precision},
    question::Question,
    scope::{File, Verdict},
    weights::SetName,
};

/// Returns the notices of the verdicts on native weights.
pub(crate) fn of(
    question: &Question<'_>,
    is_pipeline: bool,
    code: &Code,
    verdicts: &[Verdict],
) -> Vec<Notice> {
    let Question { scope, manifests, .. } = question;
    let mut notices: Vec<Notice> = code.notice(scope).into_iter().collect();
    let is_taken = |at: &usize| matches!(verdicts[*at], Verdict::Take(_));
    let taken = || (0..verdicts.len()).filter(is_taken).map(|at| &scope.files[at]);
    let own = |file: &&File<'_>| match file.kind {
        Kind::Weights(format) => SetName::parse(file.name(), format).is_main(),
        _ => false,
    };
    let weights = (0..verdicts.len()).filter(|at| verdicts[*at] == Verdict::Take(Role::Weights));
    // A whole model may have an adapter of its own beside it.
    let is_adapter = !weights.map(|at| &scope.files[at]).any(|file| file.folder().is_empty() && own(&file));
    let adapter = manifests.json(&scope.full("adapter_config.json")).filter(|_| is_adapter);
    let base = adapter.as_ref().and_then(|config| config.get("base_model_name_or_path")?.as_str());
    if let Some(name) = base.filter(|name| !name.is_empty()) {
        notices.push(Notice::BaseModel { name: provisioner_core::excerpt(name, 200) });
    }
    let adapters: BTreeSet<String> = taken()
        .filter(|file| file.name() == "adapter_config.json" && !file.folder().is_empty())
        .map(|file| scope.full(file.folder()).trim_end_matches('/').to_owned())
        .collect();
    if !adapters.is_empty() {
        notices.push(Notice::AdapterFolders { folders: adapters.into_iter().collect() });
    }
    let variants: BTreeSet<String> = taken().filter_map(variant).collect();
    if !variants.is_empty() {
        notices.push(Notice::Variant { names: variants.into_iter().collect() });
    }
    let has_tokenizer = verdicts.contains(&Verdict::Take(Role::Tokenizer));
    let config = manifests.json(&scope.full("config.json"));
    if !has_tokenizer && !is_pipeline && config.as_ref().is_some_and(|config| has_vocabulary(config, 0)) {
        notices.push(Notice::NoTokenizer);
    }
    let is_usual = |file: &File<'_>| {
        ["pytorch_model", "adapter_model", "consolidated", "lora_weights"]
            .iter()
            .any(|stem| file.name().contains(stem))
    };
    let left = (0..verdicts.len()).filter(|at| verdicts[*at] == Verdict::Leave(LeftOutReason::Pickle));
    let pickles: Vec<String> = left
        .map(|at| &scope.files[at])
        .filter(|file| !is_usual(file))
        .map(|file| file.path.to_string())
        .collect();
    if !pickles.is_empty() {
        notices.push(Notice::PicklesLeftOut { files: pickles });
    }
    notices
}

/// Returns the variant of a file that an engine loads only if it is told: `fp16` of `model.fp16.safetensors`.
fn variant(file: &File<'_>) -> Option<String> {
    let Kind::Weights(format @ (Format::Safetensors | Format::Pickle)) = file.kind else { return None };
    let set = SetName::parse(file.name(), format);
    let variant = set
        .variant
        .filter(|_| ["model", "diffusion_pytorch_model", "pytorch_model"].contains(&set.stem.as_str()))?;
    let is_variant = is_precision(&variant) || variant.ends_with("ema");
    (is_variant && file.name().contains(&format!(".{variant}"))).then_some(variant)
}

/// Returns whether a configuration states a vocabulary, at its top or in that of its language model.
fn has_vocabulary(config: &Value, depth: usize) -> bool {
    const NESTED: [&str; 5] = ["text_config", "thinker_config", "llm_config", "language_config", "llm"];
    let own = config.get("vocab_size").and_then(Value::as_u64).is_some_and(|size| size > 0);
    own || (depth < 4
        && NESTED.iter().any(|name| config.get(*name).is_some_and(|inner| has_vocabulary(inner, depth + 1))))
}
