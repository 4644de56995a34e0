//! The document of each subcommand obeys its schema in `schemas/`, and has no field that the schema does not name.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use testkit::{FakeModel, Hub, TINY_GGUF, gguf_of};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

const HUB_ID: &str = "hf:org/repo:F16";

/// Refuses fields that a schema does not name, so that a new one does not stay undocumented.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(tighten);
            if fields.get("type") == Some(&"object".into()) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

fn compiled(name: &str) -> (Schemas, SchemaIndex) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas"));
    let text = fs_err::read_to_string(path.join(format!("{name}.schema.json"))).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    tighten(&mut schema);
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("document.json", schema).unwrap();
    let index = compiler.compile("document.json", &mut schemas).unwrap();
    (schemas, index)
}

#[track_caller]
fn is_valid(name: &str, text: &str) {
    let (schemas, index) = compiled(name);
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if let Err(error) = schemas.validate(&document, index) {
        panic!("{error:#}\n{text}");
    }
}

/// Makes a folder with a model, and a hub with another one.
struct Machine {
    bench: Fixture,
    hub: Hub,
}

impl Machine {
    fn new() -> Self {
        let (bench, hub) = (Fixture::new(), Hub::start());
        bench.file("tiny.gguf", TINY_GGUF);
        let repo = hub.repo("org/repo").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes());
        repo.lfs("large-Q8_0.gguf", gguf_of(2_000_000, 7)).publish();
        Self { bench, hub }
    }

    fn run(&self, args: &[&str]) -> Finished {
        finish(&mut hub::command(&self.bench, &self.hub.endpoint(), args))
    }

    /// Runs the command with `--json`, and compares its document with a schema.
    #[track_caller]
    fn check(&self, schema: &str, args: &[&str]) {
        let done = self.run(&[args, &["--json"]].concat());
        is_valid(schema, &done.stdout);
    }
}

#[test]
fn documents_of_models_obey_their_schemas() {
    let machine = Machine::new();
    machine.check("plan", &["plan", HUB_ID]);
    machine.check("plan", &["plan", HUB_ID, "tiny.gguf"]);
    machine.check("variants", &["plan", "hf:org/repo", "--ctx", "256", "--vram", "1M"]);
    machine.check("variants", &["plan", "hf:org/repo", "tiny.gguf", "--vram", "1M"]);
    machine.check("inspect", &["inspect", HUB_ID]);
    machine.check("inspect", &["inspect", "tiny.gguf", "--ctx", "256", "--vram", "1GiB"]);
    machine.check("model", &["ensure", HUB_ID, "--handoff", "engine.json"]);
    machine.check("model", &["ensure", "tiny.gguf"]);
    machine.check("models", &["ensure", "tiny.gguf", "absent.gguf"]);
    machine.check("model", &["run", HUB_ID]);
    machine.check("model", &["show", HUB_ID]);
    machine.bench.file("model.yaml", "model_ref: tiny.gguf\n");
    machine.check("model", &["provision", "--config", "model.yaml"]);
    machine.check("list", &["list"]);
    machine.check("export", &["export", HUB_ID, "exported"]);
    machine.check("model", &["import", "exported"]);
    machine.check("model", &["ensure", HUB_ID, "--attest", "statements"]);
    machine.bench.file("tiny.gguf", "GGUF, and no more");
    machine.check("model", &["show", "tiny.gguf"]);
}

#[test]
fn documents_of_the_cache_obey_their_schemas() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["ensure", HUB_ID]).status, 0);
    assert_eq!(machine.run(&["ensure", "tiny.gguf"]).status, 0);
    machine.check("doctor", &["doctor"]);
    machine.check("gc", &["gc"]);
    machine.check("gc", &["gc", "--max-size", "0", "--dry-run"]);
    machine.check("change", &["retire", HUB_ID]);
    machine.check("change", &["activate", HUB_ID]);
    machine.check("verify", &["verify", "--all"]);
    machine.check("verify", &["verify", "tiny.gguf", "absent.gguf"]);
    machine.check("gc", &["gc", "--max-size", "0", "--grace", "0"]);
    machine.check("change", &["remove", "tiny.gguf"]);
    machine.bench.file("cache/catalog-v1/ab/junk.json", "{");
    machine.check("doctor", &["doctor"]);
    machine.check("error", &["remove", "tiny.gguf"]);
    machine.check("error", &["ensure", "--no-such-option"]);
    machine.check("error", &["ensure", "tiny.gguf", "--strict"]);
}

#[test]
fn documents_of_the_log_obey_their_schemas() {
    let machine = Machine::new();
    for _ in 0..2 {
        assert_eq!(machine.run(&["ensure", "tiny.gguf", "--handoff", "engine.json"]).status, 0);
    }
    machine.check("provenance-verify", &["provenance", "verify"]);
    machine.check("provenance-show", &["provenance", "show", "tiny.gguf"]);
    machine.check("provenance-checkpoint", &["provenance", "checkpoint"]);
    let log = machine.bench.cache().join("provenance.jsonl");
    let text = fs_err::read_to_string(&log).unwrap();
    let cut: String = text.split_inclusive('\n').take(3).collect();
    fs_err::write(&log, cut).unwrap();
    machine.check(
        "provenance-verify",
        &["provenance", "verify", "--checkpoint", &format!("9:{}", "0".repeat(64))],
    );
    machine.check("verify", &["verify", "tiny.gguf"]);
    fs_err::write(&log, text.replacen("ensure", "ENSURE", 1)).unwrap();
    machine.check("provenance-verify", &["provenance", "verify"]);
}

#[test]
fn progress_events_obey_their_schema() {
    let machine = Machine::new();
    let done = machine.run(&["ensure", HUB_ID, "tiny.gguf", "--progress", "json", "--quiet"]);
    let (schemas, index) = compiled("progress");
    let mut names = Vec::new();
    for line in done.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Err(error) = schemas.validate(&event, index) {
            panic!("{error:#}\n{line}");
        }
        names.push(event["event"].as_str().unwrap().to_owned());
    }
    for name in ["resolving", "fetch_planned", "fetched", "fetch_ended", "ready"] {
        assert!(names.iter().any(|other| other == name), "no {name} among {names:?}");
    }
}

#[test]
fn a_field_that_a_schema_does_not_name_is_noticed() {
    let (schemas, index) = compiled("error");
    let document = |extra: &str| {
        let text = format!(r#"{{"error": {{"code": "busy", "message": "x", "retriable": true{extra}}}}}"#);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert!(schemas.validate(&document(""), index).is_ok());
    assert!(schemas.validate(&document(r#", "more": 1"#), index).is_err());
    assert!(schemas.validate(&document(r#", "hint": null"#), index).is_err());
}
