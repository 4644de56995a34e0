//! Replaces placeholders in the arguments of a program: the path, the id, the handoff and the projector.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use model_provisioner::ResolvedModel;

use crate::output::failure::Failure;

const HANDOFF: &str = "{handoff}";
const PROJECTOR: &str = "{mmproj}";

/// Returns whether an argument names the handoff.
pub(super) fn has_handoff(text: &OsStr) -> bool {
    find(text.as_bytes(), HANDOFF).is_some()
}

/// Returns an argument with the placeholders replaced.
///
/// # Errors
/// Where the argument names a projector, and the model has none.
pub(super) fn fill(
    text: &OsString,
    model: &ResolvedModel,
    handoff: Option<&Path>,
) -> Result<OsString, Failure> {
    let mut bytes = text.as_bytes().to_vec();
    let projector = model.mmproj.as_deref().map(Path::as_os_str);
    if projector.is_none() && find(&bytes, PROJECTOR).is_some() {
        return Err(Failure::usage(format!("`{}` has no projector for {{mmproj}}", model.id)));
    }
    let values = [
        ("{path}", model.local_path.as_os_str()),
        ("{id}", OsStr::new(&model.id)),
        (HANDOFF, handoff.map(Path::as_os_str).unwrap_or_default()),
        (PROJECTOR, projector.unwrap_or_default()),
    ];
    // From left to right, so that a value which looks like a placeholder stays as it is.
    let mut out = Vec::new();
    while let Some((at, name, value)) = values
        .iter()
        .filter_map(|(name, value)| Some((find(&bytes, name)?, name, value)))
        .min_by_key(|(at, ..)| *at)
    {
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(value.as_bytes());
        bytes.drain(..at + name.len());
    }
    out.extend_from_slice(&bytes);
    Ok(OsString::from_vec(out))
}

fn find(text: &[u8], placeholder: &str) -> Option<usize> {
    text.windows(placeholder.len()).position(|window| window == placeholder.as_bytes())
}
