//! Reads the policy file of an operator.

use serde::{Deserialize, Deserializer, de};

use crate::{
    format::Format,
    mirror::Mirror,
    policy::{Network, Permission, Policy, ScanRule, SignatureRule, limits},
};

/// The version of the policy file that this release reads.
const VERSION: u64 = 1;

/// Holds the policy file of an operator. It has the rules of a [`Policy`], and the version of the format. A key that is absent limits
/// nothing, the network included; a key without a value is a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "The policy file of an operator: what a provisioner may do.")
)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OperatorPolicy {
    /// The version of the format: `1`.
    #[serde(deserialize_with = "version")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    pub version: u64,
    /// Says whether the provisioner may use the network.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Network"))]
    pub network: Option<Network>,
    /// The schemes that a reference may have, such as `local` and `hf`.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub schemes: Option<Vec<String>>,
    /// The hosts that a fetcher may connect to, at every hop, as `huggingface.co` or `*.hf.co`.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub hosts: Option<Vec<String>>,
    /// The repositories that a reference may name, as patterns of ids: `hf:org/*`, `oci:registry.example/*`.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub repos: Option<Vec<String>>,
    /// The licences that a model may have, such as `apache-2.0`. A model whose licence is not known is denied.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub licenses: Option<Vec<String>>,
    /// The formats that files may have. Pickle and python are refused unless they are named.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Format>"))]
    pub formats: Option<Vec<Format>>,
    /// The results of a source's scanners that deny a file.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "ScanRule"))]
    pub scan: Option<ScanRule>,
    /// Says whether program code that a model's configuration names may come along.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Permission"))]
    pub remote_code: Option<Permission>,
    /// The signatures that models need.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SignatureRule>"))]
    pub signatures: Option<Vec<SignatureRule>>,
    /// The size of the largest model: a number of bytes, or a size such as `200G`.
    #[serde(default, deserialize_with = "limits::given_size")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "limits::size_schema"))]
    pub max_bytes: Option<u64>,
    /// The largest number of files of a model.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub max_files: Option<u64>,
    /// Says whether the provisioner may run the command of a source, such as `hf`.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Permission"))]
    pub shell_out: Option<Permission>,
    /// Other addresses that may have what the sources have. They are no rule: a mirror needs no trust.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
}

impl From<OperatorPolicy> for Policy {
    fn from(file: OperatorPolicy) -> Self {
        Self {
            network: file.network.unwrap_or(Network::Allow),
            schemes: file.schemes,
            hosts: file.hosts,
            repos: file.repos,
            licenses: file.licenses,
            formats: file.formats,
            scan: file.scan,
            remote_code: file.remote_code,
            signatures: file.signatures,
            max_bytes: file.max_bytes,
            max_files: file.max_files,
            shell_out: file.shell_out,
        }
    }
}

/// Reads a value that the file mentions. An empty one is a mistake: it does not mean that the rule is absent.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => {
            Err(de::Error::custom(format!("this release reads version {VERSION} of the format, not {other}")))
        }
    }
}
