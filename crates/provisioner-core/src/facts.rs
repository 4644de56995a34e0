//! What is known of a model without loading it.

use serde::{Deserialize, Serialize};

/// What a model says of itself. What is not known is absent, in JSON too. Nothing here is proven: a header can lie, and
/// only a digest finds that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct ModelFacts {
    /// What an engine must know to run it, such as `llama`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The longest context that it was made for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx_max: Option<u64>,
    /// How many weights it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_count: Option<u64>,
    /// How its weights are kept, such as `Q4_K_M` or `BF16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// How many layers it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<u64>,
    /// How many attention heads a layer has; the most, where layers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<u64>,
    /// How many heads a layer has for keys and values; the most, where layers differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<u64>,
    /// The width of its embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_length: Option<u64>,
    /// How many tokens it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<u64>,
    /// The kind of its tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_model: Option<String>,
    /// Whether it brings a template for chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_chat_template: Option<bool>,
    /// Its licence, as it names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// In how many files its weights are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u64>,
    /// What it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryFacts>,
}

/// What a model needs at least, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryFacts {
    /// The weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<u64>,
    /// The keys and values of one token in all layers, in 16 bits each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
}
