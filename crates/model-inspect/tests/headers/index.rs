//! Indexes of safetensors: which shards there are, and what each holds.

use model_inspect::inspect_model;
use provisioner_core::{ErrorCode, Format};
use serde_json::{Value, json};

use crate::{
    fixture::{InMemory, refused},
    repository::{file, llama, repository, weights},
};

#[test]
fn an_index_fits_its_shards() {
    let mut model = repository(&llama());
    model.remove("model-00002-of-00002.safetensors");
    let error = refused(&model, "model-00002-of-00002.safetensors");
    assert_eq!(error.code(), ErrorCode::MissingShard);

    let mut model = repository(&llama());
    model.put("model-00002-of-00002.safetensors", weights("c"));
    refused(&model, "says that `model-00002-of-00002.safetensors` has the tensor `b`, and it has not");

    let index = |map: Value| json!({ "weight_map": map }).to_string().into_bytes();
    let check = |map: Value, says: &str| {
        let mut model = repository(&llama());
        model.put("model.safetensors.index.json", index(map));
        refused(&model, says)
    };
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    check(json!({ "a": one, "b": one }), "has the tensor `b`, and it has not");
    check(json!({ "a": one, "b": two, "c": two }), "has the tensor `c`, and it has not");
    check(
        json!({ "a": one, "b": two, "c": "other.safetensors" }),
        "names `other.safetensors`, which is not there",
    );
    let error = check(
        json!({ "a": one, "b": two, "c": "config.json" }),
        "names `config.json`, which is no file of safetensors",
    );
    assert_eq!(error.code(), ErrorCode::Rejected);
    check(
        json!({ "a": one, "b": two, "c": "\u{202e}x.safetensors" }),
        r"names `\u{202e}x.safetensors`, which",
    );
    check(json!({ "a": one, "b": "../../etc/passwd" }), "names a file that it must not");
    check(json!({}), "names no tensor");
    let mut more = repository(&llama());
    let both = json!({ "b": { "dtype": "U8", "shape": [1], "data_offsets": [0, 1] },
                       "c": { "dtype": "U8", "shape": [1], "data_offsets": [1, 2] } });
    more.put(two, file(&both, 2));
    refused(&more, "does not say that `model-00002-of-00002.safetensors` has the tensor `c`");
    let mut broken = repository(&llama());
    broken.put("model.safetensors.index.json", b"{".to_vec());
    refused(&broken, "is no index");
}

#[test]
fn what_was_left_out_on_purpose_is_not_missed() {
    let mut model = repository(&llama());
    model.remove("model-00002-of-00002.safetensors");
    model.is_selection = true;
    assert_eq!(inspect_model(&model).unwrap().details.format, Format::Safetensors);
    model.remove("model-00001-of-00002.safetensors");
    assert_eq!(inspect_model(&model).unwrap().details.format, Format::Other);
    model.is_selection = false;
    refused(&model, "names `model-00001-of-00002.safetensors`, which is not there");
}

/// A repository with an index over two of three shards.
fn with_a_shard_too_many() -> InMemory {
    let (one, two) = ("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors");
    let index = json!({ "weight_map": { "a": one, "b": two } });
    let mut model = InMemory::new([("model.safetensors.index.json", index.to_string().into_bytes())]);
    for (name, tensor) in [(one, "a"), (two, "b"), ("model-00003-of-00003.safetensors", "c")] {
        model.put(name, weights(tensor));
    }
    model
}

#[test]
fn an_index_names_all_shards_of_its_sets() {
    let mut model = with_a_shard_too_many();
    let error = refused(&model, "does not name `model-00003-of-00003.safetensors`, a shard of the same set");
    assert_eq!(error.code(), ErrorCode::Rejected);
    model.is_selection = true;
    assert_eq!(inspect_model(&model).unwrap().details.facts.shards, Some(2));
}

#[test]
fn what_belongs_to_something_else_is_not_the_indexs() {
    let expected = inspect_model(&repository(&llama())).unwrap().details;
    for others in [
        vec!["adapter_model.safetensors"],
        vec!["consolidated.safetensors"],
        vec!["consolidated-00001-of-00002.safetensors", "consolidated-00002-of-00002.safetensors"],
        vec!["model-00001-of-00001.safetensors"],
        vec!["onnx/model-00001-of-00002.safetensors", "onnx/model-00002-of-00002.safetensors"],
        vec!["unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"],
    ] {
        let mut model = repository(&llama());
        // Each has tensors of the same names as the model's, in shards that are another set's.
        for (path, tensor) in others.iter().zip(["a", "b"]) {
            model.put(path, weights(tensor));
        }
        let found = inspect_model(&model).unwrap().details;
        assert_eq!(
            (found.facts, found.tensor_types),
            (expected.facts.clone(), expected.tensor_types.clone())
        );
    }
}

#[test]
fn a_tensor_is_in_one_shard() {
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let mut model = InMemory::new([(one, weights("a")), (two, weights("a"))]);
    let says = "`model-00002-of-00002.safetensors`: has the tensor `a`, and so has `model-00001-of-00002.safetensors`";
    assert_eq!(refused(&model, says).code(), ErrorCode::Rejected);
    model.is_selection = true;
    refused(&model, says);
    model.put("model.safetensors.index.json", json!({ "weight_map": { "a": one } }).to_string().into_bytes());
    refused(&model, says);
    model.put("unet/model-00001-of-00002.safetensors", weights("a"));
    model.put(two, weights("b"));
    assert_eq!(inspect_model(&model).unwrap().details.facts.shards, Some(1));
}

#[test]
fn weights_without_an_index() {
    let one = |files: Vec<(&'static str, Vec<u8>)>| inspect_model(&InMemory::new(files)).unwrap().details;
    let details = one(vec![("model.safetensors", weights("a")), ("consolidated.safetensors", weights("a"))]);
    assert_eq!(
        (details.facts.shards, details.facts.parameter_count, details.facts.has_chat_template),
        (Some(1), Some(8), None)
    );
    let details = one(vec![("lora.safetensors", weights("a"))]);
    assert_eq!((details.facts.shards, details.facts.parameter_count), (Some(1), Some(8)));
    let details = one(vec![("unet/x.safetensors", weights("a")), ("vae/x.safetensors", weights("a"))]);
    assert_eq!((details.facts.shards, details.facts.parameter_count), (None, None));
    let set = vec![
        ("model-00001-of-00002.safetensors", weights("a")),
        ("model-00002-of-00002.safetensors", weights("b")),
    ];
    assert_eq!(one(set).facts.shards, Some(2));
    let details = one(vec![("model.safetensors", weights("a")), ("chat_template.jinja", Vec::new())]);
    assert_eq!(details.facts.has_chat_template, Some(true));
}

/// A repository with these files of one tensor each, and an index that names those.
fn indexed(files: &[(&'static str, &str)], named: &[(&str, &str)]) -> InMemory {
    let map: serde_json::Map<_, _> =
        named.iter().map(|(file, tensor)| ((*tensor).to_owned(), (*file).into())).collect();
    let mut model = InMemory::new(files.iter().map(|(file, tensor)| (*file, weights(tensor))));
    model.put("config.json", llama().to_string().into_bytes());
    model.put("model.safetensors.index.json", json!({ "weight_map": map }).to_string().into_bytes());
    model
}

#[test]
fn an_index_says_which_shards_there_are() {
    // Some writers count from zero, and some name more shards than they write.
    let odd = [("model-00000-of-00004.safetensors", "a"), ("model-00001-of-00004.safetensors", "b")];
    let mut model = indexed(&odd, &odd);
    assert_eq!(inspect_model(&model).unwrap().details.facts.shards, Some(2));
    model.remove("model.safetensors.index.json");
    assert!(matches!(inspect_model(&model), Err(model_inspect::Error::Incomplete { .. })));
}

#[test]
fn an_index_of_other_weights_is_left_out_where_engines_do() {
    let named = [("model-00001-of-00001.safetensors", "a")];
    let found = inspect_model(&indexed(&[("model.safetensors", "b")], &named)).unwrap();
    assert_eq!(found.details.facts.parameter_count, Some(8));
    assert!(found.notes.concat().contains("names none of the files that are there"), "{:?}", found.notes);
    refused(&indexed(&[("other.safetensors", "b")], &named), "which is not there");
}
