use std::path::Path;

use super::*;
use crate::{
    code::{Category, ErrorCode},
    format::Format,
    manifest::{Entry, Locator, Manifest, ManifestFile},
    path::RelativePath,
    reference::ModelRef,
    staged::StagedFile,
    stamp::Stamp,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn digest(byte: u8) -> Digest {
    Digest::sha256([byte; 32])
}

/// Makes a model of files with a SHA-256 of one repeated byte; zero means that no process has hashed the file.
fn model(files: &[(&str, u8)], source: Option<u8>) -> StagedModel {
    let reference: ModelRef = "local:/m".parse().unwrap();
    let path = |name: &str| RelativePath::new(name).unwrap();
    let listed = files.iter().map(|(name, _)| ManifestFile {
        path: path(name),
        size: 1,
        digest: source.map(digest),
        locator: Locator::InPlace(Path::new("/m").join(name).into()),
    });
    let entry = if files.len() == 1 { Entry::File(path(files[0].0)) } else { Entry::Folder };
    let manifest = Manifest::new(reference, listed.collect(), entry).unwrap();
    let staged = files.iter().map(|(name, byte)| StagedFile {
        path: path(name),
        location: Path::new("/m").join(name).into(),
        stamp: Stamp { size: 1, mtime_ns: 0, ctime_ns: None, dev: 0, inode: 0 },
        settled: true,
        format: Format::Other,
        sha256: (*byte != 0).then(|| digest(*byte)),
        git_sha1: (*byte != 0).then(|| Digest::git_sha1([*byte; 20])),
    });
    StagedModel::new(manifest, staged.collect()).unwrap()
}

fn verdict(model: StagedModel, expectation: &Expectation) -> Result<(Outcome, Option<Basis>), ErrorCode> {
    match model.judge(expectation, &[], NOW) {
        Ok(verified) => Ok((verified.verification().outcome, verified.verification().basis)),
        Err(error) => Err(error.code()),
    }
}

#[test]
fn table_of_verdicts() {
    let (none, pinned) = (Expectation::none(), Expectation::pinned);
    let one = |byte| model(&[("a", byte)], None);
    let strict = none.clone().strict(true);
    assert_eq!(verdict(one(0), &none), Ok((Outcome::Warn, None)));
    assert_eq!(verdict(one(1), &none), Ok((Outcome::Pass, Some(Basis::FirstUse))));
    assert_eq!(verdict(one(1), &strict), Err(ErrorCode::Unproven));
    assert_eq!(verdict(one(0), &strict), Err(ErrorCode::Unproven));
    assert_eq!(verdict(one(1), &pinned(digest(1)).strict(true)), Ok((Outcome::Pass, Some(Basis::Pinned))));
    assert_eq!(verdict(one(1), &pinned(digest(2))), Err(ErrorCode::DigestMismatch));
    assert_eq!(verdict(one(0), &pinned(digest(1))), Err(ErrorCode::Unproven));
    assert_eq!(verdict(one(1), &pinned(Digest::git_sha1([1; 20]))), Ok((Outcome::Pass, Some(Basis::Pinned))));
    assert_eq!(verdict(one(1), &pinned(Digest::git_sha1([2; 20]))), Err(ErrorCode::DigestMismatch));
    let first_use = Expectation::known(digest(1), Basis::FirstUse);
    assert_eq!(verdict(one(1), &first_use), Ok((Outcome::Pass, Some(Basis::FirstUse))));
    assert_eq!(verdict(one(1), &first_use.strict(true)), Err(ErrorCode::Unproven));
}

#[test]
fn what_the_source_says_counts() {
    let listed = |source, byte| model(&[("a", byte)], Some(source));
    let strict = Expectation::none().strict(true);
    assert_eq!(verdict(listed(1, 1), &strict), Ok((Outcome::Pass, Some(Basis::Source))));
    assert_eq!(verdict(listed(2, 1), &Expectation::none()), Err(ErrorCode::DigestMismatch));
    assert_eq!(verdict(listed(2, 1), &Expectation::pinned(digest(1))), Err(ErrorCode::DigestMismatch));
    assert_eq!(verdict(listed(1, 0), &Expectation::none()), Err(ErrorCode::Unproven));
}

#[test]
fn a_set_has_a_tree() {
    let set = || model(&[("a", 1), ("b", 2)], None);
    let tree = set().tree().unwrap();
    assert_eq!(verdict(set(), &Expectation::pinned(tree.clone())), Ok((Outcome::Pass, Some(Basis::Pinned))));
    let error = set().judge(&Expectation::pinned(digest(1)), &[], NOW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DigestNeedsOneFile);
    assert!(error.to_string().contains(&tree.to_string()) && error.to_string().contains("  b"), "{error}");
}

#[derive(Debug)]
struct Says(Verdict);

impl Verifier for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> io::Result<Verdict> {
        Ok(self.0.clone())
    }
}

/// Is a verifier that cannot open what it is to read.
#[derive(Debug)]
struct Blind(i32);

impl Verifier for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }

    fn verify(&self, _: &StagedModel, _: &Expectation) -> io::Result<Verdict> {
        Err(io::Error::from_raw_os_error(self.0))
    }
}

#[test]
fn what_cannot_be_read_is_not_judged() {
    // EIO, ENOMEM, EACCES, EMFILE, ENOSPC, by their numbers in Linux.
    for number in [5, 12, 13, 24, 28] {
        let judged = model(&[("a", 1)], None).judge(&Expectation::none(), &[Arc::new(Blind(number))], NOW);
        let error = judged.unwrap_err();
        assert!(matches!(error, Error::Unread { verifier: "blind", .. }), "{error:?}");
        assert_eq!(error.code().category(), Category::Storage, "{number}: {error}");
    }
}

#[test]
fn other_verifiers_are_heard() {
    let check = |verdict: Verdict, expectation: Expectation| {
        let judged = model(&[("a", 1)], None).judge(&expectation, &[Arc::new(Says(verdict))], NOW);
        judged.map(|verified| verified.verification().outcome).map_err(|error| error.code())
    };
    let warn = || Verdict::Warn { reason: "odd".into() };
    let fail = Verdict::Fail(Rejection::Unsound { verifier: "says", reason: "cut short".into() });
    let signed = Verdict::Pass { basis: Some(Basis::Signed), reason: "signed".into() };
    assert_eq!(check(warn(), Expectation::none()), Ok(Outcome::Warn));
    assert_eq!(check(warn(), Expectation::pinned(digest(1)).strict(true)), Err(ErrorCode::Rejected));
    assert_eq!(check(fail, Expectation::none()), Err(ErrorCode::Rejected));
    assert_eq!(check(signed, Expectation::none().strict(true)), Ok(Outcome::Pass));
}
