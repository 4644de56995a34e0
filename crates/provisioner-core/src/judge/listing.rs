//! What a source's listing alone says of a model, before a byte of it is fetched.

use super::Rejection;
use crate::{
    Digest, DigestAlgorithm, Error, Expectation, Manifest, ManifestFile, RelativePath, Result, sha256_tree,
};

impl Manifest {
    /// What a source's listing alone says against a model, before a byte of it is fetched: another digest than is demanded, or
    /// several files where the digest is of one. It says nothing of files that lie on this machine, nor where it lists
    /// digests of another algorithm; the verdict on the bytes is [`StagedModel::judge`]'s all the same.
    ///
    /// # Errors
    /// [`Error::Rejected`].
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

    /// The model's digest as the source lists it, where it lists one of that algorithm.
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
