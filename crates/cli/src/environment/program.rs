//! Finds programs.

use std::{env::split_paths, os::unix::fs::PermissionsExt, path::PathBuf};

use super::variable::Variable;

/// Returns where a program is, by the search path.
fn find(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    split_paths(&Variable::SearchPath.value()?).map(|folder| folder.join(name)).find(is_program)
}

/// Returns where the Hub's own command is: `hf`, or else `huggingface-cli`.
pub(super) fn of_hub() -> Option<PathBuf> {
    ["hf", "huggingface-cli"].into_iter().find_map(find)
}
