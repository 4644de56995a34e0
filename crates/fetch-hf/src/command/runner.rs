//! Runs the command with its environment, and explains its failures.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use provisioner_core::FetchError;

use super::{
    environment::environment,
    install::{explained, missing},
    outcome::check,
    scratch::Workplace,
    settings::HubCommandSettings,
    supervisor::{Finished, Job, run},
};

/// Runs the command of some settings.
#[derive(Debug)]
pub(super) struct Runner {
    settings: HubCommandSettings,
}

impl Runner {
    /// Returns a runner of the command that the settings name.
    pub(super) fn new(settings: HubCommandSettings) -> Self {
        Self { settings }
    }

    /// Fails where the command is not on this machine.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        self.settings.program.as_ref().map(drop).ok_or_else(|| self.missing())
    }

    /// Returns the folders in which the Hub's own tools keep their downloads.
    pub(super) fn caches(&self) -> Vec<PathBuf> {
        self.settings.caches.clone()
    }

    /// Returns the name of the command, for messages.
    pub(super) fn name(&self) -> String {
        self.settings.name()
    }

    /// Runs the command, and measures its own folder.
    pub(super) async fn run(
        &self,
        arguments: Vec<OsString>,
        place: &Workplace,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Finished, FetchError> {
        self.watch(arguments, place, place.folder(), progress).await
    }

    /// Runs the command, and measures a folder meanwhile.
    pub(super) async fn watch(
        &self,
        arguments: Vec<OsString>,
        place: &Workplace,
        folder: &Path,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Finished, FetchError> {
        let program = self.settings.program.clone().ok_or_else(|| self.missing())?;
        let shown: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        tracing::debug!("`{} {}` runs", self.name(), shown.join(" "));
        let job = Job {
            program,
            name: self.name(),
            arguments,
            environment: environment(&self.settings, &place.home()),
            folder: folder.to_owned(),
            silence: self.settings.silence,
            token: self.settings.token.clone(),
        };
        let finished = run(job, progress).await?;
        check(&self.name(), self.settings.silence, finished)
            .map_err(|error| explained(error, self.settings.os_release.as_deref()))
    }

    fn missing(&self) -> FetchError {
        missing(self.settings.os_release.as_deref())
    }

    /// Returns an error without the token.
    pub(super) fn redacted(&self, error: FetchError) -> FetchError {
        match &self.settings.token {
            Some(token) => token.redact_error(error),
            None => error,
        }
    }
}
