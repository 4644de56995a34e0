//! `gc` frees what no model needs, says so, and leaves a consistent cache when it is killed.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use testkit::{Hub, TINY_GGUF, gguf, tier};

use crate::fixture::{Finished, Fixture, finish};

/// The arguments with which `gc` removes all it may.
const ALL: [&str; 5] = ["gc", "--max-size", "0", "--grace", "0"];

fn command(bench: &Fixture, hub: &Hub, args: &[&str]) -> Command {
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf-home")).env_remove("HF_TOKEN");
    command.args(args);
    command
}

fn run(bench: &Fixture, hub: &Hub, args: &[&str]) -> Finished {
    finish(&mut command(bench, hub, args))
}

fn hub() -> Hub {
    let hub = Hub::start();
    for name in ["a", "b"] {
        let repo = hub.repo(&format!("org/{name}")).lfs("same.gguf", gguf(vec![7; 200_000]));
        repo.lfs("own.gguf", gguf(format!("{name} alone").repeat(20_000))).publish();
    }
    hub
}

fn id(name: &str) -> String {
    format!("hf:org/{name}?include=*")
}

fn fill(bench: &Fixture, hub: &Hub) {
    let done = run(bench, hub, &["ensure", &id("a"), &id("b"), "-q"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
}

/// Lists the names in a folder of the store.
fn names(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn du(bench: &Fixture) -> u64 {
    let store = bench.cache().join("store-v1");
    let done = Command::new("du")
        .args(["-scB1"])
        .args([store.join("blobs"), store.join("models")])
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().last().unwrap().split('\t').next().unwrap().parse().unwrap()
}

#[test]
fn each_choice_is_explained_before_it_is_carried_out() {
    let (bench, hub) = (Fixture::new(), hub());
    bench.file("mine.gguf", TINY_GGUF);
    bench.run(&["ensure", "mine.gguf", "-q"]);
    fill(&bench, &hub);
    let kept = bench.run(&["gc"]);
    assert_eq!(kept.status, 0, "{}", kept.stderr);
    assert!(kept.stdout.contains("hf:org/a?include=*: used "), "{}", kept.stdout);
    assert!(kept.stdout.contains("/mine.gguf: yours: not in the store"), "{}", kept.stdout);
    assert!(kept.stderr.contains("hint: `--max-size SIZE`"), "{}", kept.stderr);
    let short = bench.run(&["gc", "--max-size", "1K"]);
    assert!(short.status == 0 && short.stderr.contains("warning: the limit of 1"), "{}", short.stderr);
    let dry = bench.json(&[&ALL[..], &["--dry-run"]].concat());
    assert_eq!(
        (dry["dry_run"].as_bool(), dry["evicted"].as_array().unwrap().len()),
        (Some(true), 2),
        "{dry}"
    );
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 3, "nothing was done");
    assert!(dry["evicted"][0]["reason"].as_str().unwrap().starts_with("least recently used: 20"), "{dry}");
    assert_eq!(dry["kept"].as_array().unwrap().len(), 1, "{dry}");
    let before = du(&bench);
    let done = bench.json(&ALL);
    assert_eq!((&done["freed_bytes"], &done["evicted"]), (&dry["freed_bytes"], &dry["evicted"]));
    assert_eq!(before - du(&bench), done["freed_bytes"].as_u64().unwrap());
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 1);
    assert!(bench.path("mine.gguf").exists());
    let text = bench.run(&ALL);
    assert!(text.stdout.ends_with("freed 0 B; the store has 0 B\n"), "{}", text.stdout);
    assert_eq!(bench.run(&["gc", "--max-size", "many"]).status, 2);
}

#[test]
fn ids_with_the_same_files_go_together() {
    let (bench, hub) = (Fixture::new(), hub());
    fill(&bench, &hub);
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/a@main?include=*", "-q"]).status, 0);
    let done = bench.json(&ALL);
    let gone = done["evicted"].as_array().unwrap();
    assert_eq!(gone.len(), 3, "{done}");
    let second = gone.iter().find(|gone| gone["id"] == "hf:org/a@main?include=*").unwrap();
    assert_eq!(
        (&second["bytes"], &second["reason"]),
        (&0.into(), &"it has the files of `hf:org/a?include=*`".into())
    );
    let sum: u64 = gone.iter().map(|gone| gone["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, done["freed_bytes"].as_u64().unwrap());
}

#[test]
fn doctor_fits_on_a_screen_and_verify_says_what_helps() {
    let (bench, hub) = (Fixture::new(), hub());
    fill(&bench, &hub);
    let mut doctor = command(&bench, &hub, &["doctor"]);
    let screen = finish(doctor.env("HF_ENDPOINT", "http://user:secret@127.0.0.1:1").env("PATH", "/nowhere"));
    assert_eq!(screen.status, 0, "{}", screen.stderr);
    let names: Vec<_> = screen.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["cache", "space", "models", "locks", "log", "hub", "tools", "policy", "nothing"]);
    assert!(screen.stdout.contains("http://127.0.0.1:1") && screen.stdout.contains("hf: not found"));
    let health = bench.json(&["doctor"]);
    assert_eq!((&health["models"]["active"], &health["locks"]["trusted"]), (&2.into(), &true.into()));
    assert_eq!(health["mode"], "0755");
    let root = PathBuf::from(bench.json(&["show", &id("a")])["local_path"].as_str().unwrap());
    fs_err::remove_file(root.join("own.gguf")).unwrap();
    assert_eq!(bench.run(&["doctor"]).status, 8);
    let mended = bench.run(&["doctor", "--fix"]);
    assert!(mended.status == 0 && mended.stdout.contains("linked again"), "{}", mended.stdout);
    fs_err::set_permissions(root.join("own.gguf"), PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(root.join("own.gguf"), "wrong").unwrap();
    let report = bench.run(&["verify", "--all"]);
    assert_eq!(report.status, 4, "{}", report.stderr);
    assert!(report.stdout.contains("FAIL  hf:org/a") && report.stdout.contains("pass  hf:org/b"));
    assert!(
        report.stderr.contains("hint: `model-provisioner ensure 'hf:org/a?include=*'` fetches it again"),
        "{}",
        report.stderr
    );
    fill(&bench, &hub);
    assert_eq!(bench.run(&["verify", "--all"]).status, 0);
}

/// Returns the ids of the models whose view has a seal.
fn sealed(cache: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![cache.join("store-v1/models")];
    while let Some(folder) = folders.pop() {
        if let Ok(seal) = fs_err::read_to_string(folder.join(".model.json")) {
            let seal: serde_json::Value = serde_json::from_str(&seal).unwrap();
            found.insert(seal["record"]["id"].as_str().unwrap().to_owned());
        }
        let below = names(&folder).into_iter().filter(|path| path.is_dir());
        folders.extend(below.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.')));
    }
    found
}

fn ids(list: &serde_json::Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Fails unless the cache is consistent after a killed removal.
fn is_consistent(bench: &Fixture, hub: &Hub, what: &str) {
    let list = bench.run(&["list", "--json"]);
    assert_eq!((list.status, list.stderr.as_str()), (0, ""), "{what}");
    // A model without its seal does not come back when the catalog is lost.
    let copy = bench.path("copy");
    let _ = fs_err::remove_dir_all(&copy);
    assert!(Command::new("cp").arg("-a").arg(bench.cache()).arg(&copy).status().unwrap().success());
    let _ = fs_err::remove_dir_all(copy.join("catalog-v1"));
    let rebuilt = ids(&bench.json(&["list", "--cache-dir", copy.to_str().unwrap()]));
    assert_eq!(rebuilt, sealed(&bench.cache()), "{what}");
    let listed = ids(&serde_json::from_str(&list.stdout).unwrap());
    assert!(rebuilt.is_subset(&listed), "{what}: {rebuilt:?} comes back, and there was {listed:?}");
    // A caller that wants the model after all gets it, whole.
    let again = finish(command(bench, hub, &["ensure", &id("a"), "--cache-dir"]).arg(&copy));
    assert_eq!(again.status, 0, "{what}: {}", again.stderr);
    let root = Path::new(again.stdout.trim());
    assert_eq!(fs_err::read(root.join("same.gguf")).unwrap(), gguf(vec![7; 200_000]), "{what}");
    // The next `gc` finishes the removal.
    let done = bench.run(&ALL);
    assert_eq!(done.status, 0, "{what}: {}", done.stderr);
    let store = bench.cache().join("store-v1");
    assert_eq!(bench.json(&["list"]), serde_json::json!([]), "{what}");
    assert_eq!(names(&store.join("models")), Vec::<PathBuf>::new(), "{what}");
    let blobs = names(&store.join("blobs/sha256"));
    assert!(blobs.iter().all(|folder| names(folder).is_empty()), "{what}: blobs are left");
}

#[test]
fn killed_at_random_moments() {
    let (hub, mut kills) = (hub(), 0);
    for round in 0..tier(8u64, 200) {
        let bench = Fixture::new();
        fill(&bench, &hub);
        let args = if round % 2 == 0 { ALL.to_vec() } else { vec!["remove", "hf:org/a?include=*"] };
        let mut child =
            bench.command().args(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(2000 + round * 1117 % 12_000));
        child.kill().unwrap();
        kills += usize::from(child.wait().unwrap().code().is_none());
        is_consistent(&bench, &hub, &format!("round {round}: {args:?}"));
    }
    assert!(kills > 0, "each of them had ended before");
}

/// Returns the command under `strace`, with an injection.
fn injected(bench: &Fixture, inject: &str, args: &[&str]) -> Finished {
    let call = inject.split(':').next().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={inject}")]);
    strace.arg(bench.command().get_program()).args(args).current_dir(bench.path(""));
    strace.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
    finish(&mut strace)
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn killed_at_every_system_call_of_a_removal() {
    let hub = hub();
    for args in [ALL.to_vec(), vec!["remove", "hf:org/a?include=*"]] {
        let mut kills = 0;
        let mut calls = vec![
            "rename,renameat,renameat2",
            "fsync,fdatasync",
            "unlink,unlinkat,rmdir",
            "mkdir",
            "flock",
            "write",
        ];
        if tier(false, true) {
            calls.extend(["?open,openat", "ftruncate", "utimensat", "getdents64", "statx"]);
        }
        for call in calls {
            for count in 1..tier(80, 400) {
                let bench = Fixture::new();
                fill(&bench, &hub);
                let done = injected(&bench, &format!("{call}:signal=KILL:when={count}"), &args);
                is_consistent(&bench, &hub, &format!("{args:?}, {call} number {count}"));
                if done.status == 0 {
                    break;
                }
                kills += 1;
            }
        }
        assert!(kills > 12, "{args:?} was killed only {kills} times");
    }
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn nothing_is_taken_away_where_locks_lie() {
    let (bench, hub) = (Fixture::new(), hub());
    fill(&bench, &hub);
    for inject in ["flock:retval=0", "flock:error=ENOLCK"] {
        for args in [&ALL[..], &["gc", "--dry-run"], &["remove", "hf:org/a?include=*"]] {
            let done = injected(&bench, inject, &[args, &["--json"]].concat());
            assert_eq!(done.status, 8, "{inject}, {args:?}: {}", done.stderr);
            let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
            assert_eq!(document["error"]["code"], "untrusted-locks", "{document}");
        }
    }
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 2);
}
