//! Reads the environment for the library: by the names and rules of the field's other tools, so that a machine that is set up for
//! them needs nothing more.

mod endpoint;
mod expand;
mod hub;
#[cfg(feature = "hf-cli")]
mod hub_command;
mod local_caches;
mod mirrors;
mod program;
#[cfg(any(feature = "hf", feature = "hf-cli"))]
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
    /// Where the `hf` program is, or `huggingface-cli`.
    pub(crate) hf: Option<PathBuf>,
    /// The release of that program, once the command has asked it.
    pub(crate) hf_version: Option<String>,
    /// The address of the hub, without a password.
    pub(crate) endpoint: String,
    /// Where the token comes from that the command would send to the hub.
    pub(crate) token: Option<String>,
    /// Whether the operator keeps the command from the network.
    pub(crate) offline: bool,
}

/// Returns what the environment names for the network: the file of the token, and the file and the folders of the trusted certificates. No
/// document replaces a file of these, whether this run of the command reads it or a later one does.
pub(crate) fn inputs() -> Vec<PathBuf> {
    let files = [hub::token_file(), Variable::Certificates.folder()].into_iter().flatten();
    files.chain(Variable::CertificateFolders.folders()).collect()
}

/// Returns the path of the operator's policy file, where the environment names one.
pub(crate) fn policy_file() -> Option<PathBuf> {
    Variable::Policy.folder()
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read(offline: bool) -> Self {
        let (endpoint, token) = (endpoint::shown(), hub::token_origin());
        Self { hf: program::of_hub(), hf_version: None, endpoint, token, offline }
    }

    /// Returns the environment with the release of the `hf` program, which tells it by itself.
    #[cfg(feature = "hf-cli")]
    pub(crate) async fn with_hf_version(self) -> Self {
        let Some(program) = self.hf.clone() else { return self };
        Self { hf_version: hub_command::version(program).await, ..self }
    }

    /// Returns the environment as it is: this build runs no `hf`.
    #[cfg(not(feature = "hf-cli"))]
    #[expect(clippy::unused_async, reason = "with the `hf` command, it is asked")]
    pub(crate) async fn with_hf_version(self) -> Self {
        self
    }
}
