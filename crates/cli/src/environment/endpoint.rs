//! Reads the address of the hub.

use super::variable::Variable;

/// Returns the address of the hub, for people to read.
pub(super) fn shown() -> String {
    let endpoint = given().unwrap_or_else(|| "https://huggingface.co".to_owned());
    // An operator who writes a password into the address does not want to see it here.
    match endpoint.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => endpoint,
    }
}

/// Returns the address that the operator gives.
pub(super) fn given() -> Option<String> {
    Variable::Endpoint.text().filter(|text| !text.trim().is_empty())
}
