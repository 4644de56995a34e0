//! Each rule of a policy, for a model of this machine: through the operator's file, a config and the library.

use std::sync::Arc;

use model_provisioner::{
    AllOf, Decision, Denial, Error, ErrorCode, Format, ModelProvisioner, ModelProvisionerConfig, ModelRef,
    Policy, PolicyEngine, PolicyFile, Question, ScanStatus, provision_from_config_to_handoff,
};
use proptest::{prelude::*, sample::subsequence};
use testkit::TINY_GGUF;

use crate::fixture::Fixture;

/// Returns a folder with a model that names its licence, and with program code that its configuration names.
fn model(bench: &Fixture) -> (String, String) {
    let gguf = fs_err::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny.gguf")).unwrap();
    let file = bench.old_file("model.gguf", &gguf);
    let config = br#"{ "auto_map": { "AutoModel": "modeling_x.Model" } }"#;
    bench.old_file("folder/config.json", config);
    bench.old_file("folder/modeling_x.py", b"x = 1");
    let folder = bench.old_file("folder/model.gguf", &gguf).parent().unwrap().to_owned();
    (file.display().to_string(), folder.display().to_string())
}

/// Ensures a model under the rules of the operator's file.
fn by_file(bench: &Fixture, rules: &str, reference: &str) -> Option<Error> {
    let path = bench.path("policy.yaml");
    fs_err::write(&path, format!("version: 1\n{rules}\n")).unwrap();
    let builder = ModelProvisioner::builder(bench.cache()).policy_engine(Arc::new(PolicyFile::read(&path)));
    ensure(&builder.build().unwrap(), reference)
}

/// Ensures a model under the rules of a config.
fn by_config(bench: &Fixture, rules: &str, reference: &str) -> Option<Error> {
    let path = bench.path("config.yaml");
    fs_err::write(&path, config(rules, reference)).unwrap();
    provision_from_config_to_handoff(path, bench.path("handoff.json"), bench.cache()).err()
}

/// Ensures a model under a policy of the caller.
fn by_library(bench: &Fixture, rules: &str, reference: &str) -> Option<Error> {
    let policy = policy(rules);
    ensure(&ModelProvisioner::builder(bench.cache()).policy(policy).build().unwrap(), reference)
}

fn config(rules: &str, reference: &str) -> String {
    let indented = rules.lines().map(|rule| format!("  {rule}\n")).collect::<Vec<_>>().concat();
    let policy = if rules.is_empty() { "policy: {}\n".to_owned() } else { format!("policy:\n{indented}") };
    format!("model_ref: {reference}\n{policy}")
}

fn policy(rules: &str) -> Policy {
    ModelProvisionerConfig::from_yaml(&config(rules, "x.gguf"), "/config.yaml".as_ref()).unwrap().policy
}

fn ensure(provisioner: &ModelProvisioner, reference: &str) -> Option<Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(provisioner.ensure_present_str(reference, None)).err()
}

#[test]
fn each_rule_binds_a_local_model_by_every_road() {
    let bench = Fixture::new();
    let (file, folder) = model(&bench);
    for (rules, reference, expected) in [
        ("network: deny", &file, None),
        ("schemes: [local]", &file, None),
        ("schemes: [file, hf]", &file, None),
        ("schemes: [hf]", &file, Some(("schemes", "local"))),
        ("schemes: []", &file, Some(("schemes", "local"))),
        ("repos: []", &file, None),
        ("hosts: []", &file, None),
        ("licenses: [mit, CC0-1.0]", &file, None),
        ("licenses: [mit]", &file, Some(("licenses", "cc0-1.0"))),
        ("licenses: []", &file, Some(("licenses", "cc0-1.0"))),
        ("formats: [gguf]", &file, None),
        ("formats: [safetensors]", &file, Some(("formats", "gguf"))),
        ("scan: { deny: [unsafe, suspicious] }", &file, None),
        ("remote_code: allow", &folder, None),
        ("remote_code: deny", &folder, Some(("remote_code", "modeling_x.py"))),
        ("remote_code: deny", &file, None),
        ("signatures: [{ repos: [\"hf:a/*\"], keys: [a.pub], mode: enforce }]", &file, None),
        ("max_bytes: 74K", &file, None),
        ("max_bytes: 73152", &file, None),
        ("max_bytes: 73K", &file, Some(("max_bytes", "73152"))),
        ("max_files: 1", &file, None),
        ("max_files: 0", &file, Some(("max_files", "1"))),
        ("shell_out: deny", &file, None),
    ] {
        let roads = [
            ("policy.yaml: ", by_file as fn(&Fixture, &str, &str) -> Option<Error>),
            ("config.yaml: policy.", by_config),
            ("", by_library),
        ];
        for (place, road) in roads {
            // An absent model first, and then a present one.
            let _ = fs_err::remove_dir_all(bench.cache());
            check(road(&bench, rules, reference).as_ref(), expected, place, rules);
            assert!(by_library(&bench, "", reference).is_none());
            check(road(&bench, rules, reference).as_ref(), expected, place, rules);
        }
    }
}

#[track_caller]
fn check(error: Option<&Error>, expected: Option<(&str, &str)>, place: &str, rules: &str) {
    let denial = error.map(|error| error.denial().unwrap_or_else(|| panic!("{rules}: {error}")));
    let found = denial.map(|denial| (denial.rule.as_ref(), denial.value.as_str()));
    assert_eq!(found, expected, "{rules} by `{place}`");
    let Some(denial) = denial else { return };
    assert!(denial.remedy.is_some(), "{denial}");
    match &denial.location {
        Some(location) => assert!(location.ends_with(&format!("{place}{}", denial.rule)), "{location}"),
        None => assert_eq!(place, ""),
    }
}

#[test]
fn a_licence_that_is_not_known_is_denied_only_by_a_rule() {
    let bench = Fixture::new();
    let file = bench.old_file("plain.gguf", TINY_GGUF).display().to_string();
    assert!(by_library(&bench, "", &file).is_none());
    let error = by_file(&bench, "licenses: [mit]", &file).unwrap();
    assert_eq!(error.denial().unwrap().value, "unknown");
    assert!(by_file(&bench, "schemes: [local]", &file).is_none());
}

#[test]
fn a_policy_file_that_cannot_be_used_denies_everything() {
    let bench = Fixture::new();
    let (file, _) = model(&bench);
    for (rules, reason) in [
        ("netwrok: allow", "line 2: unknown field `netwrok`"),
        ("network: offline", "line 2: unknown value `offline`"),
        ("hosts:", "line 2: "),
        ("network: ~", "line 2: "),
        ("hosts: huggingface.co", "line 2: "),
        ("max_bytes: 200X", "line 2: a size is written 500K"),
        ("max_bytes: -1", "line 2: a size is not negative"),
        ("max_files: 20K", "line 2: a whole number is expected"),
        ("scan: { deny: [unsaef] }", "line 2: unknown value `unsaef`"),
        ("scan: [unsafe]", "line 2: "),
        ("remote_code: warn", "line 2: unknown value `warn`"),
        ("signatures: [{ repo: x }]", "line 2: unknown field `repo`"),
        ("formats: [gguf]\nformats: [pickle]", "line 3: "),
        ("version: 1", "line 2: "),
    ] {
        let error = by_file(&bench, rules, &file).unwrap_or_else(|| panic!("{rules}"));
        assert_eq!(error.code(), ErrorCode::PolicyDenied);
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("policy.yaml"), "{rules}: {text}");
    }
    for text in ["", "version: 2\n", "network: allow\n", "[]", "version: 1\n\u{0}", "- version: 1"] {
        let path = bench.path("broken.yaml");
        fs_err::write(&path, text).unwrap();
        assert!(PolicyFile::read(&path).fault().is_some(), "{text:?}");
    }
    let absent = PolicyFile::read(bench.path("absent.yaml"));
    let local = "local:/a".parse().unwrap();
    assert!(matches!(absent.decide(&Question::Reference(&local)), Decision::Denied(_)));
    assert_eq!(absent.names_host("huggingface.co"), Some(false));
    assert!(PolicyFile::read(bench.path("")).fault().is_some(), "a folder");
}

#[test]
fn the_example_is_sound_and_on_its_page() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = PolicyFile::read(root.join("examples/policy.yaml"));
    assert!(file.fault().is_none(), "{:?}", file.fault());
    assert_eq!(file.rules().len(), 12, "the example has every rule");
    let example = fs_err::read_to_string(file.path()).unwrap();
    let page = fs_err::read_to_string(root.join("docs/policy.md")).unwrap();
    assert!(page.contains(&example));
}

/// Some rules, as lines of a policy.
fn rules() -> impl Strategy<Value = String> {
    let some = |name: &'static str, values: &'static [&'static str]| {
        let list = subsequence(values, 0..=values.len());
        prop::option::of(list).prop_map(move |list| {
            let quoted = |list: Vec<&str>| list.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>();
            list.map(|list| format!("{name}: [{}]\n", quoted(list).join(", "))).unwrap_or_default()
        })
    };
    let one = |name: &'static str, values: &'static [&'static str]| {
        prop::option::of(prop::sample::select(values))
            .prop_map(move |value| value.map(|value| format!("{name}: {value}\n")).unwrap_or_default())
    };
    let lists = (
        some("schemes", &["local", "hf", "mem"]),
        some("hosts", &["a.example", "*.example", "10.0.0.1"]),
        some("repos", &["hf:o/*", "mem:o/a", "p/b"]),
        some("licenses", &["mit", "apache-2.0"]),
        some("formats", &["gguf", "pickle", "python"]),
    );
    let values = (
        one("network", &["allow", "deny"]),
        one("scan", &["{ deny: [unsafe] }", "{ deny: [unsafe, error] }", "{ deny: [] }"]),
        one("remote_code", &["allow", "deny"]),
        one("shell_out", &["allow", "deny"]),
        one("max_bytes", &["5", "1K"]),
        one("max_files", &["2", "30"]),
        one("signatures", &["[{ repos: [\"hf:o/*\"], keys: [k] }]", "[{ repos: [\"p/*\"], mode: warn }]"]),
    );
    (lists, values)
        .prop_map(|((a, b, c, d, e), (f, g, h, i, j, k, l))| [a, b, c, d, e, f, g, h, i, j, k, l].concat())
}

/// Returns what each of some policies denies, of many questions.
fn denied(policy: &dyn PolicyEngine) -> Vec<bool> {
    let references: Vec<ModelRef> =
        ["local:/a", "hf:o/a", "hf:p/b", "mem:o/a", "s3://o/a"].map(|text| text.parse().unwrap()).into();
    let mut questions = vec![Question::AnyHost, Question::ShellOut { program: "hf" }];
    questions.push(Question::RemoteCode { path: "m.py" });
    for reference in &references {
        questions.extend([Question::Reference(reference), Question::Network(reference)]);
        questions.push(Question::Signature { reference, signers: &[] });
    }
    questions.extend(["a.example", "b.example", "10.0.0.1", "example"].map(Question::Host));
    questions.extend([1, 6, 2000].map(|size_bytes| Question::Size { id: "m", size_bytes }));
    questions.extend([1, 3, 31].map(|files| Question::MaxFiles { id: "m", files }));
    let formats = [Format::Gguf, Format::Pickle, Format::Python, Format::Other];
    questions.extend(formats.map(|format| Question::Format { path: "m", format }));
    questions.extend([None, Some("mit"), Some("gpl")].map(|license| Question::License { id: "m", license }));
    questions.extend(ScanStatus::ALL.map(|status| Question::Scan { path: "m", status }));
    let is_denied = |question: &Question<'_>| {
        let denials: Vec<Denial> = policy.denials(question);
        let is_denied = policy.decide(question) != Decision::Allowed;
        assert_eq!(is_denied, !denials.is_empty(), "{question:?}");
        is_denied
    };
    questions.iter().map(is_denied).collect()
}

proptest! {
    #[test]
    fn two_policies_allow_together_what_each_allows_alone(operator in rules(), other in rules()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        fs_err::write(&path, format!("version: 1\n{operator}")).unwrap();
        let file = PolicyFile::read(&path);
        prop_assert!(file.fault().is_none(), "{:?}", file.fault());
        let config = ModelProvisionerConfig::from_yaml(&config(&other, "x"), &path).unwrap();
        let config: Arc<dyn PolicyEngine> = Arc::new(config.placed_policy());
        let file: Arc<dyn PolicyEngine> = Arc::new(file);
        for order in [[&file, &config], [&config, &file]] {
            let joint = AllOf(order.into_iter().cloned().collect());
            let alone = denied(file.as_ref()).into_iter().zip(denied(config.as_ref()));
            let expected: Vec<_> = alone.map(|(one, other)| one || other).collect();
            prop_assert_eq!(denied(&joint), expected);
            for host in ["a.example", "b.example", "10.0.0.1"] {
                let says_no = order.iter().any(|policy| policy.names_host(host) == Some(false));
                prop_assert!(!(says_no && joint.names_host(host) == Some(true)), "{}", host);
            }
        }
    }
}
