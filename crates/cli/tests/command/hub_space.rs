//! The command refuses a model that the disk has no space for before the first byte, and survives a disk that fills up
//! later.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};
use testkit::{gguf, gguf_of};

use serde_json::{Value, json};
use testkit::{
    Hub,
    hub::{Fault, FaultKind},
};

use crate::{
    fixture::Fixture,
    hub::{command, run},
};

const ID: &str = "hf:org/repo/a.gguf";

#[test]
fn what_cannot_fit_is_refused_before_a_byte() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", gguf("x")).lfs("b.gguf", gguf("small")).publish();
    let small = run(&bench, &hub, &["ensure", "hf:org/repo/b.gguf"]);
    assert_eq!(small.status, 0, "{}", small.stderr);
    let size = 3u64 << 50;
    let listed = json!({ "size": size, "lfs": { "size": size } });
    hub.fault(Fault::on("*").kind(FaultKind::Listed("a.gguf".to_owned(), listed)));
    hub.reset_counts();
    let done = run(&bench, &hub, &["ensure", ID, "--json"]);
    let error = serde_json::from_str::<Value>(&done.stdout).unwrap()["error"].clone();
    assert_eq!((done.status, &error["code"]), (8, &json!("no-space")), "{error}");
    let message = error["message"].as_str().unwrap();
    let free = message.strip_suffix(" are free").and_then(|rest| rest.rsplit_once("needed, and "));
    assert!(message.contains(": 3072.00 TiB are needed"), "{message}");
    assert!(free.is_some_and(|(_, free)| free.ends_with("iB")), "{message}");
    assert!(error["hint"].as_str().unwrap().contains("free some space"), "{error}");
    assert_eq!(hub.count(|seen| seen.file.is_some()), 0, "not a byte was asked for");
    assert_eq!(
        run(&bench, &hub, &["ensure", "hf:org/repo/b.gguf", "--offline"]).status,
        0,
        "nothing is harmed"
    );
    assert_eq!(bench.json(&["list"]).as_array().unwrap().len(), 1);
}

/// Runs a script in a mount namespace of its own, where the cache is a disk of 24 MiB. It fills the disk when it reads a
/// line.
fn on_a_small_disk(bench: &Fixture, hub: &Hub) -> Command {
    let script = r#"
        mount -t tmpfs -o size=24m,mode=755 none "$MODEL_PROVISIONER_CACHE_DIR" || exit 99
        "$0" ensure hf:org/repo/kept.gguf >/dev/null || exit 98
        { "$0" "$@" --json </dev/null; echo "status $?"; } >said &
        read -r now
        head -c 24M /dev/zero >"$MODEL_PROVISIONER_CACHE_DIR/fill" 2>/dev/null
        wait
        cat said
        find "$MODEL_PROVISIONER_CACHE_DIR" -name a.gguf
        echo "list $("$0" list --json | tr -d '\n')"
        "$0" ensure hf:org/repo/kept.gguf --offline >/dev/null; echo "kept $?"
        rm "$MODEL_PROVISIONER_CACHE_DIR/fill"
        "$0" verify --all >/dev/null; echo "sound $?"
        path=$("$0" "$@"); echo "again $?"
        cmp "$path" weights; echo "same $?"
        ls -A "$MODEL_PROVISIONER_CACHE_DIR/store-v1/partial" | sed 's/^/left /'
    "#;
    let plain = command(bench, &hub.endpoint(), &["ensure", ID]);
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script]).arg(plain.get_program()).args(plain.get_args());
    unshare
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(bench.path(""));
    unshare
}

#[test]
#[ignore = "needs unshare, and the right to use it"]
fn a_disk_that_fills_up_in_the_middle_is_survived() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let weights = gguf_of(16 << 20, 1);
    bench.file("weights", &weights);
    fs_err::create_dir(bench.cache()).unwrap();
    hub.repo("org/repo").lfs("a.gguf", weights).lfs("kept.gguf", gguf("kept")).publish();
    hub.limit_rate(Some(8 << 20));
    let mut script = on_a_small_disk(&bench, &hub);
    let mut running =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(hub.wait_until(Duration::from_secs(60), |hub| hub.bytes_sent("a.gguf") > 2 << 20));
    running.stdin.take().unwrap().write_all(b"now\n").unwrap();
    let done = running.wait_with_output().unwrap();
    let (said, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let (error, rest) = said.split_once("status ").unwrap_or_else(|| panic!("{said}{err}"));
    let error: Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["code"], "no-space", "{error}");
    let lines: Vec<_> = rest.lines().collect();
    assert_eq!(lines[0], "8", "{said}{err}");
    assert!(
        lines[1].starts_with("list [") && lines[1].matches("\"id\"").count() == 1,
        "nothing is visible: {said}"
    );
    assert_eq!(lines[2..], ["kept 0", "sound 0", "again 0", "same 0"], "{said}{err}");
}
