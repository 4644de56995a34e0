//! The library uses mirrors as they are, and copies of caches.

use std::{path::Path, process::Command};

use testkit::{
    gguf,
    hub::{At, Fault, FaultKind, Origin, Refusal},
};

use crate::fixture::{Fixture, builder_at, bytes};

const ID: &str = "hf:org/repo/a.gguf";

/// Lets no answer to a range say which bytes it has.
fn unnamed() -> Fault {
    Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Header("Content-Range", None))
}

/// Publishes a file of three chunks.
fn bench() -> (Fixture, Vec<u8>) {
    let (bench, weights) = (Fixture::new(), bytes(3 << 20, 9));
    bench.hub.repo("org/repo").lfs("a.gguf", weights.clone()).publish();
    (bench, weights)
}

#[tokio::test]
async fn parts_without_a_name_make_one_stream_of_the_file() {
    let (bench, weights) = bench();
    bench.hub.fault(unnamed());
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    let ranges: Vec<_> = bench
        .hub
        .requests()
        .iter()
        .filter(|seen| seen.origin == Origin::Cdn)
        .map(|seen| seen.range)
        .collect();
    assert_eq!(ranges, [Some((0, Some((1 << 20) - 1))), None]);
}

#[tokio::test]
async fn a_stream_that_was_cut_off_is_resumed_without_named_parts() {
    let (bench, weights) = bench();
    bench.hub.fault(unnamed());
    // The first answer is the part; the second is the whole file.
    bench.hub.fault(Fault::on("a.gguf").at(Origin::Cdn).after(1).once().kind(FaultKind::Cut(At::Half)));
    let gone = FaultKind::Refuse(Refusal::status(404));
    bench.hub.fault(Fault::on("a.gguf").at(Origin::Cdn).after(2).kind(gone));
    assert!(bench.provisioner().ensure_present_str(ID, None).await.is_err());
    assert_eq!(bench.partials().len(), 1);
    bench.hub.clear_faults();
    bench.hub.fault(unnamed());
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn a_mirror_passes_its_upstream_on_and_lists_by_the_revision() {
    let bench = Fixture::new();
    let upstream = testkit::Hub::start();
    bench.hub.page_size(1);
    let commit =
        bench.hub.repo("org/repo").lfs("a-Q4_0.gguf", gguf("one")).file("config.json", "{}").publish();
    bench.hub.fault(Fault::on("/api/").kind(FaultKind::LinkUpstream(upstream.endpoint())));
    bench.provisioner().ensure_present_str("hf:org/repo:Q4_0", None).await.unwrap();
    bench.hub.clear_faults();
    let tree = format!("/api/models/org/repo/tree/{commit}");
    bench.hub.fault(Fault::on(&tree).kind(FaultKind::Refuse(Refusal::status(404))));
    let model = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!(model.files.len(), 2);
    assert!(upstream.connections().is_empty());
}

/// Copies a cache, with the words of a command.
fn copied(cache: &Path, to: &Path, words: &str) {
    let script = words.replace("FROM", &cache.to_string_lossy()).replace("TO", &to.to_string_lossy());
    let done = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn a_copy_of_a_cache_is_whole_by_whichever_command() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").lfs("a.gguf", bytes(10_000, 1)).file("sub/config.json", "{}").publish();
    let id = "hf:org/repo?include=*";
    bench.provisioner().ensure_present_str(id, None).await.unwrap();
    for (n, words) in [
        "cp -r FROM TO",
        "cp -a FROM TO",
        "umask 002; cp -r FROM TO",
        "mkdir TO; tar -C FROM -cf - . | tar -C TO -xf -",
        "mkdir TO; tar -C FROM --hard-dereference -cf - . | tar -C TO -xmf -",
        "cp -a FROM TO; find TO -exec touch {} +",
    ]
    .into_iter()
    .enumerate()
    {
        let copy = bench.path(&format!("copy-{n}"));
        copied(&bench.cache(), &copy, words);
        let provisioner = builder_at(&copy, &bench.hub.endpoint()).build().unwrap();
        bench.hub.reset_counts();
        let found = provisioner.doctor(false).await.unwrap();
        let is_right = |problem: &str| problem.contains("was copied since");
        assert_eq!(found.len(), 1, "{words}: {found:?}");
        assert!(found.iter().all(|finding| is_right(&finding.problem)), "{words}: {found:?}");
        let record = provisioner.show(&id.parse().unwrap()).await.unwrap().record;
        let change = provisioner.change(&record).await.unwrap().unwrap();
        assert!(change.starts_with("it was copied since it was judged"), "{words}: {change}");
        let model = provisioner.ensure_present_str(id, None).await.unwrap();
        assert!(model.cached && model.local_path.starts_with(&copy), "{words}");
        assert_eq!(provisioner.doctor(false).await.unwrap(), [], "{words}: read once");
        assert_eq!(
            provisioner.change(&provisioner.show(&id.parse().unwrap()).await.unwrap().record).await.unwrap(),
            None
        );
        assert!(bench.hub.requests().is_empty() && !copy.join("store-v1/quarantine").exists(), "{words}");
    }
}
