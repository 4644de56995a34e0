//! ONNX, alone or for ONNX Runtime with its configuration of generation, and other exports where no native weights lie beside them.

use std::collections::{BTreeMap, BTreeSet};

use provisioner_core::{FetchError, LeftOutReason, RelativePath, Role};
use serde_json::Value;

use super::{nested, parts};
use crate::{
    code,
    names::{Format, Kind, ending, folder_kind},
    question::{Question, Whole, is_training},
    refusal,
    scope::{Decided, File, Scope, Verdict, always_out, beside, in_folder, plain_role},
};

/// Words that exporters put behind a name for an optimisation, or for a precision without its number of bits.
const SUFFIXES: [&str; 13] = [
    "quantized",
    "quant",
    "o1",
    "o2",
    "o3",
    "o4",
    "optimized",
    "opt",
    "avx2",
    "avx512",
    "vnni",
    "arm64",
    "avx512_vnni",
];

/// Returns whether a word states a precision, or two: `fp16`, `q4`, `q4f16`, `uint8f16`, `bnb4`.
fn is_precision(word: &str) -> bool {
    const STARTS: [&str; 13] =
        ["quint", "qint", "uint", "int", "mxfp", "nvfp", "bnb", "fp", "bf", "nf", "uq", "q", "f"];
    let is_digit = |c: char| c.is_ascii_digit();
    let one = |word: &str| {
        let digits = STARTS.iter().find_map(|start| word.strip_prefix(start))?;
        let rest = digits.trim_start_matches(is_digit);
        (rest.len() < digits.len()).then_some(rest.len())
    };
    let second = one(word).map(|left| &word[word.len() - left..]);
    second.is_some_and(|second| second.is_empty() || one(second) == Some(0))
}

/// Words for parts of one model. A repository of other names has other models.
const PARTS: [&str; 24] = [
    "encoder",
    "decoder",
    "joiner",
    "vision",
    "embed",
    "embeds",
    "text",
    "audio",
    "prefill",
    "lm",
    "head",
    "model",
    "tokenizer",
    "detokenizer",
    "preprocessor",
    "vocoder",
    "unet",
    "vae",
    "past",
    "merged",
    "speech",
    "image",
    "embedding",
    "visual",
];

/// Returns a name without its ending, and without the words for a precision.
fn stem(name: &str) -> String {
    let mut stem = name.split_once(".onnx").map_or(name, |(stem, _)| stem).to_owned();
    while let Some((before, word)) = stem.rsplit_once(['_', '-', '.']) {
        if !(SUFFIXES.contains(&word) || is_precision(word)) || before.is_empty() {
            break;
        }
        stem.truncate(before.len());
    }
    stem
}

/// Chooses in a folder that `genai_config.json` describes. The folder is one model; others lie in other folders.
pub(crate) fn decide(question: &Question<'_>) -> Result<Decided, FetchError> {
    let Question { scope, manifests, .. } = question;
    let named = manifests
        .json(&scope.full("genai_config.json"))
        .map(|config| onnx_names(&config, 0))
        .unwrap_or_default();
    let stem = |name: &String| name.to_ascii_lowercase().strip_suffix(".onnx").map(str::to_owned);
    let stems: BTreeSet<String> = named.iter().filter_map(stem).collect();
    let knows = named.iter().any(|name| scope.find(name).is_some());
    let code = code::of(scope, manifests, &BTreeSet::new());
    let mut verdicts = Vec::with_capacity(scope.files.len());
    for (at, file) in scope.files.iter().enumerate() {
        let own = file.folder().split_once('/').map(|(first, _)| first);
        let is_other = own.is_some_and(|first| scope.find(&format!("{first}/genai_config.json")).is_some());
        verdicts.push(match file.kind {
            kind if always_out(kind).is_some() => {
                Verdict::Leave(always_out(kind).unwrap_or(LeftOutReason::NotAsked))
            }
            _ if code.files.contains(&at) => Verdict::Take(Role::Code),
            _ if is_other => Verdict::Leave(LeftOutReason::OtherVariant),
            Kind::Script => Verdict::Leave(LeftOutReason::Script),
            Kind::Weights(Format::Onnx) if knows && !named.contains(file.rel) => {
                Verdict::Leave(LeftOutReason::OtherVariant)
            }
            Kind::Weights(Format::OnnxData) if knows && !has_owner(file, &stems) => {
                Verdict::Leave(LeftOutReason::OtherVariant)
            }
            Kind::Weights(Format::Onnx | Format::OnnxData | Format::Bin) => Verdict::Take(Role::Weights),
            Kind::Weights(other) => beside(file, other),
            kind => Verdict::Take(plain_role(kind)),
        });
    }
    if let Some(name) = named.iter().find(|name| knows && scope.find(name).is_none()) {
        return Err(refusal::missing_of_index(scope, "genai_config.json", name));
    }
    let notices = code.notice(scope).into_iter().collect();
    Ok(Decided { notices, ..Decided::new(verdicts) })
}

/// Returns whether outside data belongs to a named model, or to none in particular.
fn has_owner(file: &File<'_>, stems: &BTreeSet<String>) -> bool {
    file.lower.split_once(".onnx").is_none_or(|(stem, _)| stems.contains(stem))
}

/// Returns the ONNX files that a configuration names.
fn onnx_names(config: &Value, depth: usize) -> BTreeSet<String> {
    match config {
        Value::String(name) if ending(name) == "onnx" => BTreeSet::from([name.clone()]),
        Value::Object(map) if depth < 12 => {
            map.values().flat_map(|value| onnx_names(value, depth + 1)).collect()
        }
        Value::Array(several) if depth < 12 => {
            several.iter().flat_map(|value| onnx_names(value, depth + 1)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Chooses weights of a format that other repositories have only beside native ones.
pub(crate) fn exports(question: &Question<'_>, format: Format, whole: Whole) -> Result<Decided, FetchError> {
    let scope = question.scope;
    let homes = homes(scope, format);
    let are_models = !parts::are_parts(question, &nested::folders(scope, format))
        && (has_twins(scope, format, &homes)
            || (homes.len() > 1 && !homes.contains("") && has_configs(scope, &homes)));
    if are_models && let Some(decided) = nested::decide(question, format, whole) {
        return decided;
    }
    if homes.len() == 1
        && !homes.contains("")
        && has_configs(scope, &homes)
        && scope.find("config.json").is_none()
        && let Some(decided) = nested::decide(question, format, whole)
    {
        return decided;
    }
    let precise = match format {
        Format::Onnx => precise(question, &homes)?,
        Format::OtherFramework => one_framework(scope),
        _ => (0..scope.files.len()).filter(|at| scope.files[*at].is_weights(format)).collect(),
    };
    if precise.is_empty() {
        // All lie in folders of trainings.
        return Err(refusal::no_weights(question.repo, false));
    }
    let stems: BTreeSet<String> = precise.iter().map(|at| with_folder(&scope.files[*at])).collect();
    let code = code::of(scope, question.manifests, &BTreeSet::new());
    let verdict = |at: usize| {
        let file = &scope.files[at];
        match file.kind {
            kind if always_out(kind).is_some() => {
                Verdict::Leave(always_out(kind).unwrap_or(LeftOutReason::NotAsked))
            }
            _ if precise.contains(&at) => Verdict::Take(Role::Weights),
            _ if code.files.contains(&at) => Verdict::Take(Role::Code),
            Kind::Script => Verdict::Leave(LeftOutReason::Script),
            Kind::Weights(Format::OnnxData) if format == Format::Onnx => {
                let owner = with_folder(file);
                let is_other = file.lower.contains(".onnx") && !stems.contains(&owner);
                if is_other {
                    Verdict::Leave(LeftOutReason::OtherPrecision)
                } else {
                    Verdict::Take(Role::Weights)
                }
            }
            Kind::Weights(own) if own == format => Verdict::Leave(match format {
                Format::Onnx => LeftOutReason::OtherPrecision,
                _ => LeftOutReason::OtherFormat,
            }),
            Kind::Weights(Format::Bin | Format::Npz) if format == Format::Onnx => {
                Verdict::Take(Role::Weights)
            }
            Kind::Weights(other) => beside(file, other),
            Kind::Index(_) => Verdict::Leave(LeftOutReason::OtherFormat),
            _ if is_training(file.folder()) => Verdict::Leave(LeftOutReason::TrainingState),
            kind => match folder_kind(&file.folder().to_ascii_lowercase()) {
                Some(kind) if !homes.contains(file.folder()) => Verdict::Leave(in_folder(kind)),
                _ => Verdict::Take(plain_role(kind)),
            },
        }
    };
    let notices = code.notice(scope).into_iter().collect();
    Ok(Decided { notices, ..Decided::new((0..scope.files.len()).map(verdict).collect()) })
}

/// Returns the folders that directly hold weights of a format.
fn homes<'a>(scope: &'a Scope<'_>, format: Format) -> BTreeSet<&'a str> {
    let weights = scope.files.iter().filter(|file| file.is_weights(format) && !is_training(file.folder()));
    weights.map(File::folder).collect()
}

/// Returns whether two folders have a file of weights of the same name: then each has a model.
fn has_twins(scope: &Scope<'_>, format: Format, homes: &BTreeSet<&str>) -> bool {
    if homes.len() < 2 || homes.contains("") {
        return false;
    }
    let mut seen = BTreeSet::new();
    scope.files.iter().filter(|file| file.is_weights(format)).any(|file| !seen.insert(file.name()))
}

fn has_configs(scope: &Scope<'_>, homes: &BTreeSet<&str>) -> bool {
    homes.iter().all(|home| {
        ["config.json", "genai_config.json"].iter().any(|name| scope.find(&format!("{home}{name}")).is_some())
    })
}

/// Returns the name by which outside data finds its model: its folder, and what stands before the ending.
fn with_folder(file: &File<'_>) -> String {
    file.lower.split_once(".onnx").map_or(file.lower.as_str(), |(stem, _)| stem).to_owned()
}

/// Returns the ONNX files of the main precision: of each part, the one whose name states none.
fn precise(question: &Question<'_>, homes: &BTreeSet<&str>) -> Result<BTreeSet<usize>, FetchError> {
    let scope = question.scope;
    // Beside those at the top, a folder of exports has the same again.
    let top = if homes.contains("") { Some("") } else { homes.get("onnx/").copied() };
    let mut parts: BTreeMap<(&str, String), Vec<usize>> = BTreeMap::new();
    for (at, file) in scope.files.iter().enumerate() {
        let is_beside = top.is_some_and(|top| {
            file.folder() != top && folder_kind(&file.folder().to_ascii_lowercase()).is_some()
        });
        if file.is_weights(Format::Onnx) && !is_training(file.folder()) && !is_beside {
            parts.entry((file.folder(), stem(file.name()))).or_default().push(at);
        }
    }
    let is_part = |stem: &str| stem.split(['_', '-', '.']).any(|word| PARTS.contains(&word));
    let are_parts =
        parts.len() < 2 || scope.find("config.json").is_some() || parts.keys().all(|(_, stem)| is_part(stem));
    let choice = |at: usize| (scope.files[at].path.clone(), scope.files[at].size);
    if !are_parts {
        let choices: Vec<(RelativePath, u64)> = parts.values().flatten().map(|at| choice(*at)).collect();
        return Err(refusal::several_models(question.repo, &choices));
    }
    let mut precise = BTreeSet::new();
    for ((_, stem), files) in &parts {
        let is_main =
            |at: &&usize| scope.files[**at].name().split_once(".onnx").is_some_and(|(name, _)| name == stem);
        match (files.iter().find(is_main), files.as_slice()) {
            (Some(main), _) => precise.insert(*main),
            (None, [only]) => precise.insert(*only),
            (None, several) => {
                let choices: Vec<_> = several.iter().map(|at| choice(*at)).collect();
                return Err(refusal::several_models(question.repo, &choices));
            }
        };
    }
    Ok(precise)
}

/// Returns the weights of one framework, where a repository has those of several.
fn one_framework(scope: &Scope<'_>) -> BTreeSet<usize> {
    let ends = |at: &usize, ending: &str| {
        scope.files[*at].is_weights(Format::OtherFramework) && scope.files[*at].name().ends_with(ending)
    };
    let all = 0..scope.files.len();
    let first = [".h5", ".keras", ".msgpack", ".ot"]
        .into_iter()
        .find(|ending| all.clone().any(|at| ends(&at, ending)));
    all.filter(|at| ends(at, first.unwrap_or_default())).collect()
}

/// Returns the files that go along with a named ONNX file: those whose names begin with its own, and those of its folder that no
/// other ONNX file owns and that are no texts for people. An exporter names outside data by tensors, such as
/// `Constant_7_attr__value`.
pub(crate) fn mates(scope: &Scope<'_>, at: usize) -> Vec<(usize, Role)> {
    let named = &scope.files[at];
    let near = || (0..scope.files.len()).filter(|other| scope.files[*other].folder() == named.folder());
    let is_onnx = |other: &usize| *other != at && scope.files[*other].is_weights(Format::Onnx);
    let others: BTreeSet<&str> =
        near().filter(is_onnx).map(|other| before_dot(&scope.files[other])).collect();
    let role = |other: usize| {
        let file = &scope.files[other];
        let rest = file.lower.strip_prefix(&named.lower);
        let is_own = rest.is_some_and(|rest| rest.starts_with(['_', '.']));
        let is_loose = !file.lower.contains(".onnx") && !others.contains(before_dot(file));
        match file.kind {
            Kind::Weights(Format::OnnxData) if is_own || is_loose => Some(Role::Weights),
            Kind::Weights(Format::Bin) if is_loose => Some(Role::Weights),
            Kind::Unknown if is_own || (is_loose && !is_text(file.name())) => Some(Role::Other),
            Kind::Configuration if is_own => Some(Role::Configuration),
            _ => None,
        }
    };
    near().filter_map(|other| Some((other, role(other)?))).collect()
}

/// Returns a path in lower case before the last dot.
fn before_dot<'a>(file: &'a File<'_>) -> &'a str {
    file.lower.rsplit_once('.').map_or(file.lower.as_str(), |(before, _)| before)
}

fn is_text(name: &str) -> bool {
    const WORDS: [&str; 6] = ["license", "licence", "notice", "copying", "model_card", "changelog"];
    ["txt", "csv", "tsv", "log", "text"].contains(&ending(name))
        || WORDS.iter().any(|word| name.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_at_the_end_of_a_name() {
        for name in [
            "model_fp16",
            "model_q4f16",
            "model_uint8f16",
            "model_int8f16",
            "model.bnb4",
            "model-nf4",
            "model_qint8",
        ] {
            assert_eq!(stem(&format!("{name}.onnx")), "model", "{name}");
        }
        for name in ["decoder_model_merged", "text_encoder_2", "model_f", "unet_16"] {
            assert_eq!(stem(&format!("{name}.onnx")), name);
        }
    }
}
