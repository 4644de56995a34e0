use provisioner_core::{ModelRef, Notice};

use super::*;
use crate::check;

fn listing(paths: &[&str]) -> Listing {
    paths.iter().map(|path| (path, 20_000)).collect()
}

/// Returns the files that a reference takes of a repository, or the error.
fn taken(reference: &str, paths: &[&str]) -> String {
    let ModelRef::Repo(hub) = reference.parse().unwrap() else { panic!() };
    match check(&hub).and_then(|()| select(&hub, &listing(paths), &Manifests::default())) {
        Ok(choice) => {
            let entry = match choice.entry {
                Entry::File(path) => path.to_string(),
                Entry::Folder => "folder".to_owned(),
                Entry::Subfolder(path) => format!("folder {path}"),
            };
            let files: Vec<_> = choice.files.iter().map(|file| file.path.to_string()).collect();
            format!("{entry}: {}", files.join(" "))
        }
        Err(error) => {
            let hint = error.hint.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{:?}: {error}; {hint}", error.kind)
        }
    }
}

#[test]
fn files_and_shards() {
    let repo = [
        "a.gguf",
        "d/x-00001-of-00002.gguf",
        "d/x-00002-of-00002.gguf",
        "mmproj-BF16.gguf",
        "mmproj-F16.gguf",
    ];
    assert_eq!(taken("hf:o/r/a.gguf", &repo), "a.gguf: a.gguf mmproj-BF16.gguf");
    assert_eq!(
        taken("hf:o/r/d/x-00002-of-00002.gguf", &repo[..3]),
        "d/x-00001-of-00002.gguf: d/x-00001-of-00002.gguf d/x-00002-of-00002.gguf"
    );
    assert!(
        taken("hf:o/r/d/x-00001-of-00002.gguf", &repo[..2])
            .starts_with("MissingShard: missing shard `d/x-00002-of-00002.gguf`")
    );
    let incomplete = ["x-Q4_0-00001-of-00003.gguf", "x-Q4_0-00003-of-00003.gguf"];
    for reference in ["hf:o/r", "hf:o/r:Q4_0"] {
        assert!(taken(reference, &incomplete).starts_with("MissingShard: missing shard `x-Q4_0-00002"));
    }
    assert!(
        taken("hf:o/r/b.gguf", &repo)
            .starts_with("NotFound: the repository has no file `b.gguf`; there are: `a.gguf`")
    );
    assert_eq!(taken("hf:o/r/mmproj-F16.gguf", &repo), "mmproj-F16.gguf: mmproj-F16.gguf");
    let other = taken("hf:o/r/b.bin", &repo);
    assert!(other.contains("there are: `a.gguf`, `d/x-"), "there is no other such file: {other}");
    assert_eq!(taken("hf:o/r@v1/sub [d]ir", &["sub [d]ir/x.json"]), "folder sub [d]ir: sub [d]ir/x.json");
    let behind = taken("hf:o/r/folder@v1", &["folder/x.json"]);
    assert!(behind.contains("if `v1` is a revision, write `hf:o/r@v1/folder`"), "{behind}");
    assert!(!taken("hf:o/r@v2/folder@v1", &["folder/x.json"]).contains("is a revision"));
}

#[test]
fn a_set_of_very_many_shards_is_found() {
    let name = |number: u32| format!("x-{number:05}-of-29999.gguf");
    let names: Vec<_> = (1..=29_999).map(name).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let found = taken("hf:o/r/x-00001-of-29999.gguf", &names);
    assert!(found.ends_with(" x-29999-of-29999.gguf"));
    assert!(
        taken("hf:o/r/x-00001-of-29999.gguf", &names[1..])
            .starts_with("NotFound: the repository has no file `x-00001-of-29999.gguf`")
    );
    assert!(
        taken("hf:o/r/x-00001-of-29999.gguf", &names[..29_998])
            .starts_with("MissingShard: missing shard `x-29999-of-29999.gguf`, of 29999")
    );
}

#[test]
fn weights_in_folders_alone_are_a_model() {
    let pipeline = ["model_index.json", "tokenizer_config.json", "unet/model.safetensors"];
    let all = "folder: model_index.json tokenizer_config.json unet/model.safetensors";
    assert_eq!(taken("hf:o/r", &pipeline), all);
    assert_eq!(taken("hf:o/r", &[&pipeline[..], &["x.gguf"]].concat()), all);
    let adapter = ["adapter_config.json", "adapter_model.safetensors"];
    assert_eq!(taken("hf:o/r", &adapter), "folder: adapter_config.json adapter_model.safetensors");
    let none = taken("hf:o/r", &["config.json", "tokenizer.json"]);
    assert_eq!(none, "NotFound: `o/r` has no weights that are taken by themselves; name files with patterns");
}

#[test]
fn quantizations_are_whole_words() {
    let repo = [
        "m-Q4_K_M.gguf",
        "m-UD-Q4_K_M.gguf",
        "m.Q4_K.gguf",
        "m-IQ4_K_M.gguf",
        "imatrix-Q4_K_M.gguf",
        "mmproj-Q8_0.gguf",
        "Q8_0/m-Q8_0-00001-of-00001.gguf",
    ];
    assert!(taken("hf:o/r:q4_k_m", &repo).starts_with("m-Q4_K_M.gguf: m-Q4_K_M.gguf"));
    assert!(taken("hf:o/r:UD-Q4_K_M", &repo).starts_with("m-UD-Q4_K_M.gguf: "));
    assert!(taken("hf:o/r:Q4_K", &repo).starts_with("m.Q4_K.gguf: "));
    assert!(taken("hf:o/r:Q8_0", &repo).starts_with("Q8_0/m-Q8_0-00001-of-00001.gguf: "));
    let unknown = taken("hf:o/r:Q2_K", &repo);
    assert!(
        unknown.starts_with("NotFound")
            && unknown.contains("`hf:o/r/m-Q4_K_M.gguf` (19.53 KiB)")
            && !unknown.contains("imatrix"),
        "{unknown}"
    );
    let two = taken("hf:o/r:Q4_0", &["a-Q4_0.gguf", "b-Q4_0.gguf"]);
    assert!(
        two.starts_with("Ambiguous") && two.contains("`hf:o/r/a-Q4_0.gguf`") && two.contains("b-Q4_0"),
        "{two}"
    );
    let odd = taken(
        "hf:o/r@v1:Q4_0",
        &["a b-Q4_0.gguf", "c-Q4_0-00001-of-00002.gguf", "c-Q4_0-00002-of-00002.gguf"],
    );
    assert!(odd.contains("`'hf:o/r@v1/a b-Q4_0.gguf'` (19.53 KiB)"), "{odd}");
    assert!(odd.contains("`hf:o/r@v1/c-Q4_0-00001-of-00002.gguf` (39.06 KiB)"), "{odd}");
    let none = taken("hf:o/r:Q4_0", &["model.safetensors"]);
    assert_eq!(
        none,
        "NotFound: `o/r` has no quantization `Q4_0`, for it has no GGUF files at all; \
         `hf:o/r` is what an engine loads of it"
    );
}

#[test]
fn a_long_listing_makes_no_long_message() {
    let names: Vec<_> = (0..20_000).map(|number| format!("{number}-Q8_0.gguf")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for reference in ["hf:o/r", "hf:o/r:Q8_0", "hf:o/r:Q2_K", "hf:o/r/x.gguf", "hf:o/r?include=x"] {
        let message = taken(reference, &names);
        assert!(message.len() < 5000, "{reference}: {} bytes", message.len());
        assert!(message.contains(", and 19950 more"), "{reference}: {message}");
    }
}

#[test]
fn whole_repositories() {
    let repo = [
        "README.md",
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "tokenizer.json",
        "onnx/model.onnx",
        "original/consolidated.pth",
        "consolidated.safetensors",
        "chat_template.jinja",
    ];
    assert_eq!(
        taken("hf:o/r", &repo),
        "folder: chat_template.jinja config.json model.safetensors tokenizer.json"
    );
    assert_eq!(taken("hf:o/r", &["README.md", "m-Q4_0.gguf"]), "folder: m-Q4_0.gguf");
    assert!(taken("hf:o/r", &["a-Q4_0.gguf", "a-Q8_0.gguf"]).starts_with("Ambiguous"));
    // The policy refuses it by its name.
    assert_eq!(taken("hf:o/r", &["README.md", "pytorch_model.bin"]), "folder: pytorch_model.bin");
}

#[test]
fn patterns() {
    let repo = ["a.json", "d/b.json", "c.txt", "[x].json"];
    assert_eq!(taken("hf:o/r?include=*.json", &repo), "folder: [x].json a.json d/b.json");
    assert_eq!(taken("hf:o/r?include=*.json&exclude=d%2F*", &repo), "folder: [x].json a.json");
    assert_eq!(taken("hf:o/r?exclude=*.json", &repo), "folder: c.txt");
    let none = taken("hf:o/r?include=*.gguf", &repo);
    assert!(none.starts_with("NotFound") && none.contains("there are: `[x].json`, `a.json`"), "{none}");
    for bad in ["hf:o/r?include=[[", "hf:o/r?exclude=[["] {
        let message = taken(bad, &repo);
        assert!(
            message.starts_with("InvalidPattern: `[[` is not a pattern: unclosed character class"),
            "{message}"
        );
    }
}

#[test]
fn what_is_excluded_was_never_listed() {
    let names = ["config.json", "model.safetensors", "pytorch_model.bin", "README.md", "tokenizer.json"];
    let chosen = |text: &str| {
        let Ok(ModelRef::Repo(repo)) = text.parse() else { panic!("{text}") };
        let listing = names.iter().map(|name| (*name, 9)).collect();
        let choice = select(&repo, &listing, &Manifests::default()).unwrap();
        choice.files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(chosen("hf:o/r?exclude=README.md"), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(chosen("hf:o/r?exclude=tokenizer*"), ["config.json", "model.safetensors"]);
    let pickled = ["config.json", "pytorch_model.bin", "tokenizer.json"];
    assert_eq!(chosen("hf:o/r?exclude=*.safetensors"), pickled);
    // Where no rule chooses of the rest, the patterns do.
    assert_eq!(
        chosen("hf:o/r?exclude=*.safetensors&exclude=*.bin"),
        ["README.md", "config.json", "tokenizer.json"]
    );
}

#[test]
fn code_elsewhere_is_in_a_repository() {
    let elsewhere = |repo: &str| {
        let ModelRef::Repo(hub) = "hf:o/r".parse().unwrap() else { panic!() };
        let mut manifests = Manifests::default();
        let config = format!(r#"{{ "auto_map": {{ "AutoModel": "{repo}--modeling_a.B" }} }}"#);
        manifests.insert("config.json".parse().unwrap(), config.into_bytes());
        let choice = select(&hub, &listing(&["config.json", "model.safetensors"]), &manifests).unwrap();
        choice.notices.into_iter().find_map(|notice| match notice {
            Notice::RemoteCode { elsewhere, .. } => Some(elsewhere),
            _ => None,
        })
    };
    assert_eq!(elsewhere("org/name"), Some(vec!["org/name".to_owned()]));
    for odd in
        ["x", "org/name/more", "org/name@v1", "org/name:Q4_0", "a b/c", &format!("o/{}", "x".repeat(200))]
    {
        assert_eq!(elsewhere(odd), None, "{odd}");
    }
}
