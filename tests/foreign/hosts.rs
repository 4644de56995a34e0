//! The policy's hosts, for a foreign source that uses a network.

use model_provisioner::{
    ByteRange, ErrorCode, Expectation, FetchError, Manifest, ManifestFile, ModelFetcher, ModelProvisioner,
    Network, Opened, Policy, ResolveRequest, async_trait,
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

fn build(foreign: &Foreign, policy: Policy) -> Result<ModelProvisioner, model_provisioner::Error> {
    let builder = ModelProvisioner::builder(foreign.cache()).fetcher(Remote(foreign.source.clone()));
    builder.policy(policy).build()
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
