//! Reads the environment for the library: by the names and rules of the field's other tools, so that a machine that is set up for
//! them needs nothing more.

mod expand;
mod hub;
mod local_caches;
mod mirrors;
mod program;
#[cfg(feature = "hf")]
mod token;
mod variable;

use std::path::PathBuf;

pub(crate) use self::{
    hub::{is_offline, with_hub},
    local_caches::with_local_caches,
    mirrors::with_mirrors,
    variable::Variable,
};

/// Holds what the command reads of the machine around the cache.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Where the `hf` program is.
    pub(crate) hf: Option<PathBuf>,
    /// The address of the hub, without a password.
    pub(crate) endpoint: String,
    /// Where the token comes from that the command would send to the hub.
    pub(crate) token: Option<String>,
    /// Whether the operator keeps the command from the network.
    pub(crate) offline: bool,
}

/// Returns the path of the operator's policy file, where the environment names one.
pub(crate) fn policy_file() -> Option<PathBuf> {
    Variable::Policy.folder()
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read(offline: bool) -> Self {
        Self { hf: program::find("hf"), endpoint: hub::endpoint(), token: hub::token_origin(), offline }
    }
}
