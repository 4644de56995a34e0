//! Reads which proxies the machine's environment names, by the rules of the HTTP client.

use std::env;

use reqwest::Url;

use crate::address::bare_host;

/// Holds the proxies that the machine's environment names.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    http: Option<String>,
    https: Option<String>,
    /// The names to which the client connects without a proxy, with all names below them.
    exempt: Vec<String>,
}

impl Proxies {
    /// Reads the environment.
    pub(crate) fn of_environment() -> Self {
        // A web server sets that variable for its scripts, and what a request says becomes `HTTP_PROXY` there.
        if variable("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        Self::of(|name| variable(name).or_else(|| variable(&name.to_ascii_lowercase())))
    }

    /// Reads the variables that `named` returns.
    pub(crate) fn of(named: impl Fn(&str) -> Option<String>) -> Self {
        let host =
            |name: &str| named(name).as_deref().and_then(host_of).or_else(|| host_of(&named("ALL_PROXY")?));
        let exempt = named("NO_PROXY").unwrap_or_default();
        let exempt = exempt.split(',').map(|name| bare_host(name.trim())).filter(|name| !name.is_empty());
        Self { http: host("HTTP_PROXY"), https: host("HTTPS_PROXY"), exempt: exempt.collect() }
    }

    /// Returns whether a host is that of a proxy.
    pub(crate) fn has(&self, host: &str) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|proxy| proxy == host)
    }

    /// Returns whether the client asks a proxy for an address with a name in it, so that the proxy resolves the name.
    pub(crate) fn serve(&self, url: &Url) -> bool {
        let proxy = if url.scheme() == "http" { &self.http } else { &self.https };
        proxy.is_some() && !self.is_exempt(&bare_host(url.host_str().unwrap_or_default()))
    }

    fn is_exempt(&self, host: &str) -> bool {
        self.exempt.iter().any(|name| {
            let name = name.strip_prefix('.').unwrap_or(name);
            let above = host.strip_suffix(name);
            name == "*" || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the HTTP client reads these variables, and the guard must know what it reads"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn host_of(value: &str) -> Option<String> {
    let with_scheme = |value: &str| Url::parse(&format!("http://{value}"));
    let url = if value.contains("://") { Url::parse(value) } else { with_scheme(value) };
    Some(bare_host(url.ok()?.host_str()?)).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Proxies {
        Proxies::of(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_host_of_a_proxy_is_read_from_its_variable() {
        for (value, host) in
            [("http://user:pass@Proxy.corp:3128", "proxy.corp"), ("proxy.corp:3128", "proxy.corp")]
        {
            let proxies = of(&[("HTTPS_PROXY", value)]);
            assert!(proxies.has(host) && !proxies.has("other.corp"), "{value}");
        }
        assert!(!of(&[("HTTPS_PROXY", "")]).serve(&Url::parse("https://a.example").unwrap()));
    }

    #[test]
    fn a_proxy_serves_its_scheme_but_for_the_exempt_hosts() {
        let check = |variables: &[(&str, &str)], url: &str, expected: bool| {
            assert_eq!(of(variables).serve(&Url::parse(url).unwrap()), expected, "{variables:?} {url}");
        };
        let (http, https, all) = (("HTTP_PROXY", "p:1"), ("HTTPS_PROXY", "p:1"), ("ALL_PROXY", "p:1"));
        check(&[http], "http://a.corp", true);
        check(&[http], "https://a.corp", false);
        check(&[https], "https://a.corp", true);
        check(&[all], "https://a.corp", true);
        check(&[https, ("NO_PROXY", "corp")], "https://a.Corp", false);
        check(&[https, ("NO_PROXY", "x.example, .corp")], "https://a.corp:8443/x", false);
        check(&[https, ("NO_PROXY", ".corp")], "https://corp", false);
        check(&[https, ("NO_PROXY", "corp")], "https://acorp", true);
        check(&[https, ("NO_PROXY", "a.corp")], "https://corp", true);
        check(&[https, ("NO_PROXY", "*")], "https://a.example", false);
        check(&[https, ("NO_PROXY", ",")], "https://a.example", true);
    }
}
