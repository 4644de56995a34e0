//! The README's console blocks do what they say.
//!
//! Each line after `$ ` runs in a shell in a folder with the examples in it, with the command on the path; the lines
//! below are what it prints, where `[…]` stands for anything. A block that begins with another fence is not run.

use std::process::Command;

use crate::fixture::{Fixture, finish};

const README: &str = include_str!("../../../../README.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

#[test]
fn the_console_blocks_are_true() {
    let bench = Fixture::new();
    fs_err::create_dir(bench.path("examples")).unwrap();
    for name in ["tiny.gguf", "model.yaml"] {
        fs_err::copy(format!("{EXAMPLES}/{name}"), bench.path("examples").join(name)).unwrap();
    }
    let mut steps = 0;
    for block in README.split("```console\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()) {
        for step in block.split("$ ").filter(|step| !step.is_empty()) {
            let (line, expected) = step.split_once('\n').unwrap_or((step, ""));
            let printed = shell(&bench, line);
            assert!(matches(expected.trim(), printed.trim()), "$ {line}\n{printed}\nis not\n{expected}");
            steps += 1;
        }
    }
    assert!(steps >= 5, "only {steps} steps");
}

fn shell(bench: &Fixture, line: &str) -> String {
    let command = bench.command();
    let program = std::path::Path::new(command.get_program());
    let path = format!("{}:{}", program.parent().unwrap().display(), "/usr/local/bin:/usr/bin:/bin");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{line} 2>&1")]).current_dir(bench.path("")).env("PATH", path);
    shell.env("MODEL_PROVISIONER_CACHE_DIR", bench.cache());
    finish(&mut shell).stdout.replace(bench.path("").to_str().unwrap(), "[…]/")
}

/// Whether the text is the pattern, in which `[…]` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("[…]");
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || pattern.ends_with("[…]")
}
