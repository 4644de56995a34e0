//! The cache keeps its files where no other user can plant any.

use std::os::unix::fs::{PermissionsExt, symlink};
use testkit::TINY_GGUF;

use model_provisioner::ModelProvisioner;

use crate::fixture::{Fixture, code, reference};

/// A folder such as `/tmp`: sticky, and open to every user.
fn temp_like(bench: &Fixture) -> std::path::PathBuf {
    let folder = bench.path("tmp");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::set_permissions(&folder, PermissionsExt::from_mode(0o1777)).unwrap();
    folder
}

fn own(folder: &std::path::Path) -> std::path::PathBuf {
    folder.join(format!("model-provisioner-{}", rustix::process::geteuid().as_raw()))
}

#[tokio::test]
async fn a_temp_folder_gets_a_private_one() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let shared = temp_like(&bench);
    ModelProvisioner::file_only(&shared).unwrap().ensure_present(&path, None).await.unwrap();
    let names: Vec<_> = fs_err::read_dir(&shared).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [own(&shared)]);
    assert_eq!(fs_err::metadata(own(&shared)).unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(ModelProvisioner::file_only(&shared).unwrap().exists(&path).await.unwrap());
}

#[test]
fn what_others_planted_is_refused() {
    let bench = Fixture::new();
    let shared = temp_like(&bench);
    let refused = || code(ModelProvisioner::file_only(&shared)) == "unsafe-cache";
    fs_err::create_dir(bench.path("theirs")).unwrap();
    symlink(bench.path("theirs"), own(&shared)).unwrap();
    assert!(refused(), "a symlink");
    fs_err::remove_file(own(&shared)).unwrap();
    fs_err::write(own(&shared), "").unwrap();
    assert!(refused(), "a file");
    fs_err::remove_file(own(&shared)).unwrap();
    fs_err::create_dir(own(&shared)).unwrap();
    fs_err::set_permissions(own(&shared), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(refused(), "a folder that is open to others");
    fs_err::set_permissions(own(&shared), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(ModelProvisioner::file_only(&shared).is_ok());
}

#[tokio::test]
async fn a_planted_log_is_not_written_through() {
    let bench = Fixture::new();
    let path = reference(&bench.old_file("a.gguf", TINY_GGUF));
    let target = bench.fresh_file("target", b"precious");
    fs_err::create_dir_all(bench.cache()).unwrap();
    symlink(&target, bench.cache().join("provenance.jsonl")).unwrap();
    assert_eq!(code(bench.provisioner().ensure_present(&path, None).await), "unsafe-cache");
    assert_eq!(fs_err::read(&target).unwrap(), b"precious");
}

#[test]
#[ignore = "needs root, to give a folder to another user; .ci/run runs it where it is root"]
fn a_private_folder_of_another_user_is_refused() {
    let bench = Fixture::new();
    let shared = temp_like(&bench);
    assert!(ModelProvisioner::file_only(&shared).is_ok());
    std::os::unix::fs::chown(own(&shared), Some(65534), None).unwrap();
    assert_eq!(code(ModelProvisioner::file_only(&shared)), "unsafe-cache");
}

#[test]
#[ignore = "needs root, to give a folder to another user; .ci/run runs it where it is root"]
fn a_cache_of_another_user_is_refused() {
    let bench = Fixture::new();
    let cache = bench.path("theirs");
    fs_err::create_dir(&cache).unwrap();
    std::os::unix::fs::chown(&cache, Some(65534), None).unwrap();
    assert_eq!(code(ModelProvisioner::file_only(&cache)), "unsafe-cache");
    std::os::unix::fs::chown(&cache, Some(0), None).unwrap();
    symlink(bench.path(""), cache.join("catalog-v1")).unwrap();
    assert_eq!(code(ModelProvisioner::file_only(&cache)), "unsafe-cache");
}

#[test]
fn a_file_is_no_cache() {
    let bench = Fixture::new();
    let file = bench.fresh_file("file", b"");
    assert_eq!(code(ModelProvisioner::file_only(file)), "unsafe-cache");
}
