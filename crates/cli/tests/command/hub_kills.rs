//! A `kill -9` in the middle of a download loses no byte that arrived, leaves nothing half-made, and makes the next call
//! fetch again only what was in flight.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testkit::{Hub, gguf, gguf_of};

use crate::{
    fixture::{Fixture, finish},
    hub::{command, is_clean, run, start},
};

const ID: &str = "hf:org/repo/a.gguf";

/// Large enough that a kill finds something to cut off.
const SIZE: usize = 48 << 20;

/// The most bytes in flight when the test kills a process, and what the sockets of hub and client hold beside them.
const IN_FLIGHT: u64 = (32 + 8) << 20;

fn weights() -> Vec<u8> {
    gguf_of(SIZE, 0)
}

/// Makes a hub with the weights, and a cache in which a kill ended a download of them after so many percent.
fn killed_after(weights: &[u8], percent: usize) -> (Fixture, Hub) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", weights.to_vec()).publish();
    hub.limit_rate(Some(30 << 20));
    let mut child = start(&bench, &hub, &["ensure", ID]);
    let enough = (SIZE / 100 * percent) as u64;
    let came = hub.wait_until(Duration::from_secs(60), |hub| hub.bytes_sent("a.gguf") >= enough);
    assert!(came, "{percent} %");
    child.kill().unwrap();
    child.wait().unwrap();
    hub.limit_rate(None);
    (bench, hub)
}

/// Makes the next run, which has to succeed, and returns how many bytes it fetched.
#[track_caller]
fn next_run(bench: &Fixture, hub: &Hub, id: &str, weights: &[u8]) -> u64 {
    hub.reset_counts();
    let done = run(bench, hub, &["ensure", id]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let path = Path::new(done.stdout.trim());
    let path = if path.is_dir() { path.join("a.gguf") } else { path.to_owned() };
    assert!(fs_err::read(path).unwrap() == weights, "the bytes are others");
    is_clean(bench);
    all_sent(hub)
}

fn all_sent(hub: &Hub) -> u64 {
    ["a.gguf", "config.json"].iter().map(|path| hub.bytes_sent(path)).sum()
}

#[test]
fn a_kill_costs_no_more_than_what_was_in_flight() {
    let weights = weights();
    for percent in [10, 50, 99, 100] {
        let (bench, hub) = killed_after(&weights, percent);
        let before = hub.bytes_sent("a.gguf");
        let again = before + next_run(&bench, &hub, ID, &weights);
        assert!(again <= SIZE as u64 + IN_FLIGHT, "{percent} %: {again} bytes in all");
    }
}

/// Returns the path of the journal of the only partial.
fn journal(bench: &Fixture) -> PathBuf {
    let partials = fs_err::read_dir(bench.cache().join("store-v1/partial")).unwrap();
    let folders: Vec<_> = partials.map(|entry| entry.unwrap().path()).collect();
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    folder.join("journal")
}

#[test]
fn after_another_boot_only_what_was_synced_counts() {
    let weights = weights();
    for synced in [0, 4] {
        let (bench, hub) = killed_after(&weights, 60);
        let journal = journal(&bench);
        let text = fs_err::read_to_string(&journal).unwrap();
        let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(text.contains(boot.trim()), "{text}");
        // A power loss leaves the journal, and zeros where bytes had not reached the disk.
        let mut data = vec![0; SIZE];
        let mut kept = 0;
        for line in text.lines().filter(|line| line.starts_with("done ")).take(synced) {
            let bounds: Vec<usize> = line.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
            data[bounds[0]..bounds[1]].copy_from_slice(&weights[bounds[0]..bounds[1]]);
            kept += bounds[1] - bounds[0];
        }
        assert!((kept > 0) == (synced > 0), "{text}");
        fs_err::write(journal.with_file_name("data"), data).unwrap();
        let other = text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
        fs_err::write(&journal, format!("{other}synced {synced}\n")).unwrap();
        assert_eq!(next_run(&bench, &hub, ID, &weights), (SIZE - kept) as u64, "{synced} synced");
    }
}

/// Runs `ensure` under `strace`, which kills it at the call of that number: of all calls, or of those about a place in
/// the cache. `strace` counts each thread by itself, so numbers alone do not reach every call; places do.
fn killed_at(bench: &Fixture, hub: &Hub, id: &str, calls: &str, place: Option<&Path>, count: usize) -> bool {
    let plain = command(bench, &hub.endpoint(), &["ensure", id]);
    let mut strace = Command::new("strace");
    let inject = format!("inject={calls}:signal=KILL:when={count}");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
    if let Some(place) = place {
        strace.arg("-P").arg(bench.cache().join(place));
    }
    strace.arg(plain.get_program()).args(plain.get_args()).current_dir(bench.path(""));
    strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    finish(&mut strace).status != 0
}

/// More calls of one kind than the command makes.
const MOST: usize = 60;

/// Lists every file and folder that a whole run leaves in the cache.
fn places(bench: &Fixture) -> BTreeSet<PathBuf> {
    let files = bench.cache_files().into_iter();
    let below = |path: &Path| path.strip_prefix(bench.cache()).unwrap().to_owned();
    files.flat_map(|path| below(&path).ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn nothing_comes_again_once_the_last_byte_has_arrived() {
    let (hub, weights, config) = (Hub::start(), gguf_of(3 << 20, 7), " {}\n".repeat(1000));
    let size = (weights.len() + config.len()) as u64;
    // The hub lists the one by its SHA-256, and the other by git's id.
    hub.repo("org/repo").lfs("a.gguf", weights.clone()).file("config.json", config).publish();
    let (whole, id) = (Fixture::new(), "hf:org/repo?include=*");
    assert_eq!(next_run(&whole, &hub, id, &weights), size);
    let places = places(&whole);
    let calls = "rename,renameat,renameat2,link,linkat,fsync,fdatasync,utimensat,chmod,fchmod,fchmodat,mkdir,\
                 write,pwrite64,openat,flock,ftruncate,unlink,unlinkat";
    let (mut late, mut committed) = (0, 0);
    for place in &places {
        for count in 1..MOST {
            let (bench, what) = (Fixture::new(), format!("{} {count}", place.display()));
            hub.reset_counts();
            let is_killed = killed_at(&bench, &hub, id, calls, Some(place), count);
            let had_all = all_sent(&hub) == size;
            let is_committed = bench.cache().join(place_of_view(&places)).exists();
            let is_catalogued = run(&bench, &hub, &["show", id]).status == 0;
            assert!(is_committed || !is_catalogued, "{what}: in the catalog before it is there");
            let again = next_run(&bench, &hub, id, &weights);
            if !is_killed {
                break;
            }
            if had_all {
                assert_eq!(again, 0, "{what}: bytes came again");
                late += 1;
            }
            committed += usize::from(is_committed && !is_catalogued);
        }
    }
    assert!(late >= 15, "{late} kills after the last byte");
    assert!(committed > 2, "{committed} kills between commit and catalog");
}

/// Returns the place of the seal, which has no name before its whole view has one.
fn place_of_view(places: &BTreeSet<PathBuf>) -> &Path {
    places.iter().find(|place| place.ends_with(".model.json")).unwrap()
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn killed_at_every_system_call_of_the_store() {
    let (hub, id) = (Hub::start(), "hf:org/repo?include=*");
    hub.repo("org/repo").lfs("a.gguf", gguf("some weights")).file("config.json", "{}").publish();
    for call in [
        "rename,renameat,renameat2",
        "fsync,fdatasync",
        "link,linkat",
        "mkdir",
        "chmod,fchmod,fchmodat",
        "unlink,unlinkat,rmdir",
        "flock",
        "ftruncate",
        "utimensat",
        "pwrite64,write",
        "openat",
    ] {
        let (bench, mut kills) = (Fixture::new(), 0);
        for count in 1..MOST {
            let is_killed = killed_at(&bench, &hub, id, call, None, count);
            let list = bench.run(&["list", "--json"]);
            assert_eq!(list.status, 0, "{call} {count}: {}", list.stderr);
            let done = run(&bench, &hub, &["ensure", id]);
            assert_eq!(done.status, 0, "{call} {count}: {}", done.stderr);
            let weights = fs_err::read(Path::new(done.stdout.trim()).join("a.gguf")).unwrap();
            assert_eq!(weights, gguf("some weights"), "{call} {count}");
            is_clean(&bench);
            if !is_killed {
                break;
            }
            kills += 1;
            assert_eq!(run(&bench, &hub, &["remove", id]).status, 0);
        }
        assert!(kills > 0, "{call} never killed");
    }
}
