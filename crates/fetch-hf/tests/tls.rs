//! The fetcher over TLS, with HTTP/2 on offer as the Hub and its CDN offer it: which requests share a connection.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use fetch_hf::{HubFetcher, HubSettings, Token};
use futures_util::{TryStreamExt, future::try_join_all};
use provisioner_core::{
    ByteRange, FetchError, FetchErrorKind, Manifest, ManifestFile, ModelFetcher, ModelRef, Opened,
    ResolveRequest,
};
use testkit::{
    Hub, conformance,
    hub::{At, Fault, FaultKind, Origin, Protocol, Seen},
};

/// What the Hub offers.
const BOTH: &[Protocol] = &[Protocol::Http2, Protocol::Http1];

/// As many ranges as a transfer has under way at once.
const AT_ONCE: u64 = 8;

const RANGE_BYTES: u64 = 1 << 20;

fn settings(hub: &Hub) -> HubSettings {
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap();
    settings.authorities(hub.certificate().unwrap().as_bytes()).unwrap()
}

fn fetcher(hub: &Hub) -> HubFetcher {
    HubFetcher::new(settings(hub))
}

async fn resolve(fetcher: &HubFetcher, text: &str) -> Result<Manifest, FetchError> {
    let reference: ModelRef = text.parse().unwrap();
    fetcher.resolve(&ResolveRequest::new(reference)).await
}

async fn read(fetcher: &HubFetcher, file: &ManifestFile, range: ByteRange) -> Result<u64, FetchError> {
    drain(fetcher.open(file, range).await?).await
}

async fn drain(opened: Opened) -> Result<u64, FetchError> {
    let pieces: Vec<_> = opened.stream.try_collect().await?;
    Ok(pieces.iter().map(|piece| piece.len() as u64).sum())
}

/// A hub with one large file, and the file as it is listed.
async fn large(protocols: &[Protocol]) -> (Hub, HubFetcher, ManifestFile) {
    let hub = Hub::start_tls(protocols);
    hub.repo("org/repo").lfs_synthetic("a.gguf", (1 + AT_ONCE) * RANGE_BYTES, 1).publish();
    let fetcher = fetcher(&hub);
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    let file = manifest.files()[0].clone();
    (hub, fetcher, file)
}

/// Reads the first range alone, as a transfer does, and the others at once: none of them ends before all have begun.
async fn read_in_ranges(fetcher: &HubFetcher, file: &ManifestFile) {
    let range = |n: u64| ByteRange { start: n * RANGE_BYTES, end: Some((n + 1) * RANGE_BYTES) };
    assert_eq!(read(fetcher, file, range(0)).await.unwrap(), RANGE_BYTES);
    let begun = try_join_all((1..=AT_ONCE).map(|n| fetcher.open(file, range(n)))).await.unwrap();
    let all = try_join_all(begun.into_iter().map(drain)).await.unwrap();
    assert_eq!(all, [RANGE_BYTES; 8]);
}

/// The connections over which some requests came.
fn connections(hub: &Hub, is_meant: impl Fn(&Seen) -> bool) -> BTreeSet<u64> {
    hub.requests().iter().filter(|seen| is_meant(seen)).map(|seen| seen.connection).collect()
}

#[tokio::test]
async fn keeps_the_contract() {
    for protocols in [BOTH, &[Protocol::Http1], &[Protocol::Http2]] {
        let hub = Hub::start_tls(protocols);
        let repo = hub.repo("org/repo").file("config.json", "{}").file("empty.json", "");
        repo.lfs("sub/a b#[x]%.gguf", vec![7; 5000]).lfs_synthetic("b.gguf", 3 << 20, 1).publish();
        let fetcher = fetcher(&hub);
        for present in ["hf:org/repo?include=*", "hf:org/repo/sub/a b#[x]%.gguf", "hf:org/repo/b.gguf"] {
            let (present, absent) = (present.parse().unwrap(), "hf:org/repo/absent.gguf".parse().unwrap());
            conformance::fetcher(&fetcher, &present, &absent).await;
        }
    }
}

#[tokio::test]
async fn ranges_of_a_large_file_have_a_connection_each_and_keep_it() {
    let (hub, fetcher, file) = large(BOTH).await;
    read_in_ranges(&fetcher, &file).await;
    let cdn = |seen: &Seen| seen.origin == Origin::Cdn;
    let first = connections(&hub, cdn).len() as u64;
    assert!(first >= AT_ONCE, "as many as there are ranges under way: {first}");
    assert_eq!(hub.count(|seen| cdn(seen) && seen.protocol == Protocol::Http2), 0);
    read_in_ranges(&fetcher, &file).await;
    let all = connections(&hub, cdn).len() as u64;
    assert!(all < 2 * AT_ONCE, "those that are there are used again: {all}");
}

#[tokio::test]
async fn the_api_and_small_files_share_a_connection() {
    let hub = Hub::start_tls(BOTH);
    let repo = (0..200).fold(hub.repo("org/repo"), |repo, n| repo.file(&format!("{n}.json"), "{}"));
    repo.lfs("small.gguf", vec![7; 5000]).publish();
    let fetcher = fetcher(&hub);
    let manifest = resolve(&fetcher, "hf:org/repo?include=*").await.unwrap();
    for files in manifest.files().chunks(8) {
        try_join_all(files.iter().map(|file| read(&fetcher, file, ByteRange::ALL))).await.unwrap();
    }
    let accepted = hub.connections();
    assert!(accepted.iter().all(|accepted| accepted.protocol == Some(Protocol::Http2)), "{accepted:?}");
    assert_eq!(accepted.len(), 2, "one to each of the hub and its CDN: {accepted:?}");
}

#[tokio::test]
async fn a_server_that_speaks_http2_alone_is_served_from_the_shared_connection() {
    let (hub, fetcher, file) = large(&[Protocol::Http2]).await;
    read_in_ranges(&fetcher, &file).await;
    read_in_ranges(&fetcher, &file).await;
    let cdn: Vec<_> = hub.connections().into_iter().filter(|a| a.origin == Origin::Cdn).collect();
    let refused = cdn.iter().filter(|accepted| accepted.protocol.is_none()).count();
    assert_eq!((refused, cdn.len()), (1, 2), "it is asked once whether it speaks HTTP/1.1: {cdn:?}");
}

#[tokio::test]
async fn the_token_stays_at_the_hub_whichever_connection_is_used() {
    let hub = Hub::start_tls(BOTH);
    hub.cdn_refuses_authorization(true);
    let repo = hub.repo("org/repo").lfs_synthetic("a.gguf", 3 << 20, 1).lfs("small.gguf", "x");
    repo.file("config.json", "{}").publish();
    let fetcher = HubFetcher::new(settings(&hub).token(Token::new("secret")));
    let manifest = resolve(&fetcher, "hf:org/repo?include=*").await.unwrap();
    for file in manifest.files() {
        read(&fetcher, file, ByteRange::ALL).await.unwrap();
    }
    for seen in hub.requests() {
        assert_eq!(seen.authorization.is_some(), seen.origin == Origin::Hub, "{seen:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_on_either_protocol() {
    for size in [5000, 3 << 20] {
        let hub = Hub::start_tls(BOTH);
        hub.repo("org/repo").lfs_synthetic("a.gguf", size, 1).publish();
        let fetcher = fetcher(&hub);
        let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
        for kind in [FaultKind::Cut(At::Half), FaultKind::Reset(At::Half), FaultKind::Cut(At::BeforeHead)] {
            let told = format!("{kind:?} of {size}");
            hub.fault(Fault::on("a.gguf").at(Origin::Cdn).times(4).kind(kind));
            let cut = read(&fetcher, &manifest.files()[0], ByteRange::ALL).await.unwrap_err();
            assert_eq!(cut.kind, FetchErrorKind::Unavailable, "{told}: {cut}");
            hub.clear_faults();
            assert_eq!(read(&fetcher, &manifest.files()[0], ByteRange::ALL).await.unwrap(), size, "{told}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused() {
    let hub = Hub::start_tls(BOTH);
    let other = Hub::start_tls(BOTH);
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap();
    let settings = settings.authorities(other.certificate().unwrap().as_bytes()).unwrap();
    let error = resolve(&HubFetcher::new(settings), "hf:org/repo/a.gguf").await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("TLS with"), "{error}");
    assert_eq!(hub.requests().len(), 0);
    let settings = HubSettings::new(None).unwrap();
    assert!(settings.authorities(b"no certificate").is_err());
}
