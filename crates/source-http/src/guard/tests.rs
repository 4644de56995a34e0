//! The guard, with a resolver that lies.

use std::net::TcpListener;

use provisioner_core::{ByteRange, FetchErrorKind, Policy};

use super::*;
use crate::{HttpSettings, Pool, client::HttpClient, dialect::tests::Plain};

fn guard(endpoint: &str) -> NetworkGuard {
    let mut guard = NetworkGuard::new(&Url::parse(endpoint).unwrap());
    guard.proxies = Arc::new(Proxies::named("", ""));
    guard
}

fn naming(mut guard: NetworkGuard, hosts: &[&str]) -> NetworkGuard {
    let hosts = Some(hosts.iter().map(|host| (*host).to_owned()).collect());
    guard.confine(&HostPolicy::new(Arc::new(Policy { hosts, ..Policy::default() })));
    guard
}

fn at(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect()
}

#[test]
fn a_name_that_leads_inside_of_a_network_is_refused() {
    let public = guard("https://hub.example");
    for inner in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::",
        "fc00::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
    ] {
        assert!(public.judge("cdn.example", &at(&[inner])).is_err(), "{inner}");
        assert!(
            public.judge("cdn.example", &at(&["8.8.8.8", inner])).is_err(),
            "{inner} behind a public one"
        );
    }
    assert!(public.judge("cdn.example", &at(&["8.8.8.8", "2606:4700::1"])).is_ok());
}

#[test]
fn the_endpoint_may_be_anywhere_and_opens_its_own_zone_alone() {
    let check = |endpoint: &str, resolved: &[&str], other: &str, expected: bool| {
        let guard = guard(endpoint);
        guard.judge("hub.corp", &at(resolved)).unwrap();
        assert_eq!(guard.judge("cdn.corp", &at(&[other])).is_ok(), expected, "{endpoint} {other}");
    };
    check("https://hub.corp", &["10.0.0.1"], "10.0.0.2", true);
    check("https://hub.corp", &["10.0.0.1"], "127.0.0.1", false);
    check("https://hub.corp", &["10.0.0.1"], "169.254.169.254", false);
    check("https://hub.corp", &["8.8.8.8"], "10.0.0.2", false);
    check("https://HUB.corp.", &["169.254.0.1"], "169.254.169.254", false);
    let loopback = guard("http://127.0.0.1:8080");
    assert!(loopback.check(&Url::parse("http://127.0.0.2:9/x").unwrap()).is_ok());
    assert!(loopback.check(&Url::parse("http://10.0.0.1/x").unwrap()).is_err());
}

#[test]
fn the_policy_names_a_host_itself() {
    let named = |hosts: &[&str]| naming(guard("https://hub.example"), hosts);
    let inner = at(&["10.0.0.1"]);
    assert!(named(&["cdn.corp"]).judge("CDN.corp.", &inner).is_ok());
    assert!(named(&["*.corp"]).judge("cdn.corp", &inner).is_err(), "a pattern is not a name");
    let url = Url::parse("https://[fd00::1]/x").unwrap();
    assert!(named(&["fd00::1"]).check(&url).is_ok() && named(&["*"]).check(&url).is_err());
}

#[test]
fn the_proxy_is_the_operators_and_no_source_leads_to_it() {
    let mut guard = guard("https://hub.example");
    guard.proxies = proxy();
    guard.lookup = Arc::new(|_| Box::pin(async { Ok(at(&["10.0.0.1"])) }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(guard.look_up("proxy.corp")).is_ok());
    assert!(runtime.block_on(guard.resolve("proxy.corp")).is_err());
}

/// Returns the proxy of a machine that connects to the hosts of `direct.example` without it.
fn proxy() -> Arc<Proxies> {
    Arc::new(Proxies::named("http://proxy.corp:3128", "direct.example"))
}

#[test]
fn a_name_that_rebinds_never_becomes_a_connection() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let port = trap.local_addr().unwrap().port();
    let mut guard = guard("https://hub.example");
    guard.lookup = Arc::new(|_| Box::pin(async { Ok(at(&["127.0.0.1"])) }));
    let mut client = HttpClient::new(HttpSettings::new("https://hub.example").unwrap(), Plain);
    client.guard_with(guard);
    let url = Url::parse(&format!("http://rebinds.example:{port}/secret")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(client.get(url, ByteRange::ALL, Pool::Shared)).unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Denied);
    let denial = error.denial.unwrap();
    assert_eq!((denial.rule.as_ref(), denial.value.as_str()), ("hosts", "rebinds.example"));
    // A server that the source names is no endpoint of its own.
    let named = Url::parse(&format!("http://rebinds.example:{port}")).unwrap();
    let beside = client.beside(named.clone(), None, Plain);
    let error = runtime.block_on(beside.get(named, ByteRange::ALL, Pool::Shared)).unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Denied);
    assert_eq!(trap.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "no connection was opened");
}
