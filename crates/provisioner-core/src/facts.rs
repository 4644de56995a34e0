//! Says what a model's own files tell of it.

use serde::{Deserialize, Serialize};

use crate::choice::Role;

/// Holds what a model says of itself. A field that the model does not state is absent, in JSON too. Nothing here is proven: a
/// header can lie, and only a digest finds that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct ModelFacts {
    /// Says what the file is for an engine, where it is a companion of a model and not one, such as `projector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The architecture by which an engine chooses its code, such as `llama`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The name that the model gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The longest context that the model was trained for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx_max: Option<u64>,
    /// The number of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_count: Option<u64>,
    /// How the weights are stored, such as `Q4_K_M` or `BF16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// The number of layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u64>,
    /// The number of attention heads of a layer: the largest, where layers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<u64>,
    /// The number of heads of a layer for keys and values: the largest, where layers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<u64>,
    /// The width of the embeddings, in numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_length: Option<u64>,
    /// The number of tokens in the vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<u64>,
    /// The kind of the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_model: Option<String>,
    /// Says whether the model has a template for chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_chat_template: Option<bool>,
    /// The licence, as the model names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The number of files that hold the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u64>,
    /// The least memory that the model needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryFacts>,
}

/// Says how much memory a model needs at least, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryFacts {
    /// The size of the weights, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<u64>,
    /// The size of the keys and values of one token in all layers, in bytes, at 16 bits each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
}
