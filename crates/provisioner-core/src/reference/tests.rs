use std::path::Path;

use proptest::prelude::*;

use super::{model_ref::ModelRef, parse::did_you_mean, repo::RepoTarget};

mod hub;

fn id(text: &str) -> String {
    match ModelRef::parse(text, Some(Path::new("/work"))) {
        Ok(reference) => reference.id(),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(id(text), expected, "{text}");
    assert_eq!(id(expected), expected, "the id of {text} does not come back");
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let message = id(text);
    assert!(message.starts_with("error: ") && message.contains(because), "{text}: {message}");
}

#[test]
fn local_forms() {
    for text in [
        "/models/a.gguf",
        "file:/models/a.gguf",
        "file:///models/a.gguf",
        "local:/models/a.gguf",
        "FILE:/models/a.gguf",
        "file://localhost/models/a.gguf",
        "/models//./a.gguf",
        "/models/a.gguf/",
        "/../models/a.gguf",
    ] {
        check(text, "local:/models/a.gguf");
    }
    for text in ["./a.gguf", "a.gguf", "file:a.gguf", "local:a.gguf"] {
        check(text, "local:/work/a.gguf");
    }
    check("file:/a%20b%2Fc%25.gguf", "local:/a b/c%.gguf");
    check("/a%20b.gguf", "local:/a%20b.gguf");
    check("../x/../a.gguf", "local:/work/../x/../a.gguf");
    check("/", "local:/");
    check("/..", "local:/");
    check("./C:x", "local:/work/C:x");
    check("org/repo:Q4", "local:/work/org/repo:Q4");
}

#[test]
fn shards_are_one_model() {
    check("/m/x-00002-of-00003.gguf", "local:/m/x-00001-of-00003.gguf");
    check("hf:o/r/d/x-00003-of-00003.gguf", "hf:o/r/d/x-00001-of-00003.gguf");
}

#[test]
fn hub_forms() {
    for text in [
        "hf:org/repo",
        "hf:org/repo/path/file.gguf",
        "hf:org/repo@rev/a.gguf",
        "hf:org/repo@rev",
        "hf:org/repo@feature%2Fx",
        "hf:org/repo:Q4_K_M",
        "hf:org/repo@v1:Q4_K_M",
        "hf:gpt2",
        "hf:gpt2@main/config.json",
        "hf:gpt2:Q8_0",
        "hf:o/r/a b#[1]?%.gguf",
        "hf:o/r/x@y:z.gguf",
        "hf:o/r@a%25b",
        "hf:o/r?include=%2A.json&exclude=x",
    ] {
        let expected = text.replace("%2A", "%252A");
        check(text, &expected);
    }
    check("hf://org/repo/a.gguf", "hf:org/repo/a.gguf");
    check("hf:org/repo/", "hf:org/repo");
    check("hf:org/repo:q4_k_m", "hf:org/repo:Q4_K_M");
    check("hf:o/r?exclude=b&include=b&include=a&include=a", "hf:o/r?include=a&include=b&exclude=b");
    check("hf:o/r?include=onnx%2F*", "hf:o/r?include=onnx%2F*");
}

#[test]
fn pasted_pages() {
    check("https://huggingface.co/org/repo/blob/main/x.gguf", "hf:org/repo/x.gguf");
    check(
        "https://huggingface.co/org/repo/resolve/v1.0/d/x%20y.gguf?download=true",
        "hf:org/repo@v1.0/d/x y.gguf",
    );
    check("https://huggingface.co/org/repo", "hf:org/repo");
    check("https://huggingface.co/org/repo/tree/main/onnx", "hf:org/repo/onnx");
    check("https://huggingface.co/gpt2", "hf:gpt2");
    refused("https://huggingface.co/", "org/repo");
    refused("https://huggingface.co/o/r/blob/main/..%2F..%2Fx", "unsafe path");
}

#[test]
fn other_schemes_stay_as_they_are() {
    check("s3://bucket/x.gguf", "s3://bucket/x.gguf");
    check("OCI:x", "oci:x");
    check("https://example.org/x.gguf", "https://example.org/x.gguf");
    refused("https://user:secret@example.org/x.gguf", "user name or a password");
    assert!(!id("https://user:secret@example.org/x.gguf").contains("secret"));
}

#[test]
fn a_foreign_scheme_has_repositories_and_no_text_of_it_is_rewritten() {
    let repo_of = |text: &str| {
        let reference: ModelRef = text.parse().unwrap();
        assert_eq!(reference.id(), text);
        reference.repository().map(|repo| (repo.repo().to_owned(), repo.revision().map(str::to_owned)))
    };
    let is = |text: &str, repo: &str, revision: Option<&str>| {
        assert_eq!(repo_of(text), Some((repo.to_owned(), revision.map(str::to_owned))), "{text}");
    };
    is("mem:org/repo", "org/repo", None);
    is("mem:org/repo@v1/d/a.gguf", "org/repo", Some("v1"));
    is("mem:org/repo:Q4_K_M", "org/repo", None);
    is("mem:org/repo?include=a", "org/repo", None);
    is("mem:model", "model", None);
    let key = "ab".repeat(32);
    for text in ["mem:org/repo:q4_k_m", "mem://host/a", "mem:a b", "mem:o/r/x-00002-of-00003.gguf", "s3:o/r"]
    {
        assert_eq!(repo_of(text), None, "{text}");
    }
    assert_eq!(repo_of(&format!("mem:{key}")), None, "a key is the name of a view");
    let ModelRef::Other(other) = "mem:org/repo:q4_k_m".parse().unwrap() else { panic!() };
    let read = other.repository().unwrap();
    assert_eq!(
        (read.to_string().as_str(), read.target()),
        ("mem:org/repo:Q4_K_M", &RepoTarget::Quantization("Q4_K_M".into()))
    );
}

#[test]
fn a_pinned_reference_comes_back_or_is_none() {
    let at = |text: &str, revision: &str| {
        text.parse::<ModelRef>().unwrap().at_revision(revision).map(|pinned| pinned.id())
    };
    assert_eq!(at("mem:o/r/a", "v1").as_deref(), Some("mem:o/r@v1/a"));
    assert_eq!(at("hf:o/r@main:Q8_0", "abc").as_deref(), Some("hf:o/r@abc:Q8_0"));
    assert_eq!(at("mem:o/r", "3 x"), None);
    assert_eq!(at("s3://b/a", "v1"), None);
}

#[test]
fn refusals() {
    refused("", "empty");
    refused("  ", "empty");
    refused("C:\\models\\a.gguf", "Windows drive");
    refused("c:/models", "Windows drive");
    refused("/a\nb", "control character");
    refused("file:/a%00b", "control character");
    refused("file:/a%0Ab", "control character");
    refused("file:/a%zz", "two hex digits");
    refused("file:/a%ff", "not valid UTF-8");
    refused("file://host/a", "this machine");
    refused("file:", "empty");
    refused("hf:", "org/repo");
    refused("hf:org/", "org/repo");
    refused("hf:../..", "org/repo");
    refused("hf:o/r/../x", "`..`");
    refused("hf:o/r//x", "absolute");
    refused("hf:o/r@", "revision");
    refused("hf:o/r@a..b", "revision");
    refused("hf:o/r:", "quantization");
    refused("hf:o/r:Q4/x.gguf", "not both");
    refused("hf:o/r:Q4?include=x", "selection");
    refused("hf:o/r?x=y", "include=");
    refused("s3:", "nothing follows");
    refused(&"x".repeat(9000), "longer");
    assert!("a.gguf".parse::<ModelRef>().is_err());
}

#[test]
fn guesses_the_hub() {
    assert_eq!(did_you_mean("org/repo").as_deref(), Some("hf:org/repo"));
    assert_eq!(did_you_mean("org/repo:Q4_K_M").as_deref(), Some("hf:org/repo:Q4_K_M"));
    assert_eq!(did_you_mean("org/repo:main").as_deref(), Some("hf:org/repo@main"));
    for text in ["./org/repo", "/org/repo", "file.gguf", "s3:o/r", "../x", "models/a/b.gguf", "datasets/o/d"]
    {
        assert_eq!(did_you_mean(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,60}") {
        let _ = ModelRef::parse(&text, Some(Path::new("/work")));
    }

    #[test]
    fn ids_come_back(text in "(hf:|hf://|mem:|mem://|file:|file://|local:|s3:|https://huggingface.co/|/|\\./|)[a-c/.@:?%#=&A-C0-9 _-]{0,30}(-0000[0-4]-of-00003\\.gguf)?") {
        if let Ok(reference) = ModelRef::parse(&text, Some(Path::new("/work"))) {
            let id = reference.id();
            let again = id.parse::<ModelRef>();
            prop_assert_eq!(again.as_ref().map(ModelRef::id).ok(), Some(id));
            prop_assert_eq!(again.unwrap(), reference);
        }
    }
}
