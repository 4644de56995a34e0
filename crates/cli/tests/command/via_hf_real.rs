//! `--via hf-cli` with the real `hf` of each release, and the real `huggingface-cli`.
//!
//! The releases are on the path as `huggingface-cli-0.34`, `hf-0.36`, `hf-1` and `hf-2`: `.ci/run` installs them.

use std::{
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use testkit::{Hub, gguf_of, safetensors_of};

use crate::fixture::{Fixture, finish};

const SIZE: usize = 4 << 20;

/// Each program, and the name under which the command finds it.
const RELEASES: [(&str, &str); 5] = [
    ("huggingface-cli-0.34", "huggingface-cli"),
    ("hf-0.34", "hf"),
    ("hf-0.36", "hf"),
    ("hf-1", "hf"),
    ("hf-2", "hf"),
];

/// Returns the path of a program on the search path.
#[expect(clippy::disallowed_methods, reason = "the tools of the test are on the search path")]
pub(crate) fn on_path(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|at| at.exists());
    found.unwrap_or_else(|| panic!("{name} is not on the path"))
}

/// Makes a fixture whose search path has that release alone.
fn bench_of(program: &str, name: &str) -> Fixture {
    let bench = Fixture::new();
    fs_err::create_dir_all(bench.path("bin")).unwrap();
    symlink(on_path(program), bench.path("bin").join(name)).unwrap();
    bench
}

fn command(bench: &Fixture, hub: &Hub) -> Command {
    let mut command = bench.command();
    command.env("PATH", format!("{}:/usr/bin:/bin", bench.path("bin").display())).env_remove("HF_TOKEN");
    // The hub and its CDN are on one machine. By one name, the command would take them for one host.
    command
        .env("HF_ENDPOINT", hub.endpoint().replace("127.0.0.1", "localhost"))
        .env("HF_HUB_DISABLE_XET", "1");
    command
}

fn publish(hub: &Hub) {
    hub.repo("org/gguf")
        .lfs("x-Q4_K_M.gguf", gguf_of(SIZE, 4))
        .lfs("x-Q8_0.gguf", gguf_of(SIZE, 8))
        .publish();
    let repo = hub.repo("org/st").lfs("model.safetensors", safetensors_of(SIZE, 1)).file("config.json", "{}");
    repo.file("tok[1]*.json", "{}").file("-odd.json", "{}").file("sub/a b.json", "{}").publish();
}

#[test]
#[ignore = "needs huggingface-cli-0.34, hf-0.34, hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
fn each_real_hf_command_downloads_what_is_listed() {
    for (program, name) in RELEASES {
        let (bench, hub) = (bench_of(program, name), Hub::start());
        publish(&hub);
        for (id, files) in [
            ("hf:org/gguf:Q4_K_M", 1),
            ("hf:org/st", 5),
            ("hf:org/st/-odd.json", 1),
            ("hf:org/st/tok[1]*.json", 1),
        ] {
            let done =
                finish(command(&bench, &hub).args(["ensure", id, "--via", "hf-cli", "--strict", "--json"]));
            assert_eq!(done.status, 0, "{program}, {id}: {}", done.stderr);
            let model: Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(model["verification"]["basis"], "source", "{program}, {id}");
            assert_eq!(model["files"].as_array().map_or(1, Vec::len), files, "{program}, {id}: {model}");
        }
        let doctor = finish(command(&bench, &hub).args(["doctor", "--json"]));
        let doctor: Value = serde_json::from_str(&doctor.stdout).unwrap();
        let version = doctor["tools"]["hf_version"].as_str().unwrap();
        let release = program.rsplit('-').next().unwrap();
        assert!(version.starts_with(release), "{program}: {version}");
        assert_eq!(fs_err::read_dir(bench.cache().join("store-v1/partial")).unwrap().count(), 0, "{program}");
    }
}

#[test]
#[ignore = "needs huggingface-cli-0.34, hf-0.34, hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
fn a_killed_real_download_dies_and_is_resumed() {
    for (program, name) in RELEASES {
        let (bench, hub) = (bench_of(program, name), Hub::start());
        hub.repo("org/large").lfs("x-Q4_K_M.gguf", gguf_of(24 << 20, 4)).publish();
        hub.limit_rate(Some(4 << 20));
        let args = ["ensure", "hf:org/large:Q4_K_M", "--via", "hf-cli"];
        let mut first = command(&bench, &hub);
        let mut first = first.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let scratch = bench.cache().to_string_lossy().into_owned();
        wait_for(program, || arrived(&bench) > 10 << 20);
        assert!(!working_in(&scratch).is_empty(), "{program} runs in {scratch}");
        first.kill().unwrap();
        first.wait().unwrap();
        wait_for(program, || working_in(&scratch).is_empty());
        hub.limit_rate(None);
        hub.reset_counts();
        let second = finish(command(&bench, &hub).args(args).arg("--strict"));
        assert_eq!(second.status, 0, "{program}: {}", second.stderr);
        let sent: u64 = hub
            .requests()
            .iter()
            .filter(|seen| seen.file.is_some())
            .map(testkit::hub::Seen::sent_bytes)
            .sum();
        // Later releases begin a file anew, and leave the half of the first download to us.
        let most = if program.contains("-0.") { 16 << 20 } else { 25 << 20 };
        assert!(sent < most, "{program}: the second download fetched {sent} bytes");
        assert_eq!(fs_err::read_dir(bench.cache().join("store-v1/partial")).unwrap().count(), 0, "{program}");
    }
}

/// Returns how many bytes lie in the partials.
fn arrived(bench: &Fixture) -> u64 {
    let in_partial = |path: &PathBuf| path.to_string_lossy().contains("/partial/");
    let files = bench.cache_files().into_iter().filter(in_partial);
    files.filter_map(|path| Some(path.metadata().ok()?.len())).sum()
}

/// Returns the live processes whose arguments name a folder, but for the command of this project.
fn working_in(folder: &str) -> Vec<String> {
    let processes = fs_err::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let arguments = processes.filter_map(|process| fs_err::read(process.join("cmdline")).ok());
    let text = arguments.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    text.filter(|text| text.contains(folder) && text.contains("--local-dir=")).collect()
}

/// Waits until something is so.
#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
