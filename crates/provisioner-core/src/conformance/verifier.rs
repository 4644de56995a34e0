//! Checks the contract of `Verifier`.

#![expect(
    clippy::disallowed_methods,
    reason = "the crate has no files of its own, and thus no need of `fs_err`"
)]

use std::{fs, mem::discriminant, path::Path};

use crate::{
    digest::Digest,
    judge::{Verdict, Verifier},
    manifest::Manifest,
    staged::{StagedFile, StagedModel},
    stamp::Stamp,
    verification::Expectation,
};

/// The lengths, in bytes, at which the suite cuts a file: in the middle of a magic number, of a length, and of what follows.
const CUTS: [usize; 9] = [0, 1, 3, 4, 7, 8, 15, 16, 63];

/// Runs the whole suite against a verifier. `sound` is a model that it does not fail. `scratch` is an empty folder, in which
/// the suite writes broken copies of that model's files.
///
/// The suite takes a model of any size, also one of empty files. It cuts files of at least 64 bytes at more places.
///
/// # Panics
/// Panics where the verifier breaks the contract, and where the suite cannot write to the folder.
pub fn verifier(verifier: &dyn Verifier, sound: &StagedModel, scratch: &Path) {
    let name = verifier.name();
    assert!(!name.trim().is_empty() && !name.contains('\n'), "a verifier has a name of one line");
    says_the_same_twice(verifier, sound);
    changes_nothing(verifier, sound);
    takes_any_bytes(verifier, sound, scratch);
    fails_nothing_that_it_cannot_read(verifier, sound, scratch);
}

fn says_the_same_twice(verifier: &dyn Verifier, sound: &StagedModel) {
    let verdict = verifier.verify(sound, &Expectation::none()).expect("the model can be read");
    assert!(!matches!(verdict, Verdict::Fail(_)), "`sound` is a model that it does not fail: {verdict:?}");
    let finding = verifier.examine(sound, &Expectation::none()).expect("the model can be read");
    assert_eq!(discriminant(&verdict), discriminant(&finding.verdict), "`verify` and `examine` agree");
    let again = verifier.examine(sound, &Expectation::none()).expect("the model can be read");
    assert_eq!(format!("{finding:?}"), format!("{again:?}"), "the same bytes have the same verdict");
}

fn changes_nothing(verifier: &dyn Verifier, sound: &StagedModel) {
    let stamps = || -> Vec<_> {
        let files = sound.files().iter();
        files.map(|file| (Stamp::of(&fs::metadata(&file.location).unwrap()), hash(&file.location))).collect()
    };
    let before = stamps();
    verifier.examine(sound, &Expectation::none()).expect("the model can be read");
    assert_eq!(stamps(), before, "a verifier changes no file");
}

fn hash(path: &Path) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(fs::read(path).unwrap()).to_vec()
}

/// Gives the verifier any bytes: it judges them, or says that it cannot read them. A panic ends the suite.
fn takes_any_bytes(verifier: &dyn Verifier, sound: &StagedModel, scratch: &Path) {
    let all: Vec<_> = sound.files().iter().map(|file| fs::read(&file.location).unwrap()).collect();
    for (broken, bytes) in all.iter().enumerate() {
        for cut in CUTS.into_iter().chain([bytes.len().saturating_sub(1)]).filter(|cut| *cut <= bytes.len()) {
            let with = |kept: Vec<u8>| {
                let mut files = all.clone();
                files[broken] = kept;
                let _ = verifier.examine(&staged(sound, &files, scratch), &Expectation::none());
            };
            with(bytes[..cut].to_vec());
            with([&bytes[..cut], [0xff; 64].as_slice()].concat());
            with(
                [
                    &bytes[..cut],
                    &[bytes.get(cut).map_or(0, |byte| !byte)],
                    bytes.get(cut + 1..).unwrap_or(&[]),
                ]
                .concat(),
            );
        }
    }
}

fn fails_nothing_that_it_cannot_read(verifier: &dyn Verifier, sound: &StagedModel, scratch: &Path) {
    let all: Vec<_> = sound.files().iter().map(|file| fs::read(&file.location).unwrap()).collect();
    for absent in 0..all.len() {
        let model = staged(sound, &all, scratch);
        fs::remove_file(&model.files()[absent].location).unwrap();
        let said = verifier.examine(&model, &Expectation::none());
        let is_failed = said.is_ok_and(|finding| matches!(finding.verdict, Verdict::Fail(_)));
        assert!(!is_failed, "a file that cannot be read is an error, and never a verdict against the model");
    }
}

/// Writes the files of a model with other bytes into a folder, under their names, and stages them.
fn staged(sound: &StagedModel, all: &[Vec<u8>], scratch: &Path) -> StagedModel {
    let (mut listed, mut files) = (sound.manifest().files().to_vec(), Vec::new());
    for ((file, bytes), entry) in sound.files().iter().zip(all).zip(&mut listed) {
        let location = scratch.join(file.path.as_str());
        fs::create_dir_all(location.parent().unwrap()).unwrap();
        fs::write(&location, bytes).unwrap();
        (entry.size, entry.digest) = (bytes.len() as u64, None);
        let stamp = Stamp::of(&fs::metadata(&location).unwrap());
        let sha256 = <[u8; 32]>::try_from(hash(&location)).ok().map(Digest::sha256);
        files.push(StagedFile {
            path: file.path.clone(),
            location: location.into(),
            stamp,
            settled: true,
            format: file.format,
            sha256,
            git_sha1: None,
        });
    }
    let manifest = sound.manifest();
    let manifest = Manifest::new(manifest.reference().clone(), listed, manifest.entry().clone())
        .unwrap()
        .with_projector(manifest.projector().cloned());
    StagedModel::new(manifest, files).unwrap()
}
