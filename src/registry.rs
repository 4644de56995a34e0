//! Finds the fetcher that answers for a scheme.

use provisioner_core::{CatalogRecord, HostPolicy, ModelFetcher, ModelRef};

use crate::error::{Error, Result};

/// Holds the fetchers of one provisioner.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    fetchers: Vec<Box<dyn ModelFetcher>>,
    mirrors: Vec<MirrorFetcher>,
}

/// Holds a fetcher that mirrors the source of its schemes.
#[derive(Debug)]
pub(crate) struct MirrorFetcher {
    /// The name by which messages and the provenance log call it.
    pub(crate) name: String,
    pub(crate) fetcher: Box<dyn ModelFetcher>,
}

impl Registry {
    /// Adds a fetcher. The last one added for a scheme answers for it.
    pub(crate) fn add(&mut self, fetcher: Box<dyn ModelFetcher>) {
        self.fetchers.insert(0, fetcher);
    }

    /// Adds a mirror behind those that were added before.
    pub(crate) fn add_mirror(&mut self, name: String, fetcher: Box<dyn ModelFetcher>) {
        self.mirrors.push(MirrorFetcher { name, fetcher });
    }

    /// Returns the mirrors of the source of a reference, in their order.
    pub(crate) fn mirrors_of(&self, reference: &ModelRef) -> Vec<usize> {
        let is_meant = |mirror: &MirrorFetcher| mirror.fetcher.schemes().contains(&reference.scheme());
        let all = self.mirrors.iter().enumerate();
        all.filter(|(_, mirror)| is_meant(mirror)).map(|(index, _)| index).collect()
    }

    /// Returns one of the mirrors.
    pub(crate) fn mirror(&self, index: usize) -> &MirrorFetcher {
        &self.mirrors[index]
    }

    /// Tells every fetcher which hosts it may ask.
    ///
    /// # Errors
    /// [`Error::Fetch`] for a fetcher that cannot keep to them.
    pub(crate) fn confine(&mut self, hosts: &HostPolicy) -> Result<()> {
        let mirrors = self.mirrors.iter_mut().map(|mirror| &mut mirror.fetcher);
        Ok(self.fetchers.iter_mut().chain(mirrors).try_for_each(|fetcher| fetcher.confine(hosts))?)
    }

    /// Returns the fetcher of a reference.
    pub(crate) fn find(&self, reference: &ModelRef) -> Result<&dyn ModelFetcher> {
        self.of_scheme(reference.scheme())
    }

    /// Returns the fetcher of a scheme.
    pub(crate) fn of_scheme(&self, scheme: &str) -> Result<&dyn ModelFetcher> {
        let found = self.fetchers.iter().find(|fetcher| fetcher.schemes().contains(&scheme));
        found.map(AsRef::as_ref).ok_or_else(|| Error::UnsupportedScheme {
            scheme: scheme.to_owned(),
            hint: self.what_would_bring(scheme),
        })
    }

    /// Returns a reference as its fetcher reads it: a text of a source that has repositories is one.
    ///
    /// # Errors
    /// [`CoreError::InvalidReference`](crate::CoreError::InvalidReference) for a text that does not fit the grammar then.
    pub(crate) fn read(&self, reference: &ModelRef) -> Result<ModelRef> {
        match reference {
            ModelRef::Other(other) if self.has_repositories(reference) => Ok(other.repository()?.into()),
            read => Ok(read.clone()),
        }
    }

    /// Returns the reference that a record is of. `None` where its id is not a reference.
    pub(crate) fn reference_of(&self, record: &CatalogRecord) -> Option<ModelRef> {
        self.read(&record.id.parse().ok()?).ok()
    }

    /// Returns a record as a refresh leaves it: see [`CatalogRecord::superseded`].
    pub(crate) fn superseded(&self, record: &CatalogRecord) -> Option<CatalogRecord> {
        record.superseded(&self.reference_of(record)?)
    }

    /// Returns whether the source of a reference has repositories.
    pub(crate) fn has_repositories(&self, reference: &ModelRef) -> bool {
        self.find(reference).is_ok_and(ModelFetcher::has_repositories)
    }

    /// Returns whether the fetcher of a reference says what each file is to an engine.
    pub(crate) fn states_roles(&self, reference: &ModelRef) -> bool {
        self.find(reference).is_ok_and(ModelFetcher::states_roles)
    }

    /// Returns whether a revision is one that the source of a reference pins: by its fetcher, or where there is none, by the scheme.
    pub(crate) fn pins(&self, reference: &ModelRef, revision: &str) -> bool {
        let by_scheme = |_| reference.may_be_at(revision);
        self.find(reference).map_or_else(by_scheme, |fetcher| fetcher.pins(reference, revision))
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
