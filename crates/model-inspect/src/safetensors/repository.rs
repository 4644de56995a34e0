//! Inspects a repository in the layout of Transformers: weights in one file or by an index, and the configs beside them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use provisioner_core::{
    Format, RelativePath, excerpt,
    reference::{ShardName, set_of},
};

use super::{config::Config, header::Header, index::Index, params::PARAMS_NAME, widths::widths};
use crate::{
    details::{DetailedFacts, Quantizer},
    engine::Engine,
    error::{Error, Result, quoted},
    files::ModelSource,
    inspection::Inspection,
    memory::MemoryEstimate,
    named_files::{complete_set, find, is_named, open, siblings},
    window::read_whole,
};

const INDEX_ENDING: &str = ".safetensors.index.json";
/// Limits an index, in bytes. That of the largest models known has some 30 MB.
const MAX_INDEX_BYTES: u64 = 128 << 20;
/// Limits all headers of a model together, in bytes, for they are held at once. Those of the largest models known have some 30 MB.
const MAX_HEADERS_BYTES: u64 = 200_000_000;
const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Limits the name of a base model, in characters.
const MAX_NAME_CHARS: usize = 200;

const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "tekken.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "special_tokens_map.json",
];

/// Names files that tell how weights were made smaller, and the method that writes each.
const QUANTIZER_FILES: [(&str, &str); 3] =
    [("quantize_config.json", "gptq"), ("quant_config.json", "awq"), ("hf_quant_config.json", "modelopt")];

/// Has the header of each file, by its path.
type Headers<'a> = BTreeMap<&'a str, Header>;

/// Inspects a repository with safetensors. `None` where it has none, and no index of any.
pub(crate) fn inspect_repository(model: &dyn ModelSource) -> Result<Option<Inspection>> {
    let headers = read_headers(model)?;
    check_shards(&headers)?;
    let mut indexed = BTreeSet::new();
    let (mut main, mut notes, mut warnings) = (None, Vec::new(), Vec::new());
    for file in model.files().iter().filter(|file| file.path.as_str().ends_with(INDEX_ENDING)) {
        let path = file.path.as_str();
        let index = read_index(model, &file.path)?;
        if is_passed_over(&file.path, &index, &headers) {
            notes.push(format!(
                "{} names none of the files that are there, and is left out, as engines do",
                quoted(path)
            ));
            continue;
        }
        let (files, differences) =
            check_index(model, &file.path, &index, &headers).map_err(|error| error.in_file(path))?;
        warnings.extend(differences.into_iter().map(|difference| format!("{} {difference}", quoted(path))));
        indexed.extend(files.iter().filter_map(|path| set_of(path)));
        // Mistral's format has its own names, and comes alone or beside that of Transformers. Its index is sorted before the other.
        let is_alone = !headers.contains_key("model.safetensors");
        if path == "model.safetensors.index.json"
            || (path == "consolidated.safetensors.index.json" && is_alone)
        {
            main = Some(files);
        }
    }
    check_sets(model, &headers, &indexed)?;
    if headers.is_empty() {
        return Ok(None);
    }
    let weights = main.or_else(|| main_weights(model, &headers));
    let mut found = describe(model, &headers, weights)?;
    found.notes.extend(notes);
    found.warnings.extend(warnings);
    Ok(Some(found))
}

/// Reads the headers of all files of safetensors.
fn read_headers(model: &dyn ModelSource) -> Result<Headers<'_>> {
    let (mut headers, mut total_bytes) = (BTreeMap::new(), 0u64);
    for file in model.files().iter().filter(|file| is_named(file, Format::Safetensors)) {
        let path = file.path.as_str();
        let header = Header::read(&mut open(model, &file.path)?).map_err(|error| error.in_file(path))?;
        total_bytes += header.length();
        if total_bytes > MAX_HEADERS_BYTES {
            let reason = format!(
                "its header and those before it have {total_bytes} bytes, and {MAX_HEADERS_BYTES} are the most"
            );
            return Err(Error::unsound(reason).in_file(path));
        }
        headers.insert(path, header);
    }
    Ok(headers)
}

fn read_index(model: &dyn ModelSource, path: &RelativePath) -> Result<Index> {
    let bytes = read_whole(&mut open(model, path)?, MAX_INDEX_BYTES);
    bytes.and_then(|bytes| Index::parse(&bytes)).map_err(|error| error.in_file(path.as_str()))
}

/// Returns whether an index is of other weights than those that are there: engines look for one file first, and take it.
fn is_passed_over(path: &RelativePath, index: &Index, headers: &Headers<'_>) -> bool {
    let folder = path.folder();
    let is_there = |name: &str| headers.contains_key(format!("{folder}{name}").as_str());
    let whole = path.as_str().strip_suffix(".index.json").unwrap_or_default();
    headers.contains_key(whole) && !index.files().into_iter().any(is_there)
}

/// Checks that each set of shards is whole. For a set that an index names, the index counts, and not the number in the names.
fn check_sets(model: &dyn ModelSource, headers: &Headers<'_>, indexed: &BTreeSet<String>) -> Result<()> {
    let is_judged =
        |path: &&str| !model.is_selection() && set_of(path).is_some_and(|set| !indexed.contains(&set));
    for path in headers.keys().copied().filter(is_judged) {
        let path = RelativePath::new(path).map_err(|error| Error::unsound(error.to_string()))?;
        if let Some(shard) = ShardName::parse(path.file_name()) {
            complete_set(model, &path, &shard)?;
        }
    }
    Ok(())
}

/// Checks an index against the files beside it, and returns those that it names, and how they differ from it.
fn check_index(
    model: &dyn ModelSource,
    path: &RelativePath,
    index: &Index,
    headers: &Headers<'_>,
) -> Result<(BTreeSet<String>, Vec<String>)> {
    let folder = path.folder();
    let mut named = BTreeMap::new();
    let mut files = BTreeSet::new();
    for name in index.files() {
        let whole = format!("{folder}{name}");
        match headers.get(whole.as_str()) {
            Some(header) => {
                named.insert(name, header);
                files.insert(whole);
            }
            None if model.is_selection() => {}
            None => return Err(not_there(name)),
        }
    }
    let differences = index.differences(&named)?;
    match unnamed_shard(&files, headers).filter(|_| !model.is_selection()) {
        None => Ok((files, differences)),
        Some(path) => {
            let path = quoted(path);
            let reason = format!("does not name {path}, a shard of the same set as one that it names");
            Err(Error::Index { file: None, reason })
        }
    }
}

/// Makes the error of a file that an index names, and that is not among the files of weights.
fn not_there(name: &str) -> Error {
    let shown = quoted(name);
    if name.ends_with(".safetensors") {
        return Error::Incomplete { file: None, reason: format!("names {shown}, which is not there") };
    }
    Error::Index { file: None, reason: format!("names {shown}, which is no file of safetensors") }
}

/// Finds a shard that an index does not name, though it names others of the same set. Files of no set, and sets of which it
/// names no shard, belong to something else.
fn unnamed_shard<'a>(named: &BTreeSet<String>, headers: &Headers<'a>) -> Option<&'a str> {
    let sets: BTreeSet<_> = named.iter().filter_map(|path| set_of(path)).collect();
    let is_left_out =
        |path: &&str| !named.contains(*path) && set_of(path).is_some_and(|set| sets.contains(&set));
    headers.keys().copied().find(is_left_out)
}

/// Checks that no tensor is in two shards of one set, for engines differ in which of them they would take.
fn check_shards(headers: &Headers<'_>) -> Result<()> {
    let mut sets: BTreeMap<String, HashMap<&str, &str>> = BTreeMap::new();
    for (path, header) in headers {
        let Some(set) = set_of(path) else { continue };
        let seen = sets.entry(set).or_default();
        for name in header.each_name() {
            if let Some(other) = seen.get(name) {
                let (name, other) = (quoted(name), quoted(other));
                let reason = format!("has the tensor {name}, and so has {other}");
                return Err(Error::unsound(reason).in_file(path));
            }
            seen.insert(name, path);
        }
    }
    Ok(())
}

/// Finds the weights of a repository without an index. `None` where there are several.
fn main_weights(model: &dyn ModelSource, headers: &Headers<'_>) -> Option<BTreeSet<String>> {
    let of = |path: &str| headers.contains_key(path).then(|| BTreeSet::from([path.to_owned()]));
    if let Some(found) = model.entry().and_then(entry_weights) {
        return Some(found);
    }
    if let Some(found) = of("model.safetensors") {
        return Some(found);
    }
    let (first, _) = headers.first_key_value()?;
    let first = RelativePath::new(*first).ok()?;
    let set = entry_weights(&first)?;
    (set.len() == headers.len()).then_some(set)
}

/// Lists the file, with the other shards of its set.
fn entry_weights(path: &RelativePath) -> Option<BTreeSet<String>> {
    match ShardName::parse(path.file_name()) {
        Some(shard) => {
            siblings(path, &shard, 1..=shard.count()).map(|path| Some(path.ok()?.to_string())).collect()
        }
        None => Some(BTreeSet::from([path.to_string()])),
    }
}

fn describe(
    model: &dyn ModelSource,
    headers: &Headers<'_>,
    weights: Option<BTreeSet<String>>,
) -> Result<Inspection> {
    let mut details = DetailedFacts::unknown(Format::Safetensors, 0);
    let weights = weights.unwrap_or_default();
    for header in weights.iter().filter_map(|path| headers.get(path.as_str())) {
        header.add_types(&mut details.tensor_types);
    }
    details.facts.shards = (!weights.is_empty()).then_some(weights.len() as u64);
    let (mut layers, mut has_untold_windows) = (Err("it has no `config.json`".to_owned()), false);
    let mut told_widths = None;
    if let Some(config) = main_config(model)? {
        config.describe(&mut details);
        layers = config.kv_layers();
        has_untold_windows = config.has_untold_windows();
        told_widths = widths(&config, &details);
    }
    if details.quantizer.is_none() {
        details.quantizer = quantizer_beside(model)?;
    }
    details.base_models.extend(base_model(model)?);
    let notes = describe_generation(model, &mut details)?.into_iter().collect();
    describe_tokenizer(model, &mut details)?;
    details.facts.quantization = match &details.quantizer {
        Some(quantizer) => Some(match quantizer.bits {
            Some(bits) => format!("{}-{bits}bit", quantizer.method),
            None => quantizer.method.clone(),
        }),
        None => details.main_type().filter(|kind| !is_packed(kind)),
    };
    // Smaller weights are packed, several in one element, in ways that only their method knows.
    let is_plain = details.quantizer.is_none() && !details.main_type().is_some_and(|kind| is_packed(&kind));
    details.facts.parameter_count = details.elements().filter(|_| is_plain);
    let memory = MemoryEstimate::new(details.weights_bytes(), layers, details.facts.ctx_max);
    let memory = memory.at_most(has_untold_windows).computed_by(Engine::Vllm, told_widths);
    details.facts.memory = memory.summary();
    Ok(Inspection { details, memory, notes, companion: None, warnings: Vec::new(), source: None })
}

/// Reads the config of the model: that of Transformers, or else that of Mistral's format.
fn main_config(model: &dyn ModelSource) -> Result<Option<Config>> {
    if let Some(config) = read_config(model, "config.json")? {
        return Ok(Some(config));
    }
    Ok(read_config(model, PARAMS_NAME)?.map(Config::of_params))
}

/// Finds the method that made the weights smaller, where a file beside the config names it.
fn quantizer_beside(model: &dyn ModelSource) -> Result<Option<Quantizer>> {
    let mut names = QUANTIZER_FILES.into_iter();
    let Some((name, method)) = names.find(|(name, _)| find(model, name).is_some()) else { return Ok(None) };
    let config = match read_config(model, name) {
        Err(error @ Error::Io { .. }) => return Err(error),
        // The name of the file says enough.
        config => config.ok().flatten(),
    };
    let bits = config.and_then(|config| config.get("bits").or_else(|| config.get("w_bit"))?.as_u64());
    Ok(Some(Quantizer { method: method.to_owned(), bits }))
}

/// Returns the model that an adapter was made for, as its config names it.
fn base_model(model: &dyn ModelSource) -> Result<Option<String>> {
    let config = match read_config(model, "adapter_config.json") {
        Err(error @ Error::Io { .. }) => return Err(error),
        config => config.ok().flatten(),
    };
    let name = config.and_then(|config| config.get("base_model_name_or_path")?.as_str().map(str::to_owned));
    Ok(name.filter(|name| !name.is_empty()).map(|name| excerpt(&name, MAX_NAME_CHARS)))
}

/// Returns whether each element of this type may hold several weights.
fn is_packed(kind: &str) -> bool {
    kind.starts_with(['I', 'U'])
}

/// Adds the special tokens of `generation_config.json`, or returns what is wrong with that file: Transformers and vLLM then go on
/// with `config.json` alone.
fn describe_generation(model: &dyn ModelSource, details: &mut DetailedFacts) -> Result<Option<String>> {
    match read_config(model, "generation_config.json") {
        Ok(generation) => {
            details.special_tokens.extend(generation.iter().flat_map(Config::special_tokens));
            Ok(None)
        }
        Err(Error::Unsound { reason, .. }) => {
            Ok(Some(format!("`generation_config.json` is left out, as engines do: {reason}")))
        }
        Err(error) => Err(error),
    }
}

fn describe_tokenizer(model: &dyn ModelSource, details: &mut DetailedFacts) -> Result<()> {
    let present = TOKENIZER_FILES.iter().filter(|name| find(model, name).is_some());
    details.tokenizer_files = present.map(|name| (*name).to_owned()).collect();
    let mut has_template = model.files().iter().any(|file| is_template(&file.path))
        || find(model, "chat_template.json").is_some();
    if let Some(config) = read_config(model, "tokenizer_config.json")? {
        let class = config.get("tokenizer_class").and_then(serde_json::Value::as_str);
        details.facts.tokenizer_model = class.map(str::to_owned);
        has_template |= config.get("chat_template").is_some();
    } else if details.tokenizer_files.is_empty() && !has_template {
        return Ok(());
    }
    details.facts.has_chat_template = Some(has_template);
    Ok(())
}

fn is_template(path: &RelativePath) -> bool {
    path.as_str().rsplit_once('.').is_some_and(|(_, ending)| ending == "jinja")
}

/// Reads a config at the top of the repository. `None` where it is missing.
fn read_config(model: &dyn ModelSource, name: &str) -> Result<Option<Config>> {
    let Some(file) = find(model, name) else { return Ok(None) };
    let bytes = read_whole(&mut open(model, &file.path)?, MAX_CONFIG_BYTES);
    let config = bytes.and_then(|bytes| Config::parse(&bytes));
    config.map(Some).map_err(|error| error.in_file(name))
}
