//! Repositories of Transformers: weights, index and configs.

use model_inspect::{Inspection, KvType, inspect_model, safetensors::Header};
use serde_json::{Value, json};

use crate::fixture::{InMemory, refused};

/// A file with such a header, and so many bytes of data.
pub(crate) fn file(header: &Value, data: usize) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

pub(crate) fn weights(name: &str) -> Vec<u8> {
    file(&json!({ name: { "dtype": "BF16", "shape": [2, 4], "data_offsets": [0, 16] } }), 16)
}

pub(crate) fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "vocab_size": 384,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "torch_dtype": "bfloat16", "eos_token_id": 2,
    })
}

/// A sharded repository.
pub(crate) fn repository(config: &Value) -> InMemory {
    let index = json!({ "weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
    } });
    InMemory::new([
        ("config.json", config.to_string().into_bytes()),
        ("generation_config.json", br#"{"eos_token_id": [2, 3]}"#.to_vec()),
        ("model-00001-of-00002.safetensors", weights("a")),
        ("model-00002-of-00002.safetensors", weights("b")),
        ("model.safetensors.index.json", index.to_string().into_bytes()),
        ("tokenizer.json", b"{}".to_vec()),
        ("tokenizer_config.json", br#"{"tokenizer_class": "X", "chat_template": "t"}"#.to_vec()),
        ("README.md", b"# A model".to_vec()),
    ])
}

fn with(changes: Value) -> Value {
    let (mut config, Value::Object(changes)) = (llama(), changes) else { unreachable!() };
    config.as_object_mut().unwrap().extend(changes);
    config
}

fn found(config: &Value) -> Inspection {
    inspect_model(&repository(config)).unwrap()
}

#[test]
fn a_repository_in_json() {
    let model = repository(&llama());
    let found = serde_json::to_value(inspect_model(&model).unwrap().details).unwrap();
    let expected = json!({
        "format": "safetensors",
        "architecture": "LlamaForCausalLM",
        "size_bytes": found["size_bytes"],
        "ctx_max": 2048,
        "parameter_count": 16,
        "quantization": "BF16",
        "layers": 2,
        "heads": 4,
        "kv_heads": 2,
        "embedding_length": 64,
        "vocab_size": 384,
        "tokenizer_model": "X",
        "has_chat_template": true,
        "shards": 2,
        "memory": { "weights_bytes": 32, "kv_bytes_per_token": 256 },
        "key_length": 16,
        "value_length": 16,
        "special_tokens": { "eos": [2, 3] },
        "tensor_types": { "BF16": { "tensors": 2, "elements": 16, "bytes": 32 } },
        "dtype": "bfloat16",
        "tokenizer_files": ["tokenizer.json", "tokenizer_config.json"],
    });
    assert_eq!(found, expected);
    // What is large or tells nothing is not opened.
    let opened = model.opened.borrow();
    assert!(!opened.iter().any(|name| name == "README.md" || name == "tokenizer.json"), "{opened:?}");
}

#[test]
fn headers_that_lie() {
    let check = |bytes: Vec<u8>, says: &str| {
        let error = Header::read(&mut bytes.as_slice()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    let tensor = |dtype: &str, shape: Value, from: u64, to: u64| json!({ "t": { "dtype": dtype, "shape": shape, "data_offsets": [from, to] } });
    let sound = file(&tensor("F32", json!([4]), 0, 16), 16);
    for end in 0..sound.len() {
        check(sound.get(..end).unwrap().to_vec(), "truncated");
    }
    check([sound, vec![0]].concat(), "too long");
    check(file(&tensor("F32", json!([4]), 8, 24), 24), "unsound");
    check(file(&tensor("F32", json!([4]), 0, 20), 20), "unsound");
    check(file(&tensor("F32", json!([4]), 16, 0), 16), "unsound");
    check(file(&tensor("F32", json!([1u64 << 63, 4]), 0, 16), 16), "unsound");
    check(file(&tensor("F99", json!([4]), 0, 16), 16), "unsound");
    let overlap = json!({ "a": { "dtype": "U8", "shape": [2], "data_offsets": [0, 2] },
                          "b": { "dtype": "U8", "shape": [2], "data_offsets": [1, 3] } });
    check(file(&overlap, 3), "unsound");
    let twice = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    let twice = [&(twice.len() as u64).to_le_bytes(), twice.as_slice(), &[0; 2]].concat();
    check(twice, "the tensor `a` is there twice");
    check((1u64 << 63).to_le_bytes().to_vec(), "100000000 are the most");
    check([(1u64 << 40).to_le_bytes().as_slice(), b"{}"].concat(), "100000000 are the most");
    check([99_999_999u64.to_le_bytes().as_slice(), b"{}"].concat(), "truncated");
    check(b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS");
    check([5u64.to_le_bytes().as_slice(), b"\x80\x04abc"].concat(), "does not begin with `{`");
    check(file(&json!({ "__metadata__": { "a": 1 } }), 0), "unsound");
    check(file(&json!({ "a": 1 }), 0), "unsound");
    check(file(&json!({ "__metadata__": "pt" }), 0), "unsound");
    for notes in [json!({ "format": "pt" }), json!({}), json!(null)] {
        Header::read(&mut file(&json!({ "__metadata__": notes }), 0).as_slice()).unwrap();
    }
    let deep = "[".repeat(100_000);
    let deep = format!("{{\"a\":{deep}");
    check([&(deep.len() as u64).to_le_bytes(), deep.as_bytes()].concat(), "unsound");
}

#[test]
fn longest_contexts() {
    let check = |changes: Value, expected: Option<u64>| {
        assert_eq!(found(&with(changes.clone())).details.facts.ctx_max, expected, "{changes}");
    };
    let scaled = |kind: &str, original: Value| json!({ "rope_scaling": { "rope_type": kind, "factor": 4.0, "original_max_position_embeddings": original } });
    check(json!({}), Some(2048));
    check(json!({ "max_position_embeddings": null, "n_positions": 1024 }), Some(1024));
    check(json!({ "max_position_embeddings": null }), None);
    check(scaled("linear", json!(null)), Some(8192));
    check(scaled("dynamic", json!(null)), Some(8192));
    check(scaled("yarn", json!(1024)), Some(4096));
    check(scaled("yarn", json!(null)), Some(8192));
    check(scaled("llama3", json!(512)), Some(2048));
    check(scaled("longrope", json!(512)), Some(2048));
    check(scaled("default", json!(null)), Some(2048));
    check(json!({ "rope_scaling": { "type": "linear", "factor": 2 } }), Some(4096));
    check(json!({ "rope_scaling": { "type": "linear", "factor": 1e300 } }), Some(2048));
    check(json!({ "rope_scaling": { "type": "linear", "factor": -1 } }), Some(2048));
    check(json!({ "rope_scaling": { "type": "mrope", "mrope_section": [1] } }), Some(2048));
    let parameters =
        json!({ "full_attention": { "rope_type": "linear", "factor": 2.0 }, "sliding_attention": {} });
    check(json!({ "rope_parameters": parameters }), Some(4096));
    check(
        json!({ "rope_scaling": null, "rope_parameters": { "rope_type": "linear", "factor": 2.0 } }),
        Some(4096),
    );
}

#[test]
fn less_common_configs() {
    let details = found(&with(json!({ "text_config": { "num_hidden_layers": 5, "head_dim": 8 } }))).details;
    assert_eq!((details.facts.layers, details.key_length), (Some(5), Some(8)));
    let code = json!({ "AutoModel": "model.Mine", "AutoTokenizer": ["tok.Slow", "tok.Fast"], "AutoConfig": "model.Mine" });
    let details = found(&with(json!({ "auto_map": code }))).details;
    assert_eq!(details.remote_code, ["model.Mine", "tok.Fast", "tok.Slow"]);
    let check = |config: Value, expected: &str| {
        let details = found(&with(json!({ "quantization_config": config }))).details;
        assert_eq!(
            (details.facts.quantization.as_deref(), details.facts.parameter_count),
            (Some(expected), None)
        );
    };
    check(json!({ "quant_method": "gptq", "bits": 4 }), "gptq-4bit");
    check(json!({ "quant_method": "fp8" }), "fp8");
    check(json!({ "quant_method": "bitsandbytes", "load_in_4bit": true }), "bitsandbytes-4bit");
    // Python writes numbers that JSON does not have.
    let mut model = repository(&llama());
    model.put(
        "config.json",
        br#"{"max_position_embeddings": 16, "time_step_limit": [0.0, Infinity]}"#.to_vec(),
    );
    assert_eq!(inspect_model(&model).unwrap().details.facts.ctx_max, Some(16));
    for broken in ["", "[]", "{", "\u{feff}{}"] {
        model.put("config.json", broken.as_bytes().to_vec());
        refused(&model, "`config.json`: ");
    }
    // It is JSON all the same, for Python's integers have no end.
    model.put("config.json", format!(r#"{{"vocab_size": 1{}}}"#, "0".repeat(400)).into_bytes());
    refused(&model, "`config.json`: cannot be read as JSON: `number out of range at line 1 column 416`");
}

#[test]
fn keys_and_values() {
    let bytes = |changes: Value| {
        let found = found(&with(changes));
        found
            .memory
            .kv_bytes_per_token(KvType::F16)
            .ok_or_else(|| found.memory.kv_unknown().unwrap().to_owned())
    };
    assert_eq!(bytes(json!({})), Ok(256));
    assert_eq!(bytes(json!({ "head_dim": 32 })), Ok(512));
    assert_eq!(bytes(json!({ "num_key_value_heads": null })), Ok(512));
    assert_eq!(bytes(json!({ "num_key_value_heads": null, "multi_query": true })), Ok(128));
    // Falcon's config names its heads here, and has one for keys and values all the same.
    assert_eq!(bytes(json!({ "num_kv_heads": 4, "multi_query": true })), Ok(128));
    let newer = json!({ "num_kv_heads": 4, "multi_query": true, "new_decoder_architecture": true });
    assert_eq!(bytes(newer), Ok(256));
    let unknown = |changes: Value, says: &str| {
        let reason = bytes(changes).unwrap_err();
        assert!(reason.contains(says), "{reason}");
    };
    unknown(json!({ "kv_lora_rank": 512 }), "MLA");
    unknown(json!({ "mamba_d_state": 16 }), "recurrent");
    unknown(json!({ "is_encoder_decoder": true }), "write on");
    unknown(json!({ "architectures": ["BertModel"] }), "write on");
    unknown(json!({ "num_hidden_layers": 1_000_000_000u64 }), "its layers");
    unknown(json!({ "head_dim": u64::MAX }), "more than can be counted");
    unknown(json!({ "layer_types": ["full_attention", "linear_attention"] }), "`linear_attention`");
    unknown(json!({ "num_attention_heads": 0 }), "the width of a head");
    unknown(json!({ "num_key_value_heads": 0 }), "its heads");
    unknown(json!({ "num_key_value_heads": [2, 0] }), "its heads");
    unknown(json!({ "num_key_value_heads": 3 }), "its heads");
    unknown(json!({ "num_key_value_heads": 8 }), "its heads");
    unknown(json!({ "num_hidden_layers": 0 }), "its layers");
    unknown(json!({ "hidden_size": 66 }), "the width of a head");
    unknown(json!({ "head_dim": 0 }), "the width of a head");
    unknown(json!({ "head_dim": [16, 32] }), "the width of a head");
    unknown(json!({ "v_head_dim": 0 }), "the width of a head");
    assert_eq!(bytes(json!({ "hidden_size": 66, "head_dim": 16 })), Ok(256));
    let types = json!(["full_attention", "sliding_attention"]);
    let windows = |changes: Value| {
        let found = found(&with(changes));
        found.memory.layers().unwrap().iter().map(|layer| layer.window).collect::<Vec<_>>()
    };
    assert_eq!(windows(json!({ "sliding_window": 512, "layer_types": types })), [None, Some(512)]);
    assert_eq!(windows(json!({ "sliding_window": 512 })), [None, None]);
    assert_eq!(
        windows(json!({ "sliding_window": 512, "use_sliding_window": false, "layer_types": types })),
        [None, None]
    );
}

#[test]
fn a_broken_generation_config_is_told_of() {
    let mut model = repository(&llama());
    for broken in ["", "[]", "{\"eos_token_id\": 3"] {
        model.put("generation_config.json", broken.as_bytes().to_vec());
        let found = inspect_model(&model).unwrap();
        assert_eq!(found.details.special_tokens["eos"], [2]);
        let [note] = found.notes.as_slice() else { panic!("{:?}", found.notes) };
        assert!(note.starts_with("`generation_config.json` is left out, as engines do: "), "{note}");
    }
    model.put("tokenizer_config.json", b"{".to_vec());
    refused(&model, "`tokenizer_config.json`: cannot be read as JSON");
    model.put("tokenizer_config.json", vec![b' '; (4 << 20) + 1]);
    refused(&model, "`tokenizer_config.json`: it has 4194305 bytes, and is read only up to 4194304");
}

#[test]
fn zeros_are_no_counts() {
    let facts = |changes: Value| found(&with(changes)).details.facts;
    let none = facts(json!({
        "num_attention_heads": 0, "hidden_size": 0, "num_hidden_layers": 0, "num_key_value_heads": 0,
        "vocab_size": 0, "max_position_embeddings": 0,
    }));
    assert_eq!((none.heads, none.kv_heads, none.layers), (None, None, None));
    assert_eq!((none.embedding_length, none.vocab_size, none.ctx_max), (None, None, None));
    // Another name for the same may tell.
    assert_eq!(facts(json!({ "max_position_embeddings": 0, "n_ctx": 512 })).ctx_max, Some(512));
    let details = found(&with(json!({ "head_dim": 0 }))).details;
    assert_eq!((details.key_length, details.value_length), (None, None));
    let details = found(&with(json!({ "hidden_size": 66 }))).details;
    assert_eq!((details.key_length, details.value_length), (None, None));
}

#[test]
fn layers_that_differ_in_ways_of_their_own() {
    for key in ["attn_config", "block_configs", "num_key_value_heads_per_layer", "hybrid_layer_pattern"] {
        let found = found(&with(json!({ key: {} })));
        assert!(found.memory.kv_unknown().unwrap().contains("differ"), "{key}");
    }
    let unknown =
        |changes: Value| found(&with(changes)).memory.kv_unknown().map(str::to_owned).unwrap_or_default();
    assert!(unknown(json!({ "model_type": "rwkv7" })).contains("recurrent"));
    assert!(unknown(json!({ "architectures": ["RetNetForCausalLM"] })).contains("recurrent"));
    // The width of a head is that of the class.
    assert!(unknown(json!({ "model_type": "gemma2" })).contains("width of a head"));
    let bytes = |changes: Value| found(&with(changes)).memory.kv_bytes_per_token(KvType::F16);
    assert_eq!(bytes(json!({ "model_type": "gemma2", "head_dim": 16 })), Some(256));
    let chat_glm = json!({ "multi_query_attention": true, "multi_query_group_num": 1, "kv_channels": 32 });
    assert_eq!(bytes(chat_glm), Some(256));
    assert_eq!(bytes(json!({ "num_kv_shared_layers": 1 })), Some(128));
    assert!(unknown(json!({ "num_kv_shared_layers": 2 })).contains("its layers"));
}

#[test]
fn a_window_of_nobody_knows_which_layers_is_an_upper_bound() {
    let fit = |changes: Value, vram_bytes| {
        let request = model_inspect::MemoryRequest { vram_bytes: Some(vram_bytes), ..Default::default() };
        found(&with(changes)).memory.fit(&request)
    };
    let window = || json!({ "sliding_window": 512, "intermediate_size": 128 });
    let most = fit(window(), u64::MAX).total_bytes.unwrap();
    // vLLM takes nine tenths of the card.
    let enough = fit(window(), most.div_ceil(9) * 10);
    assert_eq!((enough.fits, enough.at_most), (Some(true), true));
    let open = fit(window(), (most - 1) / 9 * 10);
    assert!(open.fits.is_none() && open.reason.unwrap().contains("may need less"));
    assert_eq!(fit(window(), 31).fits, Some(false), "the weights alone are more");
    let untold = fit(json!({}), u64::MAX);
    assert!(untold.total_bytes.is_none() && untold.reason.unwrap().contains("how wide its layers are"));
}

#[test]
fn packed_weights_are_not_counted() {
    let packed = file(&json!({ "a": { "dtype": "I32", "shape": [2, 4], "data_offsets": [0, 32] } }), 32);
    let mut model =
        InMemory::new([("config.json", llama().to_string().into_bytes()), ("model.safetensors", packed)]);
    let facts = |model: &InMemory| {
        let facts = inspect_model(model).unwrap().details.facts;
        (facts.quantization, facts.parameter_count)
    };
    assert_eq!(facts(&model), (None, None));
    model.put("quantize_config.json", br#"{"bits": 4}"#.to_vec());
    assert_eq!(facts(&model), (Some("gptq-4bit".to_owned()), None));
    model.put("config.json", with(json!({ "quantization": { "bits": 8 } })).to_string().into_bytes());
    assert_eq!(facts(&model), (Some("mlx-8bit".to_owned()), None));
}

#[test]
fn the_part_about_text_is_found_where_it_lies() {
    let inner = json!({ "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 4, "hidden_size": 32,
                        "vocab_size": 99, "max_position_embeddings": 4096 });
    let check = |config: Value| {
        let facts = found(&config).details.facts;
        let numbers = [
            facts.layers,
            facts.heads,
            facts.kv_heads,
            facts.embedding_length,
            facts.vocab_size,
            facts.ctx_max,
        ];
        assert_eq!(numbers, [5, 8, 4, 32, 99, 4096].map(Some), "{config}");
    };
    for part in ["text_config", "llm_config", "language_config", "language_model_config"] {
        check(
            json!({ "model_type": "x", part: inner, "vision_config": { "num_hidden_layers": 7, "hidden_size": 9 } }),
        );
    }
    check(json!({ "thinker_config": { "text_config": inner, "hidden_size": 7 }, "hidden_size": 8,
                  "talker_config": { "num_hidden_layers": 3 } }));
    // What a config may be that means harm: no numbers, no objects, and parts in parts without an end.
    for odd in [json!(1), json!([inner]), json!("text"), json!(null)] {
        let facts =
            found(&json!({ "text_config": odd, "num_hidden_layers": 3, "hidden_size": -1 })).details.facts;
        assert_eq!((facts.layers, facts.embedding_length), (Some(3), None));
    }
    let mut deep = json!({ "num_hidden_layers": 1 });
    for _ in 0..100 {
        deep = json!({ "text_config": deep, "llm_config": { "text_config": 1 } });
    }
    assert_eq!(found(&deep).details.facts.layers, None);
    let numbers =
        json!({ "num_hidden_layers": "5", "hidden_size": 1e99, "vocab_size": [1], "n_positions": u64::MAX });
    let facts = found(&numbers).details.facts;
    assert_eq!((facts.layers, facts.embedding_length, facts.vocab_size), (None, None, None));
}

#[test]
fn the_config_of_mistrals_own_format() {
    let (one, two) = ("consolidated-00001-of-00002.safetensors", "consolidated-00002-of-00002.safetensors");
    let index = json!({ "weight_map": { "a": one, "b": two } });
    let with = |params: Value| {
        let model = InMemory::new([
            ("params.json", params.to_string().into_bytes()),
            ("tekken.json", b"{}".to_vec()),
            ("consolidated.safetensors.index.json", index.to_string().into_bytes()),
            (one, weights("a")),
            (two, weights("b")),
        ]);
        inspect_model(&model).unwrap()
    };
    let params = json!({ "dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 128, "n_heads": 4, "n_kv_heads": 2,
                         "vocab_size": 384, "max_seq_len": 2048 });
    let like_llama = found(&llama()).details.facts;
    let facts = with(params.clone()).details.facts;
    assert_eq!(facts.architecture.as_deref(), Some("MistralForCausalLM"));
    assert_eq!((facts.ctx_max, facts.layers, facts.shards), (Some(2048), Some(2), Some(2)));
    assert_eq!((facts.heads, facts.kv_heads, facts.vocab_size), (Some(4), Some(2), Some(384)));
    assert_eq!((facts.memory, facts.quantization.as_deref()), (like_llama.memory, Some("BF16")));
    let mut yarn = params.clone();
    yarn["moe"] = json!({ "num_experts": 8, "num_experts_per_tok": 2 });
    yarn["yarn"] = json!({ "factor": 4, "original_max_position_embeddings": 1024 });
    yarn["quantization"] = json!({ "qformat_weight": "fp8_e4m3" });
    let found = with(yarn).details;
    assert_eq!(found.facts.quantization.as_deref(), Some("fp8"));
    assert_eq!(found.facts.architecture.as_deref(), Some("MixtralForCausalLM"));
    assert_eq!((found.experts, found.experts_used, found.facts.ctx_max), (Some(8), Some(2), Some(4096)));
    // A field that it does not tell, or that is no number, stays unknown.
    for odd in [json!({ "dim": 8 }), json!({ "dim": "8", "n_layers": [], "moe": 1, "yarn": "x" }), json!({})]
    {
        let facts = with(odd).details.facts;
        assert_eq!((facts.layers, facts.ctx_max, facts.kv_heads), (None, None, None));
    }
    // The config of Transformers comes first.
    let mut both = repository(&llama());
    both.put("params.json", params.to_string().into_bytes());
    both.put("consolidated.safetensors", weights("a"));
    assert_eq!(inspect_model(&both).unwrap().details.facts.architecture.as_deref(), Some("LlamaForCausalLM"));
}

#[test]
fn the_configs_of_other_tools_say_what_they_say() {
    let check = |files: Vec<(&'static str, Vec<u8>)>, expected: Option<&str>| {
        let facts = inspect_model(&InMemory::new(files)).unwrap().details.facts;
        assert_eq!(facts.architecture.as_deref(), expected);
    };
    let component =
        || json!({ "_class_name": "UNet2DConditionModel", "num_hidden_layers": 9 }).to_string().into_bytes();
    // A pipeline of diffusers has its configs in its components.
    check(
        vec![
            ("model_index.json", br#"{"_class_name": "StableDiffusionPipeline"}"#.to_vec()),
            ("unet/config.json", component()),
            ("unet/diffusion_pytorch_model.safetensors", weights("a")),
            ("vae/diffusion_pytorch_model.safetensors", weights("a")),
            ("tokenizer/tokenizer_config.json", b"[]".to_vec()),
        ],
        None,
    );
    // One of sentence-transformers has modules in folders.
    check(
        vec![
            ("config.json", br#"{"architectures": ["BertModel"], "model_type": "bert"}"#.to_vec()),
            ("modules.json", b"[]".to_vec()),
            ("model.safetensors", weights("a")),
            ("2_Dense/config.json", b"[]".to_vec()),
            ("2_Dense/model.safetensors", weights("a")),
        ],
        Some("BertModel"),
    );
    check(
        vec![
            ("config.json", br#"{"architecture": "resnet18", "num_classes": 10}"#.to_vec()),
            ("model.safetensors", weights("a")),
        ],
        Some("resnet18"),
    );
}
