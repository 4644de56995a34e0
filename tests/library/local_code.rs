//! A policy that denies program code of a model finds it in a local folder too, by the rule that chooses it in a repository.

use model_provisioner::{ModelProvisioner, PlacedPolicy, Policy, PolicyPlace};
use testkit::safetensors;

use crate::fixture::{Fixture, reference};

/// Ensures a folder with these files under `remote_code: deny`. Expects the denial of a path, or none.
#[track_caller]
fn check(files: &[(&str, &str)], expected: Option<&str>) {
    let bench = Fixture::new();
    bench.old_file("model/model.safetensors", &safetensors("x"));
    for (name, text) in files {
        bench.old_file(&format!("model/{name}"), text.as_bytes());
    }
    let policy: Policy = serde_json::from_str(r#"{ "remote_code": "deny" }"#).unwrap();
    let policy = PlacedPolicy::new(policy, PolicyPlace::Setting("test".to_owned()));
    let provisioner = ModelProvisioner::builder(bench.cache()).policy(policy).build().unwrap();
    let folder = reference(&bench.path("model"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(provisioner.ensure_present(&folder, None)).err();
    let denied = error.as_ref().map(|error| {
        let denial = error.denial().unwrap_or_else(|| panic!("{files:?}: {error}"));
        assert_eq!(denial.rule, "remote_code");
        denial.value.as_str()
    });
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(denied, expected, "{names:?}");
}

const CODE: &str = "pass\n";

#[test]
fn what_a_configuration_names_is_denied() {
    let map = r#"{ "auto_map": { "AutoModel": "modeling_x.X" } }"#;
    check(&[("config.json", map), ("modeling_x.py", CODE)], Some("modeling_x.py"));
    check(&[("config.json", map), ("helper.py", CODE)], None);
    check(&[("config.json", "{}"), ("helper.py", CODE), ("modeling_x.py", CODE)], None);
    let several = r#"{ "auto_map": { "AutoTokenizer": ["tok.Slow", null] } }"#;
    check(&[("tokenizer_config.json", several), ("tok.py", CODE)], Some("tok.py"));
    let deep = r#"{ "auto_map": { "AutoModel": "core.deep.X" } }"#;
    check(&[("config.json", deep), ("core/deep.py", CODE)], Some("core/deep.py"));
    check(&[("sub/config.json", map), ("sub/modeling_x.py", CODE)], Some("sub/modeling_x.py"));
    check(&[("config.json", "{}"), ("other.json", map), ("modeling_x.py", CODE)], Some("modeling_x.py"));
    let elsewhere = r#"{ "auto_map": { "AutoModel": "org/repo--modeling_x.X" } }"#;
    check(&[("config.json", elsewhere), ("modeling_x.py", CODE)], None);
}

#[test]
fn what_an_engine_loads_without_an_auto_map_is_denied_too() {
    let pipelines = r#"{ "custom_pipelines": { "x": { "impl": "pipe.X", "pt": ["AutoModel"] } } }"#;
    check(&[("config.json", pipelines), ("pipe.py", CODE)], Some("pipe.py"));
    let modules = r#"[{ "idx": 0, "path": "", "type": "custom_st.Transformer" }]"#;
    check(&[("config.json", "{}"), ("modules.json", modules), ("custom_st.py", CODE)], Some("custom_st.py"));
    let index = r#"{ "_class_name": ["pipeline", "Mine"], "unet": ["my_unet", "Unet"] }"#;
    check(&[("model_index.json", index), ("pipeline.py", CODE)], Some("pipeline.py"));
    check(&[("model_index.json", index), ("unet/my_unet.py", CODE)], Some("unet/my_unet.py"));
    let generate = "custom_generate/generate.py";
    check(&[("config.json", "{}"), (generate, CODE)], Some(generate));
    check(&[("modeling_x.py", CODE)], Some("modeling_x.py"));
    check(&[("convert.py", CODE)], None);
}

/// Python reads what JSON does not have, and nesting that a small parser refuses.
#[test]
fn no_spelling_hides_what_a_configuration_names() {
    let with = |more: &str| format!(r#"{{ "more": {more}, "auto_map": {{ "AutoModel": "hidden.X" }} }}"#);
    check(&[("config.json", &with("NaN")), ("hidden.py", CODE)], Some("hidden.py"));
    let nested = with(&format!("{}{}", "[".repeat(500), "]".repeat(500)));
    check(&[("config.json", &nested), ("hidden.py", CODE)], Some("hidden.py"));
    let surrogate = with(r#""\ud800""#);
    check(&[("config.json", &surrogate), ("hidden.py", CODE)], Some("hidden.py"));
}

#[test]
fn a_configuration_that_cannot_be_read_may_name_any_program() {
    let large = format!(r#"{{ "more": "{}" }}"#, "x".repeat(5 << 20));
    for text in ["{", "[1", &large, r#"{ "auto_map": { "AutoModel": "\ud800" } }"#] {
        check(&[("config.json", text), ("a.py", CODE), ("sub/b.py", CODE)], Some("a.py"));
        check(&[("sub/config.json", text), ("config.json", "{}"), ("a.py", CODE)], None);
        check(&[("config.json", "{}"), ("sub/config.json", text), ("sub/b.py", CODE)], Some("sub/b.py"));
        check(&[("config.json", "{}"), ("tokenizer.json", text), ("a.py", CODE)], None);
    }
}
