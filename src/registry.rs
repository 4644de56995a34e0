//! Finds the fetcher that answers for a scheme.

use provisioner_core::{HostPolicy, ModelFetcher, ModelRef};

use crate::error::{Error, Result};

/// Holds the fetchers of one provisioner.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    fetchers: Vec<Box<dyn ModelFetcher>>,
}

impl Registry {
    /// Adds a fetcher. The last one added for a scheme answers for it.
    pub(crate) fn add(&mut self, fetcher: Box<dyn ModelFetcher>) {
        self.fetchers.insert(0, fetcher);
    }

    /// Tells every fetcher which hosts it may ask.
    ///
    /// # Errors
    /// [`Error::Fetch`] for a fetcher that cannot keep to them.
    pub(crate) fn confine(&mut self, hosts: &HostPolicy) -> Result<()> {
        Ok(self.fetchers.iter_mut().try_for_each(|fetcher| fetcher.confine(hosts))?)
    }

    /// Returns the fetcher of a reference.
    pub(crate) fn find(&self, reference: &ModelRef) -> Result<&dyn ModelFetcher> {
        let scheme = reference.scheme();
        let found = self.fetchers.iter().find(|fetcher| fetcher.schemes().contains(&scheme));
        found.map(AsRef::as_ref).ok_or_else(|| Error::UnsupportedScheme {
            scheme: scheme.to_owned(),
            hint: self.what_would_bring(scheme),
        })
    }

    fn what_would_bring(&self, scheme: &str) -> String {
        let later = |what: &str, feature: &str| {
            format!("{what} comes with a later release, as cargo feature `{feature}`")
        };
        match scheme {
            "hf" => "build with the cargo feature `hf`, and add a `HubFetcher`".to_owned(),
            "http" | "https" => later("a plain web server", "https"),
            "s3" | "gs" | "az" => later("an object store", "object-store"),
            "oci" | "docker" | "ollama" => later("a registry", "oci"),
            _ => {
                let mut known: Vec<_> =
                    self.fetchers.iter().flat_map(|fetcher| fetcher.schemes()).copied().collect();
                known.sort_unstable();
                known.dedup();
                format!(
                    "this build knows: {}; a local file with a colon in its name is written `./…`",
                    known.join(", ")
                )
            }
        }
    }
}
