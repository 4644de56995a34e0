//! Implements the policy that is a list of rules. A caller asks it before anything happens. It never refuses a present model
//! for want of a network. Each rule has a file of its own.

mod formats;
mod hosts;
mod licenses;
pub(crate) mod limits;
mod network;
mod programs;
pub(crate) mod repos;
mod scan;
mod schemes;
pub(crate) mod signatures;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    network::{Network, NetworkPolicy},
    programs::Permission,
    scan::ScanRule,
    signatures::SignatureRule,
};
use crate::{
    denial::Denial,
    format::Format,
    policy_engine::{Decision, PolicyEngine, Question},
    reference::ModelRef,
};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemes: Option<Vec<String>>,
    /// The hosts that a fetcher may connect to, as `huggingface.co` or `*.hf.co`. Absent means those that the source needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// The repositories that a reference may name: `org/repo` and `org/*` of the Hub, `SCHEME:org/*` of any source. Absent
    /// means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repos: Option<Vec<String>>,
    /// The licences that a model may have, such as `apache-2.0`. Absent means all, and also none that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<Vec<String>>,
    /// The formats that files may have. Absent means all but those that can run code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<Vec<Format>>,
    /// The results of a source's scanners that deny a file. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanRule>,
    /// Says whether program code that a model's configuration names may come along. Absent leaves that to the formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_code: Option<Permission>,
    /// The signatures that models need. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Vec<SignatureRule>>,
    /// The size of the largest model: a number of bytes, or a size such as `200G`. Absent means no limit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limits::size")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "limits::size_schema"))]
    pub max_bytes: Option<u64>,
    /// The largest number of files of a model. Absent means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u64>,
    /// Says whether the provisioner may run the command of a source, such as `hf`. Absent means that it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell_out: Option<Permission>,
}

impl PolicyEngine for Policy {
    fn decide(&self, question: &Question<'_>) -> Decision {
        self.denials(question).into_iter().next().map_or(Decision::Allowed, Decision::from)
    }

    fn denials(&self, question: &Question<'_>) -> Vec<Denial> {
        self.refuse(question).into_iter().flatten().collect()
    }

    fn rules(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(rules)) => rules,
            _ => Map::new(),
        }
    }

    fn names_host(&self, host: &str) -> Option<bool> {
        hosts::names(self.hosts.as_deref(), host)
    }

    fn signature_rules(&self, reference: &ModelRef) -> Vec<SignatureRule> {
        let rules = self.signatures.as_deref().unwrap_or_default();
        SignatureRule::of(rules, reference).into_iter().cloned().collect()
    }
}

impl Policy {
    /// Returns what each rule that a question concerns says against it.
    fn refuse(&self, question: &Question<'_>) -> [Option<Denial>; 2] {
        let only = |denial| [denial, None];
        match *question {
            Question::Reference(reference) => [
                schemes::refuse(self.schemes.as_deref(), reference),
                repos::refuse(self.repos.as_deref(), reference),
            ],
            Question::Network(reference) => only(network::refuse(self.network, reference)),
            Question::AnyHost => only(hosts::refuse_any(self.hosts.as_deref())),
            Question::Host(host) => only(hosts::refuse(self.hosts.as_deref(), host)),
            Question::Size { id, size_bytes } => only(limits::refuse_size(self.max_bytes, id, size_bytes)),
            Question::MaxFiles { id, files } => only(limits::refuse_files(self.max_files, id, files)),
            Question::Format { path, format } => only(self.refuse_format(path, format)),
            Question::RemoteCode { path } => only(programs::refuse_code(self.remote_code, path)),
            Question::License { id, license } => {
                only(licenses::refuse(self.licenses.as_deref(), id, license))
            }
            Question::Scan { path, status } => only(scan::refuse(self.scan.as_ref(), path, status)),
            Question::ShellOut { program } => only(programs::refuse_shell_out(self.shell_out, program)),
            Question::Signature { reference, signers } => {
                only(signatures::refuse(self.signatures.as_deref(), reference, signers))
            }
        }
    }

    /// Returns the denial of a format. A policy without formats that allows program code means its format too.
    fn refuse_format(&self, path: &str, format: Format) -> Option<Denial> {
        let is_code = format == Format::Python && self.remote_code == Some(Permission::Allow);
        if is_code && self.formats.is_none() {
            return None;
        }
        formats::refuse(self.formats.as_deref(), path, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hint::Hint, policy_engine::ask};

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
            ..Policy::default()
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
