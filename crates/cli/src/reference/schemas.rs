//! Lists the documents that the command prints, and generates their schemas.

use std::fmt::Write as _;

use model_provisioner::ProgressEvent;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::fields;
use crate::output::{
    documents::{
        changed::Changed,
        collected::Collected,
        exported::Exported,
        health::Health,
        inspected::Inspected,
        listed::Listed,
        locked::{CheckedLock, Locked},
        model::{Model, ModelOrFailure},
        planned::Planned,
        provenance::{checked::Checked, head::Head, shown::Shown},
        variants::Variants,
        verified::Verified,
    },
    failure::FailureDocument,
};

/// Describes a document: its name, which subcommands print it, and its schema.
pub(super) struct Document {
    name: &'static str,
    printed_by: &'static str,
    pub(super) schema: Value,
}

/// Stands for a document of one reference, or a list of those of several.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrSeveral<T> {
    One(T),
    Several(Vec<T>),
}

impl Document {
    fn new<T: JsonSchema>(name: &'static str, printed_by: &'static str) -> Self {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let mut schema = generator.into_root_schema_for::<T>();
        // The name of a type is not part of the contract.
        schema.insert("title".to_owned(), name.into());
        let mut schema = schema.into();
        without_null(&mut schema);
        Self { name, printed_by, schema }
    }

    /// Returns the path of the schema in the repository.
    pub(super) fn path(&self) -> String {
        format!("schemas/{}.schema.json", self.name)
    }
}

/// Takes `null` out of the types of fields that may be absent: the command leaves such a field out.
fn without_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let is_required =
        |name: &String| required.as_array().is_some_and(|names| names.iter().any(|other| *other == **name));
    for (name, field) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if !is_required(name) {
            refuse_null(field);
        }
    }
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(without_null),
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn refuse_null(field: &mut Value) {
    if let Some(types) = field["type"].as_array() {
        let types: Vec<_> = types.iter().filter(|kind| *kind != "null").collect();
        if let [only] = types.as_slice() {
            field["type"] = (*only).clone();
        }
    }
    let Some(choices) = field["anyOf"].as_array() else { return };
    let choices: Vec<_> = choices.iter().filter(|choice| choice["type"] != "null").cloned().collect();
    if let ([Value::Object(only)], Value::Object(field)) = (choices.as_slice(), field) {
        field.remove("anyOf");
        field.extend(only.clone());
    }
}

/// Returns every document.
pub(super) fn documents() -> Vec<Document> {
    vec![
        Document::new::<Model>("model", "`ensure` of one reference, `run`, `provision`, `show`, `import`"),
        Document::new::<Vec<ModelOrFailure>>("models", "`ensure` of several references"),
        Document::new::<OneOrSeveral<Planned>>(
            "plan",
            "`plan`: one document, or a list for several references",
        ),
        Document::new::<OneOrSeveral<Variants>>(
            "variants",
            "`plan` without `--fit` and with `--ctx`, `--parallel`, `--kv-type`, `--vram`, `--engine`, `--ubatch` or `--flash-attn`: one \
             document, or a list for several references",
        ),
        Document::new::<Locked>("lock", "`lock`, also with `--upgrade`"),
        Document::new::<CheckedLock>("lock-check", "`lock --check`"),
        Document::new::<Inspected>("inspect", "`inspect`"),
        Document::new::<Vec<Listed>>("list", "`list`"),
        Document::new::<Vec<Verified>>("verify", "`verify`"),
        Document::new::<Changed>("change", "`retire`, `activate`, `remove`"),
        Document::new::<Exported>("export", "`export`"),
        Document::new::<Collected>("gc", "`gc`"),
        Document::new::<Health>("doctor", "`doctor`"),
        Document::new::<Checked>("provenance-verify", "`provenance verify`"),
        Document::new::<Shown>("provenance-show", "`provenance show`"),
        Document::new::<Head>("provenance-checkpoint", "`provenance checkpoint`"),
        Document::new::<FailureDocument>("error", "every subcommand that fails"),
        Document::new::<ProgressEvent>("progress", "`--progress json`: one event a line, on standard error"),
    ]
}

/// Returns the part of the page on documents and progress events.
pub(super) fn section() -> String {
    let mut text = String::from(
        "\n## JSON documents\n\nWith `--json` the command prints one document. An absent value is not known, or does not \
         apply. A later release may add fields.\n\n| document | printed by | schema |\n| --- | --- | --- |\n",
    );
    let documents = documents();
    for document in &documents {
        let Document { name, printed_by, .. } = document;
        writeln!(text, "| {name} | {printed_by} | [{0}](../{0}) |", document.path()).unwrap();
    }
    let (progress, documents): (Vec<_>, Vec<_>) =
        documents.iter().partition(|document| document.name == "progress");
    fields::write_documents(&mut text, documents.iter().map(|document| (document.name, &document.schema)));
    for document in progress {
        text.push_str("\n## Progress events\n\n");
        fields::write_events(&mut text, &document.schema);
    }
    text
}
