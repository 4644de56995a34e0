//! The policy's hosts, for a foreign source that uses a network.

use model_provisioner::{
    ByteRange, ErrorCode, Expectation, FetchError, HostPolicy, Manifest, ManifestFile, ModelFetcher,
    ModelProvisioner, Network, Opened, Policy, ResolveRequest, async_trait,
};

use crate::{
    custom_fetcher::MemoryFetcher,
    fixture::{Foreign, file},
};

/// The same source behind a network, as far as it says. It keeps to no list of hosts.
#[derive(Debug)]
struct Remote(MemoryFetcher);

#[async_trait]
impl ModelFetcher for Remote {
    fn schemes(&self) -> &'static [&'static str] {
        self.0.schemes()
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        self.0.resolve(request).await
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        self.0.open(file, range).await
    }
}

/// The same source at one host. It asks before each request whether it may speak to that.
#[derive(Debug)]
struct Confined {
    source: MemoryFetcher,
    host: &'static str,
    hosts: Option<HostPolicy>,
}

impl Confined {
    fn check(&self) -> Result<(), FetchError> {
        self.hosts.as_ref().unwrap().check(self.host)
    }
}

#[async_trait]
impl ModelFetcher for Confined {
    fn schemes(&self) -> &'static [&'static str] {
        self.source.schemes()
    }

    fn confine(&mut self, hosts: &HostPolicy) -> Result<(), FetchError> {
        self.hosts = Some(hosts.clone());
        Ok(())
    }

    async fn resolve(&self, request: &ResolveRequest) -> Result<Manifest, FetchError> {
        self.check()?;
        self.source.resolve(request).await
    }

    async fn open(&self, file: &ManifestFile, range: ByteRange) -> Result<Opened, FetchError> {
        self.check()?;
        self.source.open(file, range).await
    }
}

fn build(foreign: &Foreign, policy: Policy) -> Result<ModelProvisioner, model_provisioner::Error> {
    let builder = ModelProvisioner::builder(foreign.cache()).fetcher(Remote(foreign.source.clone()));
    builder.policy(policy).build()
}

#[tokio::test]
async fn a_source_that_keeps_to_hosts_is_denied_the_others() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let hosts = Some(vec!["mem.example".to_owned()]);
    let policy = Policy { network: Network::Allow, hosts, ..Policy::default() };
    for (host, is_allowed) in [("mem.example", true), ("evil.example", false)] {
        let source = Confined { source: foreign.source.clone(), host, hosts: None };
        let builder = ModelProvisioner::builder(foreign.path(host)).fetcher(source).policy(policy.clone());
        let ensured = builder.build().unwrap().ensure(&file(), &Expectation::none()).await;
        assert_eq!(ensured.is_ok(), is_allowed, "{host}: {ensured:?}");
        if let Err(error) = ensured {
            assert_eq!(error.code(), ErrorCode::PolicyDenied);
            assert!(error.to_string().contains(host) && error.hint().is_some(), "{error}");
        }
    }
}

#[tokio::test]
async fn a_source_that_keeps_to_no_hosts_is_refused_where_some_are_named() {
    let foreign = Foreign::new();
    let hosts = Some(vec!["mem.example".to_owned()]);
    let policy = Policy { network: Network::Allow, hosts, ..Policy::default() };
    assert_eq!(build(&foreign, policy).unwrap_err().code(), ErrorCode::PolicyDenied);
}

#[tokio::test]
async fn a_source_on_a_network_is_asked_only_where_the_policy_allows_it() {
    let foreign = Foreign::new();
    foreign.publish(1);
    let denied = build(&foreign, Policy::default()).unwrap();
    assert_eq!(
        denied.ensure(&file(), &Expectation::none()).await.unwrap_err().code(),
        ErrorCode::PolicyDenied
    );
    let policy = Policy { network: Network::Allow, ..Policy::default() };
    build(&foreign, policy).unwrap().ensure(&file(), &Expectation::none()).await.unwrap();
    // The network is no matter to a present model.
    denied.ensure(&file(), &Expectation::none()).await.unwrap();
}
