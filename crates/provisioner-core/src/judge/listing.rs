//! Judges a source's listing, before a byte of the model is fetched.

use crate::rejection::Rejection;
use crate::{
    digest::{Digest, DigestAlgorithm, sha256_tree},
    error::{Error, Result},
    manifest::{Manifest, ManifestFile},
    path::RelativePath,
    verification::Expectation,
};

impl Manifest {
    /// Checks a source's listing against an expectation, before a byte is fetched: it may list another digest than the caller
    /// demands, or several files where the caller demands the digest of one.
    ///
    /// The check says nothing of files that lie on this machine, nor of digests of another algorithm. The verdict on the
    /// bytes remains that of [`StagedModel::judge`](crate::StagedModel::judge).
    ///
    /// # Errors
    /// [`Error::Rejected`], with both digests or with the table of the files.
    pub fn check(&self, expectation: &Expectation) -> Result<()> {
        let Some((expected, basis)) = expectation.digest().filter(|_| !self.is_in_place()) else {
            return Ok(());
        };
        let rejection = match self.listed(expected.algorithm()) {
            Err(rejection) => rejection,
            Ok(Some(listed)) if listed != *expected => {
                Rejection::Contradicted { expected: expected.clone(), listed, basis }
            }
            Ok(_) => return Ok(()),
        };
        Err(Error::Rejected { id: self.reference().id(), rejection })
    }

    /// Returns the model's digest as the source lists it. `None` where the source lists none of that algorithm.
    fn listed(&self, algorithm: DigestAlgorithm) -> Result<Option<Digest>, Rejection> {
        let of = |file: &ManifestFile, algorithm| {
            file.digest.clone().filter(|digest| digest.algorithm() == algorithm)
        };
        let files = || {
            let sha256 = |file| of(file, DigestAlgorithm::Sha256);
            self.files().iter().map(move |file| (sha256(file), file.path.clone())).collect::<Vec<_>>()
        };
        let tree = |files: &[(Option<Digest>, RelativePath)]| {
            let all = files.iter().map(|(digest, path)| Some((path, digest.as_ref()?)));
            all.collect::<Option<Vec<_>>>().map(sha256_tree)
        };
        match (algorithm, self.known_by_one()) {
            (DigestAlgorithm::Sha256Tree, _) => Ok(tree(&files())),
            (algorithm, Some(only)) => Ok(of(only, algorithm)),
            (_, None) => {
                let files = files();
                Err(Rejection::NotOneFile { tree: tree(&files), files })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::ErrorCode,
        manifest::{Entry, Locator},
    };

    /// Returns what a listing of these files says against a demanded digest.
    fn said(files: &[(&str, Digest)], entry: Entry, demanded: &Digest) -> Option<Error> {
        let listed = files.iter().map(|(path, digest)| ManifestFile {
            path: path.parse().unwrap(),
            size: 1,
            digest: Some(digest.clone()),
            locator: Locator::Stored,
        });
        let manifest = Manifest::new("hf:o/r".parse().unwrap(), listed.collect(), entry).unwrap();
        manifest.check(&Expectation::pinned(demanded.clone())).err()
    }

    #[test]
    fn only_a_digest_of_the_same_algorithm_contradicts() {
        let (a, b) = (Digest::sha256([1; 32]), Digest::sha256([2; 32]));
        let (git, other) = (Digest::git_sha1([1; 20]), Digest::git_sha1([2; 20]));
        let code = |listed: &Digest, demanded: &Digest| {
            said(&[("m", listed.clone())], Entry::Folder, demanded).map(|error| error.code())
        };
        assert_eq!(code(&a, &a), None);
        assert_eq!(code(&a, &b), Some(ErrorCode::DigestMismatch));
        assert_eq!(code(&git, &other), Some(ErrorCode::DigestMismatch));
        assert_eq!((code(&git, &git), code(&git, &a), code(&a, &git)), (None, None, None));
    }

    #[test]
    fn a_set_is_told_of_and_not_at_any_length() {
        let (a, git) = (Digest::sha256([1; 32]), Digest::git_sha1([1; 20]));
        let tree = sha256_tree([(&"m".parse().unwrap(), &a), (&"n".parse().unwrap(), &a)]);
        let two = |second: &Digest| [("m", a.clone()), ("n", second.clone())];
        assert!(said(&two(&a), Entry::Folder, &tree).is_none());
        let message = |files: &[(&str, Digest)]| said(files, Entry::Folder, &a).unwrap().to_string();
        assert!(message(&two(&a)).contains(&format!("a set of 2, which has {tree}\n")));
        let mixed = message(&two(&git));
        assert!(
            mixed.contains("a set of 2\n") && mixed.contains("\n  (its SHA-256 is not listed) "),
            "{mixed}"
        );
        let many: Vec<_> = (0..1000).map(|number| format!("f{number}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), a.clone())).collect();
        assert!(message(&many).ends_with("\n  and 950 more"));
    }
}
