//! The command on a cache with a model of a foreign source, which only an orchestrator's own program can fetch.
//!
//! The source is that of `examples/custom_fetcher.rs`, as it stands there.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[expect(dead_code, unreachable_pub, reason = "an example has a `main`")]
#[path = "../../../examples/custom_fetcher.rs"]
mod custom_fetcher;

use std::path::{Path, PathBuf};

use assert_cmd::{Command, assert::Assert};
use custom_fetcher::MemoryFetcher;
use model_provisioner::{Bytes, ModelProvisioner};

const FILE: &str = "mem:org/repo/tiny.gguf";

/// Ensures the model in a cache by the library.
async fn ensure(cache: &Path) -> PathBuf {
    let source = MemoryFetcher::default();
    let bytes = Bytes::from(testkit::gguf_of(5000, 1));
    source.0.lock().unwrap().insert(FILE.to_owned(), bytes);
    let provisioner = ModelProvisioner::builder(cache).fetcher(source).build().unwrap();
    provisioner.ensure_present_str(FILE, None).await.unwrap().local_path
}

/// Runs the command in a folder, with the cache there.
fn run(dir: &Path, args: &[&str]) -> Assert {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("model-provisioner"));
    command.current_dir(dir).env_clear().env("HOME", dir).arg("--cache-dir").arg(dir.join("cache"));
    command.args(args).assert()
}

/// Returns what the command printed.
fn told(done: &Assert) -> String {
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

#[tokio::test]
async fn a_foreign_model_is_served_shown_verified_exported_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = ensure(&dir.path().join("cache")).await;
    let path = path.to_str().unwrap();
    assert_eq!(told(&run(dir.path(), &["ensure", FILE]).success()).trim(), path);
    assert!(told(&run(dir.path(), &["list"]).success()).contains(FILE));
    assert!(told(&run(dir.path(), &["show", FILE]).success()).contains(FILE));
    assert!(told(&run(dir.path(), &["verify", FILE]).success()).contains("pass"));
    run(dir.path(), &["doctor"]).success();
    run(dir.path(), &["export", FILE, "exported"]).success();
    assert!(dir.path().join("exported/SHA256SUMS").exists());
    run(dir.path(), &["retire", FILE]).success();
    run(dir.path(), &["ensure", FILE]).failure();
    run(dir.path(), &["activate", FILE]).success();
    run(dir.path(), &["remove", FILE]).success();
    assert!(!told(&run(dir.path(), &["list"]).success()).contains(FILE));
    // A model that is not here needs its source, and the command has no fetcher for that scheme.
    let error = run(dir.path(), &["ensure", FILE]).failure();
    assert!(String::from_utf8_lossy(&error.get_output().stderr).contains("mem"));
}

#[tokio::test]
async fn a_foreign_model_is_imported() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ensure(&here.path().join("cache")).await;
    let folder = there.path().join("exported");
    run(here.path(), &["export", FILE, folder.to_str().unwrap()]).success();
    let imported = told(&run(there.path(), &["import", "exported"]).success());
    assert_eq!(told(&run(there.path(), &["ensure", FILE]).success()), imported);
}
