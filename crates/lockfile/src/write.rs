//! Writes the text of a lock file, in one form.

use std::fmt::Write as _;

use provisioner_core::{LockFile, LockedFile};

use crate::read::VERSION;

/// Returns the text of a lock file: always the same for the same models.
///
/// ```
/// use provisioner_core::{ContentHasher, LockFile, LockedFile, LockedModel};
///
/// let sha256 = ContentHasher::new().finish().sha256;
/// let file = LockedFile { path: "a.gguf".parse()?, size: 0, sha256 };
/// let lock: LockFile = [LockedModel::new("mem:org/repo".parse()?, None, vec![file])?].into_iter().collect();
/// assert_eq!(
///     lockfile::write(&lock),
///     r#"version = 1
///
/// [[model]]
/// ref = "mem:org/repo"
/// dir_hash = "a994602ebf788df4bb50eba2014cdbda9fb185357cc6b63cd1cdd6e50d4cb26a"
/// files = [
///   { path = "a.gguf", size = 0, sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
/// ]
/// "#
/// );
/// # Ok::<(), provisioner_core::Error>(())
/// ```
pub fn write(lock: &LockFile) -> String {
    let mut text = format!("version = {VERSION}\n");
    for model in lock.models() {
        let _ = write!(text, "\n[[model]]\nref = {}\n", quoted(&model.reference().id()));
        if let Some(revision) = model.revision() {
            let _ = writeln!(text, "revision = {}", quoted(revision));
        }
        let _ = writeln!(text, "dir_hash = \"{}\"\nfiles = [", model.tree().hex());
        for LockedFile { path, size, sha256 } in model.files() {
            let (path, sha256) = (quoted(path.as_str()), sha256.hex());
            let _ = writeln!(text, "  {{ path = {path}, size = {size}, sha256 = \"{sha256}\" }},");
        }
        text.push_str("]\n");
    }
    text
}

/// Returns a text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for next in text.chars() {
        match next {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            next if next.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(next));
            }
            next => quoted.push(next),
        }
    }
    quoted.push('"');
    quoted
}
