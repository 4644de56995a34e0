//! The command chooses the best quantization that fits, says so, and goes on with it.

use testkit::{FakeModel, Hub, gguf, safetensors};

use crate::fixture::{Finished, Fixture, finish};

struct Bench {
    fixture: Fixture,
    hub: Hub,
}

impl Bench {
    /// A repository with the same model in two quantizations, and one that no engine loads.
    fn new() -> Self {
        let (fixture, hub) = (Fixture::new(), Hub::start());
        let repo = hub.repo("org/repo").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes());
        let repo = repo.lfs("tiny-F32.gguf", FakeModel::gguf().exact().to_bytes());
        repo.lfs("bad-Q2_K.gguf", "GGUF").publish();
        Self { fixture, hub }
    }

    fn run(&self, args: &[&str]) -> Finished {
        let mut command = self.fixture.command();
        let home = self.fixture.path("hf");
        command.env("HF_ENDPOINT", self.hub.endpoint()).env("HF_HOME", home).env_remove("HF_TOKEN");
        finish(command.args(args))
    }

    /// What each of the two needs: with 16 and with 32 bits.
    fn needs(&self) -> [u64; 2] {
        let all = self.run(&["plan", "hf:org/repo", "--ctx", "256", "--vram", "1GiB", "--json"]).stdout;
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        ["tiny-F16", "tiny-F32"].map(|name| {
            let mut models = all["models"].as_array().unwrap().iter();
            let found = models.find(|model| model["id"].as_str().unwrap().contains(name)).unwrap();
            found["fit"]["total_bytes"].as_u64().unwrap()
        })
    }

    fn ids(&self) -> Vec<String> {
        let all: serde_json::Value = serde_json::from_str(&self.run(&["list", "--json"]).stdout).unwrap();
        all.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn the_best_that_fits_is_fetched_and_recorded_by_its_quantization() {
    let bench = Bench::new();
    let [half, full] = bench.needs();
    assert!(half < full);
    let fit = |command: &'static str, vram: u64| {
        bench.run(&[command, "hf:org/repo", "--fit", "--ctx", "256", "--vram", &vram.to_string()])
    };
    let planned = fit("plan", full);
    assert!(planned.status == 0 && planned.stdout.contains("hf:org/repo:F32"), "{}", planned.stdout);
    assert!(
        planned.stderr.contains("chosen: hf:org/repo:F32 needs ") && bench.ids().is_empty(),
        "{}",
        planned.stderr
    );
    assert!(planned.stderr.contains("the best of 2 that fit, of 3"), "{}", planned.stderr);
    let ensured = fit("ensure", full - 1);
    assert!(
        ensured.status == 0 && ensured.stdout.trim_end().ends_with("tiny-F16.gguf"),
        "{}",
        ensured.stdout
    );
    assert!(ensured.stderr.contains("chosen: hf:org/repo:F16 needs "), "{}", ensured.stderr);
    assert!(ensured.stderr.contains("the only one of 3 that fits"), "{}", ensured.stderr);
    assert_eq!(bench.ids(), ["hf:org/repo:F16"]);
    let none = fit("ensure", half - 1);
    assert_eq!(none.status, 3, "{}", none.stderr);
    assert!(none.stderr.contains("`hf:org/repo/tiny-F16.gguf` needs the least, "), "{}", none.stderr);
    assert_eq!(bench.ids(), ["hf:org/repo:F16"], "nothing more is fetched");
    let vram = half.to_string();
    let engine = ["run", "hf:org/repo", "--fit", "--vram", &vram, "--ctx", "256", "--", "echo", "{id}"];
    assert_eq!(bench.run(&engine).stdout.trim_end(), "hf:org/repo:F16");
}

#[test]
fn without_the_network_it_chooses_among_what_is_recorded() {
    let bench = Bench::new();
    let [_, full] = bench.needs();
    let vram = full.to_string();
    let offline = ["ensure", "hf:org/repo", "--fit", "--ctx", "256", "--vram", &vram, "--offline"];
    assert_eq!(bench.run(&offline).status, 5, "nothing is recorded yet");
    assert_eq!(bench.run(&["ensure", "hf:org/repo:F16"]).status, 0);
    let chosen = bench.run(&offline);
    assert!(
        chosen.status == 0 && chosen.stderr.contains("chosen: hf:org/repo:F16 needs "),
        "{}",
        chosen.stderr
    );
    assert!(chosen.stdout.trim_end().ends_with("tiny-F16.gguf"), "{}", chosen.stdout);
    let few = ["ensure", "hf:org/repo", "--fit", "--vram", "1M", "--offline"];
    assert_eq!(bench.run(&few).status, 3, "the recorded one does not fit");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    let status = |args: &[&str]| bench.run(args).status;
    assert_eq!(status(&["ensure", "hf:org/repo", "--fit"]), 2, "into what?");
    assert_eq!(status(&["plan", "hf:org/repo", "--fit", "--ctx", "256"]), 2);
    let idle = bench.run(&["ensure", "hf:org/repo:F16", "--vram", "1GiB"]);
    assert!(idle.status == 2 && idle.stderr.contains("with `--fit`"), "{}", idle.stderr);
    assert_eq!(status(&["run", "hf:org/repo:F16", "--ctx", "1", "--", "true"]), 2);
    let quiet = bench.run(&["plan", "hf:org/repo:F16", "--fit", "--vram", "1GiB", "--quiet"]);
    assert_eq!((quiet.status, quiet.stderr.as_str()), (0, ""));
}

#[test]
fn where_no_quantization_names_one_file_the_file_is_named() {
    let bench = Bench::new();
    let repo = bench.hub.repo("org/odd").lfs("a-F16.gguf", FakeModel::gguf().to_bytes());
    repo.lfs("b.gguf", FakeModel::gguf().exact().to_bytes()).publish();
    let done = bench.run(&["ensure", "hf:org/odd", "--fit", "--vram", "1GiB"]);
    assert!(done.stderr.contains("chosen: hf:org/odd/b.gguf needs "), "{}", done.stderr);
    assert_eq!(bench.ids(), ["hf:org/odd/b.gguf"]);
}

#[test]
fn a_config_may_ask_for_what_fits() {
    let bench = Bench::new();
    let [half, _] = bench.needs();
    let provision = |fit: &str| {
        let config = format!("model_ref: hf:org/repo\npolicy: {{ network: allow }}\nfit: {fit}\n");
        bench.fixture.file("model.yaml", config);
        bench.run(&["provision", "--config", "model.yaml"])
    };
    let done = provision(&format!("{{ vram: {half}, ctx: 256 }}"));
    assert_eq!((done.status, bench.ids()), (0, vec!["hf:org/repo:F16".to_owned()]), "{}", done.stderr);
    let done =
        provision("{ vram: 1GiB, engine: llama.cpp, kv_type: f32, parallel: 2, ubatch: 64, flash_attn: on }");
    assert_eq!((done.status, bench.ids().len()), (0, 2), "{}", done.stderr);
    assert_eq!(provision("{ vram: 1MiB }").status, 3);
    let maybe = provision("{ vram: 1GiB, flash_attn: maybe }");
    assert!(maybe.status == 2 && maybe.stderr.contains("`maybe`"), "{}", maybe.stderr);
    let wrong = provision("{ vram: many }");
    assert!(wrong.status == 2 && wrong.stderr.contains("a size is written"), "{}", wrong.stderr);
    assert_eq!(provision("{ ctx: 256 }").status, 2, "into what?");
    let bare = provision("{ vram: 24 }");
    assert!(bare.status == 2 && bare.stderr.contains("such as `24GiB`"), "{}", bare.stderr);
}

#[test]
fn several_models_without_gguf_are_named() {
    let bench = Bench::new();
    let repo = bench.hub.repo("org/sets").lfs("a.safetensors", safetensors("a"));
    repo.lfs("b.safetensors", safetensors("b")).publish();
    for args in [
        &["plan", "hf:org/sets", "--vram", "24GiB"][..],
        &["ensure", "hf:org/sets", "--fit", "--vram", "24GiB"][..],
    ] {
        let done = bench.run(args);
        assert_eq!(done.status, 2, "{}", done.stderr);
        assert!(done.stderr.contains("`org/sets` has several models: "), "{}", done.stderr);
        assert!(done.stderr.contains("`hf:org/sets/b.safetensors`"), "{}", done.stderr);
    }
}

#[test]
fn an_engine_that_cannot_load_the_format_does_not_fit() {
    let bench = Bench::new();
    let config = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":128,
        "num_hidden_layers":1,"num_attention_heads":4,"vocab_size":100,"max_position_embeddings":256}"#;
    let repo = bench.hub.repo("org/plain").lfs("model.safetensors", safetensors("a"));
    repo.file("config.json", config).publish();
    let plan = |more: &[&str]| {
        let asked = [&["plan", "hf:org/plain", "--vram", "24GiB"], more].concat();
        bench.run(&asked).stdout.lines().nth(1).unwrap().to_owned()
    };
    assert!(plan(&[]).starts_with("fits "), "{}", plan(&[]));
    let other = plan(&["--engine", "llama.cpp"]);
    assert!(other.starts_with("unknown ") && other.ends_with(": llama.cpp loads GGUF alone"), "{other}");
    let off = plan(&["--engine", "vllm", "--flash-attn", "off"]);
    assert!(off.starts_with("unknown ") && off.contains("vllm takes without flash attention"), "{off}");
    let none = bench.run(&["ensure", "hf:org/plain", "--fit", "--vram", "24GiB", "--engine", "llamacpp"]);
    assert!(none.status == 3 && none.stderr.contains("llama.cpp loads GGUF alone"), "{}", none.stderr);
    assert!(none.stderr.contains("name the model itself"), "{}", none.stderr);
    assert!(!none.stderr.contains("a shorter context"), "{}", none.stderr);
    let chosen = bench.run(&["plan", "hf:org/plain", "--fit", "--vram", "24GiB", "--ctx", "512"]).stderr;
    assert!(chosen.contains(" needs at most ") && chosen.contains(" for 512 tokens"), "{chosen}");
    assert!(chosen.contains("; its own maximum is 256 tokens"), "{chosen}");
}

#[test]
fn records_of_the_same_model_count_once() {
    let bench = Bench::new();
    let repo = bench.hub.repo("org/seeing").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes());
    repo.lfs("mmproj-F16.gguf", gguf("projector")).publish();
    let files = ["hf:org/seeing:F16", "hf:org/seeing/tiny-F16.gguf", "hf:org/seeing/mmproj-F16.gguf"];
    for reference in files {
        assert_eq!(bench.run(&["ensure", reference]).status, 0, "{reference}");
    }
    let offline = ["ensure", "hf:org/seeing", "--fit", "--ctx", "256", "--vram", "1M", "--offline"];
    let none = bench.run(&offline).stderr;
    assert!(none.contains("no model of `hf:org/seeing` (1 looked at)"), "{none}");
    assert!(none.contains("`hf:org/seeing:F16` needs the least"), "{none}");
}

#[test]
fn numbers_and_names_are_read_as_people_write_them() {
    let bench = Bench::new();
    let plan = |more: &[&str]| bench.run(&[&["plan", "hf:org/repo:F16"], more].concat());
    for (wrong, says) in [
        (["--vram", "24"], "24 is a number of bytes: write the unit, such as `24GiB`"),
        (["--ctx", "8k"], "a number is written in digits alone, such as 4 or 8192"),
        (["--parallel", "0"], "it must be at least 1"),
        (["--ubatch", "99999999999999999999"], "it is more than can be counted"),
    ] {
        let done = plan(&wrong);
        assert!(done.status == 2 && done.stderr.contains(says), "{wrong:?}: {}", done.stderr);
    }
    for right in
        [["--engine", "llamacpp"], ["--engine", "llama-cpp"], ["--vram", "24.5GiB"], ["--vram", "24 GiB"]]
    {
        assert_eq!(plan(&right).status, 0, "{right:?}");
    }
}
