//! What the command does not do: speak to a network, or read a model again.
//!
//! Both are seen through `strace`.

use std::{path::Path, process::Command};

use crate::workbench::{Workbench, finish};

/// Runs the command under `strace`, and returns the calls that were traced.
fn trace(bench: &Workbench, calls: &str, args: &[&str]) -> String {
    let log = bench.path("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-s", "4096", "-o"]).arg(&log).args(["-e", &format!("trace={calls}")]);
    strace.arg(bench.command().get_program()).args(args).current_dir(bench.path(""));
    strace.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
    let done = finish(&mut strace);
    assert_eq!(done.status, 0, "{}", done.stderr);
    fs_err::read_to_string(log).unwrap()
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn no_internet_socket_is_opened() {
    let bench = Workbench::new();
    bench.file("a.gguf", "GGUF");
    bench.file("model.yaml", "model_ref: a.gguf\n");
    for args in [
        vec!["ensure", "a.gguf"],
        vec!["provision", "--config", "model.yaml"],
        vec!["verify", "--all"],
        vec!["list"],
    ] {
        let calls = trace(&bench, "network", &args);
        assert!(!calls.contains("AF_INET") && !calls.contains("connect("), "{args:?}: {calls}");
    }
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn a_present_model_is_looked_at_and_not_opened() {
    let bench = Workbench::new();
    let model = bench.file("a.gguf", "");
    let day = std::time::Duration::from_secs(86_400);
    let modified = fs_err::metadata(&model).unwrap().modified().unwrap() - day;
    std::fs::File::options().write(true).open(&model).unwrap().set_modified(modified).unwrap();
    for n in 0..50 {
        bench.file(&format!("m/{n}.gguf"), "GGUF");
    }
    let others: Vec<_> = (0..50).map(|n| format!("m/{n}.gguf")).collect();
    finish(bench.command().args(["ensure", "-q"]).args(others));
    let pinned =
        ["ensure", "a.gguf", "--sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"];
    assert_eq!(bench.run(&pinned).status, 0);
    let calls = trace(&bench, "?open,openat,statx,?newfstatat,?stat", &pinned);
    let lines = |call: &str, path: &Path| {
        calls.lines().filter(|line| line.contains(call) && line.contains(path.to_str().unwrap())).count()
    };
    assert_eq!(lines("open", &model), 0, "{calls}");
    assert_eq!(lines("stat", &model), 1, "{calls}");
    assert_eq!(lines("open", &bench.cache().join("catalog-v1")), 1, "one record: {calls}");
}
