//! `--via hf-cli` runs the `hf` command, believes nothing of it, and ends it. Here a shell script stands in for it.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use testkit::{Hub, gguf_of};

use crate::fixture::{Finished, Fixture, finish};

const SIZE: usize = 1 << 20;
const NAME: &str = "x-Q4_K_M.gguf";
const ID: &str = "hf:org/gguf:Q4_K_M";
const TOKEN: &str = "hf_canary_0123456789";

/// Begins every script: it finds the folder that the command names, and notes that it ran.
const HEAD: &str = r#"#!/bin/sh
here=$(dirname "$0")
for arg in "$@"; do case "$arg" in --local-dir=*) dir=${arg#--local-dir=};; esac; done
[ "$1" = version ] && { echo "huggingface_hub version: 9.8.7"; exit 0; }
echo "$@" >>"$here/ran"
mkdir -p "$dir"
"#;

/// A hub with one model, and a folder of the search path with a script called `hf` in it.
struct Bench {
    files: Fixture,
    hub: Hub,
}

impl Bench {
    /// Makes a bench whose `hf` runs these lines. `$here` is the folder of the script, with the right bytes in `right`.
    fn new(script: &str) -> Self {
        let (files, hub) = (Fixture::new(), Hub::start());
        hub.repo("org/gguf").lfs(NAME, gguf_of(SIZE, 4)).publish();
        files.file("bin/right", gguf_of(SIZE, 4));
        let bench = Self { files, hub };
        bench.script("hf", script);
        bench
    }

    fn script(&self, name: &str, script: &str) {
        let path = self.files.file(&format!("bin/{name}"), format!("{HEAD}{script}\n"));
        fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path("bin").join(name)
    }

    fn command(&self) -> Command {
        let mut command = self.files.command();
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("").display()));
        command.env("HF_ENDPOINT", self.hub.endpoint()).env_remove("HF_TOKEN");
        command
    }

    fn ensure(&self, more: &[&str]) -> Finished {
        finish(self.command().args(["ensure", ID, "--via", "hf-cli", "--json"]).args(more))
    }

    fn error(&self, more: &[&str]) -> (i32, Value) {
        let done = self.ensure(more);
        let document: Value =
            serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
        (done.status, document["error"].clone())
    }

    /// Returns the error of a call that must end an `hf` which does not end by itself.
    fn error_in_time(&self, more: &[&str]) -> (i32, Value) {
        let output = self.path("output");
        let mut command = self.command();
        command.args(["ensure", ID, "--via", "hf-cli", "--json"]).args(more);
        let file = std::fs::File::options().create(true).truncate(true).write(true).open(&output).unwrap();
        let child = std::cell::RefCell::new(command.stdout(file).stderr(Stdio::null()).spawn().unwrap());
        wait_for("the command ends hf", || child.borrow_mut().try_wait().unwrap().is_some());
        let status = child.borrow_mut().wait().unwrap().code().unwrap();
        let document: Value = serde_json::from_str(&fs_err::read_to_string(output).unwrap()).unwrap();
        (status, document["error"].clone())
    }

    /// Returns how many bytes of files the hub has sent.
    fn content_sent(&self) -> u64 {
        let seen = self.hub.requests();
        seen.iter().filter(|seen| seen.file.is_some()).map(testkit::hub::Seen::sent_bytes).sum()
    }

    fn ran(&self) -> usize {
        fs_err::read_to_string(self.path("ran")).unwrap_or_default().lines().count()
    }

    fn partials(&self) -> usize {
        let partials = self.files.cache().join("store-v1/partial");
        fs_err::read_dir(partials).map_or(0, Iterator::count)
    }
}

/// Returns whether a process lives. A zombie does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs_err::File::open(format!("/proc/{pid}/stat")).and_then(std::io::read_to_string);
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

/// Waits until something is so.
#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_hf_downloads_is_verified_and_committed() {
    let bench = Bench::new(
        r#"cp "$here/right" "$dir/x-Q4_K_M.gguf"; mkdir -p "$dir/.cache/huggingface"
           echo junk >"$dir/.hidden"; echo junk >"$dir/other.gguf"; ln -s /etc/passwd "$dir/link"; mkfifo "$dir/pipe""#,
    );
    let done = bench.ensure(&["--strict"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let model: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(model["verification"]["basis"], "source", "{model}");
    assert_eq!(model["cached"], false);
    let path = model["local_path"].as_str().unwrap();
    assert_eq!(fs_err::read(path).unwrap(), gguf_of(SIZE, 4));
    assert_eq!(bench.content_sent(), 0, "the command's own client fetched nothing");
    assert_eq!(bench.partials(), 0, "nothing is left of the scratch folder");
    let ran = fs_err::read_to_string(bench.path("ran")).unwrap();
    assert!(ran.contains("--revision=") && !ran.contains("main"), "the commit is named: {ran}");
    assert_eq!(bench.ensure(&[]).status, 0);
    assert_eq!(bench.ran(), 1, "a present model runs no command");
}

#[test]
fn wrong_bytes_of_hf_never_become_a_model() {
    let bench = Bench::new(r#"tr G H <"$here/right" >"$dir/x-Q4_K_M.gguf""#);
    let (status, error) = bench.error(&[]);
    assert_eq!((status, &error["code"]), (4, &Value::from("digest-mismatch")), "{error}");
    let list = finish(bench.command().args(["list", "--json"]));
    assert_eq!(list.stdout.trim(), "[]");
    bench.script("hf", r#"cp "$here/right" "$dir/x-Q4_K_M.gguf""#);
    assert_eq!(bench.ensure(&["--strict"]).status, 0, "the next call asks for the file again");
}

#[test]
fn what_is_not_a_plain_file_is_refused_and_left_alone() {
    for (script, reason) in [
        (r#"ln -s "$here/right" "$dir/x-Q4_K_M.gguf""#, "it is a symlink"),
        (r#"ln "$here/right" "$dir/x-Q4_K_M.gguf""#, "it has other names too"),
        (r#"mkfifo "$dir/x-Q4_K_M.gguf""#, "it is not a regular file"),
        (r#"mkdir "$dir/x-Q4_K_M.gguf""#, "it is a folder"),
        (r#"echo short >"$dir/x-Q4_K_M.gguf""#, "it has 6 bytes"),
        ("true", "it is not there"),
    ] {
        let bench = Bench::new(script);
        let (status, error) = bench.error(&[]);
        assert_eq!((status, &error["code"]), (6, &Value::from("source-invalid")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
        assert_eq!(fs_err::read(bench.path("right")).unwrap(), gguf_of(SIZE, 4), "{reason}");
    }
}

#[test]
fn what_is_refused_is_not_in_the_way_of_the_next_run() {
    for junk in [
        r#"mkdir "$dir/x-Q4_K_M.gguf""#,
        r#"ln -s /nowhere/at/all "$dir/x-Q4_K_M.gguf""#,
        r#"rmdir "$dir"; mkdir "$here/elsewhere"; ln -s "$here/elsewhere" "$dir""#,
    ] {
        let bench = Bench::new(junk);
        assert_eq!(bench.error(&[]).1["code"], "source-invalid", "{junk}");
        bench.script("hf", r#"cp "$here/right" "$dir/x-Q4_K_M.gguf""#);
        let done = bench.ensure(&["--strict"]);
        assert_eq!((done.status, bench.partials()), (0, 0), "{junk}: {}", done.stderr);
    }
}

#[test]
fn a_failure_of_hf_has_the_code_of_its_cause() {
    for (script, status, code) in [
        ("echo 'Error: Access denied. Model x requires approval.' >&2; exit 1", 7, "gated"),
        ("echo 'requests.HTTPError: 401 Client Error' >&2; exit 1", 7, "unauthorized"),
        ("echo '401 Client Error: Unauthorized'; echo 'a warning' >&2; exit 1", 7, "unauthorized"),
        ("echo \"Error: Revision not found in model 'org/gguf'.\" >&2; exit 1", 3, "not-found"),
        ("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1", 8, "no-space"),
        ("echo 'Error: Local entry not found. Connection refused' >&2; exit 1", 6, "source-unavailable"),
        ("echo 'hf: error: unrecognized arguments: --quiet' >&2; exit 2", 2, "tool-missing"),
        ("kill -SEGV $$", 6, "source-unavailable"),
    ] {
        let bench = Bench::new(script);
        let (exit, error) = bench.error(&[]);
        assert_eq!((exit, &error["code"]), (status, &Value::from(code)), "{script}: {error}");
    }
}

#[test]
fn a_silent_hf_is_ended_with_all_that_it_started() {
    let bench = Bench::new(r#"sleep 987 & echo $! >"$here/child"; echo $$ >"$here/pid"; wait"#);
    let (status, error) = bench.error_in_time(&["--timeout", "1s"]);
    assert_eq!((status, &error["retriable"]), (6, &Value::from(true)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("printed nothing for 4 seconds"), "{error}");
    for name in ["pid", "child"] {
        let pid = fs_err::read_to_string(bench.path(name)).unwrap();
        wait_for(name, || !is_alive(pid.trim()));
    }
}

#[test]
fn an_hf_that_prints_without_end_is_ended() {
    let bench = Bench::new("yes; true");
    let (status, error) = bench.error_in_time(&[]);
    assert_eq!(status, 6, "{error}");
    assert!(error["message"].as_str().unwrap().contains("printed without end"), "{error}");
}

#[test]
fn hf_does_not_outlive_a_killed_provisioner() {
    let bench = Bench::new(r#"sleep 987 & echo $! >"$here/child"; echo $$ >"$here/pid"; wait"#);
    let mut provisioner = bench.command();
    provisioner.args(["ensure", ID, "--via", "hf-cli"]).stderr(Stdio::null()).stdout(Stdio::null());
    let mut provisioner = provisioner.spawn().unwrap();
    let pid_of = |name: &str| fs_err::read_to_string(bench.path(name)).unwrap_or_default().trim().to_owned();
    wait_for("hf runs", || !pid_of("pid").is_empty());
    let (pid, child) = (pid_of("pid"), pid_of("child"));
    assert!(is_alive(&pid) && is_alive(&child));
    // SIGKILL: no line of the provisioner runs any more.
    provisioner.kill().unwrap();
    provisioner.wait().unwrap();
    wait_for("hf is dead", || !is_alive(&pid));
    wait_for("what hf started is dead", || !is_alive(&child));
}

#[test]
fn the_token_is_in_the_environment_of_hf_and_nowhere_else() {
    let script = r#"cat /proc/[0-9]*/cmdline >"$here/argv" 2>/dev/null; env >"$here/env"
        echo "your token is $HF_TOKEN"; echo "Error: $HF_TOKEN is bad" >&2; exit 1"#;
    let bench = Bench::new(script);
    let mut command = bench.command();
    command.env("HF_TOKEN", TOKEN).env("AWS_SECRET_ACCESS_KEY", TOKEN).env("HF_HOME", bench.files.path("hf"));
    let done = finish(command.args(["ensure", ID, "--via", "hf-cli", "--json", "-vv"]));
    assert_eq!(done.status, 6, "{}", done.stderr);
    assert!(done.stderr.contains("`hf` says: your token is ***"), "{}", done.stderr);
    assert!(done.stdout.contains("*** is bad"), "{}", done.stdout);
    assert!(!done.stdout.contains(TOKEN) && !done.stderr.contains(TOKEN));
    let read = |name: &str| String::from_utf8_lossy(&fs_err::read(bench.path(name)).unwrap()).into_owned();
    assert!(read("argv").contains("--local-dir="), "the arguments of all processes were read");
    assert!(!read("argv").contains(TOKEN));
    let environment = read("env");
    let having: Vec<_> = environment.lines().filter(|line| line.contains(TOKEN)).collect();
    assert_eq!(having, [format!("HF_TOKEN={TOKEN}")], "{environment}");
    let home = environment.lines().find_map(|line| line.strip_prefix("HF_HOME=")).unwrap();
    assert!(Path::new(home).starts_with(bench.files.cache()), "its home is in the scratch folder: {home}");
    for file in bench.files.cache_files() {
        let bytes = fs_err::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(TOKEN), "{}", file.display());
    }
}

#[test]
fn the_bytes_that_hf_writes_are_told_as_progress() {
    let bench = Bench::new(
        r#"head -c 524288 "$here/right" >"$dir/half"
           while [ ! -e "$here/go" ]; do sleep 0.05; done
           mv "$dir/half" "$dir/.gone"; cp "$here/right" "$dir/x-Q4_K_M.gguf""#,
    );
    let mut command = bench.command();
    command.args(["ensure", ID, "--via", "hf-cli", "--progress", "json"]);
    let mut running = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(running.stderr.take().unwrap()));
    let mut fetched = Vec::new();
    for line in lines {
        let Ok(event) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        if event["event"] == "fetched" && event["path"] == NAME {
            fetched.push(event["done_bytes"].as_u64().unwrap());
            bench.files.file("bin/go", "");
        }
    }
    assert!(running.wait().unwrap().success());
    assert!((524_288..SIZE as u64).contains(&fetched[0]), "{fetched:?}");
    assert!(fetched.is_sorted(), "{fetched:?}");
    assert_eq!(fetched.last(), Some(&gguf_of(SIZE, 4).len().try_into().unwrap()), "{fetched:?}");
}

#[test]
fn a_cut_off_download_is_resumed() {
    let bench = Bench::new(
        r#"half="$dir/.cache/huggingface/download/x.incomplete"
           if [ -e "$half" ]; then cp "$here/right" "$dir/x-Q4_K_M.gguf"; echo "resumed $(cat "$half")" >"$here/told"
           else mkdir -p "$dir/.cache/huggingface/download"; echo "$HF_HOME" >"$half"; exit 1; fi"#,
    );
    assert_eq!(bench.ensure(&[]).status, 6);
    assert_eq!(bench.partials(), 1, "the scratch folder stays for the next call");
    assert_eq!(bench.ensure(&[]).status, 0);
    assert!(fs_err::read_to_string(bench.path("told")).unwrap().starts_with("resumed /"));
    assert_eq!(bench.partials(), 0);
}

#[test]
fn a_policy_that_denies_programs_denies_hf() {
    let bench = Bench::new(r#"cp "$here/right" "$dir/x-Q4_K_M.gguf""#);
    let provision = |policy: &str| {
        let config = format!("model_ref: \"{ID}\"\nvia: hf-cli\npolicy: {policy}\nhandoff: h.json\n");
        let config = bench.files.file("model.yaml", config);
        finish(bench.command().args(["provision", "--json", "--config"]).arg(config))
    };
    let denied = provision("{ network: allow, shell_out: deny }");
    assert_eq!(denied.status, 5, "{}", denied.stderr);
    let error: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!(error["error"]["code"], "denied", "{error}");
    assert!(denied.stdout.contains("running `hf`"), "{error}");
    let confined = provision("{ network: allow, hosts: [127.0.0.1] }");
    assert_eq!(confined.status, 5, "the command keeps to no list of hosts: {}", confined.stdout);
    assert_eq!(provision("{ network: deny }").status, 5);
    assert_eq!(bench.ran(), 0, "the command never ran");
    assert_eq!(provision("{ network: allow, shell_out: allow }").status, 0);
    assert_eq!(bench.ran(), 1);
}

#[test]
fn a_machine_without_hf_says_how_to_install_it() {
    let bench = Bench::new("true");
    fs_err::remove_file(bench.path("hf")).unwrap();
    let (status, error) = bench.error(&[]);
    assert_eq!((status, &error["code"]), (2, &Value::from("tool-missing")), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(" installs it; ") && hint.contains("`file:/path/of/the/model`"), "{hint}");
    bench.script("huggingface-cli", r#"cp "$here/right" "$dir/x-Q4_K_M.gguf""#);
    assert_eq!(bench.ensure(&[]).status, 0, "the older name serves where there is no `hf`");
}

#[test]
fn doctor_names_the_release_of_hf() {
    let bench = Bench::new("true");
    let done = finish(bench.command().arg("doctor"));
    assert!(done.stdout.contains(&format!("hf: {} (9.8.7)", bench.path("hf").display())), "{}", done.stdout);
    let json: Value =
        serde_json::from_str(&finish(bench.command().args(["doctor", "--json"])).stdout).unwrap();
    assert_eq!((&json["tools"]["hf_version"], &json["tools"]["hf_allowed"]), (&"9.8.7".into(), &true.into()));
}

#[test]
fn a_plan_and_the_native_client_run_no_hf() {
    let bench = Bench::new(r#"cp "$here/right" "$dir/x-Q4_K_M.gguf""#);
    let plan = finish(bench.command().args(["plan", ID, "--via", "hf-cli", "--json"]));
    assert_eq!(plan.status, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains(r#""state": "fetch""#), "{}", plan.stdout);
    assert_eq!(bench.ran(), 0);
    for via in ["auto", "native"] {
        let bench = Bench::new("exit 1");
        let done = finish(bench.command().args(["ensure", ID, "--via", via]));
        assert_eq!(done.status, 0, "{via}: {}", done.stderr);
        assert_eq!(bench.ran(), 0, "{via}");
        assert!(bench.content_sent() >= SIZE as u64, "{via}");
    }
}
