//! The library inspects models of a hub without fetching them.

use std::time::SystemTime;

use model_provisioner::{Format, MemoryRequest, ModelRef, Policy};
use testkit::{
    FakeModel, GgufWriter, gguf,
    hub::{At, Fault, FaultKind, Origin},
};

use crate::fixture::{Fixture, code};

const MIB: u64 = 1 << 20;

fn id(text: &str) -> ModelRef {
    text.parse().unwrap()
}

/// A model whose vocabulary makes a header of 8 MiB, and with much more behind it.
fn with_a_long_header() -> Vec<u8> {
    let tokens: Vec<_> = (0..260_000).map(|n| format!("token {n:020}")).collect();
    let mut file = GgufWriter::default();
    file.string("general.architecture", "llama").u32("llama.context_length", 4096);
    file.strings("tokenizer.ggml.tokens", &tokens).string("general.name", "Long");
    file.tensor_f32("w", &[10 << 20], &vec![1.0; 10 << 20]);
    file.to_bytes()
}

#[tokio::test]
async fn no_more_than_headers_are_fetched() {
    let bench = Fixture::new();
    let model = with_a_long_header();
    let header = model.len() as u64 - 40 * MIB;
    assert!(header > 8 * MIB, "{header} bytes");
    bench.hub.repo("org/repo").lfs("a.gguf", model).publish();
    let provisioner = bench.provisioner();
    let found = provisioner.inspect(&id("hf:org/repo/a.gguf")).await.unwrap();
    assert_eq!(
        (found.details.facts.name.as_deref(), found.details.facts.ctx_max),
        (Some("Long"), Some(4096))
    );
    assert_eq!(
        (found.details.facts.vocab_size, found.details.size_bytes),
        (Some(260_000), header + 40 * MIB)
    );
    let sent = bench.hub.bytes_sent("a.gguf");
    assert!(sent >= header && sent < 16 * MIB, "{sent} bytes");
    assert!(provisioner.list().await.unwrap().models.is_empty() && bench.partials().is_empty());
    assert!(!bench.cache().join("store-v1").exists(), "nothing is kept");
}

#[tokio::test]
async fn all_shards_are_looked_into() {
    let bench = Fixture::new();
    let shards = FakeModel::gguf().shards(3).write_to(&bench.path("m"), "tiny-F16").unwrap();
    let mut repo = bench.hub.repo("org/repo");
    for shard in &shards {
        repo = repo.lfs(shard.file_name().unwrap().to_str().unwrap(), fs_err::read(shard).unwrap());
    }
    repo.publish();
    let whole = FakeModel::gguf().write_to(&bench.path("w"), "tiny").unwrap().remove(0);
    let provisioner = bench.provisioner();
    let whole =
        provisioner.inspect(&provisioner.parse(whole.to_str().unwrap()).await.unwrap()).await.unwrap();
    for reference in ["hf:org/repo:F16", "hf:org/repo/tiny-F16-00002-of-00003.gguf"] {
        let found = provisioner.inspect(&id(reference)).await.unwrap();
        assert_eq!(found.details.facts.shards, Some(3));
        assert_eq!(found.details.facts.parameter_count, whole.details.facts.parameter_count);
        let demand = MemoryRequest { ctx: Some(256), ..MemoryRequest::default() };
        assert_eq!(found.memory.fit(&demand), whole.memory.fit(&demand));
    }
}

#[tokio::test]
async fn what_is_here_is_not_asked_for() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", FakeModel::gguf().to_bytes()).publish();
    let provisioner = bench.provisioner();
    provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    provisioner.retire(&id("hf:org/repo/a.gguf")).await.unwrap();
    bench.hub.reset_counts();
    let found = provisioner.inspect(&id("hf:org/repo/a.gguf")).await.unwrap();
    assert_eq!((found.details.format, found.details.facts.ctx_max), (Format::Gguf, Some(256)));
    // Another stamp is another matter: the header is read where it lies.
    let path = provisioner.show(&id("hf:org/repo/a.gguf")).await.unwrap().record.local_path;
    fs_err::File::open(path).unwrap().file().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(provisioner.inspect(&id("hf:org/repo/a.gguf")).await.is_ok());
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn what_is_wrong_is_told_as_elsewhere() {
    let bench = Fixture::new();
    let whole = FakeModel::gguf().to_bytes();
    let cut = whole[..whole.len() - 100].to_vec();
    bench.hub.repo("org/repo").lfs("cut-Q4_0.gguf", cut).lfs("x-Q8_0.gguf", gguf("x")).publish();
    let provisioner = bench.provisioner();
    assert_eq!(code(provisioner.inspect(&id("hf:org/repo:Q4_0")).await), "rejected");
    assert_eq!(code(provisioner.inspect(&id("hf:org/repo:Q2_K")).await), "not-found");
    assert_eq!(code(provisioner.inspect(&id("hf:org/repo")).await), "ambiguous-reference");
    let denied = bench.builder().policy(Policy::default()).build().unwrap();
    assert_eq!(code(denied.inspect(&id("hf:org/repo:Q8_0")).await), "denied");
    bench.hub.fault(Fault::on("x-Q8_0.gguf").at(Origin::Cdn).once().kind(FaultKind::Cut(At::Byte(10))));
    assert!(provisioner.inspect(&id("hf:org/repo:Q8_0")).await.is_ok(), "what passes is outlasted");
    bench.hub.fault(Fault::on("x-Q8_0.gguf").at(Origin::Cdn).kind(FaultKind::HtmlPage));
    assert_eq!(code(provisioner.inspect(&id("hf:org/repo:Q8_0")).await), "source-invalid");
    bench.hub.clear_faults();
    bench.hub.fault(Fault::on("x-Q8_0.gguf").at(Origin::Cdn).kind(FaultKind::IgnoreRange));
    assert!(provisioner.inspect(&id("hf:org/repo:Q8_0")).await.is_ok(), "a small header needs no ranges");
}

#[tokio::test]
async fn the_models_of_a_repository_are_told_apart_by_what_fits() {
    let bench = Fixture::new();
    let shards = FakeModel::gguf().shards(2).write_to(&bench.path("m"), "tiny-F16").unwrap();
    let mut repo = bench.hub.repo("org/repo").lfs("mmproj-F16.gguf", gguf("x")).lfs("bad-Q2_K.gguf", "GGUF");
    repo = repo.lfs("sub/other-Q8_0.gguf", gguf(vec![7; 300_000]));
    for shard in &shards {
        repo = repo.lfs(shard.file_name().unwrap().to_str().unwrap(), fs_err::read(shard).unwrap());
    }
    repo.publish();
    let demand = MemoryRequest { ctx: Some(256), vram_bytes: Some(1 << 30), ..MemoryRequest::default() };
    let found = bench.provisioner().variants(&id("hf:org/repo"), &demand).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|model| (model.id.as_str(), model.fit.fits, model.problem.is_some())).collect();
    let expected = [
        ("hf:org/repo/bad-Q2_K.gguf", None, true),
        ("hf:org/repo/tiny-F16-00001-of-00002.gguf", Some(true), false),
        // What its keys and values need is not known.
        ("hf:org/repo/sub/other-Q8_0.gguf", None, false),
    ];
    assert_eq!(told, expected);
    let one = bench.provisioner().variants(&id("hf:org/repo:F16"), &demand).await.unwrap();
    assert_eq!((one.len(), one[0].id.as_str()), (1, "hf:org/repo:F16"));
    assert!(bench.provisioner().list().await.unwrap().models.is_empty());
}
