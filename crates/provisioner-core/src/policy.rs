//! What may be done. Policy is asked before anything happens; a model that is already present is never refused for want of
//! a network.

use serde::{Deserialize, Serialize};

use crate::{Error, Format, ModelRef, Result};

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Yes.
    Allow,
    /// No.
    #[default]
    Deny,
    /// No, for now: the user said so.
    #[serde(skip)]
    Offline,
}

/// What may be done. The default is local-only: no network, any local file, no format that can run code.
///
/// ```
/// use provisioner_core::{ModelRef, Policy};
///
/// let hub: ModelRef = "hf:org/repo".parse()?;
/// let error = Policy::default().check_network(&hub).unwrap_err();
/// assert_eq!(error.hint().as_deref(), Some("to allow it, write `policy: { network: allow }` in the config"));
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "What may be done. The default is local-only."))]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether the network may be used.
    pub network: Network,
    /// The schemes that may be used, such as `local` and `hf`; absent means all.
    pub schemes: Option<Vec<String>>,
    /// The hosts that may be spoken to, as `huggingface.co` or `*.hf.co`; absent means those that the source needs.
    pub hosts: Option<Vec<String>>,
    /// The repositories that may be used, as `org/repo` or `org/*`; absent means all.
    pub repos: Option<Vec<String>>,
    /// The formats that files may have; absent means all but pickle.
    pub formats: Option<Vec<Format>>,
    /// The largest model, in bytes; absent means no limit.
    pub max_bytes: Option<u64>,
}

impl Policy {
    /// Whether the reference's scheme and repository may be used at all.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`].
    pub fn check_reference(&self, reference: &ModelRef) -> Result<()> {
        let scheme = reference.scheme();
        if self
            .schemes
            .as_ref()
            .is_some_and(|schemes| !schemes.iter().any(|allowed| canonical(allowed) == scheme))
        {
            return Err(denied(
                format!("the scheme `{scheme}`"),
                format!("add `{scheme}` to the policy's `schemes`"),
            ));
        }
        if let (ModelRef::Hub(hub), Some(repos)) = (reference, &self.repos)
            && !repos.iter().any(|pattern| matches_repo(pattern, hub.repo()))
        {
            let repo = hub.repo();
            return Err(denied(
                format!("the repository `{repo}`"),
                format!("add `{repo}` to the policy's `repos`"),
            ));
        }
        Ok(())
    }

    /// Whether an absent model may be asked for at its source, which is on the network.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`], unless the network is allowed.
    pub fn check_network(&self, reference: &ModelRef) -> Result<()> {
        match self.network {
            Network::Allow => return Ok(()),
            Network::Offline => return Err(Error::Offline { id: reference.id() }),
            Network::Deny => {}
        }
        let what = format!("the network, and `{reference}` is not on this machine");
        Err(denied(what, "to allow it, write `policy: { network: allow }` in the config".to_owned()))
    }

    /// Whether a host may be spoken to. `*.hf.co` stands for every host below `hf.co`, and not for that one.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`].
    pub fn check_host(&self, host: &str) -> Result<()> {
        match &self.hosts {
            Some(hosts) if !hosts.iter().any(|pattern| matches_host(pattern, host)) => {
                Err(denied(format!("the host `{host}`"), format!("add `{host}` to the policy's `hosts`")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a file of this format may be used.
    ///
    /// # Errors
    /// [`Error::RefusedFormat`] for a pickle that nobody allowed; [`Error::PolicyDenied`].
    pub fn check_format(&self, path: &str, format: Format) -> Result<()> {
        match &self.formats {
            None if format == Format::Pickle => Err(Error::RefusedFormat { path: path.to_owned() }),
            Some(formats) if !formats.contains(&format) => {
                let name = format.as_str();
                Err(denied(
                    format!("the format `{name}` of `{path}`"),
                    format!("add `{name}` to the policy's `formats`"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether a model may be this large.
    ///
    /// # Errors
    /// [`Error::PolicyDenied`].
    pub fn check_size(&self, id: &str, size_bytes: u64) -> Result<()> {
        match self.max_bytes {
            Some(limit) if size_bytes > limit => Err(denied(
                format!("`{id}`, which has {size_bytes} bytes, over the limit of {limit}"),
                "raise the policy's `max_bytes`".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// The name of a scheme in ids: `file:` references have `local:` ids.
fn canonical(scheme: &str) -> &str {
    if scheme == "file" { "local" } else { scheme }
}

fn denied(what: String, hint: String) -> Error {
    Error::PolicyDenied { what, hint }
}

fn matches_host(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(above) => host.strip_suffix(above).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == host,
    }
}

/// The Hub takes repositories for the same in any letter case.
fn matches_repo(pattern: &str, repo: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(org) => repo.split_once('/').is_some_and(|(found, _)| found.eq_ignore_ascii_case(org)),
        None => pattern.eq_ignore_ascii_case(repo),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_local_only() {
        let policy = Policy::default();
        let local: ModelRef = "local:/a".parse().unwrap();
        let other: ModelRef = "s3://b/a".parse().unwrap();
        assert!(policy.check_reference(&local).is_ok());
        assert!(policy.check_reference(&other).is_ok() && policy.check_network(&other).is_err());
        assert!(policy.check_format("m.pt", Format::Pickle).is_err());
        assert!(policy.check_format("m.txt", Format::Other).is_ok());
        assert!(policy.check_host("any").is_ok() && policy.check_size("m", u64::MAX).is_ok());
    }

    #[test]
    fn lists_are_the_only_ones_allowed() {
        let policy = Policy {
            schemes: Some(vec!["hf".into()]),
            repos: Some(vec!["org/*".into(), "a/b".into()]),
            hosts: Some(vec!["huggingface.co".into(), "*.hf.co".into()]),
            formats: Some(vec![Format::Pickle]),
            max_bytes: Some(10),
            network: Network::Allow,
        };
        let check = |text: &str| policy.check_reference(&text.parse().unwrap()).is_ok();
        assert!(
            check("hf:org/x")
                && check("hf:A/b")
                && !check("hf:a/c")
                && !check("hf:organ/x")
                && !check("local:/a")
        );
        for (host, allowed) in [
            ("HuggingFace.co", true),
            ("cdn.HF.co", true),
            ("a.b.hf.co", true),
            ("hf.co", false),
            (".hf.co", false),
            ("evilhf.co", false),
            ("huggingface.co.evil", false),
        ] {
            assert_eq!(policy.check_host(host).is_ok(), allowed, "{host}");
        }
        assert!(
            policy.check_format("m.pt", Format::Pickle).is_ok()
                && policy.check_format("m", Format::Gguf).is_err()
        );
        assert!(policy.check_size("m", 10).is_ok() && policy.check_size("m", 11).is_err());
    }
}
