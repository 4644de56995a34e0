//! The `hf` command lists and downloads models where a build has no other client of the Hub.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use model_provisioner::{
    Basis, ContentHasher, ErrorCode, Expectation, HubCommandFetcher, HubCommandSettings, ModelProvisioner,
    Network, Policy,
};
use testkit::{gguf_of, safetensors_of};

use crate::fixture::Fixture;

const SIZE: usize = 1 << 20;
const COMMIT: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// Stands in for `hf`: it lists by the file `tree`, where there is one, and downloads what lies in `right`.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0"); repo="$HF_HOME/hub/models--org--st"; dir=
echo "$@" >>"$here/ran"
for arg in "$@"; do case "$arg" in --local-dir=*) dir=${arg#--local-dir=};; --include=*) listing=1;; esac; done
mkdir -p "$repo/refs" "$repo/trees" "$repo/snapshots"
if [ "$listing" ]; then
    printf COMMIT >"$repo/refs/main"
    [ ! -e "$here/tree" ] || cp "$here/tree" "$repo/trees/COMMIT.json"
else
    dir=${dir:-$repo/snapshots/COMMIT}; mkdir -p "$dir"; cp -R "$here/right/." "$dir"
fi
"#;

/// Returns the files of a small repository.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("model.safetensors", safetensors_of(SIZE, 1)),
        ("config.json", b"{}".to_vec()),
        ("README.md", b"# x".to_vec()),
    ]
}

/// Makes the folder of the stand-in, and returns the path of its program.
fn stand_in(bench: &Fixture, has_listing: bool) -> PathBuf {
    let folder = bench.path("bin");
    fs_err::create_dir_all(folder.join("right")).unwrap();
    for (name, bytes) in files() {
        fs_err::write(folder.join("right").join(name), bytes).unwrap();
    }
    if has_listing {
        fs_err::write(folder.join("tree"), tree()).unwrap();
    }
    let program = folder.join("hf");
    fs_err::write(&program, SCRIPT.replace("COMMIT", COMMIT)).unwrap();
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    program
}

/// Returns the listing as the command keeps it.
fn tree() -> String {
    let entries = files().into_iter().map(|(name, bytes)| {
        let mut hasher = ContentHasher::of_size(bytes.len() as u64, true);
        hasher.update(&bytes);
        let digests = hasher.finish();
        let (git, size) = (digests.git_sha1.unwrap(), bytes.len());
        let lfs = if name.ends_with(".safetensors") {
            format!(r#""lfs_sha256": "{}", "lfs_size": {size}"#, digests.sha256.hex())
        } else {
            r#""lfs_sha256": null, "lfs_size": null"#.to_owned()
        };
        format!(r#""{name}": {{"size": {size}, "blob_id": "{}", {lfs}, "xet_hash": null}}"#, git.hex())
    });
    let entries: Vec<_> = entries.collect();
    format!(r#"{{"format_version": 1, "files": {{{}}}}}"#, entries.join(", "))
}

fn provisioner(bench: &Fixture, program: &Path) -> ModelProvisioner {
    let of = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let settings = HubCommandSettings::new(Some(program.to_owned()))
        // The hub and its CDN are on one machine. By one name, the command would take them for one host.
        .endpoint(bench.hub.endpoint().replace("127.0.0.1", "localhost"))
        .environment([of("PATH", "/usr/bin:/bin"), of("HF_HUB_DISABLE_XET", "1")]);
    let policy = Policy { network: Network::Allow, ..Policy::default() };
    let builder = ModelProvisioner::builder(bench.cache()).policy(policy);
    builder.fetcher(HubCommandFetcher::new(settings)).build().unwrap()
}

fn ran(bench: &Fixture) -> Vec<String> {
    let text = fs_err::read_to_string(bench.path("bin/ran")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_listing_that_the_command_keeps_is_the_sources_word() {
    let bench = Fixture::new();
    let provisioner = provisioner(&bench, &stand_in(&bench, true));
    let reference = "hf:org/st".parse().unwrap();
    let plan = provisioner.plan(&reference).await.unwrap();
    assert_eq!(plan.revision.as_deref(), Some(COMMIT));
    assert_eq!(plan.files.len(), 2, "the rules chose: {:?}", plan.files);
    let model = provisioner.ensure(&reference, &Expectation::none().strict(true)).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::Source));
    assert_eq!(model.revision.as_deref(), Some(COMMIT));
    let ran = ran(&bench);
    let last = ran.last().unwrap();
    assert!(last.ends_with("-- org/st config.json model.safetensors"), "the listed files alone: {ran:?}");
    assert!(last.contains(&format!("--revision={COMMIT} ")), "{last}");
    assert_eq!(bench.hub.requests().len(), 0, "no client of ours asked the hub");
    assert_eq!(bench.partials(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn without_a_listing_the_first_use_counts() {
    let bench = Fixture::new();
    let provisioner = provisioner(&bench, &stand_in(&bench, false));
    let reference = "hf:org/st".parse().unwrap();
    let error = provisioner.plan(&reference).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ToolMissing, "a plan moves nothing: {error}");
    let told = "`hf` keeps no listing, so nothing but a download lists `org/st`";
    assert!(error.to_string().contains(told), "{error}");
    assert!(error.hint().unwrap().to_string().contains("huggingface_hub 1.0 or newer"), "{:?}", error.hint());
    let error = provisioner.ensure(&reference, &Expectation::none().strict(true)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unproven, "{error}");
    let model = provisioner.ensure(&reference, &Expectation::none()).await.unwrap();
    assert_eq!(model.verification.basis, Some(Basis::FirstUse));
    assert_eq!(model.revision.as_deref(), Some(COMMIT));
    assert_eq!(fs_err::read(model.local_path.join("model.safetensors")).unwrap(), safetensors_of(SIZE, 1));
    assert_eq!(bench.partials(), [] as [PathBuf; 0]);
}

/// Returns the path of a program on the search path.
#[expect(clippy::disallowed_methods, reason = "the tools of the test are on the search path")]
fn on_path(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|at| at.exists());
    found.unwrap_or_else(|| panic!("{name} is not on the path"))
}

#[tokio::test]
#[ignore = "needs huggingface-cli-0.34, hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
async fn each_real_command_lists_and_downloads_alone() {
    for (program, basis) in [
        ("huggingface-cli-0.34", Basis::FirstUse),
        ("hf-0.36", Basis::FirstUse),
        ("hf-1", Basis::Source),
        ("hf-2", Basis::Source),
    ] {
        let bench = Fixture::new();
        let repo = bench.hub.repo("org/st").lfs("model.safetensors", safetensors_of(SIZE, 1));
        repo.file("config.json", "{}").file("tok[1].json", "{}").publish();
        let gguf = bench.hub.repo("org/gguf").lfs("x-Q4_K_M.gguf", gguf_of(SIZE, 4));
        gguf.lfs("x-Q8_0.gguf", gguf_of(SIZE, 8)).publish();
        let provisioner = provisioner(&bench, &on_path(program));
        for id in ["hf:org/st", "hf:org/gguf:q4_k_m", "hf:org/gguf/x-Q8_0.gguf"] {
            let model = provisioner.ensure_present_str(id, None).await;
            let model = model.unwrap_or_else(|error| panic!("{program}, {id}: {error}"));
            assert_eq!(model.verification.basis, Some(basis), "{program}, {id}");
        }
        assert_eq!(bench.partials(), [] as [PathBuf; 0], "{program}");
        let error = provisioner.ensure_present_str("hf:org/nope", None).await.unwrap_err();
        assert!(
            matches!(error.code(), ErrorCode::NotFound | ErrorCode::Unauthorized),
            "{program}: {} {error}",
            error.code()
        );
        let error = provisioner.ensure_present_str("hf:org/st@nope", None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound, "{program}: {error}");
    }
}
