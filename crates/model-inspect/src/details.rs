//! The details of a model that its headers and configs tell.

use std::collections::BTreeMap;

use provisioner_core::{Format, ModelFacts};
use serde::{Deserialize, Serialize};

/// Tells what a model says of itself, in all detail. A field that is not known is absent, in JSON too. A header can lie, and
/// only a digest finds that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct DetailedFacts {
    /// The format of its weights: `gguf`, `safetensors` or `other`.
    pub format: Format,
    /// The size of all its files, in bytes.
    pub size_bytes: u64,
    /// The facts that engines ask for, and that records keep.
    #[serde(flatten)]
    pub facts: ModelFacts,

    /// The way in which its tokenizer splits text before it looks for tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer_pre: Option<String>,
    /// The width of one head's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_length: Option<u64>,
    /// The width of one head's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_length: Option<u64>,
    /// The number of the last tokens that some layers look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<u64>,
    /// The number of experts that a layer has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts: Option<u64>,
    /// The number of experts that one token asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experts_used: Option<u64>,
    /// The way in which it scales positions for long contexts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// The ids of special tokens, by what they are for, such as `eos`; several may end a text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub special_tokens: BTreeMap<String, Vec<u64>>,
    /// The models that it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub base_models: Vec<String>,
    /// The sums over the tensors of each type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tensor_types: BTreeMap<String, TypeShare>,
    /// The type in which an engine computes with its weights, by its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// The method that made its weights smaller, by its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<Quantizer>,
    /// The classes that `config.json` asks an engine to load from program code (`auto_map`), such as `modeling_x.Model`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remote_code: Vec<String>,
    /// The files of its tokenizer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokenizer_files: Vec<String>,
}

/// Says how a model scales positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RopeScaling {
    /// The method, such as `yarn`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The factor of the scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The longest context before scaling, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_ctx: Option<u64>,
}

/// Names the method that made weights smaller.
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

/// Sums over the tensors of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TypeShare {
    /// The number of tensors.
    pub tensors: u64,
    /// The number of their elements.
    pub elements: u64,
    /// The number of their bytes; absent for a type that is not known.
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

    /// The share of a type without tensors.
    pub(crate) const NOTHING: Self = Self { tensors: 0, elements: 0, bytes: Some(0) };
}

impl Default for DetailedFacts {
    fn default() -> Self {
        Self::unknown(Format::Other, 0)
    }
}

impl DetailedFacts {
    /// Describes a model of which only the format and the size are known.
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

    /// Returns the bytes of all its tensors. `None` where a type is not known, or there are none.
    pub(crate) fn weights_bytes(&self) -> Option<u64> {
        let sums: Option<Vec<u64>> = self.tensor_types.values().map(|share| share.bytes).collect();
        sums.filter(|sums| !sums.is_empty()).map(|sums| sums.into_iter().fold(0, u64::saturating_add))
    }

    /// Returns the number of elements of all its tensors, where it has tensors.
    pub(crate) fn elements(&self) -> Option<u64> {
        let all = self.tensor_types.values().map(|share| share.elements);
        (!self.tensor_types.is_empty()).then(|| all.fold(0, u64::saturating_add))
    }

    /// Returns the type that most of its weights have.
    pub(crate) fn main_type(&self) -> Option<String> {
        self.tensor_types.iter().max_by_key(|(_, share)| share.elements).map(|(name, _)| name.clone())
    }
}
