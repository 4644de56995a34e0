//! References to the Hub as other tools and browsers write them.

use std::path::Path;

use proptest::prelude::*;

use super::{check, refused};
use crate::reference::{ModelRef, may_be_path};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Returns the references between backticks of a hint.
fn hinted(text: &str) -> Vec<String> {
    let error = ModelRef::parse(text, Some(Path::new("/work"))).expect_err(text);
    let hint = error.hint().map(|hint| hint.to_string()).unwrap_or_default();
    hint.split('`').skip(1).step_by(2).map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// Checks that a text is refused, and that its hint names these references, which parse to themselves.
#[track_caller]
fn hints(text: &str, because: &str, expected: &[&str]) {
    refused(text, because);
    assert_eq!(hinted(text), expected, "{text}");
    for hint in expected {
        check(hint, hint);
    }
}

#[test]
fn the_grammar_of_the_hub_itself() {
    for text in [
        "hf://org/repo",
        "hf://models/org/repo",
        "HF://models/org/repo/",
        "hf:models/org/repo",
        "huggingface://org/repo",
        "huggingface://models/org/repo",
        "HuggingFace:org/repo",
    ] {
        check(text, "hf:org/repo");
    }
    check("hf://models/org/repo@v1/d/a.gguf", "hf:org/repo@v1/d/a.gguf");
    check("hf://models/org/repo@feature%2Fx/a.gguf", "hf:org/repo@feature%2Fx/a.gguf");
    check("hf://models/gpt2", "hf:gpt2");
    check("huggingface://org/repo/a.gguf", "hf:org/repo/a.gguf");
    check("hf://org/repo:q4_k_m", "hf:org/repo:Q4_K_M");
    check("hf:org/models/x", "hf:org/models/x");
    check("mem:models/org/repo", "mem:models/org/repo");
}

#[test]
fn a_ref_is_one_revision() {
    for (written, id) in [
        ("hf:org/repo@refs/pr/3", "hf:org/repo@refs%2Fpr%2F3"),
        ("hf:org/repo@refs%2Fpr%2F3", "hf:org/repo@refs%2Fpr%2F3"),
        ("hf://models/org/repo@refs/pr/3/d/x.gguf", "hf:org/repo@refs%2Fpr%2F3/d/x.gguf"),
        ("hf:org/repo@refs/pr/3:q8_0", "hf:org/repo@refs%2Fpr%2F3:Q8_0"),
        ("hf:org/repo@refs/pr/3?include=a", "hf:org/repo@refs%2Fpr%2F3?include=a"),
        ("hf:gpt2@refs/pr/3/config.json", "hf:gpt2@refs%2Fpr%2F3/config.json"),
        ("hf:org/repo@refs/convert/parquet", "hf:org/repo@refs%2Fconvert%2Fparquet"),
        ("hf:org/repo@refs/convert/duckdb.v1/a", "hf:org/repo@refs%2Fconvert%2Fduckdb.v1/a"),
        ("hf.co/org/repo@refs/pr/3:Q8_0", "hf:org/repo@refs%2Fpr%2F3:Q8_0"),
        ("hf.co/org/repo@refs%2Fpr%2F3", "hf:org/repo@refs%2Fpr%2F3"),
        ("https://huggingface.co/org/repo/tree/refs/pr/3", "hf:org/repo@refs%2Fpr%2F3"),
        ("https://hf.co/org/repo/tree/refs%2Fpr%2F3", "hf:org/repo@refs%2Fpr%2F3"),
        ("https://huggingface.co/org/repo/blob/refs/pr/3/d/x.gguf", "hf:org/repo@refs%2Fpr%2F3/d/x.gguf"),
        ("https://huggingface.co/org/repo/tree/refs/pr/3/d", "hf:org/repo@refs%2Fpr%2F3/d"),
        ("https://huggingface.co/gpt2/resolve/refs/convert/onnx/x", "hf:gpt2@refs%2Fconvert%2Fonnx/x"),
    ] {
        check(written, id);
    }
    // Only the Hub has such revisions.
    check("mem:org/repo@refs/pr/3", "mem:org/repo@refs/pr/3");
    hints("hf:org/repo@refs/heads/main/x.gguf", "behind `refs`", &["hf:org/repo@main/x.gguf"]);
    hints("hf:org/repo@refs/tags/v1:Q8_0", "behind `refs`", &["hf:org/repo@v1:Q8_0"]);
    for text in [
        "hf:o/r@refs",
        "hf:o/r@refs/pr",
        "hf:o/r@refs/pr/x",
        "hf:o/r@refs/pr/3x/a",
        "https://hf.co/o/r/blob/refs/pr/a.gguf",
        "hf:o/r@refs/heads/refs/heads/x",
    ] {
        hints(text, "behind `refs` come `pr` and a number", &[]);
    }
    let repo = "hf:org/repo".parse::<ModelRef>().unwrap().repository().unwrap().clone();
    assert!(
        repo.select(Some("refs"), [], []).is_err(),
        "the branch `refs` and the path `pr/3` would read as a ref"
    );
}

#[test]
fn addresses_without_a_scheme() {
    for host in ["hf.co", "HF.co", "huggingface.co", "www.huggingface.co", "hf.co:443", "HuggingFace.co."] {
        check(&format!("{host}/org/repo"), "hf:org/repo");
        check(&format!("{host}/org/repo/"), "hf:org/repo");
        check(&format!("{host}/org/repo:Q4_K_M"), "hf:org/repo:Q4_K_M");
        check(&format!("{host}/org/repo/blob/main/x.gguf"), "hf:org/repo/x.gguf");
        check(&format!("hf:{host}/org/repo"), "hf:org/repo");
        check(&format!("huggingface://{host}/org/repo:q8_0"), "hf:org/repo:Q8_0");
        assert!(may_be_path(&format!("{host}/org/repo")));
    }
    check("hf.co/org/repo/d/a.gguf", "hf:org/repo/d/a.gguf");
    check("hf.co/org/repo@v1/a.gguf", "hf:org/repo@v1/a.gguf");
    check("hf.co/org/repo@feature%2Fx/a.gguf", "hf:org/repo@feature%2Fx/a.gguf");
    check("hf.co/org/repo/a%20b.gguf?download=true#x", "hf:org/repo/a b.gguf");
    check("hf.co/gpt2", "hf:gpt2");
    check("hf:https://huggingface.co/org/repo:Q8_0", "hf:org/repo:Q8_0");
    for text in ["hf.co", "hf.co/", "hf.co//", "./hf.co/org/repo", "hf.company/org/repo", "xhf.co/org/repo"] {
        check(text, &format!("local:/work/{}", text.trim_start_matches("./").trim_end_matches('/')));
        assert!(!may_be_path(text));
    }
    check("local:hf.co/org/repo", "local:/work/hf.co/org/repo");
    check("oci://hf.co/org/repo:Q4", "oci://hf.co/org/repo:Q4");
    check("docker://hf.co/org/repo", "docker://hf.co/org/repo");
    check("ollama:hf.co/org/repo:latest", "ollama:hf.co/org/repo:latest");
}

#[test]
fn pages_of_each_kind() {
    for (page, id) in [
        ("org/repo:Q4_K_M", "hf:org/repo:Q4_K_M"),
        ("org/repo:q4_k_m?library=x", "hf:org/repo:Q4_K_M"),
        ("org/repo@v1", "hf:org/repo@v1"),
        ("org/repo.git", "hf:org/repo"),
        ("models/org/repo/blob/main/x", "hf:org/repo/x"),
        ("org/repo/raw/v1/config.json", "hf:org/repo@v1/config.json"),
        ("org/repo/blame/main/config.json", "hf:org/repo/config.json"),
        ("org/repo/resolve/feature%2Fx/a.gguf?download=true", "hf:org/repo@feature%2Fx/a.gguf"),
        ("org/repo/blob/main/x-00002-of-00003.gguf#L1", "hf:org/repo/x-00001-of-00003.gguf"),
        ("org/repo/commits/main", "hf:org/repo"),
        ("org/repo/tree/main/", "hf:org/repo"),
        ("gpt2/blob/main/config.json", "hf:gpt2@main/config.json"),
        ("gpt2/tree/main", "hf:gpt2"),
        ("org/blob", "hf:org/blob"),
        ("org/repo/blob/main/100%25%3F.gguf", "hf:org/repo/100%?.gguf"),
    ] {
        for site in ["https://huggingface.co", "http://hf.co:80", "HTTPS://www.HuggingFace.co:443"] {
            check(&format!("{site}/{page}"), id);
        }
    }
    let commit = format!("https://huggingface.co/org/repo/commit/{COMMIT}");
    check(&commit, &format!("hf:org/repo@{COMMIT}"));
    for other in [
        "https://huggingface.co:8443/org/repo",
        "http://hf.co:443/org/repo",
        "https://hf-mirror.com/o/r/blob/main/x",
    ] {
        check(other, other);
    }
    refused("https://user:secret@huggingface.co/org/repo", "user name or a password");
    refused("hf:https://user:secret@huggingface.co/org/repo", "user name or a password");
    assert!(!super::id("hf:https://user:secret@huggingface.co/org/repo").contains("secret"));
    hints("hf:https://example.org/o/r?token=x", "not one of the Hub", &["https://example.org/o/r"]);
    refused("https://huggingface.co/o/r@v1/blob/main/x", "has an `@`");
    refused("https://huggingface.co/o/r/blob/main/%0A", "unsafe path");
    refused("https://huggingface.co/o/r/%FF", "UTF-8");
    refused("https://huggingface.co?token=x", "org/repo");
    for secret in ["https://hf.co/o/../r?token=hf_secret", "hf.co/o/../r?token=hf_secret"] {
        refused(secret, "?…");
        assert!(!super::id(secret).contains("hf_secret"), "{secret}");
    }
}

#[test]
fn what_is_not_a_model_is_named() {
    for (name, what) in [
        ("datasets/org/set", "a dataset, and not a model"),
        ("spaces/org/app", "a Space, which is an app, and not"),
        ("buckets/org/name/x", "a bucket, which has neither revisions nor digests, and"),
        ("kernels/org/name", "a kernel, which is code, and"),
        ("collections/org/name-1", "a collection, which lists models, and"),
        ("papers/2401.00001", "a paper, and"),
        ("docs/hub", "a page of the documentation, and"),
        ("blog/x", "an article, and"),
        ("models?search=x", "a list of models, and"),
        ("models", "a list of models, and"),
        ("datasets", "a dataset, and"),
    ] {
        for before in ["hf:", "hf://", "hf://models/", "huggingface://", "hf.co/", "https://huggingface.co/"]
        {
            hints(&format!("{before}{name}"), what, &[]);
        }
    }
    refused("https://huggingface.co/%64atasets/org/set", "a dataset");
    refused("hf://datasets/org/set@refs/convert/parquet", "a dataset");
    refused("hf:hf.co/hf.co/org/repo", "host twice");
    hints("https://huggingface.co/api/models/org/repo", "for programs", &["hf:org/repo"]);
    hints("https://hf.co/api/models/org/repo/tree/main", "for programs", &["hf:org/repo"]);
    hints("https://hf.co/api/models/org/repo:0123456", "for programs", &[]);
    hints("https://huggingface.co/org/repo/discussions/3", "a discussion", &["hf:org/repo@refs%2Fpr%2F3"]);
    hints("https://huggingface.co/org/repo/discussions", "a discussion", &[]);
}

#[test]
fn a_revision_behind_a_colon_is_told_apart_from_a_quantization() {
    let because = "a revision stands behind an `@`";
    for before in ["hf://", "hf:", "huggingface://", "hf.co/", "https://hf.co/"] {
        for revision in [COMMIT, "0123456", "DEADBEEF", "main", "master", "v1.0"] {
            let hint = format!("hf:org/repo@{revision}");
            hints(&format!("{before}org/repo:{revision}"), because, &[&hint]);
        }
        hints(&format!("{before}org/repo:refs/pr/3/x"), because, &["hf:org/repo@refs%2Fpr%2F3/x"]);
        hints(&format!("{before}org/repo:0123456/x.gguf"), because, &["hf:org/repo@0123456/x.gguf"]);
        hints(&format!("{before}org/repo@v1:{COMMIT}"), because, &[&format!("hf:org/repo@{COMMIT}")]);
    }
    hints(&format!("hf://gpt2:{COMMIT}"), because, &[&format!("hf:gpt2@{COMMIT}")]);
    for quantization in ["F16", "BF16", "F32", "FACADE", "Q4_0"] {
        let id = format!("hf:org/repo:{quantization}");
        check(&id, &id);
    }
    let other = format!("mem:org/repo:{}", COMMIT.to_uppercase());
    check(&other, &other);
}

#[test]
fn tags_of_other_tools() {
    check("hf.co/org/repo:latest", "hf:org/repo");
    check("hf:org/repo@v1:LATEST", "hf:org/repo@v1");
    check("hf:org/repo:latest/", "hf:org/repo");
    check("hf.co/org/repo:Tiny-v1.0-Q4_K_M.gguf", "hf:org/repo/Tiny-v1.0-Q4_K_M.gguf");
    check("hf:org/repo@v1:x-00002-of-00002.gguf", "hf:org/repo@v1/x-00001-of-00002.gguf");
    check("hf:gpt2@main:a.GGUF", "hf:gpt2@main/a.GGUF");
    check("mem:org/repo:LATEST", "mem:org/repo:LATEST");
    refused("hf:org/repo:latest//", "not both");
    hints(
        "huggingface://org/repo/d/a.gguf@v1",
        "behind the name of the repository",
        &["hf:org/repo@v1/d/a.gguf", "hf:org/repo/d/a.gguf@v1"],
    );
    check("huggingface://org/repo@v1/a.gguf", "hf:org/repo@v1/a.gguf");
}

#[test]
fn a_file_of_a_repository_without_an_organisation_comes_back() {
    let repo = "hf:gpt2".parse::<ModelRef>().unwrap().repository().unwrap().clone();
    let id = repo.file(&crate::RelativePath::new("onnx/a.gguf").unwrap()).unwrap().to_string();
    check(&id, "hf:gpt2@main/onnx/a.gguf");
}

proptest! {
    #[test]
    fn ids_and_hints_come_back(text in "(hf:|hf://|huggingface://|hf\\.co/|hf:hf\\.co/|https://huggingface\\.co/|hf:https://hf\\.co/|)\
        ((models|models|datasets|hf\\.co|api)/){0,2}(org|r|refs|models|gpt2|a\\.git)?(/(r|repo|blob|tree|models|a\\.gguf))?\
        (@(main|refs|v1|refs/pr/3|refs%2Fpr%2F3|refs/heads/x|%25))?(:(latest|main|abcdef0|Q8_0|a\\.gguf|refs/pr/3))?\
        ((/|/|//)(blob|tree|commit|discussions|main|refs|pr|3|x-00002-of-00002\\.gguf|a@b|\\.\\.|%2F|%40x)){0,5}\
        (/|\\?include=a|\\?x#y)?") {
        match ModelRef::parse(&text, Some(Path::new("/work"))) {
            Ok(reference) => {
                let again = reference.id().parse::<ModelRef>();
                prop_assert_eq!(again.ok(), Some(reference));
            }
            Err(_) => for hint in hinted(&text).into_iter().filter(|hint| hint.starts_with("hf:")) {
                prop_assert_eq!(hint.parse::<ModelRef>().map(|hint| hint.id()).ok(), Some(hint));
            },
        }
    }
}
