//! Makes the bill of materials of a model.
//!
//! Of one model it is always the same, byte for byte: its serial number comes of the model's digest, and it names no time.

use provisioner_core::{DigestAlgorithm, ModelFacts};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    licence::spdx_id,
    model::{DigestedFile, StatedModel},
    uri::{package_url, resource_uri},
};

/// Tells the serial numbers of this program from those of others that come of the same digest.
const SERIAL_SPACE: &[u8] = b"model-provisioner bill of materials v1\n";

/// Holds a bill of materials in CycloneDX 1.6. It serializes as its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Metadata {
    tools: Tools,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Tools {
    components: Vec<Component>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_card: Option<ModelCard>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct LicenseChoice {
    license: License,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum License {
    Id(&'static str),
    Name(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelCard {
    model_parameters: ModelParameters,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture_family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_architecture: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

impl Bom {
    /// Makes the bill of materials of a model. `version` is that of the program.
    pub fn of(model: &StatedModel<'_>, version: &str) -> Self {
        let program = Component {
            kind: "application",
            name: "model-provisioner".to_owned(),
            version: Some(version.to_owned()),
            ..Component::default()
        };
        Self {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            format: "CycloneDX",
            spec_version: "1.6",
            serial_number: serial_number(model),
            version: 1,
            metadata: Metadata { tools: Tools { components: vec![program] } },
            components: vec![of_model(model)],
        }
    }
}

fn of_model(model: &StatedModel<'_>) -> Component {
    let record = model.record;
    let facts = record.facts.clone().unwrap_or_default();
    let uri = resource_uri(model.reference, record.revision.as_deref());
    let repository = model.reference.repository().map(|repository| repository.repo().to_owned());
    Component {
        kind: "machine-learning-model",
        name: repository.or_else(|| facts.name.clone()).unwrap_or_else(|| record.id.clone()),
        version: record.revision.clone(),
        hashes: of_single_file(model),
        licenses: facts.license.as_deref().map(license).into_iter().collect(),
        purl: package_url(model.reference, record.revision.as_deref()),
        model_card: model_card(&facts),
        components: model.files.iter().map(|file| of_file(file, &uri)).collect(),
        properties: properties(model),
        bom_ref: Some(uri),
    }
}

fn of_file(file: &DigestedFile, uri: &str) -> Component {
    Component {
        kind: "file",
        bom_ref: Some(format!("{uri}|{}", file.path)),
        name: file.path.to_string(),
        hashes: vec![Hash { alg: "SHA-256", content: file.sha256.hex() }],
        ..Component::default()
    }
}

/// Returns the hash of a model that is one file. CycloneDX has no name for the digest of a set, which is a property.
fn of_single_file(model: &StatedModel<'_>) -> Vec<Hash> {
    match model.files.as_slice() {
        [only] => vec![Hash { alg: "SHA-256", content: only.sha256.hex() }],
        _ => Vec::new(),
    }
}

fn license(name: &str) -> LicenseChoice {
    let license = spdx_id(name).map_or_else(|| License::Name(name.to_owned()), License::Id);
    LicenseChoice { license }
}

fn model_card(facts: &ModelFacts) -> Option<ModelCard> {
    // Of the architectures that engines load, those with heads of attention are transformers; others have none.
    let architecture_family = facts.heads.filter(|heads| *heads > 0).map(|_| "transformer");
    let model_architecture = facts.architecture.clone();
    (architecture_family.is_some() || model_architecture.is_some()).then_some(ModelCard {
        model_parameters: ModelParameters { architecture_family, model_architecture },
    })
}

fn properties(model: &StatedModel<'_>) -> Vec<Property> {
    let record = model.record;
    let mut properties = vec![
        Property { name: "model-provisioner:id", value: record.id.clone() },
        Property {
            name: "model-provisioner:digest",
            value: format!("{}:{}", DigestAlgorithm::Sha256Tree, model.tree().hex()),
        },
        Property { name: "model-provisioner:format", value: record.format.as_str().to_owned() },
    ];
    let basis = record.verification.basis.map(|basis| basis.as_str().to_owned());
    properties.extend(basis.map(|value| Property { name: "model-provisioner:basis", value }));
    let quantization = record.facts.as_ref().and_then(|facts| facts.quantization.clone());
    properties.extend(quantization.map(|value| Property { name: "model-provisioner:quantization", value }));
    properties
}

/// Returns the serial number: a UUID of version 8 (RFC 9562, section 5.8) of the SHA-256 over the model's id, its revision and
/// the digest of its files.
fn serial_number(model: &StatedModel<'_>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(SERIAL_SPACE);
    let revision = model.record.revision.as_deref().unwrap_or_default();
    hasher.update(format!("{}\n{revision}\n{}\n", model.record.id, model.tree().hex()));
    let digest: [u8; 32] = hasher.finalize().into();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = (uuid[6] & 0x0f) | 0x80;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    let hex = hex::encode(uuid);
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
