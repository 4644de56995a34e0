//! Makes the verification summary of a model.

use std::collections::BTreeMap;

use provisioner_core::{Basis, Digest, PolicyDocument, Timestamp};
use serde::Serialize;

use crate::{
    model::{DigestedFile, StatedModel},
    uri::{file_uri, resource_uri, signature_uri},
};

/// The type of the payload where a statement is signed in an envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// The verifier where the operator names none. No host can have this name (RFC 6761, section 6.4): it identifies the program, and
/// leads nowhere.
pub const VERIFIER_ID: &str = "https://model-provisioner.invalid/verifier/v1";

/// The policy where the operator has no file of one.
const NO_POLICY: &str = "https://model-provisioner.invalid/policy/built-in/v1";

/// The field of the predicate that names all policies, where the operator has several: the specification has a place for one.
pub const POLICIES_KEY: &str = "https://model-provisioner.invalid/policies/v1";

/// The field of the predicate that names a line of the provenance log.
pub const RECORD_KEY: &str = "https://model-provisioner.invalid/record/v1";

/// Holds an in-toto statement with a verification summary. It serializes as its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: Summary,
}

/// Says what a statement names beside the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The URI of who verified the model; [`VERIFIER_ID`] where it is empty.
    pub verifier_id: String,
    /// The version of the program.
    pub version: String,
    /// The files of the policies in force, in their order.
    pub policies: Vec<PolicyDocument>,
    /// The line of the provenance log that tells of this statement.
    pub line: Option<LogLine>,
}

/// Names a line of the provenance log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The number of the line, from 1 on.
    pub seq: u64,
    /// The SHA-256 of the line's bytes, as `sha256:` and 64 hex digits.
    pub line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Subject {
    name: String,
    digest: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    verifier: Verifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_verified: Option<Timestamp>,
    resource_uri: String,
    policy: Resource,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    input_attestations: Vec<Resource>,
    verification_result: &'static str,
    verified_levels: Vec<&'static str>,
    // A field beside those of the specification must have a URI as its name.
    #[serde(rename = "https://model-provisioner.invalid/policies/v1", skip_serializing_if = "Vec::is_empty")]
    policies: Vec<Resource>,
    #[serde(rename = "https://model-provisioner.invalid/record/v1", skip_serializing_if = "Option::is_none")]
    record: Option<LogLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Verifier {
    id: String,
    version: BTreeMap<&'static str, String>,
}

/// Names what a verifier went by, as the `ResourceDescriptor` of in-toto.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Resource {
    uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<&'static str, String>,
}

impl Statement {
    /// Makes the statement of a model. Its subjects are the files with their SHA-256, and the set of them with its `dirHash`.
    pub fn of(model: &StatedModel<'_>, circumstances: Circumstances) -> Self {
        let Circumstances { verifier_id, version, policies, line } = circumstances;
        let policies: Vec<_> = policies.iter().map(Resource::of_policy).collect();
        let record = model.record;
        let whole = Subject { name: record.id.clone(), digest: [("dirHash", model.tree().hex())].into() };
        let id = if verifier_id.is_empty() { VERIFIER_ID.to_owned() } else { verifier_id };
        Self {
            kind: "https://in-toto.io/Statement/v1",
            subject: model.files.iter().map(Subject::of_file).chain([whole]).collect(),
            predicate_type: PREDICATE_TYPE,
            predicate: Summary {
                verifier: Verifier { id, version: [("model-provisioner", version)].into() },
                time_verified: record.verification.verified_at,
                resource_uri: resource_uri(model.reference, record.revision.as_deref()),
                policy: policies.first().cloned().unwrap_or_else(Resource::built_in),
                input_attestations: Resource::of_signatures(model),
                verification_result: "PASSED",
                verified_levels: vec![level(record.verification.basis)],
                policies: if policies.len() > 1 { policies } else { Vec::new() },
                record: line,
            },
        }
    }
}

impl Resource {
    /// Names the rules that this program has by itself.
    fn built_in() -> Self {
        Self { uri: NO_POLICY.to_owned(), digest: BTreeMap::new() }
    }

    fn of_policy(document: &PolicyDocument) -> Self {
        Self::with_sha256(file_uri(&document.path), &document.sha256)
    }

    /// Names the signatures that hold for a model: the verdict rests on them.
    fn of_signatures(model: &StatedModel<'_>) -> Vec<Self> {
        let signatures = model.record.signatures.iter();
        signatures.map(|held| Self::with_sha256(signature_uri(model, &held.file), &held.sha256)).collect()
    }

    fn with_sha256(uri: String, sha256: &Digest) -> Self {
        Self { uri, digest: [("sha256", sha256.hex())].into() }
    }
}

impl Subject {
    fn of_file(file: &DigestedFile) -> Self {
        Self { name: file.path.to_string(), digest: [("sha256", file.sha256.hex())].into() }
    }
}

/// Returns the level of a basis. The levels of SLSA are about builds; these are this program's own.
fn level(basis: Option<Basis>) -> &'static str {
    match basis {
        Some(Basis::Pinned) => "MODEL_DIGEST_PINNED",
        Some(Basis::Signed) => "MODEL_SIGNED",
        Some(Basis::Source) => "MODEL_DIGEST_FROM_SOURCE",
        Some(Basis::FirstUse) => "MODEL_DIGEST_FIRST_USE",
        None => "MODEL_UNVERIFIED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_our_own_has_the_name_that_is_told() {
        let line = LogLine { seq: 1, line: "sha256:00".to_owned() };
        let summary = Summary {
            verifier: Verifier { id: String::new(), version: BTreeMap::new() },
            time_verified: None,
            resource_uri: String::new(),
            policy: Resource::built_in(),
            input_attestations: Vec::new(),
            verification_result: "PASSED",
            verified_levels: Vec::new(),
            policies: vec![Resource::built_in()],
            record: Some(line),
        };
        let summary = serde_json::to_value(summary).unwrap();
        assert_eq!(summary[RECORD_KEY]["seq"], 1);
        assert_eq!(summary[POLICIES_KEY][0], serde_json::json!({ "uri": NO_POLICY }));
    }
}
