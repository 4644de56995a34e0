//! The command prints text for people and documents for programs.

use model_provisioner::Digest;
use serde_json::Value;
use std::{
    io::Read,
    process::{Command, Stdio},
};
use testkit::TINY_GGUF;

use crate::fixture::{Finished, Fixture, finish};

/// Removes what differs from run to run.
fn steady(bench: &Fixture, text: &str) -> String {
    let text = text.replace(bench.path("").to_str().unwrap(), "[DIR]/");
    let mut words: Vec<String> = Vec::new();
    for line in text.lines() {
        let line: Vec<_> = line.split(' ').map(|word| if is_time(word) { "[TIME]" } else { word }).collect();
        words.push(line.join(" "));
    }
    words.join("\n")
}

fn is_time(word: &str) -> bool {
    let word = word.trim_matches(['"', ',']);
    word.len() >= 20 && word.ends_with('Z') && word.starts_with("20")
}

#[test]
fn a_person_sees_paths_cards_and_tables() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    let Finished { status, stdout, stderr } = bench.run(&["ensure", "a.gguf"]);
    assert_eq!((status, stdout.trim()), (0, bench.path("a.gguf").to_str().unwrap()));
    insta::assert_snapshot!(steady(&bench, &stderr), @r"
    warning: `local:[DIR]/a.gguf` is unverified: no digest was given, and its bytes were not read; its structure is sound (gguf)
    hint: give its digest with `--sha256`, or let `model-provisioner verify local:[DIR]/a.gguf` compute one
    ");
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).stderr, "");
    let verified = bench.run(&["verify", "--all"]);
    insta::assert_snapshot!(steady(&bench, &verified.stdout), @"pass  local:[DIR]/a.gguf: hashed for the first time; its structure is sound (gguf)");
    insta::assert_snapshot!(steady(&bench, &bench.run(&["show", "a.gguf"]).stdout), @r"
    id           local:[DIR]/a.gguf
    path         [DIR]/a.gguf
    size         24 B in 1 file
    state        Active
    digest       sha256:a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99
    verified     first-use: hashed for the first time; its structure is sound (gguf)
    verified at  [TIME]
    last used    [TIME]
    ");
    let list = bench.run(&["list"]).stdout;
    assert!(list.starts_with("STATE") && list.contains("first-use") && list.contains("local:/"), "{list}");
    let removed = bench.run(&["remove", "a.gguf"]);
    insta::assert_snapshot!(steady(&bench, &removed.stdout), @"local:[DIR]/a.gguf is removed from the catalog; its files are yours, and stay");
    assert_eq!(bench.run(&["list"]).stdout, "");
}

#[test]
fn a_program_sees_documents() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    bench.run(&["ensure", "a.gguf", "-q"]);
    bench.run(&["verify", "a.gguf"]);
    let done = bench.run(&["ensure", "a.gguf", "--json"]);
    assert_eq!(done.stderr, "");
    insta::assert_snapshot!(steady(&bench, &done.stdout), @r#"
    {
      "id": "local:[DIR]/a.gguf",
      "local_path": "[DIR]/a.gguf",
      "size_bytes": 24,
      "digest": {
        "algo": "sha256",
        "value": "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"
      },
      "verification": {
        "outcome": "pass",
        "basis": "first-use",
        "reason": "matches the digest of its first use; its structure is sound (gguf)",
        "verified_at": [TIME]
      },
      "lifecycle": "Active",
      "cached": true,
      "files": [
        {
          "path": "a.gguf",
          "size": 24,
          "digest": {
            "algo": "sha256",
            "value": "a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99"
          }
        }
      ]
    }
    "#);
    let list = bench.json(&["list"]);
    let keys: Vec<_> = list[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["digest", "id", "last_used_at", "lifecycle", "local_path", "size_bytes", "verification"]
    );
    assert_eq!(bench.json(&["show", "a.gguf"])["lifecycle"], "Active");
    let verify = bench.json(&["verify", "a.gguf"]);
    assert_eq!((&verify[0]["outcome"], verify.as_array().unwrap().len()), (&"pass".into(), 1));
    assert_eq!(bench.json(&["retire", "a.gguf"])["lifecycle"], "Retired");
    assert_eq!(bench.json(&["activate", "a.gguf"])["lifecycle"], "Active");
    assert_eq!(bench.json(&["doctor"])["findings"], serde_json::json!([]));
    assert!(bench.json(&["remove", "a.gguf"])["id"].is_string());
    assert_eq!(bench.json(&["list"]), serde_json::json!([]));
}

#[test]
fn a_list_of_several_pages_is_one_document_and_one_table() {
    let bench = Fixture::new();
    let model = bench.file("m-0000.gguf", TINY_GGUF);
    bench.run(&["ensure", "m-0000.gguf", "-q"]);
    let key = |id: &str| model_provisioner::key_of(id);
    let place =
        |key: &str| bench.cache().join("catalog-v1").join(&key[..2]).join(format!("{}.json", &key[2..]));
    let first = format!("local:{}", model.display());
    let text = fs_err::read_to_string(place(&key(&first))).unwrap();
    for number in 1..1100 {
        let name = format!("m-{number:04}");
        let path = place(&key(&first.replace("m-0000", &name)));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text.replace("m-0000", &name)).unwrap();
    }
    let list = bench.run(&["list", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&list).unwrap();
    let ids: Vec<_> =
        document.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.len() == 1100 && ids.is_sorted());
    assert!(list.starts_with("[\n  {\n    \"id\": ") && list.ends_with("    }\n  }\n]\n"), "as any document");
    assert_eq!(list.matches("\n  },\n  {\n    \"id\"").count(), 1099);
    let table = bench.run(&["list"]).stdout;
    assert_eq!((table.lines().count(), table.matches("STATE").count()), (1101, 1));
    assert!(table.lines().skip(1).zip(ids).all(|(line, id)| line.ends_with(id)));
}

#[test]
fn what_changed_since_it_was_judged_is_shown() {
    let bench = Fixture::new();
    let file = bench.file("a.gguf", TINY_GGUF);
    bench.run(&["ensure", "a.gguf", "-q"]);
    let row = || {
        let done = bench.run(&["show", "a.gguf"]);
        assert_eq!(done.status, 0);
        let row = done.stdout.lines().find(|line| line.starts_with("on disk")).map(str::to_owned);
        assert_eq!(
            done.stderr.contains("hint: `model-provisioner verify local:/"),
            row.is_some(),
            "{}",
            done.stderr
        );
        assert_eq!(bench.json(&["show", "a.gguf"])["changed"].is_string(), row.is_some());
        row.map(|row| steady(&bench, &row))
    };
    assert_eq!(row(), None);
    bench.file("a.gguf", &TINY_GGUF[..20]);
    insta::assert_snapshot!(row().unwrap(), @"on disk    `[DIR]/a.gguf`: its size changed");
    assert_eq!(bench.run(&["ensure", "a.gguf"]).status, 4);
    assert_eq!(bench.json(&["list"])[0]["verification"]["outcome"], "warn", "as it was recorded");
    fs_err::remove_file(file).unwrap();
    insta::assert_snapshot!(row().unwrap(), @"on disk    `[DIR]/a.gguf`: it is gone");
    let records = || bench.records().iter().map(|path| fs_err::read(path).unwrap()).collect::<Vec<_>>();
    let before = records();
    row();
    assert_eq!(records(), before, "showing records nothing");
}

#[test]
fn names_that_turn_text_around_are_escaped_and_paths_are_exact() {
    let bench = Fixture::new();
    let path = bench.file("a\u{202e}.gguf", TINY_GGUF);
    let done = bench.run(&["ensure", "a\u{202e}.gguf"]);
    assert_eq!(done.stdout.trim_end_matches('\n'), path.to_str().unwrap());
    assert!(done.stderr.contains(r"/a\u{202e}.gguf` is unverified"), "{}", done.stderr);
    for args in [
        vec!["list"],
        vec!["show", "a\u{202e}.gguf"],
        vec!["plan", "a\u{202e}.gguf"],
        vec!["verify", "--all"],
    ] {
        let Finished { status, stdout, .. } = bench.run(&args);
        assert!(
            status == 0 && stdout.contains(r"a\u{202e}.gguf") && !stdout.contains('\u{202e}'),
            "{stdout}"
        );
    }
    assert!(bench.run(&["show", "\u{202e}b"]).stderr.contains(r"/\u{202e}b` is not in the catalog"));
    assert_eq!(bench.json(&["show", "a\u{202e}.gguf"])["local_path"], path.to_str().unwrap());
}

#[test]
fn provision_prints_where() {
    let bench = Fixture::new();
    bench.file("conf/a.gguf", TINY_GGUF);
    bench.file("conf/model.yaml", "model_ref: a.gguf\n");
    let provision = ["provision", "--config", "conf/model.yaml"];
    let done = bench.run(&provision);
    let default = bench.path(".runtime/engines/llamacpp.json");
    assert_eq!((done.status, done.stdout.trim()), (0, default.to_str().unwrap()), "{}", done.stderr);
    let json = bench.json(&[&provision[..], &["--handoff", "here.json"]].concat());
    assert_eq!(json["handoff"], bench.path("here.json").to_str().unwrap());
    assert_eq!(json["local_path"], bench.path("conf/a.gguf").to_str().unwrap());
    bench.file("conf/model.yaml", "model_ref: a.gguf\nhandoff: out/h.json\n");
    assert_eq!(bench.run(&provision).stdout.trim(), bench.path("conf/out/h.json").to_str().unwrap());
    assert!(bench.path("conf/out/h.json").exists() && bench.path("here.json").exists());
    let ensure = bench.json(&["ensure", "conf/a.gguf", "--handoff", "too.json"]);
    assert_eq!(ensure["handoff"], bench.path("too.json").to_str().unwrap());
}

#[test]
fn the_help_has_examples() {
    let bench = Fixture::new();
    let help = bench.run(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.contains("Examples:") && help.stdout.contains("Exit status:"));
    for command in [
        "ensure",
        "provision",
        "list",
        "show",
        "verify",
        "retire",
        "activate",
        "remove",
        "import",
        "export",
        "gc",
        "doctor",
        "completions",
    ] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}");
        assert_eq!(bench.run(&[command, "--help"]).status, 0);
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let bench = Fixture::new();
    for n in 0..50 {
        bench.file(&format!("m/{n}.gguf"), TINY_GGUF);
    }
    let files: Vec<_> = (0..50).map(|n| format!("m/{n}.gguf")).collect();
    let ensured = finish(bench.command().args(["ensure", "-q"]).args(&files));
    assert_eq!(ensured.status, 0);
    for args in [vec!["list", "--json"], vec!["completions", "bash"], vec!["--help"]] {
        let mut child =
            bench.command().args(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), done.stderr), (Some(0), Vec::new()), "{args:?}");
    }
}

#[test]
fn progress_is_lines_only_where_it_is_asked_for() {
    let bench = Fixture::new();
    bench.file("a.bin", vec![0; 20 << 20]);
    bench.run(&["ensure", "a.bin", "-q"]);
    assert_eq!(bench.run(&["verify", "a.bin"]).stderr, "", "nothing on a pipe");
    let done = bench.run(&["verify", "a.bin", "--progress", "json"]);
    let events: Vec<serde_json::Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["resolving", "hash_started", "hashed", "hashed", "hash_ended"]);
    let counts: Vec<_> = events.iter().filter_map(|event| event["done_bytes"].as_u64()).collect();
    assert!(counts.is_sorted(), "{counts:?}");
}

#[test]
fn several_models_are_verified_at_once() {
    let bench = Fixture::new();
    for name in ["a.bin", "b.bin"] {
        bench.file(name, vec![0; 64 << 20]);
        bench.run(&["ensure", name, "-q"]);
    }
    let done = bench.run(&["verify", "--all", "--progress", "json"]);
    let events: Vec<serde_json::Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"verify_started"), Some(&"verify_ended")));
    assert_eq!(events[0]["total_bytes"], 128 << 20);
    let began = names.iter().filter(|name| **name == "hash_started").count();
    let before_an_end = names.iter().take_while(|name| **name != "hash_ended");
    let together = before_an_end.filter(|name| **name == "hash_started").count();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!((began, together), (2, cores.min(2)), "{names:?}");
}

#[test]
fn colours_are_for_terminals() {
    let bench = Fixture::new();
    assert!(!bench.run(&["ensure", "absent"]).stderr.contains('\x1b'));
    let mut forced: Command = bench.command();
    assert!(finish(forced.env("CLICOLOR_FORCE", "1").args(["ensure", "absent"])).stderr.contains('\x1b'));
}

#[test]
fn the_interrupt_key_ends_with_130() {
    let bench = Fixture::new();
    fs_err::File::create(bench.path("large.bin")).unwrap().set_len(200 << 30).unwrap();
    bench.run(&["ensure", "large.bin", "-q"]);
    let verify = ["verify", "large.bin", "--progress", "json"];
    let mut child = bench.command().args(verify).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("hash_started")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    bench.has_no_temporary_files();
}

#[test]
fn a_list_that_is_cut_off_is_closed_before_the_error() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).status, 0);
    let id = format!("local:{}", bench.path("a.gguf").display());
    let record = |id: &str| {
        let key = Digest::sha256_of(id.as_bytes()).hex();
        let (folder, name) = key.split_at(2);
        format!("cache/catalog-v1/{folder}/{name}.json")
    };
    let text = fs_err::read_to_string(bench.path(&record(&id))).unwrap();
    // More than a page, which is more than a pipe takes.
    for number in 0..600 {
        let other = format!("{id}-{number}.gguf");
        bench.file(&record(&other), text.replace(&format!("\"{id}\""), &format!("\"{other}\"")));
    }
    let mut list = bench
        .command()
        .args(["list", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdout, mut read) = (list.stdout.take().unwrap(), vec![0; 1]);
    stdout.read_exact(&mut read).unwrap();
    let pid = list.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    stdout.read_to_end(&mut read).unwrap();
    assert_eq!(list.wait().unwrap().code(), Some(130));
    let documents: Vec<Value> =
        serde_json::Deserializer::from_slice(&read).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(documents.len(), 2, "the list, and the error");
    assert!(documents[0].as_array().is_some_and(|models| (1..601).contains(&models.len())));
    assert_eq!(documents[1]["error"]["code"], "interrupted");
}
