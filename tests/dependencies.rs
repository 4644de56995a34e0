//! No part depends on what it must not know, as cargo and the manifests say.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeSet, path::Path, process::Command};

/// The names of all packages that a build of a package needs, for this machine.
fn tree(package: &str) -> BTreeSet<String> {
    tree_with(package, "")
}

/// The names of all packages that a build of a package with some features beside its default ones needs, for this machine.
fn tree_with(package: &str, features: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            package,
            "--features",
            features,
            "-e",
            "normal,build",
            "--prefix",
            "none",
            "-f",
            "{p}",
            "--features",
            features,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Crates that speak HTTP or TLS, open sockets, or compile C.
const NETWORK_OR_C: [&str; 15] = [
    "reqwest",
    "hyper",
    "h2",
    "ureq",
    "curl",
    "rustls",
    "native-tls",
    "openssl",
    "ring",
    "aws-lc-rs",
    "mio",
    "socket2",
    "cc",
    "cmake",
    "bindgen",
];

#[test]
fn the_default_build_has_no_network_and_no_c() {
    let tree = tree("model-provisioner");
    assert!(tree.contains("tokio") && tree.len() > 30, "the tree was read: {tree:?}");
    assert_no_network_and_no_c(&tree);
    assert!(!tree.contains("model-signing"), "the default build verifies no signatures");
}

fn assert_no_network_and_no_c(tree: &BTreeSet<String>) {
    let found: Vec<_> =
        tree.iter().filter(|name| NETWORK_OR_C.contains(&name.as_str()) || is_c_library(name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_hubs_own_client_comes_with_its_feature_alone() {
    for (features, has_it) in [("", false), ("hf", false), ("xet", false), ("hf-info", true)] {
        let tree = tree_with("model-provisioner", features);
        assert_eq!(tree.contains("hf-hub"), has_it, "{features}");
        // TLS comes from rustls, whatever it asks for.
        assert!(!tree.contains("openssl-sys") && !tree.contains("native-tls"), "{features}");
    }
}

/// Bindings to C libraries are named so; those to system calls are not libraries.
fn is_c_library(name: &str) -> bool {
    name.ends_with("-sys") && !["linux-raw-sys", "windows-sys"].contains(&name)
}

#[test]
fn no_crate_knows_what_it_must_not() {
    let rules: [(&str, &[&str]); 18] = [
        ("transfer", &["fetch-file", "fetch-hf", "artifact-store", "catalog-adapter", "handoff", "hyper"]),
        (
            "artifact-store",
            &[
                "fetch-file",
                "fetch-hf",
                "transfer",
                "catalog-adapter",
                "handoff",
                "local-caches",
                "bundle",
                "tokio",
                "hyper",
            ],
        ),
        (
            "local-caches",
            &["artifact-store", "bundle", "fetch-file", "fetch-hf", "transfer", "catalog-adapter", "tokio"],
        ),
        (
            "bundle",
            &[
                "artifact-store",
                "local-caches",
                "fetch-file",
                "fetch-hf",
                "transfer",
                "catalog-adapter",
                "tokio",
            ],
        ),
        (
            "model-selection",
            &[
                "artifact-store",
                "durable-fs",
                "fetch-file",
                "fetch-hf",
                "fs-err",
                "source-http",
                "tokio",
                "hyper",
            ],
        ),
        (
            "model-signing",
            &[
                "artifact-store",
                "durable-fs",
                "file-hashing",
                "fs-err",
                "rustix",
                "getrandom",
                "tokio",
                "hyper",
            ],
        ),
        ("lockfile", &["artifact-store", "durable-fs", "fs-err", "tokio", "transfer"]),
        ("file-hashing", &["artifact-store", "bundle", "durable-fs", "transfer", "tokio"]),
        ("fetch-hf", &["artifact-store", "transfer", "catalog-adapter", "handoff", "hf-hub", "hf-xet"]),
        (
            "source-http",
            &[
                "fetch-file",
                "fetch-hf",
                "artifact-store",
                "transfer",
                "catalog-adapter",
                "handoff",
                "durable-fs",
                "hf-xet",
            ],
        ),
        ("paired-sha256", &["provisioner-core", "durable-fs", "tokio"]),
        ("provisioner-core", &["tokio", "fs-err", "rustix", "tempfile", "durable-fs", "tracing"]),
        ("fetch-file", &["catalog-adapter", "handoff", "durable-fs", "source-http"]),
        (
            "model-inspect",
            &[
                "tokio",
                "hyper",
                "transfer",
                "artifact-store",
                "fetch-file",
                "fetch-hf",
                "catalog-adapter",
                "handoff",
            ],
        ),
        ("catalog-adapter", &["fetch-file", "handoff"]),
        ("handoff", &["fetch-file", "catalog-adapter", "tokio"]),
        ("durable-fs", &["provisioner-core", "tokio", "serde_json"]),
        ("model-provisioner-cli", &["testkit", "rcgen"]),
    ];
    for (package, forbidden) in rules {
        knows_none(package, forbidden);
    }
}

#[test]
fn the_log_and_the_statements_know_no_catalog() {
    knows_none("provenance-log", &["provisioner-core", "catalog-adapter", "handoff", "tokio"]);
    let opens = ["durable-fs", "file-hashing", "fs-err", "model-signing", "provenance-log", "tokio"];
    knows_none("attestation", &opens);
}

#[track_caller]
fn knows_none(package: &str, forbidden: &[&str]) {
    let tree = tree(package);
    let found: Vec<_> = forbidden.iter().filter(|name| tree.contains(**name)).collect();
    assert!(found.is_empty(), "{package} knows {found:?}");
}

#[test]
fn the_command_uses_the_facade_alone() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/cli/Cargo.toml");
    let manifest = fs_err::read_to_string(manifest).unwrap();
    let dependencies =
        manifest.split("[dependencies]").nth(1).unwrap().split("[dev-dependencies]").next().unwrap();
    for name in [
        "provisioner-core",
        "fetch-file",
        "fetch-hf",
        "source-http",
        "transfer",
        "artifact-store",
        "bundle",
        "catalog-adapter",
        "handoff",
        "durable-fs",
        "file-hashing",
        "local-caches",
        "lockfile",
        "model-inspect",
        "model-signing",
        "paired-sha256",
        "provenance-log",
        "attestation",
    ] {
        assert!(!dependencies.contains(&format!("\n{name} ")), "{name}");
    }
}
