//! The command shows interrupted transfers and quarantined files, and removes them.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{Hub, TINY_GGUF, gguf_of};

use crate::{
    fixture::{Finished, Fixture},
    hub::{command, run, start},
};

const ID: &str = "hf:acme/big/a.gguf";
const SIZE: usize = 8 << 20;

/// Makes a hub with a large model, and a cache in which the user interrupted a download of it.
fn interrupted() -> (Fixture, Hub, Finished) {
    let (bench, hub, done) = stopped(Signal::INT);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let status = done.status.code().unwrap_or(-1);
    (bench, hub, Finished { status, stdout: text(done.stdout), stderr: text(done.stderr) })
}

/// Makes a hub with a large model, and a cache in which a signal stopped a download of it.
fn stopped(signal: Signal) -> (Fixture, Hub, Output) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("acme/big").lfs("a.gguf", gguf_of(SIZE, 0)).publish();
    hub.limit_rate(Some(4 << 20));
    let mut child = command(&bench, &hub.endpoint(), &["ensure", ID]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(hub.wait_until(Duration::from_secs(60), |hub| hub.bytes_sent("a.gguf") >= 2 << 20));
    kill_process(Pid::from_child(&child), signal).unwrap();
    let done = child.wait_with_output().unwrap();
    hub.limit_rate(None);
    (bench, hub, done)
}

fn partials(bench: &Fixture) -> usize {
    fs_err::read_dir(bench.cache().join("store-v1/partial")).map_or(0, Iterator::count)
}

#[test]
fn a_cancelled_transfer_is_seen_with_its_id_and_size() {
    let (bench, _hub, done) = interrupted();
    assert_eq!(done.status, 130, "{}", done.stderr);
    assert!(done.stderr.contains("hint: what has arrived is kept ("), "{}", done.stderr);
    assert!(done.stderr.contains("of 8.00 MiB): the same command goes on with it"), "{}", done.stderr);
    let list = bench.run(&["list"]);
    assert!(list.stdout.starts_with("1 unfinished transfer, "), "{}", list.stdout);
    assert!(list.stdout.contains(&format!("MiB: {ID}")), "{}", list.stdout);
    assert!(list.stderr.contains("hint: `ensure` goes on with an unfinished transfer"), "{}", list.stderr);
    assert_eq!(bench.json(&["list"]), serde_json::json!([]), "models alone");
    let show = bench.run(&["show", ID]);
    assert_eq!(show.status, 3);
    assert!(show.stderr.contains(&format!("`remove {ID}` frees it")), "{}", show.stderr);
    let health = bench.json(&["doctor"]);
    let left = &health["leftovers"][0];
    assert_eq!((&left["kind"], &left["id"]), (&"transfer".into(), &ID.into()), "{health}");
    assert!(left["bytes"].as_u64().unwrap() > 1 << 20, "{health}");
    let screen = bench.run(&["doctor"]);
    assert!(
        screen.status == 0 && screen.stdout.contains("left     1 unfinished transfer"),
        "{}",
        screen.stdout
    );
    let kept = bench.json(&["gc"]);
    assert_eq!((&kept["leftovers"], &kept["kept_leftovers"][0]["id"]), (&serde_json::json!([]), &ID.into()));
    let text = bench.run(&["gc"]);
    assert!(text.stdout.contains(&format!("{ID}: an unfinished transfer, last written ")), "{}", text.stdout);
}

#[test]
fn progress_tells_the_whole_from_its_start_and_what_was_here_before() {
    let (bench, hub, _) = interrupted();
    hub.repo("acme/many").lfs("a.gguf", gguf_of(SIZE, 0)).lfs("b.bin", vec![7; 1 << 20]).publish();
    let args = ["ensure", "hf:acme/many?include=*", "--progress", "json"];
    let done = run(&bench, &hub, &args);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let events: Vec<serde_json::Value> =
        done.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    let planned = find("fetch_planned");
    assert_eq!(
        (&planned["files"], &planned["total_bytes"]),
        (&2.into(), &((SIZE + (1 << 20)) as u64).into())
    );
    let (planned, resumed) = (planned["present_bytes"].as_u64().unwrap(), find("fetch_resumed"));
    assert_eq!(resumed["path"], "a.gguf");
    let present = resumed["present_bytes"].as_u64().unwrap();
    assert!(present > 1 << 20 && planned.abs_diff(present) <= 2 << 20, "{planned} and {present}");
    let is_first = |event: &serde_json::Value| event["event"] == "fetched" && event["path"] == "a.gguf";
    let first = events.iter().position(is_first).unwrap();
    let (planned, began) = (find("fetch_planned"), find("fetch_started"));
    let place = |event| events.iter().position(|one| one == event).unwrap();
    assert!(place(planned) < place(began) && place(resumed) < first);
}

/// A supervisor sees the signal itself, and a person what is kept.
#[test]
fn a_terminated_transfer_says_how_to_go_on_and_ends_by_the_signal() {
    let (bench, hub, done) = stopped(Signal::TERM);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.signal(), Some(Signal::TERM.as_raw()), "{said}");
    assert!(said.contains("error: terminated\nhint: what has arrived is kept ("), "{said}");
    let sent = hub.bytes_sent("a.gguf");
    assert_eq!(run(&bench, &hub, &["ensure", ID]).status, 0);
    assert!(hub.bytes_sent("a.gguf") - sent < SIZE as u64, "the next one goes on with it");
}

#[test]
#[ignore = "needs tmux; .ci/run installs it"]
fn no_bar_is_left_on_the_terminal_by_the_interrupt_key() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("acme/big").lfs("a.gguf", gguf_of(SIZE, 0)).publish();
    // The hub is so slow that the download lasts until the key comes, on a busy machine too.
    hub.limit_rate(Some(200 << 10));
    let ensure = command(&bench, &hub.endpoint(), &["ensure", ID]);
    let socket = bench.path("tmux");
    let tmux = |args: &[&str]| {
        let done = std::process::Command::new("tmux").arg("-S").arg(&socket).args(args).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    // A shell stays beside it, so that the screen does.
    let set = ensure
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}='{}'", name.to_str()?, value?.to_str()?)));
    let program = ensure.get_program().to_str().unwrap();
    let line = format!("env {} {program} ensure {ID}; cat", set.collect::<Vec<_>>().join(" "));
    tmux(&["new-session", "-d", "-s", "bars", "-x", "60", "-y", "20", &line]);
    let shows = |what: &str| {
        hub.wait_until(Duration::from_secs(30), |_| {
            tmux(&["capture-pane", "-p", "-t", "bars"]).contains(what)
        })
    };
    assert!(shows("% of 8.00 MiB, "), "a bar");
    tmux(&["send-keys", "-t", "bars", "C-c"]);
    assert!(shows("error: interrupted"));
    let screen = tmux(&["capture-pane", "-p", "-t", "bars"]);
    tmux(&["kill-server"]);
    assert!(screen.starts_with("error: interrupted\n"), "{screen}");
}

#[test]
fn gc_without_grace_frees_transfers_and_wrong_files_and_no_model() {
    let (bench, hub, _) = interrupted();
    hub.repo("acme/small").lfs("b.gguf", TINY_GGUF).publish();
    assert_eq!(run(&bench, &hub, &["ensure", "hf:acme/small/b.gguf"]).status, 0);
    let wrong = bench.cache().join("store-v1/quarantine/wrong.1");
    fs_err::create_dir_all(&wrong).unwrap();
    fs_err::write(wrong.join("wrong"), vec![7; 300_000]).unwrap();
    let list = bench.run(&["list"]).stdout;
    assert!(list.contains("\n1 unfinished transfer, ") && list.contains("\n1 quarantined item, "), "{list}");
    let done = bench.json(&["gc", "--grace", "0"]);
    let kinds: Vec<_> = done["leftovers"].as_array().unwrap().iter().map(|left| &left["kind"]).collect();
    assert_eq!(kinds, ["transfer", "quarantined"], "{done}");
    assert!(done["freed_bytes"].as_u64().unwrap() > 1 << 20, "{done}");
    assert_eq!((partials(&bench), wrong.exists()), (0, false));
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 1);
    assert!(!bench.run(&["list"]).stdout.contains("unfinished"));
}

#[test]
fn remove_frees_the_transfer_of_an_id() {
    let (bench, hub, _) = interrupted();
    let removed = bench.run(&["remove", ID]);
    assert_eq!(removed.status, 0, "{}", removed.stderr);
    assert!(removed.stdout.starts_with(&format!("the unfinished transfer of {ID} is removed: freed ")));
    assert_eq!(partials(&bench), 0);
    assert_eq!(bench.run(&["remove", ID]).status, 3, "there is nothing more");
    // Of a model with a record too: here, what another process left of it.
    assert_eq!(run(&bench, &hub, &["ensure", ID]).status, 0);
    let (other, _hub, _) = interrupted();
    let left =
        fs_err::read_dir(other.cache().join("store-v1/partial")).unwrap().next().unwrap().unwrap().path();
    fs_err::rename(&left, bench.cache().join("store-v1/partial").join(left.file_name().unwrap())).unwrap();
    let removed = bench.json(&["remove", ID]);
    assert!(removed["local_path"].is_string() && removed["leftovers"][0]["id"] == ID, "{removed}");
    assert_eq!(partials(&bench), 0);
}

#[test]
fn what_a_live_process_fetches_is_left_alone() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("acme/big").lfs("a.gguf", gguf_of(SIZE, 0)).publish();
    hub.limit_rate(Some(2 << 20));
    let mut child = start(&bench, &hub, &["ensure", ID]);
    assert!(hub.wait_until(Duration::from_secs(60), |hub| hub.bytes_sent("a.gguf") >= 1 << 20));
    assert!(bench.run(&["list"]).stdout.starts_with("1 running transfer, "));
    let done = bench.json(&["gc", "--grace", "0", "--max-size", "0"]);
    assert_eq!(
        (&done["leftovers"], &done["kept_leftovers"][0]["in_use"]),
        (&serde_json::json!([]), &true.into())
    );
    let removed = bench.run(&["remove", ID]);
    assert_eq!(removed.status, 9, "{}", removed.stderr);
    hub.limit_rate(None);
    assert!(child.wait().unwrap().success());
}

#[test]
fn engines_that_ended_leave_no_finding() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    for _ in 0..3 {
        assert_eq!(bench.run(&["run", "a.gguf", "--", "true"]).status, 0);
    }
    let notes = || {
        let all = fs_err::read_dir(bench.cache().join("store-v1/leases")).unwrap();
        all.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count()
    };
    assert_eq!(notes(), 1, "each removes that of the one before");
    let doctor = bench.run(&["doctor"]);
    assert!(doctor.stdout.ends_with("nothing is wrong\n"), "{}", doctor.stdout);
    assert_eq!(bench.run(&["gc"]).status, 0);
    assert_eq!(notes(), 0);
}
