//! `export` and `import` carry models from one machine to another.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use testkit::{FakeModel, Hub, TINY_GGUF, gguf, gguf_of};

use crate::fixture::{Finished, Fixture, finish};

const ID: &str = "hf:org/repo?include=*";

fn fails(done: &Finished, status: i32, words: &[&str]) {
    assert_eq!(done.status, status, "{}{}", done.stdout, done.stderr);
    assert!(words.iter().all(|word| done.stderr.contains(word)), "{words:?}: {}", done.stderr);
}

/// Makes a model of the hub present and exports it to `out`; then removes the cache.
fn exported(bench: &Fixture) -> serde_json::Value {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("sub/a b.gguf", gguf("some weights")).file("config.json", "{}").publish();
    let mut ensure = bench.command();
    ensure.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
    assert_eq!(finish(ensure.args(["ensure", ID])).status, 0);
    let before = bench.json(&["show", ID]);
    let told = bench.json(&["export", ID, "out"]);
    assert_eq!((&told["id"], &told["dir"]), (&ID.into(), &bench.path("out").to_str().unwrap().into()));
    assert_eq!((&told["files"], &told["size_bytes"]), (&before["files"], &78.into()));
    fs_err::remove_dir_all(bench.cache()).unwrap();
    before
}

fn write_seal(bench: &Fixture, from: &str, to: &str) {
    let seal = bench.path("out/.model.json");
    let text = fs_err::read_to_string(&seal).unwrap();
    assert!(text.contains(from), "{text}");
    fs_err::write(seal, text.replace(from, to)).unwrap();
}

#[test]
fn a_model_crosses_an_air_gap() {
    let bench = Fixture::new();
    let before = exported(&bench);
    let sums =
        Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(bench.path("out")).output().unwrap();
    assert!(sums.status.success(), "{sums:?}");
    // Where that may be done, without any network at all.
    let alone = |args: &[&str]| {
        let plain = bench.command();
        let mut command = Command::new("unshare");
        command.arg("-n").arg(plain.get_program()).args(args).current_dir(bench.path(""));
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if rustix::process::geteuid().is_root() { finish(&mut command) } else { bench.run(args) }
    };
    let imported = alone(&["import", "out", "--json"]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    let imported: serde_json::Value = serde_json::from_str(&imported.stdout).unwrap();
    for field in ["id", "local_path", "revision", "digest", "files", "cached"] {
        assert_eq!(imported[field], before[field], "{field}");
    }
    assert_eq!(imported["verification"]["basis"], "source");
    for args in [vec!["ensure", ID, "--json"], vec!["ensure", ID, "--json", "--offline", "--strict"]] {
        let done = alone(&args);
        let model: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&model["cached"], &model["local_path"]), (&true.into(), &before["local_path"]));
    }
    assert_eq!(bench.json(&["verify", ID])[0]["outcome"], "pass");
    let log = fs_err::read_to_string(bench.cache().join("provenance.jsonl")).unwrap();
    assert!(log.contains("\"import\"") && log.contains(bench.path("out").to_str().unwrap()), "{log}");
}

#[test]
fn a_folder_that_was_tampered_with_is_refused() {
    let change = |name: &'static str, text: &'static str| {
        move |bench: &Fixture| fs_err::write(bench.path("out").join(name), text).unwrap()
    };
    let seal = |from: &'static str, to: &'static str| move |bench: &Fixture| write_seal(bench, from, to);
    let check = |tamper: &dyn Fn(&Fixture), status: i32, words: &[&str]| {
        let bench = Fixture::new();
        exported(&bench);
        tamper(&bench);
        fails(&bench.run(&["import", "out"]), status, words);
        assert_eq!(bench.json(&["list"]), serde_json::json!([]), "{words:?}");
        assert!(!bench.cache().join("store-v1/models").exists(), "nothing is visible");
    };
    let flip = |bench: &Fixture| {
        fs_err::write(bench.path("out/sub/a b.gguf"), gguf("some wEights")).unwrap();
    };
    check(&flip, 4, &["sub/a b.gguf", "expected sha256:", "got sha256:"]);
    check(&change("sub/a b.gguf", "shorter"), 4, &["sub/a b.gguf", "expected sha256:", "got 7 bytes"]);
    check(&change("sub/a b.gguf", "longer than before"), 4, &["sub/a b.gguf", "expected sha256:"]);
    check(&change("SHA256SUMS", "no digests\n"), 2, &["SHA256SUMS"]);
    check(&change(".model.json", "{}"), 2, &[".model.json", "schema_version"]);
    let gone = |name: &'static str| move |bench: &Fixture| fs_err::remove_file(bench.path(name)).unwrap();
    check(&gone("out/config.json"), 3, &["config.json"]);
    check(&gone("out/SHA256SUMS"), 3, &["SHA256SUMS"]);
    let link = |bench: &Fixture| {
        fs_err::rename(bench.path("out/config.json"), bench.path("config.json")).unwrap();
        std::os::unix::fs::symlink(bench.path("config.json"), bench.path("out/config.json")).unwrap();
    };
    check(&link, 2, &["config.json", "no regular file"]);
    check(&seal("\"schema_version\": 1", "\"schema_version\": 9"), 8, &["schema 9", "schema 1"]);
    check(&seal("\"config.json\"", "\"../config.json\""), 2, &["..", ".model.json"]);
    check(&seal("\"hf:org/repo?", "\"hf:../../repo?"), 2, &["is no id"]);
    check(&seal("44136fa3", "54136fa3"), 4, &["config.json", "expected sha256:44136fa3"]);
}

#[test]
fn a_size_that_contradicts_the_record_is_refused_unread() {
    let bench = Fixture::new();
    exported(&bench);
    // The sparse file takes no blocks, and would take minutes to hash.
    let file = std::fs::File::options().write(true).open(bench.path("out/sub/a b.gguf")).unwrap();
    file.set_len(1 << 40).unwrap();
    let done = bench.run(&["import", "out", "--progress", "json"]);
    fails(&done, 4, &["sub/a b.gguf", "expected sha256:", " of 76 bytes, got 1099511627776 bytes"]);
    assert!(!done.stderr.contains("hash_started"), "{}", done.stderr);
}

#[test]
fn many_files_that_are_linked_settle_together() {
    const MANY: u32 = 300;
    let bench = Fixture::new();
    (0..MANY).for_each(|number| drop(bench.file(&format!("repo/{number}.json"), number.to_string())));
    let began = std::time::Instant::now();
    assert_eq!(bench.run(&["import", "repo", "--id", "hf:org/many", "-q"]).status, 0);
    // A kernel's tick is 10 ms at the most, and a file settles for two.
    let each = std::time::Duration::from_millis(20);
    assert!(began.elapsed() < MANY * each, "{:?}: one after the other", began.elapsed());
}

#[test]
fn what_an_import_leaves_out_or_cannot_find_is_told() {
    let bench = Fixture::new();
    exported(&bench);
    assert_eq!(bench.run(&["import", "out"]).stderr, "");
    bench.file("out/no\u{202e}tes.txt", "mine");
    bench.file("out/sub/more.txt", "mine");
    let done = bench.run(&["import", "out"]);
    let told = r"`no\u{202e}tes.txt` and 1 more in";
    assert!(done.status == 0 && done.stderr.contains(told), "{}", done.stderr);
    fails(&bench.run(&["import", "absent", "--id", "hf:a/b"]), 3, &["hint: ", "`ensure` fetches"]);
}

#[test]
fn a_revision_that_is_no_commit_is_refused() {
    let bench = Fixture::new();
    let before = exported(&bench);
    let commit = before["revision"].as_str().unwrap();
    for revision in [".gone.evil", "main", "..", "a/b"] {
        write_seal(&bench, &format!("\"{commit}\""), &format!("\"{revision}\""));
        fails(&bench.run(&["import", "out"]), 2, &["is neither a commit nor"]);
        write_seal(&bench, &format!("\"{revision}\""), &format!("\"{commit}\""));
    }
    assert_eq!(bench.run(&["import", "out"]).status, 0);
}

#[test]
fn a_pin_counts_before_what_a_folder_says() {
    let bench = Fixture::new();
    let tree = exported(&bench)["digest"]["value"].as_str().unwrap().to_owned();
    let pin = |hex: &str| bench.run(&["import", "out", "--digest", &format!("sha256-tree:{hex}")]);
    fails(&pin(&"0".repeat(64)), 4, &["expected sha256-tree:0000", "(pinned)"]);
    assert_eq!(pin(&tree).status, 0);
    assert_eq!(bench.json(&["show", ID])["verification"]["basis"], "pinned");
    // Another id is another claim, of which the source of the first one said nothing.
    assert_eq!(bench.run(&["import", "out", "--id", "hf:our/copy"]).status, 0);
    let copy = bench.json(&["show", "hf:our/copy"]);
    assert_eq!(
        (&copy["verification"]["basis"], &copy["revision"]),
        (&"first-use".into(), &serde_json::Value::Null)
    );
}

#[test]
fn files_are_taken_in_under_an_id() {
    let bench = Fixture::new();
    let file = bench.file("my model.gguf", gguf("GGUF1"));
    let before = fs_err::metadata(&file).unwrap();
    let lost = bench.run(&["import", "my model.gguf"]);
    fails(&lost, 2, &["--id 'hf:local/my-model/my model.gguf'", &format!("import '{}'", file.display())]);
    let id = "hf:org/mine/model.gguf";
    let imported = bench.json(&["import", "my model.gguf", "--id", id]);
    assert_eq!(imported["cached"], true);
    let path = Path::new(imported["local_path"].as_str().unwrap());
    assert!(path.ends_with("model.gguf") && fs_err::read(path).unwrap() == gguf("GGUF1"));
    assert_eq!(imported["verification"]["basis"], "first-use");
    let after = fs_err::metadata(&file).unwrap();
    assert_eq!(
        (after.ino(), after.mode(), after.mtime()),
        (fs_err::metadata(path).unwrap().ino(), before.mode(), before.mtime())
    );
    assert_eq!(bench.json(&["ensure", id, "--offline"])["cached"], true);
    bench.file("other.gguf", gguf("GGUF2"));
    fails(&bench.run(&["import", "other.gguf", "--id", id]), 4, &["(first-use)"]);
    let hex = "0".repeat(64);
    fails(&bench.run(&["import", "other.gguf", "--id", "hf:a/b/c.gguf", "--sha256", &hex]), 4, &["pinned"]);
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 1, "nothing of it is visible");
    fails(&bench.run(&["import", "other.gguf", "--id", "local:/a"]), 2, &["not an id for an import"]);
    fails(&bench.run(&["import", "absent.gguf", "--id", "hf:a/b"]), 3, &["absent.gguf"]);
    bench.file("m.pkl", "x");
    fails(&bench.run(&["import", "m.pkl", "--id", "hf:a/b"]), 5, &["pickle"]);
}

#[test]
fn sets_and_folders_keep_their_names_and_copies_are_apart() {
    let bench = Fixture::new();
    FakeModel::gguf().shards(2).write_to(&bench.path(""), "x").unwrap();
    let shards = bench.json(&["import", "x-00002-of-00002.gguf", "--id", "hf:org/x:Q8_0", "--adopt", "copy"]);
    assert!(shards["local_path"].as_str().unwrap().ends_with("/x-00001-of-00002.gguf"));
    assert_eq!(shards["files"].as_array().unwrap().len(), 2);
    assert_eq!(fs_err::metadata(bench.path("x-00001-of-00002.gguf")).unwrap().nlink(), 1);
    for name in ["repo/config.json", "repo/sub/a.bin", "repo/.git/x", "repo/.cache/y", "repo/.hidden"] {
        bench.file(name, name);
    }
    let folder = bench.json(&["import", "repo", "--id", "hf:org/folder"]);
    let names: Vec<_> =
        folder["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["config.json", "sub/a.bin"]);
    fails(
        &bench.run(&["import", "repo", "--id", "hf:a/b", "--adopt", "off"]),
        2,
        &["possible values: link, copy"],
    );
}

#[test]
fn an_export_is_whole_or_nothing() {
    let bench = Fixture::new();
    let model = bench.file("a.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).status, 0);
    bench.file("full/x", "");
    fails(&bench.run(&["export", "a.gguf", "full"]), 2, &["no empty folder", "hint: "]);
    fails(&bench.run(&["export", "absent.gguf", "out"]), 3, &["not in the catalog"]);
    fs_err::create_dir(bench.path("out")).unwrap();
    assert_eq!(bench.run(&["export", "a.gguf", "out"]).stdout.trim(), bench.path("out").to_str().unwrap());
    assert_eq!(fs_err::read(bench.path("out/a.gguf")).unwrap(), TINY_GGUF);
    assert_eq!(fs_err::metadata(bench.path("out")).unwrap().permissions().mode() & 0o777, 0o755);
    let seal = fs_err::read_to_string(bench.path("out/.model.json")).unwrap();
    assert!(!seal.contains(&format!("\"local_path\": \"{}", bench.path("").display())), "{seal}");
    // The id is a path, which means nothing on another machine.
    fails(&bench.run(&["import", "out"]), 2, &["another machine alone", "--id hf:local/out"]);
    let imported = bench.json(&["import", "out", "--id", "hf:org/a/a.gguf"]);
    assert_eq!(imported["verification"]["basis"], "first-use");
    assert_eq!(bench.run(&["verify", "a.gguf"]).status, 0);
    fs_err::write(model, "GGUX").unwrap();
    fails(&bench.run(&["export", "a.gguf", "wrong"]), 4, &["a.gguf", "expected sha256:", "got sha256:"]);
    assert!(!bench.path("wrong").exists());
    let left = fs_err::read_dir(bench.path(""))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".exporting"));
    assert_eq!(left.count(), 0);
}

#[test]
fn an_export_that_the_disk_refuses_names_the_file_and_the_folder() {
    let bench = Fixture::new();
    bench.file("a.gguf", gguf_of(1 << 20, 1));
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).status, 0);
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"ulimit -f 512; exec "$0" export a.gguf out"#]);
    let done = finish(&mut as_this(limited, &bench.command()));
    let told = format!("cannot put `a.gguf` into `{}`", bench.path("out").display());
    fails(&done, 8, &[&told]);
    assert!(!bench.path("out").exists(), "an export is whole or nothing");
}

#[test]
#[ignore = "needs unshare, and the right to use it"]
fn an_export_to_a_full_disk_names_it() {
    let bench = Fixture::new();
    bench.file("a.gguf", gguf_of(2 << 20, 1));
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).status, 0);
    fs_err::create_dir(bench.path("disk")).unwrap();
    let script = r#"mount -t tmpfs -o size=1m none disk && exec "$0" export a.gguf disk/out"#;
    let mut full = Command::new("unshare");
    full.args(["-rm", "sh", "-c", script]);
    let done = finish(&mut as_this(full, &bench.command()));
    let told = format!("cannot put `a.gguf` into `{}`", bench.path("disk/out").display());
    fails(&done, 8, &[&told, "No space left", "hint: free some space"]);
}

/// Returns a command that runs a program in another one's place: with its path as the last argument, in its folder and with its
/// environment.
fn as_this(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).current_dir(inner.get_current_dir().unwrap());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn killed_at_every_system_call_of_an_exchange() {
    let killed = |bench: &Fixture, call: &str, count: u32, args: &[&str]| {
        let plain = bench.command();
        let mut strace = Command::new("strace");
        let inject = format!("inject={call}:signal=KILL:when={count}");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
        strace.arg(plain.get_program()).args(args).current_dir(bench.path(""));
        strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        finish(&mut strace).status != 0
    };
    for call in ["rename,renameat,renameat2", "fsync,fdatasync", "link,linkat,mkdir"] {
        let bench = Fixture::new();
        exported(&bench);
        let mut kills = 0;
        for count in 1..60 {
            let (import, export) = (["import", "out", "-q"], ["export", ID, "again"]);
            let was_killed = killed(&bench, call, count, &import);
            assert_eq!(bench.run(&import).status, 0, "{call} {count}");
            assert_eq!(bench.json(&["verify", ID])[0]["outcome"], "pass", "{call} {count}");
            let was_killed_too = killed(&bench, call, count, &export);
            if bench.path("again").exists() {
                let sums = Command::new("sha256sum")
                    .args(["-c", "SHA256SUMS"])
                    .current_dir(bench.path("again"))
                    .output();
                assert!(
                    sums.unwrap().status.success() && bench.path("again/.model.json").exists(),
                    "{call} {count}"
                );
                fs_err::remove_dir_all(bench.path("again")).unwrap();
            }
            assert_eq!(bench.run(&export).status, 0, "{call} {count}");
            fs_err::remove_dir_all(bench.path("again")).unwrap();
            assert_eq!(bench.run(&["remove", ID]).status, 0);
            if !was_killed && !was_killed_too {
                break;
            }
            kills += 1;
        }
        assert!(kills > 0, "{call} never killed");
    }
}

#[test]
fn what_a_killed_export_left_goes_with_the_next_one() {
    let bench = Fixture::new();
    exported(&bench);
    let imported = bench.run(&["import", "out", "-q"]);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    fs_err::File::create(bench.path("big.bin")).unwrap().set_len(200 << 30).unwrap();
    bench.run(&["ensure", "big.bin", "-q"]);
    let halves = || {
        let all = fs_err::read_dir(bench.path("exports")).into_iter().flatten();
        let names = all.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".exporting.")).collect::<Vec<_>>()
    };
    let mut export = bench.command();
    let child = export.args(["export", "big.bin", "exports/big", "--progress", "json"]);
    let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("\"hashed\"")));
    // The command leaves alone what another process builds meanwhile.
    assert_eq!(bench.run(&["export", ID, "exports/first"]).status, 0);
    assert_eq!(halves().len(), 2, "a folder and its lock: {:?}", halves());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(halves().len(), 2);
    assert_eq!(bench.run(&["export", ID, "exports/second"]).status, 0);
    assert_eq!(halves(), Vec::<String>::new());
}

#[test]
fn what_a_stranger_wrote_is_quoted_in_part() {
    let bench = Fixture::new();
    let record = exported(&bench);
    let (seal, sums) = (bench.path("out/.model.json"), bench.path("out/SHA256SUMS"));
    let (good_seal, good_sums) =
        (fs_err::read_to_string(&seal).unwrap(), fs_err::read_to_string(&sums).unwrap());
    let long = "x".repeat(30 << 20);
    let check = |status: i32| {
        let done = bench.run(&["import", "out"]);
        assert_eq!(done.status, status, "{}", &done.stderr[..done.stderr.len().min(2000)]);
        assert!(done.stderr.len() < 2000, "{} bytes are printed", done.stderr.len());
    };
    for line in [long.clone(), format!("{long}  a"), format!("{}  {long}", "0".repeat(64))] {
        fs_err::write(&sums, format!("{good_sums}{line}\n")).unwrap();
        check(2);
    }
    fs_err::write(&sums, "x".repeat(65 << 20)).unwrap();
    check(2);
    fs_err::write(&sums, &good_sums).unwrap();
    let (id, revision) = (record["id"].as_str().unwrap(), record["revision"].as_str().unwrap());
    for (from, to) in [
        ("\"schema_version\": 1", format!("\"schema_version\": \"{long}\"")),
        ("\"lifecycle\": \"Active\"", format!("\"lifecycle\": \"{long}\"")),
        (id, long.clone()),
        (revision, long.clone()),
    ] {
        assert!(good_seal.contains(from), "{from}");
        fs_err::write(&seal, good_seal.replace(from, &to)).unwrap();
        check(2);
    }
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_failed_export_says_whether_the_folder_is_there() {
    let bench = Fixture::new();
    exported(&bench);
    assert_eq!(bench.run(&["import", "out", "-q"]).status, 0);
    let (mut before, mut after) = (0, 0);
    for count in 1.. {
        let (plain, log) = (bench.command(), bench.path("strace.log"));
        let mut strace = Command::new("strace");
        let inject = format!("inject=fsync:error=EIO:when={count}");
        strace.args(["-f", "-qq", "-e", "trace=fsync", "-e", &inject]).arg("-o").arg(&log);
        strace.arg(plain.get_program()).args(["export", ID, "again"]).current_dir(bench.path(""));
        strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let done = finish(&mut strace);
        let is_there = bench.path("again/.model.json").exists();
        assert_eq!(
            is_there,
            done.status == 0 || done.stderr.contains("is exported and whole"),
            "{}",
            done.stderr
        );
        assert!(is_there || !bench.path("again").exists(), "{count}");
        if !fs_err::read_to_string(log).unwrap().contains("(INJECTED)") {
            break;
        }
        if done.status != 0 {
            assert_eq!(done.status, 8, "{}", done.stderr);
            *(if is_there { &mut after } else { &mut before }) += 1;
        }
        let _ = fs_err::remove_dir_all(bench.path("again"));
    }
    assert!(before > 0 && after == 1, "{before} before the rename, {after} after it");
}
