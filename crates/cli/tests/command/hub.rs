//! `hf:` models through the command, against a hub on loopback.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use testkit::{Hub, hub::Origin};

use crate::workbench::{Finished, Workbench, finish};

const ID: &str = "hf:org/repo/a.gguf";

/// Large enough that a kill finds something to cut off.
const SIZE: usize = 48 << 20;

/// The most that may be in flight when a process is killed, and what the sockets of hub and client hold beside it.
const IN_FLIGHT: u64 = (32 + 8) << 20;

fn command(bench: &Workbench, hub: &Hub, args: &[&str]) -> Command {
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf-home")).env_remove("HF_TOKEN");
    command.args(args);
    command
}

fn run(bench: &Workbench, hub: &Hub, args: &[&str]) -> Finished {
    finish(&mut command(bench, hub, args))
}

fn start(bench: &Workbench, hub: &Hub) -> Child {
    command(bench, hub, &["ensure", ID]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn weights() -> Vec<u8> {
    (0..SIZE).map(|n| u8::try_from((n * 31 + n / 4093) % 256).unwrap()).collect()
}

#[track_caller]
fn is_clean(bench: &Workbench) {
    let partial = bench.cache().join("store-v1/partial");
    let left = fs_err::read_dir(partial).map_or(0, Iterator::count);
    assert_eq!(left, 0, "partials are left");
    bench.has_no_temporary_files();
}

#[test]
fn people_and_programs_see_what_was_fetched() {
    let (bench, hub) = (Workbench::new(), Hub::start());
    let commit = hub
        .repo("org/repo")
        .lfs("a-Q4_0.gguf", "one")
        .lfs("b-Q8_0.gguf", "two")
        .file("x.json", "{}")
        .publish();
    let plan = run(&bench, &hub, &["plan", "hf:org/repo:q4_0", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["files"][0]["state"], &plan["download_bytes"]), (&"fetch".into(), &3.into()));
    assert_eq!(plan["revision"], commit.as_str());
    assert_eq!(hub.count(|seen| seen.file.is_some()), 0, "a plan moves nothing");
    let done = run(&bench, &hub, &["ensure", "hf:org/repo:q4_0", "--json"]);
    let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&model["id"], &model["cached"]), (&"hf:org/repo:Q4_0".into(), &false.into()));
    assert_eq!((done.stderr.as_str(), &model["verification"]["basis"]), ("", &"source".into()));
    let ambiguous = run(&bench, &hub, &["ensure", "hf:org/repo"]);
    assert_eq!(ambiguous.status, 2);
    assert!(
        ambiguous.stderr.contains("`a-Q4_0`") && ambiguous.stderr.contains("hint: "),
        "{}",
        ambiguous.stderr
    );
    let some = run(&bench, &hub, &["ensure", "hf:org/repo", "--include", "*.json", "--revision", &commit]);
    assert!(some.stdout.trim().ends_with(|c: char| c.is_ascii_hexdigit()), "{}{}", some.stdout, some.stderr);
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/repo:Q2_K"]).status, 3);
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/absent"]).status, 7, "absent or private, nobody knows");
    drop(hub);
    let gone =
        finish(bench.command().env("HF_ENDPOINT", "http://127.0.0.1:1").args(["ensure", "hf:org/other"]));
    assert_eq!(gone.status, 6, "{}", gone.stderr);
    let present =
        finish(bench.command().env("HF_ENDPOINT", "http://127.0.0.1:1").args(["ensure", "hf:org/repo:q4_0"]));
    assert_eq!(present.status, 0, "{}", present.stderr);
}

#[test]
fn a_kill_costs_no_more_than_what_was_in_flight() {
    let weights = weights();
    for percent in [10, 50, 99] {
        let (bench, hub) = (Workbench::new(), Hub::start());
        hub.repo("org/repo").lfs("a.gguf", weights.clone()).publish();
        hub.limit_rate(Some(30 << 20));
        let mut child = start(&bench, &hub);
        let enough = (SIZE / 100 * percent) as u64;
        assert!(
            hub.wait_until(Duration::from_secs(60), |hub| hub.bytes_sent("a.gguf") >= enough),
            "{percent} %"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        hub.limit_rate(None);
        let before = hub.bytes_sent("a.gguf");
        hub.reset_counts();
        let done = run(&bench, &hub, &["ensure", ID]);
        assert_eq!(done.status, 0, "{}", done.stderr);
        let again = hub.bytes_sent("a.gguf") + before;
        assert!(again <= SIZE as u64 + IN_FLIGHT, "{percent} %: {again} bytes in all");
        assert_eq!(fs_err::read(done.stdout.trim()).unwrap(), weights);
        is_clean(&bench);
    }
}

#[test]
fn eight_processes_make_one_download() {
    let (bench, hub) = (Workbench::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", weights()).publish();
    let children: Vec<_> = (0..8).map(|_| start(&bench, &hub)).collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(hub.bytes_sent("a.gguf"), SIZE as u64);
    is_clean(&bench);
}

#[test]
fn a_token_of_the_environment_goes_to_the_hub_alone() {
    let (bench, hub) = (Workbench::new(), Hub::start());
    hub.grant("hf_secret");
    hub.repo("org/private").lfs("a.gguf", "x").private().publish();
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
#[ignore = "needs strace; .ci/run installs it"]
fn killed_at_every_system_call_of_the_store() {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", "some weights").file("config.json", "{}").publish();
    for call in [
        "rename,renameat,renameat2",
        "fsync,fdatasync",
        "link,linkat",
        "mkdir",
        "chmod,fchmod,fchmodat",
        "unlink,unlinkat,rmdir",
    ] {
        let (bench, mut kills) = (Workbench::new(), 0);
        for count in 1..60 {
            let plain = command(&bench, &hub, &["ensure", "hf:org/repo?include=*"]);
            let mut strace = Command::new("strace");
            let inject = format!("inject={call}:signal=KILL:when={count}");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            strace.arg(plain.get_program()).args(plain.get_args()).current_dir(bench.path(""));
            strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let killed = finish(&mut strace);
            let list = bench.run(&["list", "--json"]);
            assert_eq!(list.status, 0, "{call} {count}: {}", list.stderr);
            let done = run(&bench, &hub, &["ensure", "hf:org/repo?include=*"]);
            assert_eq!(done.status, 0, "{call} {count}: {}", done.stderr);
            let root = std::path::Path::new(done.stdout.trim());
            assert_eq!(fs_err::read(root.join("a.gguf")).unwrap(), b"some weights");
            let partial = bench.cache().join("store-v1/partial");
            assert_eq!(fs_err::read_dir(partial).map_or(0, Iterator::count), 0, "{call} {count}");
            if killed.status == 0 {
                break;
            }
            kills += 1;
            assert_eq!(run(&bench, &hub, &["remove", "hf:org/repo?include=*"]).status, 0);
        }
        assert!(kills > 0, "{call} never killed");
    }
}
