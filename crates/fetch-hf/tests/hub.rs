//! The fetcher against a hub on loopback: the protocol, and what a hub does wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use fetch_hf::{HubFetcher, HubSettings, Token};
use futures_util::TryStreamExt;
use provisioner_core::{
    ByteRange, ChosenFiles, Entry, FetchError, FetchErrorKind, Manifest, ModelFetcher, ModelRef,
    RelativePath, ResolveRequest,
};
use serde_json::json;
use testkit::{
    Hub, conformance,
    hub::{At, Fault, FaultKind, Origin, Refusal},
};

fn fetcher(hub: &Hub) -> HubFetcher {
    HubFetcher::new(HubSettings::new(Some(&hub.endpoint())).unwrap())
}

fn with_token(hub: &Hub, token: &str) -> HubFetcher {
    HubFetcher::new(HubSettings::new(Some(&hub.endpoint())).unwrap().token(Token::new(token)))
}

fn reference(text: &str) -> ModelRef {
    text.parse().unwrap()
}

async fn resolve(fetcher: &HubFetcher, text: &str) -> Result<Manifest, FetchError> {
    fetcher.resolve(&ResolveRequest::new(reference(text))).await
}

async fn read(fetcher: &HubFetcher, manifest: &Manifest, path: &str) -> Result<Vec<u8>, FetchError> {
    let file = manifest.files().iter().find(|file| file.path.as_str() == path).unwrap();
    let opened = fetcher.open(file, ByteRange::ALL).await?;
    Ok(opened.stream.try_collect::<Vec<_>>().await?.concat())
}

#[tokio::test]
async fn keeps_the_contract() {
    let hub = Hub::start();
    hub.repo("org/repo")
        .file("config.json", "{}")
        .lfs("sub/a b#[x]%.gguf", vec![7; 5000])
        .file("empty.json", "")
        .publish();
    let fetcher = fetcher(&hub);
    for present in ["hf:org/repo?include=*", "hf:org/repo/sub/a b#[x]%.gguf"] {
        conformance::fetcher(&fetcher, &reference(present), &reference("hf:org/repo/absent.gguf")).await;
    }
}

#[tokio::test]
async fn a_revision_is_pinned_once() {
    let hub = Hub::start();
    let old = hub.repo("org/repo").lfs("a.gguf", "old").branch("feature/x").tag("v1").publish();
    let fetcher = fetcher(&hub);
    for revision in ["feature%2Fx", "v1", old.as_str()] {
        let manifest = resolve(&fetcher, &format!("hf:org/repo@{revision}/a.gguf")).await.unwrap();
        assert_eq!(manifest.revision(), Some(old.as_str()), "{revision}");
        hub.repo("org/repo").lfs("a.gguf", format!("new {revision}")).publish();
        assert_eq!(read(&fetcher, &manifest, "a.gguf").await.unwrap(), b"old");
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let hub = Hub::start();
    hub.page_size(100);
    let mut repo = hub.repo("org/repo");
    for n in 0..1050 {
        repo = repo.file(&format!("{n}.json"), n.to_string());
    }
    repo.publish();
    let manifest = resolve(&fetcher(&hub), "hf:org/repo?include=*").await.unwrap();
    assert_eq!(manifest.files().len(), 1050);
    for kind in
        [FaultKind::LinkToSelf, FaultKind::LinkForEver, FaultKind::LinkTo("http://127.0.0.1:9/".into())]
    {
        hub.clear_faults();
        hub.fault(Fault::on("*").kind(kind));
        assert_eq!(
            resolve(&fetcher(&hub), "hf:org/repo?include=*").await.unwrap_err().kind,
            FetchErrorKind::Invalid
        );
    }
}

#[tokio::test]
async fn twenty_thousand_files_are_listed_whole() {
    let hub = Hub::start();
    let name = |n: usize| format!("part-{:02}/{n:05} of many.json", n % 20);
    let repo = (0..20_000).fold(hub.repo("org/repo"), |repo, n| repo.file(&name(n), n.to_string()));
    let commit = repo.publish();
    let manifest = resolve(&fetcher(&hub), "hf:org/repo?include=*").await.unwrap();
    let mut names: Vec<_> = (0..20_000).map(name).collect();
    names.sort_unstable();
    assert!(manifest.files().iter().map(|file| file.path.as_str()).eq(names));
    assert_eq!(
        hub.count(|seen| seen.path.ends_with(commit.as_str())),
        21,
        "a page has 1000 files and folders"
    );
}

#[tokio::test]
async fn an_answer_of_the_api_is_never_unfolded_nor_read_for_ever() {
    for kind in [FaultKind::GzipBomb(1 << 30), FaultKind::Extra(1 << 30), FaultKind::HtmlPage] {
        let hub = Hub::start();
        hub.repo("org/repo").lfs("a.gguf", "x").publish();
        let told = format!("{kind:?}");
        hub.fault(Fault::on("/api/").kind(kind));
        let error = resolve(&fetcher(&hub), "hf:org/repo/a.gguf").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid, "{told}: {error}");
        let sent: u64 = hub.requests().iter().map(testkit::hub::Seen::sent_bytes).sum();
        assert!(sent < 100 << 20, "{told}: {sent} bytes were read");
    }
}

#[tokio::test]
async fn names_that_only_some_file_systems_tell_apart_are_listed_apart() {
    let hub = Hub::start();
    let names = ["A.gguf", "a.gguf", "caf\u{e9}.gguf", "cafe\u{301}.gguf"];
    names.iter().fold(hub.repo("org/repo"), |repo, name| repo.lfs(name, *name)).publish();
    let fetcher = fetcher(&hub);
    for name in names {
        let manifest = resolve(&fetcher, &format!("hf:org/repo/{name}")).await.unwrap();
        assert_eq!(read(&fetcher, &manifest, name).await.unwrap(), name.as_bytes());
    }
    assert_eq!(resolve(&fetcher, "hf:org/repo?include=*").await.unwrap().files().len(), 4);
    hub.fault(Fault::on("*").kind(FaultKind::Entries(vec!["a.gguf".into()])));
    let twice = resolve(&fetcher, "hf:org/repo?include=*").await.unwrap_err();
    assert_eq!(twice.kind, FetchErrorKind::Invalid, "{twice}");
}

#[tokio::test]
async fn what_an_earlier_call_chose_is_listed_again() {
    let hub = Hub::start();
    let repo = hub.repo("org/repo").lfs("model.safetensors", "x").file("config.json", "{}");
    repo.file("train.py", "import torch").publish();
    let fetcher = fetcher(&hub);
    let mut request = ResolveRequest::new(reference("hf:org/repo"));
    let mut check = async |paths: &[&str], listed: &[&str]| {
        let paths = paths.iter().map(|path| RelativePath::new(*path).unwrap()).collect();
        request.chosen = Some(ChosenFiles { paths, entry: Entry::Folder });
        let manifest = fetcher.resolve(&request).await.unwrap();
        let found: Vec<_> = manifest.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(found, listed);
    };
    check(&["model.safetensors", "train.py"], &["model.safetensors", "train.py"]).await;
    check(&["gone.safetensors"], &["config.json", "model.safetensors"]).await;
    check(&[], &["config.json", "model.safetensors"]).await;
}

#[tokio::test]
async fn hostile_names_are_no_paths() {
    for name in ["../../x", "/etc/passwd", "a\\..\\x", "c:/x", "a\nb", "nul", "a//b", "./a"] {
        let hub = Hub::start();
        hub.repo("org/repo").lfs("a.gguf", "x").publish();
        hub.fault(Fault::on("*").kind(FaultKind::Entries(vec![name.to_owned()])));
        // A name that the reference does not mean decides nothing. It is said, and where the reference means it, refused.
        let manifest = resolve(&fetcher(&hub), "hf:org/repo/a.gguf").await.unwrap();
        assert_eq!(manifest.files().len(), 1, "{name:?}");
        assert_eq!(manifest.left_out()[0].path, name);
        let error = resolve(&fetcher(&hub), "hf:org/repo?include=*").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::UnsafePath, "{name:?}: {error}");
    }
}

#[tokio::test]
async fn a_folder_has_a_name_no_longer_than_a_file_has() {
    for name in ["a/".repeat(3000) + "a", "x".repeat(10 << 20)] {
        let hub = Hub::start();
        hub.repo("org/repo").lfs("a.gguf", "x").publish();
        hub.fault(Fault::on("*").kind(FaultKind::Entries(vec![name.clone()])));
        hub.fault(Fault::on("*").kind(FaultKind::Listed(name, json!({ "type": "directory" }))));
        let error = resolve(&fetcher(&hub), "hf:org/repo/a.gguf").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid, "{error}");
        assert!(error.to_string().len() < 1000, "what the hub says is not repeated at length");
    }
}

#[tokio::test]
async fn what_is_no_document_is_not_repeated_at_length() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    let size = json!({ "size": "x".repeat(1 << 20) });
    hub.fault(Fault::on("*").kind(FaultKind::Listed("a.gguf".into(), size)));
    let error = resolve(&fetcher(&hub), "hf:org/repo/a.gguf").await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Invalid);
    assert!(error.to_string().len() < 1000, "{} bytes", error.to_string().len());
}

#[tokio::test]
async fn an_answer_that_trickles_is_given_up() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    // A byte now and then, never too late for the timeout.
    hub.limit_rate(Some(20));
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap();
    let settings = settings.timeout(Duration::from_secs(2)).deadline(Duration::from_millis(500));
    let fetcher = HubFetcher::new(settings);
    let slow = tokio::time::timeout(Duration::from_secs(5), resolve(&fetcher, "hf:org/repo/a.gguf")).await;
    let slow = slow.expect("it is given up").unwrap_err();
    assert_eq!(slow.kind, FetchErrorKind::Unavailable, "{slow}");
    assert!(slow.to_string().contains("takes too long"), "{slow}");
}

#[tokio::test]
async fn a_page_that_drips_is_given_up_as_soon_as_a_silent_one() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    hub.limit_rate(Some(100));
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap().timeout(Duration::from_millis(500));
    let fetcher = HubFetcher::new(settings);
    let slow = tokio::time::timeout(Duration::from_secs(5), resolve(&fetcher, "hf:org/repo/a.gguf")).await;
    let slow = slow.expect("it is given up").unwrap_err();
    assert_eq!(slow.kind, FetchErrorKind::Unavailable, "{slow}");
    assert!(slow.to_string().contains("too slow"), "{slow}");
}

#[tokio::test]
async fn a_manifest_that_drips_is_given_up() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.safetensors", "x").file("config.json", " ".repeat(20_000)).publish();
    // The listing is short enough to come within one window.
    hub.limit_rate(Some(600));
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap().timeout(Duration::from_secs(2));
    let fetcher = HubFetcher::new(settings);
    let slow = tokio::time::timeout(Duration::from_secs(15), resolve(&fetcher, "hf:org/repo")).await;
    let slow = slow.expect("it is given up").unwrap_err();
    assert_eq!(slow.kind, FetchErrorKind::Unavailable, "{slow}");
    let told = slow.to_string();
    assert!(told.contains("config.json") && told.contains("too slow"), "{told}");
}

#[tokio::test]
async fn a_manifest_that_is_wrong_once_is_read_again() {
    let hub = Hub::start();
    let config = r#"{ "auto_map": { "AutoModel": "own.Model" } }"#;
    hub.repo("org/repo").lfs("a.safetensors", "x").file("config.json", config).file("own.py", "1").publish();
    for (wrong, is_known) in [(1, true), (2, false)] {
        hub.clear_faults();
        hub.reset_counts();
        hub.fault(Fault::on("config.json").times(wrong).kind(FaultKind::Flip(0)));
        let manifest = resolve(&fetcher(&hub), "hf:org/repo").await.unwrap();
        assert_eq!(manifest.files().iter().any(|file| file.path.as_str() == "own.py"), is_known, "{wrong}");
        assert_eq!(hub.count(|seen| seen.path.ends_with("config.json")), 2);
    }
}

#[tokio::test]
async fn a_page_that_was_there_before_is_not_asked_for_again() {
    let hub = Hub::start();
    hub.page_size(1);
    let commit = hub.repo("org/repo").file("a.json", "a").file("b.json", "b").file("c.json", "c").publish();
    let page = format!("/api/models/org/repo/tree/{commit}");
    let first = format!("{}{page}?recursive=true", hub.endpoint());
    for (skip, kind, pages) in [(0, FaultKind::LinkToSelf, 1), (1, FaultKind::LinkTo(first), 2)] {
        hub.clear_faults();
        hub.reset_counts();
        hub.fault(Fault::on(&page).after(skip).kind(kind));
        let error = resolve(&fetcher(&hub), "hf:org/repo?include=*").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("does not end"), "{error}");
        assert_eq!(hub.count(|seen| seen.path == page), pages);
    }
}

#[tokio::test]
async fn a_listing_whose_pages_trickle_is_given_up() {
    let hub = Hub::start();
    hub.page_size(1);
    (0..200).fold(hub.repo("org/repo"), |repo, n| repo.file(&format!("{n}.json"), "x")).publish();
    // Each page is in time, and all of them are not.
    hub.fault(Fault::on("/api/").kind(FaultKind::Stall(At::Byte(0), Some(Duration::from_millis(100)))));
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap().deadline(Duration::from_secs(1));
    let slow = resolve(&HubFetcher::new(settings), "hf:org/repo?include=*").await.unwrap_err();
    assert_eq!(slow.kind, FetchErrorKind::Unavailable, "{slow}");
    assert!(slow.to_string().contains("takes too long: more than 4s"), "{slow}");
}

#[tokio::test]
async fn a_commit_that_is_asked_for_is_the_one_that_is_given() {
    let hub = Hub::start();
    let commit = hub.repo("org/repo").lfs("a.gguf", "x").publish();
    let other = hub.repo("org/repo").lfs("a.gguf", "y").publish();
    let answer = Refusal::status(200).body(json!({ "sha": other.as_str() }).to_string());
    hub.fault(Fault::on("/api/models/org/repo/revision/").kind(FaultKind::Refuse(answer)));
    let fetcher = fetcher(&hub);
    let mut pinned = ResolveRequest::new(reference("hf:org/repo/a.gguf"));
    pinned.revision = Some(commit.to_ascii_uppercase());
    for request in [ResolveRequest::new(reference(&format!("hf:org/repo@{commit}/a.gguf"))), pinned] {
        let error = fetcher.resolve(&request).await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Invalid);
        let told = error.to_string().to_ascii_lowercase();
        assert!(told.contains(commit.as_str()) && told.contains(other.as_str()), "{told}");
    }
    let branch = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    assert_eq!(branch.revision(), Some(other.as_str()), "a branch is where the hub says");
    let same =
        resolve(&fetcher, &format!("hf:org/repo@{}/a.gguf", other.to_ascii_uppercase())).await.unwrap();
    assert_eq!(same.revision(), Some(other.as_str()));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    hub.repo("org/gated").lfs("a.gguf", "x").gated().publish();
    hub.repo("org/private").lfs("a.gguf", "x").private().publish();
    let anybody = fetcher(&hub);
    let stranger = with_token(&hub, "stranger");
    let kind = |result: Result<_, FetchError>| result.map(drop).unwrap_err().kind;
    assert_eq!(kind(resolve(&anybody, "hf:org/private/a.gguf").await), FetchErrorKind::Unauthorized);
    assert_eq!(kind(resolve(&stranger, "hf:org/absent/a.gguf").await), FetchErrorKind::NotFound);
    assert_eq!(kind(resolve(&anybody, "hf:org/repo@absent/a.gguf").await), FetchErrorKind::NotFound);
    assert_eq!(kind(resolve(&anybody, "hf:org/repo/absent.gguf").await), FetchErrorKind::NotFound);
    let gated = resolve(&stranger, "hf:org/gated/a.gguf").await.unwrap();
    let error = read(&stranger, &gated, "a.gguf").await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Gated);
    assert!(error.hint.unwrap().to_string().contains("licence"));
    hub.grant("friend");
    let friend = with_token(&hub, "friend");
    let private = resolve(&friend, "hf:org/private/a.gguf").await.unwrap();
    assert_eq!(read(&friend, &private, "a.gguf").await.unwrap(), b"x");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_alone() {
    let hub = Hub::start();
    hub.cdn_refuses_authorization(true);
    hub.repo("org/repo").lfs("a.gguf", "x").file("config.json", "{}").publish();
    let fetcher = with_token(&hub, "secret");
    let manifest = resolve(&fetcher, "hf:org/repo?include=*").await.unwrap();
    read(&fetcher, &manifest, "a.gguf").await.unwrap();
    read(&fetcher, &manifest, "config.json").await.unwrap();
    let bearer = Some("Bearer secret".to_owned());
    assert!(
        hub.requests()
            .iter()
            .filter(|seen| seen.origin == Origin::Hub)
            .all(|seen| seen.authorization == bearer)
    );
    assert!(
        hub.requests()
            .iter()
            .filter(|seen| seen.origin == Origin::Cdn)
            .all(|seen| seen.authorization.is_none())
    );
    // Away and back: the token does not come back.
    hub.reset_counts();
    hub.fault(
        Fault::on("config.json").at(Origin::Hub).once().kind(FaultKind::RedirectTo(hub.cdn_endpoint())),
    );
    hub.fault(Fault::on("*").at(Origin::Cdn).once().kind(FaultKind::RedirectTo(hub.endpoint())));
    let _ = read(&fetcher, &manifest, "config.json").await;
    let seen: Vec<_> =
        hub.requests().iter().map(|seen| (seen.origin, seen.authorization.is_some())).collect();
    assert_eq!(seen, [(Origin::Hub, true), (Origin::Cdn, false), (Origin::Hub, false)]);
    assert!(!format!("{fetcher:?}").contains("secret"));
}

#[tokio::test]
async fn one_request_a_file_and_no_heads() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", vec![1; 1000]).publish();
    let fetcher = fetcher(&hub);
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    hub.reset_counts();
    let file = &manifest.files()[0];
    for start in [0, 100, 200] {
        let opened = fetcher.open(file, ByteRange { start, end: Some(start + 100) }).await.unwrap();
        assert_eq!(opened.range, ByteRange { start, end: Some(start + 100) });
        assert_eq!(opened.total_size, Some(1000));
    }
    assert_eq!(hub.count(|seen| seen.method == "HEAD"), 0);
    assert_eq!(hub.count(|seen| seen.origin == Origin::Hub), 1, "the place is remembered");
    hub.fault(Fault::on("*").at(Origin::Cdn).once().kind(FaultKind::ExpireSignatures));
    fetcher.open(file, ByteRange { start: 300, end: Some(400) }).await.unwrap();
    assert_eq!(hub.count(|seen| seen.origin == Origin::Hub), 2, "and asked for again when it has expired");
    // Not every storage says so in the same words, and a node may be gone.
    // A connection that was kept may have been closed for another reason, so the same place is asked over a fresh one first.
    let gone = [(FaultKind::Refuse(Refusal::status(400)), 1), (FaultKind::Cut(At::BeforeHead), 2)];
    for (asked, (kind, times)) in (3..).zip(gone) {
        // A connection is kept whose answer was read to its end, once its task has run.
        let read = fetcher.open(file, ByteRange { start: 300, end: Some(400) }).await.unwrap();
        read.stream.try_collect::<Vec<_>>().await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        hub.fault(Fault::on("*").at(Origin::Cdn).times(times).kind(kind));
        fetcher.open(file, ByteRange { start: 300, end: Some(400) }).await.unwrap();
        assert_eq!(hub.count(|seen| seen.origin == Origin::Hub), asked);
    }
    hub.fault(Fault::on("*").at(Origin::Cdn).once().kind(FaultKind::Reset(At::Half)));
    let opened = fetcher.open(file, ByteRange { start: 0, end: Some(1000) }).await.unwrap();
    assert!(opened.stream.try_collect::<Vec<_>>().await.is_err());
    fetcher.open(file, ByteRange { start: 0, end: Some(100) }).await.unwrap();
    assert_eq!(hub.count(|seen| seen.origin == Origin::Hub), 5, "a place that breaks off is forgotten");
}

#[tokio::test]
async fn what_a_hub_does_wrong_has_its_kind() {
    let check = async |kind: FaultKind, expected: FetchErrorKind| {
        let hub = Hub::start();
        hub.repo("org/repo").lfs("a.gguf", vec![1; 1000]).publish();
        let fetcher = fetcher(&hub);
        let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
        hub.fault(Fault::on("a.gguf").kind(kind));
        let error =
            fetcher.open(&manifest.files()[0], ByteRange { start: 0, end: Some(10) }).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        error
    };
    let busy = Refusal::status(429).retry_after_s(7);
    assert_eq!(
        check(FaultKind::Refuse(busy), FetchErrorKind::RateLimited).await.retry_after,
        Some(Duration::from_secs(7))
    );
    let later = Refusal::status(503).retry_after_date(Duration::from_secs(60));
    assert!(
        check(FaultKind::Refuse(later), FetchErrorKind::RateLimited).await.retry_after.unwrap().as_secs()
            > 50
    );
    check(FaultKind::Refuse(Refusal::status(500)), FetchErrorKind::Unavailable).await;
    check(FaultKind::Refuse(Refusal::status(401)), FetchErrorKind::Unauthorized).await;
    check(FaultKind::Refuse(Refusal::status(418)), FetchErrorKind::Invalid).await;
    check(FaultKind::RedirectToSelf, FetchErrorKind::Invalid).await;
    check(FaultKind::RedirectTo("ftp://127.0.0.1/x".into()), FetchErrorKind::Invalid).await;
    check(FaultKind::HtmlPage, FetchErrorKind::Invalid).await;
    check(FaultKind::GzipBomb(1 << 20), FetchErrorKind::Invalid).await;
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "x").publish();
    hub.fault(Fault::on("*").kind(FaultKind::Stall(At::Half, None)));
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap().timeout(Duration::from_millis(200));
    let silent = resolve(&HubFetcher::new(settings), "hf:org/repo/a.gguf").await.unwrap_err();
    assert_eq!(silent.kind, FetchErrorKind::Unavailable, "{silent}");
    let gone = HubFetcher::new(HubSettings::new(Some("http://127.0.0.1:1")).unwrap());
    assert_eq!(resolve(&gone, "hf:org/repo").await.unwrap_err().kind, FetchErrorKind::Unreachable);
}
