//! A foreign source with one model, at a revision that moves.

use std::sync::{Arc, Mutex};

use model_provisioner::{
    ByteRange, Bytes, Entry, Expectation, FetchError, FetchErrorKind, ImportRequest, Lifecycle, Locator,
    Manifest, ManifestFile, ModelFetcher, ModelProvisioner, ModelRef, Network, Opened, Policy, RelativePath,
    RemoteFile, ResolveRequest, async_trait,
};
use testkit::TINY_GGUF;

use crate::fixture::{Foreign, code};

/// Keeps one model in memory, at a revision that can be moved.
#[derive(Clone, Debug, Default)]
struct MemFetcher {
    revision: Arc<Mutex<String>>,
}

impl MemFetcher {
    fn at(revision: &str) -> Self {
        Self { revision: Arc::new(Mutex::new(revision.to_owned())) }
    }

    fn move_to(&self, revision: &str) {
        revision.clone_into(&mut self.revision.lock().unwrap());
    }
}

#[async_trait]
impl ModelFetcher for MemFetcher {
    fn schemes(&self) -> &'static [&'static str] {
        &["mem", "oci"]
    }

    fn has_repositories(&self) -> bool {
        true
    }

    fn pins(&self, _: &ModelRef, revision: &str) -> bool {
        revision.starts_with('v')
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let invalid =
            |error: model_provisioner::CoreError| FetchError::new(FetchErrorKind::Invalid, error.to_string());
        let current = self.revision.lock().unwrap().clone();
        let revision =
            request.revision.as_deref().or(request.reference.revision()).unwrap_or(&current).to_owned();
        let file = ManifestFile {
            path: RelativePath::new("a.gguf").map_err(invalid)?,
            size: TINY_GGUF.len() as u64,
            digest: None,
            locator: Locator::Streamed(RemoteFile::new("a").with_state(TINY_GGUF.to_vec())),
        };
        let manifest =
            Manifest::new(request.reference.clone(), vec![file], Entry::Folder).map_err(invalid)?;
        Ok(manifest.at_revision(revision))
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        let Locator::Streamed(remote) = &file.locator else { panic!("{file:?}") };
        Opened::of_bytes(&Bytes::from(remote.state::<Vec<u8>>().unwrap().clone()), range)
    }
}

fn provisioner(bench: &Foreign, cache: &str, source: &MemFetcher, policy: Policy) -> ModelProvisioner {
    let policy = Policy { network: Network::Allow, ..policy };
    ModelProvisioner::builder(bench.path(cache)).fetcher(source.clone()).policy(policy).build().unwrap()
}

#[tokio::test]
async fn a_model_of_a_foreign_source_is_refreshed_exported_imported_and_removed() {
    let (bench, source) = (Foreign::new(), MemFetcher::at("v1"));
    let provisioner_a = provisioner(&bench, "a", &source, Policy::default());
    let reference: ModelRef = "mem:org/repo".parse().unwrap();
    let first = provisioner_a.ensure(&reference, &Expectation::none()).await.unwrap();
    assert_eq!((first.revision.as_deref(), first.cached), (Some("v1"), false));
    assert!(first.local_path.ends_with("models/mem/org/repo/v1/all"), "{first:?}");
    assert!(provisioner_a.plan(&reference).await.unwrap().download_bytes() == 0);

    source.move_to("v2");
    assert_eq!(
        provisioner_a.ensure(&reference, &Expectation::none()).await.unwrap().revision.as_deref(),
        Some("v1")
    );
    let moved = provisioner_a.refresh(&reference, &Expectation::none()).await.unwrap();
    assert_eq!(moved.revision.as_deref(), Some("v2"));
    let old = provisioner_a.show(&"mem:org/repo@v1".parse().unwrap()).await.unwrap().record;
    assert_eq!((old.lifecycle, old.local_path), (Lifecycle::Retired, first.local_path));

    let exported = bench.path("exported");
    provisioner_a.export(&reference, &exported).await.unwrap();
    let provisioner_b = provisioner(&bench, "b", &source, Policy::default());
    let imported = provisioner_b.import(&ImportRequest::new(&exported)).await.unwrap();
    assert_eq!((imported.id.as_str(), imported.revision.as_deref()), ("mem:org/repo", Some("v2")));
    assert!(provisioner_b.ensure(&reference, &Expectation::none()).await.unwrap().cached);
    provisioner_b.remove(&reference).await.unwrap();
    assert!(!provisioner_b.exists(&reference).await.unwrap());
}

#[tokio::test]
async fn a_policy_binds_a_foreign_source_by_repository_and_by_host() {
    let (bench, source) = (Foreign::new(), MemFetcher::at("v1"));
    let asked = async |repos: &[&str], id: &str| {
        let repos = Some(repos.iter().map(|pattern| (*pattern).to_owned()).collect());
        let provisioner = provisioner(&bench, "cache", &source, Policy { repos, ..Policy::default() });
        provisioner.ensure(&id.parse().unwrap(), &Expectation::none()).await
    };
    assert_eq!(code(asked(&["org/*"], "mem:org/repo").await), "denied");
    let denied = asked(&["hf:a/*"], "mem:org/repo@v1/a.gguf").await.unwrap_err();
    assert_eq!(denied.to_string(), "policy does not allow the repository `mem:org/repo`");
    assert_eq!(denied.hint().unwrap().to_string(), "add `mem:org/repo` to the policy's `repos`");
    asked(&["mem:org/*"], "mem:org/repo").await.unwrap();
    let hosts = Some(vec!["example.org".to_owned()]);
    let policy = Policy { network: Network::Allow, hosts, ..Policy::default() };
    let builder = ModelProvisioner::builder(bench.cache()).fetcher(source).policy(policy);
    let refused = builder.build().unwrap_err();
    assert_eq!(refused.code().as_str(), "denied");
    assert_eq!(
        refused.to_string(),
        "policy does not allow a source of `mem:`, `oci:` that keeps to no list of hosts"
    );
}

#[tokio::test]
async fn a_revision_that_its_source_never_pins_is_not_imported() {
    let (bench, source) = (Foreign::new(), MemFetcher::at("odd"));
    let here = provisioner(&bench, "a", &source, Policy::default());
    here.ensure(&"mem:org/repo".parse().unwrap(), &Expectation::none()).await.unwrap();
    let exported = bench.path("exported");
    here.export(&"mem:org/repo".parse().unwrap(), &exported).await.unwrap();
    let there = provisioner(&bench, "b", &source, Policy::default());
    let refused = there.import(&ImportRequest::new(&exported)).await.unwrap_err();
    assert!(refused.to_string().contains("`odd` is neither a commit nor another revision"), "{refused}");
    assert!(there.list().await.unwrap().models.is_empty());
    // Without its fetcher, every revision counts that a reference can name.
    let without = ModelProvisioner::file_only(bench.path("c")).unwrap();
    let imported = without.import(&ImportRequest::new(&exported)).await.unwrap();
    assert_eq!(imported.revision.as_deref(), Some("odd"));
}

#[tokio::test]
async fn a_scheme_whose_text_is_its_fetchers_may_have_repositories() {
    let (bench, source) = (Foreign::new(), MemFetcher::at("v1"));
    let here = provisioner(&bench, "a", &source, Policy::default());
    let reference: ModelRef = "oci:org/repo".parse().unwrap();
    assert!(reference.repository().is_none());
    let first = here.ensure(&reference, &Expectation::none()).await.unwrap();
    assert!(first.local_path.ends_with("models/oci/org/repo/v1/all"), "{first:?}");
    source.move_to("v2");
    here.refresh(&reference, &Expectation::none()).await.unwrap();
    let old = here.show(&"oci:org/repo@v1".parse().unwrap()).await.unwrap().record;
    assert_eq!((old.lifecycle, &old.local_path), (Lifecycle::Retired, &first.local_path));
    // The catalog is lost, and made again from the views.
    fs_err::remove_dir_all(bench.path("a").join("catalog-v1")).unwrap();
    let again = provisioner(&bench, "a", &source, Policy::default());
    let mut ids: Vec<_> =
        again.list().await.unwrap().models.into_iter().map(|model| model.record.id).collect();
    ids.sort();
    assert_eq!(ids, ["oci:org/repo", "oci:org/repo@v1"]);
}
