//! Compares checked-in files with those that the sources generate.

use std::path::Path;

/// Checks that a checked-in file is what the sources generate now. With `UPDATE_GENERATED=1` in the environment it writes
/// the file instead.
///
/// # Panics
/// Where the file is not current.
#[expect(clippy::disallowed_methods, reason = "a switch for developers")]
pub fn assert_current(path: &Path, content: &[u8]) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs_err::write(path, content).expect("the file can be written");
    }
    let found = fs_err::read(path).unwrap_or_default();
    let is_current = found == content;
    assert!(
        is_current,
        "`{}` is not current; UPDATE_GENERATED=1 cargo test --workspace writes it",
        path.display()
    );
}
