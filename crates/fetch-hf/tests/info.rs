//! What the hub says of a model and of a token, through the Hub's own client, and what a hostile hub can do with that.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{sync::Arc, time::Duration};

use fetch_hf::{HubFetcher, HubSettings, Token, TokenOrigin};
use provisioner_core::{
    FactNeeds, FetchErrorKind, HostPolicy, Manifest, ModelFetcher, Need, Policy, ResolveRequest, ScanStatus,
};
use serde_json::json;
use testkit::{
    Hub,
    hub::{At, ContentLength, Fault, FaultKind, Refusal, Seen},
};

const TOKEN: &str = "hf_Secret0123456789";
const WHOAMI: &str = "/api/whoami-v2";
const TREE: &str = "/api/models/org/repo/tree/";

fn hub() -> Hub {
    let hub = Hub::start();
    let repo = hub.repo("org/repo").license("mit").file("config.json", "{}").file("sub/a b.txt", "x");
    let repo = repo.lfs("model.safetensors", vec![1; 1000]);
    repo.scanned("config.json", "safe").scanned("model.safetensors", "suspicious").publish();
    hub
}

fn settings(hub: &Hub) -> HubSettings {
    HubSettings::new(Some(&hub.endpoint())).unwrap().timeout(Duration::from_secs(5))
}

fn with_token(hub: &Hub) -> HubFetcher {
    let settings = settings(hub).token(Token::new(TOKEN));
    HubFetcher::new(settings.token_origin(TokenOrigin::Variable("HF_TOKEN".into())))
}

fn decisive() -> FactNeeds {
    let mut needs = FactNeeds::default();
    needs.scans = Need::Decisive;
    needs
}

async fn resolve(fetcher: &HubFetcher, needs: FactNeeds) -> Manifest {
    let request = ResolveRequest::new("hf:org/repo".parse().unwrap()).needing(needs);
    fetcher.resolve(&request).await.unwrap()
}

fn scans(manifest: &Manifest) -> Vec<(&str, ScanStatus)> {
    let scans = &manifest.source().unwrap().scans;
    scans.iter().map(|(path, status)| (path.as_str(), *status)).collect()
}

fn license_of(manifest: &Manifest) -> Option<&str> {
    manifest.source()?.license.as_deref()
}

/// Returns whether a request asks for the scanners' results.
fn is_for_scans(seen: &Seen) -> bool {
    seen.raw_target.contains("expand=true")
}

const TOLD: [(&str, ScanStatus); 2] =
    [("config.json", ScanStatus::Safe), ("model.safetensors", ScanStatus::Suspicious)];

#[tokio::test]
async fn the_scanners_are_asked_only_where_the_caller_needs_them() {
    let hub = hub();
    let fetcher = HubFetcher::new(settings(&hub));
    assert_eq!(scans(&resolve(&fetcher, FactNeeds::default()).await), []);
    assert_eq!(hub.count(is_for_scans), 0);
    let without = hub.requests().len();
    hub.reset_counts();
    assert_eq!(scans(&resolve(&fetcher, FactNeeds::shown()).await), TOLD);
    assert_eq!((hub.count(is_for_scans), hub.requests().len()), (1, without + 1));
    hub.reset_counts();
    assert_eq!(scans(&resolve(&fetcher, decisive()).await), TOLD);
    assert_eq!((hub.count(is_for_scans), hub.requests().len()), (1, without + 1));
}

#[tokio::test]
async fn results_come_from_every_page() {
    let hub = hub();
    hub.page_size(1);
    assert_eq!(scans(&resolve(&with_token(&hub), FactNeeds::shown()).await), TOLD);
    assert_eq!(hub.count(is_for_scans), 4, "three files and a folder");
}

#[tokio::test]
async fn an_unknown_result_is_an_issue() {
    let hub = hub();
    for status in [json!({ "status": "haunted" }), json!({ "status": 5 }), json!({}), json!("unsafe")] {
        hub.clear_faults();
        let patch = json!({ "securityFileStatus": status });
        hub.fault(Fault::on(TREE).kind(FaultKind::Listed("model.safetensors".into(), patch)));
        let manifest = resolve(&HubFetcher::new(settings(&hub)), decisive()).await;
        assert_eq!(scans(&manifest).last(), Some(&("model.safetensors", ScanStatus::Unknown)), "{status}");
        let issues: Vec<_> = manifest.source().unwrap().scan_issues().collect();
        assert_eq!(issues.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_licence_that_the_first_answer_lacks_is_asked_by_its_name() {
    let hub = hub();
    let commit = hub.repo("org/bare").license("mit").lfs("model.safetensors", "x").publish();
    let request = ResolveRequest::new("hf:org/bare".parse().unwrap());
    let fetcher = HubFetcher::new(settings(&hub));
    let bare = Refusal::status(200).body(json!({ "sha": commit.as_str() }).to_string());
    let bare =
        || Fault::on("/api/models/org/bare/revision/main").once().kind(FaultKind::Refuse(bare.clone()));
    for (needs, license) in [(FactNeeds::default(), None), (FactNeeds::shown(), Some("mit"))] {
        hub.fault(bare());
        let manifest = fetcher.resolve(&request.clone().needing(needs)).await.unwrap();
        assert_eq!(license_of(&manifest), license);
    }
    let is_by_name = |seen: &Seen| seen.raw_target.contains("expand=cardData");
    assert_eq!(hub.count(is_by_name), 1);
    resolve(&fetcher, FactNeeds::shown()).await;
    assert_eq!(hub.count(is_by_name), 1, "where the first answer has it, no second one is asked for");
    // Odd types in it fail nothing.
    let odd = json!({ "id": 5, "cardData": [], "gated": 7, "tags": "x", "private": {} }).to_string();
    hub.fault(bare());
    let by_name = format!("/api/models/org/bare/revision/{}", commit.as_str());
    hub.fault(Fault::on(&by_name).kind(FaultKind::Refuse(Refusal::status(200).body(odd))));
    let manifest = fetcher.resolve(&request.needing(FactNeeds::shown())).await.unwrap();
    assert_eq!(license_of(&manifest), None);
}

#[tokio::test]
async fn no_answer_about_scanners_fails_a_model_that_no_rule_binds() {
    let hub = hub();
    let other = Hub::start();
    let huge = format!("[{}]", " ".repeat(9 << 20));
    for kind in [
        FaultKind::Refuse(Refusal::status(401)),
        FaultKind::Refuse(Refusal::status(403)),
        FaultKind::Refuse(Refusal::status(500).body("x".repeat(1 << 20))),
        FaultKind::Refuse(Refusal::status(200).body(huge)),
        FaultKind::Refuse(Refusal::status(200).body(r#"[{"type":"file","path":5}]"#)),
        FaultKind::HtmlPage,
        FaultKind::GzipBomb(64 << 20),
        FaultKind::Cut(At::Half),
        FaultKind::Stall(At::BeforeHead, None),
        FaultKind::ContentLength(ContentLength::Is("7".into())),
        FaultKind::RedirectTo(other.endpoint()),
        FaultKind::RedirectTo("http://169.254.169.254/latest".into()),
        FaultKind::RedirectToSelf,
        FaultKind::LinkToSelf,
        FaultKind::LinkTo(format!("{}/x", other.endpoint())),
    ] {
        hub.clear_faults();
        let what = format!("{kind:.60?}");
        // The first listing is our own client's.
        hub.fault(Fault::on(TREE).after(1).kind(kind));
        let settings = settings(&hub).token(Token::new(TOKEN)).timeout(Duration::from_secs(1));
        let manifest = resolve(&HubFetcher::new(settings), FactNeeds::shown()).await;
        assert_eq!(manifest.files().len(), 3, "{what}");
        assert_eq!(manifest.source().unwrap().license.as_deref(), Some("mit"), "{what}");
    }
    let paths: Vec<_> = other.requests().into_iter().map(|seen| (seen.path, seen.authorization)).collect();
    assert!(paths.iter().all(|(path, token)| path.starts_with(TREE) && token.is_none()), "{paths:?}");
}

#[tokio::test]
async fn a_rule_about_scanners_fails_the_model_where_no_client_gets_results() {
    let hub = hub();
    let request = ResolveRequest::new("hf:org/repo".parse().unwrap()).needing(decisive());
    hub.fault(Fault::on(TREE).after(1).kind(FaultKind::Refuse(Refusal::status(500))));
    let error = HubFetcher::new(settings(&hub)).resolve(&request).await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Unavailable);
    // What hf-hub does not read, our own listing does.
    hub.clear_faults();
    let odd = json!({ "size": -1, "lfs": { "oid": "0", "pointerSize": "x" } });
    hub.fault(Fault::on(TREE).after(1).once().kind(FaultKind::Listed("model.safetensors".into(), odd)));
    let manifest = HubFetcher::new(settings(&hub)).resolve(&request).await.unwrap();
    assert_eq!(scans(&manifest), TOLD);
}

#[tokio::test]
async fn the_account_of_a_token_is_asked_of_the_endpoint_alone() {
    let hub = hub();
    hub.account(TOKEN, "alice", &["acme", "zoo"]);
    let anonymous = HubFetcher::new(settings(&hub));
    assert_eq!(anonymous.account().await.unwrap(), None);
    assert_eq!(hub.requests().len(), 0, "without a token nothing is asked");
    let account = with_token(&hub).account().await.unwrap().unwrap();
    assert_eq!((account.name.as_str(), account.organizations), ("alice", vec!["acme".into(), "zoo".into()]));
    let other = Hub::start();
    hub.fault(Fault::on(WHOAMI).kind(FaultKind::RedirectTo(other.endpoint())));
    let mut confined = with_token(&hub);
    let hosts = Policy { hosts: Some(vec!["huggingface.co".into()]), ..Policy::default() };
    confined.confine(&HostPolicy::new(Arc::new(hosts))).unwrap();
    hub.reset_counts();
    assert_eq!(confined.account().await.unwrap_err().kind, FetchErrorKind::Denied);
    assert_eq!(hub.requests().len(), 0, "the policy is asked before the request");
    assert!(with_token(&hub).account().await.is_err());
    let asked: Vec<_> = other.requests().into_iter().map(|seen| seen.authorization).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(Option::is_none),
        "the token stays at the endpoint: {asked:?}"
    );
}

#[tokio::test]
async fn no_answer_about_a_token_shows_it() {
    let hub = hub();
    let echo = |status: u16| {
        let text = json!({ "error": format!("no {TOKEN}"), "name": TOKEN }).to_string();
        FaultKind::Refuse(Refusal::status(status).header("X-Error-Message", TOKEN).body(text))
    };
    let odd = json!({ "name": ["alice"], "orgs": 5 }).to_string();
    for (kind, expect) in [
        (echo(401), FetchErrorKind::Unauthorized),
        (echo(403), FetchErrorKind::Unauthorized),
        (echo(500), FetchErrorKind::Unavailable),
        (echo(200), FetchErrorKind::Invalid),
        (FaultKind::Refuse(Refusal::status(200).body(odd)), FetchErrorKind::Invalid),
        (FaultKind::Refuse(Refusal::status(200).body("x".repeat(9 << 20))), FetchErrorKind::Invalid),
        (FaultKind::Stall(At::BeforeHead, None), FetchErrorKind::Unavailable),
    ] {
        hub.clear_faults();
        hub.fault(Fault::on(WHOAMI).kind(kind));
        let settings = settings(&hub).token(Token::new(TOKEN)).timeout(Duration::from_secs(1));
        let error = HubFetcher::new(settings).account().await.unwrap_err();
        assert_eq!(error.kind, expect, "{error}");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    }
}
