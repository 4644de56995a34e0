//! Generates `docs/cli.md` and the schemas of the documents, and compares them with the files of the repository.

mod environment;
mod fields;
mod options;
mod schemas;
mod statuses;

use std::path::PathBuf;

use testkit::assert_current;

const HEAD: &str = "\
# The command: reference

Generated from the code; `UPDATE_GENERATED=1 cargo test -p model-provisioner-cli --bins` writes it anew.

A result goes to standard output, and everything else to standard error. Start an engine only when the exit status is 0: the
command leaves the handoff of an earlier run where it is.

";

/// Returns the path of a file of the repository.
fn at_root(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

#[test]
fn the_reference_of_the_command_is_current() {
    let parts = [
        HEAD.to_owned(),
        options::section(),
        environment::section(),
        statuses::section(),
        schemas::section(),
    ];
    assert_current(&at_root("docs/cli.md"), parts.concat().as_bytes());
}

#[test]
fn the_schemas_of_the_documents_are_current() {
    for document in schemas::documents() {
        let mut text = serde_json::to_vec_pretty(&document.schema).unwrap();
        text.push(b'\n');
        assert_current(&at_root(&document.path()), &text);
    }
}
