//! Copies the sources, and removes protections from the copy.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use crate::table::{Control, TestName};

/// How long a test may take, with what has to be built for it.
const LIMIT_S: &str = "1500";

/// Says how a run of a test ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed by an assertion.
    Failed,
    /// Cargo did not build it, did not find it, or did not end: the text is the end of its output.
    Broken(String),
}

/// Holds the copy. It stays after the run, so that the next run builds little.
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies all files that git knows or would take, beside the other things that are built.
    pub(crate) fn copy(from: &Path) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("controls").join("tree");
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(from)
            .output()
            .unwrap();
        let names = String::from_utf8(listed.stdout).unwrap();
        let names: BTreeSet<_> = names.split('\0').filter(|name| from.join(name).is_file()).collect();
        for name in &names {
            let (source, copy) = (fs_err::read(from.join(name)).unwrap(), root.join(name));
            // What is the same keeps its time, so that it is not built again.
            if fs_err::read(&copy).ok().as_ref() != Some(&source) {
                fs_err::create_dir_all(copy.parent().unwrap()).unwrap();
                fs_err::write(&copy, source).unwrap();
                let mode = fs_err::metadata(from.join(name)).unwrap().permissions();
                fs_err::set_permissions(&copy, mode).unwrap();
            }
        }
        remove_others(&root, &root, &names);
        Self { root }
    }

    /// Does some work while the copy lacks a protection.
    pub(crate) fn without<T>(&self, control: &Control, what: impl FnOnce() -> T) -> T {
        let file = self.root.join(&control.file);
        let whole = fs_err::read_to_string(&file).unwrap();
        assert_eq!(whole.matches(&control.take).count(), 1, "{}: {}", control.name, control.take);
        fs_err::write(&file, whole.replacen(&control.take, &control.put, 1)).unwrap();
        let done = what();
        fs_err::write(&file, whole).unwrap();
        done
    }

    /// Runs a test.
    pub(crate) fn run(&self, test: &TestName) -> Outcome {
        let mut command = Command::new("timeout");
        command.args([LIMIT_S, env!("CARGO"), "test"]);
        let parts: Vec<_> = test.file.trim_end_matches(".rs").split('/').collect();
        match parts.as_slice() {
            // As a part of the whole workspace, so that what others made is built with the same features for all.
            ["tests", target, ..] | ["crates", _, "tests", target, ..] => {
                command.args(["--workspace", "--test", target])
            }
            ["crates", name, ..] => command.args(["--package", name, "--lib"]),
            _ => command.args(["--package", "model-provisioner", "--lib"]),
        };
        command.args(["--", "--include-ignored", &test.name]).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", self.root.with_file_name("build")).env("RUST_BACKTRACE", "0");
        let done = command.output().unwrap();
        let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        judge(&said[0], &said[1], &test.name)
    }
}

/// Reads from the output of cargo how a test ended.
fn judge(stdout: &str, stderr: &str, name: &str) -> Outcome {
    let ends = |how: &str| {
        let is_it = |line: &str| line.starts_with("test ") && line.contains(name) && line.ends_with(how);
        stdout.lines().any(is_it)
    };
    if ends("FAILED") && stdout.contains("panicked at") {
        Outcome::Failed
    } else if ends(" ok") && stdout.contains("test result: ok") {
        Outcome::Passed
    } else {
        let all = format!("{stderr}\n{stdout}");
        let lines: Vec<_> = all.lines().collect();
        Outcome::Broken(lines[lines.len().saturating_sub(12)..].join("\n"))
    }
}

fn remove_others(root: &Path, folder: &Path, names: &BTreeSet<&str>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        if path.is_dir() {
            remove_others(root, &path, names);
        } else if !names.contains(name) {
            fs_err::remove_file(path).unwrap();
        }
    }
}
