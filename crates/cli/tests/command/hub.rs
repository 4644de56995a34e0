//! The command makes `hf:` models present, from a hub on loopback.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use testkit::{TINY_GGUF, gguf, gguf_of, safetensors};

use testkit::{
    Hub,
    hub::{At, Fault, FaultKind, Origin, Protocol},
};

use crate::fixture::{Finished, Fixture, finish};

const ID: &str = "hf:org/repo/a.gguf";

/// Large enough that it takes a while.
const SIZE: u64 = 48 << 20;

/// Returns the command with that hub's address, and with no other variable about hubs.
pub(crate) fn command(bench: &Fixture, endpoint: &str, args: &[&str]) -> Command {
    let mut command = bench.command();
    let tokens = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"];
    for name in tokens.into_iter().chain(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]) {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", bench.path("hf-home")).args(args);
    command
}

pub(crate) fn run(bench: &Fixture, hub: &Hub, args: &[&str]) -> Finished {
    finish(&mut command(bench, &hub.endpoint(), args))
}

pub(crate) fn start(bench: &Fixture, hub: &Hub, args: &[&str]) -> Child {
    let mut command = command(bench, &hub.endpoint(), args);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Fails where anything is left of a transfer.
#[track_caller]
pub(crate) fn is_clean(bench: &Fixture) {
    let partial = bench.cache().join("store-v1/partial");
    let left: Vec<_> =
        fs_err::read_dir(partial).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "partials are left");
    let store = bench.cache().join("store-v1");
    let is_hidden = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
    let files = bench.cache_files().into_iter().filter(|path| path.starts_with(&store) && is_hidden(path));
    let hidden: Vec<_> = files.filter(|path| !path.ends_with(".model.json")).collect();
    assert_eq!(hidden, Vec::<PathBuf>::new(), "something is left in the store");
}

#[test]
fn a_hub_over_tls_is_trusted_by_the_file_that_names_its_authority() {
    let (bench, hub) = (Fixture::new(), Hub::start_tls(&[Protocol::Http2, Protocol::Http1]));
    hub.repo("org/repo").lfs("a.gguf", gguf_of(3 << 20, 1)).file("config.json", "{}").publish();
    let certificate = bench.file("certificate.pem", hub.certificate().unwrap());
    let args = ["ensure", "hf:org/repo?include=*"];
    let stranger = run(&bench, &hub, &args);
    assert_eq!(stranger.status, 6, "{}", stranger.stderr);
    assert!(stranger.stderr.contains("SSL_CERT_FILE"), "{}", stranger.stderr);
    let done = finish(command(&bench, &hub.endpoint(), &args).env("SSL_CERT_FILE", certificate));
    assert_eq!(done.status, 0, "{}", done.stderr);
    let cdn: Vec<_> = hub.requests().into_iter().filter(|seen| seen.origin == Origin::Cdn).collect();
    assert!(!cdn.is_empty() && cdn.iter().all(|seen| seen.protocol == Protocol::Http1), "{cdn:?}");
    assert_eq!(hub.count(|seen| seen.is_for("config.json") && seen.protocol == Protocol::Http2), 1);
}

#[test]
fn a_model_may_have_more_files_than_may_be_open() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = (0..300).fold(hub.repo("org/repo"), |repo, n| repo.file(&format!("{n}.json"), n.to_string()));
    repo.publish();
    let run = |args: &[&str]| {
        let plain = command(&bench, &hub.endpoint(), args);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "ulimit -n 150; exec \"$@\"", "sh"])
            .arg(plain.get_program())
            .args(plain.get_args());
        shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = finish(shell.current_dir(bench.path("")));
        assert_eq!(done.status, 0, "{}", done.stderr);
        done.stdout
    };
    let path = run(&["ensure", "hf:org/repo?include=*"]);
    assert_eq!(fs_err::read(Path::new(path.trim()).join("299.json")).unwrap(), b"299");
    run(&["export", "hf:org/repo?include=*", "carried"]);
    run(&["import", "carried", "--id", "hf:org/other"]);
    is_clean(&bench);
}

#[test]
fn people_and_programs_see_what_was_fetched() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let commit = hub
        .repo("org/repo")
        .lfs("a-Q4_0.gguf", gguf_of(5_000, 1))
        .lfs("b-Q8_0.gguf", gguf("two"))
        .file("x.json", "{}")
        .publish();
    let plan = run(&bench, &hub, &["plan", "hf:org/repo:q4_0", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["files"][0]["state"], &plan["download_bytes"]), (&"fetch".into(), &5_000.into()));
    assert_eq!(plan["revision"], commit.as_str());
    assert_eq!(hub.count(|seen| seen.file.is_some()), 0, "a plan moves nothing");
    let done = run(&bench, &hub, &["ensure", "hf:org/repo:q4_0", "--json"]);
    let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&model["id"], &model["cached"]), (&"hf:org/repo:Q4_0".into(), &false.into()));
    assert_eq!((done.stderr.as_str(), &model["verification"]["basis"]), ("", &"source".into()));
    let ambiguous = run(&bench, &hub, &["ensure", "hf:org/repo"]);
    assert_eq!(ambiguous.status, 2);
    assert!(
        ambiguous.stderr.contains("`hf:org/repo/a-Q4_0.gguf`") && ambiguous.stderr.contains("hint: "),
        "{}",
        ambiguous.stderr
    );
    let some = run(&bench, &hub, &["ensure", "hf:org/repo", "--include", "*.json", "--revision", &commit]);
    assert!(some.stdout.trim().ends_with(|c: char| c.is_ascii_hexdigit()), "{}{}", some.stdout, some.stderr);
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/repo:Q2_K"]).status, 3);
    assert_eq!(
        run(&bench, &hub, &["ensure", "hf:org/absent"]).status,
        7,
        "absent or private: the Hub does not say which"
    );
    drop(hub);
    let gone =
        finish(bench.command().env("HF_ENDPOINT", "http://127.0.0.1:1").args(["ensure", "hf:org/other"]));
    assert_eq!(gone.status, 6, "{}", gone.stderr);
    let present =
        finish(bench.command().env("HF_ENDPOINT", "http://127.0.0.1:1").args(["ensure", "hf:org/repo:q4_0"]));
    assert_eq!(present.status, 0, "{}", present.stderr);
}

#[test]
fn eight_processes_make_one_download() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", gguf_of(usize::try_from(SIZE).unwrap(), 7)).publish();
    let children: Vec<_> = (0..8).map(|_| start(&bench, &hub, &["ensure", ID])).collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(hub.bytes_sent("a.gguf"), SIZE);
    is_clean(&bench);
}

#[test]
fn a_token_of_the_environment_goes_to_the_hub_alone() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.grant("hf_secret");
    hub.repo("org/private").lfs("a.gguf", gguf("x")).private().publish();
    bench.file("hf-home/token", "hf_secret\n");
    let done = run(&bench, &hub, &["-v", "ensure", "hf:org/private/a.gguf"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("hf_secret"));
    assert!(hub.requests().iter().all(|seen| seen.authorization.is_some() == (seen.origin == Origin::Hub)));
    for path in bench.cache_files() {
        assert!(
            !String::from_utf8_lossy(&fs_err::read(&path).unwrap()).contains("hf_secret"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_name_of_a_repository_arrives_as_it_is() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let names = [
        "with space.bin",
        "a#b.bin",
        "a[1]{2}.bin",
        "100%.bin",
        "a%20b.bin",
        "what?.bin",
        "a+b&c=d;e.bin",
        "\"quoted\" 'too'.bin",
        "h\u{e9}-\u{6a21}\u{578b}-\u{1f600}.bin",
        "Case.bin",
        "case.bin",
        "sub folder/deep#er/x.bin",
    ];
    let mut repo = hub.repo("org/repo").branch("feature/x y#1".replace(' ', "-").as_str()).tag("v1.0");
    for name in names {
        repo = repo.lfs(name, format!("large {name}")).file(&format!("{name}.txt"), format!("small {name}"));
    }
    let commit = repo.file("empty.txt", "").lfs("empty.bin", "").lfs("a.gguf", TINY_GGUF).publish();
    for revision in ["feature/x-y#1", "v1.0", &commit] {
        let done = run(&bench, &hub, &["ensure", "hf:org/repo?include=*", "--revision", revision, "--json"]);
        assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{revision}");
        let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(model["revision"], commit.as_str());
        let root = Path::new(model["local_path"].as_str().unwrap());
        let has = |name: &str, text: &str| {
            let path = root.join(name);
            assert!(fs_err::symlink_metadata(&path).unwrap().is_file(), "{name}: a real file");
            assert_eq!(fs_err::read_to_string(path).unwrap(), text);
        };
        for name in names {
            has(name, &format!("large {name}"));
            has(&format!("{name}.txt"), &format!("small {name}"));
        }
        has("empty.txt", "");
        has("empty.bin", "");
        assert_eq!(model["files"].as_array().unwrap().len(), 2 * names.len() + 3);
    }
    for name in names {
        let id = format!("hf:org/repo@v1.0/{name}");
        let done = run(&bench, &hub, &["ensure", &id]);
        assert_eq!(
            fs_err::read_to_string(done.stdout.trim_end()).unwrap(),
            format!("large {name}"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn what_is_absent_offline_says_which_command_fetches_it() {
    let [all, some] = [&["ensure", "hf:org/repo"][..], &["ensure", "hf:org/repo", "--include", "*.json"]];
    for (present, absent) in [(all, some), (some, all)] {
        let (bench, hub) = (Fixture::new(), Hub::start());
        hub.repo("org/repo").file("config.json", "{}").lfs("model.safetensors", safetensors("x")).publish();
        assert_eq!(run(&bench, &hub, present).status, 0);
        let offline = |args: &[&str]| run(&bench, &hub, &[args, &["--offline", "--json"]].concat());
        let there = offline(present);
        assert!(there.status == 0 && there.stdout.contains("\"cached\": true"), "{}", there.stdout);
        let done = offline(absent);
        let error = serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()["error"].clone();
        assert_eq!((done.status, &error["code"]), (5, &"offline".into()), "{error}");
        let hint = error["hint"].as_str().unwrap();
        let fetches = hint.split('`').nth(1).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_model-provisioner"));
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", fetches]).env("PATH", program.parent().unwrap()).env("HF_ENDPOINT", hub.endpoint());
        let done = finish(shell.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache()));
        assert_eq!(done.status, 0, "{fetches}: {}", done.stderr);
        assert_eq!(offline(absent).status, 0, "it was that very model");
    }
}

#[test]
fn one_file_in_a_repository_is_pinned_by_its_own_digest() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("one.bin", "one").publish();
    let id = "hf:org/repo?include=*";
    let wrong = run(&bench, &hub, &["ensure", id, "--sha256", &"0".repeat(64)]);
    assert_eq!(wrong.status, 4, "{}", wrong.stderr);
    let sha256 = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    for cached in ["false", "true"] {
        let done = run(&bench, &hub, &["ensure", id, "--sha256", sha256, "--strict", "--json"]);
        assert!(
            done.status == 0 && done.stdout.contains(&format!("\"cached\": {cached}")),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn a_refresh_that_leaves_a_pin_behind_says_so() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", gguf("old")).publish();
    let id = "hf:org/repo/a.gguf";
    let found = run(&bench, &hub, &["ensure", id, "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let pin = found["digest"]["value"].as_str().unwrap();
    assert_eq!(run(&bench, &hub, &["ensure", id, "--sha256", pin]).status, 0);
    hub.repo("org/repo").lfs("a.gguf", gguf("new")).publish();
    assert_eq!(run(&bench, &hub, &["ensure", id, "--refresh", "--sha256", pin]).status, 4);
    let moved = run(&bench, &hub, &["ensure", id, "--refresh"]);
    assert!(
        moved.status == 0 && moved.stderr.contains("by a digest, and the refreshed model has another one"),
        "{}",
        moved.stderr
    );
}

#[test]
fn a_refresh_without_a_network_is_told_from_a_model_that_is_not_here() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", testkit::TINY_GGUF).publish();
    assert_eq!(run(&bench, &hub, &["ensure", ID]).status, 0);
    let done = run(&bench, &hub, &["ensure", ID, "--refresh", "--offline"]);
    assert!(done.status == 5 && done.stderr.contains("cannot be refreshed"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: without `--refresh`"), "{}", done.stderr);
}

#[test]
fn a_cache_that_cannot_be_written_is_judged_again_all_the_same() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", testkit::TINY_GGUF).publish();
    let path = run(&bench, &hub, &["ensure", ID]).stdout;
    // Another time, and the same bytes.
    let touched = finish(Command::new("touch").args(["-d", "2020-01-01", path.trim()]));
    assert_eq!(touched.status, 0);
    assert_eq!(finish(Command::new("chmod").arg("-R").arg("a-w").arg(bench.cache())).status, 0);
    let open = bench.path("open");
    fs_err::create_dir(&open).unwrap();
    fs_err::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let run = ["run", ID, "--offline", "--handoff", "open/engine.json", "--", "true"];
    for args in [&["ensure", ID, "--offline"][..], &["verify", ID], &run] {
        let done = finish(bench.unprivileged().args(args));
        assert_eq!(done.status, 0, "{args:?}: {}", done.stderr);
    }
}

#[test]
fn a_limit_on_the_rate_is_kept() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let files = ["a.bin", "b.bin", "c.bin"];
    files
        .iter()
        .fold(hub.repo("org/repo"), |repo, name| repo.lfs(name, vec![name.as_bytes()[0]; 1 << 20]))
        .publish();
    let begin = std::time::Instant::now();
    let done = run(&bench, &hub, &["ensure", "hf:org/repo?include=*", "--limit-rate", "2Mi"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(1400), "3 MiB over several connections took only {took:?}");
}

#[test]
fn progress_never_goes_back() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let sizes = [("a.bin", 40 << 20), ("b.bin", 3 << 20), ("c.bin", 0)];
    sizes.iter().fold(hub.repo("org/repo"), |repo, (name, size)| repo.lfs(name, vec![3; *size])).publish();
    // Cut off, and begun anew.
    hub.fault(Fault::on("a.bin").at(Origin::Cdn).once().kind(FaultKind::Cut(At::Half)));
    hub.fault(Fault::on("b.bin").at(Origin::Cdn).once().kind(FaultKind::Flip(7)));
    let done = run(&bench, &hub, &["ensure", "hf:org/repo?include=*", "--progress", "json", "-q"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let events: Vec<serde_json::Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is = |name: &'static str| move |event: &&serde_json::Value| event["event"] == name;
    for (path, size) in sizes {
        let of_file: Vec<_> = events.iter().filter(|event| event["path"] == path).collect();
        assert_eq!(of_file.first().unwrap()["event"], "fetch_started", "{path}");
        assert_eq!(of_file.last().unwrap()["event"], "fetch_ended", "{path}");
        let counts: Vec<_> = of_file
            .iter()
            .copied()
            .filter(is("fetched"))
            .map(|event| event["done_bytes"].as_u64().unwrap())
            .collect();
        assert!(counts.is_sorted(), "{path}: {counts:?}");
        assert_eq!(counts.last().copied().unwrap_or_default(), size as u64, "{path}");
    }
    let [first, .., last] = events.as_slice() else { panic!("{}", done.stderr) };
    assert_eq!((&first["event"], &last["event"]), (&"resolving".into(), &"ready".into()));
    assert_eq!(last["cached"], false);
    let again = run(&bench, &hub, &["ensure", "hf:org/repo?include=*", "--refresh", "--progress", "json"]);
    assert!(again.stderr.lines().any(|line| line.contains("\"cached\":true")), "{}", again.stderr);
}

/// Returns the most memory that a process ever held, in KiB, read until the process is gone.
fn peak_kib(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs_err::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        peak = peak.max(now);
        std::thread::sleep(Duration::from_millis(1));
    }
    peak
}

#[test]
fn a_large_file_takes_little_memory() {
    let peak_of = |size: u64| {
        let (bench, hub) = (Fixture::new(), Hub::start());
        hub.repo("org/repo").lfs_synthetic("a.bin", size, 1).publish();
        let mut child = start(&bench, &hub, &["ensure", "hf:org/repo/a.bin"]);
        let peak = peak_kib(&mut child);
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        peak
    };
    // The limit is of a release build: how much of another build lies in memory says nothing.
    let (itself, large) = (peak_of(64 << 10), peak_of(256 << 20));
    assert!(itself > 1000 && large < itself + (36 << 10), "{large} KiB, and {itself} KiB by itself");
}

#[test]
fn xet_is_used_unless_it_is_disabled_and_leaves_nothing_behind() {
    let hub = Hub::start();
    hub.xet_cas("http://127.0.0.1:1");
    hub.repo("org/repo").xet("a.gguf", gguf("one"), &"0f".repeat(32)).publish();
    for (disabled, tokens) in [("1", 0), ("0", 1)] {
        let bench = Fixture::new();
        fs_err::create_dir(bench.path("tmp")).unwrap();
        let mut command = command(&bench, &hub.endpoint(), &["ensure", ID, "-v"]);
        command.env("HF_HUB_DISABLE_XET", disabled).env("TMPDIR", bench.path("tmp"));
        command.env("HOME", bench.path("home")).env_remove("XDG_CACHE_HOME");
        hub.reset_counts();
        let done = finish(&mut command);
        assert_eq!(done.status, 0, "{}", done.stderr);
        assert_eq!(fs_err::read(done.stdout.trim()).unwrap(), gguf("one"));
        assert_eq!(hub.count(|seen| seen.path.contains("/xet-read-token/")), tokens, "{disabled}");
        assert_eq!(done.stderr.contains("plain HTTP"), tokens > 0, "{}", done.stderr);
        // A log that knew addresses would have them here.
        assert!(!done.stderr.contains("RetryWrapper") && !done.stderr.contains("xet-token-for"));
        assert!(!bench.path("home").exists() && !bench.path("hf-home").exists());
        assert_eq!(fs_err::read_dir(bench.path("tmp")).unwrap().count(), 0);
    }
}
