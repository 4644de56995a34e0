//! Arguments of `inspect`, and the memory that a model is to run in.

use std::ffi::OsString;

use clap::Args;
use model_provisioner::{Engine, FlashAttention, KvType, MemoryRequest};

use super::{
    hub::HubOptions,
    units::{count, memory},
};

pub(super) const INSPECT_EXAMPLES: &str = "\
Examples:
  model-provisioner inspect /models/a.gguf
      says what the model is, and what its weights and one token need
  model-provisioner inspect hf:org/repo:Q4_K_M --ctx 8192 --parallel 4 --kv-type q8_0 --vram 24GiB
      says whether four sequences of 8192 tokens fit, and the longest that would; fetches nothing but headers
  model-provisioner inspect /models/a.gguf --ctx 8192 --vram 24GiB --json | jq .fit.fits
      true, false, or null where that is not known; then .fit.reason says why

What llama.cpp or vLLM takes beside weights, keys and values is counted; name the card's own size.";

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A file, a folder, any shard of a set, an id of the catalog, or `hf:org/repo…`, of which only headers are read
    #[arg(value_name = "PATH-or-REF")]
    pub(crate) reference: OsString,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) hub: HubOptions,
}

// What the caller wants to run with the model, and in how much memory.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MemoryArgs {
    /// The context of each sequence, in tokens [default: the longest that the model was made for]
    #[arg(long, value_name = "N", value_parser = count)]
    ctx: Option<u64>,
    /// How many sequences run at once [default: 1]
    #[arg(long, value_name = "N", value_parser = count)]
    parallel: Option<u64>,
    /// How keys and values are kept, by the names of llama.cpp's `--cache-type-k` [default: f16]
    #[arg(long, value_name = "T")]
    kv_type: Option<KvType>,
    /// The memory of the card, such as 24GiB
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    vram: Option<u64>,
    /// The engine that is to run it: llama.cpp or vllm [default: llama.cpp for GGUF, vllm for safetensors]
    #[arg(long, value_name = "NAME")]
    engine: Option<Engine>,
    /// How many tokens the engine computes at once: llama.cpp's `--ubatch-size`, vLLM's `--max-num-batched-tokens` [default: 512, 8192]
    #[arg(long, value_name = "N", value_parser = count)]
    ubatch: Option<u64>,
    /// Whether llama.cpp uses flash attention: on, off or auto [default: auto]
    #[arg(long, value_name = "WHEN")]
    flash_attn: Option<FlashAttention>,
}

impl MemoryArgs {
    /// Returns the request that the options make together, with defaults for those that are absent.
    pub(crate) fn request(self) -> MemoryRequest {
        let Self { ctx, parallel, kv_type, vram, engine, ubatch, flash_attn } = self;
        MemoryRequest {
            ctx,
            parallel: parallel.unwrap_or(1),
            kv_type: kv_type.unwrap_or_default(),
            vram_bytes: vram,
            engine,
            tokens_at_once: ubatch,
            flash_attn: flash_attn.unwrap_or_default(),
        }
    }

    /// Returns whether the caller gave any of the options.
    pub(crate) fn is_given(self) -> bool {
        let Self { ctx, parallel, kv_type, vram, engine, ubatch, flash_attn } = self;
        ctx.or(parallel).or(vram).or(ubatch).is_some()
            || kv_type.is_some()
            || engine.is_some()
            || flash_attn.is_some()
    }
}
