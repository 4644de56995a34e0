//! What holds for every listing, however odd its names and its manifests are.

use std::collections::BTreeSet;

use model_selection::{Choice, Listing, MAX_MANIFESTS, Manifests, manifests_to_read, select};
use proptest::prelude::*;
use provisioner_core::{Entry, FetchError, ModelRef};

/// Makes names of what repositories have, in any combination.
fn name() -> impl Strategy<Value = String> {
    let folder = prop::sample::select(vec![
        "",
        "",
        "",
        "onnx/",
        "unet/",
        "1_Pooling/",
        "original/",
        "checkpoint-5/",
        "a/b/",
        "fp16/",
        ".cache/",
        "MTP/",
    ]);
    let stem = prop::sample::select(vec![
        "model",
        "model.fp16",
        "diffusion_pytorch_model",
        "consolidated",
        "pytorch_model",
        "adapter_model",
        "config",
        "tokenizer",
        "model_index",
        "modules",
        "adapter_config",
        "genai_config",
        "modeling_x",
        "m-Q4_K_M",
        "mmproj-F16",
        "training_args",
        "output",
        "._model",
        "nul",
        "model.safetensors.index",
        "openvino_model",
        "ggml-base",
        "x",
    ]);
    let shard = prop::sample::select(vec![
        "",
        "",
        "",
        "-00001-of-00002",
        "-00002-of-00002",
        "-1-of-3",
        "-00000-of-00001",
    ]);
    let ending = prop::sample::select(vec![
        "safetensors",
        "gguf",
        "GGUF",
        "bin",
        "json",
        "py",
        "onnx",
        "onnx_data",
        "pt",
        "xml",
        "nemo",
        "task",
        "md",
        "png",
        "txt",
        "zip",
        "gguf.part1of2",
        "",
    ]);
    (folder, stem, shard, ending)
        .prop_map(|(folder, stem, shard, ending)| format!("{folder}{stem}{shard}.{ending}"))
}

/// Makes names that no rule expects.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        1 => "\\PC{0,12}",
        1 => "[a-z/.\\\\:-]{0,16}(\\.safetensors|\\.gguf|\\.json)?",
    ]
}

/// Makes the contents of a manifest: sensible ones, and malformed ones.
fn contents() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "{}", "[]", "null", "{", "\u{feff}{}",
        r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "../x.safetensors"}}"#,
        r#"{"weight_map": {"a": 1}, "auto_map": {"A": "modeling_x.X", "B": ["o/r--y.Z", null]}, "vocab_size": 3}"#,
        r#"{"unet": ["diffusers", "X"], "vae": [null, null], "_class_name": ["x", "Y"]}"#,
        r#"[{"path": "1_Pooling", "type": "x.Y"}, {"path": "../.."}, 3]"#,
        r#"{"model": {"decoder": {"filename": "model.onnx"}}, "base_model_name_or_path": "o/base"}"#,
        "from .x import (\nfrom . import y\nfrom ..... import z\nfrom .é",
    ])
    .prop_map(str::to_owned)
}

fn reference() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "hf:o/r",
        "hf:o/r",
        "hf:o/r",
        "hf:o/r:Q4_K_M",
        "hf:o/r:F16",
        "hf:o/r/onnx",
        "hf:o/r/unet",
        "hf:o/r/model.safetensors",
        "hf:o/r/m-Q4_K_M.gguf",
        "hf:o/r?include=*.json&exclude=x*",
    ])
    .prop_map(str::to_owned)
}

fn choose(reference: &str, listing: &Listing, texts: &[String]) -> Result<Choice, FetchError> {
    let Ok(ModelRef::Repo(repo)) = reference.parse() else { panic!("{reference}") };
    let mut manifests = Manifests::default();
    let (mut texts, mut count) = (texts.iter(), 0);
    loop {
        let to_read = manifests_to_read(listing, repo.target(), &manifests);
        if to_read.is_empty() {
            break;
        }
        count += to_read.len();
        assert!(count <= MAX_MANIFESTS);
        for path in to_read {
            match texts.next() {
                Some(text) => manifests.insert(path, text.clone().into_bytes()),
                None => manifests.give_up(path),
            }
        }
    }
    select(&repo, listing, &manifests)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_is_chosen_or_left_out_once(
        names in prop::collection::vec((odd(), 0_u64..1 << 40), 0..24),
        texts in prop::collection::vec(contents(), 0..12),
        reference in reference(),
    ) {
        let listing: Listing = names.iter().map(|(name, size)| (name, *size)).collect();
        let Ok(choice) = choose(&reference, &listing, &texts) else { return Ok(()) };
        let listed: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        let mut seen = BTreeSet::new();
        let chosen = choice.files.iter().map(|file| file.path.as_str());
        for name in chosen.chain(choice.left_out.iter().map(|file| file.path.as_str())) {
            prop_assert!(seen.insert(name), "`{}` is there twice", name);
        }
        prop_assert_eq!(seen, listed);
        prop_assert!(!choice.files.is_empty());
        let has = |path: &provisioner_core::RelativePath| choice.files.iter().any(|file| file.path == *path);
        prop_assert!(choice.projector.as_ref().is_none_or(&has));
        match &choice.entry {
            Entry::File(path) => prop_assert!(has(path)),
            Entry::Subfolder(path) => {
                let folder = format!("{path}/");
                prop_assert!(choice.files.iter().any(|file| file.path.as_str().starts_with(&folder)));
            }
            Entry::Folder => {}
        }
    }

    #[test]
    fn a_name_that_is_unsafe_decides_nothing(
        names in prop::collection::vec((name(), 0_u64..1 << 40), 1..16),
        texts in prop::collection::vec(contents(), 0..12),
        reference in reference(),
        unsafe_name in prop::sample::select(vec![
            "nul", "aux.json", "com1.safetensors", "a/../model.safetensors", "c:/config.json", "model\\x.gguf", "x\n.safetensors", "/etc/passwd",
            "lpt1.gguf",
        ]),
    ) {
        let safe = |name: &String| name.parse::<provisioner_core::RelativePath>().is_ok();
        let names: Vec<_> = names.into_iter().filter(|(name, _)| safe(name)).collect();
        let listing: Listing = names.iter().map(|(name, size)| (name, *size)).collect();
        let mut with = listing.clone();
        with.add(unsafe_name, 1 << 39);
        let (plain, other) = (choose(&reference, &listing, &texts), choose(&reference, &with, &texts));
        match (plain, other) {
            (Ok(plain), Ok(other)) => {
                prop_assert_eq!(plain.files, other.files);
                prop_assert_eq!(plain.entry, other.entry);
                prop_assert_eq!(plain.left_out.len() + 1, other.left_out.len());
            }
            // A pattern of the reference may take it by name.
            (_, Err(other)) if other.kind == provisioner_core::FetchErrorKind::UnsafePath => {}
            (Err(plain), Err(other)) => prop_assert_eq!(plain.kind, other.kind),
            (Ok(_), Err(other)) => prop_assert!(false, "{} comes", other),
            (Err(plain), Ok(_)) => prop_assert!(false, "{} goes away", plain),
        }
    }

    #[test]
    fn the_order_of_a_listing_decides_nothing(
        names in prop::collection::vec((name(), 0_u64..1 << 40), 1..16),
        reference in reference(),
    ) {
        let mut seen = BTreeSet::new();
        let names: Vec<_> = names.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect();
        let listing: Listing = names.iter().map(|(name, size)| (name, *size)).collect();
        let turned: Listing = names.iter().rev().map(|(name, size)| (name, *size)).collect();
        let told = |listing| choose(&reference, listing, &[]).map_err(|error| error.to_string());
        prop_assert_eq!(told(&listing), told(&turned));
    }
}
