//! Decides which schemes a reference may have.

use crate::{denial::Denial, reference::ModelRef};

/// Returns the denial of a reference's scheme.
pub(super) fn refuse(schemes: Option<&[String]>, reference: &ModelRef) -> Option<Denial> {
    let (schemes, scheme) = (schemes?, reference.scheme());
    let is_allowed = schemes.iter().any(|allowed| canonical(allowed) == scheme);
    (!is_allowed).then(|| {
        Denial::new("schemes", scheme, format!("the scheme `{scheme}`"))
            .with_remedy(format!("add `{scheme}` to the policy's `schemes`"))
    })
}

/// Returns the name of a scheme in ids: `file:` references have `local:` ids.
fn canonical(scheme: &str) -> &str {
    if scheme == "file" { "local" } else { scheme }
}
