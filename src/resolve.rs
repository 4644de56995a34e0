//! Goes from a reference to a manifest, or to the model that is present already.

pub(crate) mod admission;
pub(crate) mod local_code;
mod local_folder;
pub(crate) mod lockfile;
pub(crate) mod manifest;
pub(crate) mod mirrors;
pub(crate) mod moved;
pub(crate) mod presence;
pub(crate) mod recall;
pub(crate) mod reference;
pub(crate) mod signature;
pub(crate) mod signature_rules;
#[cfg(feature = "signing")]
pub(crate) mod signed;
