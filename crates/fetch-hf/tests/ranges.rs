//! How long the ranges of a file are to be: longer for a file in Xet, for as long as it comes from there.
#![cfg(feature = "xet")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use fetch_hf::{HubFetcher, HubSettings};
use futures_util::TryStreamExt;
use provisioner_core::{ByteRange, Manifest, ManifestFile, ModelFetcher, ResolveRequest};
use testkit::Hub;

const XET_HASH: &str = "6f7b5a1f0c9d4e3b2a1908f7e6d5c4b3a291807f6e5d4c3b2a190807060504f3";

/// Returns a fetcher for a hub with one file in Xet and one beside it, and the manifest of both.
async fn listed(hub: &Hub, xet: bool) -> (HubFetcher, Manifest) {
    let publication = hub.repo("org/repo").xet("in-xet.gguf", "in Xet", XET_HASH);
    publication.lfs("beside.gguf", "beside").publish();
    let fetcher = HubFetcher::new(HubSettings::new(Some(&hub.endpoint())).unwrap().xet(xet));
    let request = ResolveRequest::new("hf:org/repo?include=*.gguf".parse().unwrap());
    let manifest = fetcher.resolve(&request).await.unwrap();
    (fetcher, manifest)
}

fn named<'a>(manifest: &'a Manifest, path: &str) -> &'a ManifestFile {
    manifest.files().iter().find(|file| file.path.as_str() == path).unwrap()
}

#[tokio::test]
async fn a_file_in_xet_has_long_ranges_and_no_other_has() {
    let hub = Hub::start();
    let (fetcher, manifest) = listed(&hub, true).await;
    assert_eq!(fetcher.range_bytes(named(&manifest, "in-xet.gguf"), 0), Some(64 << 20));
    assert_eq!(fetcher.range_bytes(named(&manifest, "beside.gguf"), 0), None);
    let (without, manifest) = listed(&hub, false).await;
    assert_eq!(without.range_bytes(named(&manifest, "in-xet.gguf"), 0), None, "plain HTTP serves it");
}

#[tokio::test]
async fn a_file_that_xet_failed_to_bring_has_the_ranges_of_plain_http() {
    let hub = Hub::start();
    let (fetcher, manifest) = listed(&hub, true).await;
    let file = named(&manifest, "in-xet.gguf");
    // This hub has no storage of Xet, and so gives no token for one.
    let opened = fetcher.open(file, ByteRange::ALL).await.unwrap();
    assert_eq!(opened.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"in Xet");
    assert_eq!(fetcher.range_bytes(file, 0), None);
}
