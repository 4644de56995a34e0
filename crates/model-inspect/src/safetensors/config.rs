//! Reads `config.json` and `generation_config.json`.

use std::collections::BTreeMap;

use provisioner_core::without_python_numbers;
use serde_json::Value;

use super::fields;
use crate::{DetailedFacts, Error, KvLayer, Quantizer, Result, RopeScaling, error::quoted};

/// Limits the layers. No model has more, and more are not counted one by one.
const MAX_LAYERS: u64 = 1024;

/// Names the parts in which models of text and something else describe their text model; such a part may lie in another one.
const TEXT_PARTS: [&str; 6] = [
    "text_config",
    "llm_config",
    "language_config",
    "language_model_config",
    "thinker_config",
    "text_model_config",
];

/// Limits how deep one such part lies in another. Two are known: `thinker_config.text_config`.
const MAX_PARTS_DEPTH: usize = 3;

/// Names keys of models that do not keep one key and one value for each token.
const OTHER_CACHES: [(&str, &str); 25] = [
    ("kv_lora_rank", "its keys and values are compressed (MLA)"),
    ("index_topk", "it keeps an index beside its keys and values"),
    ("state_size", "it has recurrent layers"),
    ("ssm_state_size", "it has recurrent layers"),
    ("ssm_cfg", "it has recurrent layers"),
    ("mamba_d_state", "it has recurrent layers"),
    ("layers_block_type", "it has recurrent layers"),
    ("hybrid_override_pattern", "it has recurrent layers"),
    ("linear_num_value_heads", "it has recurrent layers"),
    ("rescale_every", "it has recurrent layers"),
    ("conv_L_cache", "it has recurrent layers"),
    ("lru_width", "it has recurrent layers"),
    ("attn_type_list", "it has recurrent layers"),
    ("attn_config", OWN_KEYS),
    ("block_configs", OWN_KEYS),
    ("num_key_value_heads_per_layer", OWN_KEYS),
    ("num_global_key_value_heads", OWN_KEYS),
    ("global_head_dim", OWN_KEYS),
    ("hybrid_layer_pattern", OWN_KEYS),
    ("swa_num_key_value_heads", OWN_KEYS),
    ("swa_head_dim", OWN_KEYS),
    ("use_cla", OWN_KEYS),
    ("cla_share_factor", OWN_KEYS),
    ("kv_sharing_factor", OWN_KEYS),
    ("retention_heads", OWN_KEYS),
];

/// Says that layers differ in a way of their model's own.
const OWN_KEYS: &str = "its layers differ in what they keep, in a way that is not known here";

/// Parts of the names of models that keep a state instead of keys and values.
const RECURRENT: [&str; 4] = ["rwkv", "retnet", "mamba", "xlstm"];

/// Holds the known fields of a model's config, as Transformers writes it.
#[derive(Clone, Debug, Default)]
pub struct Config {
    all: Value,
    /// Where the parts about text are, the deepest one first.
    text_parts: Vec<Vec<&'static str>>,
}

impl Config {
    /// Reads a config from its bytes.
    ///
    /// # Errors
    /// [`Error::Unsound`] where the bytes are not a JSON object, or the fields that are known have too many values. `NaN` and `Infinity` count as `null`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let all = fields::read(&without_python_numbers(bytes)).map_err(|error| {
            Error::unsound(format!("cannot be read as JSON: {}", quoted(&error.to_string())))
        })?;
        if all.is_object() { Ok(Self::new(all)) } else { Err(Error::unsound("is no JSON object")) }
    }

    /// Finds the parts about text in a config.
    pub(super) fn new(all: Value) -> Self {
        let mut text_parts = Vec::new();
        find_text_parts(&all, &mut Vec::new(), &mut text_parts);
        Self { all, text_parts }
    }

    /// Returns the known fields.
    pub(super) fn into_value(self) -> Value {
        self.all
    }

    /// Returns a field: of the part about text where it has the field, otherwise of the whole. Only known fields are read.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        debug_assert!(fields::is_known(key), "`{key}` is not read");
        let at = |path: &Vec<&str>| path.iter().try_fold(&self.all, |part, key| part.get(key));
        let parts = self.text_parts.iter().filter_map(at);
        parts.chain([&self.all]).filter_map(|part| part.get(key)).find(|value| !value.is_null())
    }

    /// Returns a count, by the first of its names that has one. `None` for zero.
    fn count(&self, keys: &[&str]) -> Option<u64> {
        keys.iter().find_map(|key| self.get(key)?.as_u64().filter(|count| *count > 0))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_str().map(str::to_owned)
    }

    fn model_type(&self) -> &str {
        self.get("model_type").and_then(Value::as_str).unwrap_or_default()
    }

    fn layers(&self) -> Option<u64> {
        self.count(&["num_hidden_layers", "n_layer", "n_layers", "num_layers"])
    }

    fn heads(&self) -> Option<u64> {
        self.count(&["num_attention_heads", "n_head", "n_heads"])
    }

    fn kv_heads(&self) -> Option<u64> {
        let keys = ["num_key_value_heads", "num_kv_heads", "n_head_kv"];
        let is = |key: &str| self.get(key).and_then(Value::as_bool) == Some(true);
        if is("multi_query") && !is("new_decoder_architecture") {
            // Falcon's and GPTBigCode's way to say one, whatever else Falcon's says.
            Some(1)
        } else if is("multi_query_attention") {
            // ChatGLM's key.
            self.count(&["multi_query_group_num"])
        } else if keys.iter().any(|key| self.get(key).is_some()) {
            self.count(&keys)
        } else {
            self.heads()
        }
    }

    fn width(&self) -> Option<u64> {
        self.count(&["hidden_size", "n_embd", "d_model", "dim"])
    }

    /// Returns the width of a head: as the config tells it, or its share of the whole width. `None` where the heads do not divide
    /// the width.
    fn head_width(&self) -> Option<u64> {
        let keys = ["head_dim", "kv_channels"];
        if keys.iter().any(|key| self.get(key).is_some()) {
            return self.count(&keys);
        }
        // A Gemma that names no width has that of its class.
        if self.model_type().starts_with("gemma") {
            return None;
        }
        let (width, heads) = (self.width()?, self.heads()?);
        width.is_multiple_of(heads).then_some(width / heads)
    }

    fn value_width(&self) -> Option<u64> {
        if self.get("v_head_dim").is_some() { self.count(&["v_head_dim"]) } else { self.head_width() }
    }

    /// Returns whether the config tells of a window, but not which layers have it.
    pub(super) fn has_untold_windows(&self) -> bool {
        self.window().is_some() && self.get("layer_types").is_none()
    }

    /// Returns the window, where some layers may have one.
    fn window(&self) -> Option<u64> {
        let is_used = self.get("use_sliding_window").and_then(Value::as_bool) != Some(false);
        self.count(&["sliding_window"]).filter(|_| is_used)
    }

    fn architectures(&self) -> impl Iterator<Item = &str> {
        self.all
            .get("architectures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    /// Adds what the config tells to what is known of the model.
    pub fn describe(&self, details: &mut DetailedFacts) {
        let class = self.architectures().next().map(str::to_owned);
        // The models of timm have a key of their own.
        details.facts.architecture =
            class.or_else(|| self.text("model_type")).or_else(|| self.text("architecture"));
        details.facts.layers = self.layers();
        details.facts.heads = self.heads();
        details.facts.kv_heads = self.kv_heads();
        details.facts.embedding_length = self.width();
        details.key_length = self.head_width();
        details.value_length = self.value_width();
        details.facts.vocab_size = self.count(&["vocab_size", "padded_vocab_size"]);
        details.sliding_window = self.window();
        details.experts = self.count(&["num_experts", "num_local_experts", "n_routed_experts"]);
        details.experts_used = self.count(&["num_experts_per_tok", "num_experts_per_token"]);
        details.dtype = self.text("dtype").or_else(|| self.text("torch_dtype"));
        details.rope_scaling = self.rope_scaling();
        details.facts.ctx_max = self.ctx_max(details.rope_scaling.as_ref());
        details.quantizer = self.quantizer();
        details.special_tokens.extend(self.special_tokens());
        details.remote_code.extend(self.remote_code());
    }

    /// Returns how the model scales positions: `rope_scaling`, or `rope_parameters` since Transformers 5, which may be one for each
    /// kind of layer.
    fn rope_scaling(&self) -> Option<RopeScaling> {
        let scaling = self.get("rope_scaling").or_else(|| self.get("rope_parameters"))?;
        let scaling = scaling.get("full_attention").unwrap_or(scaling);
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
        let found = RopeScaling {
            kind: kind.filter(|kind| *kind != "default").map(str::to_owned),
            factor: scaling.get("factor").and_then(Value::as_f64),
            original_ctx: scaling.get("original_max_position_embeddings").and_then(Value::as_u64),
        };
        (found != RopeScaling::default()).then_some(found)
    }

    /// Returns the longest context, as vLLM derives it (`_get_and_verify_max_len`): the methods `longrope`, `su` and `llama3`
    /// have stretched `max_position_embeddings` already; the others stretch it, or what it was before.
    fn ctx_max(&self, scaling: Option<&RopeScaling>) -> Option<u64> {
        let keys = [
            "max_position_embeddings",
            "n_positions",
            "n_ctx",
            "max_seq_len",
            "seq_length",
            "max_sequence_length",
        ];
        let told = self.count(&keys)?;
        let Some(RopeScaling { kind: Some(kind), factor: Some(factor), original_ctx }) = scaling else {
            return Some(told);
        };
        let is_gemma = self.model_type().contains("gemma3");
        if ["longrope", "su", "llama3", "mrope"].contains(&kind.as_str()) || is_gemma {
            return Some(told);
        }
        let before = original_ctx.filter(|_| kind == "yarn").unwrap_or(told);
        stretched(before, *factor).or(Some(told))
    }

    fn quantizer(&self) -> Option<Quantizer> {
        let config = self.get("quantization_config").or_else(|| self.get("compression_config"));
        // MLX has its own key, and names no method.
        let own = self.get("quantization");
        let unnamed = if own.is_some() { "mlx" } else { "unknown" };
        let config = config.or(own)?;
        let method = config.get("quant_method").and_then(Value::as_str).unwrap_or(unnamed).to_owned();
        let is = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
        let bits = config.get("bits").or_else(|| config.get("w_bit")).and_then(Value::as_u64);
        let bits = bits.or(is("load_in_4bit").then_some(4)).or(is("load_in_8bit").then_some(8));
        Some(Quantizer { method, bits })
    }

    /// Returns the special tokens: `eos_token_id` is `eos`, and so on; one id or several.
    pub(super) fn special_tokens(&self) -> BTreeMap<String, Vec<u64>> {
        let ids = |value: &Value| match value {
            Value::Array(several) => several.iter().filter_map(Value::as_u64).collect(),
            one => one.as_u64().into_iter().collect::<Vec<_>>(),
        };
        let special = ["bos", "eos", "pad"].into_iter().filter_map(|name| {
            let found = ids(self.get(&format!("{name}_token_id"))?);
            (!found.is_empty()).then(|| (name.to_owned(), found))
        });
        special.collect()
    }

    /// Lists the classes that Transformers would load from the repository's own code.
    fn remote_code(&self) -> Vec<String> {
        let Some(Value::Object(map)) = self.all.get("auto_map") else { return Vec::new() };
        let classes = map.values().flat_map(|value| match value {
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        });
        let mut classes: Vec<_> = classes.map(str::to_owned).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Returns what each layer keeps of a token, or why that is not known.
    ///
    /// # Errors
    /// The reason, as a fragment.
    pub fn kv_layers(&self) -> Result<Vec<KvLayer>, String> {
        if let Some((_, reason)) = OTHER_CACHES.iter().find(|(key, _)| self.get(key).is_some()) {
            return Err((*reason).to_owned());
        }
        let kinds = self.architectures().chain([self.model_type()]).map(str::to_lowercase);
        if kinds.into_iter().any(|kind| RECURRENT.iter().any(|part| kind.contains(part))) {
            return Err("it has recurrent layers".to_owned());
        }
        let writes_on = |name: &str| {
            ["ForCausalLM", "ForConditionalGeneration", "LMHeadModel"].iter().any(|end| name.ends_with(end))
        };
        let has_encoder = self.get("is_encoder_decoder").and_then(Value::as_bool) == Some(true);
        if has_encoder || !self.architectures().any(writes_on) {
            return Err("it is not a model that is known to write on from a text".to_owned());
        }
        let missing = |what: &str| format!("its config does not tell {what}");
        let layers =
            self.layers().filter(|layers| *layers <= MAX_LAYERS).ok_or_else(|| missing("its layers"))?;
        // The last ones of these layers look at what others keep.
        let shared = self.count(&["num_kv_shared_layers"]).unwrap_or(0);
        let layers =
            layers.checked_sub(shared).filter(|own| *own > 0).ok_or_else(|| missing("its layers"))?;
        // Each KV head serves the same number of heads.
        let divides = |heads: &u64| self.heads().is_none_or(|all| all.is_multiple_of(*heads));
        let heads = self.kv_heads().filter(divides).ok_or_else(|| missing("its heads"))?;
        let widths = self.head_width().zip(self.value_width());
        let (key_length, value_length) = widths.ok_or_else(|| missing("the width of a head"))?;
        let types = self.get("layer_types").and_then(Value::as_array);
        let of_layer = |layer: u64| {
            let kind =
                types.and_then(|types| types.get(usize::try_from(layer).ok()?)).and_then(Value::as_str);
            let window = match kind {
                None | Some("full_attention") => None,
                Some("sliding_attention") => self.window(),
                Some(other) => return Err(format!("it has layers of the type {}", quoted(other))),
            };
            Ok(KvLayer { heads, key_length, value_length, window })
        };
        (0..layers).map(of_layer).collect()
    }
}

/// Lists where the parts about text are, the deepest one first, and of several at one place those that are named first.
fn find_text_parts(part: &Value, path: &mut Vec<&'static str>, found: &mut Vec<Vec<&'static str>>) {
    if path.len() >= MAX_PARTS_DEPTH {
        return;
    }
    for key in TEXT_PARTS {
        let Some(inner) = part.get(key).filter(|inner| inner.is_object()) else { continue };
        path.push(key);
        find_text_parts(inner, path, found);
        found.push(path.clone());
        path.pop();
    }
}

/// Stretches a context by a factor.
fn stretched(ctx: u64, factor: f64) -> Option<u64> {
    let ctx = f64::from(u32::try_from(ctx).ok()?) * factor;
    let whole = ctx.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within the range of 32 bits"
    )]
    (whole >= 1.0 && whole <= f64::from(u32::MAX)).then_some(whole as u64)
}
