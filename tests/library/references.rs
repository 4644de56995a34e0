//! The library turns the text that a person types into a path.

use std::os::unix::fs::symlink;

use testkit::{FakeModel, TINY_GGUF};

use crate::fixture::{Fixture, code, reference};

#[tokio::test]
async fn every_local_form_is_one_model() {
    let bench = Fixture::new();
    let path = bench.old_file("a b.gguf", TINY_GGUF);
    let text = path.to_str().unwrap();
    let encoded = text.replace(' ', "%20");
    for form in [
        text.to_owned(),
        format!("local:{text}"),
        format!("file:{encoded}"),
        format!("file://{encoded}"),
        text.replace("/a b", "/./a b"),
    ] {
        let model = bench.provisioner().ensure_present_str(&form, None).await.unwrap();
        assert_eq!((model.id, model.local_path), (format!("local:{text}"), path.clone()), "{form}");
    }
    assert_eq!(bench.provisioner().list().await.unwrap().models.len(), 1);
}

#[tokio::test]
async fn a_set_is_one_model_by_any_shard() {
    let bench = Fixture::new();
    let shards = FakeModel::gguf().shards(3).write_to(&bench.path("m"), "x").unwrap();
    for shard in &shards {
        let model = bench.provisioner().ensure_present(&reference(shard), None).await.unwrap();
        assert_eq!(model.local_path, shards[0]);
        assert_eq!(model.files.len(), 3);
    }
    assert_eq!(bench.provisioner().list().await.unwrap().models.len(), 1);
    fs_err::remove_file(&shards[2]).unwrap();
    let error = bench.provisioner().ensure_present(&reference(&shards[0]), None).await.unwrap_err();
    assert_eq!(error.code().as_str(), "missing-shard");
    assert!(error.to_string().contains("x-00003-of-00003.gguf"), "{error}");
}

#[tokio::test]
async fn a_symlink_keeps_its_name_and_dots_are_folded() {
    let bench = Fixture::new();
    bench.old_file("blobs/abc", TINY_GGUF);
    fs_err::create_dir_all(bench.path("snapshots/main")).unwrap();
    symlink("../../blobs/abc", bench.path("snapshots/main/a.gguf")).unwrap();
    let dotted = bench.path("snapshots/main/../main/a.gguf");
    let model = bench.provisioner().ensure_present(&reference(&dotted), None).await.unwrap();
    assert_eq!(model.local_path, bench.path("snapshots/main/a.gguf"));
    assert_eq!(model.size_bytes, 24);
}

#[tokio::test]
async fn a_folder_is_handed_out_as_a_folder() {
    let bench = Fixture::new();
    bench.old_file("repo/config.json", b"{}");
    bench.old_file("repo/model.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    let model = bench.provisioner().ensure_present(&reference(&bench.path("repo")), None).await.unwrap();
    assert_eq!(model.local_path, bench.path("repo"));
    assert_eq!(model.format.as_str(), "safetensors");
    assert_eq!(model.size_bytes, 12);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let bench = Fixture::new();
    let provisioner = bench.provisioner();
    fs_err::create_dir(bench.path("empty")).unwrap();
    let ensure = async |text: &str| code(provisioner.ensure_present_str(text, None).await);
    assert_eq!(ensure(bench.path("absent").to_str().unwrap()).await, "not-found");
    assert_eq!(ensure(bench.path("empty").to_str().unwrap()).await, "empty-folder");
    assert_eq!(ensure("C:\\a.gguf").await, "invalid-reference");
    assert_eq!(ensure("s3://bucket/a").await, "unsupported-scheme");
    assert_eq!(ensure("hf:org/repo").await, "unsupported-scheme");
    assert_eq!(ensure(bench.old_file("m.pt", b"x").to_str().unwrap()).await, "refused-format");
    assert_eq!(
        ensure(bench.old_file("m.bin", b"\x80\x04\x95\0\0").to_str().unwrap()).await,
        "refused-format"
    );
    let error = provisioner.ensure_present_str("org/no-such-repo", None).await.unwrap_err();
    assert_eq!(error.hint().unwrap().to_string(), "did you mean `hf:org/no-such-repo`?");
    assert!(provisioner.list().await.unwrap().models.is_empty());
}
