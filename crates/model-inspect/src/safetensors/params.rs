//! Reads `params.json`, the config of Mistral's own format, in the words of Transformers.
//!
//! Source: `MistralConfigParser` and `adapt_config_dict` of vLLM, and `TransformerArgs` of mistral-inference.

use serde_json::{Map, Value};

use super::config::Config;

/// The name of the config in Mistral's format.
pub(super) const PARAMS_NAME: &str = "params.json";

/// Names each field in the words of Transformers, and what `params.json` calls it.
const FIELDS: [(&str, &str); 8] = [
    ("hidden_size", "dim"),
    ("num_hidden_layers", "n_layers"),
    ("num_attention_heads", "n_heads"),
    ("num_key_value_heads", "n_kv_heads"),
    ("intermediate_size", "hidden_dim"),
    ("max_position_embeddings", "max_seq_len"),
    ("dtype", "torch_dtype"),
    ("quantization_config", "quantization"),
];

impl Config {
    /// Returns a config that was read from `params.json`, with its fields in the words of Transformers too. A field that it does not
    /// tell stays unknown.
    pub(super) fn of_params(params: Self) -> Self {
        let Value::Object(mut fields) = params.into_value() else { return Self::default() };
        for (name, own) in FIELDS {
            copy(&mut fields, name, own);
        }
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

/// Copies a field to its other name, where that is free.
fn copy(fields: &mut Map<String, Value>, name: &str, own: &str) {
    let value = fields.get(own).cloned();
    insert(fields, name, value);
}

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
