//! Headers that lie. Each is an error that says what is wrong; none is a panic.

use model_inspect::{Error, gguf::Header, inspect_model};
use proptest::prelude::*;
use testkit::FakeModel;

use crate::fixture::{InMemory, Raw, fault, text};

#[track_caller]
fn check(raw: &Raw, says: &str) {
    let fault = fault(raw);
    assert!(fault.contains(says), "{fault}");
    assert!(!fault.contains('\n') && fault.len() < 300, "{fault}");
}

#[test]
fn magic_and_version() {
    check(&Raw { magic: *b"GGUX", ..Raw::new() }, "it begins with \"GGUX\"");
    check(&Raw { magic: *b"vers", ..Raw::new() }, "Git LFS");
    check(&Raw { version: 99, ..Raw::new() }, "version 99");
    check(&Raw { version: 1, ..Raw::new() }, "version 1,");
    check(&Raw { version: 0, ..Raw::new() }, "version 0,");
    check(&Raw { version: 3u32.swap_bytes(), ..Raw::new() }, "big-endian GGUF, version 3");
    for version in [2, 3] {
        assert_eq!(Raw { version, ..Raw::new() }.read().unwrap().version(), version);
    }
    let unsupported = Raw { version: 1, ..Raw::new() }.read();
    assert!(matches!(unsupported, Err(Error::Unsupported { .. })), "{unsupported:?}");
}

#[test]
fn truncated_at_every_byte() {
    let sound = Raw::new()
        .string("general.architecture", "llama")
        .array("tokenizer.ggml.tokens", 8, 2, &[text("a"), text("b")].concat())
        .array("tokenizer.ggml.scores", 6, 2, &[0; 8])
        .tensor("t", &[4, 2], 0, 0)
        .data(32);
    sound.read().unwrap();
    let bytes = sound.bytes();
    for end in 0..bytes.len() {
        let read = Header::read(&mut bytes.get(..end).unwrap());
        let error = read.map(|_| end).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{end}: {error}");
    }
}

#[test]
fn a_real_models_header_truncated_at_every_byte() {
    let model = FakeModel::gguf().to_bytes();
    let header = Header::read(&mut model.as_slice()).unwrap();
    let end = usize::try_from(header.header_bytes()).unwrap();
    for end in 0..=end {
        assert!(Header::read(&mut model.get(..end).unwrap()).is_err(), "{end}");
    }
}

#[test]
fn counts() {
    check(&Raw { tensor_count: Some(1 << 63), ..Raw::new() }, "9223372036854775808 tensors");
    check(&Raw { key_count: Some(1 << 63), ..Raw::new() }, "9223372036854775808 keys");
    check(&Raw { tensor_count: Some(1 << 20), ..Raw::new() }, "truncated");
    check(&Raw { key_count: Some(1 << 16), ..Raw::new() }, "truncated");
    check(&Raw { key_count: Some(1), ..Raw::new() }, "truncated");
    for kind in 0..=12 {
        for count in [1 << 63, u64::MAX, 1 << 40, 1 << 60] {
            check(&Raw::new().array("k", kind, count, &[0; 64]), "truncated");
        }
    }
}

#[test]
fn lengths() {
    let long = (1u64 << 40).to_le_bytes();
    check(&Raw::new().key("k", 8, &long), "truncated: `k` needs 1099511627776 bytes");
    check(&Raw::new().array("k", 8, 1, &long), "truncated: a string needs 1099511627776 bytes");
    check(&Raw::new().array("k", 8, 1, &u64::MAX.to_le_bytes()), "truncated");
    let key = Raw { key_count: Some(1), ..Raw::new() };
    let name = |bytes: &[u8]| Header::read(&mut [&key.header(), bytes].concat().as_slice()).unwrap_err();
    assert!(name(&[long.as_slice(), &[0; 64]].concat()).to_string().contains("truncated"));
    let long_key = [&65_536u64.to_le_bytes(), "k".repeat(70_000).as_bytes()].concat();
    assert!(name(&long_key).to_string().contains("a key has 65536 bytes"));
    check(&Raw::new().tensor(&"t".repeat(1025), &[1], 0, 0).data(32), "name has 1025 bytes");
    assert!(name(&[0; 64]).to_string().contains("a key is empty"));
    let not_utf8 = [1u64.to_le_bytes().as_slice(), &[0xff], &[0; 64]].concat();
    assert!(name(&not_utf8).to_string().contains("not UTF-8"));
}

#[test]
fn types_and_truths() {
    check(&Raw::new().key("k", 13, &[0; 8]), "`k` has type 13");
    check(&Raw::new().array("k", 13, 0, &[]), "`k` has type 13");
    check(&Raw::new().key("k", 7, &[2]), "a truth of 2");
    check(&Raw::new().array("k", 7, 3, &[0, 1, 3]), "a truth of 3");
}

#[test]
fn nested_arrays() {
    let nested = |depth: usize| {
        let level = [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat();
        Raw::new().key("k", 9, &[level.repeat(depth), 0u32.to_le_bytes().to_vec(), vec![0; 8]].concat())
    };
    assert!(nested(3).read().is_ok());
    check(&nested(4), "more than 4 deep");
    check(&nested(100_000), "more than 4 deep");
}

#[test]
fn duplicates() {
    check(&Raw::new().u32("k", 1).u32("j", 1).u32("k", 1), "the key `k` is there twice");
    check(
        &Raw::new().tensor("t", &[1], 0, 0).tensor("t", &[1], 0, 32).data(64),
        "the tensor `t` is there twice",
    );
    let escaped = Raw::new().u32("a\nb\u{1b}", 1).u32("a\nb\u{1b}", 1);
    check(&escaped, r"`a\nb\u{1b}`");
    let turned = Raw::new().u32("a\u{202e}b\u{200b}\u{feff}", 1).u32("a\u{202e}b\u{200b}\u{feff}", 1);
    check(&turned, r"`a\u{202e}b\u{200b}\u{feff}`");
    check(&Raw::new().u32(&"k".repeat(5000), 1).u32(&"k".repeat(5000), 1), "k…`");
}

#[test]
fn alignment() {
    for wrong in [0, 3, 33, u32::MAX] {
        check(&Raw::new().u32("general.alignment", wrong), "power of two");
    }
    check(&Raw::new().string("general.alignment", "32"), "`general.alignment` has a type other than u32");
    check(&Raw::new().key("general.alignment", 10, &32u64.to_le_bytes()), "type other than u32");
    check(&Raw::new().u32("general.alignment", 0), "`general.alignment` is 0, and");
    for sound in [1, 8, 64, 1 << 31] {
        assert!(Raw::new().u32("general.alignment", sound).read().is_ok());
    }
    check(&Raw::new().tensor("t", &[1], 0, 4).data(64), "no multiple of the alignment 32");
    let narrow = Raw::new().u32("general.alignment", 4).tensor("t", &[1], 0, 0).tensor("u", &[1], 0, 4);
    let narrow = narrow.data(64);
    assert!(narrow.read().is_ok());
}

#[test]
fn tensors_outside_of_the_file() {
    // After one of an unknown type, a tensor may begin anywhere.
    let tensor = |offset, data| Raw::new().tensor("s", &[1], 99, 0).tensor("t", &[8], 0, offset).data(data);
    assert!(tensor(32, 64).read().is_ok());
    check(&tensor(32, 63), "truncated or wrong");
    check(&tensor(64, 64), "truncated or wrong");
    check(&tensor(1 << 62, 64), "truncated or wrong");
    check(&tensor(u64::MAX - 31, 64), "truncated or wrong");
    check(&Raw::new().tensor("t", &[1], 0, 0), "truncated or wrong");
    check(
        &Raw::new().tensor("t", &[9], 0, 0).data(32),
        "tensor `t` begins at 0, has 36 bytes, and the file has 32",
    );
}

#[test]
fn overlapping_tensors() {
    let pair = |offset| Raw::new().tensor("a", &[9], 0, 0).tensor("b", &[8], 0, offset).data(96);
    assert!(pair(64).read().is_ok());
    check(&pair(32), "tensor `b` begins at 32, before tensor `a` ends");
    check(&pair(0), "before tensor `a` ends");
    // Of a type that is not known, only the beginning is.
    let unknown = |offset| Raw::new().tensor("a", &[9], 99, 0).tensor("b", &[8], 0, offset).data(96);
    assert_eq!(unknown(32).read().unwrap().tensors()[0].bytes, None);
    check(&unknown(0), "before tensor `a` ends");
    check(&Raw::new().tensor("a", &[9], 99, 0), "truncated or wrong");
}

#[test]
fn gaps_between_tensors() {
    let three = |first, second, third| {
        let raw = Raw::new().tensor("a", &[8], 0, first).tensor("b", &[9], 0, second);
        raw.tensor("c", &[8], 0, third).data(256)
    };
    // What follows the last tensor belongs to no tensor: writers may pad it, and put other things behind it.
    assert!(three(0, 32, 96).read().is_ok());
    check(&three(32, 64, 128), "tensor `a` begins at 32, and should begin at 0");
    check(
        &three(0, 64, 128),
        "tensor `b` begins at 64, and should begin at 32: tensors follow each other without gaps",
    );
    check(&three(0, 32, 128), "tensor `c` begins at 128, and should begin at 96");
    // The order of the list is that of the data.
    check(&three(32, 0, 96), "tensor `a` begins at 32, and should begin at 0");
    // Where a tensor of an unknown type ends is not known; where those after it do is.
    let unknown = |third| {
        let raw = Raw::new().tensor("a", &[9], 99, 0).tensor("b", &[8], 0, 64);
        raw.tensor("c", &[8], 0, third).data(160)
    };
    assert!(unknown(96).read().is_ok());
    check(&unknown(128), "tensor `c` begins at 128, and should begin at 96");
    check(&unknown(32), "tensor `c` begins at 32, before tensor `b` ends");
}

#[test]
fn dimensions() {
    let tensor = |dimensions: &[u64], kind| Raw::new().tensor("t", dimensions, kind, 0).data(64);
    check(&tensor(&[1; 5], 0), "has 5 dimensions");
    check(&tensor(&[1 << 32, 1 << 32], 0), "more elements than 63 bits count");
    check(&tensor(&[u64::MAX], 0), "more elements than 63 bits count");
    check(&tensor(&[2, u64::MAX], 0), "more elements than 63 bits count");
    for dimensions in [&[0][..], &[0, 7], &[7, 0], &[1, 1, 1, 0], &[0, u64::MAX]] {
        for kind in [0, 8, 99] {
            check(&tensor(dimensions, kind), "tensor `t` has a dimension of zero");
        }
    }
    for dropped in [4, 5, 31, 32, 33, 36, 37, 38] {
        check(
            &tensor(&[32], dropped),
            &format!("tensor `t` has type {dropped}, which the format has dropped"),
        );
    }
    assert_eq!(tensor(&[], 0).read().unwrap().tensors()[0].elements, 1, "a number alone");
    check(&tensor(&[1 << 62], 28), "more bytes than 64 bits count");
    check(&tensor(&[33], 8), "has rows of 33 elements, and Q8_0 keeps 32 at a time");
    check(&tensor(&[16, 2], 8), "rows of 16 elements");
    assert_eq!(tensor(&[32], 8).read().unwrap().tensors()[0].bytes, Some(34));
    assert_eq!(tensor(&[32], 9).read().unwrap().tensors()[0].bytes, Some(36));
}

/// A header with everything in it, for changes at random.
fn everything() -> Vec<u8> {
    Raw::new()
        .string("general.architecture", "a")
        .u32("a.block_count", 2)
        .u32("a.embedding_length", 32)
        .u32("a.attention.head_count", 2)
        .array("a.attention.head_count_kv", 4, 2, &[1, 0, 0, 0, 2, 0, 0, 0])
        .u32("a.attention.sliding_window", 8)
        .u32("a.attention.sliding_window_pattern", 2)
        .array("tokenizer.ggml.tokens", 8, 2, &[text("a"), text("b")].concat())
        .tensor("t", &[4, 2], 0, 0)
        .tensor("u", &[32], 8, 32)
        .data(96)
        .bytes()
}

#[test]
fn names_of_files_are_escaped() {
    for name in ["a\u{202e}b.gguf", "a\u{2066}b.safetensors"] {
        let error = inspect_model(&InMemory::new([(name, vec![0; 64])])).unwrap_err().to_string();
        assert!(error.starts_with(r"`a\u{20"), "{error}");
    }
    // Marks belong to the letters before them.
    let error = inspect_model(&InMemory::new([("a\u{308} b.gguf", vec![0; 64])])).unwrap_err().to_string();
    assert!(error.starts_with("`a\u{308} b.gguf`: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in ["x.gguf", "x.safetensors", "model.safetensors.index.json"] {
            let _ = inspect_model(&InMemory::new([(name, bytes.clone())]));
        }
        let magic = [b"GGUF\x03\0\0\0".as_slice(), &bytes].concat();
        let _ = inspect_model(&InMemory::new([("x.gguf", magic)]));
    }

    #[test]
    fn any_change(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = everything();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(found) = inspect_model(&InMemory::new([("x.gguf", bytes)])) {
            for cache in model_inspect::KvType::ALL {
                let _ = found.memory.kv_bytes(1 << 20, 4, cache);
            }
        }
    }
}
