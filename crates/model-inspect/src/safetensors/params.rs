//! Reads `params.json`, the config of Mistral's own format, in the words of Transformers.
//!
//! Source: `MistralConfigParser` and `adapt_config_dict` of vLLM, and `TransformerArgs` of mistral-inference.

use serde_json::{Map, Value};

use super::config::Config;

/// The name of the config in Mistral's format.
pub(super) const PARAMS_NAME: &str = "params.json";

impl Config {
    /// Returns a config that was read from `params.json`, with its fields in the words of Transformers too. A field that it does not
    /// tell stays unknown.
    pub(super) fn of_params(params: Self) -> Self {
        let Value::Object(mut fields) = params.into_value() else { return Self::default() };
        // The other names of Mistral's are known to every config.
        let kv_heads = fields.get("n_kv_heads").cloned();
        insert(&mut fields, "num_key_value_heads", kv_heads);
        // For MLX, whose configs have this field too, it means something else.
        let quantizer = fields.remove("quantization").and_then(|told| quantizer(&told));
        insert(&mut fields, "quantization_config", quantizer);
        if let Some(Value::Object(experts)) = fields.get("moe") {
            let found = ["num_experts", "num_experts_per_tok"].map(|key| (key, experts.get(key).cloned()));
            for (key, value) in found {
                insert(&mut fields, key, value);
            }
        }
        if let Some(Value::Object(yarn)) = fields.get("yarn") {
            let scaling = serde_json::json!({
                "rope_type": "yarn",
                "factor": yarn.get("factor"),
                "original_max_position_embeddings": yarn.get("original_max_position_embeddings"),
            });
            insert(&mut fields, "rope_scaling", Some(scaling));
        }
        let class = architecture(&fields).map(|name| Value::Array(vec![name.into()]));
        insert(&mut fields, "architectures", class);
        Self::new(Value::Object(fields))
    }
}

/// Returns what made the weights smaller, as Transformers writes it. `None` where the field does not tell the method.
fn quantizer(told: &Value) -> Option<Value> {
    let format = told.get("qformat_weight").and_then(Value::as_str);
    let method = told.get("quant_method").and_then(Value::as_str).or(format)?;
    // The formats of 8 bits are of one method, whatever their exponents.
    let method = if method.starts_with("fp8") { "fp8" } else { method };
    Some(serde_json::json!({ "quant_method": method, "bits": told.get("bits") }))
}

/// Adds a field, where the name is free.
fn insert(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.entry(name).or_insert(value);
    }
}

/// Returns the class by which vLLM builds a model of this format. `None` where the fields are not those of such a model.
fn architecture(fields: &Map<String, Value>) -> Option<&'static str> {
    let has = |key: &str| fields.get(key).is_some_and(|value| !value.is_null());
    if !has("dim") {
        return None;
    }
    Some(match () {
        () if has("vision_encoder") || has("multimodal") => "PixtralForConditionalGeneration",
        () if has("moe") => "MixtralForCausalLM",
        () => "MistralForCausalLM",
    })
}
