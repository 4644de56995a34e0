//! Statements about a model, which independent programs read.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use testkit::{FakeModel, Hub, TINY_GGUF};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

const ID: &str = "hf:org/repo";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../model-signing/tests/keys");

/// Makes a cache with a file of the user, whose digest is pinned, and a repository of a hub.
fn bench() -> (Fixture, Hub) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    bench.file("tiny.gguf", TINY_GGUF);
    let repo = hub.repo("org/repo").lfs("sub/model.safetensors", testkit::safetensors("x"));
    repo.file("config.json", "{}").lfs("model.gguf", FakeModel::gguf().to_bytes()).publish();
    let pinned = ["--sha256", "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"];
    assert_eq!(bench.run(&[&["ensure", "tiny.gguf", "-q"], &pinned[..]].concat()).status, 0);
    let done = hub::run(&bench, &hub, &["ensure", ID, "--include", "*"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    (bench, hub)
}

fn all(bench: &Fixture, more: &[&str]) -> Finished {
    bench.run(&[&["attest", "hf:org/repo?include=*"], more].concat())
}

#[test]
fn a_statement_goes_to_standard_output_or_into_a_file() {
    let (bench, _hub) = bench();
    let done = all(&bench, &[]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let statement: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(statement["predicate"]["verifiedLevels"], json!(["MODEL_DIGEST_FROM_SOURCE"]));
    let uri = statement["predicate"]["resourceUri"].as_str().unwrap();
    assert!(uri.starts_with("pkg:huggingface/org/repo@"), "{uri}");
    let done = bench.run(&[
        "attest",
        "tiny.gguf",
        "-o",
        "out/tiny.vsa.json",
        "--verifier",
        "https://example.org/models",
    ]);
    assert_eq!((done.status, done.stdout), (0, format!("{}\n", bench.path("out/tiny.vsa.json").display())));
    let written: Value =
        serde_json::from_slice(&fs_err::read(bench.path("out/tiny.vsa.json")).unwrap()).unwrap();
    assert_eq!(written["predicate"]["verifier"]["id"], "https://example.org/models");
    assert_eq!(written["predicate"]["verifiedLevels"], json!(["MODEL_DIGEST_PINNED"]));
}

#[test]
fn an_ensure_writes_statements_into_a_folder() {
    let (bench, _hub) = bench();
    let key = format!("{KEYS}/p256.pkcs8.pem");
    let document = bench.json(&[
        "ensure",
        "tiny.gguf",
        "--handoff",
        "out/engine.json",
        "--attest",
        "out",
        "--attest-key",
        &key,
    ]);
    let path = PathBuf::from(document["statement"].as_str().unwrap());
    assert_eq!(path.parent(), Some(bench.path("out").as_path()));
    let envelope: Value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(fs_err::read_dir(bench.path("out")).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_stated_or_signed_is_refused() {
    let (bench, _hub) = bench();
    bench.file("unread.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "unread.gguf", "-q"]).status, 0);
    let done = bench.run(&["attest", "unread.gguf"]);
    assert_eq!(done.status, 4, "{}", done.stderr);
    assert!(done.stderr.contains("the digest of `unread.gguf` is not known"), "{}", done.stderr);
    assert_eq!(bench.run(&["attest", "absent.gguf"]).status, 3);
    assert_eq!(all(&bench, &["--verifier", "no uri"]).status, 2);
    assert_eq!(all(&bench, &["--key", "absent.pem"]).status, 3);
    bench.file("junk.pem", "no key");
    assert_eq!(all(&bench, &["--key", "junk.pem"]).status, 2);
}

/// Reads a statement with an independent program, and returns what it says of it.
#[track_caller]
fn read(kind: &str, files: &[&Path]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let python = root.join("target/tools/statements/bin/python");
    assert!(python.exists(), "`just statement-readers` brings {}", python.display());
    let script = root.join("crates/cli/tests/statements/read.py");
    let done = finish(Command::new(python).arg(script).arg(kind).args(files));
    assert_eq!(done.status, 0, "{kind}: {}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
#[ignore = "needs the readers of `just statement-readers`; .ci/run installs them"]
fn statement_readers_take_a_summary() {
    let (bench, _hub) = bench();
    let file = bench.path("all.json");
    assert_eq!(all(&bench, &["-o", file.to_str().unwrap()]).status, 0);
    let seen = read("statement", &[&file]);
    assert_eq!(seen["predicate_type"], "https://slsa.dev/verification_summary/v1");
    assert_eq!(seen["result"], "PASSED");
    assert_eq!(seen["purl_type"], "huggingface");
    assert_eq!(seen["subjects"].as_array().unwrap().len(), 4);
    assert_eq!(seen["digests"], json!(["dirHash", "sha256"]));
}

#[test]
#[ignore = "needs the readers of `just statement-readers`; .ci/run installs them"]
fn statement_readers_verify_an_envelope_of_each_curve() {
    let (bench, _hub) = bench();
    for curve in ["p256", "p384", "p521"] {
        for form in ["pkcs8", "sec1"] {
            let file = bench.path(&format!("{curve}-{form}.json"));
            let key = format!("{KEYS}/{curve}.{form}.pem");
            let done = all(&bench, &["--key", &key, "-o", file.to_str().unwrap()]);
            assert_eq!(done.status, 0, "{}", done.stderr);
            let public = PathBuf::from(format!("{KEYS}/{curve}.pub.pem"));
            let seen = read("envelope", &[&file, &public]);
            assert_eq!(
                (&seen["verified"], &seen["changed_is_refused"]),
                (&json!(true), &json!(true)),
                "{curve}"
            );
            assert_eq!(seen["statement"]["result"], "PASSED");
        }
    }
}

#[test]
#[ignore = "needs the readers of `just statement-readers`; .ci/run installs them"]
fn statement_readers_take_a_bill_of_materials() {
    let (bench, _hub) = bench();
    for (id, files) in [("hf:org/repo?include=*", 3), ("tiny.gguf", 1)] {
        let file = bench.path("bom.cdx.json");
        let done = bench.run(&["attest", id, "--format", "cyclonedx", "-o", file.to_str().unwrap()]);
        assert_eq!(done.status, 0, "{}", done.stderr);
        let seen = read("bom", &[&file]);
        assert_eq!(seen["type"], "machine-learning-model");
        assert_eq!(seen["files"], files);
    }
}

#[test]
fn a_key_that_is_none_is_named_and_an_open_one_earns_a_warning() {
    let (bench, _hub) = bench();
    let attest = |key: &str| bench.run(&["attest", "tiny.gguf", "--key", key]);
    bench.file("public.pem", fs_err::read(format!("{KEYS}/p256.pub.pem")).unwrap());
    let done = attest("public.pem");
    assert_eq!(done.status, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("the key `public.pem` cannot be read: it holds `PUBLIC KEY`"),
        "{}",
        done.stderr
    );
    let path = private_key(&bench);
    config(&bench);
    let told = "every user of this machine can read the key in `";
    for args in [
        &["attest", "tiny.gguf", "--key", "key.pem"][..],
        &["ensure", "tiny.gguf", "--attest", "out", "--attest-key", "key.pem"],
        &["provision", "--config", "model.yaml"],
    ] {
        let warns = |mode| {
            fs_err::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let done = bench.run(args);
            assert_eq!(done.status, 0, "{args:?}: {}", done.stderr);
            assert!(!done.stderr.contains(told) || done.stderr.contains("key.pem`"), "{}", done.stderr);
            done.stderr.matches(told).count()
        };
        assert_eq!((warns(0o644), warns(0o600)), (1, 0), "{args:?}");
    }
}

#[test]
fn no_handoff_overwrites_the_key() {
    let bench = Fixture::new();
    bench.file("tiny.gguf", TINY_GGUF);
    let path = private_key(&bench);
    config(&bench);
    let before = fs_err::read(&path).unwrap();
    for args in [
        &["ensure", "tiny.gguf", "--attest", "out", "--attest-key", "key.pem"][..],
        &["provision", "--config", "model.yaml"],
    ] {
        for handoff in ["key.pem", "out/../key.pem"] {
            let done = bench.run(&[args, &["--handoff", handoff, "--json"]].concat());
            assert_eq!(done.status, 2, "{args:?}: {}", done.stderr);
            assert!(done.stdout.contains(r#""code": "handoff-in-the-way""#), "{}", done.stdout);
            assert!(!bench.path("out").exists() && bench.records().is_empty(), "nothing is written");
        }
    }
    assert_eq!(fs_err::read(&path).unwrap(), before);
}

#[test]
fn no_document_overwrites_a_file_that_the_call_reads() {
    let bench = Fixture::new();
    bench.file("tiny.gguf", TINY_GGUF);
    bench.file("pub.pem", fs_err::read(format!("{KEYS}/p256.pub.pem")).unwrap());
    bench.file("models.lock", "version = 1\n");
    bench.file("model.sig", "{}");
    let model = bench.path("tiny.gguf");
    let rule = format!("{{ repos: [\"local:{}\"], keys: [trusted.pem], mode: off }}", model.display());
    bench.file("policy.yaml", format!("version: 1\nsignatures: [{rule}]\n"));
    bench.file("trusted.pem", fs_err::read(format!("{KEYS}/p256.pub.pem")).unwrap());
    bench.file("locked.yaml", "model_ref: tiny.gguf\nlock: models.lock\n");
    bench.file("signed.yaml", "model_ref: tiny.gguf\nsignature: { public_key: pub.pem, file: model.sig }\n");
    let refused = |args: &[&str], inputs: &[&str], dest: &str| {
        for input in inputs {
            let before = fs_err::read(bench.path(input)).unwrap();
            let done = bench.run(&[args, &[dest, input, "--json"]].concat());
            assert_eq!(done.status, 2, "{args:?} {input}: {}{}", done.stdout, done.stderr);
            assert!(
                done.stdout.contains(r#""code": "handoff-in-the-way""#),
                "{args:?} {input}: {}",
                done.stdout
            );
            assert_eq!(fs_err::read(bench.path(input)).unwrap(), before, "{args:?}");
        }
    };
    let key = ["--public-key", "pub.pem", "--signature", "model.sig"];
    for command in ["ensure", "run"] {
        refused(&[command, "tiny.gguf", "--locked", "models.lock"], &["models.lock"], "--handoff");
        refused(&[&[command, "tiny.gguf"], &key[..]].concat(), &["pub.pem", "model.sig"], "--handoff");
        refused(&[command, "tiny.gguf", "--policy", "policy.yaml"], &["policy.yaml"], "--handoff");
    }
    refused(&["provision", "--config", "locked.yaml"], &["models.lock", "locked.yaml"], "--handoff");
    refused(&["provision", "--config", "signed.yaml"], &["pub.pem", "model.sig"], "--handoff");
    let policy = ["--config", "locked.yaml", "--policy", "policy.yaml"];
    refused(&[&["provision"], &policy[..]].concat(), &["policy.yaml", "trusted.pem"], "--handoff");
    assert!(bench.records().is_empty(), "nothing is written");
    // A statement is made later, of what is recorded.
    let pinned = ["--sha256", "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"];
    assert_eq!(bench.run(&[&["ensure", "tiny.gguf", "-q"], &pinned[..]].concat()).status, 0);
    refused(&["attest", "tiny.gguf", "--policy", "policy.yaml"], &["policy.yaml", "trusted.pem"], "-o");
}

#[test]
fn no_document_overwrites_the_token_or_the_certificates() {
    let bench = Fixture::new();
    bench.file("tiny.gguf", TINY_GGUF);
    bench.file("model.yaml", "model_ref: tiny.gguf\n");
    // Systems link to their certificates from that folder.
    bench.file("authorities/one.pem", "a certificate");
    symlink("../elsewhere/two.pem", bench.path("authorities/two.pem")).unwrap();
    let refused = |args: &[&str]| {
        for (variable, value, input) in [
            ("HF_TOKEN_PATH", "saved", "saved"),
            ("HF_HOME", "tools", "tools/token"),
            ("SSL_CERT_FILE", "authorities.pem", "authorities.pem"),
            ("SSL_CERT_DIR", "none:authorities", "authorities/one.pem"),
            ("SSL_CERT_DIR", "none:authorities", "elsewhere/two.pem"),
        ] {
            bench.file(input, "a secret");
            let mut command = bench.command();
            let done = finish(command.env(variable, bench.path(value)).args(args).args([input, "--json"]));
            assert_eq!(done.status, 2, "{args:?} {input}: {}{}", done.stdout, done.stderr);
            assert!(done.stdout.contains(r#""code": "handoff-in-the-way""#), "{}", done.stdout);
            assert_eq!(fs_err::read(bench.path(input)).unwrap(), b"a secret", "{args:?}");
        }
        // It would be a certificate from then on.
        let (mut command, folder) = (bench.command(), bench.path("authorities"));
        let done = finish(command.env("SSL_CERT_DIR", folder).args(args).args(["authorities/new.pem"]));
        assert_eq!((done.status, bench.path("authorities/new.pem").exists()), (2, false), "{args:?}");
    };
    refused(&["ensure", "tiny.gguf", "--handoff"]);
    refused(&["run", "tiny.gguf", "--handoff"]);
    refused(&["provision", "--config", "model.yaml", "--handoff"]);
    assert!(bench.records().is_empty(), "nothing is written");
    let digest = "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99";
    assert_eq!(bench.run(&["ensure", "tiny.gguf", "-q", "--sha256", digest]).status, 0);
    refused(&["attest", "tiny.gguf", "-o"]);
}

/// An engine may start as soon as the handoff is there.
#[test]
fn the_handoff_comes_after_the_statement() {
    let (bench, _hub) = bench();
    bench.file("taken", "a file where a folder must be");
    let handoff = bench.path("engine.json");
    let ensure = |folder: &str| {
        bench.run(&["ensure", "tiny.gguf", "--attest", folder, "--handoff", handoff.to_str().unwrap()])
    };
    let done = ensure("taken");
    assert_eq!(done.status, 8, "{}", done.stderr);
    assert!(done.stderr.contains("the statement `"), "{}", done.stderr);
    assert!(!handoff.exists(), "no engine starts without the statement");
    assert_eq!(ensure("out").status, 0);
    assert!(handoff.exists() && bench.path("out").exists());
    let statement = fs_err::read_dir(bench.path("out")).unwrap().next().unwrap().unwrap().path();
    let before = fs_err::read(&statement).unwrap();
    let done =
        bench.run(&["ensure", "tiny.gguf", "--attest", "out", "--handoff", statement.to_str().unwrap()]);
    assert_eq!(done.status, 2, "it stays: {}", done.stderr);
    bench.file("model.yaml", "model_ref: tiny.gguf\nattest: { dir: out }\n");
    let done = bench.run(&["provision", "--config", "model.yaml", "--handoff", statement.to_str().unwrap()]);
    assert_eq!(done.status, 2, "it stays: {}", done.stderr);
    let is_statement = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("predicateType");
    assert!(is_statement(&before) && is_statement(&fs_err::read(&statement).unwrap()));
}

/// Makes the file of a private key.
fn private_key(bench: &Fixture) -> PathBuf {
    bench.file("key.pem", fs_err::read(format!("{KEYS}/p256.pkcs8.pem")).unwrap())
}

/// Makes a config that wants a statement about the model, signed by that key.
fn config(bench: &Fixture) {
    bench.file(
        "model.yaml",
        "model_ref: tiny.gguf\nhandoff: engine.json\nattest: { dir: out, key: key.pem }\n",
    );
}
