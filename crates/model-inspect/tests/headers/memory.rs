//! What headers of GGUF tell of keys and values.

use model_inspect::{Inspection, KvType, inspect_model};

use crate::fixture::{InMemory, Raw};

/// Four layers of four heads, two of them for keys and values, of 16 elements each.
fn llama() -> Raw {
    Raw::new()
        .string("general.architecture", "a")
        .u32("a.context_length", 4096)
        .u32("a.block_count", 4)
        .u32("a.embedding_length", 64)
        .u32("a.attention.head_count", 4)
}

fn found(raw: &Raw) -> Inspection {
    inspect_model(&InMemory::new([("x.gguf", raw.bytes())])).unwrap()
}

/// The elements of keys and of values, over all heads, and the window of each layer.
#[track_caller]
fn check(raw: &Raw, expected: [(u64, u64, Option<u64>); 4]) {
    let found = found(raw);
    let layers = found.memory.layers().unwrap_or_else(|| panic!("{:?}", found.memory.kv_unknown()));
    let layers: Vec<_> =
        layers.iter().map(|l| (l.heads * l.key_length, l.heads * l.value_length, l.window)).collect();
    assert_eq!(layers, expected);
}

#[track_caller]
fn unknown(raw: &Raw, says: &str) {
    let found = found(raw);
    let reason = found.memory.kv_unknown().unwrap().to_owned();
    assert!(reason.contains(says), "{reason}");
    assert_eq!(found.memory.kv_bytes_per_token(KvType::F16), None);
    assert_eq!(found.details.facts.memory, None);
}

fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn heads_and_widths() {
    check(&llama(), [(64, 64, None); 4]);
    check(&llama().u32("a.attention.head_count_kv", 2), [(32, 32, None); 4]);
    let wide = llama().u32("a.attention.head_count_kv", 1).u32("a.attention.key_length", 192);
    check(&wide.u32("a.attention.value_length", 128), [(192, 128, None); 4]);
    let each = llama().array("a.attention.head_count_kv", 4, 4, &numbers(&[1, 2, 0, 4]));
    check(&each, [(16, 16, None), (32, 32, None), (0, 0, None), (64, 64, None)]);
    let details = found(&each).details;
    assert_eq!(
        (details.facts.kv_heads, details.facts.memory.unwrap().kv_bytes_per_token),
        (Some(4), Some(7 * 16 * 2 * 2))
    );
}

#[test]
fn layers_that_share() {
    let found = found(&llama().u32("a.attention.shared_kv_layers", 3));
    assert_eq!(found.memory.layers().unwrap().len(), 1);
}

#[test]
fn windows() {
    let windowed = llama().u32("a.attention.sliding_window", 512);
    let (full, some) = ((64, 64, None), (64, 64, Some(512)));
    // Which layers have it is not told: none is counted as if it had.
    check(&windowed, [full; 4]);
    check(&windowed.clone().u32("a.attention.sliding_window_pattern", 2), [full, some, full, some]);
    check(&windowed.clone().u32("a.attention.sliding_window_pattern", 3), [full, some, some, full]);
    check(&windowed.clone().u32("a.attention.sliding_window_pattern", 1), [full; 4]);
    check(&windowed.clone().u32("a.attention.sliding_window_pattern", 0), [some; 4]);
    let each = windowed.array("a.attention.sliding_window_pattern", 7, 4, &[1, 1, 1, 0]);
    check(&each, [some, some, some, full]);
    // Layers with a window may have heads of another width.
    let narrow = each.u32("a.attention.key_length_swa", 8).u32("a.attention.value_length_swa", 4);
    check(&narrow, [(32, 16, Some(512)), (32, 16, Some(512)), (32, 16, Some(512)), full]);
    unknown(&llama().u32("a.attention.key_length_swa", 8), "no usable");
}

#[test]
fn windows_that_are_the_architectures_own() {
    // What llama.cpp takes for such models: 35.75 MiB, and 98.25 MiB.
    let bytes = |architecture: &str| {
        let key = |name: &str| format!("{architecture}.{name}");
        let raw = Raw::new()
            .string("general.architecture", architecture)
            .u32(&key("context_length"), 65_536)
            .u32(&key("block_count"), 12)
            .u32(&key("embedding_length"), 64)
            .u32(&key("attention.head_count"), 4)
            .u32(&key("attention.head_count_kv"), 2)
            .u32(&key("attention.key_length"), 32)
            .u32(&key("attention.value_length"), 32)
            .u32(&key("attention.sliding_window"), 1024);
        found(&raw).memory.kv_bytes(65_536, 1, KvType::F16).unwrap()
    };
    assert_eq!(bytes("gemma3"), 143 << 18);
    assert_eq!(bytes("gemma2"), 393 << 18);
    assert_eq!(bytes("other"), 192 << 20, "which layers have it is not told");
}

#[test]
fn a_projector_is_needed_too() {
    let model = |name: &'static str, raw: Raw| (name, raw.tensor("t", &[32], 0, 0).data(128).bytes());
    let projector = || Raw::new().string("general.architecture", "clip").string("general.type", "mmproj");
    let both = InMemory::new([model("m.gguf", llama()), model("mmproj-x.gguf", projector())]);
    let weights = |model: &InMemory| inspect_model(model).unwrap().memory.weights_bytes();
    assert_eq!(weights(&both), Some(256));
    assert_eq!(inspect_model(&both).unwrap().details.facts.parameter_count, Some(32));
    assert_eq!(weights(&InMemory::new([model("mmproj-x.gguf", projector())])), Some(128));
}

#[test]
fn what_is_not_counted() {
    unknown(&llama().u32("a.ssm.state_size", 16), "recurrent");
    unknown(&llama().u32("a.wkv.head_size", 64), "recurrent");
    unknown(&llama().u32("a.shortconv.l_cache", 3), "recurrent");
    unknown(&llama().u32("a.attention.kv_lora_rank", 512), "MLA");
    unknown(&llama().u32("a.attention.indexer.head_count", 1), "index");
    unknown(&llama().u32("a.decoder_block_count", 4), "encoder");
    unknown(&llama().key("a.attention.causal", 7, &[0]), "not a model that writes on");
    unknown(&Raw::new().string("general.architecture", "gemma-embedding"), "not a model that writes on");
    unknown(&Raw::new().string("general.architecture", "a"), "`a.block_count`");
    unknown(
        &Raw::new().string("general.architecture", "a").u32("a.block_count", u32::MAX),
        "`a.block_count`",
    );
    unknown(
        &Raw::new().string("general.architecture", "a").u32("a.block_count", 4),
        "`a.attention.head_count`",
    );
    unknown(&llama().array("a.attention.head_count_kv", 4, 2, &numbers(&[1, 1])), "no usable");
    unknown(&llama().u32("a.attention.shared_kv_layers", 4), "`a.attention.shared_kv_layers`");
    let turned = Raw::new().string("general.architecture", "a\u{202e}b");
    unknown(&turned, r"no usable `a\u{202e}b.block_count`");
    let endless = llama().key("a.attention.key_length", 10, &u64::MAX.to_le_bytes());
    unknown(&endless, "more than can be counted");
}

/// The same, with another value for one key.
fn with(key: &str, value: u32) -> Raw {
    let mut raw = llama();
    raw.keys.retain(|found| !found.windows(key.len()).any(|part| part == key.as_bytes()));
    raw.u32(key, value)
}

#[test]
fn zeros_are_no_counts() {
    unknown(&with("a.attention.head_count", 0), "`a.attention.head_count`");
    unknown(&with("a.block_count", 0), "`a.block_count`");
    unknown(&llama().u32("a.attention.head_count_kv", 0), "`a.attention.head_count_kv`");
    unknown(&llama().u32("a.attention.key_length", 0), "no usable");
    unknown(&llama().u32("a.attention.value_length", 0), "no usable");
    let none = llama().array("a.attention.head_count_kv", 4, 4, &numbers(&[0; 4]));
    unknown(&none, "`a.attention.head_count_kv`");
    let facts = |raw: &Raw| found(raw).details.facts;
    assert_eq!(facts(&with("a.context_length", 0)).ctx_max, None);
    assert_eq!(facts(&with("a.block_count", 0)).layers, None);
    assert_eq!(facts(&with("a.embedding_length", 0)).embedding_length, None);
    assert_eq!(facts(&llama().u32("a.vocab_size", 0)).vocab_size, None);
    let headless = facts(&with("a.attention.head_count", 0));
    assert_eq!((headless.heads, headless.kv_heads), (None, None));
    assert_eq!(facts(&llama().u32("a.attention.head_count_kv", 0)).kv_heads, None);
    let details = found(&llama().u32("a.attention.key_length", 0)).details;
    assert_eq!((details.key_length, details.value_length), (None, Some(16)));
}

#[test]
fn heads_that_do_not_divide() {
    let uneven = with("a.attention.head_count", 5);
    unknown(&uneven, "no usable");
    assert_eq!((found(&uneven).details.key_length, found(&uneven).details.value_length), (None, None));
    // What the header tells needs no division.
    let told = uneven.u32("a.attention.key_length", 16).u32("a.attention.value_length", 8);
    check(&told, [(80, 40, None); 4]);
    unknown(&llama().u32("a.attention.head_count_kv", 3), "no usable");
    unknown(&llama().u32("a.attention.head_count_kv", 8), "no usable");
    let each = llama().array("a.attention.head_count_kv", 4, 4, &numbers(&[1, 2, 3, 4]));
    unknown(&each, "no usable");
    // Layers with heads of their own number, one of them without attention.
    let heads = with("a.attention.head_count", 0);
    let heads = Raw { keys: heads.keys[..heads.keys.len() - 1].to_vec(), ..heads };
    let each = heads.array("a.attention.head_count", 4, 4, &numbers(&[4, 6, 0, 8]));
    let each = each.array("a.attention.head_count_kv", 4, 4, &numbers(&[2, 3, 0, 8]));
    check(&each, [(32, 32, None), (48, 48, None), (0, 0, None), (128, 128, None)]);
}
