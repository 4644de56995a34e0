//! Writes tables of fields, from schemas.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

/// Writes a table for each document, and one for each part that documents share.
pub(super) fn write_documents<'a>(text: &mut String, documents: impl Iterator<Item = (&'a str, &'a Value)>) {
    let mut parts: BTreeMap<&str, &Value> = BTreeMap::new();
    for (name, schema) in documents {
        for (part, schema) in schema["$defs"].as_object().into_iter().flatten() {
            parts.insert(part, schema);
        }
        if schema["properties"].is_object() {
            write!(text, "\n### {name}\n\n").unwrap();
            write_fields(text, schema);
        }
    }
    text.push_str("\n### Parts of documents\n");
    for (name, schema) in parts {
        if schema["properties"].is_object() {
            write!(text, "\n#### {name}\n\n").unwrap();
            write_fields(text, schema);
        } else if let Some(values) = values(schema) {
            let description = description(schema);
            write!(text, "\n#### {name}\n\n{description}\n\nOne of {}.\n", values.join(", ")).unwrap();
        }
    }
}

/// Returns the values of a text that is one of a few.
fn values(schema: &Value) -> Option<Vec<String>> {
    let of_enum = schema["enum"].as_array().map(|values| values.iter().collect::<Vec<_>>());
    let of_choices =
        || Some(schema["oneOf"].as_array()?.iter().map(|choice| &choice["const"]).collect::<Vec<_>>());
    let values = of_enum.or_else(of_choices)?;
    values.into_iter().map(|value| Some(format!("`{}`", value.as_str()?))).collect()
}

/// Writes a row for each event.
pub(super) fn write_events(text: &mut String, schema: &Value) {
    text.push_str("| event | fields | when |\n| --- | --- | --- |\n");
    for event in schema["oneOf"].as_array().unwrap() {
        let fields = event["properties"].as_object().unwrap();
        let names: Vec<_> =
            fields.keys().filter(|name| *name != "event").map(|name| format!("`{name}`")).collect();
        let name = event["properties"]["event"]["const"].as_str().unwrap();
        writeln!(text, "| `{name}` | {} | {} |", names.join(", "), description(event)).unwrap();
    }
}

fn write_fields(text: &mut String, schema: &Value) {
    if !description(schema).is_empty() {
        write!(text, "{}\n\n", description(schema)).unwrap();
    }
    text.push_str("| field | type | meaning |\n| --- | --- | --- |\n");
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.iter().any(|required| *required == name) { "" } else { ", or absent" };
        writeln!(text, "| `{name}` | {}{optional} | {} |", kind(field), description(field)).unwrap();
    }
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// Returns the type in words: a part by its name.
fn kind(schema: &Value) -> String {
    if let Some(part) = schema["$ref"].as_str() {
        return part.rsplit('/').next().unwrap_or(part).to_owned();
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of_items(schema)),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        _ => {
            let choices = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array());
            let choices: Vec<_> = choices.into_iter().flatten().map(kind).collect();
            choices.join(" or ")
        }
    }
}

fn kind_of_items(schema: &Value) -> String {
    kind(&schema["items"])
}
