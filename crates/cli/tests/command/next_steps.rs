//! The command tells a person who mistyped something what to do, in words that the person can paste.

use testkit::{FakeModel, Hub, TINY_GGUF, gguf, safetensors};

use crate::{
    fixture::{Fixture, finish},
    hub::{command, run},
};

fn hub() -> Hub {
    let hub = Hub::start();
    hub.repo("org/hf").lfs("model.safetensors", safetensors("a")).file("config.json", "{}").publish();
    hub.repo("org/hf").branch("feat/x").lfs("model.safetensors", safetensors("b")).publish();
    hub.repo("org/weird").lfs("sub dir/a.gguf", gguf("a")).lfs("[x]*é.gguf", gguf("b")).publish();
    hub.repo("org/two").lfs("a-Q8_0.gguf", gguf("a")).lfs("b-Q8_0.gguf", gguf("b")).publish();
    hub
}

/// Runs a command that must fail with a status, and must say all of these.
#[track_caller]
fn check(args: &[&str], status: i32, says: &[&str]) {
    let (bench, hub) = (Fixture::new(), hub());
    let done = run(&bench, &hub, args);
    assert_eq!(done.status, status, "{args:?}: {}", done.stderr);
    for text in says {
        assert!(done.stderr.contains(text), "{args:?}: {text:?} is not in {}", done.stderr);
    }
}

#[test]
fn patterns_that_are_none() {
    check(
        &["ensure", "hf:org/weird", "--include", "[["],
        2,
        &["`[[` is not a pattern: unclosed", "hint: in a pattern"],
    );
    check(&["plan", "hf:org/weird", "--exclude", "[["], 2, &["`[[` is not a pattern"]);
    check(
        &["ensure", "hf:org/hf", "--include", "*.gguf"],
        3,
        &["there are: `config.json`, `model.safetensors`"],
    );
}

#[test]
fn revisions() {
    let both = ["ensure", "hf:org/hf@main", "--revision", "other"];
    check(&both, 2, &["it names another revision than `other`"]);
    let (bench, hub) = (Fixture::new(), hub());
    let same = run(&bench, &hub, &["ensure", "hf:org/hf@main", "--revision", "main"]);
    assert_eq!(same.status, 0, "{}", same.stderr);
    for branch in ["hf:org/hf@feat/x", "https://huggingface.co/org/hf/tree/feat/x"] {
        let says = "if `feat/x` is a branch, write `hf:org/hf@feat%2Fx`, or `hf:org/hf --revision feat/x`";
        check(&["ensure", branch], 3, &[says]);
    }
    assert_eq!(run(&bench, &hub, &["ensure", "hf:org/hf@feat%2Fx"]).status, 0);
}

#[test]
fn what_the_repository_has_instead() {
    check(&["ensure", "hf:org/weird/sub dir"], 0, &[]);
    check(&["ensure", "hf:org/weird/sub"], 3, &["the repository has no file `sub`"]);
    check(&["ensure", "hf:org/hf:Q8_0"], 3, &["it has no GGUF files", "hint: `hf:org/hf` is what"]);
    let two = ["`hf:org/two/a-Q8_0.gguf` (", "`hf:org/two/b-Q8_0.gguf` ("];
    check(&["ensure", "hf:org/two:Q8_0"], 2, &two);
    check(&["ensure", "hf:org/two"], 2, &two);
    check(&["plan", "hf:org/two"], 2, &two);
    check(&["ensure", "hf:org/two:Q2_K"], 3, &two);
    check(&["ensure", "hf:org/weird"], 2, &["`'hf:org/weird/[x]*é.gguf'` ("]);
}

#[test]
fn whom_the_environment_names() {
    let (bench, hub) = (Fixture::new(), hub());
    let ensure = ["ensure", "hf:org/hf"];
    let token = finish(command(&bench, &hub.endpoint(), &ensure).env("HF_TOKEN", "hf_secret\nmore"));
    assert_eq!(token.status, 7);
    assert!(
        token.stderr.contains("a line break") && token.stderr.contains("hint: set HF_TOKEN"),
        "{}",
        token.stderr
    );
    assert!(!token.stderr.contains("secret"), "{}", token.stderr);
    let endpoint = finish(&mut command(&bench, "ftp://user:secret@host", &ensure));
    assert_eq!(endpoint.status, 2);
    assert!(
        endpoint.stderr.contains("error: the hub's address is not one: it is not an http"),
        "{}",
        endpoint.stderr
    );
    assert!(endpoint.stderr.contains("hint: set HF_ENDPOINT"), "{}", endpoint.stderr);
    assert!(!endpoint.stderr.contains("secret"), "{}", endpoint.stderr);
    check(&["ensure", "hf:org/absent"], 7, &["check the repository's name"]);
}

#[test]
fn commands_in_hints_are_whole() {
    let (bench, hub) = (Fixture::new(), hub());
    let id = "hf:org/weird/[x]*é.gguf";
    let offline = run(&bench, &hub, &["ensure", id, "--offline"]);
    assert!(
        offline.stderr.contains(&format!("`model-provisioner ensure '{id}'` fetches it")),
        "{}",
        offline.stderr
    );
    assert_eq!(run(&bench, &hub, &["ensure", id]).status, 0);
    assert_eq!(run(&bench, &hub, &["retire", id]).status, 0);
    let retired = run(&bench, &hub, &["ensure", id]);
    assert!(
        retired.stderr.contains(&format!("`model-provisioner activate '{id}'` makes")),
        "{}",
        retired.stderr
    );
    let absent = run(&bench, &hub, &["show", "hf:org/absent"]);
    assert!(absent.stderr.contains("`model-provisioner list` shows"), "{}", absent.stderr);
    bench.file("it's.gguf", TINY_GGUF);
    let unproven = run(&bench, &hub, &["ensure", "it's.gguf"]);
    assert!(unproven.stderr.contains("`model-provisioner verify 'local:"), "{}", unproven.stderr);
    assert!(unproven.stderr.contains(r"/it'\''s.gguf'`"), "{}", unproven.stderr);
}

#[test]
fn one_is_one() {
    let bench = Fixture::new();
    bench.file("a.gguf", TINY_GGUF);
    assert_eq!(bench.run(&["ensure", "a.gguf", "-q"]).status, 0);
    fs_err::write(&bench.records()[0], "no record").unwrap();
    let doctor = bench.run(&["doctor"]);
    assert!(doctor.stdout.contains("; 1 record cannot be read"), "{}", doctor.stdout);
}

#[test]
fn what_engines_of_one_file_need_is_named_by_its_file() {
    let bench = Fixture::new();
    let folder = bench.path("several");
    for name in ["one", "other"] {
        FakeModel::gguf().write_to(&folder, name).unwrap();
    }
    let several = bench.run(&["ensure", "several", "-q"]);
    assert_eq!((several.status, several.stdout.trim()), (0, folder.to_str().unwrap()), "{}", several.stderr);
    let hub = Hub::start();
    hub.repo("org/one").lfs("a-Q8_0.gguf", gguf("a")).file("README.md", "").publish();
    let whole = run(&bench, &hub, &["ensure", "hf:org/one"]);
    let file = run(&bench, &hub, &["ensure", "hf:org/one:Q8_0"]);
    assert!(std::path::Path::new(whole.stdout.trim()).join("a-Q8_0.gguf").is_file(), "{}", whole.stdout);
    assert!(file.stdout.trim().ends_with("/a-Q8_0.gguf"), "{}", file.stdout);
}
