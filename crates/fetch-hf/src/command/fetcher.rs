//! Answers for `hf:` references by the Hub's own command.

use std::path::Path;

use async_trait::async_trait;
use provisioner_core::{
    ByteRange, DownloadRequest, FetchError, FetchErrorKind, HostPolicy, Manifest, ManifestFile, ModelFetcher,
    ModelRef, Opened, ResolveRequest,
};

use super::{
    arguments::{runs, to_download},
    listing::{list, recall},
    runner::Runner,
    scratch::{Workplace, clear_dead_halves, failed},
    settings::{HubCommandSettings, PROGRAM},
};
#[cfg(feature = "native")]
use crate::fetcher::HubFetcher;
use crate::request::{SCHEME, blocking};

/// Answers for `hf:` references by the Hub's own command.
///
/// With [`listed_by`](Self::listed_by), the native client lists the files, and the command downloads them. Otherwise the command lists
/// them too: see [`HubCommandSettings`] for what it needs.
///
/// The command keeps to no list of hosts, so a policy with `hosts` denies it. It has no limit of bytes in a second.
#[derive(Debug)]
pub struct HubCommandFetcher {
    runner: Runner,
    #[cfg(feature = "native")]
    native: Option<HubFetcher>,
    is_confined: bool,
}

impl HubCommandFetcher {
    /// Returns a fetcher that runs the command of the settings. It starts no process before its first request.
    pub fn new(settings: HubCommandSettings) -> Self {
        Self {
            runner: Runner::new(settings),
            #[cfg(feature = "native")]
            native: None,
            is_confined: false,
        }
    }

    /// Lets the native client list the files, and open parts of them for a look at their headers. Where it does not reach the hub, the
    /// command lists them.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn listed_by(mut self, native: HubFetcher) -> Self {
        self.native = Some(native);
        self
    }

    /// Returns the release of the command, such as `2.4.0`.
    ///
    /// # Errors
    /// Why the command does not tell it; [`FetchErrorKind::ToolMissing`] where there is none.
    pub async fn version(&self) -> Result<String, FetchError> {
        let place = blocking(|| Workplace::make(None)).await?;
        let said = self.runner.run(vec!["version".into()], &place, &|_| ()).await?.printed;
        release_in(&said).ok_or_else(|| {
            FetchError::new(FetchErrorKind::Invalid, format!("`{}` tells no release", self.runner.name()))
        })
    }

    /// Fails where the command may not run, or is not there.
    fn check(&self) -> Result<(), FetchError> {
        if self.is_confined {
            let message = "policy does not allow the `hf` command, which keeps to no list of hosts";
            return Err(FetchError::new(FetchErrorKind::Denied, message)
                .with_hint("fetch by the native client, or leave the policy's `hosts` out"));
        }
        self.runner.check()
    }

    /// Downloads files, run by run.
    async fn fetch(&self, request: &DownloadRequest<'_>) -> Result<(), FetchError> {
        let ModelRef::Repo(hub) = request.manifest.reference() else {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                "the `hf` command fetches from the hub alone",
            ));
        };
        let Some(commit) = request.manifest.revision() else {
            return Err(FetchError::new(FetchErrorKind::Invalid, "the listing names no commit"));
        };
        let (scratch, files) = (request.scratch.clone(), request.scratch.files());
        let (at, listed) = (files.clone(), request.files.to_vec());
        let (place, absent) = blocking(move || {
            fs_err::create_dir_all(&at).map_err(failed)?;
            let absent = listed.into_iter().filter(|file| !is_there(&at, file)).collect::<Vec<_>>();
            Ok((Workplace::make(Some(&scratch))?, absent))
        })
        .await?;
        for names in runs(absent.iter().map(|file| file.path.as_str())) {
            let arguments = to_download(hub.repo(), commit, Some(&files), &names);
            self.runner.watch(arguments, &place, request.scratch.path(), request.progress).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ModelFetcher for HubCommandFetcher {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn has_repositories(&self) -> bool {
        true
    }

    fn states_roles(&self) -> bool {
        true
    }

    fn program(&self) -> Option<&'static str> {
        Some(PROGRAM)
    }

    fn confine(&mut self, hosts: &HostPolicy) -> Result<(), FetchError> {
        // A provisioner still serves what is present, so only a request fails.
        self.is_confined = hosts.is_limited();
        #[cfg(feature = "native")]
        self.native.as_mut().map_or(Ok(()), |native| native.confine(hosts))?;
        Ok(())
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        self.check()?;
        if let Some(scratch) = request.scratch.clone() {
            blocking(move || clear_dead_halves(&scratch)).await?;
        }
        #[cfg(feature = "native")]
        if let Some(native) = &self.native {
            match native.resolve(request).await {
                Err(error) if error.kind == FetchErrorKind::Unreachable => {
                    tracing::warn!("`{PROGRAM}` is asked for the listing: {error}");
                }
                listed => return listed,
            }
        }
        list(&self.runner, request).await.map_err(|error| self.runner.redacted(error))
    }

    async fn resolve_offline(&self, request: &ResolveRequest) -> Result<Option<Manifest>, FetchError> {
        #[cfg(feature = "native")]
        if let Some(native) = &self.native {
            return native.resolve_offline(request).await;
        }
        recall(self.runner.caches(), request).await
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        #[cfg(feature = "native")]
        if let Some(native) = &self.native {
            return native.open(file, range).await;
        }
        let (path, range) = (&file.path, range.start);
        let message = format!("the `hf` command opens no part of a file, such as byte {range} of `{path}`");
        Err(FetchError::new(FetchErrorKind::Unsupported, message)
            .with_hint("ensure the model, and look at the files that are then on this machine"))
    }

    async fn download(&self, request: &DownloadRequest<'_>) -> Result<(), FetchError> {
        self.check()?;
        self.fetch(request).await.map_err(|error| self.runner.redacted(error))
    }
}

/// Returns whether an earlier run has left a file whole, as far as its size tells. The caller hashes it.
fn is_there(files: &Path, file: &ManifestFile) -> bool {
    let found = fs_err::symlink_metadata(files.join(&file.path));
    found.is_ok_and(|found| found.is_file() && found.len() == file.size)
}

/// Returns the first text that is a release, such as `2.4.0`.
fn release_in(printed: &str) -> Option<String> {
    let is_release = |word: &&str| {
        word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()) && word.len() <= 32
    };
    let mut words =
        printed.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    words.find(is_release).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_tells_its_number() {
        let check = |printed: &str, expected: Option<&str>| {
            assert_eq!(release_in(printed).as_deref(), expected, "{printed}");
        };
        check("huggingface_hub version: 0.34.6\n", Some("0.34.6"));
        check("\u{1b}[32m✓ hf version\u{1b}[0m\n  version: 2.4.0\n", Some("2.4.0"));
        check("2.5.0.rc1", Some("2.5.0.rc1"));
        check("no release", None);
    }
}
