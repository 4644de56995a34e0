//! Decides which formats a file may have.

use crate::{
    denial::{Denial, DenialKind},
    format::Format,
};

/// Returns the denial of a file's format. Without a rule, formats that can run code are denied.
pub(super) fn refuse(formats: Option<&[Format]>, path: &str, format: Format) -> Option<Denial> {
    let name = format.as_str();
    let denial = || Denial::new("formats", name, format!("the format `{name}` of `{path}`"));
    match formats {
        None if format.runs_code() => Some(denial().of_kind(DenialKind::RunsCode)),
        Some(formats) if !format.is_among(formats) => {
            Some(denial().with_remedy(format!("add `{name}` to the policy's `formats`")))
        }
        _ => None,
    }
}
