//! What is known of a model, as commands and the handoff tell it.

use std::collections::BTreeMap;

use provisioner_core::{Format, ModelFacts};
use serde::{Deserialize, Serialize};

/// What a model says of itself. What is not known is absent, in JSON too. Nothing here is proven: a header can lie, and
/// only a digest finds that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct ModelInfo {
    /// What its weights are written in: `gguf`, `safetensors` or `other`.
    pub format: Format,
    /// The size of all its files, in bytes.
    pub size_bytes: u64,
    /// What engines ask for, and records keep.
    #[serde(flatten)]
    pub facts: ModelFacts,

    /// How its tokenizer splits text before it looks for tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_pre: Option<String>,
    /// The width of one head's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_length: Option<u64>,
    /// The width of one head's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_length: Option<u64>,
    /// How many of the last tokens some layers look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<u64>,
    /// How many experts a layer has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts: Option<u64>,
    /// How many experts one token asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts_used: Option<u64>,
    /// How positions are scaled for long contexts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// The ids of special tokens, by what they are for, such as `eos`; several may end a text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub special_tokens: BTreeMap<String, Vec<u64>>,
    /// The models that it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub base_models: Vec<String>,
    /// What the tensors of each type come to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tensor_types: BTreeMap<String, TypeShare>,
    /// The type that its weights are computed in, by its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// What made its weights smaller, by its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<Quantizer>,
    /// The code of its own that it asks an engine to run (`auto_map`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_code: Vec<String>,
    /// The files of its tokenizer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokenizer_files: Vec<String>,
}

/// How positions are scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RopeScaling {
    /// The method, such as `yarn`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// By how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The longest context before scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_ctx: Option<u64>,
}

/// What made weights smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Quantizer {
    /// The method, such as `gptq`.
    pub method: String,
    /// The bits of one weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
}

/// What the tensors of one type come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TypeShare {
    /// How many tensors there are.
    pub tensors: u64,
    /// How many elements they have.
    pub elements: u64,
    /// How many bytes they have; absent for a type that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl TypeShare {
    /// Adds another share of the same type.
    pub(crate) fn add(&mut self, other: Self) {
        self.tensors += other.tensors;
        self.elements = self.elements.saturating_add(other.elements);
        self.bytes = self.bytes.zip(other.bytes).map(|(sum, bytes)| sum.saturating_add(bytes));
    }

    /// Of no tensor.
    pub(crate) const NOTHING: Self = Self { tensors: 0, elements: 0, bytes: Some(0) };
}

impl Default for ModelInfo {
    fn default() -> Self {
        Self::unknown(Format::Other, 0)
    }
}

impl ModelInfo {
    /// A model of which only the format and the size are known.
    pub fn unknown(format: Format, size_bytes: u64) -> Self {
        Self {
            format,
            size_bytes,
            facts: ModelFacts::default(),
            tokenizer_pre: None,
            key_length: None,
            value_length: None,
            sliding_window: None,
            experts: None,
            experts_used: None,
            rope_scaling: None,
            special_tokens: BTreeMap::new(),
            base_models: Vec::new(),
            tensor_types: BTreeMap::new(),
            dtype: None,
            quantizer: None,
            remote_code: Vec::new(),
            tokenizer_files: Vec::new(),
        }
    }

    /// The bytes of all its tensors. `None` where a type is not known, or there are none.
    pub(crate) fn weights_bytes(&self) -> Option<u64> {
        let sums: Option<Vec<u64>> = self.tensor_types.values().map(|share| share.bytes).collect();
        sums.filter(|sums| !sums.is_empty()).map(|sums| sums.into_iter().fold(0, u64::saturating_add))
    }

    /// The elements of all its tensors, where it has tensors.
    pub(crate) fn elements(&self) -> Option<u64> {
        let all = self.tensor_types.values().map(|share| share.elements);
        (!self.tensor_types.is_empty()).then(|| all.fold(0, u64::saturating_add))
    }

    /// The type that most of its weights have.
    pub(crate) fn main_type(&self) -> Option<String> {
        self.tensor_types.iter().max_by_key(|(_, share)| share.elements).map(|(name, _)| name.clone())
    }
}
