//! What an engine takes on a card: beside what was measured, and by its properties.

use std::io;

use model_inspect::{
    ByteSource, Engine, Fit, FlashAttention, Inspection, KvType, ListedFile, MemoryRequest, ModelSource,
    inspect_model,
};
use proptest::prelude::*;
use provisioner_core::RelativePath;

use crate::fixture::{Counted, Raw};

const MIB: u64 = 1 << 20;
const F32: (u32, u64, u64) = (0, 1, 4);
const F16: (u32, u64, u64) = (1, 1, 2);
const Q4_0: (u32, u64, u64) = (2, 32, 18);
const Q6_K: (u32, u64, u64) = (14, 256, 210);

/// A model's shape, as engines know it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    architecture: &'static str,
    layers: u32,
    embedding: u64,
    /// The width of the feed-forward network, or of an expert.
    inner: u64,
    experts: Option<(u64, u64)>,
    heads: u64,
    kv_heads: u64,
    vocabulary: u64,
    /// The type of the weights, and that of the output where it has a matrix of its own.
    weights: (u32, u64, u64),
    output: Option<(u32, u64, u64)>,
}

const LLAMA: Shape = Shape {
    architecture: "llama",
    layers: 32,
    embedding: 4096,
    inner: 14336,
    experts: None,
    heads: 32,
    kv_heads: 8,
    vocabulary: 128_256,
    weights: Q4_0,
    output: Some(Q6_K),
};
const QWEN2: Shape = Shape {
    architecture: "qwen2",
    layers: 28,
    embedding: 1536,
    inner: 8960,
    experts: None,
    heads: 12,
    kv_heads: 2,
    vocabulary: 151_936,
    weights: F16,
    output: None,
};
const QWEN3_MOE: Shape = Shape {
    architecture: "qwen3moe",
    layers: 48,
    embedding: 2048,
    inner: 768,
    experts: Some((128, 8)),
    heads: 32,
    kv_heads: 4,
    vocabulary: 151_936,
    weights: Q4_0,
    output: Some(Q4_0),
};

/// A header, and the size that its file would have.
struct Claimed {
    header: Vec<u8>,
    files: Vec<ListedFile>,
}

impl ModelSource for Claimed {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn open(&self, _: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        let mut source = Counted::new(self.header.as_slice());
        source.size = self.files[0].size_bytes;
        Ok(Box::new(source))
    }
}

impl Shape {
    /// Inspects a model of this shape, of which only the header is there.
    fn inspect(&self) -> Inspection {
        let key = |name: &str| format!("{}.{name}", self.architecture);
        let number = |count: u64| u32::try_from(count).unwrap();
        let mut raw = Raw::new()
            .string("general.architecture", self.architecture)
            .u32(&key("context_length"), 131_072)
            .u32(&key("block_count"), self.layers)
            .u32(&key("embedding_length"), number(self.embedding))
            .u32(&key("attention.head_count"), number(self.heads))
            .u32(&key("attention.head_count_kv"), number(self.kv_heads))
            .u32(&key("attention.key_length"), 128)
            .u32(&key("attention.value_length"), 128);
        if let Some((all, used)) = self.experts {
            raw = raw.u32(&key("expert_count"), number(all)).u32(&key("expert_used_count"), number(used));
        }
        let mut end = 0u64;
        let mut put = |name: &str, dimensions: &[u64], (kind, elements, bytes): (u32, u64, u64)| {
            let tensor = raw.clone().tensor(name, dimensions, kind, end);
            end += dimensions.iter().product::<u64>() / elements * bytes;
            end = end.next_multiple_of(32);
            raw = tensor;
        };
        let (embedding, inner) = (self.embedding, self.inner);
        let (queries, kept) = (self.heads * 128, self.kv_heads * 128);
        put("token_embd.weight", &[embedding, self.vocabulary], self.weights);
        for layer in 0..self.layers {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            put(&name("attn_norm"), &[embedding], F32);
            put(&name("attn_q"), &[embedding, queries], self.weights);
            put(&name("attn_k"), &[embedding, kept], self.weights);
            put(&name("attn_v"), &[embedding, kept], self.weights);
            put(&name("attn_output"), &[queries, embedding], self.weights);
            put(&name("ffn_norm"), &[embedding], F32);
            let experts: Vec<u64> = self.experts.iter().map(|(all, _)| *all).collect();
            if let Some((all, _)) = self.experts {
                put(&name("ffn_gate_inp"), &[embedding, all], F32);
            }
            put(&name("ffn_gate"), &[&[embedding, inner], experts.as_slice()].concat(), self.weights);
            put(&name("ffn_up"), &[&[embedding, inner], experts.as_slice()].concat(), self.weights);
            put(&name("ffn_down"), &[&[inner, embedding], experts.as_slice()].concat(), self.weights);
        }
        put("output_norm.weight", &[embedding], F32);
        if let Some(kind) = self.output {
            put("output.weight", &[embedding, self.vocabulary], kind);
        }
        let header = raw.header();
        let size_bytes = (header.len() as u64).next_multiple_of(32) + end;
        let listed = ListedFile { path: "m.gguf".parse().unwrap(), size_bytes, format: None };
        inspect_model(&Claimed { header, files: vec![listed] }).unwrap()
    }
}

/// What llama.cpp b11434 took at its peak on one NVIDIA H100 (driver 580.159.04, CUDA 13), in MiB by `nvidia-smi`, without what the card
/// took when idle: `llama-batched-bench -ngl 999 -fa on -npp 512 -ntg 8`, `--batch-size 2048 --ubatch-size 512`. Context of a sequence,
/// sequences, type of the cache, MiB of weights with keys and values, MiB taken.
const MEASURED: [(Shape, u64, u64, KvType, u64, u64); 9] = [
    (LLAMA, 4096, 1, KvType::F16, 4950, 5563),
    (LLAMA, 8192, 4, KvType::F16, 8534, 9153),
    (LLAMA, 32768, 1, KvType::Q8_0, 6614, 7255),
    (QWEN2, 4096, 1, KvType::F16, 3057, 4077),
    (QWEN2, 8192, 4, KvType::F16, 3841, 4869),
    (QWEN2, 32768, 1, KvType::Q8_0, 3421, 4471),
    (QWEN3_MOE, 4096, 1, KvType::F16, 16805, 17697),
    (QWEN3_MOE, 8192, 4, KvType::F16, 19493, 20397),
    (QWEN3_MOE, 32768, 1, KvType::Q8_0, 18053, 18945),
];

#[test]
fn nine_loads_take_what_is_estimated_and_no_more() {
    for (shape, ctx, parallel, cache, weights_and_kv, taken) in MEASURED {
        let request = MemoryRequest {
            ctx: Some(ctx),
            parallel,
            kv_type: cache,
            flash_attn: FlashAttention::On,
            ..MemoryRequest::default()
        };
        let fit = shape.inspect().memory.fit(&request);
        let named = format!("{} {ctx} x {parallel} {cache}", shape.architecture);
        let both = fit.weights_bytes.unwrap() + fit.kv_bytes.unwrap();
        // The header is that of the measured model, but for its norms and biases.
        assert!(both.abs_diff(weights_and_kv * MIB) < 2 * MIB, "{named}: {} MiB", both / MIB);
        let (total, taken) = (fit.total_bytes.unwrap(), taken * MIB);
        let hundredths = total * 10_000 / taken;
        assert!((10_000..=10_600).contains(&hundredths), "{named}: {hundredths} of 10000");
        let engine = fit.engine.unwrap();
        assert!(engine.flash_attn && !engine.at_most && !fit.at_most, "{named}");
        assert_eq!(engine.bytes, engine.computing_bytes + engine.runtime_bytes);
        assert_eq!(total, both + engine.bytes - engine.host_weights_bytes);
    }
}

#[test]
fn token_embeddings_stay_off_the_card_where_the_output_has_its_own_matrix() {
    let left = |shape: Shape| {
        let fit = shape.inspect().memory.fit(&MemoryRequest { ctx: Some(256), ..MemoryRequest::default() });
        fit.engine.unwrap().host_weights_bytes
    };
    assert_eq!(left(LLAMA), 128_256 * 4096 / 32 * 18);
    assert_eq!(left(QWEN2), 0, "the card gets them as the output's matrix");
}

/// Returns the answer for one shape and all that a request says.
fn fit(shape: Shape, request: MemoryRequest) -> Fit {
    shape.inspect().memory.fit(&request)
}

fn of(ctx: u64) -> MemoryRequest {
    MemoryRequest { ctx: Some(ctx), parallel: 1, ..MemoryRequest::default() }
}

#[test]
fn an_architecture_that_is_not_known_has_an_upper_bound() {
    let strange = Shape { architecture: "strange", ..LLAMA };
    let (known, bound) = (fit(LLAMA, of(4096)), fit(strange, of(4096)));
    assert!(bound.at_most && bound.engine.unwrap().at_most && !known.at_most);
    assert!(bound.total_bytes > known.total_bytes);
    let within = |vram_bytes: Option<u64>| fit(strange, MemoryRequest { vram_bytes, ..of(4096) });
    assert_eq!(within(bound.total_bytes).fits, Some(true));
    // Less than the bound may be enough, and less than weights, keys and values is not.
    let open = within(bound.total_bytes.map(|bytes| bytes - 1));
    assert_eq!(open.fits, None);
    assert!(open.reason.unwrap().contains("what the engine takes is an upper bound"));
    let least = bound.weights_bytes.zip(bound.kv_bytes).map(|(weights, kv)| weights + kv - 1);
    assert_eq!(within(least).fits, Some(false));
    // No pair of tokens is held where the caller knows that the engine has flash attention.
    let flash = MemoryRequest { flash_attn: FlashAttention::On, ..of(4096) };
    assert!(fit(strange, flash).total_bytes < bound.total_bytes);
}

#[test]
fn a_header_without_names_that_are_known_has_an_upper_bound_too() {
    let raw = Raw::new()
        .string("general.architecture", "a")
        .u32("a.context_length", 4096)
        .u32("a.block_count", 1)
        .u32("a.embedding_length", 64)
        .u32("a.attention.head_count", 1)
        .tensor("odd", &[64, 1000], F32.0, 0)
        .data(64 * 1000 * 4);
    let found = inspect_model(&crate::fixture::InMemory::new([("x.gguf", raw.bytes())])).unwrap();
    let fit = found.memory.fit(&of(4096));
    assert!(fit.at_most && fit.engine.unwrap().computing_bytes > 1000 * 512 * 4, "{fit:?}");
}

#[test]
fn attention_without_its_kernel_holds_each_pair_of_tokens() {
    let with = |flash_attn| fit(LLAMA, MemoryRequest { flash_attn, ..of(8192) });
    let (on, off) = (with(FlashAttention::On), with(FlashAttention::Off));
    let more = off.total_bytes.unwrap() - on.total_bytes.unwrap();
    // In 32 bits, a copy in 16 bits, and a mask in 32 bits instead of 16.
    assert_eq!(more, 8192 * 512 * (32 * (4 + 2) + 2));
    assert_eq!(with(FlashAttention::Auto), on);
    let blocks = MemoryRequest { flash_attn: FlashAttention::Off, kv_type: KvType::Q8_0, ..of(8192) };
    let refused = fit(LLAMA, blocks);
    assert_eq!((refused.total_bytes, refused.engine), (None, None));
    assert_eq!(refused.reason.unwrap(), "llama.cpp keeps values in blocks only with flash attention");
}

#[test]
fn vllm_takes_a_share_of_the_card() {
    let request = |vram_bytes| MemoryRequest { engine: Some(Engine::Vllm), vram_bytes, ..of(4096) };
    let needed = fit(LLAMA, request(None)).total_bytes.unwrap();
    let on = |vram_bytes: u64| fit(LLAMA, request(Some(vram_bytes)));
    assert_eq!(
        (on(needed).fits, on(needed).usable_bytes),
        (None, Some(needed / 10 * 9 + needed % 10 * 9 / 10))
    );
    assert_eq!(on(needed.div_ceil(9) * 10).fits, Some(true));
    assert_eq!(on(4 << 30).fits, Some(false), "the weights alone are more than nine tenths");
    let share = on(80 << 30).engine.unwrap();
    assert!(share.at_most && share.host_weights_bytes == 0 && share.tokens_at_once == 8192);
    assert_eq!(on(u64::MAX).usable_bytes, Some(u64::MAX / 10 * 9 + 4));
}

#[test]
fn what_an_engine_does_not_do_is_not_known() {
    let off = MemoryRequest { engine: Some(Engine::Vllm), flash_attn: FlashAttention::Off, ..of(4096) };
    let off = fit(LLAMA, off);
    assert_eq!((off.total_bytes, off.engine), (None, None));
    assert_eq!(off.reason.unwrap(), "what vllm takes without flash attention is not known here");
    for name in ["llama.cpp", "llamacpp", "llama-cpp", "LLaMA_cpp"] {
        assert_eq!(name.parse(), Ok(Engine::LlamaCpp), "{name}");
    }
    assert!("llama".parse::<Engine>().unwrap_err().contains("llama.cpp, vllm"));
}

#[test]
fn the_largest_context_is_one_that_fits_with_the_engine() {
    for shape in [LLAMA, QWEN2, QWEN3_MOE] {
        let request = MemoryRequest { vram_bytes: Some(24 << 30), ..of(4096) };
        let largest = fit(shape, request).largest_ctx.unwrap();
        let at = |ctx| fit(shape, MemoryRequest { ctx: Some(ctx), ..request });
        assert_eq!(at(largest).fits, Some(true));
        let is_all = largest == 131_072;
        assert!(is_all || at(largest + 1).fits == Some(false), "{largest}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// More of anything never takes less.
    #[test]
    fn more_never_takes_less(
        ctx in 1u64..1 << 20,
        parallel in 1u64..300,
        tokens in 1u64..1 << 14,
        more in 0u64..5000,
        which in 0usize..4,
        engine in prop::sample::select(Engine::ALL.to_vec()),
        cache in prop::sample::select(vec![KvType::F16, KvType::F32, KvType::Bf16]),
    ) {
        let strange = Shape { architecture: "strange", ..LLAMA };
        let memory = [LLAMA, QWEN2, QWEN3_MOE, strange][which].inspect().memory;
        let request = MemoryRequest {
            ctx: Some(ctx),
            parallel,
            kv_type: cache,
            engine: Some(engine),
            tokens_at_once: Some(tokens),
            flash_attn: FlashAttention::On,
            ..MemoryRequest::default()
        };
        let total = |request: MemoryRequest| memory.fit(&request).total_bytes.unwrap();
        let least = total(request);
        // What vLLM takes without it is not known.
        let off = if engine == Engine::Vllm { FlashAttention::Auto } else { FlashAttention::Off };
        let larger = [
            MemoryRequest { ctx: Some(ctx + more), ..request },
            MemoryRequest { parallel: parallel + more, ..request },
            MemoryRequest { tokens_at_once: Some(tokens + more), ..request },
            MemoryRequest { flash_attn: off, ..request },
            MemoryRequest { flash_attn: FlashAttention::Auto, ..request },
        ];
        for larger in larger {
            let most = total(larger);
            prop_assert!(most >= least, "{:?}", larger);
        }
        let fit = memory.fit(&request);
        prop_assert!(least >= fit.kv_bytes.unwrap() + fit.engine.unwrap().bytes);
    }

    /// Numbers that no engine has are an answer without a sum, or with one.
    #[test]
    fn hostile_numbers_are_no_panic(
        ctx in prop_oneof![any::<u64>(), Just(u64::MAX)],
        parallel in prop_oneof![any::<u64>(), Just(u64::MAX)],
        tokens in prop_oneof![any::<u64>(), Just(u64::MAX)],
        vram in any::<u64>(),
        engine in prop::sample::select(Engine::ALL.to_vec()),
        flash_attn in prop::sample::select(vec![FlashAttention::On, FlashAttention::Off, FlashAttention::Auto]),
    ) {
        let request = MemoryRequest {
            ctx: Some(ctx),
            parallel,
            kv_type: KvType::F32,
            vram_bytes: Some(vram),
            engine: Some(engine),
            tokens_at_once: Some(tokens),
            flash_attn,
        };
        let fit = QWEN2.inspect().memory.fit(&request);
        prop_assert!(fit.total_bytes.is_some() || fit.reason.is_some());
        prop_assert!(fit.fits != Some(true) || fit.total_bytes <= fit.usable_bytes);
    }
}

#[test]
fn hostile_widths_saturate() {
    // Matrices with the most elements that the format counts, of a type whose size is not known: their bytes are not, either.
    let most = i64::MAX as u64;
    let raw = Raw::new()
        .string("general.architecture", "llama")
        .u32("llama.context_length", 4096)
        .u32("llama.block_count", 1)
        .u32("llama.embedding_length", u32::MAX)
        .u32("llama.attention.head_count", 1)
        .u32("llama.expert_count", 4)
        .u32("llama.expert_used_count", u32::MAX)
        .tensor("blk.0.a.weight", &[most, 1], 99, 0)
        .tensor("blk.0.b.weight", &[1, most], 99, 32)
        .tensor("blk.0.c.weight", &[1, 1 << 31, 1 << 31], 99, 64)
        .tensor("blk.18446744073709551616.c.weight", &[1, most], 99, 96)
        .tensor("token_embd.weight", &[most, 1], 99, 128)
        .tensor("output.weight", &[1, most], 99, 160)
        .data(192);
    let found = inspect_model(&crate::fixture::InMemory::new([("x.gguf", raw.bytes())])).unwrap();
    for engine in Engine::ALL {
        let fit = found.memory.fit(&MemoryRequest { engine: Some(engine), ..of(4096) });
        assert_eq!((fit.total_bytes, fit.engine.is_none()), (None, true), "{fit:?}");
    }
}
