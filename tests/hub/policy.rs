//! Each rule of a policy, for models of a hub.

use std::{io::ErrorKind, net::TcpListener, sync::Arc};

use model_provisioner::{
    Error, ErrorCode, Expectation, HubFetcher, HubSettings, ModelProvisioner, ModelProvisionerConfig,
    ModelRef, Network, Policy, PolicyFile, Role,
};
use testkit::{
    gguf_of,
    hub::{Fault, FaultKind, Origin},
};

use crate::fixture::Fixture;

const ID: &str = "hf:org/repo";

fn published() -> Fixture {
    let bench = Fixture::new();
    let config = r#"{ "model_type": "x", "auto_map": { "AutoModel": "modeling_x.Model" } }"#;
    let repo = bench.hub.repo("org/repo").license("apache-2.0").file("config.json", config);
    let repo = repo.file("modeling_x.py", "x = 1").file("tokenizer.json", "{}");
    let repo = repo.lfs("model.safetensors", testkit_safetensors());
    repo.scanned("model.safetensors", "suspicious").scanned("config.json", "safe").publish();
    bench
}

/// Returns a file of safetensors without a tensor.
fn testkit_safetensors() -> Vec<u8> {
    let mut bytes = 2u64.to_le_bytes().to_vec();
    bytes.extend(b"{}");
    bytes
}

/// Returns a provisioner that the caller lets ask the hub, under the rules of the operator's file.
fn under(bench: &Fixture, rules: &str) -> ModelProvisioner {
    let path = bench.path("policy.yaml");
    fs_err::write(&path, format!("version: 1\n{rules}\n")).unwrap();
    bench.builder().policy_engine(Arc::new(PolicyFile::read(path))).build().unwrap()
}

fn id() -> ModelRef {
    ID.parse().unwrap()
}

/// Says which rule denies which value, and whether that is before any byte of the model moves.
#[track_caller]
fn assert_denied(error: &Error, rule: &str, value: &str) {
    let denial = error.denial().unwrap_or_else(|| panic!("{rule}: {error}"));
    assert_eq!((denial.rule.as_ref(), denial.value.as_str()), (rule, value), "{error}");
    let location = denial.location.as_deref().unwrap();
    assert!(location.ends_with(&format!("policy.yaml: {rule}")), "{location}");
    assert!(denial.remedy.is_some(), "{error}");
}

#[tokio::test]
async fn each_rule_binds_a_model_of_the_hub() {
    let bench = published();
    for (rules, denied) in [
        ("network: allow", None),
        ("network: deny", Some(("network", ID))),
        ("schemes: [hf]", None),
        ("schemes: [local]", Some(("schemes", "hf"))),
        ("repos: [\"hf:org/*\"]", None),
        ("repos: [\"hf:other/*\"]", Some(("repos", ID))),
        ("repos: []", Some(("repos", ID))),
        ("hosts: [\"127.0.0.1\"]", None),
        ("hosts: [\"huggingface.co\"]", Some(("hosts", "127.0.0.1"))),
        ("licenses: [apache-2.0]", None),
        ("licenses: [mit]", Some(("licenses", "apache-2.0"))),
        ("formats: [gguf, pickle]", Some(("formats", "safetensors"))),
        ("scan: { deny: [unsafe] }", None),
        ("scan: { deny: [unsafe, suspicious] }", Some(("scan", "suspicious"))),
        ("max_bytes: 1M", None),
        ("max_bytes: 20", Some(("max_bytes", "82"))),
        ("max_files: 3", None),
        ("max_files: 2", Some(("max_files", "3"))),
        ("shell_out: deny", None),
    ] {
        let _ = fs_err::remove_dir_all(bench.cache());
        bench.hub.reset_counts();
        let ensured = under(&bench, rules).ensure(&id(), &Expectation::none()).await;
        match denied {
            None => assert!(ensured.is_ok(), "{rules}: {ensured:?}"),
            Some((rule, value)) => {
                let error = ensured.expect_err(rules);
                assert_eq!(error.denial().unwrap().rule, rule, "{rules}: {error}");
                if rule != "max_bytes" {
                    assert_denied(&error, rule, value);
                }
                assert_eq!(bench.hub.count(|seen| seen.origin == Origin::Cdn), 0, "{rules}");
                if ["network", "schemes", "repos", "hosts"].contains(&rule) {
                    assert_eq!(bench.hub.requests().len(), 0, "{rules}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_present_model_is_denied_by_what_it_is_and_never_for_want_of_a_network() {
    let bench = published();
    under(&bench, "").ensure(&id(), &Expectation::none()).await.unwrap();
    // Only a listing with the scanners' results is kept with them.
    let _ = fs_err::remove_dir_all(bench.cache());
    under(&bench, "scan: { deny: [unsafe] }").ensure(&id(), &Expectation::none()).await.unwrap();
    bench.hub.reset_counts();
    for (rules, denied) in [
        ("network: deny", None),
        ("hosts: []", None),
        ("licenses: [apache-2.0]", None),
        ("licenses: [mit]", Some("licenses")),
        ("scan: { deny: [suspicious] }", Some("scan")),
        ("schemes: [local]", Some("schemes")),
        ("repos: [\"hf:other/*\"]", Some("repos")),
        ("max_files: 2", Some("max_files")),
        ("max_bytes: 20", Some("max_bytes")),
    ] {
        let ensured = under(&bench, rules).ensure(&id(), &Expectation::none()).await;
        let rule = ensured.err().map(|error| error.denial().unwrap().rule.to_string());
        assert_eq!(rule.as_deref(), denied, "{rules}");
    }
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn remote_code_stays_out_unless_every_policy_allows_it() {
    let bench = published();
    let has_code = |rules: &'static str, own: Policy| {
        let bench = &bench;
        async move {
            let _ = fs_err::remove_dir_all(bench.cache());
            let path = bench.path("policy.yaml");
            fs_err::write(&path, format!("version: 1\n{rules}\n")).unwrap();
            let own = Policy { network: Network::Allow, ..own };
            let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap();
            let builder = ModelProvisioner::builder(bench.cache()).fetcher(HubFetcher::new(settings));
            let builder = builder.policy(own).policy_engine(Arc::new(PolicyFile::read(path)));
            let model = builder.build().unwrap().ensure(&id(), &Expectation::none()).await.unwrap();
            model.files.iter().any(|file| file.role == Some(Role::Code))
        }
    };
    let allowing =
        ModelProvisionerConfig::from_yaml("model_ref: x\npolicy: { remote_code: allow }\n", "/c".as_ref());
    let allowing = allowing.unwrap().policy;
    assert!(
        !has_code("remote_code: allow", Policy::default()).await,
        "the caller's policy does not allow it"
    );
    assert!(!has_code("remote_code: deny", allowing.clone()).await);
    assert!(!has_code("", allowing.clone()).await, "the operator does not allow it");
    assert!(has_code("remote_code: allow", allowing).await);
}

#[tokio::test]
async fn a_plan_has_every_verdict_and_moves_nothing() {
    let bench = published();
    let rules = "schemes: [hf]\nlicenses: [mit]\nformats: [gguf]\nmax_files: 1\nscan: { deny: [suspicious] }";
    let plan = under(&bench, rules).plan(&id()).await.unwrap();
    let found: Vec<_> = plan
        .policy
        .iter()
        .map(|verdict| (verdict.rule.as_ref(), verdict.value.as_str(), verdict.is_allowed()))
        .collect();
    for verdict in [
        ("schemes", "hf", true),
        ("repos", ID, true),
        ("network", ID, true),
        ("hosts", "127.0.0.1", true),
        ("licenses", "apache-2.0", false),
        ("formats", "safetensors", false),
        ("formats", "python", false),
        ("max_files", "3", false),
        ("scan", "suspicious", false),
        ("scan", "safe", true),
    ] {
        assert!(found.contains(&verdict), "{verdict:?} in {found:?}");
    }
    assert_eq!(plan.files.len(), 3, "a denial does not end the plan");
    assert_eq!(plan.refusal().unwrap().denial().unwrap().rule, "max_files");
    let place = plan.policy.iter().find(|verdict| verdict.rule == "licenses").unwrap().location.clone();
    assert!(place.unwrap().ends_with("policy.yaml: licenses"));
    assert_eq!(bench.hub.count(|seen| seen.origin == Origin::Cdn), 0);
    // Where the policy keeps the provisioner from the hub, the plan says so.
    bench.hub.reset_counts();
    for (rules, rule) in [("network: deny", "network"), ("repos: []", "repos"), ("hosts: [\"a\"]", "hosts")] {
        let plan = under(&bench, rules).plan(&id()).await.unwrap();
        assert!(plan.files.is_empty(), "{rules}");
        assert_eq!(plan.refusal().unwrap().code(), ErrorCode::PolicyDenied);
        assert!(plan.policy.iter().any(|verdict| verdict.rule == rule && !verdict.is_allowed()), "{rules}");
    }
    assert_eq!(bench.hub.requests().len(), 0);
}

#[tokio::test]
async fn a_record_keeps_what_the_hub_says() {
    let bench = Fixture::new();
    bench.hub.repo("org/repo").license("MIT").lfs("a.gguf", gguf_of(5000, 1)).publish();
    let provisioner = bench.provisioner();
    provisioner.ensure_present_str("hf:org/repo/a.gguf", None).await.unwrap();
    let record = provisioner.show(&"hf:org/repo/a.gguf".parse().unwrap()).await.unwrap().record;
    let source = record.source.unwrap();
    assert_eq!(
        (source.license.as_deref(), source.gated, source.private),
        (Some("mit"), Some(false), Some(false))
    );
}

#[tokio::test]
async fn the_hosts_hold_for_every_hop() {
    let bench = published();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://localhost:{}/x", trap.local_addr().unwrap().port());
    for asked in ["/api/models/org/repo/revision/", "/api/models/org/repo/tree/", "model.safetensors"] {
        for (rules, target) in [
            ("hosts: [\"127.0.0.1\"]", elsewhere.as_str()),
            ("", "http://169.254.169.254/latest/meta-data"),
            ("", "http://10.255.255.1/x"),
            ("", "http://[::ffff:10.255.255.1]/x"),
            ("hosts: [\"127.0.0.1\", \"*.255.255.1\"]", "http://10.255.255.1/x"),
        ] {
            let _ = fs_err::remove_dir_all(bench.cache());
            bench.hub.clear_faults();
            bench.hub.fault(Fault::on(asked).kind(FaultKind::RedirectTo(target.to_owned())));
            let error = under(&bench, rules).ensure(&id(), &Expectation::none()).await.unwrap_err();
            let denial = error.denial().unwrap_or_else(|| panic!("{asked} {target}: {error}"));
            assert_eq!(denial.rule, "hosts", "{asked} {target}");
            assert_eq!(error.code(), ErrorCode::PolicyDenied);
        }
    }
    assert_eq!(trap.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "no hop became a connection");
}
