//! Each cause has its exit status and its code.

use std::{
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    process::Command,
};
use testkit::{FakeModel, TINY_GGUF};

use crate::fixture::{Finished, Fixture, finish};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Runs the command twice, for people and for programs, and compares what each reads.
#[track_caller]
fn check(bench: &Fixture, args: &[&str], status: i32, code: &str) -> Finished {
    let done = bench.run(args);
    assert_eq!(done.status, status, "{args:?}: {}", done.stderr);
    assert!(done.stderr.contains("error: "), "{}", done.stderr);
    assert_eq!(done.stdout, "", "a failure prints no result");
    let json = bench.run(&[args, &["--json"]].concat());
    assert_eq!(json.status, status);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["error"]["code"], code, "{document}");
    assert!(document["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert!(document["error"]["retriable"].is_boolean());
    bench.has_no_temporary_files();
    done
}

#[test]
fn usage() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    check(&bench, &["ensure", "a.gguf", "--no-such-option"], 2, "invalid-usage");
    check(&bench, &["no-such-command"], 2, "invalid-usage");
    check(&bench, &["ensure"], 2, "invalid-usage");
    check(&bench, &["ensure", "a.gguf", "--sha256", "abc"], 2, "invalid-digest");
    check(&bench, &["ensure", "a.gguf", "--digest", &format!("md5:{HEX}")], 2, "unsupported-digest");
    check(&bench, &["ensure", "a.gguf", "--digest", HEX], 2, "invalid-digest");
    check(&bench, &["ensure", "C:\\a.gguf"], 2, "invalid-reference");
    check(&bench, &["ensure", "a\nb"], 2, "invalid-reference");
    check(&bench, &["ensure", ""], 2, "invalid-reference");
    check(&bench, &["ensure", "s3://bucket/a"], 2, "unsupported-scheme");
    check(&bench, &["ensure", "a.gguf", "--revision", "main"], 2, "invalid-usage");
    check(&bench, &["ensure", "hf:org/repo/a.gguf", "--include", "*.json"], 2, "invalid-reference");
    check(&bench, &["ensure", "a.gguf", "--limit-rate", "fast"], 2, "invalid-usage");
    check(&bench, &["ensure", "a.gguf", "b.gguf", "--sha256", HEX], 2, "invalid-usage");
    check(&bench, &["ensure", "a.gguf", "--wait", "soon"], 2, "invalid-usage");
    assert_eq!(bench.run(&["ensure", "a.gguf", "--wait", "18446744073709551615"]).status, 0);
    check(&bench, &["ensure", "/dev/null"], 2, "not-a-file");
    check(&bench, &["ensure", "a.gguf", "--handoff", "a.gguf"], 2, "handoff-in-the-way");
    let latin = finish(bench.command().arg("ensure").arg(std::ffi::OsStr::from_bytes(b"m\xf6del.gguf")));
    assert_eq!(latin.status, 2);
    assert!(latin.stderr.contains("not valid UTF-8"), "{}", latin.stderr);
}

#[test]
fn a_digest_of_a_set() {
    let bench = Fixture::new();
    bench.file("repo/a", "");
    let done = check(&bench, &["ensure", "repo", "--sha256", HEX], 2, "digest-needs-one-file");
    assert!(
        done.stderr.contains("sha256-tree:") && done.stderr.contains(&format!("{HEX}  a")),
        "{}",
        done.stderr
    );
}

#[test]
fn configs() {
    let bench = Fixture::new();
    let config = |text: &str, status: i32, code: &str| {
        bench.file("model.yaml", text);
        check(&bench, &["provision", "--config", "model.yaml"], status, code)
    };
    let unknown = config("model_ref: a\nstrict: true\n", 2, "invalid-config");
    assert!(
        unknown.stderr.contains("line 2") && unknown.stderr.contains("did you mean"),
        "{}",
        unknown.stderr
    );
    config("model_ref: [", 2, "invalid-config");
    config("{\"model_ref\": \"a.gg", 2, "invalid-config");
    config("model_ref: absent.gguf\n", 3, "not-found");
    check(&bench, &["provision", "--config", "absent.yaml"], 3, "not-found");
    assert!(!bench.path(".runtime").exists());
}

#[test]
fn not_found() {
    let bench = Fixture::new();
    fs_err::create_dir(bench.path("empty")).unwrap();
    bench.file("x-00001-of-00002.gguf", TINY_GGUF);
    check(&bench, &["ensure", "absent.gguf"], 3, "not-found");
    check(&bench, &["ensure", "empty"], 3, "empty-folder");
    let shard = check(&bench, &["ensure", "x-00001-of-00002.gguf"], 3, "missing-shard");
    assert!(shard.stderr.contains("x-00002-of-00002.gguf"));
    for command in ["show", "retire", "activate", "remove"] {
        check(&bench, &[command, "absent.gguf"], 3, "not-in-catalog");
    }
    assert_eq!(bench.run(&["verify", "absent.gguf"]).status, 3);
}

#[test]
fn verification() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let mismatch = check(&bench, &["ensure", "a.gguf", "--sha256", HEX], 4, "digest-mismatch");
    assert!(mismatch.stderr.contains(HEX));
    let unproven = check(&bench, &["ensure", "a.gguf", "--strict"], 4, "unproven");
    assert!(
        unproven.stderr.contains("hint: ") && unproven.stderr.contains("--sha256 "),
        "{}",
        unproven.stderr
    );
    assert_eq!(bench.run(&["ensure", "a.gguf"]).status, 0);
    assert_eq!(bench.run(&["verify", "C:x", "a.gguf"]).status, 2, "the others are verified all the same");
    bench.file("a.gguf", "GGUX");
    let report = bench.run(&["verify", "--all"]);
    assert_eq!(report.status, 4);
    assert!(report.stdout.starts_with("FAIL  local:"), "{}", report.stdout);
    assert!(report.stderr.contains("hint: its files are yours"), "{}", report.stderr);
    fs_err::remove_file(bench.path("a.gguf")).unwrap();
    let absent = bench.run(&["verify", "--all"]);
    assert!(
        absent.status == 3 && absent.stderr.contains("`model-provisioner remove local:/"),
        "{}",
        absent.stderr
    );
    let unknown = bench.run(&["verify", "never.gguf"]);
    assert!(unknown.status == 3 && unknown.stderr.contains("hint: "), "{}", unknown.stderr);
    bench.file("a.gguf", "GGUX");
    let whole = FakeModel::gguf().to_bytes();
    bench.file("cut.gguf", &whole[..whole.len() - 100]);
    let cut = check(&bench, &["ensure", "cut.gguf"], 4, "rejected");
    assert!(cut.stderr.contains("structure: `cut.gguf`: "), "{}", cut.stderr);
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 1, "it is not registered");
}

#[test]
fn denied() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    bench.file("m.pkl", "x");
    bench.run(&["ensure", "a.gguf"]);
    bench.run(&["retire", "a.gguf"]);
    check(&bench, &["ensure", "a.gguf"], 5, "retired");
    check(&bench, &["ensure", "m.pkl"], 5, "refused-format");
    let offline = check(&bench, &["ensure", "hf:org/repo/a.gguf", "--offline"], 5, "offline");
    assert!(offline.stderr.contains("`model-provisioner ensure hf:org/repo/a.gguf`"), "{}", offline.stderr);
    bench.file("model.yaml", "model_ref: a.gguf\npolicy: { schemes: [hf] }\n");
    check(&bench, &["provision", "--config", "model.yaml"], 5, "denied");
}

#[test]
fn storage() {
    let bench = Fixture::new();
    let file = bench.file("a.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "a.gguf"]).status, 0);
    let record = bench.records().remove(0);
    let whole = fs_err::read_to_string(&record).unwrap();
    fs_err::write(&record, &whole[..whole.len() / 2]).unwrap();
    let damaged = check(&bench, &["ensure", "a.gguf"], 8, "damaged-record");
    assert!(damaged.stderr.contains("doctor --fix"), "{}", damaged.stderr);
    bench.file("b.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "b.gguf"]).status, 0, "one damaged record hurts one model");
    let list = bench.run(&["list"]);
    assert!(
        list.status == 0 && list.stdout.contains("b.gguf") && list.stderr.contains("damaged"),
        "{}",
        list.stderr
    );
    fs_err::write(&record, whole.replace("\"schema_version\": 1", "\"schema_version\": 999")).unwrap();
    let newer = check(&bench, &["show", "a.gguf"], 8, "newer-record");
    assert!(newer.stderr.contains("schema 999") && newer.stderr.contains("schema 1"), "{}", newer.stderr);
    assert_eq!(bench.run(&["doctor"]).status, 8);
    let verify = bench.run(&["verify", "--all"]);
    assert!(verify.status == 8 && verify.stdout.contains("b.gguf"), "{}", verify.stdout);
    fs_err::write(&record, "{").unwrap();
    assert_eq!(bench.run(&["doctor", "--fix"]).status, 0);
    assert_eq!(bench.run(&["ensure", file.to_str().unwrap()]).status, 0);
    check(&bench, &["--cache-dir", file.to_str().unwrap(), "list"], 8, "unsafe-cache");
    bench.file("model.yaml", "model_ref: a.gguf\nhandoff: a.gguf/below/a/file.json\n");
    check(&bench, &["provision", "--config", "model.yaml"], 8, "storage-failed");
}

#[test]
fn unreadable_files() {
    let bench = Fixture::new();
    let file = bench.file("a.gguf", TINY_GGUF);
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    fs_err::create_dir(bench.path("open")).unwrap();
    fs_err::set_permissions(bench.path("open"), PermissionsExt::from_mode(0o777)).unwrap();
    let done = finish(bench.unprivileged().args(["ensure", "a.gguf", "--json", "--cache-dir", "open"]));
    assert_eq!(done.status, 8, "{}", done.stderr);
    assert!(done.stdout.contains("permission-denied"), "{}", done.stdout);
}

#[test]
fn a_read_only_cache_serves_what_it_has() {
    let bench = Fixture::new();
    // The file is new, so the next call judges the model again.
    bench.file("a.bin", "");
    bench.file("b.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "a.bin", "--sha256", HEX]).status, 0);
    for path in bench.cache_files() {
        fs_err::set_permissions(path, PermissionsExt::from_mode(0o444)).unwrap();
    }
    let mut folders = vec![bench.cache()];
    while let Some(folder) = folders.pop() {
        fs_err::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
        folders.extend(
            fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()),
        );
    }
    for expected in [vec![], vec!["--sha256", HEX, "--strict"]] {
        let done = finish(bench.unprivileged().args(["ensure", "a.bin"]).args(expected));
        assert_eq!(
            (done.status, done.stdout.trim()),
            (0, bench.path("a.bin").to_str().unwrap()),
            "{}",
            done.stderr
        );
    }
    let doctor = finish(bench.unprivileged().args(["doctor"]));
    assert!(doctor.stdout.contains("not writable here: present models are served"), "{}", doctor.stdout);
    assert_eq!(bench.json(&["doctor"])["writable"], rustix::process::geteuid().is_root());
    let absent = finish(bench.unprivileged().args(["ensure", "b.gguf", "--json"]));
    assert_eq!(absent.status, 8, "{}", absent.stderr);
    let mut folders = vec![bench.cache()];
    while let Some(folder) = folders.pop() {
        fs_err::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        folders.extend(
            fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()),
        );
    }
}

#[test]
fn too_few_files_may_be_open() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let run = |limit: u8| {
        let script = format!("ulimit -n {limit}; exec \"$0\" ensure a.gguf -q --json");
        let program = env!("CARGO_BIN_EXE_model-provisioner");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, program]).current_dir(bench.path(""));
        finish(shell.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache()))
    };
    // Where it fails depends on how many the runtime itself has.
    let failed: Vec<_> = (8..40).map(run).take_while(|done| done.status != 0).collect();
    assert!(!failed.is_empty());
    for done in failed {
        assert!(done.status == 8 && done.stdout.contains("too-many-files"), "{}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("ulimit -n"), "{}", done.stdout);
    }
}

#[test]
fn several_references_go_on_after_one_that_fails() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let done = bench.run(&["ensure", "absent.gguf", "a.gguf"]);
    assert_eq!((done.status, done.stdout.trim()), (3, bench.path("a.gguf").to_str().unwrap()));
    let json = bench.json(&["ensure", "absent.gguf", "a.gguf"]);
    assert_eq!(json[0]["error"]["code"], "not-found");
    assert_eq!(json[1]["local_path"], bench.path("a.gguf").to_str().unwrap());
}

#[test]
fn what_is_read_whole_is_a_regular_file_of_some_size() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let pipe = bench.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    for config in [pipe, "/dev/zero", "."] {
        let done = bench.run(&["provision", "--config", config]);
        assert_eq!(done.status, 2, "{config}: {}", done.stderr);
        assert!(done.stderr.contains("it is no regular file"), "{config}: {}", done.stderr);
    }
    bench.file("long.yaml", format!("{}: 1\n", "x".repeat(500_000)));
    let done = bench.run(&["provision", "--config", "long.yaml"]);
    assert!(done.status == 2 && done.stderr.len() < 2000, "{} bytes", done.stderr.len());
    // Only a hub gets a token, and no command asks one here.
    for token in [pipe, "/dev/zero", "."] {
        let mut command = bench.command();
        command.env("HF_TOKEN_PATH", token).env_remove("HF_TOKEN").env_remove("HUGGING_FACE_HUB_TOKEN");
        let done = finish(command.args(["ensure", "a.gguf"]));
        assert_eq!(done.status, 0, "{token}: {}", done.stderr);
        assert!(done.stderr.contains("the token is left out: "), "{token}: {}", done.stderr);
    }
}
