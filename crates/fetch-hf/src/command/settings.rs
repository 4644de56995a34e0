//! Says which command the fetcher runs, against which hub, and with what.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use provisioner_core::Token;

use super::variables::passed;

/// The name of the command, by which a policy allows it. Older releases call it `huggingface-cli`.
pub(super) const PROGRAM: &str = "hf";

/// How long the command may be silent, unless the caller says otherwise: see [`HubCommandSettings::timeout`].
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How many timeouts the command may be silent for. It writes a file in pieces of 10 MiB, and a slow connection takes a while to fill
/// one.
const SILENT_TIMEOUTS: u32 = 4;

/// Says which command a [`HubCommandFetcher`](crate::HubCommandFetcher) runs, against which hub, and with what.
///
/// ```
/// use fetch_hf::{HubCommandFetcher, HubCommandSettings, Token};
///
/// let settings = HubCommandSettings::new(Some("/usr/bin/hf".into())).token(Token::new("hf_…"));
/// let fetcher = HubCommandFetcher::new(settings);
/// ```
#[derive(Clone, Debug)]
pub struct HubCommandSettings {
    pub(super) program: Option<PathBuf>,
    pub(super) endpoint: Option<String>,
    pub(super) token: Option<Token>,
    pub(super) silence: Duration,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(crate) caches: Vec<PathBuf>,
    pub(super) os_release: Option<String>,
}

impl HubCommandSettings {
    /// Returns the settings for a command at a path. `None` where the caller found none: every call then fails with
    /// [`FetchErrorKind::ToolMissing`](provisioner_core::FetchErrorKind::ToolMissing), and says how this machine installs it.
    pub fn new(program: Option<PathBuf>) -> Self {
        Self {
            program,
            endpoint: None,
            token: None,
            silence: DEFAULT_TIMEOUT * SILENT_TIMEOUTS,
            environment: Vec::new(),
            caches: Vec::new(),
            os_release: None,
        }
    }

    /// Sets the address of the hub. By default the command asks `https://huggingface.co`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets the token, which the command receives in its environment. Without one it asks anonymously, whatever token a login
    /// left on this machine.
    #[must_use]
    pub fn token(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    /// Sets the timeout of a connection. The fetcher ends a command that neither writes nor prints anything for four times as long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.silence = timeout.saturating_mul(SILENT_TIMEOUTS);
        self
    }

    /// Gives the environment of the caller. The command receives what it needs of it: the search path, the home folder, the language,
    /// proxies, certificates, and the folders of Python. All else stays out.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.environment = passed(variables);
        self
    }

    /// Names the folders in which the Hub's own tools keep their downloads. Where the caller may not ask the hub, the fetcher resolves
    /// a reference from the listings there.
    #[must_use]
    pub fn caches(mut self, caches: Vec<PathBuf>) -> Self {
        self.caches = caches;
        self
    }

    /// Gives the text of `os-release`, by which a hint says how to install the command. By default the fetcher reads that of this
    /// machine.
    #[must_use]
    pub fn os_release(mut self, text: impl Into<String>) -> Self {
        self.os_release = Some(text.into());
        self
    }

    /// Returns the file name of the command.
    pub(super) fn name(&self) -> String {
        let name = self.program.as_deref().and_then(Path::file_name);
        name.map_or_else(|| PROGRAM.to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
