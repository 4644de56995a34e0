//! The command makes things durable in the right order, as `strace` shows.
//!
//! The command syncs a file before it gives the file a name that promises something. It syncs a folder in which such a
//! name came or went before the next promise rests on it, and before the command ends. The tests of `power` see what a
//! loss of power then leaves on real file systems.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Hub, gguf, gguf_of};

use crate::{
    fixture::{Fixture, finish},
    hub::{command, run},
};

/// The calls that make, name, write and sync.
const CALLS: &str = "?open,openat,?creat,write,pwrite64,writev,pwritev,copy_file_range,sendfile,ftruncate,fsync,fdatasync,\
                     ?rename,?renameat,renameat2,?link,linkat,?unlink,unlinkat,?mkdir,mkdirat";

/// A call that succeeded, between two lines of the trace.
#[derive(Debug)]
struct Call {
    name: String,
    /// The paths in quotes and behind descriptors, in order.
    paths: Vec<PathBuf>,
    /// The whole line.
    text: String,
    start: usize,
    end: usize,
}

/// Reads the calls of a trace, in the order in which they ended.
fn calls(trace: &str, at: &Path) -> Vec<Call> {
    let mut begun: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, (number, head.to_owned()));
            continue;
        }
        let (start, text) = match rest.split_once(" resumed>") {
            Some((_, tail)) if rest.starts_with("<... ") => {
                let Some((start, head)) = begun.remove(pid) else { continue };
                (start, head + tail)
            }
            _ => (number, rest.to_owned()),
        };
        let Some((name, _)) = text.split_once('(') else { continue };
        let Some((_, result)) = text.rsplit_once(" = ") else { continue };
        if !result.starts_with('-') && !name.contains(' ') {
            calls.push(Call { name: name.to_owned(), paths: paths(&text, at), start, end: number, text });
        }
    }
    calls
}

/// Reads the paths that a call names. A name after a folder's descriptor is below that folder.
fn paths(call: &str, at: &Path) -> Vec<PathBuf> {
    let (mut paths, mut base) = (Vec::new(), at.to_owned());
    let args = call.rsplit_once(" = ").map_or(call, |(args, _)| args);
    let mut rest = args;
    while let Some(found) = rest.find(['<', '"']) {
        let is_name = rest.as_bytes()[found] == b'"';
        let inside = &rest[found + 1..];
        let Some(end) = inside.find(if is_name { '"' } else { '>' }) else { break };
        if is_name {
            paths.push(base.join(&inside[..end]));
        } else {
            base = PathBuf::from(&inside[..end]);
            paths.push(base.clone());
        }
        rest = &inside[end + 1..];
    }
    // Of `openat(AT_FDCWD</folder>, "name")` only the name is meant.
    let is_at = args.starts_with("openat") || args.contains("at(") || args.starts_with("renameat2");
    if is_at && paths.len() > 1 && args.contains('"') {
        let named: Vec<_> = paths.iter().enumerate().filter(|(index, _)| index % 2 == 1).collect();
        return named.into_iter().map(|(_, path)| path.clone()).collect();
    }
    paths
}

/// Tracks what of a trace is durable, and what is not yet.
struct Disk<'a> {
    bench: &'a Fixture,
    /// The files whose bytes are on the disk.
    synced: BTreeSet<PathBuf>,
    /// The time of the last write to each file.
    written: BTreeMap<PathBuf, usize>,
    /// The folders whose names are not on the disk yet, and since when.
    pending: BTreeMap<PathBuf, usize>,
    /// The number of names of each kind that the command gave.
    promised: BTreeMap<&'static str, usize>,
}

impl Disk<'_> {
    /// Returns what a name promises, where it promises anything.
    fn promise(&self, path: &Path) -> Option<&'static str> {
        let name = path.file_name()?.to_str()?;
        let is_going = path.iter().any(|part| part.as_encoded_bytes().starts_with(b".gone."));
        let is_hidden = name.starts_with('.') && ![".model.json", ".removed.json"].contains(&name);
        if is_going || is_hidden || path.extension().is_some_and(|ending| ending == "stamp") {
            return None;
        }
        let below = |place: &str| path.starts_with(self.bench.path(place));
        if below("cache/store-v1/blobs") {
            Some("blob")
        } else if below("cache/store-v1/models") {
            Some("view")
        } else if below("cache/store-v1/partial") && path.iter().rev().skip(1).any(|part| part == "view") {
            Some("view that is being built")
        } else if below("cache/catalog-v1") {
            Some("record")
        } else if below("out") {
            Some("handoff or export")
        } else {
            None
        }
    }

    fn is_durable(&self, what: &str) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(format!("{what}: not synced yet: {:?}", self.pending.keys().collect::<Vec<_>>()))
    }

    /// Checks a call when it begins: nothing that it rests on may be pending.
    fn before(&self, call: &Call) -> Result<(), String> {
        let is_naming = call.name.starts_with("rename") || call.name.starts_with("unlink");
        let Some(to) = call.paths.last().filter(|_| is_naming) else { return Ok(()) };
        // A view goes to its place whole; a record, a handoff and an export say that all before it is there.
        let rests_on_all = match self.promise(to) {
            Some("view" | "record") => true,
            Some("handoff or export") => to.parent() == Some(&self.bench.path("out")),
            _ => false,
        };
        if rests_on_all { self.is_durable(&call.text) } else { Ok(()) }
    }

    /// Notes what a call did.
    fn after(&mut self, call: &Call) -> Result<(), String> {
        let name = call.name.trim_end_matches("at2").trim_end_matches("at");
        match name {
            "fsync" | "fdatasync" => {
                let path = &call.paths[0];
                if self.written.get(path).is_none_or(|written| *written < call.start) {
                    self.synced.insert(path.clone());
                }
                if self.pending.get(path).is_some_and(|since| *since < call.start) {
                    self.pending.remove(path);
                }
            }
            "open" | "creat" if call.text.contains("O_CREAT") || call.text.contains("O_TRUNC") => {
                self.synced.remove(&call.paths[0]);
            }
            "write" | "pwrite64" | "writev" | "pwritev" | "copy_file_range" | "sendfile" | "ftruncate" => {
                let to = if name == "copy_file_range" { call.paths.last() } else { call.paths.first() };
                if let Some(path) = to.filter(|path| path.is_absolute()) {
                    self.synced.remove(path);
                    self.written.insert(path.clone(), call.end);
                }
            }
            "mkdir" => self.named(&call.paths[0], call.end),
            // A freed file may come back after a loss of power; a removed record may not.
            "unlink" if self.promise(&call.paths[0]) == Some("record") => {
                self.named(&call.paths[0], call.end);
            }
            "rename" | "link" => {
                let (from, to) = (&call.paths[0], &call.paths[1]);
                self.has_its_bytes(call, from, to)?;
                self.named(to, call.end);
                if self.synced.contains(from) {
                    self.synced.insert(to.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails unless the command synced a file before it gave it a name that promises something, or the file had such a
    /// name.
    fn has_its_bytes(&self, call: &Call, from: &Path, to: &Path) -> Result<(), String> {
        let Some(promise) = self.promise(to) else { return Ok(()) };
        // With a folder, all that was written into it gets its name.
        let mut inside = self.written.keys().filter(|path| path.starts_with(from) && *path != from);
        if let Some(path) = inside.find(|path| !self.synced.contains(*path)) {
            return Err(format!("{promise}: `{}` is not synced: {}", path.display(), call.text));
        }
        let is_file = to.is_file() || !to.exists() && from.extension().is_some();
        let had_it = self.promise(from).is_some_and(|before| before != "view that is being built");
        if !is_file || had_it || self.synced.contains(from) {
            return Ok(());
        }
        Err(format!("{promise}: the file is not synced when it gets its name: {}", call.text))
    }

    fn named(&mut self, path: &Path, at: usize) {
        if let Some(promise) = self.promise(path) {
            *self.promised.entry(promise).or_default() += 1;
            self.pending.insert(path.parent().unwrap().to_owned(), at);
        }
    }
}

/// Runs a command that has to succeed, and checks each of its calls. Returns what it promised, and how often.
#[track_caller]
fn is_durable(bench: &Fixture, command: &Command) -> BTreeMap<&'static str, usize> {
    let trace = traced(bench, command);
    let mut disk = Disk {
        bench,
        synced: BTreeSet::new(),
        written: BTreeMap::new(),
        pending: BTreeMap::new(),
        promised: BTreeMap::new(),
    };
    let calls = calls(&trace, &bench.path(""));
    let what = command.get_args().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
    // A call begins at its first line, and has done its work at its last one.
    let mut moments: Vec<_> =
        calls.iter().flat_map(|call| [(call.start, false, call), (call.end, true, call)]).collect();
    moments.sort_by_key(|(line, is_end, _)| (*line, *is_end));
    for (_, is_end, call) in moments {
        let seen = if is_end { disk.after(call) } else { disk.before(call) };
        seen.unwrap_or_else(|fault| panic!("{what}: {fault}"));
    }
    disk.is_durable("the end").unwrap_or_else(|fault| panic!("{what}: {fault}"));
    disk.promised
}

fn traced(bench: &Fixture, command: &Command) -> String {
    let log = bench.path("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-s", "32", "-e", &format!("trace={CALLS}"), "-e", "signal=none", "-o"]);
    strace.arg(&log).arg(command.get_program()).args(command.get_args()).current_dir(bench.path(""));
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = finish(&mut strace);
    assert_eq!(done.status, 0, "{}", done.stderr);
    fs_err::read_to_string(log).unwrap()
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn every_promise_is_durable_before_the_next_one_and_before_the_end() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let publish = |text: &str| {
        let repo = hub.repo("org/repo").lfs("a.gguf", gguf(text)).file("config.json", "{}");
        repo.lfs("sub/b.gguf", gguf("the same")).publish();
    };
    publish("old");
    let id = "hf:org/repo?include=*";
    fs_err::create_dir(bench.path("out")).unwrap();
    let check = |args: &[&str], expected: &[(&'static str, usize)]| {
        let promised = is_durable(&bench, &command(&bench, &hub.endpoint(), args));
        for (what, least) in expected {
            let count = promised.get(what).copied().unwrap_or_default();
            assert!(count >= *least, "{args:?}: {count} of {what}: {promised:?}");
        }
    };
    check(&["ensure", id], &[("blob", 3), ("view that is being built", 4), ("view", 1), ("record", 1)]);
    bench.file("model.yaml", format!("model_ref: '{id}'\npolicy: {{ network: allow }}\n"));
    check(
        &["provision", "--config", "model.yaml", "--handoff", "out/engine.json"],
        &[("handoff or export", 1)],
    );
    check(&["retire", id], &[("record", 1)]);
    check(&["activate", id], &[("record", 1)]);
    publish("new");
    check(&["ensure", id, "--refresh"], &[("blob", 1), ("view", 1), ("record", 2)]);
    check(&["export", id, "out/carried"], &[("handoff or export", 4)]);
    check(&["remove", id], &[("view", 1), ("record", 1)]);
    check(&["import", "out/carried"], &[("view", 1), ("record", 1)]);
    check(&["gc", "--max-size", "0", "--grace", "0"], &[("view", 1), ("record", 1)]);
    bench.file("plain.gguf", gguf("plain"));
    for mode in ["link", "copy"] {
        let import = ["import", "plain.gguf", "--id", "hf:org/plain/plain.gguf", "--adopt", mode];
        check(&import, &[("blob", 1), ("view", 1), ("record", 1)]);
        check(&["remove", "hf:org/plain/plain.gguf"], &[("record", 1)]);
    }
    bench.file("mine.gguf", gguf("mine"));
    check(&["ensure", "mine.gguf", "--handoff", "out/mine.json"], &[("record", 1), ("handoff or export", 1)]);
    assert_eq!(run(&bench, &hub, &["verify", "--all"]).status, 0);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn the_bytes_of_a_transfer_are_on_the_disk_before_its_journal_says_so() {
    // Longer than what is written between two syncs.
    let size = 260 << 20;
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", gguf_of(size, 3)).publish();
    let trace = traced(&bench, &command(&bench, &hub.endpoint(), &["ensure", "hf:org/repo/a.gguf"]));
    let (mut data_synced, mut said, mut said_durably) = (0, 0, 0);
    for call in calls(&trace, &bench.path("")) {
        let is_on = |name: &str| call.paths.first().is_some_and(|path| path.ends_with(name));
        let is_sync = call.name == "fsync" || call.name == "fdatasync";
        if is_sync && is_on("data") {
            data_synced += 1;
        } else if is_on("journal") && call.text.contains("\"synced ") {
            said += 1;
            assert!(data_synced >= said, "the journal says so before the disk has it: {}", call.text);
        } else if is_sync && is_on("journal") {
            said_durably = said;
        }
    }
    assert!(said > 0, "a transfer of {size} bytes is never synced");
    assert_eq!(said_durably, said, "what the journal says is not on the disk");
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn one_sync_serves_the_folders_of_many_blobs() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/repo").lfs("a.gguf", gguf("weights"));
    (0..64).fold(repo, |repo, n| repo.file(&format!("{n}.json"), n.to_string())).publish();
    let trace = traced(&bench, &command(&bench, &hub.endpoint(), &["ensure", "hf:org/repo?include=*"]));
    let blobs = bench.path("cache/store-v1/blobs/sha256");
    let calls = calls(&trace, &bench.path(""));
    let is_made = |call: &&Call| call.name.starts_with("mkdir") && call.paths[0].parent() == Some(&blobs);
    let is_synced = |call: &&Call| call.name == "fsync" && call.paths.first() == Some(&blobs);
    assert!(calls.iter().filter(is_made).count() > 8, "their SHA-256 begin in many ways");
    assert_eq!(calls.iter().filter(is_synced).count(), 1);
}
