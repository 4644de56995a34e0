//! Reads from a header what it tells of its model.

use std::collections::BTreeMap;

use provisioner_core::{Format, Role};

use super::{Array, Header, Value, ValueKind, file_type_name};
use crate::{DetailedFacts, KvLayer, RopeScaling, TypeShare, error::quoted};

/// Limits the layers. No model has more, and more are not counted one by one.
const MAX_LAYERS: u64 = 1024;

/// Limits a name for llama.cpp, in bytes: "`GGML_MAX_NAME`", 64, without the byte that ends it. Programs for pictures write and
/// read longer names.
const LLAMA_CPP_NAME_BYTES: usize = 63;

/// Keys below the architecture of models that do not keep one key and one value for each token: they keep a recurrent
/// state, compressed keys, or an encoder's output.
const OTHER_CACHES: [(&str, &str); 11] = [
    ("ssm.", "it has recurrent layers"),
    ("wkv.", "it has recurrent layers"),
    ("shortconv.", "it has recurrent layers"),
    ("kda.", "it has recurrent layers"),
    ("token_shift_count", "it has recurrent layers"),
    ("attention.kv_lora_rank", "its keys and values are compressed (MLA)"),
    ("attention.key_length_mla", "its keys and values are compressed (MLA)"),
    ("attention.compress", "its keys and values are compressed"),
    ("attention.indexer.", "it keeps an index beside its keys and values"),
    ("decoder_", "it has an encoder"),
    ("full_attention_interval", "it has recurrent layers"),
];

/// Architectures that only read a text. Their headers need not say so.
const ENCODERS: [&str; 9] = [
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "modern-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "gemma-embedding",
    "t5encoder",
];

/// The keys of a header that stand below its architecture.
struct Hyper<'a> {
    header: &'a Header,
    architecture: &'a str,
}

impl Hyper<'_> {
    fn value(&self, key: &str) -> Option<&Value> {
        self.header.value(&format!("{}.{key}", self.architecture))
    }

    /// Returns a count; the greatest where each layer has its own. `None` for zero, which converters write where there is nothing to
    /// count.
    fn count(&self, key: &str) -> Option<u64> {
        let count = match self.value(key)? {
            Value::Array(array) => array.items().filter_map(|value| value.as_u64()).max(),
            value => value.as_u64(),
        };
        count.filter(|count| *count > 0)
    }

    /// Returns the count of one layer.
    fn of_layer(&self, key: &str, layer: usize) -> Option<u64> {
        match self.value(key)? {
            Value::Array(array) => array.item(layer)?.as_u64(),
            value => value.as_u64(),
        }
    }

    /// Returns the key that tells how many heads keep keys and values.
    fn kv_heads_key(&self) -> &'static str {
        let own = "attention.head_count_kv";
        if self.value(own).is_some() { own } else { "attention.head_count" }
    }

    /// Returns the width of a head's keys or values: what its key says, or else its share of the embedding. `None` where the heads do
    /// not divide the embedding.
    fn head_width(&self, key: &str) -> Option<u64> {
        if self.value(key).is_some() {
            return self.count(key);
        }
        let heads = self.of_layer("attention.head_count", 0).filter(|heads| *heads > 0)?;
        let width = self.count("embedding_length")?;
        width.is_multiple_of(heads).then_some(width / heads)
    }

    /// Returns the same width, of one layer.
    fn head_width_of_layer(&self, key: &str, layer: usize) -> Option<u64> {
        match self.value(key) {
            Some(_) => self.of_layer(key, layer).filter(|width| *width > 0),
            None => self.head_width(key),
        }
    }
}

/// Reads what the header of a model, or of its first shard, tells, without tensors and sizes.
pub(crate) fn describe(header: &Header) -> DetailedFacts {
    let text = |key: &str| header.text(key).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut details = DetailedFacts::unknown(Format::Gguf, 0);
    details.facts.role = Some(header.role()).filter(|role| *role != Role::Weights);
    details.facts.name = text("general.name");
    details.facts.license = text("general.license");
    details.base_models = base_models(header);
    details.facts.quantization =
        header.count("general.file_type").and_then(file_type_name).map(str::to_owned);
    details.facts.tokenizer_model = text("tokenizer.ggml.model");
    details.tokenizer_pre = text("tokenizer.ggml.pre");
    details.special_tokens = special_tokens(header);
    details.facts.has_chat_template =
        Some(header.values().keys().any(|key| key.starts_with("tokenizer.chat_template")));
    let tokens = header.value("tokenizer.ggml.tokens").and_then(Value::as_array).map(|array| array.len);
    let tokens = tokens.filter(|tokens| *tokens > 0);
    details.facts.vocab_size = tokens;
    details.facts.architecture = text("general.architecture");
    let Some(architecture) = header.text("general.architecture") else { return details };
    let hyper = Hyper { header, architecture };
    details.facts.ctx_max = hyper.count("context_length");
    details.facts.layers = hyper.count("block_count");
    details.facts.heads = hyper.count("attention.head_count");
    details.facts.kv_heads = hyper.count(hyper.kv_heads_key());
    details.facts.embedding_length = hyper.count("embedding_length");
    details.facts.vocab_size = hyper.count("vocab_size").or(tokens);
    details.key_length = hyper.head_width("attention.key_length");
    details.value_length = hyper.head_width("attention.value_length");
    details.sliding_window = hyper.count("attention.sliding_window");
    details.experts = hyper.count("expert_count");
    details.experts_used = hyper.count("expert_used_count");
    details.rope_scaling = rope_scaling(&hyper);
    details
}

/// Adds the sums over the tensors of each type, for one file.
pub(crate) fn add_types(header: &Header, types: &mut BTreeMap<String, TypeShare>) {
    for (kind, total) in header.types() {
        let share = TypeShare { tensors: total.tensors, elements: total.elements, bytes: total.bytes };
        types.entry(kind.to_string()).or_insert(TypeShare::NOTHING).add(share);
    }
}

/// Lists what could not be checked, and what some engines do not read, as fragments about the file.
pub(crate) fn notes(header: &Header) -> impl Iterator<Item = String> {
    let long = header.tensors().iter().any(|tensor| tensor.name.len() > LLAMA_CPP_NAME_BYTES).then(|| {
        format!(
            "has names of tensors with more than {LLAMA_CPP_NAME_BYTES} bytes, which llama.cpp does not load"
        )
    });
    let is_nested = |value: &Value| value.as_array().is_some_and(|array| array.kind == ValueKind::Array);
    let nested = header.values().values().any(is_nested);
    let nested = nested.then(|| "has arrays in arrays, which llama.cpp does not load".to_owned());
    [unknown_types(header), long, nested].into_iter().flatten()
}

/// Returns one of the types that are not known, for a header may have as many as tensors.
fn unknown_types(header: &Header) -> Option<String> {
    let types = header.types();
    let mut unknown = types.keys().filter(|kind| !kind.is_known());
    let first = unknown.next()?;
    Some(match unknown.count() {
        0 => format!("has tensors of {first}, whose size is not known here"),
        more => format!("has tensors of {first} and {more} more types, whose sizes are not known here"),
    })
}

fn rope_scaling(hyper: &Hyper) -> Option<RopeScaling> {
    let scaling = RopeScaling {
        kind: hyper.value("rope.scaling.type").and_then(Value::as_str).map(str::to_owned),
        // Before version 3 of the converter, the factor was `rope.scale_linear`.
        factor: hyper
            .value("rope.scaling.factor")
            .or(hyper.value("rope.scale_linear"))
            .and_then(Value::as_f64),
        original_ctx: hyper.count("rope.scaling.original_context_length"),
    };
    (scaling != RopeScaling::default()).then_some(scaling)
}

/// Reads the special tokens: `tokenizer.ggml.eos_token_id` is `eos`, and so on.
fn special_tokens(header: &Header) -> BTreeMap<String, Vec<u64>> {
    let name = |key: &str| Some(key.strip_prefix("tokenizer.ggml.")?.strip_suffix("_token_id")?.to_owned());
    let special = |(key, value): (&String, &Value)| Some((name(key)?, vec![value.as_u64()?]));
    header.values().iter().filter_map(special).collect()
}

/// Lists the models that it was made from: their addresses, or else their names.
fn base_models(header: &Header) -> Vec<String> {
    let count = header.count("general.base_model.count").unwrap_or(0).min(MAX_LAYERS);
    let of = |index: u64, key: &str| header.text(&format!("general.base_model.{index}.{key}"));
    (0..count).filter_map(|index| of(index, "repo_url").or(of(index, "name"))).map(str::to_owned).collect()
}

/// Returns what each layer keeps of a token, or why that is not known.
pub(crate) fn memory(header: &Header) -> Result<Vec<KvLayer>, String> {
    let architecture = header.text("general.architecture").ok_or("it names no architecture")?;
    let hyper = Hyper { header, architecture };
    for (key, reason) in OTHER_CACHES {
        let below = format!("{architecture}.{key}");
        if header.values().keys().any(|key| key.starts_with(&below)) {
            return Err(reason.to_owned());
        }
    }
    let reads = ENCODERS.contains(&architecture);
    if reads || hyper.value("attention.causal").and_then(Value::as_bool) == Some(false) {
        return Err("it is not a model that writes on from a text".to_owned());
    }
    let missing =
        |key: &str| format!("its header has no usable {}", quoted(&format!("{architecture}.{key}")));
    let layers = hyper.count("block_count").filter(|layers| *layers <= MAX_LAYERS);
    let layers = layers.ok_or_else(|| missing("block_count"))?;
    hyper.count(hyper.kv_heads_key()).ok_or_else(|| missing(hyper.kv_heads_key()))?;
    let shared = hyper.count("attention.shared_kv_layers").unwrap_or(0);
    let own = layers.checked_sub(shared).filter(|own| *own > 0);
    let own = own.and_then(|own| usize::try_from(own).ok());
    let own = own.ok_or_else(|| missing("attention.shared_kv_layers"))?;
    let windows = Windows::of(&hyper);
    (0..own).map(|layer| kv_layer(&hyper, &windows, layer).ok_or_else(|| missing("attention.*"))).collect()
}

fn kv_layer(hyper: &Hyper, windows: &Windows, layer: usize) -> Option<KvLayer> {
    let heads = hyper.of_layer(hyper.kv_heads_key(), layer)?;
    if heads == 0 {
        // A layer without attention.
        return Some(KvLayer { heads, key_length: 0, value_length: 0, window: None });
    }
    // Each KV head serves the same number of heads.
    let all = hyper.of_layer("attention.head_count", layer);
    if all.is_some_and(|all| all == 0 || !all.is_multiple_of(heads)) {
        return None;
    }
    // Layers with windows have heads of their own width, and the header does not tell which layers those are.
    if !windows.is_told() && hyper.value("attention.key_length_swa").is_some() {
        return None;
    }
    let window = windows.of_layer(layer);
    let width = |key: &str| {
        let narrow = format!("{key}_swa");
        match window.and(hyper.value(&narrow)) {
            Some(_) => hyper.count(&narrow),
            None => hyper.head_width_of_layer(key, layer),
        }
    };
    let (key_length, value_length) = (width("attention.key_length")?, width("attention.value_length")?);
    Some(KvLayer { heads, key_length, value_length, window })
}

/// Returns whether the header tells of a window, but not which layers have one.
pub(crate) fn has_untold_windows(header: &Header) -> bool {
    let Some(architecture) = header.text("general.architecture") else { return false };
    let hyper = Hyper { header, architecture };
    let windows = Windows::of(&hyper);
    windows.tokens.is_some() && windows.pattern.is_none()
}

/// Says which layers look only at the last tokens. Where a header tells of a window, but not which layers have one, no layer has
/// one, so that the estimate is never too low.
struct Windows<'a> {
    tokens: Option<u64>,
    pattern: Option<Pattern<'a>>,
}

enum Pattern<'a> {
    Each(&'a Array),
    /// Of so many layers, the last one sees everything.
    LastOf(u64),
    /// Of so many layers one sees everything. It is taken to be the first one, so that the estimate is never too low.
    FirstOf(u64),
}

impl<'a> Windows<'a> {
    fn of(hyper: &'a Hyper) -> Self {
        let pattern = match hyper.value("attention.sliding_window_pattern") {
            Some(Value::Array(array)) => Some(Pattern::Each(array)),
            Some(value) => value.as_u64().map(Pattern::FirstOf),
            // The architecture fixes the pattern (llama.cpp, `set_swa_pattern`).
            None => match hyper.architecture {
                "gemma2" => Some(Pattern::LastOf(2)),
                "gemma3" => Some(Pattern::LastOf(6)),
                _ => None,
            },
        };
        Self { tokens: hyper.count("attention.sliding_window"), pattern }
    }

    fn is_told(&self) -> bool {
        self.tokens.is_some() && self.pattern.is_some()
    }

    fn of_layer(&self, layer: usize) -> Option<u64> {
        let place = u64::try_from(layer).ok()?;
        let has_window = match *self.pattern.as_ref()? {
            Pattern::Each(array) => array.item(layer)?.as_bool()?,
            Pattern::LastOf(every) => (place + 1) % every != 0,
            Pattern::FirstOf(0) => true,
            Pattern::FirstOf(every) => place % every != 0,
        };
        self.tokens.filter(|_| has_window)
    }
}
