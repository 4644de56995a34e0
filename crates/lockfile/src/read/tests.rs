//! What the reader takes, and what it refuses, and with which words.

use proptest::prelude::*;
use provisioner_core::{LockFile, LockedFile, LockedModel};

use super::*;
use crate::write;

/// A model of one file, by its name and its size.
fn model(reference: &str, file: &str, size: u64) -> LockedModel {
    let files = vec![LockedFile { path: file.parse().unwrap(), size, sha256: Digest::sha256([7; 32]) }];
    LockedModel::new(reference.parse().unwrap(), Some("v1".to_owned()), files).unwrap()
}

fn good() -> String {
    write(&[model("mem:org/a", "a.gguf", 1), model("mem:org/b", "b.gguf", 2)].into_iter().collect())
}

#[track_caller]
fn refuses(text: &str, told: &str) {
    let error = read(text).unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
}

#[test]
fn a_written_file_is_read_back() {
    let lock = read(&good()).unwrap();
    assert_eq!(lock.models().len(), 2);
    assert_eq!(lock.get("mem:org/b").unwrap().files()[0].size, 2);
    assert_eq!(write(&lock), good());
    assert_eq!(read("version = 1\n").unwrap(), LockFile::default());
}

#[test]
fn an_unfinished_merge_is_told_with_the_references_of_both_sides() {
    let text = good();
    let (ours, theirs) = text.split_once("\n[[model]]\nref = \"mem:org/b\"").unwrap();
    for (begin, end) in [("<<<<<<< HEAD", ">>>>>>> other"), ("<<<<<<<", ">>>>>>>")] {
        let merged = format!(
            "{ours}{begin}\n[[model]]\nref = \"mem:org/b\"{theirs}=======\nref = \"mem:org/c\"\n{end}\n"
        );
        let Error::Conflict { line, references } = read(&merged).unwrap_err() else { panic!("{merged}") };
        assert_eq!(merged.lines().nth(line - 1), Some(begin));
        assert_eq!(references, ["mem:org/a", "mem:org/b", "mem:org/c"]);
    }
}

#[test]
fn a_newer_version_is_refused_with_both_versions() {
    let newer = good().replace("version = 1", "version = 2\nseal = \"x\"");
    assert_eq!(read(&newer), Err(Error::Newer { found: 2, known: 1 }));
    refuses(&good().replace("version = 1", "version = 0"), "there is no version 0");
    refuses(&good().replace("version = 1", ""), "missing field `version`");
}

#[test]
fn what_two_merges_made_of_it_is_refused() {
    let once = good();
    let (_, entry) = once.split_once("\n[[model]]").unwrap();
    refuses(&format!("{once}\n[[model]]{entry}"), "`mem:org/a` is there twice");
    refuses(&good().replace("size = 1", "size = 1, size = 1"), "line 8: ");
    refuses(&good().replace("0707070707", "0807070707"), "and it says another one");
    let row = once.lines().find(|line| line.starts_with("  {")).unwrap();
    refuses(&once.replace(row, &format!("{row}\n{row}")), "two files have one path");
}

#[test]
fn a_strangers_text_is_refused_at_its_line() {
    refuses(&good().replace("a.gguf", "../a.gguf"), "line 4: unsafe path");
    refuses(&good().replace("a.gguf", "/a.gguf"), "unsafe path");
    refuses(&good().replace("path = \"a.gguf\"", "path = \"a.gguf\", mode = 1"), "unknown field `mode`");
    refuses(&good().replace("size = 1", "size = -1"), "line 8: ");
    refuses(&good().replace("size = 1", "size = 99999999999999999999"), "line 8: ");
    refuses(&good().replace("\"v1\"", "\"\""), "not the name of one");
    refuses(&good().replace("\"v1\"", &format!("\"{}\"", "v".repeat(257))), "not the name of one");
    refuses(&good().replace("mem:org/a", "hf.co/org/a"), "its reference is written `hf:org/a`");
    refuses(&good().replace("mem:org/a", "hf:"), "invalid reference");
    refuses(&good().replace("sha256 = \"07", "sha256 = \"0"), "invalid digest");
    refuses(&"[".repeat(1 << 20), "line 1: ");
    refuses(&format!("version = {}1{}", "[".repeat(1 << 20), "]".repeat(1 << 20)), "line 1: ");
    refuses(&" ".repeat(MAX_BYTES + 1), "larger than");
}

fn any_lock() -> impl Strategy<Value = LockFile> {
    let name = r#"[a-zA-Z0-9 _.'"\u{e9}\u{4e00}-]{1,12}"#;
    let file = (name, 0..=i64::MAX.cast_unsigned(), any::<[u8; 32]>());
    let files = proptest::collection::vec(file, 1..6);
    let model = ("[a-z]{1,8}", proptest::option::of("[a-zA-Z0-9]{1,40}"), files);
    proptest::collection::vec(model, 0..6).prop_map(|models| {
        let models = models.into_iter().filter_map(|(repo, revision, files)| {
            let files = files.into_iter().filter_map(|(path, size, sha256)| {
                Some(LockedFile { path: path.parse().ok()?, size, sha256: Digest::sha256(sha256) })
            });
            LockedModel::new(format!("mem:org/{repo}").parse().ok()?, revision, files.collect()).ok()
        });
        models.collect()
    })
}

proptest! {
    #[test]
    fn every_lock_file_is_read_as_it_was_written(lock in any_lock()) {
        let text = write(&lock);
        prop_assert_eq!(read(&text).unwrap(), lock.clone());
        prop_assert_eq!(write(&read(&text).unwrap()), text);
    }

    #[test]
    fn a_changed_byte_is_refused_or_written_back_in_full(lock in any_lock(), at in any::<prop::sample::Index>(), byte in 32..127u8) {
        let mut bytes = write(&lock).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Ok(found)) = String::from_utf8(bytes).map(|text| read(&text)) {
            prop_assert_eq!(read(&write(&found)).unwrap(), found);
        }
    }

    #[test]
    fn no_text_is_a_panic(text in r#"(version = 1\n|\[\[model\]\]\n|ref = "mem:a/b"\n|files = \[|\]|\{|\}|[a-z=" \n]|\PC){0,60}"#) {
        let _ = read(&text);
    }
}
