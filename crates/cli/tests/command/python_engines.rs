//! The real Transformers, sentence-transformers, PEFT and diffusers load what `ensure` brings, without a network, and compute what
//! they compute from the whole repository that `hf download` brings.
//!
//! `just engines` brings the libraries to `target/tools/engines`, and `just test-engines` runs these tests. `tests/engine/layouts`
//! makes the models and loads them.

#![expect(clippy::print_stderr, reason = "a figure for each layout, which `--nocapture` shows")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value};
use testkit::{Hub, hub::Publication};

use crate::fixture::{Finished, Fixture, finish};

const ID: &str = "hf:org/repo";

/// How far a number may lie from another one that is computed from the same weights.
const TOLERANCE: f64 = 1e-5;

/// The endings of the files that the hub keeps as large ones.
const WEIGHTS: [&str; 8] = [".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".h5", ".msgpack", ".onnx"];

fn tool(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let path = root.join("target/tools/engines/bin").join(name);
    assert!(path.exists(), "`just engines` brings {}", path.display());
    path
}

/// A repository that a library saved, on a hub.
struct Trial {
    bench: Fixture,
    hub: Hub,
    layout: &'static str,
    /// What the model computed from the folder in which its library saved it.
    saved: Value,
}

/// What a client brought.
struct Brought {
    folder: PathBuf,
    files: usize,
    /// The bytes of files that the hub sent for it.
    sent_bytes: u64,
}

impl Trial {
    fn new(layout: &'static str) -> Self {
        let bench = Fixture::new();
        let made = finish(python(&bench, &["make", layout]).arg(bench.path("made")));
        let saved = serde_json::from_str(made.stdout.lines().last().unwrap_or_default());
        let saved: Value = saved.unwrap_or_else(|error| panic!("{layout}: {error}: {}", made.stderr));
        assert!(saved.get("error").is_none(), "{layout}: {saved}");
        let hub = Hub::start();
        publish(&bench.path("made/repo"), hub.repo("org/repo"));
        Self { bench, hub, layout, saved }
    }

    /// Runs `ensure`, and returns what it brought.
    fn ensure(&self, args: &[&str]) -> (Brought, Finished) {
        self.hub.reset_counts();
        let mut command = self.bench.command();
        command.env("HF_ENDPOINT", self.hub.endpoint()).arg("ensure").args(args).arg("--json");
        let done = finish(&mut command);
        assert_eq!(done.status, 0, "{}: {}", self.layout, done.stderr);
        let document: Value = serde_json::from_str(&done.stdout).unwrap();
        let folder = PathBuf::from(document["local_path"].as_str().unwrap());
        (self.brought(folder), done)
    }

    /// Provisions the model under that policy, into a cache of its own, and returns what that brought.
    fn provision(&self, policy: &str) -> Brought {
        self.hub.reset_counts();
        let config = self
            .bench
            .file("model.yaml", format!("model_ref: \"{ID}\"\npolicy: {policy}\nhandoff: handoff.json\n"));
        let mut command = self.bench.command();
        command.env("HF_ENDPOINT", self.hub.endpoint());
        command.env("MODEL_PROVISIONER_CACHE_DIR", self.bench.path("cache of the config"));
        let done = finish(command.args(["provision", "--config"]).arg(config));
        assert_eq!(done.status, 0, "{}: {}", self.layout, done.stderr);
        let handoff = fs_err::read(self.bench.path("handoff.json")).unwrap();
        let handoff: Value = serde_json::from_slice(&handoff).unwrap();
        self.brought(PathBuf::from(handoff["model"]["path"].as_str().unwrap()))
    }

    /// Downloads the whole repository with the `hf` command that the libraries bring.
    fn download(&self) -> Brought {
        self.hub.reset_counts();
        let mut hf = Command::new(tool("hf"));
        hf.env("HF_ENDPOINT", self.hub.endpoint().replace("127.0.0.1", "localhost"));
        hf.env("HF_HOME", self.bench.path("theirs")).env("HOME", self.bench.path("home"));
        hf.env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1").env_remove("HF_TOKEN");
        let done = finish(hf.args(["download", "org/repo", "--quiet"]));
        assert_eq!(done.status, 0, "{}: {}", self.layout, done.stderr);
        let snapshots = self.bench.path("theirs/hub/models--org--repo/snapshots");
        self.brought(fs_err::read_dir(snapshots).unwrap().next().unwrap().unwrap().path())
    }

    fn brought(&self, folder: PathBuf) -> Brought {
        let seen = self.hub.requests();
        let of_files = seen.iter().filter(|seen| seen.file.is_some());
        let sent_bytes = of_files.map(testkit::hub::Seen::sent_bytes).sum();
        Brought { files: files(&folder).len(), folder, sent_bytes }
    }

    /// Loads the model of each folder as a user does, and says where it does not compute what it computed when its library saved it.
    fn load(&self, folders: &[&Path]) -> Vec<Result<(), String>> {
        let done =
            finish(python(&self.bench, &["load", self.layout]).arg(self.bench.path("made")).args(folders));
        let lines: Vec<Value> =
            done.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.len(), folders.len(), "{}: {}{}", self.layout, done.stdout, done.stderr);
        lines.iter().map(|computed| differences(&self.saved, computed)).collect()
    }

    /// Copies a folder without one of its files.
    fn without(&self, folder: &Path, missing: &str) -> PathBuf {
        let copy = self.bench.path(&format!("without {}", missing.replace('/', " ")));
        let names = files(folder);
        assert!(names.iter().any(|name| name == missing), "{}: no {missing} in {names:?}", self.layout);
        for name in names.iter().filter(|name| *name != missing) {
            fs_err::create_dir_all(copy.join(name).parent().unwrap()).unwrap();
            fs_err::copy(folder.join(name), copy.join(name)).unwrap();
        }
        copy
    }
}

/// Returns the program of the layouts, which can reach no hub and finds nothing of other tests.
fn python(bench: &Fixture, args: &[&str]) -> Command {
    let mut python = Command::new(tool("python"));
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/layouts")).args(args);
    python
        .env("HF_HUB_OFFLINE", "1")
        .env("TRANSFORMERS_OFFLINE", "1")
        .env("HF_ENDPOINT", "http://127.0.0.1:1");
    python
        .env("HF_HOME", bench.path("python"))
        .env("HOME", bench.path("home"))
        .env("CUDA_VISIBLE_DEVICES", "");
    python.env_remove("HF_HUB_CACHE").env_remove("HF_TOKEN");
    python
}

/// Lists the files below a folder, but for the seal of a view.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = open.pop() {
        for entry in fs_err::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with(".model.json") {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Publishes the files of a folder, with weights behind the CDN.
fn publish(folder: &Path, mut publication: Publication) {
    for name in files(folder) {
        let bytes = fs_err::read(folder.join(&name)).unwrap();
        let is_weights = WEIGHTS.iter().any(|ending| name.ends_with(ending));
        publication = if is_weights { publication.lfs(&name, bytes) } else { publication.file(&name, bytes) };
    }
    publication.publish();
}

/// Compares what two models compute, number by number.
fn differences(expected: &Value, actual: &Value) -> Result<(), String> {
    let (expected, actual) = (object(expected), object(actual));
    for (name, value) in expected {
        let (left, right) = (numbers(value), actual.get(name).map(numbers).unwrap_or_default());
        let is_near = |(one, other): (&f64, &f64)| (one - other).abs() <= TOLERANCE;
        let is_same = left.len() == right.len() && left.iter().zip(&right).all(is_near);
        if !is_same || (left.is_empty() && actual.get(name) != Some(value)) {
            return Err(format!("`{name}` is {:?}, and was {value}", actual.get(name)));
        }
    }
    Ok(())
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().filter(|object| !object.is_empty()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// Prints what came, in one line, and whether it loads.
fn tell(trial: &Trial, ours: &Brought, theirs: &Brought, results: &[Result<(), String>]) {
    let told = |brought: &Brought, result: &Result<(), String>| {
        let word = if result.is_ok() { "loads" } else { "fails" };
        format!("{:3} files {:8} bytes, {word}", brought.files, brought.sent_bytes)
    };
    let (our, their) = (told(ours, &results[0]), told(theirs, &results[1]));
    eprintln!("{:28} | {our} | hf download: {their}", trial.layout);
}

/// Brings a layout, loads it, and compares it with the whole repository. Without any of the needed files it must not work.
#[track_caller]
fn loads(layout: &'static str, needed: &[&str]) {
    let trial = Trial::new(layout);
    let (ours, _) = trial.ensure(&[ID]);
    let theirs = trial.download();
    let names = files(&ours.folder);
    let has = |file: &&str| names.iter().any(|name| name == file);
    let (brought, missing): (Vec<&str>, Vec<&str>) = needed.iter().copied().partition(has);
    let less: Vec<_> = brought.iter().map(|file| trial.without(&ours.folder, file)).collect();
    let mut folders = vec![ours.folder.as_path(), theirs.folder.as_path()];
    folders.extend(less.iter().map(PathBuf::as_path));
    let results = trial.load(&folders);
    tell(&trial, &ours, &theirs, &results);
    assert_eq!(missing, [""; 0], "{layout}: {names:?}");
    // The whole repository may hold what keeps a library from loading it; then ours is better.
    results[0].clone().unwrap_or_else(|error| panic!("{layout}: {names:?}: {error}"));
    assert!(ours.sent_bytes < theirs.sent_bytes, "{layout}: {} of {}", ours.sent_bytes, theirs.sent_bytes);
    for (file, result) in brought.iter().zip(&results[2..]) {
        assert!(result.is_err(), "{layout}: works without {file}");
    }
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_language_model_in_shards() {
    loads("llama", &["model.safetensors.index.json", "generation_config.json", "chat_template.jinja"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_language_model_beside_pickles_and_other_frameworks() {
    loads("llama-with-all", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_language_model_in_two_precisions() {
    loads("llama-precisions", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_encoder() {
    loads("bert", &["config.json"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_encoder_with_a_vocabulary_alone() {
    loads("bert-vocabulary", &["vocab.txt"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_embedding_model_of_four_modules() {
    let needed = ["modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"];
    loads("sentence-transformers", &needed);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_embedding_model_whose_weights_lie_in_a_module() {
    loads("static-embedding", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_embedding_model_with_two_ways() {
    loads("router", &["router_config.json", "query_0_StaticEmbedding/tokenizer.json"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_model_of_pictures_and_words() {
    loads("clip", &["processor_config.json"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_model_of_speech() {
    loads("whisper", &["preprocessor_config.json"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_translator_with_two_vocabularies() {
    loads("marian", &["source.spm", "target.spm"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_adapter_with_checkpoints() {
    loads("adapter", &["adapter_config.json"]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_pipeline() {
    let needed = ["scheduler/scheduler_config.json", "safety_checker/model.safetensors"];
    loads("stable-diffusion", &needed);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_pipeline_in_two_precisions() {
    loads("stable-diffusion-precisions", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_pipeline_in_half_the_precision() {
    loads("stable-diffusion-half", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_pipeline_with_a_component_in_shards() {
    loads("sharded-transformer", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn an_adapter_of_a_pipeline() {
    loads("pipeline-lora", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn a_part_of_a_pipeline() {
    loads("component", &[]);
}

#[test]
#[ignore = "needs Python engines: `just test-engines`"]
fn code_of_its_own_is_told_and_comes_where_the_policy_lets_it() {
    let trial = Trial::new("remote-code");
    let (without, done) = trial.ensure(&[ID]);
    assert!(done.stderr.contains("modeling_tiny.py"), "{}", done.stderr);
    let theirs = trial.download();
    let ours = trial.provision("{ network: allow, formats: [safetensors, python, other] }");
    // No manifest names the last two: one file of code imports the other, and the tokenizer alone knows the vocabulary's name.
    let needed = ["modeling_tiny.py", "tokenization_tiny.py", "shared_parts.py", "tiny.tiktoken"];
    let less: Vec<_> = needed.iter().map(|file| trial.without(&ours.folder, file)).collect();
    let mut folders = vec![ours.folder.as_path(), theirs.folder.as_path(), without.folder.as_path()];
    folders.extend(less.iter().map(PathBuf::as_path));
    let results = trial.load(&folders);
    tell(&trial, &ours, &theirs, &results);
    assert!(results[0].is_ok() && ours.sent_bytes < theirs.sent_bytes, "{results:?}");
    assert!(results[2..].iter().all(Result::is_err), "{results:?}");
}
