use serde_json::{Value, json};

use super::*;

fn digest(byte: u8) -> String {
    hex::encode([byte; 32])
}

/// A statement with these resources, each with a digest of its own, and a right digest of the model.
fn statement(names: &[&str], serialization: &Value) -> Value {
    let resources: Vec<_> = (1u8..)
        .zip(names)
        .map(|(byte, name)| json!({ "name": name, "algorithm": "sha256", "digest": digest(byte) }))
        .collect();
    let all: Vec<u8> = (1u8..).zip(names).flat_map(|(byte, _)| [byte; 32]).collect();
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": "m", "digest": { "sha256": hex::encode(Sha256::digest(all)) } }],
        "predicateType": PREDICATE,
        "predicate": { "resources": resources, "serialization": serialization }
    })
}

fn files() -> Value {
    json!({ "method": "files", "hash_type": "sha256", "allow_symlinks": false })
}

fn shards(size: &Value) -> Value {
    json!({ "method": "shards", "hash_type": "sha256", "allow_symlinks": false, "shard_size": size })
}

fn read(statement: &Value) -> Result<SignedFiles> {
    SignedFiles::from_json(statement.to_string().as_bytes())
}

#[test]
fn files_are_taken_in_the_order_in_which_they_are_listed() {
    // The reference implementation sorts by the components of a path: code points would put `a-b` before `a/z`.
    let signed = read(&statement(&["a/z.json", "a-b.txt"], &files())).unwrap();
    assert_eq!(signed.len(), 2);
    let mut turned = statement(&["a/z.json", "a-b.txt"], &files());
    turned["predicate"]["resources"].as_array_mut().unwrap().reverse();
    let told = read(&turned).unwrap_err().to_string();
    assert!(told.ends_with("the digest of the model is not that of its files"), "{told}");
}

#[test]
fn a_single_file_has_the_name_of_either_kind() {
    for name in [".", "model.gguf"] {
        assert!(read(&statement(&[name], &files())).unwrap().files.contains_key(name), "{name}");
    }
    let told = read(&statement(&[".", "a"], &files())).unwrap_err().to_string();
    assert!(told.ends_with("`.` is not a path below the model"), "{told}");
}

#[test]
fn pieces_make_up_files() {
    let names = ["b:3:6", "a:0:3", "b:0:3", "a:3:5", "c:0:0"];
    for size in [json!(3), json!(3.0)] {
        let signed = read(&statement(&names, &shards(&size))).unwrap();
        let ends = |name: &str| match &signed.files[name].digest {
            SignedDigest::Pieces(pieces) => pieces.iter().map(|piece| piece.end).collect::<Vec<_>>(),
            SignedDigest::Whole(_) => Vec::new(),
        };
        assert_eq!((ends("a"), ends("b"), ends("c")), (vec![3, 5], vec![3, 6], vec![0]), "{size}");
    }
    let check = |names: &[&str], expected: &str| {
        let told = read(&statement(names, &shards(&json!(3.0)))).unwrap_err().to_string();
        assert!(told.ends_with(expected), "{told}");
    };
    check(&["a:0:3", "a:6:9"], "the pieces of `a` do not make up a file");
    check(&["a:3:6"], "the pieces of `a` do not make up a file");
    check(&["a:0:2", "a:2:5"], "the pieces of `a` do not make up a file");
    check(&["a:0:4"], "the pieces of `a` do not make up a file");
    check(&["a:0:3", "a:3:1"], "the pieces of `a` do not make up a file");
    check(&["a:0:3", "a:0:3"], "it names `a:0:3` twice");
    check(&["a:0:3", "a"], "`a` does not say which bytes of the file it is");
    check(&["../a:0:3"], "`../a` is not a path below the model");
    for size in [json!(0), json!(1.5), json!(-3), json!(1e300), Value::Null] {
        assert!(read(&statement(&["a:0:3"], &shards(&size))).is_err(), "{size}");
    }
    assert!(read(&statement(&["a:0:1"], &shards(&json!(1.5)))).is_err(), "half a byte");
}

#[test]
fn both_names_of_an_algorithm_are_read() {
    let mut signed = statement(&["a:0:3"], &shards(&json!(3.0)));
    for (name, is_known) in
        [("sha256", true), ("sha256-sharded-3", true), ("sha256-sharded-x", false), ("md5", false)]
    {
        signed["predicate"]["resources"][0]["algorithm"] = json!(name);
        assert_eq!(read(&signed).is_ok(), is_known, "{name}");
    }
    signed["predicate"]["resources"][0]["algorithm"] = json!("blake2b");
    let told = read(&signed).unwrap_err().to_string();
    assert!(told.ends_with("the digest of `a:0:3` is malformed"), "{told}");
}

#[test]
fn blake3_is_read_where_it_is_built() {
    let mut signed = statement(&["a"], &files());
    signed["predicate"]["resources"][0]["algorithm"] = json!("blake3");
    let found = read(&signed);
    assert_eq!(found.is_ok(), cfg!(feature = "blake3"));
    if let Err(error) = found {
        assert!(
            error.to_string().ends_with("hashed with BLAKE3, which this build was made without"),
            "{error}"
        );
        assert_eq!(error.code(), provisioner_core::ErrorCode::SignatureUnsupported);
    }
}

#[test]
fn what_does_not_describe_a_model_is_refused() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut signed = statement(&["a"], &files());
        change(&mut signed);
        let told = read(&signed).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    };
    check(&|signed| signed["_type"] = json!("x"), "`x` is not the type of a statement");
    check(
        &|signed| signed["predicateType"] = json!("https://example.com/x"),
        "it says `https://example.com/x`, and not",
    );
    check(&|signed| signed["predicateType"] = json!(OLD_PREDICATE), "it is of release 0.2 of the tool");
    check(&|signed| signed["subject"] = json!([]), "it has 0 subjects");
    check(&|signed| signed["predicate"]["resources"] = json!([]), "it names no file");
    check(
        &|signed| signed["predicate"]["resources"][0]["digest"] = json!("ab"),
        "the digest of `a` is malformed",
    );
    check(&|signed| signed["predicate"]["serialization"]["method"] = json!("x"), "its files are told as `x`");
    for name in ["", "..", "/a", "a/../b", "a//b", "a\\b"] {
        check(
            &|signed| signed["predicate"]["resources"][0]["name"] = json!(name),
            "is not a path below the model",
        );
    }
    for path in [".", "./", "", "..", "a/.."] {
        check(
            &|signed| signed["predicate"]["serialization"]["ignore_paths"] = json!([path]),
            "which may be the whole model",
        );
    }
    let told = read(&statement(&["a", "a"], &files())).unwrap_err().to_string();
    assert!(told.ends_with("it names `a` twice"), "{told}");
    let twice =
        statement(&["a"], &files()).to_string().replacen(r#""digest":"#, r#""digest":"00","digest":"#, 1);
    let told = SignedFiles::from_json(twice.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("duplicate field"), "{told}");
}
