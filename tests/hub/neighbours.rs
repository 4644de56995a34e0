//! The library finds files where each of the field's tools keeps them, and does not fetch them.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use model_provisioner::{AdoptMode, Adoption, FileState, ModelRef};
use testkit::{HubCache, gguf};

use crate::fixture::{Fixture, sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const XET: &str = "91e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5";
const ID: &str = "hf:org/repo/a.gguf";

/// A hub with one file, which lies on this machine where `keep` puts it, below the places that it names.
#[track_caller]
fn check(expected: Option<&str>, keep: impl Fn(&Path, &[u8]) -> Adoption) {
    let bench = Fixture::new();
    let bytes = gguf("the bytes");
    bench.hub.repo("org/repo").lfs("a.gguf", bytes.clone()).publish();
    let adoption = keep(&bench.path("foreign"), &bytes);
    let adoption = Adoption { mode: AdoptMode::Link, ..adoption };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provisioner = bench.builder().adopt(adoption).build().unwrap();
        let reference: ModelRef = ID.parse().unwrap();
        let file = provisioner.plan(&reference).await.unwrap().files.remove(0);
        let state = if expected.is_some() { FileState::Adopt } else { FileState::Fetch };
        let from = expected.map(|from| bench.path("foreign").join(from.replace("HEX", &sha256(&bytes))));
        assert_eq!((file.state, file.from), (state, from));
        let model = provisioner.ensure_present(&reference, None).await.unwrap();
        assert_eq!((model.cached, fs_err::read(model.local_path).unwrap()), (expected.is_some(), bytes));
    });
}

fn write(path: PathBuf, bytes: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
}

fn hub(root: &Path) -> Adoption {
    Adoption { huggingface: vec![root.join("hub")], ..Adoption::default() }
}

#[test]
fn what_came_through_xet_lies_in_a_store_that_repositories_share() {
    check(Some(&format!("hub/blobs/91/{XET}")), |root, bytes| {
        let _ = HubCache::new(&root.join("hub"), "other/repo", COMMIT).xet("b.gguf", bytes, XET);
        hub(root)
    });
}

#[test]
fn a_link_that_leads_out_of_its_cache_is_passed_over() {
    for target in ["../../../outside", "/absolute", "../../blobs/missing"] {
        check(None, |root, bytes| {
            write(root.join("outside"), bytes);
            let target = if target == "/absolute" { root.join("outside") } else { target.into() };
            let _ = HubCache::new(&root.join("hub"), "org/repo", COMMIT).linked("a.gguf", bytes, &target);
            hub(root)
        });
    }
    // Nor is a folder on the way of a link that stays inside by its own text.
    check(None, |root, bytes| {
        write(root.join("elsewhere/91/file"), bytes);
        let repo = HubCache::new(&root.join("hub"), "org/repo", COMMIT);
        let _ = repo.linked("a.gguf", bytes, Path::new("../../blobs/91/file"));
        std::os::unix::fs::symlink(root.join("elsewhere"), root.join("hub/blobs")).unwrap();
        hub(root)
    });
}

#[test]
fn a_link_is_never_what_is_linked() {
    let bench = Fixture::new();
    let bytes = gguf("the bytes");
    bench.hub.repo("org/repo").lfs("a.gguf", bytes.clone()).publish();
    let _ = HubCache::new(&bench.path("foreign/hub"), "org/repo", COMMIT).xet("a.gguf", &bytes, XET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let model = runtime.block_on(bench.adopter(AdoptMode::Link).ensure_present_str(ID, None)).unwrap();
    let metadata = fs_err::symlink_metadata(&model.local_path).unwrap();
    assert!(metadata.is_file());
    let stored = fs_err::metadata(bench.path("foreign/hub/blobs/91").join(XET)).unwrap();
    assert_eq!((metadata.ino(), metadata.mode()), (stored.ino(), stored.mode()));
}

#[test]
fn without_symlinks_the_snapshot_has_the_file() {
    check(Some(&format!("hub/models--org--repo/snapshots/{COMMIT}/a.gguf")), |root, bytes| {
        let repo = HubCache::new(&root.join("hub"), "org/repo", COMMIT).without_symlinks();
        let _ = repo.lfs("a.gguf", bytes);
        hub(root)
    });
}

#[test]
fn docker_model_runner_and_ramalama_name_digests() {
    check(Some("docker/blobs/sha256/HEX"), |root, bytes| {
        write(root.join("docker/blobs/sha256").join(sha256(bytes)), bytes);
        Adoption { docker: vec![root.join("docker")], ..Adoption::default() }
    });
    let blob = "ramalama/store/huggingface/org/repo/blobs/sha256-HEX";
    check(Some(blob), |root, bytes| {
        write(root.join(blob.replace("HEX", &sha256(bytes))), bytes);
        write(root.join("ramalama/store/README"), b"");
        Adoption { ramalama: vec![root.join("ramalama")], ..Adoption::default() }
    });
    // The name of a configuration file there is the hash of its name.
    check(None, |root, bytes| {
        write(root.join(blob.replace("HEX", &sha256("a.gguf"))), bytes);
        Adoption { ramalama: vec![root.join("ramalama")], ..Adoption::default() }
    });
}

#[test]
fn what_another_tool_has_not_finished_is_passed_over() {
    let folders = |root: &Path| Adoption { folders: vec![root.join("plain")], ..Adoption::default() };
    check(Some("plain/org/repo/x.gguf"), |root, bytes| {
        write(root.join("plain/org/repo/x.gguf"), bytes);
        folders(root)
    });
    for ending in [".incomplete", ".partial", "-partial", ".part", ".tmp", ".downloadInProgress"] {
        check(None, |root, bytes| {
            write(root.join(format!("plain/a.gguf{ending}")), bytes);
            folders(root)
        });
    }
}
