//! The suites notice implementations that break the contract.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{io, path::Path};

use provisioner_core::{
    Digest, Entry, Expectation, Format, Locator, Manifest, ManifestFile, Rejection, RelativePath, StagedFile,
    StagedModel, Stamp, Verdict, Verifier,
};
use testkit::conformance;

/// Stages a model of one file of some bytes.
fn staged(location: &Path) -> StagedModel {
    let bytes = fs_err::read(location).unwrap();
    let path: RelativePath = "a.bin".parse().unwrap();
    let (stamp, size) = (Stamp::of(&fs_err::metadata(location).unwrap()), bytes.len() as u64);
    let listed =
        ManifestFile { path: path.clone(), size, digest: None, locator: Locator::InPlace(location.into()) };
    let reference = format!("local:{}", location.display()).parse().unwrap();
    let manifest = Manifest::new(reference, vec![listed], Entry::File(path.clone())).unwrap();
    let sha256 = Some(Digest::sha256([7; 32]));
    let location = location.to_owned();
    let format = Format::Other;
    let file =
        StagedFile { path, location: location.into(), stamp, settled: true, format, sha256, git_sha1: None };
    StagedModel::new(manifest, vec![file]).unwrap()
}

/// Says how it judges the bytes of the only file, or that it cannot read them.
#[derive(Debug)]
struct Judge(Rule);

/// Judges the file at a path.
type Rule = fn(&Path) -> io::Result<Verdict>;

impl Verifier for Judge {
    fn name(&self) -> &'static str {
        "judge"
    }

    fn verify(&self, model: &StagedModel, _: &Expectation) -> io::Result<Verdict> {
        (self.0)(&model.files()[0].location)
    }
}

fn pass() -> Verdict {
    Verdict::Pass { basis: None, reason: "it is fine".to_owned() }
}

fn fail(reason: &str) -> Verdict {
    Verdict::Fail(Rejection::Unsound { verifier: "judge", reason: reason.to_owned() })
}

/// Whether the suite panics, for a model of these bytes.
fn is_refused(bytes: &[u8], judge: Rule) -> bool {
    let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let location = dir.path().join("a.bin");
    fs_err::write(&location, bytes).unwrap();
    let model = staged(&location);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        conformance::verifier(&Judge(judge), &model, scratch.path());
    }))
    .is_err()
}

#[test]
fn a_verifier_that_breaks_the_contract_is_noticed() {
    let judges: [(&str, bool, Rule); 6] =
        [
            ("it keeps the contract", false, |file| fs_err::read(file).map(|_| pass())),
            ("it fails a sound model", true, |_| Ok(fail("no"))),
            ("it fails what it cannot read", true, |file| {
                Ok(fs_err::read(file).map_or(fail("gone"), |_| pass()))
            }),
            ("it writes", true, |file| fs_err::write(file, "mine").map(|()| pass())),
            ("it panics on some bytes", true, |file| {
                let bytes = fs_err::read(file)?;
                assert!(bytes.len() > 2, "too short");
                Ok(pass())
            }),
            ("it panics at a large number", true, |file| {
                let bytes = fs_err::read(file)?;
                assert_ne!(bytes.last(), Some(&0xff), "too large");
                Ok(pass())
            }),
        ];
    for (what, refused, judge) in judges {
        assert_eq!(is_refused(b"some bytes", judge), refused, "{what}");
    }
    // A model of no bytes is judged too.
    assert!(!is_refused(b"", |file| fs_err::read(file).map(|_| pass())));
}
