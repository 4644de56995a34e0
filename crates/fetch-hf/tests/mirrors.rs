//! The fetcher against mirrors: hosts that pass on what the Hub says, and lack a part of it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use fetch_hf::{HubFetcher, HubSettings, Token};
use futures_util::TryStreamExt;
use provisioner_core::{
    ByteRange, Digest, DigestAlgorithm, FetchError, FetchErrorKind, Manifest, ModelFetcher, Opened,
    ResolveRequest,
};
use serde_json::json;
use testkit::{
    Hub,
    hub::{Fault, FaultKind, Origin, Refusal},
};

const ALL: &str = "hf:org/repo?include=*";
const TOKEN: &str = "hf_Secret0123456789";

async fn resolve(hub: &Hub, text: &str) -> Result<Manifest, FetchError> {
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap().token(Token::new(TOKEN));
    HubFetcher::new(settings).resolve(&ResolveRequest::new(text.parse().unwrap())).await
}

/// Publishes a repository of ten files on a mirror that lists three of them a page.
fn paged() -> (Hub, String) {
    let hub = Hub::start();
    hub.page_size(3);
    let mut repo = hub.repo("org/repo");
    for n in 0..10 {
        repo = repo.file(&format!("{n}.json"), n.to_string());
    }
    let commit = repo.publish();
    (hub, commit.to_string())
}

#[tokio::test]
async fn the_next_page_of_an_upstream_is_asked_of_the_mirror() {
    let upstream = Hub::start();
    let port = upstream.endpoint().rsplit_once(':').unwrap().1.to_owned();
    // The upstream, the mirror behind a proxy that ends TLS, and an address with credentials.
    for host in
        [upstream.endpoint(), format!("https://127.0.0.1:{port}"), format!("http://me:pw@127.0.0.1:{port}")]
    {
        let (mirror, commit) = paged();
        mirror.fault(Fault::on("*").kind(FaultKind::LinkUpstream(host)));
        let manifest = resolve(&mirror, ALL).await.unwrap();
        assert_eq!(manifest.files().len(), 10);
        let tree = format!("/api/models/org/repo/tree/{commit}");
        let pages: Vec<_> = mirror.requests().into_iter().filter(|seen| seen.path == tree).collect();
        assert_eq!(pages.len(), 4);
        let bearer = format!("Bearer {TOKEN}");
        let is_whole = |page: &testkit::hub::Seen| {
            page.authorization.as_deref() == Some(&bearer) && page.raw_target.contains("recursive=true")
        };
        assert!(pages.iter().all(is_whole), "{pages:?}");
    }
    assert!(upstream.requests().is_empty() && upstream.connections().is_empty(), "the upstream is not asked");
}

#[tokio::test]
async fn a_next_page_of_something_else_is_refused() {
    let upstream = Hub::start();
    let (mirror, commit) = paged();
    let other = "1".repeat(40);
    for path in [
        format!("/api/models/org/other/tree/{commit}"),
        format!("/api/models/org/repo/tree/{other}"),
        format!("/api/models/org/repo/revision/{commit}"),
        format!("/api/models/org/repo/tree/{commit}/"),
        format!("/mirror/api/models/org/repo/tree/{commit}"),
    ] {
        mirror.clear_faults();
        mirror.reset_counts();
        let link = format!("{}{path}?recursive=true&cursor=3", upstream.endpoint());
        mirror.fault(Fault::on("*").kind(FaultKind::LinkTo(link)));
        let error = resolve(&mirror, ALL).await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid, "{path}");
        assert!(error.to_string().contains("its next page is on another host"), "{error}");
        assert_eq!(mirror.requests().len(), 2, "{path}: the revision, and the first page");
    }
    assert!(upstream.connections().is_empty());
}

/// Opens a range of the only file.
async fn open(hub: &Hub, range: ByteRange) -> Result<Opened, FetchError> {
    let fetcher = HubFetcher::new(HubSettings::new(Some(&hub.endpoint())).unwrap());
    let request = ResolveRequest::new("hf:org/repo/a.gguf".parse().unwrap());
    let manifest = fetcher.resolve(&request).await.unwrap();
    fetcher.open(&manifest.files()[0], range).await
}

#[tokio::test]
async fn a_part_that_is_not_named_is_not_taken() {
    let bytes: Vec<u8> = (0..1000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let range = ByteRange { start: 10, end: Some(20) };
    let nameless = [None, Some("bytes x"), Some("10-19/1000"), Some("bytes 19-10/1000")];
    for named in nameless.map(|name| name.map(str::to_owned)) {
        let hub = Hub::start();
        hub.repo("org/repo").lfs("a.gguf", bytes.clone()).publish();
        let unnamed = FaultKind::Header("Content-Range", named.clone());
        // Only the answer to a range has that header.
        hub.fault(Fault::on("a.gguf").at(Origin::Cdn).once().kind(unnamed));
        let opened = open(&hub, range).await.unwrap();
        assert_eq!((opened.range.start, opened.range.end), (0, Some(1000)), "{named:?}");
        assert_eq!(opened.stream.try_collect::<Vec<_>>().await.unwrap().concat(), bytes);
        let asked: Vec<_> =
            hub.requests().iter().filter(|seen| seen.origin == Origin::Cdn).map(|seen| seen.range).collect();
        assert_eq!(asked, [Some((10, Some(19))), None], "{named:?}");
    }
}

/// Publishes a repository on a mirror that answers a request for a listing otherwise than the Hub.
fn without_listing(answer: FaultKind) -> Hub {
    let hub = Hub::start();
    let commit = hub.repo("org/repo").lfs("a.gguf", "weights").file("sub/config.json", "{}").publish();
    hub.fault(Fault::on(&format!("/api/models/org/repo/tree/{commit}")).kind(answer));
    hub
}

fn no_such_page() -> FaultKind {
    FaultKind::Refuse(Refusal::status(404).header("Content-Type", "text/html").body("<html>no such page"))
}

#[tokio::test]
async fn a_mirror_without_listings_may_describe_its_files_with_the_revision() {
    let whole = Hub::start();
    whole.repo("org/repo").lfs("a.gguf", "weights").file("sub/config.json", "{}").publish();
    let listed = |manifest: &Manifest| -> Vec<_> {
        manifest.files().iter().map(|file| (file.path.clone(), file.size, file.digest.clone())).collect()
    };
    let expected = listed(&resolve(&whole, ALL).await.unwrap());
    assert_eq!(expected.len(), 2);
    for answer in [no_such_page(), FaultKind::HtmlPage] {
        let mirror = without_listing(answer);
        let manifest = resolve(&mirror, ALL).await.unwrap();
        assert_eq!(listed(&manifest), expected);
        let digest =
            Digest::new(DigestAlgorithm::Sha256, &manifest.files()[0].digest.as_ref().unwrap().hex());
        assert_eq!(manifest.files()[0].digest, digest.ok(), "the digest of the file, not of its pointer");
        assert_eq!(mirror.requests().len(), 3, "{:?}", mirror.requests());
    }
}

#[tokio::test]
async fn a_mirror_without_listings_is_to_blame_itself() {
    let check = async |name: &str, patch| {
        let mirror = without_listing(no_such_page());
        mirror.fault(
            Fault::on("/api/models/org/repo/revision/").kind(FaultKind::Listed(name.to_owned(), patch)),
        );
        let error = resolve(&mirror, ALL).await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid, "{error}");
        let told = error.to_string();
        assert!(told.contains("answered 404") && told.contains("no listing of its files"), "{told}");
        let hint = error.hint.unwrap().to_string();
        assert!(
            hint.contains("lacks the Hub's listing") && !hint.contains("check the repository's name"),
            "{hint}"
        );
    };
    check("sub/config.json", json!({ "size": null })).await;
    check("sub/config.json", json!({ "blobId": null })).await;
    check("a.gguf", json!({ "lfs": null, "blobId": null })).await;
    check("a.gguf", json!({ "lfs": { "sha256": "not a digest" } })).await;
    let mirror = without_listing(FaultKind::HtmlPage);
    mirror.fault(Fault::on("/api/models/org/repo/revision/").after(1).kind(no_such_page()));
    let error = resolve(&mirror, ALL).await.unwrap_err();
    assert!(error.to_string().contains("no listing of its files"), "{error}");
}

#[tokio::test]
async fn a_mirror_that_fails_for_a_while_is_not_to_blame() {
    let mirror = without_listing(no_such_page());
    let busy = FaultKind::Refuse(Refusal::status(429).retry_after_s(7));
    mirror.fault(Fault::on("/api/models/org/repo/revision/").after(1).kind(busy));
    let error = resolve(&mirror, ALL).await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::RateLimited, "{error}");
    let (hub, commit) = paged();
    let tree = format!("/api/models/org/repo/tree/{commit}");
    hub.fault(Fault::on(&tree).after(2).kind(no_such_page()));
    let error = resolve(&hub, ALL).await.unwrap_err();
    assert_eq!(
        error.kind,
        FetchErrorKind::NotFound,
        "a listing that was begun is the one that counts: {error}"
    );
}
