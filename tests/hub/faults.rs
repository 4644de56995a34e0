//! The library survives what a hub does wrong.

use std::time::Duration;

use model_provisioner::TransferSettings;
use testkit::gguf;
use testkit::hub::{At, Fault, FaultKind, Origin, Refusal};

use crate::fixture::{Fixture, bytes, code, hasty, one_by_one, settings};

const ID: &str = "hf:org/repo/a.gguf";

fn bench() -> (Fixture, Vec<u8>) {
    let (bench, weights) = (Fixture::new(), bytes(3 << 20, 9));
    bench.hub.repo("org/repo").lfs("a.gguf", weights.clone()).publish();
    (bench, weights)
}

async fn arrives_despite(fault: Fault) {
    arrives_with(settings(), fault).await;
}

async fn arrives_with(settings: TransferSettings, fault: Fault) {
    let (bench, weights) = bench();
    let told = format!("{fault:?}");
    bench.hub.fault(fault);
    let provisioner = bench.builder().transfer(settings).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await;
    let model = model.unwrap_or_else(|error| panic!("{told}: {error}"));
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights, "{told}");
    assert!(bench.partials().is_empty(), "{told}");
}

/// Makes an attempt that ends after a part, and leaves the part.
async fn cut_off(bench: &Fixture) {
    let refused = FaultKind::Refuse(Refusal::status(404));
    bench.hub.fault(Fault::on("a.gguf").at(Origin::Cdn).after(2).kind(refused));
    assert!(one_by_one(bench).ensure_present_str(ID, None).await.is_err());
    assert_eq!(bench.partials().len(), 1);
    bench.hub.clear_faults();
}

async fn fails_with(fault: Fault, expected: &str) {
    let (bench, _) = bench();
    let told = format!("{fault:?}");
    bench.hub.fault(fault);
    let result = bench.provisioner().ensure_present_str(ID, None).await;
    assert_eq!(code(result), expected, "{told}");
    assert!(bench.provisioner().list().await.unwrap().models.is_empty(), "{told}");
    assert!(!bench.cache().join("store-v1/blobs").exists(), "{told}: nothing is visible");
}

#[tokio::test]
async fn what_passes_is_survived() {
    let on = || Fault::on("a.gguf").at(Origin::Cdn);
    for at in [At::BeforeHead, At::Byte(0), At::Byte(1), At::Half, At::BeforeEnd(1)] {
        arrives_despite(on().times(2).kind(FaultKind::Cut(at))).await;
    }
    arrives_despite(on().once().kind(FaultKind::Reset(At::Half))).await;
    arrives_with(hasty(), on().times(2).kind(FaultKind::Stall(At::Half, None))).await;
    arrives_despite(on().kind(FaultKind::IgnoreRange)).await;
    arrives_despite(on().once().kind(FaultKind::Flip(1000))).await;
    arrives_despite(on().after(1).times(1).kind(FaultKind::Etag("\"other\"".into()))).await;
    arrives_despite(Fault::on("a.gguf").times(3).kind(FaultKind::Refuse(Refusal::status(503)))).await;
    arrives_despite(
        Fault::on("a.gguf").once().kind(FaultKind::Refuse(Refusal::status(429).retry_after_s(1))),
    )
    .await;
    arrives_despite(Fault::on("/api/").times(3).kind(FaultKind::Refuse(Refusal::status(503)))).await;
    arrives_despite(on().times(1).after(1).kind(FaultKind::ExpireSignatures)).await;
    // An address that has expired before its first use.
    arrives_despite(on().once().kind(FaultKind::Refuse(Refusal::status(403)))).await;
}

#[tokio::test]
async fn what_does_not_pass_fails_cleanly() {
    let on = || Fault::on("a.gguf").at(Origin::Cdn);
    fails_with(on().kind(FaultKind::Flip(1000)), "digest-mismatch").await;
    fails_with(on().kind(FaultKind::ShiftRange(1)), "source-invalid").await;
    // A byte at a time is no progress.
    fails_with(on().kind(FaultKind::Cut(At::Byte(1))), "source-unavailable").await;
    fails_with(on().kind(FaultKind::HtmlPage), "source-invalid").await;
    // After a first range without a fault.
    fails_with(on().after(1).kind(FaultKind::HtmlPage), "source-invalid").await;
    for (status, expected) in [(403, "unauthorized"), (404, "not-found"), (500, "source-unavailable")] {
        fails_with(on().after(1).kind(FaultKind::Refuse(Refusal::status(status))), expected).await;
    }
    fails_with(Fault::on("a.gguf").kind(FaultKind::Refuse(Refusal::status(500))), "source-unavailable").await;
    fails_with(Fault::on("a.gguf").kind(FaultKind::Refuse(Refusal::status(404))), "not-found").await;
    fails_with(Fault::on("a.gguf").kind(FaultKind::Refuse(Refusal::status(403))), "unauthorized").await;
    fails_with(Fault::on("a.gguf").kind(FaultKind::RedirectToSelf), "source-invalid").await;
}

#[tokio::test]
async fn a_file_that_drips_is_given_up_and_what_came_is_kept() {
    for (name, size) in [("a.gguf", 3 << 20), ("small.gguf", 5000)] {
        let bench = Fixture::new();
        bench.hub.repo("org/repo").lfs(name, bytes(size, 9)).publish();
        // Never silent, and slower than the least pace.
        bench.hub.limit_rate(Some(800));
        let provisioner = bench.builder().transfer(hasty()).build().unwrap();
        let id = format!("hf:org/repo/{name}");
        let ensure = provisioner.ensure_present_str(&id, None);
        let ended = tokio::time::timeout(Duration::from_secs(30), ensure).await;
        let error = ended.unwrap_or_else(|_| panic!("{name} goes on")).unwrap_err();
        assert_eq!(error.code().as_str(), "source-unavailable", "{error}");
        assert!(error.to_string().contains("bytes arrived in"), "{error}");
        assert_eq!(bench.partials().len(), 1);
    }
}

#[tokio::test]
async fn an_error_page_never_becomes_a_small_file() {
    for name in ["config.json", "page.html", "notes.txt"] {
        let bench = Fixture::new();
        bench.hub.repo("org/repo").file(name, "what was published").publish();
        bench.hub.fault(Fault::on(name).kind(FaultKind::HtmlPage));
        let id = format!("hf:org/repo/{name}");
        let result = bench.provisioner().ensure_present_str(&id, None).await;
        assert_eq!(code(result), "source-invalid", "{name}");
        assert!(!bench.cache().join("store-v1/models").exists());
        bench.hub.clear_faults();
        // As long as the file is, and of no type.
        let page = Refusal::status(200).body("<html>log in!</html>"[..18].to_owned());
        bench.hub.fault(Fault::on(name).kind(FaultKind::Refuse(page)));
        let result = bench.provisioner().ensure_present_str(&id, None).await;
        assert_eq!(code(result), "digest-mismatch", "{name}");
    }
}

#[tokio::test]
async fn a_wrong_byte_names_both_digests_and_leaves_nothing() {
    let (bench, _) = bench();
    bench.hub.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(5)));
    let error = bench.provisioner().ensure_present_str(ID, None).await.unwrap_err().to_string();
    assert_eq!(error.matches("sha256:").count(), 2, "{error}");
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn a_commit_that_moves_during_the_download_is_not_mixed_in() {
    let bench = Fixture::new();
    let old = bench.hub.repo("org/repo").lfs("a.gguf", gguf("old a")).lfs("b.gguf", gguf("old b")).publish();
    let moved = bench.hub.repo("org/repo").lfs("a.gguf", gguf("new a")).lfs("b.gguf", gguf("new b"));
    bench.hub.fault(Fault::on("a.gguf").once().kind(FaultKind::publish(moved)));
    let model = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!(model.revision.as_deref(), Some(old.as_str()));
    for (name, text) in [("a.gguf", "old a"), ("b.gguf", "old b")] {
        assert_eq!(fs_err::read(model.local_path.join(name)).unwrap(), gguf(text));
    }
}

#[tokio::test]
async fn a_partial_that_was_tampered_with_harms_nobody() {
    let (bench, weights) = bench();
    let precious = bench.cache().with_extension("precious");
    fs_err::write(&precious, "precious").unwrap();
    for tamper in ["longer", "symlink", "pipe"] {
        cut_off(&bench).await;
        let partial = bench.partials().pop().unwrap();
        let data = partial.join("data");
        match tamper {
            "longer" => {
                let file = fs_err::OpenOptions::new().write(true).open(&data).unwrap();
                file.file().set_len(weights.len() as u64 + 13).unwrap();
            }
            "symlink" => {
                fs_err::remove_file(&data).unwrap();
                std::os::unix::fs::symlink(&precious, &data).unwrap();
            }
            _ => {
                fs_err::remove_file(partial.join("about")).unwrap();
                let made = std::process::Command::new("mkfifo").arg(partial.join("about")).status().unwrap();
                assert!(made.success());
            }
        }
        let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
        assert!(fs_err::read(&model.local_path).unwrap() == weights, "{tamper}");
        assert_eq!(fs_err::read_to_string(&precious).unwrap(), "precious", "{tamper}");
        bench.provisioner().remove(&ID.parse().unwrap()).await.unwrap();
        assert!(bench.partials().is_empty(), "{tamper}");
    }
}

#[tokio::test]
async fn what_is_left_of_an_old_commit_goes_with_the_new_one() {
    let (bench, _) = bench();
    cut_off(&bench).await;
    bench.hub.repo("org/repo").lfs("a.gguf", gguf("new")).publish();
    bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn what_was_cut_off_is_resumed() {
    let (bench, weights) = bench();
    cut_off(&bench).await;
    let plan = bench.provisioner().plan(&ID.parse().unwrap()).await.unwrap();
    assert!(
        plan.download_bytes() <= 2 << 20 && plan.space_needed_bytes() == plan.download_bytes(),
        "{plan:?}"
    );
    bench.hub.reset_counts();
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert!(
        bench.hub.bytes_sent("a.gguf") <= 2 << 20,
        "only what was missing: {}",
        bench.hub.bytes_sent("a.gguf")
    );
    assert!(bench.partials().is_empty());
}
