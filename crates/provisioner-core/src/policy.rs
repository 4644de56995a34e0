//! Implements the policy that is a list of rules. A caller asks it before anything happens. It never refuses a present model
//! for want of a network.

use serde::{Deserialize, Serialize};

use crate::{
    denial::{Denial, DenialKind},
    format::Format,
    hint::Hint,
    policy_engine::{Decision, PolicyEngine, Question},
    reference::{ModelRef, RepoRef},
};

/// Says whether the provisioner may use the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The provisioner may use the network.
    Allow,
    /// The provisioner may not use the network.
    #[default]
    Deny,
    /// The user took the network away for now.
    #[serde(skip)]
    Offline,
}

/// Holds the rules of what a provisioner may do. The default is local-only: no network, any local file, no format that can
/// run code.
///
/// ```
/// use provisioner_core::{ModelRef, Policy, Question, ask};
///
/// let hub: ModelRef = "hf:org/repo".parse()?;
/// let error = ask(&Policy::default(), &Question::Network(&hub)).unwrap_err();
/// assert_eq!(
///     error.hint().unwrap().to_string(),
///     "to allow it, let the policy allow the network"
/// );
/// # Ok::<(), provisioner_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "Holds the rules of what a provisioner may do. The default is local-only.")
)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Says whether the provisioner may use the network.
    pub network: Network,
    /// The schemes that a reference may have, such as `local` and `hf`. Absent means all.
    pub schemes: Option<Vec<String>>,
    /// The hosts that a fetcher may connect to, as `huggingface.co` or `*.hf.co`. Absent means those that the source needs.
    pub hosts: Option<Vec<String>>,
    /// The repositories that a reference may name: `org/repo` and `org/*` of the Hub, `SCHEME:org/*` of any source. Absent
    /// means all.
    pub repos: Option<Vec<String>>,
    /// The formats that files may have. Absent means all but pickle and python.
    pub formats: Option<Vec<Format>>,
    /// The size of the largest model, in bytes. Absent means no limit.
    pub max_bytes: Option<u64>,
}

impl PolicyEngine for Policy {
    fn decide(&self, question: &Question<'_>) -> Decision {
        let denial = match *question {
            Question::Reference(reference) => {
                self.refuse_scheme(reference).or_else(|| self.refuse_repo(reference))
            }
            Question::Network(reference) => self.refuse_network(reference),
            Question::AnyHost => self.refuse_any_host(),
            Question::Host(host) => self.refuse_host(host),
            Question::Size { id, size_bytes } => self.refuse_size(id, size_bytes),
            Question::Format { path, format } => self.refuse_format(path, format),
        };
        denial.map_or(Decision::Allowed, Decision::from)
    }
}

impl Policy {
    fn refuse_scheme(&self, reference: &ModelRef) -> Option<Denial> {
        let (schemes, scheme) = (self.schemes.as_ref()?, reference.scheme());
        let is_allowed = schemes.iter().any(|allowed| canonical(allowed) == scheme);
        (!is_allowed).then(|| {
            Denial::new("schemes", scheme, format!("the scheme `{scheme}`"))
                .with_remedy(format!("add `{scheme}` to the policy's `schemes`"))
        })
    }

    fn refuse_repo(&self, reference: &ModelRef) -> Option<Denial> {
        let repos = self.repos.as_ref().filter(|_| !reference.is_local())?;
        let is_allowed = repos.iter().any(|pattern| matches_reference(pattern, reference));
        (!is_allowed).then(|| {
            let repo = pattern_of(reference);
            Denial::new("repos", repo.clone(), format!("the repository `{repo}`"))
                .with_remedy(format!("add `{repo}` to the policy's `repos`"))
        })
    }

    fn refuse_network(&self, reference: &ModelRef) -> Option<Denial> {
        let denial = |value: &str| {
            Denial::new("network", value, format!("the network, and `{reference}` is not on this machine"))
        };
        match self.network {
            Network::Allow => None,
            Network::Offline => Some(denial("offline").of_kind(DenialKind::Offline)),
            Network::Deny => Some(denial("deny").with_remedy(Hint::AllowNetwork)),
        }
    }

    fn refuse_any_host(&self) -> Option<Denial> {
        let hosts = self.hosts.as_ref()?;
        Some(Denial::new("hosts", hosts.join(", "), "hosts that its `hosts` do not name"))
    }

    /// Returns the denial of a host. `*.hf.co` allows every host below `hf.co`, and not that one.
    fn refuse_host(&self, host: &str) -> Option<Denial> {
        let is_allowed = self.hosts.as_ref()?.iter().any(|pattern| matches_host(pattern, host));
        (!is_allowed).then(|| {
            Denial::new("hosts", host, format!("the host `{host}`"))
                .with_remedy(format!("add `{host}` to the policy's `hosts`"))
        })
    }

    fn refuse_size(&self, id: &str, size_bytes: u64) -> Option<Denial> {
        let limit = self.max_bytes.filter(|limit| size_bytes > *limit)?;
        let what = format!("`{id}`, which has {size_bytes} bytes, over the limit of {limit}");
        Some(
            Denial::new("max_bytes", size_bytes.to_string(), what)
                .with_remedy("raise the policy's `max_bytes`"),
        )
    }

    fn refuse_format(&self, path: &str, format: Format) -> Option<Denial> {
        let name = format.as_str();
        let denial = || Denial::new("formats", name, format!("the format `{name}` of `{path}`"));
        match &self.formats {
            None if matches!(format, Format::Pickle | Format::Python) => {
                Some(denial().of_kind(DenialKind::RunsCode))
            }
            Some(formats) if !formats.contains(&format) => {
                Some(denial().with_remedy(format!("add `{name}` to the policy's `formats`")))
            }
            _ => None,
        }
    }
}

/// Returns the name of a scheme in ids: `file:` references have `local:` ids.
fn canonical(scheme: &str) -> &str {
    if scheme == "file" { "local" } else { scheme }
}

/// Returns the pattern that allows just the repository of a reference, or just its id where it has no repository.
fn pattern_of(reference: &ModelRef) -> String {
    match reference.repository() {
        Some(repo) if repo.scheme() == HUB => repo.repo().to_owned(),
        Some(repo) => format!("{}:{}", repo.scheme(), repo.repo()),
        None => reference.id(),
    }
}

/// The source whose repositories a pattern without a scheme names.
const HUB: &str = "hf";

/// Returns whether a pattern of `repos` allows a reference that is fetched.
fn matches_reference(pattern: &str, reference: &ModelRef) -> bool {
    let (scheme, pattern) = pattern.split_once(':').unwrap_or((HUB, pattern));
    if !scheme.eq_ignore_ascii_case(reference.scheme()) {
        return false;
    }
    match reference {
        ModelRef::Repo(repo) => matches_repo(pattern, repo),
        other => matches_text(pattern, &other.id()),
    }
}

/// Returns whether a pattern allows a repository. `org/*` allows every repository of `org`. Letter case counts where it does
/// for the source.
fn matches_repo(pattern: &str, repo: &RepoRef) -> bool {
    let is_same = |a: &str, b: &str| if repo.folds_case() { a.eq_ignore_ascii_case(b) } else { a == b };
    match pattern.strip_suffix("/*") {
        Some(org) => repo.repo().split_once('/').is_some_and(|(found, _)| is_same(found, org)),
        None => is_same(pattern, repo.repo()),
    }
}

/// Returns whether a pattern allows a text whose parts only its fetcher knows. `/*` at the end allows all below, but for a
/// text that could climb out of it.
fn matches_text(pattern: &str, id: &str) -> bool {
    let Some((_, text)) = id.split_once(':') else { return false };
    let (pattern, text) = (pattern.trim_start_matches('/'), text.trim_start_matches('/'));
    match pattern.strip_suffix("/*") {
        Some(above) => {
            let is_plain = !text.contains(['%', '\\']) && !text.split('/').any(|part| part == "..");
            is_plain
                && text.strip_prefix(above).is_some_and(|below| below.len() > 1 && below.starts_with('/'))
        }
        None => pattern == text,
    }
}

fn matches_host(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(above) => host.strip_suffix(above).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_engine::ask;

    fn allows(policy: &Policy, question: Question<'_>) -> bool {
        ask(policy, &question).is_ok()
    }

    #[test]
    fn the_default_is_local_only() {
        let policy = Policy::default();
        let local: ModelRef = "local:/a".parse().unwrap();
        let other: ModelRef = "s3://b/a".parse().unwrap();
        assert!(allows(&policy, Question::Reference(&local)));
        assert!(allows(&policy, Question::Reference(&other)) && !allows(&policy, Question::Network(&other)));
        assert!(!allows(&policy, Question::Format { path: "m.pt", format: Format::Pickle }));
        assert!(allows(&policy, Question::Format { path: "m.txt", format: Format::Other }));
        assert!(
            allows(&policy, Question::Host("any"))
                && allows(&policy, Question::Size { id: "m", size_bytes: u64::MAX })
        );
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
        let check = |text: &str| allows(&policy, Question::Reference(&text.parse().unwrap()));
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
            assert_eq!(allows(&policy, Question::Host(host)), allowed, "{host}");
        }
        assert!(
            allows(&policy, Question::Format { path: "m.pt", format: Format::Pickle })
                && !allows(&policy, Question::Format { path: "m", format: Format::Gguf })
        );
        assert!(
            allows(&policy, Question::Size { id: "m", size_bytes: 10 })
                && !allows(&policy, Question::Size { id: "m", size_bytes: 11 })
        );
    }

    #[test]
    fn repositories_bind_every_source() {
        let check = |patterns: &[&str], reference: &str| {
            let repos = Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
            let policy = Policy { repos, ..Policy::default() };
            allows(&policy, Question::Reference(&reference.parse().unwrap()))
        };
        for (patterns, reference, allowed) in [
            (&["org/*"][..], "hf:ORG/x", true),
            (&["org/*"], "mem:org/x", false),
            (&["hf:org/*"], "hf:org/x@v1:Q4_K_M", true),
            (&["mem:org/*"], "mem:org/x@v1/a.gguf", true),
            (&["MEM:org/*"], "mem:org/x", true),
            (&["mem:org/*"], "mem:ORG/x", false),
            (&["mem:org/*"], "mem:org/x:q4", true),
            (&["mem:org/x"], "mem:org/x", true),
            (&["mem:org/x"], "mem:org/x:q4", false),
            (&["mem:org/*"], "hf:org/x", false),
            (&["oci:registry.example/*"], "oci:registry.example/a/b:tag", true),
            (&["oci:registry.example/*"], "oci://registry.example/a", true),
            (&["oci:registry.example/*"], "oci:registry.example.evil/a", false),
            (&["s3:bucket/in/*"], "s3://bucket/in/../out", false),
            (&["s3:bucket/in/*"], "s3://bucket/in/%2e%2e/out", false),
            (&["org/*"], "s3://org/x", false),
            (&[], "hf:org/x", false),
            (&[], "local:/a", true),
        ] {
            assert_eq!(check(patterns, reference), allowed, "{patterns:?} {reference}");
        }
    }

    #[test]
    fn a_denial_says_rule_value_and_remedy() {
        let policy = Policy { repos: Some(vec!["org/*".into()]), ..Policy::default() };
        let reference: ModelRef = "mem:a/b:Q8_0".parse().unwrap();
        let Decision::Denied(denial) = policy.decide(&Question::Reference(&reference)) else { panic!() };
        assert_eq!(
            (denial.rule.as_ref(), denial.value.as_str(), &denial.location),
            ("repos", "mem:a/b", &None)
        );
        assert_eq!(denial.remedy, Some(Hint::text("add `mem:a/b` to the policy's `repos`")));
        assert_eq!(denial.to_string(), "policy does not allow the repository `mem:a/b`");
    }
}
