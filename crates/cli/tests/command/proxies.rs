//! The command connects through the proxy that the environment names.

use std::collections::BTreeSet;

use testkit::{Hub, Proxied, Proxy, gguf_of, hub::Protocol};

use crate::{
    fixture::{Fixture, finish},
    hub::command,
};

#[test]
fn a_proxy_is_asked_with_its_login_and_sees_neither_the_token_nor_the_bytes() {
    let (bench, hub, proxy) =
        (Fixture::new(), Hub::start_tls(&[Protocol::Http2, Protocol::Http1]), Proxy::start());
    hub.repo("org/repo").lfs("a.gguf", gguf_of(3 << 20, 1)).file("config.json", "{}").publish();
    let certificate = bench.file("certificate.pem", hub.certificate().unwrap());
    let mut command = command(&bench, &hub.endpoint(), &["ensure", "hf:org/repo?include=*", "-vv"]);
    command.env("SSL_CERT_FILE", certificate).env("HF_TOKEN", "hf_canary");
    let done = finish(command.env("HTTPS_PROXY", format!("http://user:pass@{}", proxy.address())));
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("dXNlcjpwYXNz") && !done.stderr.contains("user:pass"), "{}", done.stderr);
    let requests = proxy.requests();
    let endpoint = hub.endpoint();
    let authority = endpoint.trim_start_matches("https://");
    assert!(requests.iter().all(|seen| seen.line.starts_with("CONNECT ")), "{requests:?}");
    assert!(requests.iter().any(|seen| seen.line == format!("CONNECT {authority} HTTP/1.1")), "{requests:?}");
    assert!(requests.iter().all(|seen| seen.login.as_deref() == Some("Basic dXNlcjpwYXNz")), "{requests:?}");
    let connections: BTreeSet<_> = hub.requests().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), requests.len(), "nothing goes past the proxy");
}

#[test]
fn a_proxy_reads_the_requests_of_plain_http() {
    let (bench, hub, proxy) = (Fixture::new(), Hub::start(), Proxy::start());
    hub.repo("org/repo").lfs("a.gguf", gguf_of(3 << 20, 1)).file("config.json", "{}").publish();
    let ensure = |exempt: &str, reference: &str| {
        let mut command = command(&bench, &hub.endpoint(), &["ensure", reference]);
        command.env("HTTP_PROXY", format!("http://user:pass@{}", proxy.address())).env("NO_PROXY", exempt);
        let done = finish(&mut command);
        assert_eq!(done.status, 0, "{}", done.stderr);
    };
    ensure("127.0.0.1", "hf:org/repo/config.json");
    assert_eq!(proxy.requests(), [], "the host is exempt");
    ensure("", "hf:org/repo/a.gguf");
    let requests = proxy.requests();
    let is_absolute = |seen: &Proxied| seen.line.starts_with("GET http://127.0.0.1:");
    let has_login = |seen: &Proxied| seen.login.as_deref() == Some("Basic dXNlcjpwYXNz");
    assert!(
        !requests.is_empty() && requests.iter().all(|seen| is_absolute(seen) && has_login(seen)),
        "{requests:?}"
    );
}

/// `localhost` tells whether the name was resolved here or is left to the proxy.
#[test]
fn a_proxy_that_speaks_socks_connects_to_servers_with_and_without_tls() {
    for (hub, scheme, host) in
        [(Hub::start(), "socks5", "127.0.0.1"), (Hub::start_tls(&[Protocol::Http1]), "socks5h", "localhost")]
    {
        let (bench, proxy) = (Fixture::new(), Proxy::start());
        hub.repo("org/repo").file("config.json", "{}").publish();
        let endpoint = hub.endpoint().replace("127.0.0.1", "localhost");
        let mut command = command(&bench, &endpoint, &["ensure", "hf:org/repo/config.json"]);
        if let Some(certificate) = hub.certificate() {
            command.env("SSL_CERT_FILE", bench.file("certificate.pem", certificate));
        }
        command.env("ALL_PROXY", format!("{scheme}://user:pass@{}", proxy.address()));
        let done = finish(&mut command);
        assert_eq!(done.status, 0, "{scheme}: {}", done.stderr);
        let port = endpoint.rsplit(':').next().unwrap();
        let (line, login) = (format!("SOCKS5 {host}:{port}"), Some("user:pass".to_owned()));
        let requests = proxy.requests();
        assert!(requests.contains(&Proxied { line, login }), "{requests:?}");
    }
}

#[test]
fn a_proxy_that_speaks_socks_reaches_a_server_that_is_named_by_its_number() {
    let Ok(server) = std::net::TcpListener::bind("[::1]:0") else { return };
    let (bench, proxy) = (Fixture::new(), Proxy::start());
    let port = server.local_addr().unwrap().port();
    let mut command =
        command(&bench, &format!("http://[::1]:{port}"), &["ensure", "hf:org/repo/config.json"]);
    command.env("ALL_PROXY", format!("socks5://{}", proxy.address()));
    let done = finish(&mut command);
    assert_eq!(done.status, 6, "the proxy knows no IPv6");
    assert!(
        done.stderr.starts_with("error: connecting to `http://[::1]:"),
        "TLS has no part in it: {}",
        done.stderr
    );
    assert!(done.stderr.contains("SOCKS"), "the name was resolved: {}", done.stderr);
}

/// A person learns which variable to change, and no message has the password in it.
#[test]
fn a_proxy_that_refuses_is_named_by_its_variable() {
    let (basic, socks) =
        (Proxy::start_with_login("Basic dXNlcjpwYXNz"), Proxy::start_with_login("user:pass"));
    let check = |variable: &str, scheme: &str, endpoint: &str, login: &str, expected: &str| {
        let (bench, proxy) = (Fixture::new(), if scheme == "http" { &basic } else { &socks });
        let mut command = command(&bench, endpoint, &["ensure", "hf:org/repo/config.json"]);
        command.env(variable, format!("{scheme}://{login}{}", proxy.address()));
        let seen = proxy.requests().len();
        let done = finish(&mut command);
        assert_eq!(done.status, 6, "{}", done.stderr);
        assert!(
            done.stderr.starts_with(&format!("error: connecting to `{endpoint}/api/")),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains(expected), "{variable} {scheme}: {}", done.stderr);
        assert!(done.stderr.contains("\nhint: ") && !done.stderr.contains("hunter2"), "{}", done.stderr);
        assert!(proxy.requests().len() <= seen + 1, "another try does not help");
    };
    let (missing, refused) =
        ("` asks for a user name and a password", "` refuses the user name and the password");
    for (variable, endpoint) in [("HTTPS_PROXY", "https://hub.example"), ("http_proxy", "http://hub.example")]
    {
        check(variable, "http", endpoint, "", &format!("the proxy of `{variable}{missing}"));
        check(variable, "http", endpoint, "user:hunter2@", &format!("the proxy of `{variable}{refused}"));
        check(variable, "socks5h", endpoint, "", &format!("the proxy of `{variable}{missing}"));
        check(variable, "socks5h", endpoint, "user:hunter2@", &format!("the proxy of `{variable}{refused}"));
    }
}

/// The system's reason stands in the message, whatever the proxy speaks.
#[test]
fn a_proxy_that_is_away_is_told_with_the_reason() {
    let bench = Fixture::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "socks5h"] {
        let mut command = command(&bench, "https://hub.example", &["plan", "hf:org/repo/config.json"]);
        command.env("HTTPS_PROXY", format!("{scheme}://{free}"));
        let done = finish(&mut command);
        assert_eq!(done.status, 6, "{scheme}: {}", done.stderr);
        assert!(done.stderr.contains("Connection refused"), "{scheme}: {}", done.stderr);
    }
}

#[test]
fn an_empty_variable_hides_neither_its_other_spelling_nor_the_exempt_hosts() {
    let (bench, hub, proxy) = (Fixture::new(), Hub::start(), Proxy::start());
    hub.repo("org/repo").file("config.json", "{}").publish();
    let plan = |exempt: &str| {
        let mut command = command(&bench, &hub.endpoint(), &["plan", "hf:org/repo/config.json"]);
        command.env("HTTP_PROXY", "").env("http_proxy", format!("http://{}", proxy.address()));
        let done = finish(command.env("NO_PROXY", "").env("no_proxy", exempt));
        assert_eq!(done.status, 0, "{}", done.stderr);
    };
    plan("127.0.0.1");
    assert_eq!(proxy.requests(), [], "the host is exempt");
    plan("");
    assert_ne!(proxy.requests(), [], "the proxy is used");
}

#[test]
fn the_lower_case_spelling_of_a_variable_stands() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").file("config.json", "{}").publish();
    let (lower, upper) = (Proxy::start(), Proxy::start());
    let plan = |exempt: [&str; 2]| {
        let mut command = command(&bench, &hub.endpoint(), &["plan", "hf:org/repo/config.json"]);
        command.env("http_proxy", format!("http://{}", lower.address())).env("no_proxy", exempt[0]);
        command.env("HTTP_PROXY", format!("http://{}", upper.address())).env("NO_PROXY", exempt[1]);
        let done = finish(&mut command);
        assert_eq!(done.status, 0, "{}", done.stderr);
    };
    plan(["127.0.0.1", "other.example"]);
    assert_eq!(lower.requests(), [], "the host is exempt");
    plan(["other.example", "127.0.0.1"]);
    assert_ne!(lower.requests(), []);
    assert_eq!(upper.requests(), []);
}

#[test]
fn a_variable_that_names_no_usable_proxy_keeps_the_request_at_home() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").file("config.json", "{}").publish();
    let ensure = |exempt: &str| {
        let mut command = command(&bench, &hub.endpoint(), &["ensure", "hf:org/repo/config.json"]);
        finish(command.env("HTTP_PROXY", "ftp://user:hunter2@proxy.example").env("NO_PROXY", exempt))
    };
    let done = ensure("");
    assert_eq!((done.status, hub.requests().len()), (6, 0), "{}", done.stderr);
    assert!(done.stderr.contains("`HTTP_PROXY` names no proxy that the client can use"), "{}", done.stderr);
    assert!(
        done.stderr.contains("\nhint: set HTTP_PROXY to ") && !done.stderr.contains("hunter2"),
        "{}",
        done.stderr
    );
    assert_eq!(ensure("127.0.0.1").status, 0, "the host is exempt");
}
