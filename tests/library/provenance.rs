//! The log is chained, and a handoff names the line that it rests on.

use std::{os::unix::fs::PermissionsExt, path::Path};

use model_provisioner::{
    ModelProvisioner, PositionFault, ProvenanceCheck, ProvenanceFaultKind, ResolvedModel, handoff,
};
use sha2::{Digest as _, Sha256};
use testkit::TINY_GGUF;

use crate::fixture::{Fixture, reference};

/// Makes a model present, and writes its handoff.
async fn handed_off(bench: &Fixture, provisioner: &ModelProvisioner, dest: &Path) -> ResolvedModel {
    let path = bench.path("a.gguf");
    if !path.exists() {
        bench.old_file("a.gguf", TINY_GGUF);
    }
    let model = provisioner.ensure_present(&reference(&path), None).await.unwrap();
    provisioner.hand_off(&model, dest).await.unwrap();
    model
}

/// Leaves the first lines of the log.
fn cut(bench: &Fixture, lines: usize) {
    let log = bench.cache().join("provenance.jsonl");
    let text = fs_err::read_to_string(&log).unwrap();
    let kept: String = text.split_inclusive('\n').take(lines).collect();
    fs_err::write(log, kept).unwrap();
}

#[tokio::test]
async fn a_handoff_names_the_line_that_was_written_before_it() {
    let bench = Fixture::new();
    let (provisioner, dest) = (bench.provisioner(), bench.path("engine.json"));
    handed_off(&bench, &provisioner, &dest).await;
    let named = handoff::read(&dest).unwrap().provenance.unwrap();
    assert_eq!((named.seq, named.log), (2, bench.cache().join("provenance.jsonl")));
    let text = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert_eq!(named.line, format!("sha256:{}", hex::encode(Sha256::digest(line))));
    let line = &bench.provenance()[1];
    assert_eq!(line["action"], "handoff");
    assert_eq!(line["handoff"], dest.to_str().unwrap());
    let report = provisioner.provenance_verify(&ProvenanceCheck::default()).await.unwrap();
    assert!(report.is_sound());
    assert_eq!((report.chain.lines, report.counts.checked), (2, 1));
}

#[tokio::test]
async fn a_cut_tail_is_found_by_a_handoff() {
    let bench = Fixture::new();
    let (provisioner, dest) = (bench.provisioner(), bench.path("engine.json"));
    handed_off(&bench, &provisioner, &dest).await;
    handed_off(&bench, &provisioner, &dest).await;
    assert_eq!(bench.provenance().len(), 4);
    let check = ProvenanceCheck::default();
    cut(&bench, 3);
    let report = provisioner.provenance_verify(&check).await.unwrap();
    assert_eq!(report.chain.fault, None, "the chain alone does not tell");
    let [fault] = report.handoffs.as_slice() else { panic!("{report:?}") };
    assert_eq!((fault.path.as_path(), fault.id.starts_with("local:")), (dest.as_path(), true));
    let PositionFault::Cut { named, head: Some(head) } = &fault.fault else { panic!("{fault:?}") };
    assert_eq!((named.seq, head.seq), (4, 3));
    // With other lines in their place, it is written anew.
    provisioner.ensure_present(&reference(&bench.path("a.gguf")), None).await.unwrap();
    let report = provisioner.provenance_verify(&check).await.unwrap();
    assert!(matches!(report.handoffs[0].fault, PositionFault::Rewritten { .. }), "{report:?}");
    // A log that names no handoff any more is compared with the one that the caller gives.
    cut(&bench, 1);
    assert!(provisioner.provenance_verify(&check).await.unwrap().is_sound());
    let check = ProvenanceCheck { handoffs: vec![dest], ..check };
    let report = provisioner.provenance_verify(&check).await.unwrap();
    assert!(!report.is_sound() && report.handoffs.len() == 1, "{report:?}");
}

#[tokio::test]
async fn a_handoff_that_was_not_rewritten_rests_on_its_earlier_line() {
    let bench = Fixture::new();
    let (provisioner, dest) = (bench.provisioner(), bench.path("engine.json"));
    handed_off(&bench, &provisioner, &dest).await;
    let earlier = fs_err::read(&dest).unwrap();
    handed_off(&bench, &provisioner, &dest).await;
    // As after a handoff that could not be written once its line was.
    fs_err::write(&dest, earlier).unwrap();
    let report = provisioner.provenance_verify(&ProvenanceCheck::default()).await.unwrap();
    assert!(report.is_sound() && report.counts.checked == 1, "{report:?}");
}

#[tokio::test]
async fn handoffs_of_other_caches_and_of_earlier_releases_are_passed_over() {
    let bench = Fixture::new();
    let (provisioner, dest) = (bench.provisioner(), bench.path("engine.json"));
    let gone = bench.path("gone.json");
    handed_off(&bench, &provisioner, &gone).await;
    fs_err::remove_file(gone).unwrap();
    handed_off(&bench, &provisioner, &dest).await;
    let other = ModelProvisioner::file_only(bench.path("other")).unwrap();
    handed_off(&bench, &other, &dest).await;
    let old = bench.path("old.json");
    handed_off(&bench, &provisioner, &old).await;
    let mut document: serde_json::Value = serde_json::from_slice(&fs_err::read(&old).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("provenance");
    fs_err::write(&old, document.to_string()).unwrap();
    let report = provisioner.provenance_verify(&ProvenanceCheck::default()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.counts.checked, report.counts.other, report.counts.absent), (0, 2, 1));
}

#[tokio::test]
async fn a_checkpoint_finds_a_log_that_was_written_anew() {
    let bench = Fixture::new();
    let provisioner = bench.provisioner();
    assert_eq!(provisioner.provenance_head().await.unwrap(), None);
    handed_off(&bench, &provisioner, &bench.path("engine.json")).await;
    let checkpoint = provisioner.provenance_head().await.unwrap();
    let check = ProvenanceCheck { checkpoint, ..ProvenanceCheck::default() };
    assert!(provisioner.provenance_verify(&check).await.unwrap().is_sound());
    fs_err::remove_file(bench.cache().join("provenance.jsonl")).unwrap();
    let cut = provisioner.provenance_verify(&check).await.unwrap().checkpoint;
    assert!(matches!(cut, Some(PositionFault::Cut { head: None, .. })), "{cut:?}");
    handed_off(&bench, &provisioner, &bench.path("engine.json")).await;
    let anew = provisioner.provenance_verify(&check).await.unwrap().checkpoint;
    assert!(matches!(anew, Some(PositionFault::Rewritten { .. })), "{anew:?}");
}

#[tokio::test]
async fn a_log_of_an_earlier_release_goes_on() {
    let bench = Fixture::new();
    let path = bench.old_file("a.gguf", TINY_GGUF);
    let id = reference(&path).id();
    let old =
        format!("{{\"at\":\"2026-01-01T00:00:00Z\",\"action\":\"ensure\",\"id\":\"{id}\"}}\n{{\"at\":\"20");
    bench.fresh_file("cache/provenance.jsonl", old.as_bytes());
    let provisioner = bench.provisioner();
    provisioner.ensure_present(&reference(&path), None).await.unwrap();
    let report = provisioner.provenance_verify(&ProvenanceCheck::default()).await.unwrap();
    assert_eq!((report.chain.fault, report.chain.unchained_bytes), (None, old.len() as u64));
    let found = provisioner.provenance_lines(&reference(&path)).await.unwrap();
    let numbers: Vec<_> = found.lines.iter().map(|line| line.position.map(|position| position.seq)).collect();
    assert_eq!((found.id, numbers, found.left_out), (id, vec![None, Some(1)], 0));
}

#[tokio::test]
async fn a_changed_line_is_named() {
    let bench = Fixture::new();
    let provisioner = bench.provisioner();
    handed_off(&bench, &provisioner, &bench.path("engine.json")).await;
    handed_off(&bench, &provisioner, &bench.path("engine.json")).await;
    let log = bench.cache().join("provenance.jsonl");
    let text = fs_err::read_to_string(&log).unwrap().replacen("\"cached\":true", "\"cached\":null", 1);
    fs_err::write(&log, text).unwrap();
    let fault =
        provisioner.provenance_verify(&ProvenanceCheck::default()).await.unwrap().chain.fault.unwrap();
    assert_eq!((fault.kind, fault.file, fault.line), (ProvenanceFaultKind::Changed, log, 3));
}

#[tokio::test]
async fn a_lock_that_is_in_the_way_is_not_written_through() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let target = bench.fresh_file("target", b"precious");
    fs_err::create_dir_all(bench.cache()).unwrap();
    std::os::unix::fs::symlink(&target, bench.cache().join("provenance.lock")).unwrap();
    let refused = bench.provisioner().ensure_present(&path, None).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "unsafe-cache");
    let findings = bench.provisioner().doctor(true).await.unwrap();
    assert!(findings.iter().any(|finding| finding.mended.is_some()), "{findings:?}");
    bench.provisioner().ensure_present(&path, None).await.unwrap();
    assert_eq!(fs_err::read(&target).unwrap(), b"precious");
}

#[tokio::test]
async fn a_log_that_every_user_may_write_is_closed() {
    let bench = Fixture::new();
    let provisioner = bench.provisioner();
    handed_off(&bench, &provisioner, &bench.path("engine.json")).await;
    for name in ["provenance.lock", "provenance-1-2.jsonl"] {
        let path = bench.cache().join(name);
        if !path.exists() {
            fs_err::write(&path, "").unwrap();
        }
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        provisioner.doctor(true).await.unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664, "{name}");
    }
}
