//! Compares formats by what a policy must name.

use provisioner_core::Format;

/// Returns the worse of two formats: the one that a policy must name. `None` stands for a format that runs no code.
pub(super) fn worst(one: Option<Format>, other: Option<Format>) -> Option<Format> {
    let rank = |format: &Option<Format>| match format {
        Some(Format::Pickle) => 5,
        Some(Format::Archive) => 4,
        Some(Format::TorchScript) => 3,
        Some(Format::Keras) => 2,
        Some(_) => 1,
        None => 0,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// Returns a format where it runs code, so that that of a member becomes that of its archive.
pub(super) fn dangerous(format: Format) -> Option<Format> {
    format.runs_code().then_some(format)
}
