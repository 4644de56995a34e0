//! Finds the proxy of an address among those that the machine's environment names.
//!
//! # Variables that name no proxy
//! hyper-util passes over a value that it cannot use, such as one at `ftp:`, and would connect to the server itself. An operator who
//! names a proxy may want no server to see this machine, nor a network to carry its requests. So the client sends no request for which
//! such a variable stands, as curl sends none, and the error names the variable, never its value: that may have a password.
//! `NO_PROXY` exempts hosts from that too.
//!
//! # Spellings
//! Each variable has a lower-case and an upper-case spelling. Where both are set, the lower-case one stands, as for curl, for Python and
//! so for the `hf` program; an empty one counts as unset, as for curl. hyper-util takes the upper-case one, also an empty one. So the
//! client reads the variables itself, and asks hyper-util alone for what the system's settings name where no variable does.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use provisioner_core::Hint;

/// Lists the spellings of each variable. The first one that is not empty stands.
const HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const EXEMPT: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Holds the proxies that the machine's environment names.
pub(crate) struct Proxies {
    https: Option<Variable>,
    http: Option<Variable>,
    /// Has the proxies of the system's settings.
    system: Matcher,
    /// Takes every address but the exempt ones.
    not_exempt: Matcher,
}

/// Describes the variable that names the proxy for a scheme.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    /// `None` where the client cannot use it.
    proxy: Option<Intercept>,
}

/// Describes the proxy of an address.
pub(crate) struct Proxy {
    pub(crate) kind: ProxyKind,
    pub(crate) intercept: Intercept,
    /// Says what names it.
    named_by: &'static str,
}

/// Says what a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    Http,
    /// The client resolves the names of servers.
    Socks5,
    /// The proxy resolves them.
    Socks5h,
}

/// Says why no request goes through the proxy of the environment. Each names the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("`{0}` names no proxy that the client can use")]
    Unusable(&'static str),
    #[error("the proxy of `{0}` asks for a user name and a password")]
    LoginMissing(&'static str),
    #[error("the proxy of `{0}` refuses the user name and the password")]
    LoginRefused(&'static str),
}

impl Proxies {
    /// Reads the environment.
    pub(crate) fn of_environment() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "hyper-util reads these variables too, and prefers other spellings"
        )]
        let read =
            |name: &'static str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::reading(Matcher::from_system(), read)
    }

    /// Returns the proxies that variables name, and those of the system's settings.
    fn reading(system: Matcher, read: impl Fn(&'static str) -> Option<String>) -> Self {
        // A web server's script has headers of its client's in variables such as `HTTP_PROXY`: hyper-util takes none of them either.
        let is_script = read("REQUEST_METHOD").is_some();
        let first = |spellings: [&'static str; 2]| {
            let found = |name| Some((name, read(name).filter(|value| !value.is_empty())?));
            spellings.into_iter().find_map(found)
        };
        let variable = |spellings| {
            let (name, value) = first(spellings).or_else(|| first(ALL)).filter(|_| !is_script)?;
            Some(Variable { name, proxy: usable(value) })
        };
        let exempt = first(EXEMPT).map(|(_, value)| value).unwrap_or_default();
        // For hyper-util, a `*` stands for every name and for no host that is named by its number.
        let has_star = exempt.split(',').any(|host| host.trim() == "*");
        let all = if has_star { "" } else { "http://any" };
        Self {
            https: variable(HTTPS),
            http: variable(HTTP),
            system,
            not_exempt: Matcher::builder().all(all).no(exempt).build(),
        }
    }

    /// Returns the proxy of an address; `None` where a client connects to the server itself.
    ///
    /// # Errors
    /// [`ProxyError::Unusable`].
    pub(crate) fn of(&self, server: &Uri) -> Result<Option<Proxy>, ProxyError> {
        if self.not_exempt.intercept(server).is_none() {
            return Ok(None);
        }
        let variable = if server.scheme_str() == Some("https") { &self.https } else { &self.http };
        let (named_by, intercept) = match variable {
            Some(Variable { name, proxy: None }) => return Err(ProxyError::Unusable(name)),
            Some(Variable { name, proxy }) => (*name, proxy.clone()),
            None => ("the system's settings", self.system.intercept(server)),
        };
        Ok(intercept
            .and_then(|intercept| Some(Proxy { kind: ProxyKind::of(intercept.uri())?, intercept, named_by })))
    }

    #[cfg(test)]
    pub(crate) fn named(https: &str, exempt: &str) -> Self {
        Self::of_variables(&[("HTTPS_PROXY", https), ("NO_PROXY", exempt)])
    }

    #[cfg(test)]
    fn of_variables(variables: &[(&'static str, &str)]) -> Self {
        Self::reading(Matcher::builder().build(), |asked| {
            variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
        })
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl Proxy {
    /// Returns the error of a proxy that does not let the client in.
    pub(crate) fn refusal(&self) -> ProxyError {
        let has_login = self.intercept.basic_auth().is_some() || self.intercept.raw_auth().is_some();
        if has_login {
            ProxyError::LoginRefused(self.named_by)
        } else {
            ProxyError::LoginMissing(self.named_by)
        }
    }
}

impl ProxyKind {
    fn of(proxy: &Uri) -> Option<Self> {
        match proxy.scheme_str() {
            Some("http" | "https") => Some(Self::Http),
            Some("socks5") => Some(Self::Socks5),
            Some("socks5h") => Some(Self::Socks5h),
            _ => None,
        }
    }
}

impl ProxyError {
    /// Returns what the operator can do about it.
    pub(crate) fn hint(self) -> Hint {
        Hint::text(match self {
            Self::Unusable(variable) => format!(
                "set {variable} to an address at `http:`, `https:`, `socks5:` or `socks5h:`, in which special characters of a \
                 password are percent-encoded, or unset it"
            ),
            Self::LoginMissing(variable) => {
                format!("put them into {variable}, as in `http://USER:PASSWORD@HOST:PORT`")
            }
            Self::LoginRefused(variable) => {
                format!("check both in {variable}; special characters in them are percent-encoded")
            }
        })
    }
}

/// Returns the proxy that a variable names; `None` where the client cannot use it.
fn usable(value: String) -> Option<Intercept> {
    // A part of a password that follows one of these is no host, and what comes before it no port.
    let address = value.split_once("://").map_or(&*value, |(_, address)| address);
    let is_whole = !address.strip_suffix('/').unwrap_or(address).contains(['/', '?', '#']);
    let named = Matcher::builder().all(value).build().intercept(&Uri::from_static("https://any"));
    let has_host = |proxy: &Uri| {
        proxy.authority().is_some_and(|authority| {
            let has_port = authority.as_str() != authority.host();
            !authority.as_str().contains('@') && (!has_port || authority.port_u16().is_some())
        })
    };
    named.filter(|proxy| is_whole && ProxyKind::of(proxy.uri()).is_some() && has_host(proxy.uri()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&'static str, &str)], server: &'static str) -> Result<Option<String>, ProxyError> {
        let found = Proxies::of_variables(variables).of(&Uri::from_static(server))?;
        Ok(found.map(|proxy| proxy.intercept.uri().to_string()))
    }

    #[test]
    fn a_variable_that_names_no_usable_proxy_sends_nothing_past_it() {
        for value in [
            "ftp://proxy",
            "socks4://proxy",
            "http://user:p@ss@proxy",
            "http://user:p/ss@proxy:3128",
            "http://user:80/ss@proxy:3128",
            "http://user:80?ss@proxy:3128",
            "http://user:80#ss@proxy:3128",
            "http://proxy:99999",
            "proxy:31z8",
            "proxy:port:1",
            "/proxy",
            " ",
            "\u{fffd}",
        ] {
            let refused = |name| Err(ProxyError::Unusable(name));
            assert_eq!(of(&[("HTTPS_PROXY", value)], "https://hub"), refused("HTTPS_PROXY"), "{value}");
            assert_eq!(of(&[("https_proxy", value)], "https://hub"), refused("https_proxy"), "{value}");
            assert_eq!(of(&[("ALL_PROXY", value)], "http://hub"), refused("ALL_PROXY"), "{value}");
            assert_eq!(
                of(&[("HTTPS_PROXY", value)], "http://hub"),
                Ok(None),
                "{value} serves another scheme"
            );
            let both = [("HTTPS_PROXY", value), ("ALL_PROXY", "http://other")];
            assert_eq!(of(&both, "https://hub"), refused("HTTPS_PROXY"), "{value}");
            let exempt = [("HTTPS_PROXY", value), ("NO_PROXY", "hub")];
            assert_eq!(of(&exempt, "https://hub"), Ok(None), "{value}");
            assert_eq!(of(&exempt, "https://cdn"), refused("HTTPS_PROXY"), "{value}");
            let of_a_script = [("HTTP_PROXY", value), ("REQUEST_METHOD", "GET")];
            assert_eq!(of(&of_a_script, "http://hub"), Ok(None), "{value}: a script has no variable");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset_in_either_spelling() {
        let proxy = |name: &str| Ok(Some(format!("http://{name}/")));
        for (empty, named) in [
            ("HTTPS_PROXY", "https_proxy"),
            ("https_proxy", "HTTPS_PROXY"),
            ("HTTPS_PROXY", "all_proxy"),
            ("ALL_PROXY", "all_proxy"),
            ("all_proxy", "ALL_PROXY"),
        ] {
            assert_eq!(
                of(&[(empty, ""), (named, "proxy")], "https://hub"),
                proxy("proxy"),
                "{empty} {named}"
            );
        }
        for (empty, named) in [("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")] {
            let variables = [("HTTPS_PROXY", "proxy"), (empty, ""), (named, "hub")];
            assert_eq!(of(&variables, "https://hub"), Ok(None), "{empty} {named}");
            assert_eq!(of(&variables, "https://cdn"), proxy("proxy"), "{empty} {named}");
        }
        assert_eq!(of(&[("REQUEST_METHOD", ""), ("HTTP_PROXY", "proxy")], "http://hub"), Ok(None));
    }

    #[test]
    fn a_star_exempts_every_host_by_its_name_and_by_its_number() {
        for server in ["https://hub", "https://10.0.0.1", "https://[fd00::1]:8443"] {
            for star in ["*", "hub, *"] {
                assert_eq!(
                    of(&[("HTTPS_PROXY", "proxy"), ("NO_PROXY", star)], server),
                    Ok(None),
                    "{server} {star}"
                );
            }
            assert!(of(&[("HTTPS_PROXY", "proxy"), ("NO_PROXY", "*.example")], server).unwrap().is_some());
        }
    }

    #[test]
    fn the_lower_case_spelling_stands_before_the_other_one_and_each_before_that_for_all_schemes() {
        for (stands, other) in [
            ("https_proxy", "HTTPS_PROXY"),
            ("all_proxy", "ALL_PROXY"),
            ("HTTPS_PROXY", "all_proxy"),
            ("https_proxy", "ALL_PROXY"),
        ] {
            let variables = [(other, "ftp://other"), (stands, "proxy")];
            let found = of(&variables, "https://hub");
            assert_eq!(found, Ok(Some("http://proxy/".to_owned())), "{stands} {other}");
        }
        let http = [("HTTP_PROXY", "other"), ("http_proxy", "proxy"), ("https_proxy", "third")];
        assert_eq!(of(&http, "http://hub"), Ok(Some("http://proxy/".to_owned())));
        let exempt = [("https_proxy", "proxy"), ("NO_PROXY", "cdn"), ("no_proxy", "hub")];
        assert_eq!(of(&exempt, "https://hub"), Ok(None));
        assert_eq!(of(&exempt, "https://cdn"), Ok(Some("http://proxy/".to_owned())));
    }

    #[test]
    fn what_the_system_names_stands_behind_every_variable_that_is_not_empty() {
        let of = |variables: &[(&'static str, &str)]| {
            let read = |asked: &str| {
                variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
            };
            let system = Matcher::builder().https("http://system").build();
            let found = Proxies::reading(system, read).of(&Uri::from_static("https://hub"));
            found.map(|proxy| proxy.map(|proxy| (proxy.intercept.uri().to_string(), proxy.named_by)))
        };
        let (system, named) =
            (("http://system/".to_owned(), "the system's settings"), "http://proxy/".to_owned());
        assert_eq!(of(&[("HTTPS_PROXY", "")]), Ok(Some(system)));
        assert_eq!(of(&[("https_proxy", "proxy")]), Ok(Some((named, "https_proxy"))));
        assert_eq!(of(&[("no_proxy", "hub")]), Ok(None));
    }

    #[test]
    fn a_variable_has_an_address_with_a_scheme_or_without_one() {
        assert_eq!(
            of(&[("ALL_PROXY", "socks5h://other")], "https://hub"),
            Ok(Some("socks5h://other/".to_owned()))
        );
        assert_eq!(
            of(&[("HTTPS_PROXY", "proxy:3128")], "https://hub"),
            Ok(Some("http://proxy:3128/".to_owned()))
        );
        assert_eq!(
            of(&[("HTTPS_PROXY", "http://[::1]:3128/")], "https://hub"),
            Ok(Some("http://[::1]:3128/".to_owned()))
        );
    }

    #[test]
    fn a_refusal_says_what_is_missing_and_shows_no_login() {
        let refusal = |value| {
            let error = Proxies::of_variables(&[("ALL_PROXY", value)])
                .of(&Uri::from_static("https://hub"))
                .unwrap()
                .unwrap()
                .refusal();
            (error, format!("{error}: {}", error.hint()))
        };
        assert_eq!(refusal("http://proxy").0, ProxyError::LoginMissing("ALL_PROXY"));
        for given in ["http://user:hunter2@proxy", "socks5://user:hunter2@proxy"] {
            let (error, text) = refusal(given);
            assert_eq!(error, ProxyError::LoginRefused("ALL_PROXY"));
            assert!(text.contains("ALL_PROXY") && !text.contains("hunter2"), "{text}");
        }
    }
}
