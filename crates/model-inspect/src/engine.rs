//! Estimates what an engine takes on a card beside weights, keys and values.
//!
//! # Model
//! An engine computes a model in steps of some tokens. It holds the results of a step's products in buffers whose sizes follow from
//! the widths of the model's tensors. `docs/memory.md` has the formulas, and says which loads they were compared with. One number is
//! measured and not derived: [`RUNTIME_BYTES`]. Where the formula of an architecture is not known, the share is an upper bound.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What CUDA, its libraries and the engine's own kernels took on an H100: at most 724 MiB in nine loads with llama.cpp b11434, made
/// full to a multiple of 64 MiB. A card with fewer processors needs less.
pub(crate) const RUNTIME_BYTES: u64 = 768 << 20;

/// How many tokens llama.cpp computes at once by default (`--ubatch-size`).
pub(crate) const LLAMA_CPP_TOKENS: u64 = 512;
/// How many tokens vLLM computes at once, where its default is highest (`--max-num-batched-tokens`).
const VLLM_TOKENS: u64 = 8192;
/// For how many sequences vLLM holds logits at once by default (`--max-num-seqs`).
const VLLM_SEQUENCES: u64 = 256;
/// The bytes that vLLM's sampler holds for each logit: the logit, its sorted copy and its probability in 32 bits, its index in 64.
const VLLM_LOGIT_BYTES: u64 = 4 + 4 + 4 + 8;
/// The tenths of the card that vLLM takes by default (`--gpu-memory-utilization`).
const VLLM_TENTHS: u64 = 9;

const F32_BYTES: u64 = 4;
const F16_BYTES: u64 = 2;

/// Architectures whose graph in llama.cpp is one attention and one feed-forward network (or some experts) after another, with nothing
/// beside them that is wider.
const KNOWN_ARCHITECTURES: [&str; 24] = [
    "command-r",
    "exaone",
    "gemma",
    "gemma2",
    "gemma3",
    "glm4",
    "gpt-oss",
    "granite",
    "granitemoe",
    "internlm2",
    "llama",
    "mistral3",
    "nemotron",
    "olmo",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "seed_oss",
    "smollm3",
    "stablelm",
    "starcoder2",
];

/// Widths of heads for which llama.cpp has kernels of flash attention on NVIDIA's cards (`ggml-cuda/fattn.cu`).
const FLASH_WIDTHS: [u64; 6] = [64, 80, 96, 112, 128, 256];

/// Names the engine that is to run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Engine {
    /// llama.cpp, with all layers on one card.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// vLLM, on one card.
    #[serde(rename = "vllm")]
    Vllm,
}

impl Engine {
    /// All engines whose share is known.
    pub const ALL: [Self; 2] = [Self::LlamaCpp, Self::Vllm];

    /// Returns the name of the engine.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vllm",
        }
    }

    /// Returns how many tokens the engine computes at once where the caller does not say.
    pub(crate) const fn tokens(self) -> u64 {
        match self {
            Self::LlamaCpp => LLAMA_CPP_TOKENS,
            Self::Vllm => VLLM_TOKENS,
        }
    }

    /// Returns why the engine does not load a format whose usual engine is another.
    pub(crate) fn refusal(self, usual: Option<Self>) -> Option<&'static str> {
        match (self, usual) {
            (Self::LlamaCpp, Some(Self::Vllm)) => Some("llama.cpp loads GGUF alone"),
            // vLLM reads GGUF as well.
            _ => None,
        }
    }

    /// Returns how much of a card's memory the engine takes, in bytes.
    pub(crate) fn usable_bytes(self, vram_bytes: u64) -> u64 {
        match self {
            Self::LlamaCpp => vram_bytes,
            // The quotient first, as the product may be more than 64 bits count.
            Self::Vllm => vram_bytes / 10 * VLLM_TENTHS + vram_bytes % 10 * VLLM_TENTHS / 10,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // People write `llamacpp` and `llama-cpp` too.
        let plain = |name: &str| name.to_ascii_lowercase().replace(['.', '-', '_'], "");
        let found = Self::ALL.into_iter().find(|engine| plain(engine.as_str()) == plain(text));
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("what `{text}` takes is not known here; these engines are: {names}")
        })
    }
}

/// Says whether llama.cpp computes attention in one kernel (`--flash-attn`), without a matrix of all pairs of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FlashAttention {
    /// It computes attention so, whatever the heads.
    On,
    /// It never computes attention so.
    Off,
    /// It computes attention so where the heads' widths allow it.
    #[default]
    Auto,
}

impl FromStr for FlashAttention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            _ => Err(format!("`{text}` is neither `on` nor `off` nor `auto`")),
        }
    }
}

/// Says how an engine is to compute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Computing {
    pub(crate) engine: Engine,
    /// How many tokens it computes at once.
    pub(crate) tokens: u64,
    pub(crate) flash_attn: FlashAttention,
    pub(crate) parallel: u64,
}

/// Says how wide a model is, as far as buffers for computing depend on it. Each count is of numbers for one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widths {
    /// The numbers that come out at the end: one for each token of the vocabulary.
    pub(crate) vocabulary: u64,
    /// The numbers between two layers.
    pub(crate) embedding: u64,
    /// The numbers that the matrices of the widest layer take and give, over the experts that one token asks.
    pub(crate) layer: u64,
    /// The numbers that the widest of those matrices takes or gives.
    pub(crate) widest: u64,
    /// The heads of a layer.
    pub(crate) heads: u64,
    /// The elements of the largest matrix that llama.cpp converts as a whole before it multiplies; 0 where it converts none.
    pub(crate) converted: u64,
    /// The bytes of token embeddings that llama.cpp leaves in the computer's memory.
    pub(crate) host_bytes: u64,
    /// Whether llama.cpp computes this architecture in a way that is known here.
    pub(crate) is_known: bool,
}

/// Says what the keys and values are over which a model computes attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention {
    /// The tokens that a layer keeps of one sequence.
    pub(crate) cells: u64,
    /// The tokens that a layer with a window keeps of one sequence; 0 where no layer has one.
    pub(crate) window_cells: u64,
    /// The elements of one token's keys and values, in the widest layer.
    pub(crate) elements: u64,
    /// Whether the engine keeps them in 16-bit floats.
    pub(crate) is_f16: bool,
    /// Whether the engine keeps values in blocks.
    pub(crate) has_blocks: bool,
    /// Whether all heads have widths for which there is flash attention.
    pub(crate) is_flash_width: bool,
}

/// Says what an engine takes on a card beside weights, keys and values, or leaves off it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EngineShare {
    /// The engine whose share this is.
    pub name: Engine,
    /// The bytes of all that it takes: its buffers, and its runtime.
    pub bytes: u64,
    /// The bytes of its buffers for computing.
    pub computing_bytes: u64,
    /// The bytes of its runtime: the context of CUDA, its libraries and kernels. This number was measured.
    pub runtime_bytes: u64,
    /// The bytes of weights that it leaves in the computer's memory.
    pub host_weights_bytes: u64,
    /// How many tokens it computes at once.
    pub tokens_at_once: u64,
    /// Says whether it is counted with flash attention.
    pub flash_attn: bool,
    /// Says whether this is an upper bound, and the engine may need less.
    pub at_most: bool,
}

/// Returns whether llama.cpp has flash attention for heads with keys and values so wide.
pub(crate) fn is_flash_width(key_length: u64, value_length: u64) -> bool {
    key_length == value_length && FLASH_WIDTHS.contains(&key_length)
}

/// Returns whether llama.cpp computes an architecture in a way that is known here.
pub(crate) fn is_known_architecture(name: &str) -> bool {
    KNOWN_ARCHITECTURES.contains(&name)
}

impl Widths {
    /// Returns an engine's share. `None` where it is more than 64 bits count; an error where the engine does not run it so.
    pub(crate) fn share(
        &self,
        attention: &Attention,
        computing: &Computing,
    ) -> Result<Option<EngineShare>, String> {
        match computing.engine {
            Engine::LlamaCpp => self.llama_cpp(attention, computing),
            Engine::Vllm if computing.flash_attn == FlashAttention::Off => {
                Err("what vllm takes without flash attention is not known here".to_owned())
            }
            Engine::Vllm => Ok(self.vllm(computing)),
        }
    }

    fn llama_cpp(&self, attention: &Attention, computing: &Computing) -> Result<Option<EngineShare>, String> {
        let flash_attn = match computing.flash_attn {
            FlashAttention::On => true,
            FlashAttention::Off if attention.has_blocks => {
                return Err("llama.cpp keeps values in blocks only with flash attention".to_owned());
            }
            FlashAttention::Off => false,
            // Where llama.cpp has none, it keeps no values in blocks either, and says so.
            FlashAttention::Auto => attention.has_blocks || (self.is_known && attention.is_flash_width),
        };
        let share = || {
            // It computes no more tokens than there are, and the same number for each sequence.
            let all_cells = attention.cells.checked_mul(computing.parallel)?;
            let tokens = computing.tokens.min(all_cells).checked_add(computing.parallel - 1)?;
            let of_tokens = |numbers: u64, bytes: u64| numbers.checked_mul(tokens)?.checked_mul(bytes);
            let cells = attention.cells.checked_add(attention.window_cells)?;
            let mask = of_tokens(cells, if flash_attn { F16_BYTES } else { F32_BYTES })?;
            let layer = of_tokens(self.layer, F32_BYTES)?;
            let output = of_tokens(self.embedding.checked_mul(2)?.checked_add(self.vocabulary)?, F32_BYTES)?;
            let products = if self.is_known { layer.max(output) } else { layer.checked_add(output)? };
            // A number for each pair of tokens in each head, and its copy in 16 bits for the product with the values.
            let pairs = if flash_attn {
                0
            } else {
                of_tokens(attention.cells.checked_mul(self.heads)?, F32_BYTES + F16_BYTES)?
            };
            let graph = mask.checked_add(products)?.checked_add(pairs)?;
            // Copies in 16 bits: of a matrix, of what goes in and comes out, of keys and values in another type.
            let cache = if attention.is_f16 { 0 } else { all_cells.checked_mul(attention.elements)? };
            let copied = self
                .widest
                .checked_mul(2)?
                .checked_mul(tokens)?
                .checked_add(self.converted)?
                .checked_add(cache)?;
            let computing_bytes = graph.checked_add(copied.checked_mul(F16_BYTES)?)?;
            Some(EngineShare {
                name: Engine::LlamaCpp,
                bytes: computing_bytes.checked_add(RUNTIME_BYTES)?,
                computing_bytes,
                runtime_bytes: RUNTIME_BYTES,
                host_weights_bytes: self.host_bytes,
                tokens_at_once: computing.tokens,
                flash_attn,
                at_most: !self.is_known,
            })
        };
        Ok(share())
    }

    /// Returns vLLM's share: what its first run with the most tokens and sequences holds. It was not measured here, so it is an upper
    /// bound: nothing is taken to be freed on the way.
    fn vllm(&self, computing: &Computing) -> Option<EngineShare> {
        let tokens = computing.tokens.max(computing.parallel);
        let numbers = self.embedding.checked_mul(2)?.checked_add(self.layer)?;
        let layer = numbers.checked_mul(tokens)?.checked_mul(F16_BYTES)?;
        let sequences = computing.parallel.max(VLLM_SEQUENCES);
        let logits = self.vocabulary.checked_mul(sequences)?.checked_mul(VLLM_LOGIT_BYTES)?;
        let computing_bytes = layer.checked_add(logits)?;
        Some(EngineShare {
            name: Engine::Vllm,
            bytes: computing_bytes.checked_add(RUNTIME_BYTES)?,
            computing_bytes,
            runtime_bytes: RUNTIME_BYTES,
            host_weights_bytes: 0,
            tokens_at_once: computing.tokens,
            flash_attn: true,
            at_most: true,
        })
    }
}
