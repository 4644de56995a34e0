//! The command says what a model is, and whether it fits.

use testkit::{FakeModel, Hub, gguf};

use crate::fixture::{Fixture, finish};

fn tiny(bench: &Fixture) {
    FakeModel::gguf().write_to(&bench.path("m"), "tiny").unwrap();
}

#[test]
fn a_person_sees_a_card() {
    let bench = Fixture::new();
    tiny(&bench);
    let done = bench.run(&["inspect", "m/tiny.gguf", "--ctx", "128", "--parallel", "2", "--vram", "1GiB"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    let card = done.stdout.replace(bench.path("").to_str().unwrap(), "[DIR]/");
    insta::assert_snapshot!(card.trim_end(), @r"
    model          local:[DIR]/m/tiny.gguf
    name           Tiny
    architecture   llama
    format         gguf
    quantization   F16
    parameters     31968
    size           71.44 KiB
    context        256 tokens
    layers         1
    heads          2, 1 for keys and values
    embedding      32
    vocabulary     354 tokens, llama
    chat template  yes
    licence        cc0-1.0
    memory         62.62 KiB of weights, 64 B for each token in f16
    needs          771.20 MiB for 2 sequences of 128 tokens, in f16
    engine         771.13 MiB for llama.cpp: 3.13 MiB to compute 512 tokens at once without flash attention, 768.00 MiB for its runtime; leaves 22.12 KiB of the weights off the card
    fits           yes, in 1.00 GiB; up to 256 tokens would
    ");
    assert!(bench.cache_files().is_empty(), "nothing is recorded");
}

#[test]
fn a_program_sees_a_document() {
    let bench = Fixture::new();
    tiny(&bench);
    FakeModel::gguf().shards(2).write_to(&bench.path("s"), "x").unwrap();
    let found = bench.json(&["inspect", "m/tiny.gguf"]);
    for (name, expected) in [("format", "gguf"), ("architecture", "llama"), ("quantization", "F16")] {
        assert_eq!(found[name], expected);
    }
    let numbers = ["ctx_max", "layers", "heads", "kv_heads", "embedding_length", "shards"];
    assert_eq!(numbers.map(|name| found[name].as_u64()), [256, 1, 2, 1, 32, 1].map(Some));
    let weights = found["memory"]["weights_bytes"].as_u64().unwrap();
    assert_eq!(
        (&found["memory"]["kv_bytes_per_token"], &found["fit"]),
        (&64.into(), &serde_json::Value::Null)
    );
    assert_eq!(bench.json(&["inspect", "m"])["parameter_count"], found["parameter_count"], "a folder");
    assert_eq!(bench.json(&["inspect", "s/x-00002-of-00002.gguf"])["shards"], 2, "any shard");
    let asked = ["inspect", "m/tiny.gguf", "--ctx", "256", "--kv-type", "f32", "--vram"];
    let fit = |vram: u64| bench.json(&[&asked[..], &[&vram.to_string()]].concat())["fit"].clone();
    let engine = fit(1 << 20)["engine"].clone();
    let bytes = |name: &str| engine[name].as_u64().unwrap();
    // The embeddings of 354 tokens, which stay off the card.
    assert_eq!(bytes("host_weights_bytes"), 354 * 32 * 2);
    assert_eq!(bytes("bytes"), bytes("computing_bytes") + bytes("runtime_bytes"));
    let needed = weights + 256 * 128 + bytes("bytes") - bytes("host_weights_bytes");
    assert_eq!((&fit(needed)["fits"], &fit(needed)["total_bytes"]), (&true.into(), &needed.into()));
    assert_eq!((&fit(needed - 1)["fits"], &fit(needed - 1)["largest_ctx"]), (&false.into(), &0.into()));
    let vllm =
        bench.json(&[&asked[..], &["1GiB", "--engine", "vllm", "--ubatch", "64"]].concat())["fit"].clone();
    assert_eq!((&vllm["engine"]["name"], &vllm["engine"]["tokens_at_once"]), (&"vllm".into(), &64.into()));
    assert_eq!(
        (&vllm["at_most"], vllm["usable_bytes"].as_u64()),
        (&true.into(), Some((1 << 30) / 10 * 9 + 3))
    );
    let with = |attention: &str| {
        let found = bench.json(&[&asked[..], &["1GiB", "--flash-attn", attention]].concat())["fit"].clone();
        (found["engine"]["flash_attn"].as_bool(), found["total_bytes"].as_u64())
    };
    assert_eq!((with("on").0, with("off").0), (Some(true), Some(false)));
    assert!(with("on").1 < with("off").1 && with("auto") == with("off"), "there is none for heads of 16");
    for wrong in [["--engine", "tgi"], ["--flash-attn", "maybe"], ["--ubatch", "0"]] {
        assert_eq!(bench.run(&[&["inspect", "m/tiny.gguf"], &wrong[..]].concat()).status, 2, "{wrong:?}");
    }
}

#[test]
fn failures_are_those_of_ensure() {
    let bench = Fixture::new();
    let whole = FakeModel::gguf().to_bytes();
    bench.file("cut.gguf", &whole[..whole.len() - 100]);
    let status = |args: &[&str]| {
        let json = bench.json(args);
        (bench.run(args).status, json["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let is = |status: i32, code: &str| (status, code.to_owned());
    assert_eq!(status(&["inspect", "cut.gguf"]), is(4, "rejected"));
    assert_eq!(status(&["inspect", "absent.gguf"]), is(3, "not-found"));
    assert_eq!(status(&["inspect", "hf:org/repo", "--offline"]), is(5, "offline"));
    assert_eq!(bench.run(&["inspect", "cut.gguf", "--kv-type", "q9"]).status, 2);
    assert_eq!(bench.run(&["inspect", "cut.gguf", "--parallel", "0"]).status, 2);
    let none = bench.run(&["inspect", "cut.gguf", "--vram", "0"]);
    assert!(none.status == 2 && none.stderr.contains("it must be more than nothing"), "{}", none.stderr);
    let guess = bench.run(&["inspect", "org/repo"]);
    assert!(guess.status == 3 && guess.stderr.contains("did you mean `hf:org/repo`?"), "{}", guess.stderr);
    let help = bench.run(&["inspect", "--help"]).stdout;
    assert!(help.contains("Examples:") && help.contains("--vram 24GiB"), "{help}");
}

#[test]
fn a_model_of_the_hub_is_not_fetched() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes()).publish();
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
    let done = finish(command.args(["inspect", "hf:org/repo:f16", "--json"]));
    let found: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&found["id"], &found["ctx_max"]), (&"hf:org/repo:F16".into(), &256.into()));
    assert_eq!(bench.json(&["list"]), serde_json::json!([]));
}

#[test]
fn a_plan_says_which_quantizations_fit() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/repo").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes());
    repo.lfs("large-Q8_0.gguf", gguf(vec![7; 2_000_000])).publish();
    let run = |more: &[&str]| {
        let mut command = bench.command();
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
        finish(command.args(["plan", "hf:org/repo"]).args(more))
    };
    assert_eq!(run(&[]).status, 2, "it is ambiguous what would be fetched");
    let done = run(&["--vram", "1GiB", "--ctx", "256"]);
    assert_eq!((done.status, done.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(done.stdout.trim_end(), @r"
    hf:org/repo
    fits            71.44 KiB  hf:org/repo/tiny-F16.gguf: needs 769.62 MiB for 256 tokens
                               of that 769.56 MiB for llama.cpp: 1.56 MiB to compute 512 tokens at once without flash attention, 768.00 MiB for its runtime; leaves 22.12 KiB of the weights off the card
    unknown          1.91 MiB  hf:org/repo/large-Q8_0.gguf: it names no architecture
    ");
    let some = run(&["--vram", "1GiB", "--ctx", "100"]).stdout;
    insta::assert_snapshot!(some.lines().nth(1).unwrap(), @"fits            71.44 KiB  hf:org/repo/tiny-F16.gguf: needs 769.62 MiB for 100 tokens; up to 256 tokens would");
    let none = run(&["--vram", "1M", "--ctx", "256"]).stdout;
    assert_eq!(none.lines().filter(|line| line.starts_with("does not fit ")).count(), 2, "{none}");
    let first = |more: &[&str]| run(more).stdout.lines().nth(1).unwrap().to_owned();
    insta::assert_snapshot!(first(&["--ctx", "512"]), @"-               71.44 KiB  hf:org/repo/tiny-F16.gguf: needs 773.20 MiB for 512 tokens; its own maximum is 256 tokens");
    insta::assert_snapshot!(first(&["--vram", "770MiB", "--parallel", "2", "--ctx", "256"]), @"does not fit    71.44 KiB  hf:org/repo/tiny-F16.gguf: needs 771.20 MiB for 256 tokens");
    insta::assert_snapshot!(first(&["--vram", "770MiB", "--ctx", "1000"]), @"does not fit    71.44 KiB  hf:org/repo/tiny-F16.gguf: needs 777.23 MiB for 1000 tokens; up to 256 tokens would");
    insta::assert_snapshot!(first(&["--kv-type", "q4_0"]), @"unknown         71.44 KiB  hf:org/repo/tiny-F16.gguf: q4_0 keeps blocks of 32 elements, and a head's keys have 16");
    let json: serde_json::Value = serde_json::from_str(&run(&["--vram", "1GiB", "--json"]).stdout).unwrap();
    assert_eq!((&json["id"], &json["models"][0]["fit"]["fits"]), (&"hf:org/repo".into(), &true.into()));
    assert_eq!(json["models"][1]["fit"]["fits"], serde_json::Value::Null);
}

#[test]
fn the_projector_that_goes_along_is_counted() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub.repo("org/repo").lfs("tiny-F16.gguf", FakeModel::gguf().to_bytes());
    repo.lfs("large-Q8_0.gguf", gguf(vec![7; 2_000_000])).lfs("mmproj-F16.gguf", gguf("projector")).publish();
    let run = |args: &[&str]| -> serde_json::Value {
        let mut command = bench.command();
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
        serde_json::from_str(&finish(command.args(args)).stdout).unwrap()
    };
    let all = run(&["plan", "hf:org/repo", "--vram", "1M", "--json"]);
    let one = run(&["plan", "hf:org/repo:F16", "--json"]);
    assert_eq!(one["files"].as_array().unwrap().len(), 2);
    assert_eq!(all["models"][0]["size_bytes"], one["download_bytes"]);
}

#[test]
fn a_context_beyond_the_models_own_is_said_plainly() {
    let bench = Fixture::new();
    tiny(&bench);
    let asked = ["inspect", "m/tiny.gguf", "--ctx", "512", "--vram", "1GiB"];
    let card = bench.run(&asked).stdout;
    insta::assert_snapshot!(last(&card, 4), @r"
    needs          773.20 MiB for 1 sequence of 512 tokens, in f16
    engine         773.12 MiB for llama.cpp: 5.12 MiB to compute 512 tokens at once without flash attention, 768.00 MiB for its runtime; leaves 22.12 KiB of the weights off the card
    fits           yes, in 1.00 GiB
    note           a context of 512 is more than the model's maximum of 256 tokens
    ");
    let fit = &bench.json(&asked)["fit"];
    assert_eq!((&fit["fits"], &fit["exceeds_ctx_max"]), (&true.into(), &true.into()));
    assert_eq!((&fit["largest_ctx"], &fit["ctx_max"]), (&256.into(), &256.into()));
}

#[test]
fn what_is_unknown_has_a_reason() {
    let bench = Fixture::new();
    tiny(&bench);
    let asked = ["inspect", "m/tiny.gguf", "--kv-type", "Q8_0", "--vram", "1GiB"];
    insta::assert_snapshot!(last(&bench.run(&asked).stdout, 4), @r"
    memory         62.62 KiB of weights
    needs          unknown: q8_0 keeps blocks of 32 elements, and a head's keys have 16
    engine         768.70 MiB for llama.cpp: 720.00 KiB to compute 512 tokens at once with flash attention, 768.00 MiB for its runtime; leaves 22.12 KiB of the weights off the card
    fits           unknown, in 1.00 GiB
    ");
    let fit = &bench.json(&asked)["fit"];
    assert_eq!(fit["reason"], "q8_0 keeps blocks of 32 elements, and a head's keys have 16");
    assert_eq!((&fit["fits"], &fit["total_bytes"]), (&serde_json::Value::Null, &serde_json::Value::Null));
}

#[test]
fn the_card_is_of_the_cache_that_was_asked_for() {
    let bench = Fixture::new();
    tiny(&bench);
    let memory = |more: &[&str]| {
        let card = bench.run(&[&["inspect", "m/tiny.gguf"], more].concat()).stdout;
        card.lines().find(|line| line.starts_with("memory")).unwrap().to_owned()
    };
    assert!(memory(&[]).ends_with("64 B for each token in f16"), "{}", memory(&[]));
    assert!(memory(&["--kv-type", "f32"]).ends_with("128 B for each token in f32"));
    let card = bench.run(&["inspect", "m/tiny.gguf", "--ctx", "1"]).stdout;
    assert!(card.contains("for 1 sequence of 1 token, in f16"), "{card}");
}

#[test]
fn a_header_moves_no_cursor() {
    let bench = Fixture::new();
    bench.file("m.gguf", FakeModel::gguf().name("\u{202e}evil\u{1b}[2J\nlicence  mit").to_bytes());
    let card = bench.run(&["inspect", "m.gguf"]).stdout;
    let name = card.lines().find(|line| line.starts_with("name")).unwrap();
    assert!(name.ends_with(r"  \u{202e}evil\u{1b}[2J\nlicence  mit"), "{name}");
    assert_eq!(card.lines().filter(|line| line.starts_with("licence")).count(), 1, "{card}");
}

/// Returns the last lines of a card.
fn last(card: &str, lines: usize) -> String {
    let all: Vec<_> = card.lines().collect();
    all[all.len() - lines..].join("\n")
}
