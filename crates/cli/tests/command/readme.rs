//! The console blocks of the README and of the pages in `docs/` do what they say.
//!
//! Each line after `$ ` runs in a shell in a folder with the examples in it, with the command on the path; the lines
//! below are what it prints, where `[…]` stands for anything. Each page has a folder of its own. A block that begins with
//! another fence is not run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::fixture::{Fixture, finish};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const FENCE: &str = "```console\n";

/// Returns the README, and each page of `docs/`.
fn pages() -> Vec<PathBuf> {
    let docs = fs_err::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> =
        docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.sort();
    pages.push(Path::new(ROOT).join("README.md"));
    pages
}

#[test]
fn the_console_blocks_are_true() {
    let mut steps = Vec::new();
    for page in pages() {
        let text = fs_err::read_to_string(&page).unwrap();
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        steps.push((name, steps_of(&text)));
    }
    let of = |page: &str| steps.iter().find(|(name, _)| name == page).map_or(0, |(_, count)| *count);
    assert!(of("README.md") >= 2, "{steps:?}");
    assert!(steps.iter().map(|(_, count)| count).sum::<usize>() >= 10, "{steps:?}");
}

/// Runs the steps of a page, and returns how many there are.
fn steps_of(page: &str) -> usize {
    let mut steps = 0;
    let bench = Fixture::new();
    fs_err::create_dir(bench.path("examples")).unwrap();
    for name in ["tiny.gguf", "model.yaml", "policy.yaml", "tiny.gguf.sig", "publisher.pem"] {
        let example = Path::new(ROOT).join("examples").join(name);
        fs_err::copy(example, bench.path("examples").join(name)).unwrap();
    }
    for block in page.split(FENCE).skip(1).map(|rest| rest.split("\n```").next().unwrap()) {
        for step in block.split("$ ").filter(|step| !step.is_empty()) {
            let (line, expected) = step.split_once('\n').unwrap_or((step, ""));
            let printed = shell(&bench, line);
            assert!(matches(expected.trim(), printed.trim()), "$ {line}\n{printed}\nis not\n{expected}");
            steps += 1;
        }
    }
    steps
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
