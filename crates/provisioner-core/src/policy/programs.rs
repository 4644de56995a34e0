//! Decides which programs may come along or run: the code that a model's configuration names, and a source's own command.

use serde::{Deserialize, Serialize};

use crate::denial::Denial;

/// Says whether a policy permits something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// The policy permits it.
    Allow,
    /// The policy denies it.
    Deny,
}

/// Returns the denial of program code that a model's configuration names.
pub(super) fn refuse_code(rule: Option<Permission>, path: &str) -> Option<Denial> {
    let denial = || {
        Denial::new(
            "remote_code",
            path,
            format!("the program code `{path}`, which the model's configuration names"),
        )
        .with_remedy("let the policy say `remote_code: allow`, where you trust the code")
    };
    (rule == Some(Permission::Deny)).then(denial)
}

/// Returns the denial of a program that would fetch a model.
pub(super) fn refuse_shell_out(rule: Option<Permission>, program: &str) -> Option<Denial> {
    let denial = || {
        Denial::new("shell_out", program, format!("running `{program}`"))
            .with_remedy("let the policy say `shell_out: allow`")
    };
    (rule == Some(Permission::Deny)).then(denial)
}
