//! The command reads what the real `hf` command of each release leaves on this machine, with symlinks and without.
//!
//! The releases are on the path as `hf-0.36`, `hf-1` and `hf-2`: `.ci/run` installs them.

use std::process::Command;

use testkit::{Hub, gguf_of, hub::Commit, safetensors_of};

use crate::fixture::{Fixture, finish};

const SIZE: usize = 1 << 20;

/// A release of the command, and what it knows.
struct Release {
    program: &'static str,
    /// Whether it keeps the list of a repository's files.
    has_trees: bool,
    /// Whether it can be told to make no symlinks.
    can_go_without_symlinks: bool,
}

const RELEASES: [Release; 3] = [
    Release { program: "hf-0.36", has_trees: false, can_go_without_symlinks: false },
    Release { program: "hf-1", has_trees: true, can_go_without_symlinks: true },
    Release { program: "hf-2", has_trees: true, can_go_without_symlinks: true },
];

fn publish(hub: &Hub) -> Commit {
    hub.repo("org/gguf")
        .lfs("x-Q4_K_M.gguf", gguf_of(SIZE, 4))
        .lfs("x-Q8_0.gguf", gguf_of(SIZE, 8))
        .publish();
    let repo = hub.repo("org/st").lfs("model.safetensors", safetensors_of(SIZE, 1)).file("config.json", "{}");
    repo.file("tokenizer.json", "{\"a\": 1}").publish()
}

/// Downloads a repository, or what the arguments name of it.
fn download(release: &Release, bench: &Fixture, hub: &Hub, symlinks: bool, args: &[&str]) {
    let mut hf = Command::new(release.program);
    // The hub and its CDN are on one machine. By one name, the command would take them for one host.
    hf.env("HF_ENDPOINT", hub.endpoint().replace("127.0.0.1", "localhost"));
    hf.env("HF_HUB_CACHE", bench.path("hf/hub"))
        .env("HF_HOME", bench.path("hf"))
        .env("HOME", bench.path("home"));
    hf.env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1").env_remove("HF_TOKEN");
    if !symlinks {
        hf.env("HF_HUB_DISABLE_SYMLINKS", "1");
    }
    let done = finish(hf.arg("download").args(args).arg("--quiet"));
    assert_eq!(done.status, 0, "{}: {}", release.program, done.stderr);
}

/// Returns how many bytes of files the hub has sent.
fn content_sent(hub: &Hub) -> u64 {
    hub.requests().iter().filter(|seen| seen.file.is_some()).map(testkit::hub::Seen::sent_bytes).sum()
}

#[test]
#[ignore = "needs hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
fn what_each_hf_command_leaves_is_enough() {
    for release in &RELEASES {
        for symlinks in
            [true, false].into_iter().filter(|symlinks| *symlinks || release.can_go_without_symlinks)
        {
            let (bench, hub) = (Fixture::new(), Hub::start());
            let commit = publish(&hub);
            download(release, &bench, &hub, symlinks, &["org/gguf"]);
            download(release, &bench, &hub, symlinks, &["org/st"]);
            let label = format!("{}, symlinks: {symlinks}", release.program);
            let pinned = format!("hf:org/st@{commit}");
            let ids = [
                "hf:org/gguf/x-Q8_0.gguf",
                "hf:org/gguf:Q4_K_M",
                "hf:org/st",
                &pinned,
                "hf:org/st?include=*",
            ];
            for id in ids {
                let mut offline = bench.command();
                let done = finish(offline.args(["ensure", "--offline", id, "--strict", "--json"]));
                if release.has_trees {
                    assert_eq!(done.status, 0, "{label}, {id}: {}", done.stderr);
                    assert!(done.stdout.contains(r#""cached": true"#), "{label}, {id}");
                } else {
                    assert_eq!(done.status, 5, "{label}, {id}: {}", done.stderr);
                    assert!(
                        done.stderr.contains("takes what is there as it is"),
                        "{label}, {id}: {}",
                        done.stderr
                    );
                }
                assert_eq!(bench.run(&["remove", id]).status, if release.has_trees { 0 } else { 3 }, "{id}");
            }
            hub.reset_counts();
            for id in ids {
                let mut online = bench.command();
                let done = finish(online.env("HF_ENDPOINT", hub.endpoint()).args(["ensure", id, "--json"]));
                assert_eq!(done.status, 0, "{label}, {id}: {}", done.stderr);
                assert!(done.stdout.contains(r#""cached": true"#), "{label}, {id}");
            }
            assert_eq!(content_sent(&hub), 0, "{label}");
        }
    }
}

#[test]
#[ignore = "needs hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
fn what_a_hf_command_downloaded_of_a_repository_is_a_part() {
    for release in &RELEASES {
        let (bench, hub) = (Fixture::new(), Hub::start());
        publish(&hub);
        download(release, &bench, &hub, true, &["org/gguf", "x-Q8_0.gguf"]);
        download(release, &bench, &hub, true, &["org/st", "--include", "*.json"]);
        for id in ["hf:org/st", "hf:org/gguf:Q4_K_M", "hf:org/gguf/x-Q8_0.gguf"] {
            let done = bench.run(&["ensure", "--offline", id]);
            assert_eq!(done.status, 5, "{}, {id}: {}{}", release.program, done.stdout, done.stderr);
        }
        let named = bench.run(&["ensure", "--offline", "hf:org/st/config.json"]);
        assert_eq!(named.status, 0, "{}: {}", release.program, named.stderr);
        if !release.has_trees {
            continue;
        }
        // The next step that the hint names.
        download(release, &bench, &hub, true, &["org/gguf", "--include", "x-Q8_0.gguf"]);
        let listed = bench.run(&["ensure", "--offline", "hf:org/gguf/x-Q8_0.gguf"]);
        assert_eq!(listed.status, 0, "{}: {}", release.program, listed.stderr);
    }
}

/// Downloads a repository by the Python package behind the command, whose Xet client is replaced by a copy of a file: there is no
/// storage server here. The hub says that the file is in Xet, and where it lies then is the package's own work.
const DOWNLOAD_BY_XET: &str = r#"
import os, shutil
from huggingface_hub import file_download, snapshot_download
def xet_get(*, incomplete_path, **_): shutil.copyfile(os.environ["XET_BYTES"], incomplete_path)
file_download.xet_get = xet_get
snapshot_download("org/repo")
"#;

#[test]
#[ignore = "needs hf-2 on the path; .ci/run installs it where it can"]
#[expect(clippy::disallowed_methods, reason = "the program on the path tells where its Python is")]
fn what_the_hf_command_brings_through_xet_is_found() {
    const HASH: &str = "91e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5";
    let (bench, hub) = (Fixture::new(), Hub::start());
    let bytes = gguf_of(SIZE, 3);
    hub.xet_cas("http://127.0.0.1:1");
    hub.repo("org/repo").xet("x-Q4_K_M.gguf", bytes.clone(), HASH).publish();
    let path = std::env::var("PATH").unwrap();
    let hf = std::env::split_paths(&path).map(|folder| folder.join("hf-2")).find(|hf| hf.exists()).unwrap();
    let mut python = Command::new(hf.canonicalize().unwrap().with_file_name("python"));
    python.env("HF_ENDPOINT", hub.endpoint().replace("127.0.0.1", "localhost"));
    python.env("HF_HUB_CACHE", bench.path("hf/hub")).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
    python.env("HF_HUB_DISABLE_TELEMETRY", "1").env("XET_BYTES", bench.file("bytes", &bytes));
    let done = finish(python.args(["-c", DOWNLOAD_BY_XET]));
    assert_eq!(done.status, 0, "{}", done.stderr);
    let stored = bench.path("hf/hub/blobs/91").join(HASH);
    assert_eq!(fs_err::read(&stored).unwrap(), bytes, "it lies in the store that repositories share");
    hub.reset_counts();
    let id = "hf:org/repo:Q4_K_M";
    let mut plan = bench.command();
    let plan = finish(plan.env("HF_ENDPOINT", hub.endpoint()).args(["plan", id, "--json"]));
    assert!(plan.stdout.contains(stored.to_str().unwrap()), "{}{}", plan.stdout, plan.stderr);
    assert_eq!(bench.json(&["ensure", "--offline", id])["cached"], true);
    assert_eq!(content_sent(&hub), 0);
    assert!(fs_err::symlink_metadata(stored).unwrap().is_file());
}
