use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// Signs files in memory, as the reference implementation does.
fn signed(files: &[(&str, &[u8])], ignored: &[&str], piece: Option<usize>) -> SignedFiles {
    let (mut resources, mut all) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let step = piece.unwrap_or(usize::MAX).min(bytes.len().max(1));
        let pieces: Vec<_> = if bytes.is_empty() { vec![*bytes] } else { bytes.chunks(step).collect() };
        for (number, part) in pieces.into_iter().enumerate() {
            let digest = Sha256::digest(part);
            let begin = number * step;
            let name = if piece.is_some() {
                format!("{name}:{begin}:{}", begin + part.len())
            } else {
                (*name).to_owned()
            };
            resources.push(json!({ "name": name, "algorithm": "sha256", "digest": hex::encode(digest) }));
            all.extend(digest);
        }
    }
    let method = if piece.is_some() { "shards" } else { "files" };
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "m", "digest": { "sha256": hex::encode(Sha256::digest(&all)) } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": resources,
            "serialization": { "method": method, "ignore_paths": ignored, "shard_size": piece.map(|size| format!("{size}.0").parse::<f64>().unwrap()) }
        }
    });
    SignedFiles::from_json(statement.to_string().as_bytes()).unwrap()
}

/// Compares files in memory. `known` says whether their SHA-256 is known.
fn compare(signed: &SignedFiles, files: &[(&str, &[u8])], known: bool) -> io::Result<Comparison> {
    let digests: Vec<_> =
        files.iter().map(|(_, bytes)| Digest::sha256(Sha256::digest(bytes).into())).collect();
    let found: Vec<_> = files
        .iter()
        .zip(&digests)
        .map(|((path, bytes), digest)| FoundFile {
            path,
            size_bytes: bytes.len() as u64,
            sha256: known.then_some(digest),
        })
        .collect();
    let contents: BTreeMap<_, _> = files.iter().copied().collect();
    let mut read = |path: &str, take: &mut dyn FnMut(&[u8])| {
        // Bytes come in pieces that fit to nothing.
        contents[path].chunks(2).for_each(take);
        Ok(())
    };
    signed.compare(&found, Some(&mut read))
}

const MODEL: [(&str, &[u8]); 3] = [("a", b"hello"), ("sub/b", b"worldworld"), ("empty", b"")];

fn paths(list: &[&str]) -> Vec<String> {
    list.iter().map(|&path| path.to_owned()).collect()
}

#[test]
fn the_signed_files_are_the_same_in_every_way_of_telling_them() {
    for piece in [None, Some(1), Some(3), Some(5), Some(100)] {
        let signed = signed(&MODEL, &[], piece);
        for known in [true, false] {
            assert_eq!(compare(&signed, &MODEL, known).unwrap(), Comparison::default(), "{piece:?} {known}");
        }
    }
}

#[test]
fn every_difference_is_told_by_its_name() {
    for piece in [None, Some(3)] {
        let signed = signed(&MODEL, &[], piece);
        let check = |files: &[(&str, &[u8])], expected: Comparison| {
            assert_eq!(compare(&signed, files, true).unwrap(), expected, "{piece:?}");
        };
        let [a, b, empty] = MODEL;
        check(&[("a", b"hellp"), b, empty], Comparison { changed: paths(&["a"]), ..Comparison::default() });
        check(&[("a", b"hello!"), b, empty], Comparison { changed: paths(&["a"]), ..Comparison::default() });
        check(&[("a", b"hell"), b, empty], Comparison { changed: paths(&["a"]), ..Comparison::default() });
        check(
            &[a, ("sub/b", b"worldworlx"), empty],
            Comparison { changed: paths(&["sub/b"]), ..Comparison::default() },
        );
        check(&[a, b, empty, ("c", b"x")], Comparison { unsigned: paths(&["c"]), ..Comparison::default() });
        check(&[b, empty], Comparison { absent: paths(&["a"]), ..Comparison::default() });
        let renamed = if piece.is_none() { vec![("z".to_owned(), "a".to_owned())] } else { Vec::new() };
        let (unsigned, absent) = (paths(&["z"]), paths(&["a"]));
        check(
            &[("z", b"hello"), b, empty],
            Comparison { unsigned, absent, renamed, ..Comparison::default() },
        );
    }
}

#[test]
fn a_signer_leaves_out_exact_paths_and_what_lies_below_them() {
    let signed = signed(&[("a", b"x")], &["cache", "b.txt", "/etc"], None);
    let ignored = ["cache/x", "cache/y/z", "b.txt", ".git/HEAD", ".gitattributes"];
    let unsigned = ["cache2", "sub/cache/x", "sub/.git/x", "b.txt2", "etc"];
    let files: Vec<(&str, &[u8])> = ignored
        .iter()
        .chain(&unsigned)
        .map(|&path| (path, b"y".as_slice()))
        .chain([("a", b"x".as_slice())])
        .collect();
    let found = compare(&signed, &files, true).unwrap();
    let sorted = |list: &[&str]| {
        let mut list = paths(list);
        list.sort();
        list
    };
    assert_eq!((found.ignored, found.unsigned), (sorted(&ignored), sorted(&unsigned)));
}

#[test]
fn a_file_that_was_signed_alone_may_have_any_name() {
    for piece in [None, Some(2)] {
        let signed = signed(&[(".", b"hello")], &[], piece);
        assert_eq!(compare(&signed, &[("x.gguf", b"hello")], true).unwrap(), Comparison::default());
        let changed = compare(&signed, &[("x.gguf", b"hellp")], true).unwrap();
        assert_eq!(changed, Comparison { changed: paths(&["x.gguf"]), ..Comparison::default() });
    }
    let signed = signed(&[(".", b"hello")], &[], None);
    let found = compare(&signed, &[("a", b"z"), ("x.gguf", b"hello")], true).unwrap();
    assert_eq!(found, Comparison { unsigned: paths(&["a"]), ..Comparison::default() });
}

#[test]
fn a_file_without_a_byte_has_no_pieces() {
    // The reference implementation names no such file where it tells files by their pieces.
    let signed = signed(&MODEL[..2], &[], Some(3));
    assert_eq!(compare(&signed, &MODEL, true).unwrap(), Comparison::default());
    let filled = [MODEL[0], MODEL[1], ("empty", b"x")];
    assert_eq!(compare(&signed, &filled, true).unwrap().unsigned, ["empty"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_judged() {
    let signed = signed(&[("a", b"hello")], &[], Some(3));
    let digest = Digest::sha256(Sha256::digest(b"other").into());
    let found = [FoundFile { path: "a", size_bytes: 5, sha256: Some(&digest) }];
    let mut read = |_: &str, take: &mut dyn FnMut(&[u8])| {
        take(b"hello");
        Ok(())
    };
    let error = signed.compare(&found, Some(&mut read)).unwrap_err();
    assert!(error.to_string().starts_with("another process changed `a`"), "{error}");
    // Without its bytes, nothing is said against it but by its size.
    assert_eq!(signed.compare(&found, None).unwrap(), Comparison::default());
    let longer = [FoundFile { size_bytes: 6, ..found[0] }];
    assert_eq!(signed.compare(&longer, None).unwrap().changed, ["a"]);
}
