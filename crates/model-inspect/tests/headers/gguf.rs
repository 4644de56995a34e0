//! What sound headers tell.

use std::io::Cursor;

use model_inspect::{
    Inspection, Seekable,
    gguf::{Header, Value},
    inspect, inspect_model,
};
use provisioner_core::Format;
use testkit::FakeModel;

use crate::fixture::{InMemory, Raw, text};

fn found(raw: &Raw) -> Inspection {
    inspect_model(&InMemory::new([("x.gguf", raw.bytes())])).unwrap()
}

#[test]
fn a_model_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = FakeModel::gguf().write_to(dir.path(), "tiny").unwrap().remove(0);
    let size = fs_err::metadata(&file).unwrap().len();
    let found = serde_json::to_value(inspect(&file).unwrap().details).unwrap();
    let expected = serde_json::json!({
        "format": "gguf",
        "architecture": "llama",
        "name": "Tiny",
        "size_bytes": size,
        "ctx_max": 256,
        "parameter_count": 31_968,
        "quantization": "F16",
        "layers": 1,
        "heads": 2,
        "kv_heads": 1,
        "embedding_length": 32,
        "vocab_size": 354,
        "tokenizer_model": "llama",
        "tokenizer_pre": "default",
        "has_chat_template": true,
        "license": "cc0-1.0",
        "shards": 1,
        "memory": { "weights_bytes": 64_128, "kv_bytes_per_token": 64 },
        "key_length": 16,
        "value_length": 16,
        "special_tokens": { "bos": [1], "eos": [2], "unknown": [0] },
        "tensor_types": {
            "F16": { "tensors": 9, "elements": 31_872, "bytes": 63_744 },
            "F32": { "tensors": 3, "elements": 96, "bytes": 384 },
        },
    });
    assert_eq!(found, expected);
    let back: model_inspect::DetailedFacts = serde_json::from_value(found).unwrap();
    assert_eq!(serde_json::to_value(back).unwrap(), expected);
}

#[test]
fn what_is_not_known_is_absent() {
    let found = found(&Raw::new());
    let json = serde_json::to_value(&found.details).unwrap();
    let size = Raw::new().bytes().len();
    let expected = serde_json::json!(
        { "format": "gguf", "size_bytes": size, "has_chat_template": false, "shards": 1 }
    );
    assert_eq!(json, expected);
    assert_eq!(found.memory.kv_unknown(), Some("it names no architecture"));
}

#[test]
fn any_source_reads_alike() {
    let bytes = FakeModel::gguf().to_bytes();
    let of_slice = Header::read(&mut bytes.as_slice()).unwrap();
    let of_reader = Header::read(&mut Seekable::new(Cursor::new(&bytes)).unwrap()).unwrap();
    assert_eq!(of_slice.values(), of_reader.values());
    assert_eq!(of_slice.tensors(), of_reader.tensors());
    assert_eq!(of_slice.tensors().len(), 12);
}

#[test]
fn every_type_of_value() {
    let value = |kind: u32, bytes: &[u8]| {
        Raw::new().key("k", kind, bytes).read().unwrap().value("k").cloned().unwrap()
    };
    assert_eq!(value(0, &[200]), Value::Unsigned(200));
    assert_eq!(value(1, &[200]), Value::Signed(-56));
    assert_eq!(value(2, &40_000u16.to_le_bytes()), Value::Unsigned(40_000));
    assert_eq!(value(3, &(-2i16).to_le_bytes()), Value::Signed(-2));
    assert_eq!(value(4, &u32::MAX.to_le_bytes()), Value::Unsigned(u32::MAX.into()));
    assert_eq!(value(5, &(-5i32).to_le_bytes()), Value::Signed(-5));
    assert_eq!(value(6, &1.5f32.to_le_bytes()), Value::Float(1.5));
    assert_eq!(value(7, &[1]), Value::Bool(true));
    assert_eq!(value(8, &text("ä")), Value::Text("ä".to_owned()));
    assert_eq!(value(8, &[1, 0, 0, 0, 0, 0, 0, 0, 0xff]), Value::Text("\u{fffd}".to_owned()));
    assert_eq!(value(10, &u64::MAX.to_le_bytes()), Value::Unsigned(u64::MAX));
    assert_eq!(value(11, &i64::MIN.to_le_bytes()), Value::Signed(i64::MIN));
    assert_eq!(value(12, &0.1f64.to_le_bytes()), Value::Float(0.1));
    assert_eq!(value(8, &text(&"x".repeat(70_000))), Value::LongText { bytes: 70_000 });
    let few = Raw::new().array("k", 5, 2, &[1, 0, 0, 0, 255, 255, 255, 255]).read().unwrap();
    let few = few.value("k").and_then(Value::as_array).unwrap().clone();
    assert_eq!((few.len, few.items().collect::<Vec<_>>()), (2, vec![Value::Signed(1), Value::Signed(-1)]));
    assert_eq!((few.item(1), few.item(2)), (Some(Value::Signed(-1)), None));
    let many = Raw::new().array("k", 0, 2000, &[7; 2000]).read().unwrap();
    let many = many.value("k").and_then(Value::as_array).unwrap().clone();
    assert_eq!((many.len, many.items().count(), many.item(0)), (2000, 0, None));
}

#[test]
fn quantizations() {
    let check = |raw: Raw, expected: Option<&str>| {
        assert_eq!(found(&raw).details.facts.quantization.as_deref(), expected);
    };
    check(Raw::new().u32("general.file_type", 15), Some("Q4_K_M"));
    check(Raw::new().u32("general.file_type", 1024 + 7), Some("Q8_0"));
    check(Raw::new().u32("general.file_type", 0), Some("F32"));
    check(Raw::new(), None);
    // Where the header does not tell, the type of most weights does.
    let tensors = Raw::new().tensor("a", &[64], 8, 0).tensor("b", &[32], 0, 96).data(224);
    check(tensors.clone(), Some("Q8_0"));
    check(tensors.clone().u32("general.file_type", 99), Some("Q8_0"));
    check(tensors.u32("general.file_type", 2), Some("Q4_0"));
}

#[test]
fn an_unknown_type_is_told_of() {
    let one = found(&Raw::new().tensor("a", &[64], 99, 0).tensor("b", &[8], 0, 64).data(96));
    assert_eq!(one.details.facts.parameter_count, Some(72));
    assert_eq!((one.memory.weights_bytes(), one.details.facts.memory), (None, None));
    assert_eq!(one.notes, ["`x.gguf` has tensors of type 99, whose size is not known here"]);
    let several = [99, 101, 103]
        .iter()
        .fold(Raw::new(), |raw, kind| raw.tensor(&kind.to_string(), &[8], *kind, u64::from(*kind - 99) * 16));
    let notes = found(&several.data(96)).notes;
    assert_eq!(notes, ["`x.gguf` has tensors of type 99 and 2 more types, whose sizes are not known here"]);
}

#[test]
fn what_llama_cpp_does_not_load_is_told_of() {
    let notes = |bytes| found(&Raw::new().tensor(&"t".repeat(bytes), &[8], 0, 0).data(32)).notes;
    assert!(notes(63).is_empty());
    let long = "`x.gguf` has names of tensors with more than 63 bytes, which llama.cpp does not load";
    assert_eq!(notes(64), [long]);
    let inner = [4u32.to_le_bytes().as_slice(), &1u64.to_le_bytes(), &[0; 4]].concat();
    let nested = found(&Raw::new().array("k", 9, 1, &inner)).notes;
    assert_eq!(nested, ["`x.gguf` has arrays in arrays, which llama.cpp does not load"]);
}

#[test]
fn less_common_keys() {
    let raw = Raw::new()
        .string("general.architecture", "qwen2moe")
        .string("general.name", "")
        .u32("general.base_model.count", 2)
        .string("general.base_model.0.name", "First")
        .string("general.base_model.1.name", "Second")
        .string("general.base_model.1.repo_url", "https://example.org/second")
        .u32("qwen2moe.expert_count", 60)
        .u32("qwen2moe.expert_used_count", 4)
        .string("qwen2moe.rope.scaling.type", "yarn")
        .key("qwen2moe.rope.scaling.factor", 6, &4.0f32.to_le_bytes())
        .u32("qwen2moe.rope.scaling.original_context_length", 32_768)
        .string("tokenizer.chat_template.tool_use", "x")
        .array("tokenizer.ggml.tokens", 8, 1, &text("a"));
    let details = found(&raw).details;
    assert_eq!(details.facts.name, None);
    assert_eq!(details.base_models, ["First", "https://example.org/second"]);
    assert_eq!(
        (details.experts, details.experts_used, details.facts.vocab_size),
        (Some(60), Some(4), Some(1))
    );
    assert_eq!(details.facts.has_chat_template, Some(true));
    let scaling = serde_json::to_value(details.rope_scaling).unwrap();
    assert_eq!(scaling, serde_json::json!({ "type": "yarn", "factor": 4.0, "original_ctx": 32_768 }));
}

#[test]
fn which_of_several_models_is_told_of() {
    let llama = FakeModel::gguf().to_bytes();
    let clip = Raw::new().string("general.architecture", "clip").bytes();
    let matrix = Raw::new().string("general.type", "imatrix").bytes();
    let mut model = InMemory::new([("a.gguf", llama.clone()), ("b.gguf", clip), ("c.gguf", matrix)]);
    assert_eq!(inspect_model(&model).unwrap().details.facts.name.as_deref(), Some("Tiny"));
    model.put("d.gguf", FakeModel::gguf().name("Other").to_bytes());
    let several = inspect_model(&model).unwrap();
    assert_eq!((several.details.format, several.details.facts.name), (Format::Gguf, None));
    assert_eq!(several.memory.kv_unknown(), Some("it has several models"));
    model.entry = Some("d.gguf".parse().unwrap());
    assert_eq!(inspect_model(&model).unwrap().details.facts.name.as_deref(), Some("Other"));
    // A name that says nothing: the first bytes do, for the file that the engine gets.
    let mut model = InMemory::new([("sha256-0a", llama)]);
    assert_eq!(inspect_model(&model).unwrap().details.format, Format::Other);
    model.entry = Some("sha256-0a".parse().unwrap());
    assert_eq!(inspect_model(&model).unwrap().details.format, Format::Gguf);
}
