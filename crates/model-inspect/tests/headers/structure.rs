//! The verdict, on models as the provisioner judges them.

use std::{path::Path, sync::Arc};

use model_inspect::{StructureVerifier, safetensors::Header};
use provisioner_core::{
    Basis, Digest, DigestVerifier, Entry, ErrorCode, Expectation, Locator, Manifest, ManifestFile, ModelRef,
    Outcome, StagedFile, StagedModel, Stamp, Timestamp, Verification, Verifier,
};
use testkit::{FakeModel, conformance};

/// The files of a folder, as one model; the only file is its entry.
fn staged(folder: &Path) -> StagedModel {
    let mut names: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let reference: ModelRef = format!("local:{}", folder.display()).parse().unwrap();
    let relative = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let listed = names.iter().map(|location| ManifestFile {
        path: relative(location),
        size: fs_err::metadata(location).unwrap().len(),
        digest: None,
        locator: Locator::InPlace(location.as_path().into()),
    });
    let entry = if names.len() == 1 { Entry::File(relative(&names[0])) } else { Entry::Folder };
    let manifest = Manifest::new(reference, listed.collect(), entry).unwrap();
    let files = names.iter().map(|location| {
        let bytes = fs_err::read(location).unwrap();
        StagedFile {
            path: relative(location),
            location: location.as_path().into(),
            stamp: Stamp::of(&fs_err::metadata(location).unwrap()),
            settled: true,
            format: model_inspect::format_of(
                location.file_name().unwrap().to_str().unwrap(),
                &mut bytes.as_slice(),
            )
            .unwrap(),
            sha256: Some(Digest::sha256([7; 32])),
            git_sha1: None,
        }
    });
    StagedModel::new(manifest, files.collect()).unwrap()
}

fn judge(folder: &Path, expectation: &Expectation) -> Result<Verification, (ErrorCode, String)> {
    let verifiers: [Arc<dyn Verifier>; 1] = [Arc::new(StructureVerifier)];
    match staged(folder).judge(expectation, &verifiers, Timestamp::UNIX_EPOCH) {
        Ok(verified) => Ok(verified.verification().clone()),
        Err(error) => Err((error.code(), error.to_string())),
    }
}

/// The verdict on one file.
fn of_file(name: &str, bytes: &[u8], expectation: &Expectation) -> Result<Verification, (ErrorCode, String)> {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join(name), bytes).unwrap();
    judge(dir.path(), expectation)
}

#[test]
fn keeps_the_contract() {
    let models: [&[(&str, Vec<u8>)]; 3] = [
        &[("x.gguf", FakeModel::gguf().to_bytes())],
        &[("model.safetensors", testkit::safetensors_of(8, 1)), ("config.json", b"{}".to_vec())],
        // A model without a header is too small for every cut, and the verifier warns of it.
        &[("notes.txt", Vec::new())],
    ];
    for files in models {
        let (model, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs_err::write(model.path().join(name), bytes).unwrap();
        }
        conformance::verifier(&StructureVerifier, &staged(model.path()), scratch.path());
        conformance::verifier(&DigestVerifier, &staged(model.path()), scratch.path());
    }
}

#[test]
fn a_sound_model_passes() {
    let found = of_file("x.gguf", &FakeModel::gguf().to_bytes(), &Expectation::none()).unwrap();
    assert_eq!((found.outcome, found.basis), (Outcome::Pass, Some(Basis::FirstUse)));
    assert_eq!(found.reason, "hashed for the first time; its structure is sound (gguf)");
    let dir = tempfile::tempdir().unwrap();
    FakeModel::gguf().shards(3).write_to(dir.path(), "x").unwrap();
    assert_eq!(judge(dir.path(), &Expectation::none()).unwrap().outcome, Outcome::Pass);
}

#[test]
fn an_unsound_model_fails_whatever_its_digest() {
    let pinned = Expectation::pinned(Digest::sha256([7; 32])).strict(true);
    let whole = FakeModel::gguf().to_bytes();
    let check = |name: &str, bytes: &[u8], says: &str| {
        for expectation in [&Expectation::none(), &pinned] {
            let (code, message) = of_file(name, bytes, expectation).unwrap_err();
            assert_eq!(code, ErrorCode::Rejected, "{message}");
            assert!(message.contains("structure: `x.") && message.contains(says), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    };
    check("x.gguf", whole.get(..whole.len() - 100).unwrap(), "truncated");
    check("x.gguf", b"GGUF", "truncated");
    check("x.gguf", b"# a readme", "is no GGUF");
    check("x.GGUF", b"<html>", "is no GGUF");
    check("x.safetensors", b"<html>404 not found</html>", "100000000 are the most");
    check("x.bin", whole.get(..1000).unwrap(), "truncated");
}

#[test]
fn one_bad_file_among_many_fails_them_all() {
    let dir = tempfile::tempdir().unwrap();
    FakeModel::gguf().write_to(dir.path(), "good").unwrap();
    fs_err::write(dir.path().join("bad.gguf"), b"GGUF\x03\0\0\0").unwrap();
    let (code, message) = judge(dir.path(), &Expectation::none()).unwrap_err();
    assert_eq!(code, ErrorCode::Rejected);
    assert!(message.contains("`bad.gguf`: truncated"), "{message}");
}

#[test]
fn a_missing_shard_fails() {
    let dir = tempfile::tempdir().unwrap();
    let shards = FakeModel::gguf().shards(3).write_to(dir.path(), "x").unwrap();
    fs_err::remove_file(&shards[1]).unwrap();
    let (code, message) = judge(dir.path(), &Expectation::none()).unwrap_err();
    assert_eq!(code, ErrorCode::MissingShard);
    assert!(message.contains("`x-00002-of-00003.gguf`: missing shard, of 3"), "{message}");
    // So is one that only an index names.
    let index = br#"{"weight_map":{"a":"b.safetensors"}}"#;
    let (code, message) = of_file("model.safetensors.index.json", index, &Expectation::none()).unwrap_err();
    assert_eq!(code, ErrorCode::MissingShard);
    assert!(message.contains("names `b.safetensors`, which is not there"), "{message}");
}

#[test]
fn what_is_no_model_warns_unless_it_is_vouched_for() {
    let check = |expectation: &Expectation| of_file("README.md", b"# Read me", expectation);
    let found = check(&Expectation::none()).unwrap();
    assert_eq!(found.outcome, Outcome::Warn);
    assert!(found.reason.contains("no GGUF or safetensors file"), "{}", found.reason);
    let digest = Digest::sha256([7; 32]);
    let first_use = Expectation::known(digest.clone(), Basis::FirstUse);
    assert_eq!(check(&first_use).unwrap().outcome, Outcome::Warn);
    for vouched in [Expectation::pinned(digest.clone()), Expectation::pinned(digest).strict(true)] {
        assert_eq!(check(&vouched).unwrap().outcome, Outcome::Pass);
    }
    // A text may begin with the word.
    let text = of_file("README.md", b"GGUF files of a model, in several quantizations", &Expectation::none());
    assert_eq!(text.unwrap().outcome, Outcome::Warn);
    // Strictness is still the digest's to satisfy.
    assert_eq!(check(&Expectation::none().strict(true)).unwrap_err().0, ErrorCode::Unproven);
}

/// A pointer of Git LFS to a file.
const POINTER: &[u8] =
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn a_pointer_in_the_place_of_a_file_that_engines_read_fails() {
    let sound = || {
        let dir = tempfile::tempdir().unwrap();
        FakeModel::gguf().write_to(dir.path(), "x").unwrap();
        dir
    };
    for name in
        ["tokenizer.json", "tokenizer.model", "config.json", "vocab.txt", "x.onnx", "y.GGUF", "y.safetensors"]
    {
        let dir = sound();
        fs_err::write(dir.path().join(name), POINTER).unwrap();
        let (code, message) = judge(dir.path(), &Expectation::none()).unwrap_err();
        assert_eq!(code, ErrorCode::Rejected);
        assert!(message.contains(&format!("`{name}`: is the pointer of Git LFS to a file")), "{message}");
        let error = staged(dir.path())
            .judge(
                &Expectation::none(),
                &[Arc::new(StructureVerifier) as Arc<dyn Verifier>],
                Timestamp::UNIX_EPOCH,
            )
            .unwrap_err();
        assert!(error.hint().unwrap().to_string().contains("git lfs pull"), "{error:?}");
    }
    // No engine stops at a pointer in the place of these.
    let dir = sound();
    for name in ["README.md", "logo.png"] {
        fs_err::write(dir.path().join(name), POINTER).unwrap();
    }
    let found = judge(dir.path(), &Expectation::none()).unwrap();
    assert_eq!(found.outcome, Outcome::Warn);
    assert!(found.reason.contains("`README.md` and 1 more are pointers of Git LFS"), "{}", found.reason);
    // Nor is a text that tells of pointers one.
    let long = [POINTER, &[b'x'; 1024]].concat();
    for text in [long.as_slice(), b"version https://git-lfs.github.com"] {
        let dir = sound();
        fs_err::write(dir.path().join("notes.json"), text).unwrap();
        assert_eq!(judge(dir.path(), &Expectation::none()).unwrap().outcome, Outcome::Pass);
    }
}

#[test]
fn an_index_that_differs_in_what_engines_pass_over_warns_unless_the_model_is_vouched_for() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.safetensors"), testkit::safetensors_of(8, 1)).unwrap();
    let tensor = Header::read(&mut testkit::safetensors_of(8, 1).as_slice()).unwrap().names().remove(0);
    let index = format!(r#"{{"weight_map":{{"{tensor}":"a.safetensors","mtp.fc.weight":"a.safetensors"}}}}"#);
    fs_err::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    let found = judge(dir.path(), &Expectation::none()).unwrap();
    assert_eq!(found.outcome, Outcome::Warn);
    assert!(found.reason.contains("`mtp.fc.weight` of `a.safetensors`"), "{}", found.reason);
    let digest = staged(dir.path()).digest().unwrap();
    for vouched in [Expectation::pinned(digest.clone()), Expectation::pinned(digest).strict(true)] {
        let found = judge(dir.path(), &vouched).unwrap();
        assert_eq!(found.outcome, Outcome::Pass);
        assert!(found.reason.contains("mtp.fc.weight"), "{}", found.reason);
    }
}

#[test]
fn a_changed_bit_in_the_weights_goes_unseen() {
    let mut bytes = FakeModel::gguf().to_bytes();
    let at = bytes.len() - 500;
    bytes[at] ^= 1;
    assert_eq!(of_file("x.gguf", &bytes, &Expectation::none()).unwrap().outcome, Outcome::Pass);
}
