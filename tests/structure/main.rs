//! The structure of the sources: which file imports which, how long a file is, and where a type's methods stand.
//!
//! These tests read the sources and build nothing of them. `checker.rs` tries the checker itself on small invented trees.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod checker;
mod modules;
mod parse;
mod rules;

use std::path::Path;

use modules::Tree;

/// The files and folders of `src/` in the order in which a model goes through them: an earlier one imports no later one. The catalog
/// comes first, because the first step reads it and the last one writes it.
const STEPS: [&str; 25] = [
    "error",
    "config",
    "signing",
    "cache_dir",
    "registry",
    "single_flight",
    "context",
    "store_lock",
    "retry",
    "own_runtime",
    "catalog",
    "resolve",
    "space",
    "stage",
    "verify",
    "commit",
    "ensure",
    "handoff",
    "attest",
    "provision",
    "upkeep",
    "exchange",
    "preview",
    "provisioner",
    "builder",
];

/// The most lines that a file has.
const MOST_LINES: usize = 450;

/// Reads every Rust file of the repository.
fn sources() -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = testkit::sources::files(root, ".rs");
    files.into_iter().map(|path| (path.clone(), fs_err::read_to_string(root.join(path)).unwrap())).collect()
}

/// Fails with all that breaks a rule, one to a line.
fn none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}\n", broken.join("\n"));
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    none(&rules::circles(&sources()), "files import each other in a circle");
}

#[test]
fn no_step_imports_a_later_one() {
    none(&rules::backward(&sources(), Path::new("src"), &STEPS), "an earlier step imports a later one");
}

#[test]
fn no_file_is_too_long() {
    none(&rules::too_long(&sources(), MOST_LINES), &format!("files have more than {MOST_LINES} lines"));
}

#[test]
fn the_methods_of_a_provisioner_stand_together() {
    let mut strewn = rules::strewn(&sources(), Path::new("src"), "ModelProvisioner");
    // The constructors need the builder, which needs the type; and one file has no room for all calls.
    strewn
        .retain(|told| !told.starts_with("src/builder.rs") && !told.starts_with("src/provisioner/upkeep.rs"));
    none(&strewn, "methods of `ModelProvisioner` stand outside of the files for them");
}
