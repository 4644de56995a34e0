//! What the hub says of a model and of its caller, in ensure, plan, inspect and under a policy.

use std::sync::Arc;

use model_provisioner::{
    ErrorCode, Expectation, HubFetcher, HubSettings, ModelProvisioner, ModelRef, Network, NetworkPolicy,
    PolicyFile, ScanStatus, Token,
};
use testkit::{
    gguf_of,
    hub::{Fault, FaultKind, Refusal, Seen},
};

use crate::fixture::Fixture;

const TOKEN: &str = "hf_Canary0123456789";
const A: &str = "hf:org/repo/a.gguf";

fn published() -> Fixture {
    let bench = Fixture::new();
    let repo = bench.hub.repo("org/repo").license("mit").lfs("a.gguf", gguf_of(5000, 1));
    repo.scanned("a.gguf", "unsafe").publish();
    bench
}

fn a() -> ModelRef {
    A.parse().unwrap()
}

/// Returns a provisioner with a token, under the rules of an operator's file.
fn under(bench: &Fixture, rules: &str) -> ModelProvisioner {
    let path = bench.path("policy.yaml");
    fs_err::write(&path, format!("version: 1\n{rules}\n")).unwrap();
    let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().token(Token::new(TOKEN));
    let builder = bench.builder().fetcher(HubFetcher::new(settings));
    builder.policy_engine(Arc::new(PolicyFile::read(path))).build().unwrap()
}

fn is_for_scans(seen: &Seen) -> bool {
    seen.raw_target.contains("expand=true")
}

fn is_by_name(seen: &Seen) -> bool {
    seen.raw_target.contains("expand=cardData")
}

#[tokio::test]
async fn an_ensure_without_a_rule_asks_no_scanner() {
    let bench = published();
    bench.provisioner().ensure(&a(), &Expectation::none()).await.unwrap();
    let without = bench.hub.requests().len();
    for (rules, more) in [("licenses: [mit]", 0), ("formats: [gguf]", 0), ("scan: { deny: [caution] }", 1)] {
        let _ = fs_err::remove_dir_all(bench.cache());
        bench.hub.reset_counts();
        under(&bench, rules).ensure(&a(), &Expectation::none()).await.unwrap();
        assert_eq!(
            (bench.hub.requests().len(), bench.hub.count(is_for_scans)),
            (without + more, more),
            "{rules}"
        );
        assert_eq!(bench.hub.count(is_by_name), 0, "the first answer has the licence");
    }
}

#[tokio::test]
async fn a_plan_and_an_inspection_have_what_the_hub_says() {
    let bench = published();
    let provisioner = bench.provisioner();
    let planned = provisioner.plan(&a()).await.unwrap().source.unwrap();
    let inspected = provisioner.inspect(&a()).await.unwrap().source.unwrap();
    for source in [planned, inspected] {
        assert_eq!((source.license.as_deref(), source.gated), (Some("mit"), Some(false)));
        assert_eq!(source.scan_issues().map(|(_, status)| status).collect::<Vec<_>>(), [ScanStatus::Unsafe]);
    }
    // A hub without an answer about scanners fails neither.
    bench.hub.fault(
        Fault::on("/api/models/org/repo/tree/").after(1).kind(FaultKind::Refuse(Refusal::status(500))),
    );
    let source = provisioner.plan(&a()).await.unwrap().source.unwrap();
    assert!(source.scans.is_empty() && source.license.is_some());
}

#[tokio::test]
async fn a_model_that_is_fetched_again_keeps_what_the_scanners_said() {
    let bench = published();
    under(&bench, "scan: { deny: [caution] }").ensure(&a(), &Expectation::none()).await.unwrap();
    fs_err::remove_dir_all(bench.cache().join("store-v1")).unwrap();
    bench.hub.reset_counts();
    bench.provisioner().ensure(&a(), &Expectation::none()).await.unwrap();
    let record = bench.provisioner().show(&a()).await.unwrap().record;
    assert_eq!(record.source.unwrap().scans.len(), 1);
    assert!(!bench.hub.requests().is_empty() && bench.hub.count(is_for_scans) == 0);
}

#[tokio::test]
async fn a_licence_that_no_answer_tells_is_denied() {
    let bench = published();
    bench.hub.repo("org/bare").lfs("a.gguf", gguf_of(5000, 2)).publish();
    let bare: ModelRef = "hf:org/bare/a.gguf".parse().unwrap();
    let error = under(&bench, "licenses: [mit]").ensure(&bare, &Expectation::none()).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule, "licenses");
    assert_eq!(bench.hub.count(is_by_name), 1);
    bench.hub.fault(Fault::on("/api/models/org/bare/revision/").after(1).kind(FaultKind::HtmlPage));
    let error = under(&bench, "licenses: [mit]").ensure(&bare, &Expectation::none()).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule, "licenses", "{error}");
    bench.hub.clear_faults();
    assert!(bench.provisioner().ensure(&bare, &Expectation::none()).await.is_ok());
}

#[tokio::test]
async fn the_account_is_asked_where_the_policy_allows_it() {
    let bench = published();
    bench.hub.account(TOKEN, "alice", &["acme"]);
    for rules in ["network: allow", "schemes: [hf]", "repos: []", "hosts: [\"127.0.0.1\"]"] {
        let account = under(&bench, rules).account("hf").await.unwrap().unwrap();
        assert_eq!((account.name.as_str(), account.organizations), ("alice", vec!["acme".into()]), "{rules}");
    }
    bench.hub.reset_counts();
    for rules in ["network: deny", "schemes: [local]", "hosts: [\"huggingface.co\"]", "unknown: 1"] {
        let error = under(&bench, rules).account("hf").await.unwrap_err();
        assert!(error.denial().is_some(), "{rules}: {error}");
    }
    let offline = bench.builder().policy_engine(Arc::new(NetworkPolicy(Network::Offline))).build().unwrap();
    assert_eq!(offline.account("hf").await.unwrap_err().code(), ErrorCode::Offline);
    assert_eq!(bench.provisioner().account("hf").await.unwrap(), None, "there is no token");
    assert_eq!(bench.provisioner().account("local").await.unwrap(), None);
    assert_eq!(bench.hub.requests().len(), 0);
    bench.hub.expire(TOKEN);
    assert_eq!(under(&bench, "").account("hf").await.unwrap_err().code(), ErrorCode::Unauthorized);
}
