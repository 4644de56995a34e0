//! Reads the fields of a config that are known, and passes over the rest while it reads.
//!
//! A tree of all values would take a hundred times as many bytes as the text, and a stranger wrote the text. So an object keeps the
//! keys that this crate asks for alone, and a document keeps a bounded number of values.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How many values the known fields of a document have at the most. A kind for each of a thousand layers is the longest list that
/// is known.
const MAX_VALUES: usize = 1 << 14;

/// The keys that configs are asked for, in the order of the alphabet.
const KNOWN: [&str; 113] = [
    "architecture",
    "architectures",
    "attn_config",
    "attn_type_list",
    "auto_map",
    "base_model_name_or_path",
    "bits",
    "block_configs",
    "bos_token_id",
    "chat_template",
    "cla_share_factor",
    "compression_config",
    "conv_L_cache",
    "d_ff",
    "d_model",
    "dim",
    "dtype",
    "eos_token_id",
    "expert_ffn_hidden_size",
    "factor",
    "ffn_dim",
    "ffn_hidden_size",
    "full_attention",
    "global_head_dim",
    "head_dim",
    "hidden_size",
    "hybrid_layer_pattern",
    "hybrid_override_pattern",
    "index_topk",
    "intermediate_size",
    "is_encoder_decoder",
    "kv_channels",
    "kv_lora_rank",
    "kv_sharing_factor",
    "language_config",
    "language_model_config",
    "layer_types",
    "layers_block_type",
    "linear_num_value_heads",
    "llm_config",
    "load_in_4bit",
    "load_in_8bit",
    "lru_width",
    "mamba_d_state",
    "max_position_embeddings",
    "max_seq_len",
    "max_sequence_length",
    "model_type",
    "moe",
    "moe_intermediate_size",
    "multi_query",
    "multi_query_attention",
    "multi_query_group_num",
    "multimodal",
    "n_ctx",
    "n_embd",
    "n_head",
    "n_head_kv",
    "n_heads",
    "n_inner",
    "n_kv_heads",
    "n_layer",
    "n_layers",
    "n_positions",
    "n_routed_experts",
    "n_shared_experts",
    "new_decoder_architecture",
    "num_attention_heads",
    "num_experts",
    "num_experts_per_tok",
    "num_experts_per_token",
    "num_global_key_value_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "num_key_value_heads_per_layer",
    "num_kv_heads",
    "num_kv_shared_layers",
    "num_layers",
    "num_local_experts",
    "num_shared_experts",
    "original_max_position_embeddings",
    "pad_token_id",
    "padded_vocab_size",
    "qformat_weight",
    "quant_method",
    "quantization",
    "quantization_config",
    "rescale_every",
    "retention_heads",
    "rope_parameters",
    "rope_scaling",
    "rope_type",
    "seq_length",
    "shared_expert_intermediate_size",
    "sliding_window",
    "ssm_cfg",
    "ssm_state_size",
    "state_size",
    "swa_head_dim",
    "swa_num_key_value_heads",
    "text_config",
    "text_model_config",
    "thinker_config",
    "tokenizer_class",
    "torch_dtype",
    "type",
    "use_cla",
    "use_sliding_window",
    "v_head_dim",
    "vision_encoder",
    "vocab_size",
    "w_bit",
    "yarn",
];

/// The field whose keys are names of a library's classes.
const CLASSES: &str = "auto_map";

/// Reads the known fields of a document.
///
/// # Errors
/// Where the text is not JSON, or these fields have too many values.
pub(super) fn read(text: &[u8]) -> serde_json::Result<Value> {
    let mut document = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(MAX_VALUES);
    let found = Part { left: &left, keeps_all: false }.deserialize(&mut document)?;
    document.end()?;
    Ok(found)
}

/// Returns whether configs are asked for a key.
pub(super) fn is_known(key: &str) -> bool {
    KNOWN.binary_search(&key).is_ok()
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Part<'a> {
    left: &'a Cell<usize>,
    /// Whether an object keeps all of its keys.
    keeps_all: bool,
}

impl Part<'_> {
    /// Counts a value, of which there must not be too many.
    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom("the fields that are known have too many values"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            found.push(element);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.keeps_all || is_known(&key) {
                let part = Part { keeps_all: key == CLASSES, ..self };
                found.insert(key, entries.next_value_seed(part)?);
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_are_sorted() {
        assert!(KNOWN.is_sorted());
    }

    /// What is not known takes no memory, and what is known has an end.
    #[test]
    fn a_document_keeps_a_bounded_number_of_values() {
        let many = "{\"x\":{\"dim\":[{}]}},".repeat(100_000);
        let text = format!(r#"{{"other": [{many}0], "dim": 5, "x": {{"dim": 6}}}}"#);
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::json!({ "dim": 5 }));
        for text in [
            format!(r#"{{"layer_types": [{}0]}}"#, "{\"dim\":0},".repeat(20_000)),
            format!(r#"{{{}"dim": 0}}"#, "\"dim\":0,".repeat(20_000)),
            format!(r#"{{"auto_map": {{{}"b": 0}}}}"#, "\"a\":{},".repeat(20_000)),
        ] {
            assert!(read(text.as_bytes()).unwrap_err().to_string().contains("too many values"));
        }
        let layers = format!(r#"{{"layer_types": [{}null]}}"#, "\"full_attention\",".repeat(1023));
        assert_eq!(read(layers.as_bytes()).unwrap()["layer_types"].as_array().unwrap().len(), 1024);
    }

    #[test]
    fn known_fields_are_what_a_tree_of_all_has() {
        let text = r#"{"dim": 18446744073709551615, "factor": -1.5e3, "type": null, "bits": -4, "moe": {"num_experts": true,
            "more": [1]}, "auto_map": {"AutoModel": ["a.B", null], "AutoConfig": "c.D"}, "architectures": ["\u00e9"]}"#;
        let mut all: Value = serde_json::from_str(text).unwrap();
        all["moe"].as_object_mut().unwrap().remove("more");
        assert_eq!(read(text.as_bytes()).unwrap(), all);
        for text in ["", "{", "{} {}", "[1"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
