//! Each rule of a policy, for a foreign source.

use std::sync::Arc;

use model_provisioner::{
    ByteRange, Error, Expectation, FetchError, Manifest, ManifestFile, ModelFetcher, ModelProvisioner, Need,
    Opened, PolicyFile, RelativePath, ResolveRequest, ScanStatus, SourceFacts, async_trait,
};

use crate::{
    custom_fetcher::MemoryFetcher,
    fixture::{FILE, Foreign, file},
};

/// The same source, which tells more of its models.
#[derive(Debug)]
struct Telling(MemoryFetcher);

#[async_trait]
impl ModelFetcher for Telling {
    fn schemes(&self) -> &'static [&'static str] {
        self.0.schemes()
    }

    fn uses_network(&self) -> bool {
        false
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        let mut facts = SourceFacts::default();
        facts.license = Some("mit".to_owned());
        if request.needs.scans > Need::No {
            facts.scans.insert(RelativePath::new("tiny.gguf").unwrap(), ScanStatus::Unsafe);
        }
        Ok(self.0.resolve(request).await?.with_source(Some(facts)))
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        self.0.open(file, range).await
    }
}

async fn ensure(foreign: &Foreign, source: impl ModelFetcher, rules: &str) -> Option<Error> {
    let path = foreign.path("policy.yaml");
    fs_err::write(&path, format!("version: 1\n{rules}\n")).unwrap();
    let builder = ModelProvisioner::builder(foreign.cache()).fetcher(source);
    let provisioner = builder.policy_engine(Arc::new(PolicyFile::read(path))).build().unwrap();
    provisioner.ensure(&file(), &Expectation::none()).await.err()
}

#[tokio::test]
async fn each_rule_binds_a_foreign_source() {
    let foreign = Foreign::new();
    foreign.publish(1);
    for (rules, denied) in [
        ("network: deny", None),
        ("schemes: [mem]", None),
        ("schemes: [hf]", Some("schemes")),
        ("repos: [\"mem:org/*\"]", None),
        ("repos: [\"hf:org/*\"]", Some("repos")),
        ("licenses: [mit]", None),
        ("licenses: [apache-2.0]", Some("licenses")),
        ("formats: [gguf]", None),
        ("formats: [safetensors]", Some("formats")),
        ("scan: { deny: [suspicious] }", None),
        ("scan: { deny: [unsafe] }", Some("scan")),
        ("max_bytes: 5000", None),
        ("max_bytes: 4999", Some("max_bytes")),
        ("max_files: 1", None),
        ("max_files: 0", Some("max_files")),
        ("remote_code: deny", None),
        ("shell_out: deny", None),
    ] {
        for is_present in [false, true] {
            if !is_present {
                let _ = fs_err::remove_dir_all(foreign.cache());
            } else if denied.is_some() {
                // The source told the scanners' results with the record.
                let _ = fs_err::remove_dir_all(foreign.cache());
                let rules = "scan: { deny: [suspicious] }";
                assert!(ensure(&foreign, Telling(foreign.source.clone()), rules).await.is_none());
            }
            let error = ensure(&foreign, Telling(foreign.source.clone()), rules).await;
            let rule = error
                .map(|error| error.denial().unwrap_or_else(|| panic!("{rules}: {error}")).rule.to_string());
            assert_eq!(rule.as_deref(), denied, "{rules}, present: {is_present}");
        }
    }
}

#[tokio::test]
async fn a_source_that_tells_no_licence_is_denied_by_the_rule() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let error = ensure(&foreign, foreign.source.clone(), "licenses: [mit]").await.unwrap();
    assert_eq!(error.denial().unwrap().value, "unknown");
    assert!(error.to_string().contains(FILE), "{error}");
    assert!(ensure(&foreign, foreign.source.clone(), "schemes: [mem]").await.is_none());
}

#[tokio::test]
async fn a_file_without_a_result_is_unscanned_to_the_rule() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let deny = "scan: { deny: [unscanned] }";
    for is_present in [false, true] {
        let error = ensure(&foreign, foreign.source.clone(), deny).await.unwrap();
        assert_eq!(error.denial().unwrap().value, "unscanned", "present: {is_present}");
        let allowed = "scan: { deny: [unsafe] }";
        assert!(ensure(&foreign, foreign.source.clone(), allowed).await.is_none());
    }
}
