//! Sets of shards.

use model_inspect::{inspect, inspect_model};
use provisioner_core::ErrorCode;
use testkit::FakeModel;

use crate::fixture::{InMemory, Raw, refused};

/// One of two shards, each with one tensor.
fn shard(number: u16, count: u16, tensors: u32, name: &str) -> Raw {
    let raw = Raw::new()
        .key("split.no", 2, &number.to_le_bytes())
        .key("split.count", 2, &count.to_le_bytes())
        .key("split.tensors.count", 5, &tensors.to_le_bytes());
    raw.tensor(name, &[8], 0, 0).data(32)
}

fn pair(first: &Raw, second: &Raw) -> InMemory {
    InMemory::new([("x-00001-of-00002.gguf", first.bytes()), ("x-00002-of-00002.gguf", second.bytes())])
}

#[test]
fn a_whole_set_is_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let one = FakeModel::gguf().write_to(dir.path(), "one").unwrap().remove(0);
    let shards = FakeModel::gguf().shards(3).write_to(&dir.path().join("set"), "x").unwrap();
    let expected = inspect(&one).unwrap().details;
    for path in shards.iter().map(AsRef::as_ref).chain([dir.path().join("set").as_path()]) {
        let mut found = inspect(path).unwrap().details;
        assert_eq!(found.facts.shards, Some(3));
        found.facts.shards = Some(1);
        found.size_bytes = expected.size_bytes;
        assert_eq!(found, expected);
    }
    fs_err::remove_file(&shards[1]).unwrap();
    for path in [&shards[0], &shards[2], &dir.path().join("set")] {
        let error = inspect(path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::MissingShard, "{error}");
        assert!(error.to_string().contains("x-00002-of-00003.gguf"), "{error}");
    }
}

#[test]
fn shards_belong_together() {
    let (first, second) = (shard(0, 2, 2, "a"), shard(1, 2, 2, "b"));
    assert_eq!(inspect_model(&pair(&first, &second)).unwrap().details.facts.parameter_count, Some(16));
    refused(&pair(&second, &first), "is shard 1 by its name, and 2 by its header");
    refused(&pair(&first, &first), "is shard 2 by its name, and 1 by its header");
    refused(&pair(&first, &shard(1, 3, 2, "b")), "of 2 shards by its name, and of 3 by its header");
    refused(&pair(&first, &Raw::new()), "of 2 shards by its name, and of 1 by its header");
    refused(&pair(&first, &shard(1, 2, 3, "b")), "no shard of this model");
    refused(&pair(&first, &shard(1, 2, 2, "a")), "has the tensor `a`, and so has another shard");
    refused(
        &pair(&shard(0, 2, 3, "a"), &shard(1, 2, 3, "b")),
        "tells of 3 tensors in all shards, and they have 2",
    );
    let llama = first.string("general.architecture", "llama");
    let gemma = second.string("general.architecture", "gemma");
    refused(&pair(&llama, &gemma), "is of the architecture `gemma`, and the first shard of `llama`");
}

#[test]
fn a_shard_that_lost_its_name() {
    let model = InMemory::new([("x.gguf", shard(1, 2, 2, "b").bytes())]);
    let error = refused(&model, "is shard 2 of 2, and its name does not say so");
    assert_eq!(error.code(), ErrorCode::Rejected);
    // One shard is a whole model, whatever it is called.
    let model = InMemory::new([("x.gguf", shard(0, 1, 1, "b").bytes())]);
    assert_eq!(inspect_model(&model).unwrap().details.facts.shards, Some(1));
}

#[test]
fn a_set_whose_first_shard_is_missing() {
    let mut model = pair(&shard(0, 2, 2, "a"), &shard(1, 2, 2, "b"));
    model.remove("x-00001-of-00002.gguf");
    refused(&model, "x-00001-of-00002.gguf");
    // So many shards are not looked for one by one.
    let model = InMemory::new([("x-99998-of-99999.gguf", Vec::new())]);
    refused(&model, "x-00001-of-99999.gguf");
}
