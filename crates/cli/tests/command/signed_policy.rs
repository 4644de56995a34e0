//! The `signatures` and the `mirrors` of a policy file, and what a statement and `doctor` say of the policy.

use serde_json::{Value, json};
use testkit::{
    Hub, OTHER_PUBLIC_KEY, PUBLIC_KEY, Signature, gguf,
    hub::{Fault, FaultKind, Origin},
};

use crate::{
    fixture::{Finished, Fixture},
    hub::run,
};

const SIGNED: &str = "hf:org/signed/a.gguf";
const UNSIGNED: &str = "hf:org/unsigned/a.gguf";

/// Makes a hub with a model that [`PUBLIC_KEY`] signed and one that no key signed, and the files of two keys.
fn bench() -> (Fixture, Hub) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let weights = gguf("weights");
    let signature = Signature::of([("a.gguf", &weights)]);
    hub.repo("org/signed").lfs("a.gguf", weights.clone()).file("model.sig", signature.to_json()).publish();
    hub.repo("org/unsigned").lfs("a.gguf", weights).publish();
    bench.file("etc/org.pem", PUBLIC_KEY);
    bench.file("etc/other.pem", OTHER_PUBLIC_KEY);
    (bench, hub)
}

/// Writes a policy file with a rule of signatures. Its keys lie beside it.
fn policy(bench: &Fixture, key: &str, mode: &str) -> String {
    let rule = format!("signatures: [{{ repos: [\"hf:org/*\"], keys: [{key}], mode: {mode} }}]");
    bench.file("etc/policy.yaml", format!("version: 1\n{rule}\n")).display().to_string()
}

fn json_of(done: &Finished) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

#[test]
fn an_enforced_rule_takes_what_its_key_signed_alone() {
    let (bench, hub) = bench();
    let path = policy(&bench, "org.pem", "enforce");
    let under = |command: &str, id: &str| run(&bench, &hub, &[command, id, "--policy", &path, "--json"]);
    let signed = under("ensure", SIGNED);
    assert_eq!(signed.status, 0, "{}", signed.stderr);
    let model = json_of(&signed);
    assert_eq!(model["verification"]["basis"], "signed");
    assert_eq!(model["signatures"][0]["file"], "model.sig");
    for command in ["plan", "ensure"] {
        let refused = under(command, UNSIGNED);
        assert_eq!(refused.status, 5, "{command}: {}", refused.stderr);
    }
    let error = json_of(&under("ensure", UNSIGNED))["error"].take();
    assert_eq!((&error["code"], &error["rule"]), (&json!("denied"), &json!("signatures")));
    assert_eq!(error["value"], "hf:org/unsigned");
    assert!(error["where"].as_str().unwrap().ends_with("etc/policy.yaml: signatures"), "{error}");
    assert_eq!(hub.bytes_sent("org/unsigned"), 0, "no byte of it was fetched");
    // A model that is present is denied as well, and one that another key signed.
    assert_eq!(run(&bench, &hub, &["ensure", UNSIGNED]).status, 0);
    assert_eq!(under("ensure", UNSIGNED).status, 5);
    let path = policy(&bench, "other.pem", "enforce");
    assert_eq!(run(&bench, &hub, &["ensure", SIGNED, "--policy", &path]).status, 5);
}

#[test]
fn a_rule_that_warns_or_is_off_denies_nothing() {
    let (bench, hub) = bench();
    for (mode, warns) in [("warn", true), ("off", false)] {
        let path = policy(&bench, "org.pem", mode);
        let done = run(&bench, &hub, &["ensure", UNSIGNED, "--policy", &path, "--json"]);
        assert_eq!(done.status, 0, "{mode}: {}", done.stderr);
        assert_eq!(json_of(&done)["verification"]["basis"], "source");
        assert_eq!(done.stderr.contains("signature"), warns, "{mode}: {}", done.stderr);
        assert_eq!(run(&bench, &hub, &["remove", UNSIGNED]).status, 0);
    }
    // A rule that is off reads no key; a rule that counts needs it.
    let path = policy(&bench, "absent.pem", "off");
    assert_eq!(run(&bench, &hub, &["ensure", UNSIGNED, "--policy", &path]).status, 0);
    let path = policy(&bench, "absent.pem", "warn");
    let done = run(&bench, &hub, &["ensure", UNSIGNED, "--policy", &path]);
    assert!(done.status == 3 && done.stderr.contains("absent.pem"), "{}: {}", done.status, done.stderr);
}

#[test]
fn doctor_says_of_each_key_where_it_stands_and_what_it_is() {
    let (bench, hub) = bench();
    let path = policy(&bench, "org.pem, other.pem", "enforce");
    let doctor = |more: &[&str]| run(&bench, &hub, &[&["doctor", "--policy", &path], more].concat());
    let sound = doctor(&["--json"]);
    assert_eq!(sound.status, 0, "{}", sound.stdout);
    let keys = json_of(&sound)["keys"].take();
    let named = |name: &str| bench.path("etc").join(name).display().to_string();
    for (number, (name, curve)) in [("org.pem", "P-384"), ("other.pem", "P-256")].into_iter().enumerate() {
        let key = &keys[number];
        assert_eq!(key["file"], named(name));
        assert_eq!(key["where"], format!("{path}: signatures[0].keys[{number}]"));
        assert_eq!((&key["mode"], &key["repos"]), (&json!("enforce"), &json!(["hf:org/*"])));
        assert_eq!(key["curve"], curve);
    }
    assert_eq!(run(&bench, &hub, &["ensure", SIGNED, "--policy", &path]).status, 0);
    let signer = json_of(&run(&bench, &hub, &["show", SIGNED, "--json"]))["signatures"][0]["signer"].take();
    assert_eq!(keys[0]["fingerprint"], signer["fingerprint"], "a person knows the signer by it");
    let fingerprint = keys[0]["fingerprint"].as_str().unwrap();
    let text = doctor(&[]).stdout;
    let row = format!("key      {}: P-384, {fingerprint}; enforce for hf:org/*", named("org.pem"));
    assert!(text.contains(&row), "{text}");
    for (name, reason) in [("absent.pem", "absent.pem"), ("policy.yaml", "it holds no block of PEM")] {
        for (mode, status) in [("enforce", 8), ("warn", 8), ("off", 0)] {
            policy(&bench, name, mode);
            let faulty = doctor(&["--json"]);
            assert_eq!(faulty.status, status, "{name} {mode}: {}", faulty.stdout);
            let document = json_of(&faulty);
            assert!(document["keys"][0]["fault"].as_str().unwrap().contains(reason), "{document}");
            let problem = document["findings"][0]["problem"].as_str().unwrap();
            assert!(problem.contains("signatures[0].keys[0]") && problem.contains(reason), "{problem}");
        }
    }
}

#[test]
fn a_statement_names_the_operators_policies_and_the_signature() {
    let (bench, hub) = bench();
    let one = policy(&bench, "org.pem", "enforce");
    let two = bench.file("etc/two.yaml", "version: 1\nmax_bytes: 1G\n").display().to_string();
    let both = ["--policy", &one, "--policy", &two];
    assert_eq!(run(&bench, &hub, &[&["ensure", SIGNED], &both[..]].concat()).status, 0);
    let attest = |options: &[&str]| {
        let done = run(&bench, &hub, &[&["attest", SIGNED], options].concat());
        (done.status, serde_json::from_str::<Value>(&done.stdout).unwrap_or_default()["predicate"].take())
    };
    let named = |path: &str| {
        let sha256 = model_provisioner::Digest::sha256_of(&fs_err::read(path).unwrap()).hex();
        json!({ "uri": format!("file://{path}"), "digest": { "sha256": sha256 } })
    };
    let (status, predicate) = attest(&both);
    assert_eq!((status, &predicate["policy"]), (0, &named(&one)));
    let all = &predicate["https://model-provisioner.invalid/policies/v1"];
    assert_eq!(all, &json!([named(&one), named(&two)]));
    let input = &predicate["inputAttestations"][0];
    let uri = input["uri"].as_str().unwrap();
    assert!(uri.starts_with("pkg:huggingface/org/signed@") && uri.ends_with("#model.sig"), "{uri}");
    let shown = json_of(&run(&bench, &hub, &["show", SIGNED, "--json"]));
    assert_eq!(input["digest"]["sha256"], shown["signatures"][0]["digest"]["value"]);
    assert_eq!(attest(&["--policy", &two]).1["policy"], named(&two));
    let bare = attest(&[]).1;
    assert_eq!(bare["policy"]["uri"], "https://model-provisioner.invalid/policy/built-in/v1");
    // What the policy denies now has not passed it.
    let strict = bench.file("etc/strict.yaml", "version: 1\nformats: [safetensors]\n").display().to_string();
    assert_eq!(attest(&["--policy", &strict]).0, 5);
    let broken = bench.file("etc/broken.yaml", "version: 1\nx: 1\n").display().to_string();
    assert_eq!(attest(&["--policy", &broken]).0, 5);
}

/// An operator's policy decides in the place of the default one, for a statement as for an ensure.
#[test]
fn a_statement_goes_by_the_operators_formats() {
    let bench = Fixture::new();
    bench.file("model.bin", b"\x80\x02}q\x00.");
    let path = bench.file("etc/pickles.yaml", "version: 1\nformats: [pickle, other]\n").display().to_string();
    let under = ["--policy", &path];
    assert_eq!(bench.run(&["ensure", "model.bin"]).status, 5);
    assert_eq!(bench.run(&[&["ensure", "model.bin"], &under[..]].concat()).status, 0);
    assert_eq!(bench.run(&[&["verify", "model.bin"], &under[..]].concat()).status, 0);
    let done = bench.run(&[&["attest", "model.bin"], &under[..]].concat());
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(bench.run(&["attest", "model.bin"]).status, 5);
    assert_eq!(bench.run(&["attest", "model.bin", "--format", "cyclonedx"]).status, 0);
}

#[test]
fn a_config_gets_its_statement_beside_the_handoff() {
    let (bench, hub) = bench();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-signing/tests/keys/p256.pkcs8.pem");
    let config = |attest: &str| {
        let rest = format!("model_ref: {SIGNED}\npolicy: {{ network: allow }}\nattest: {attest}\n");
        bench.file("conf/model.yaml", rest);
        run(
            &bench,
            &hub,
            &["provision", "--config", "conf/model.yaml", "--json", "--handoff", "out/engine.json"],
        )
    };
    let done = config(&format!("{{ dir: ../out, key: {key} }}"));
    assert_eq!(done.status, 0, "{}", done.stderr);
    let document = json_of(&done);
    let statement = std::path::PathBuf::from(document["statement"].as_str().unwrap());
    let canonical = |path: &std::path::Path| path.canonicalize().unwrap();
    assert_eq!(canonical(statement.parent().unwrap()), canonical(&bench.path("out")));
    let envelope: Value = serde_json::from_slice(&fs_err::read(statement).unwrap()).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let bom = json_of(&config("{ dir: out, format: cyclonedx }"));
    assert!(bom["statement"].as_str().unwrap().ends_with(".cdx.json"), "{bom}");
    let refused = config("{ dir: out, format: spdx }");
    assert!(refused.status == 2 && refused.stderr.contains("line 3"), "{}", refused.stderr);
}

#[test]
fn a_policy_file_names_mirrors_for_what_is_locked() {
    let (bench, hub) = bench();
    let (mirror, liar) = (Hub::start(), Hub::start());
    for mirror in [&mirror, &liar] {
        mirror.repo("org/unsigned").lfs("a.gguf", gguf("weights")).publish();
    }
    liar.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Flip(9)));
    assert_eq!(run(&bench, &hub, &["lock", UNSIGNED]).status, 0);
    let named = |hub: &Hub| format!("{{ scheme: hf, endpoint: \"{}\" }}", hub.endpoint());
    let mirrors = format!("mirrors: [{}, {}]", named(&liar), named(&mirror));
    let path = bench.file("etc/mirrors.yaml", format!("version: 1\n{mirrors}\n")).display().to_string();
    let gone = |args: &[&str]| {
        let mut command = crate::hub::command(&bench, "http://127.0.0.1:1", args);
        crate::fixture::finish(command.env("HF_TOKEN", "hf_secret"))
    };
    let locked = ["ensure", UNSIGNED, "--locked", "models.lock", "--policy", &path, "--json"];
    let done = gone(&locked);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(json_of(&done)["verification"]["basis"], "pinned");
    let told = format!("the mirror `{}` is skipped for `a.gguf`", liar.endpoint());
    assert!(done.stderr.contains(&told), "{}", done.stderr);
    assert!(mirror.bytes_sent("a.gguf") > 0);
    for hub in [&liar, &mirror] {
        assert!(hub.requests().iter().all(|seen| seen.authorization.is_none()));
    }
    // Without a digest that binds them, they are not asked; nor do they loosen a rule.
    assert_eq!(run(&bench, &hub, &["remove", UNSIGNED]).status, 0);
    let asked = mirror.requests().len();
    assert_eq!(gone(&["ensure", UNSIGNED, "--policy", &path]).status, 6);
    let doctor = gone(&["doctor", "--policy", &path]).stdout;
    assert!(
        doctor.contains("mirrors.yaml` has no rule") && !doctor.contains("none of the operator's"),
        "{doctor}"
    );
    let closed = bench.file("etc/closed.yaml", "version: 1\nnetwork: deny\n").display().to_string();
    assert_eq!(gone(&[&locked[..], &["--policy", &closed]].concat()).status, 5);
    assert_eq!(mirror.requests().len(), asked);
    let wrong = bench.file("etc/wrong.yaml", "version: 1\nmirrors: [{ scheme: s3, endpoint: x }]\n");
    let refused = gone(&["ensure", UNSIGNED, "--policy", &wrong.display().to_string()]);
    assert!(refused.status == 2 && refused.stderr.contains("no mirrors of `s3:`"), "{}", refused.stderr);
}
