//! Estimates how much memory a model needs.
//!
//! # Model
//! A model needs its weights, one key and one value for each token, each layer and each of its KV heads, and what the engine takes
//! beside them. `docs/memory.md` has the formula and says what it leaves out. A sum that the header does not tell is `None`, and
//! [`kv_unknown`](MemoryEstimate::kv_unknown) says why.

use std::{fmt, str::FromStr};

use provisioner_core::MemoryFacts;
use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        Attention, Computing, Engine, EngineShare, FlashAttention, LLAMA_CPP_TOKENS, Widths, is_flash_width,
    },
    gguf::TensorType,
};

/// Engines make caches in pieces of so many tokens (llama.cpp, `GGML_PAD(n_ctx, 256)`).
const PIECE_TOKENS: u64 = 256;
/// Limits the context, in tokens, where the model names no longest one.
const LONGEST_CTX: u64 = 1 << 32;

/// Say why a sum is not known.
const UNKNOWN_WEIGHTS: &str = "it has no tensors, or some of a type whose size is not known here";
const NO_CONTEXT: &str = "the model names no longest context, and none is given";
const AT_MOST: &str = "it may need less: some of its layers have a window, and which ones is not told";
const ENGINE_AT_MOST: &str = "it may need less: what the engine takes is an upper bound";
const UNKNOWN_WIDTHS: &str = "how wide its layers are is not told, so what the engine takes is not known";
const TOO_MANY: &str = "it is more than can be counted";

/// Says in which type an engine keeps keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
            format!("`{text}` is no type of a kv_type; these are: {names}")
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
    pub kv_type: KvType,
    /// The memory of the card, in bytes; `None` where the caller does not know it.
    pub vram_bytes: Option<u64>,
    /// The engine that is to run the model; `None` for the usual one of its format: llama.cpp for GGUF, vLLM for safetensors.
    pub engine: Option<Engine>,
    /// How many tokens the engine computes at once; `None` for its default.
    pub tokens_at_once: Option<u64>,
    /// Says whether llama.cpp computes attention in one kernel.
    pub flash_attn: FlashAttention,
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
    /// Says whether the request goes beyond that. The sums do not depend on it: engines warn, and run.
    pub exceeds_ctx_max: bool,
    /// The bytes of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<u64>,
    /// The bytes of the keys and values of all sequences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u64>,
    /// Counts what the engine takes beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineShare>,
    /// The bytes of all together on the card, without the weights that the engine leaves in the computer's memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// How much of the card's memory the engine takes for all that, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable_bytes: Option<u64>,
    /// Says whether that is an upper bound, and the engine may need less.
    pub at_most: bool,
    /// Says whether the memory is enough.
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
    widths: Option<Widths>,
    engine: Option<Engine>,
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
        Self { weights_bytes, layers, kv_unknown, ctx_max, at_most: false, widths: None, engine: None }
    }

    /// Says that the estimate is an upper bound: some layers have a window, and the header does not tell which.
    #[must_use]
    pub fn at_most(mut self, at_most: bool) -> Self {
        self.at_most = at_most && self.layers.is_some();
        self
    }

    /// Says how wide the model is, where that is told, and which engine is the usual one of its format.
    #[must_use]
    pub(crate) fn computed_by(mut self, engine: Engine, widths: Option<Widths>) -> Self {
        (self.engine, self.widths) = (Some(engine), widths);
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
    pub fn kv_bytes_per_token(&self, kv_type: KvType) -> Option<u64> {
        one_token(self.layers.as_ref()?, kv_type).ok()
    }

    /// Returns the bytes of the keys and values of so many sequences, each with a context of so many tokens.
    pub fn kv_bytes(&self, ctx: u64, parallel: u64, kv_type: KvType) -> Option<u64> {
        self.keys_and_values(ctx, parallel, kv_type, LLAMA_CPP_TOKENS).ok()
    }

    /// Says how much memory a request needs, whether it fits, and the longest context that does.
    pub fn fit(&self, request: &MemoryRequest) -> Fit {
        let Self { weights_bytes, ctx_max, .. } = *self;
        let ctx = request.ctx.or(ctx_max);
        let kv_bytes = self.keys_and_values_of(ctx, request).ok();
        let engine = self.share(ctx, request).ok();
        let total = self.total(ctx, request);
        let total_bytes = total.as_ref().ok().copied();
        let usable_bytes = request.vram_bytes.map(|vram| self.engine_of(request).usable_bytes(vram));
        let is_bound = engine.is_some_and(|share| share.at_most);
        // If the weights alone are too many, the rest does not matter.
        let least = match total_bytes.filter(|_| !self.at_most && !is_bound) {
            Some(total) => Some(total),
            None => self
                .weights_on_card(request)
                .map(|weights| weights.saturating_add(kv_bytes.filter(|_| !self.at_most).unwrap_or(0))),
        };
        let fits = usable_bytes.and_then(|usable| match least {
            Some(bytes) if bytes > usable => Some(false),
            _ => total_bytes.filter(|bytes| *bytes <= usable).map(|_| true),
        });
        let is_open = request.vram_bytes.is_some() && fits.is_none();
        let why = if self.at_most { AT_MOST } else { ENGINE_AT_MOST };
        Fit {
            ctx,
            ctx_max,
            exceeds_ctx_max: ctx_max.is_some() && ctx > ctx_max,
            weights_bytes,
            kv_bytes,
            engine,
            total_bytes,
            usable_bytes,
            at_most: self.at_most || is_bound,
            fits,
            largest_ctx: usable_bytes.and_then(|usable| self.largest_ctx(usable, request)),
            reason: total.err().or_else(|| is_open.then(|| why.to_owned())),
        }
    }

    /// Returns what the record of a model keeps of the estimate.
    pub fn summary(&self) -> Option<MemoryFacts> {
        let kv_bytes_per_token = self.kv_bytes_per_token(KvType::F16);
        let memory = MemoryFacts { weights_bytes: self.weights_bytes, kv_bytes_per_token };
        (memory != MemoryFacts::default()).then_some(memory)
    }

    /// Returns all that a request needs on the card with this context, in bytes, or why that is not known.
    fn total(&self, ctx: Option<u64>, request: &MemoryRequest) -> Result<u64, String> {
        self.loading_engine(request)?;
        let kv = self.keys_and_values_of(ctx, request)?;
        self.weights_bytes.ok_or(UNKNOWN_WEIGHTS)?;
        let share = self.share(ctx, request)?;
        let weights = self.weights_on_card(request).ok_or(UNKNOWN_WEIGHTS)?;
        let sum = weights.checked_add(kv).and_then(|sum| sum.checked_add(share.bytes));
        Ok(sum.ok_or(TOO_MANY)?)
    }

    /// Returns the bytes of the weights that the engine puts on the card.
    fn weights_on_card(&self, request: &MemoryRequest) -> Option<u64> {
        // Weights in another format are other weights.
        let is_left = self.loading_engine(request).ok()? == Engine::LlamaCpp;
        let host_bytes = self.widths.filter(|_| is_left).map_or(0, |widths| widths.host_bytes);
        Some(self.weights_bytes?.saturating_sub(host_bytes))
    }

    /// Returns what the engine takes with this context, or why that is not known.
    fn share(&self, ctx: Option<u64>, request: &MemoryRequest) -> Result<EngineShare, String> {
        let (layers, ctx) = (self.known_layers()?, ctx.ok_or(NO_CONTEXT)?);
        let widths = self.widths.ok_or(UNKNOWN_WIDTHS)?;
        let tokens = self.tokens_of(request);
        let engine = self.loading_engine(request)?;
        let computing =
            Computing { engine, tokens, flash_attn: request.flash_attn, parallel: request.parallel.max(1) };
        let keeping = || layers.iter().filter(|layer| layer.heads > 0);
        let window_cells =
            keeping().filter(|layer| layer.window.is_some()).map(|layer| layer.tokens(ctx, tokens));
        let elements = keeping()
            .map(|layer| layer.key_length.saturating_add(layer.value_length).saturating_mul(layer.heads));
        let attention = Attention {
            cells: ctx.checked_next_multiple_of(PIECE_TOKENS).ok_or(TOO_MANY)?,
            window_cells: window_cells.max().unwrap_or(Some(0)).ok_or(TOO_MANY)?,
            elements: elements.max().unwrap_or(0),
            is_f16: request.kv_type == KvType::F16,
            has_blocks: request.kv_type.tensor_type().block_elements() > Some(1),
            is_flash_width: keeping().all(|layer| is_flash_width(layer.key_length, layer.value_length)),
        };
        Ok(widths.share(&attention, &computing)?.ok_or(TOO_MANY)?)
    }

    fn engine_of(&self, request: &MemoryRequest) -> Engine {
        request.engine.or(self.engine).unwrap_or(Engine::LlamaCpp)
    }

    /// Returns the engine, or why it does not load the model.
    fn loading_engine(&self, request: &MemoryRequest) -> Result<Engine, String> {
        let engine = self.engine_of(request);
        engine.refusal(self.engine).map_or(Ok(engine), |reason| Err(reason.to_owned()))
    }

    fn tokens_of(&self, request: &MemoryRequest) -> u64 {
        request.tokens_at_once.unwrap_or_else(|| self.engine_of(request).tokens()).max(1)
    }

    /// Returns the bytes of a request's keys and values with this context, or why they are not known.
    fn keys_and_values_of(&self, ctx: Option<u64>, request: &MemoryRequest) -> Result<u64, String> {
        self.known_layers()?;
        let tokens = self.tokens_of(request);
        self.keys_and_values(ctx.ok_or(NO_CONTEXT)?, request.parallel, request.kv_type, tokens)
    }

    fn keys_and_values(
        &self,
        ctx: u64,
        parallel: u64,
        kv_type: KvType,
        tokens_at_once: u64,
    ) -> Result<u64, String> {
        let mut sum = 0u64;
        for layer in self.known_layers()? {
            let bytes = layer.bytes(kv_type)?;
            let tokens = layer.tokens(ctx, tokens_at_once);
            let all = tokens.and_then(|tokens| tokens.checked_mul(parallel.max(1))?.checked_mul(bytes));
            sum = all.and_then(|all| sum.checked_add(all)).ok_or(TOO_MANY)?;
        }
        Ok(sum)
    }

    fn known_layers(&self) -> Result<&[KvLayer], String> {
        self.layers().ok_or_else(|| self.kv_unknown.clone().unwrap_or_default())
    }

    /// Finds the longest context that fits. More context never needs less, so it halves the range between one that fits and one that
    /// does not.
    fn largest_ctx(&self, usable_bytes: u64, request: &MemoryRequest) -> Option<u64> {
        let fits = |ctx| self.total(Some(ctx), request).is_ok_and(|bytes| bytes <= usable_bytes);
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
    /// Returns how many tokens of a sequence with this context the layer keeps. With a window, it keeps those in work too.
    fn tokens(&self, ctx: u64, tokens_at_once: u64) -> Option<u64> {
        let tokens = match self.window {
            Some(window) => ctx.min(window.checked_add(tokens_at_once)?),
            None => ctx,
        };
        tokens.checked_next_multiple_of(PIECE_TOKENS)
    }

    /// Returns the bytes of one token, or why there is no such number.
    fn bytes(&self, kv_type: KvType) -> Result<u64, String> {
        if self.heads == 0 {
            return Ok(0);
        }
        let keys = kv_type.bytes_of("keys", self.key_length)?;
        let values = kv_type.bytes_of("values", self.value_length)?;
        let head = keys.checked_add(values).ok_or(TOO_MANY)?;
        Ok(head.checked_mul(self.heads).ok_or(TOO_MANY)?)
    }
}

/// Returns the bytes of one token's keys and values in all layers, or why there is no such number.
fn one_token(layers: &[KvLayer], kv_type: KvType) -> Result<u64, String> {
    layers.iter().try_fold(0u64, |sum, layer| Ok(sum.checked_add(layer.bytes(kv_type)?).ok_or(TOO_MANY)?))
}

#[cfg(test)]
mod tests;
