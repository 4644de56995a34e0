//! The command verifies the signatures of models. `just model-signing` brings the reference implementation into
//! `target/tools/model-signing` for the tests that need it; `.ci/run` does so too, and runs them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Hub, OTHER_PUBLIC_KEY, PUBLIC_KEY, Signature, TINY_GGUF, gguf};

use crate::fixture::{Fixture, finish};

/// Signs a folder with pieces, which the tool's own command does not.
const SIGN_PIECES: &str = "\
import sys, model_signing
config = model_signing.hashing.Config().use_shard_serialization(shard_size=1000, hashing_algorithm=sys.argv[4])
signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=sys.argv[1])
signing.set_hashing_config(config).sign(sys.argv[2], sys.argv[3])
";

fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/model-signing/bin").join(name);
    assert!(path.exists(), "`just model-signing` brings the tool to {}", path.display());
    path
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let done = finish(command);
    assert_eq!(done.status, 0, "{}{}", done.stdout, done.stderr);
}

/// Makes a key on a curve, and returns the paths of its private and its public part.
fn make_key(bench: &Fixture, curve: &str) -> (PathBuf, PathBuf) {
    let (private, public) = (bench.path("private.pem"), bench.path("public.pem"));
    let option = format!("ec_paramgen_curve:{curve}");
    succeeds(
        Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC", "-pkeyopt", &option, "-out"])
            .arg(&private),
    );
    succeeds(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
    (private, public)
}

fn make_folder(bench: &Fixture) {
    bench.file("model/model.gguf", TINY_GGUF);
    bench.file("model/sub/config.json", "{}");
    bench.file("model/sub-b.json", "[]");
    bench.file("model/empty.txt", "");
}

/// Ensures the folder with the public key, and returns the exit status with what was said.
fn ensure(bench: &Fixture, path: &str) -> (i32, String) {
    let done = bench.run(&["ensure", path, "--public-key", "public.pem"]);
    (done.status, done.stderr)
}

/// Changes the folder in each way that a signature must find, and expects the failure to name the file.
fn check_changes(bench: &Fixture) {
    let path = |name: &str| bench.path("model").join(name);
    let fails = |expected: &str| {
        let (status, told) = ensure(bench, "model");
        assert!(status == 4 && told.contains(expected), "{status}: {told}");
    };
    fs_err::write(path("sub/config.json"), "{ }").unwrap();
    fails("changed: `sub/config.json`");
    fs_err::write(path("sub/config.json"), "{}").unwrap();
    fs_err::write(path("extra.json"), "{}").unwrap();
    fails("not signed: `extra.json`");
    fs_err::remove_file(path("extra.json")).unwrap();
    fs_err::rename(path("sub-b.json"), path("sub-c.json")).unwrap();
    fails("not signed: `sub-c.json`; missing: `sub-b.json`");
    fs_err::remove_file(path("sub-c.json")).unwrap();
    fails("missing: `sub-b.json`");
    fs_err::write(path("sub-b.json"), "[]").unwrap();
}

#[test]
#[ignore = "needs model_signing: `just model-signing`"]
fn folders_that_the_real_tool_signed_are_verified() {
    for curve in ["P-256", "P-384", "P-521"] {
        for pieces in [None, Some("sha256"), Some("blake2")] {
            let bench = Fixture::new();
            let (private, _) = make_key(&bench, curve);
            make_folder(&bench);
            let (model, signature) = (bench.path("model"), bench.path("model/model.sig"));
            match pieces {
                None => succeeds(
                    Command::new(tool("model_signing"))
                        .args(["sign", "key"])
                        .arg(&model)
                        .arg("--signature")
                        .arg(&signature)
                        .arg("--private_key")
                        .arg(&private),
                ),
                Some(algorithm) => succeeds(
                    Command::new(tool("python"))
                        .args(["-c", SIGN_PIECES])
                        .arg(&private)
                        .arg(&model)
                        .arg(&signature)
                        .arg(algorithm),
                ),
            }
            check_changes(&bench);
            let model = bench.json(&["ensure", "model", "--public-key", "public.pem", "--strict"]);
            assert_eq!(model["verification"]["basis"], "signed", "{curve} {pieces:?}: {model}");
            fs_err::write(bench.path("public.pem"), OTHER_PUBLIC_KEY).unwrap();
            let (status, told) = ensure(&bench, "model");
            assert!(status == 4 && told.contains("is not by the key"), "{told}");
        }
    }
}

#[test]
#[ignore = "needs model_signing: `just model-signing`"]
fn a_file_that_the_real_tool_signed_is_verified() {
    let bench = Fixture::new();
    let (private, _) = make_key(&bench, "P-384");
    let model = bench.file("tiny.gguf", TINY_GGUF);
    let signature = bench.path("tiny.gguf.sig");
    let mut sign = Command::new(tool("model_signing"));
    succeeds(
        sign.args(["sign", "key"])
            .arg(&model)
            .arg("--signature")
            .arg(signature)
            .arg("--private_key")
            .arg(private),
    );
    assert_eq!(ensure(&bench, "tiny.gguf").0, 0);
    bench.file("tiny.gguf", [TINY_GGUF, b"x"].concat());
    let (status, told) = ensure(&bench, "tiny.gguf");
    assert!(status == 4 && told.contains("changed: `tiny.gguf`"), "{told}");
}

#[test]
#[ignore = "needs model_signing: `just model-signing`"]
fn the_real_tool_verifies_what_the_tests_sign() {
    let bench = Fixture::new();
    make_folder(&bench);
    bench.file("public.pem", PUBLIC_KEY);
    let read = |name: &str| fs_err::read(bench.path("model").join(name)).unwrap();
    let names = ["empty.txt", "model.gguf", "sub/config.json", "sub-b.json"];
    let signature = Signature::of(names.map(|name| (name, read(name)))).ignoring(&["model.sig"]);
    bench.file("model/model.sig", signature.to_json());
    let mut verify = Command::new(tool("model_signing"));
    verify
        .args(["verify", "key"])
        .arg(bench.path("model"))
        .arg("--signature")
        .arg(bench.path("model/model.sig"));
    succeeds(verify.arg("--public_key").arg(bench.path("public.pem")));
}

#[test]
fn options_name_who_must_have_signed() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let weights = gguf("weights");
    let signature = Signature::of([("a.gguf", &weights)]);
    hub.repo("org/repo").lfs("a.gguf", weights.clone()).file("model.sig", signature.to_json()).publish();
    bench.file("publisher.pem", PUBLIC_KEY);
    bench.file("other.pem", OTHER_PUBLIC_KEY);
    let run = |args: &[&str]| finish(bench.command().env("HF_ENDPOINT", hub.endpoint()).args(args));
    let json = |args: &[&str]| -> serde_json::Value {
        let done = run(&[args, &["--json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    };
    let id = "hf:org/repo/a.gguf";
    let plan = json(&["plan", id]);
    assert_eq!(plan["signatures"], serde_json::json!([{ "file": "model.sig" }]));
    let plan = run(&["plan", id, "--public-key", "publisher.pem"]);
    assert!(plan.stdout.contains("signature model.sig, by the key "), "{}{}", plan.stdout, plan.stderr);
    let refused = run(&["plan", id, "--public-key", "other.pem"]);
    assert_eq!(refused.status, 4, "{}", refused.stderr);
    let refused = json(&["ensure", id, "--public-key", "other.pem"]);
    assert_eq!(refused["error"]["code"], "signature-invalid");
    let model = json(&["ensure", id, "--public-key", "publisher.pem", "--strict"]);
    assert_eq!(
        (&model["verification"]["basis"], &model["signatures"][0]["file"]),
        (&"signed".into(), &"model.sig".into())
    );
    let shown = run(&["show", id]);
    assert!(shown.stdout.contains("signed by") && shown.stdout.contains("in model.sig"), "{}", shown.stdout);
}

#[test]
fn an_option_without_its_other_half_is_refused() {
    let bench = Fixture::new();
    bench.file("tiny.gguf", TINY_GGUF);
    bench.file("not-a-key", "text");
    let check = |args: &[&str], status: i32, expected: &str| {
        let done = bench.run(&[&["ensure", "tiny.gguf"], args].concat());
        assert!(done.status == status && done.stderr.contains(expected), "{}: {}", done.status, done.stderr);
    };
    check(&["--signature", "x.sig"], 2, "name a key or an identity");
    check(&["--identity", "a@b"], 2, "--identity-issuer");
    check(&["--public-key", "not-a-key"], 2, "it holds no block of PEM; a public key is read as PEM");
    check(&["--public-key", "gone"], 3, "`gone` cannot be read");
    check(
        &["--identity", "a@b", "--identity-issuer", "https://x"],
        4,
        "no signature was found beside the model",
    );
}
