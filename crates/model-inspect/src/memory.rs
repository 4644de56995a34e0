//! Estimates how much memory a model needs.
//!
//! # Model
//! A model needs its weights, and one key and one value for each token, each layer and each of its KV heads.
//! `docs/memory.md` has the formula and says what it leaves out. A sum that the header does not tell is `None`, and
//! [`kv_unknown`](MemoryEstimate::kv_unknown) says why.

use std::{fmt, str::FromStr};

use provisioner_core::MemoryFacts;
use serde::{Deserialize, Serialize};

use crate::gguf::TensorType;

/// Engines make caches in pieces of so many tokens (llama.cpp, `GGML_PAD(n_ctx, 256)`).
const PIECE_TOKENS: u64 = 256;
/// A layer with a window also holds the tokens of the current batch (llama.cpp's `--ubatch-size`, 512 by default).
const BATCH_TOKENS: u64 = 512;
/// Limits the context, in tokens, where the model names no longest one.
const LONGEST_CTX: u64 = 1 << 32;

/// Say why a sum is not known.
const UNKNOWN_WEIGHTS: &str = "it has no tensors, or some of a type whose size is not known here";
const NO_CONTEXT: &str = "the model names no longest context, and none is given";
const AT_MOST: &str = "it may need less: some of its layers have a window, and which ones is not told";
const TOO_MANY: &str = "it is more than can be counted";

/// Says in which type an engine keeps keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are llama.cpp's own, of `--cache-type-k`")]
pub enum KvType {
    F32,
    #[default]
    F16,
    Bf16,
    #[serde(rename = "q8_0")]
    Q8_0,
    #[serde(rename = "q4_0")]
    Q4_0,
    #[serde(rename = "q4_1")]
    Q4_1,
    #[serde(rename = "q5_0")]
    Q5_0,
    #[serde(rename = "q5_1")]
    Q5_1,
    Iq4Nl,
}

impl KvType {
    /// All types, in the order of llama.cpp's help.
    pub const ALL: [Self; 9] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Iq4Nl,
    ];

    /// Returns the name that `--cache-type-k` takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Iq4Nl => "iq4_nl",
        }
    }

    /// Returns the same type, of a tensor.
    const fn tensor_type(self) -> TensorType {
        TensorType::new(match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 30,
            Self::Q8_0 => 8,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Iq4Nl => 20,
        })
    }

    /// Returns the bytes of one head's elements, or why this type cannot keep them.
    fn bytes_of(self, what: &str, elements: u64) -> Result<u64, String> {
        let kind = self.tensor_type();
        match kind.block_elements().filter(|block| !elements.is_multiple_of(*block)) {
            Some(block) => {
                Err(format!("{self} keeps blocks of {block} elements, and a head's {what} have {elements}"))
            }
            None => Ok(kind.bytes_of(elements).ok_or(TOO_MANY)?),
        }
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KvType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no type of a cache; these are: {names}")
        })
    }
}

/// Says what one layer keeps of each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayer {
    /// The number of its KV heads; 0 where it has no attention.
    pub heads: u64,
    /// The number of elements of one head's keys.
    pub key_length: u64,
    /// The number of elements of one head's values.
    pub value_length: u64,
    /// How many of the last tokens the layer looks at; `None` for all of them.
    pub window: Option<u64>,
}

/// Says how an engine is to run a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryRequest {
    /// The context of each sequence, in tokens; `None` for the model's longest.
    pub ctx: Option<u64>,
    /// How many sequences run at once; at least one.
    pub parallel: u64,
    /// The type in which the engine keeps keys and values.
    pub cache: KvType,
    /// The memory that the engine has, in bytes; `None` where the caller does not know it.
    pub vram_bytes: Option<u64>,
}

/// Says how much memory a [`MemoryRequest`] needs. A sum that is not known is absent, and a reason says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Fit {
    /// The context of each sequence, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<u64>,
    /// The longest context that the model was made for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx_max: Option<u64>,
    /// Whether the request goes beyond that. The sums do not depend on it: engines warn, and run.
    pub exceeds_ctx_max: bool,
    /// The bytes of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<u64>,
    /// The bytes of the keys and values of all sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u64>,
    /// The bytes of both together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Whether that is an upper bound, and the engine may need less.
    pub at_most: bool,
    /// Whether the memory is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// The longest context of each sequence that fits, and that the model was made for, in tokens; 0 where none fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_ctx: Option<u64>,
    /// Why the sum is not known, or whether it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Estimates how much memory a model needs, as far as its header tells.
#[derive(Clone, Debug, Default)]
pub struct MemoryEstimate {
    weights_bytes: Option<u64>,
    layers: Option<Vec<KvLayer>>,
    kv_unknown: Option<String>,
    ctx_max: Option<u64>,
    at_most: bool,
}

impl MemoryEstimate {
    /// Makes an estimate from the bytes of the weights, what each layer keeps (or why that is not known), and
    /// the model's longest context.
    pub fn new(
        weights_bytes: Option<u64>,
        layers: Result<Vec<KvLayer>, String>,
        ctx_max: Option<u64>,
    ) -> Self {
        // Widths whose sum overflows are not known.
        let layers = layers.and_then(|layers| one_token(&layers, KvType::F32).map(|_| layers));
        let (layers, kv_unknown) = match layers {
            Ok(layers) => (Some(layers), None),
            Err(reason) => (None, Some(reason)),
        };
        Self { weights_bytes, layers, kv_unknown, ctx_max, at_most: false }
    }

    /// Says that the estimate is an upper bound: some layers have a window, and the header does not tell which.
    #[must_use]
    pub fn at_most(mut self, at_most: bool) -> Self {
        self.at_most = at_most && self.layers.is_some();
        self
    }

    /// Returns the bytes of all tensors.
    pub fn weights_bytes(&self) -> Option<u64> {
        self.weights_bytes
    }

    /// Returns what each layer keeps of a token.
    pub fn layers(&self) -> Option<&[KvLayer]> {
        self.layers.as_deref()
    }

    /// Says why it is not known what the layers keep.
    pub fn kv_unknown(&self) -> Option<&str> {
        self.kv_unknown.as_deref()
    }

    /// Returns the bytes of one token's keys and values in all layers. `None` where they are not known, or where a head does not
    /// consist of whole blocks of the type.
    pub fn kv_bytes_per_token(&self, cache: KvType) -> Option<u64> {
        one_token(self.layers.as_ref()?, cache).ok()
    }

    /// Returns the bytes of the keys and values of so many sequences, each with a context of so many tokens.
    pub fn kv_bytes(&self, ctx: u64, parallel: u64, cache: KvType) -> Option<u64> {
        self.keys_and_values(ctx, parallel, cache).ok()
    }

    /// Says how much memory a request needs, whether it fits, and the longest context that does.
    pub fn fit(&self, request: &MemoryRequest) -> Fit {
        let Self { weights_bytes, ctx_max, .. } = *self;
        let ctx = request.ctx.or(ctx_max);
        let kv_bytes = self.keys_and_values_of(ctx, request).ok();
        let total = self.total(ctx, request);
        let total_bytes = total.as_ref().ok().copied();
        // If the weights alone are too many, the rest does not matter.
        let least = if self.at_most { weights_bytes } else { total_bytes.or(weights_bytes) };
        let fits = request.vram_bytes.and_then(|vram| match least {
            Some(bytes) if bytes > vram => Some(false),
            _ => total_bytes.filter(|bytes| *bytes <= vram).map(|_| true),
        });
        let is_open = request.vram_bytes.is_some() && fits.is_none();
        Fit {
            ctx,
            ctx_max,
            exceeds_ctx_max: ctx_max.is_some() && ctx > ctx_max,
            weights_bytes,
            kv_bytes,
            total_bytes,
            at_most: self.at_most,
            fits,
            largest_ctx: request.vram_bytes.and_then(|vram| self.largest_ctx(vram, request)),
            reason: total.err().or_else(|| is_open.then(|| AT_MOST.to_owned())),
        }
    }

    /// Returns what the record of a model keeps of the estimate.
    pub fn summary(&self) -> Option<MemoryFacts> {
        let kv_bytes_per_token = self.kv_bytes_per_token(KvType::F16);
        let memory = MemoryFacts { weights_bytes: self.weights_bytes, kv_bytes_per_token };
        (memory != MemoryFacts::default()).then_some(memory)
    }

    /// Returns all that a request needs with this context, in bytes, or why that is not known.
    fn total(&self, ctx: Option<u64>, request: &MemoryRequest) -> Result<u64, String> {
        let kv = self.keys_and_values_of(ctx, request)?;
        let weights = self.weights_bytes.ok_or(UNKNOWN_WEIGHTS)?;
        Ok(weights.checked_add(kv).ok_or(TOO_MANY)?)
    }

    /// Returns the bytes of a request's keys and values with this context, or why they are not known.
    fn keys_and_values_of(&self, ctx: Option<u64>, request: &MemoryRequest) -> Result<u64, String> {
        self.known_layers()?;
        self.keys_and_values(ctx.ok_or(NO_CONTEXT)?, request.parallel, request.cache)
    }

    fn keys_and_values(&self, ctx: u64, parallel: u64, cache: KvType) -> Result<u64, String> {
        let mut sum = 0u64;
        for layer in self.known_layers()? {
            let bytes = layer.bytes(cache)?;
            let all =
                layer.tokens(ctx).and_then(|tokens| tokens.checked_mul(parallel.max(1))?.checked_mul(bytes));
            sum = all.and_then(|all| sum.checked_add(all)).ok_or(TOO_MANY)?;
        }
        Ok(sum)
    }

    fn known_layers(&self) -> Result<&[KvLayer], String> {
        self.layers().ok_or_else(|| self.kv_unknown.clone().unwrap_or_default())
    }

    /// Finds the longest context that fits. More context never needs less, so it halves the range between one that fits and one that
    /// does not.
    fn largest_ctx(&self, vram_bytes: u64, request: &MemoryRequest) -> Option<u64> {
        let fits = |ctx| self.total(Some(ctx), request).is_ok_and(|bytes| bytes <= vram_bytes);
        // If the sum for one token is known, it is known for all, up to an overflow.
        self.total(Some(1), request).ok()?;
        let (mut fitting, mut too_long) = (0, self.ctx_max.unwrap_or(LONGEST_CTX).min(LONGEST_CTX) + 1);
        while too_long - fitting > 1 {
            let middle = fitting + (too_long - fitting) / 2;
            if fits(middle) { fitting = middle } else { too_long = middle }
        }
        Some(fitting)
    }
}

impl KvLayer {
    /// Returns how many tokens of a sequence with this context the layer keeps.
    fn tokens(&self, ctx: u64) -> Option<u64> {
        let tokens = match self.window {
            Some(window) => ctx.min(window.checked_add(BATCH_TOKENS)?),
            None => ctx,
        };
        tokens.checked_next_multiple_of(PIECE_TOKENS)
    }

    /// Returns the bytes of one token, or why there is no such number.
    fn bytes(&self, cache: KvType) -> Result<u64, String> {
        if self.heads == 0 {
            return Ok(0);
        }
        let keys = cache.bytes_of("keys", self.key_length)?;
        let values = cache.bytes_of("values", self.value_length)?;
        let head = keys.checked_add(values).ok_or(TOO_MANY)?;
        Ok(head.checked_mul(self.heads).ok_or(TOO_MANY)?)
    }
}

/// Returns the bytes of one token's keys and values in all layers, or why there is no such number.
fn one_token(layers: &[KvLayer], cache: KvType) -> Result<u64, String> {
    layers.iter().try_fold(0u64, |sum, layer| Ok(sum.checked_add(layer.bytes(cache)?).ok_or(TOO_MANY)?))
}

#[cfg(test)]
mod tests;
