//! Journeys over TLS, with HTTP/2 on offer: what arrives, and over which connections.

use std::collections::BTreeSet;

use model_provisioner::TransferSettings;
use testkit::hub::{At, Fault, FaultKind, Origin, Protocol, Refusal, Seen};

use crate::fixture::{Fixture, bytes, code, hasty, one_by_one, settings};

const ID: &str = "hf:org/repo/a.gguf";

/// A file of so many chunks.
fn bench(chunks: usize) -> (Fixture, Vec<u8>) {
    let (bench, weights) = (Fixture::over_tls(), bytes(chunks << 20, 9));
    bench.hub.repo("org/repo").lfs("a.gguf", weights.clone()).publish();
    (bench, weights)
}

async fn arrives(bench: &Fixture, weights: &[u8], told: &str) {
    arrives_with(settings(), bench, weights, told).await;
}

async fn arrives_with(settings: TransferSettings, bench: &Fixture, weights: &[u8], told: &str) {
    let provisioner = bench.builder().transfer(settings).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await;
    let model = model.unwrap_or_else(|error| panic!("{told}: {error}"));
    assert!(fs_err::read(model.local_path).unwrap() == weights, "{told}");
    assert!(bench.partials().is_empty(), "{told}");
}

/// The connections over which some requests came.
fn connections(bench: &Fixture, is_meant: impl Fn(&Seen) -> bool) -> BTreeSet<u64> {
    bench.hub.requests().iter().filter(|seen| is_meant(seen)).map(|seen| seen.connection).collect()
}

#[tokio::test]
async fn a_hub_that_limits_each_connection_does_not_limit_the_file() {
    // The first connection shows in a few chunks that more are needed.
    let (bench, weights) = bench(40);
    bench.hub.limit_rate(Some(16 << 20));
    arrives(&bench, &weights, "limited").await;
    let ranges = |seen: &Seen| seen.origin == Origin::Cdn;
    assert_eq!(bench.hub.count(|seen| ranges(seen) && seen.protocol == Protocol::Http2), 0);
    let (requests, used) = (bench.hub.count(ranges), connections(&bench, ranges).len());
    assert!((40..96).contains(&requests), "{requests} chunks, of which the last ones are shorter");
    assert!((8..requests).contains(&used), "{used} connections, which are kept between ranges");
}

#[tokio::test]
async fn many_small_files_share_few_connections() {
    let bench = Fixture::over_tls();
    let name = |n: usize| format!("{n:03}.json");
    (0..200).fold(bench.hub.repo("org/repo"), |repo, n| repo.file(&name(n), n.to_string())).publish();
    let model = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    for n in 0..200 {
        assert_eq!(fs_err::read_to_string(model.local_path.join(name(n))).unwrap(), n.to_string());
    }
    assert!(bench.hub.requests().len() > 200);
    assert_eq!(bench.hub.connections().len(), 1, "{:?}", bench.hub.connections());
}

#[tokio::test]
async fn what_passes_is_survived() {
    let on = || Fault::on("a.gguf").at(Origin::Cdn);
    for (settings, fault) in [
        (settings(), on().times(2).kind(FaultKind::Cut(At::BeforeHead))),
        (settings(), on().after(1).times(2).kind(FaultKind::Cut(At::Half))),
        (settings(), on().after(1).once().kind(FaultKind::Reset(At::Half))),
        (hasty(), on().after(1).times(2).kind(FaultKind::Stall(At::Half, None))),
        (settings(), on().after(1).once().kind(FaultKind::ExpireSignatures)),
        (settings(), on().once().kind(FaultKind::Flip(1000))),
    ] {
        let (bench, weights) = bench(4);
        let told = format!("{fault:?}");
        bench.hub.fault(fault);
        arrives_with(settings, &bench, &weights, &told).await;
    }
}

#[tokio::test]
async fn what_was_cut_off_is_resumed() {
    let (bench, weights) = bench(4);
    let gone = FaultKind::Refuse(Refusal::status(404));
    bench.hub.fault(Fault::on("a.gguf").at(Origin::Cdn).after(2).kind(gone));
    assert_eq!(code(one_by_one(&bench).ensure_present_str(ID, None).await), "not-found");
    bench.hub.clear_faults();
    bench.hub.reset_counts();
    arrives(&bench, &weights, "resumed").await;
    let sent = bench.hub.bytes_sent("a.gguf");
    assert!(sent <= 2 << 20, "only what was missing: {sent}");
}
