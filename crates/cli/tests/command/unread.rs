//! A file that the disk does not give is no verdict: the exit status is that of the storage, and the model stays.

use std::{path::PathBuf, process::Command};

use testkit::{Hub, gguf_of};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

const IDS: [&str; 2] = ["hf:org/repo?include=*", "hf:org/repo/b.gguf"];

/// Makes a cache with two models, and returns the files of their views.
fn fetched() -> (Fixture, Vec<PathBuf>) {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/repo").file("config.json", "{}").lfs("a.gguf", gguf_of(9_000, 1));
    repo.lfs("b.gguf", gguf_of(9_000, 2)).publish();
    let done = hub::run(&bench, &hub, &["ensure", IDS[0], IDS[1]]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let models = bench.cache().join("store-v1/models");
    let views = bench.cache_files().into_iter().filter(|path| path.starts_with(&models)).collect();
    (bench, views)
}

/// Fails where a record or the log says that a model failed.
#[track_caller]
fn is_as_before(bench: &Fixture, views: &[PathBuf], what: &str) {
    assert!(views.iter().all(|path| path.exists()), "{what}");
    assert!(!bench.cache().join("store-v1/quarantine").exists(), "{what}");
    let log = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    assert!(!log.contains("\"fail\""), "{what}: {log}");
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn whatever_call_on_a_model_fails_condemns_nothing() {
    let (bench, views) = fetched();
    for path in views.iter().filter(|path| !path.ends_with(".model.json")) {
        for (call, errors) in
            [("open,openat", &["EMFILE", "ENOMEM", "EACCES", "ENOSPC"][..]), ("read,pread64", &["EIO"])]
        {
            for error in errors {
                let mut has_fired = false;
                for count in 1.. {
                    let (plain, log) = (bench.command(), bench.path("strace.log"));
                    let inject = format!("inject={call}:error={error}:when={count}");
                    let mut strace = Command::new("strace");
                    strace
                        .args(["-f", "-qq", "-e", &format!("trace={call}"), "-e", &inject])
                        .arg("-o")
                        .arg(&log);
                    strace.arg("-P").arg(path).arg(plain.get_program()).args(["verify", "--all"]);
                    strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                    let Finished { status, stderr, .. } = finish(strace.current_dir(bench.path("")));
                    let what = format!("{} {call} {error} {count}: {stderr}", path.display());
                    is_as_before(&bench, &views, &what);
                    if !fs_err::read_to_string(&log).unwrap().contains("(INJECTED)") {
                        assert_eq!(status, 0, "{what}");
                        break;
                    }
                    has_fired = true;
                    assert!([0, 8].contains(&status), "{status}: {what}");
                }
                assert!(has_fired, "{} {call} {error}", path.display());
            }
        }
    }
}
