//! Judges a staged model by the signatures that were found with it.

use std::{fmt, io};

use provisioner_core::{Expectation, Finding, StagedModel, Verdict, Verifier};

/// Verifies the signatures that the expectation demands. The digests of most signers are those that staging has computed; for the
/// others, the verifier reads the files once more.
pub(super) struct SignatureVerifier {
    #[cfg_attr(not(feature = "signing"), expect(dead_code, reason = "that build reads no file"))]
    is_cancelled: Box<dyn Fn() -> bool + Send + Sync>,
}

impl SignatureVerifier {
    /// Makes the verifier of one judgement. It stops reading where `is_cancelled` says so.
    pub(super) fn new(is_cancelled: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { is_cancelled: Box::new(is_cancelled) }
    }
}

impl fmt::Debug for SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureVerifier")
    }
}

impl Verifier for SignatureVerifier {
    fn name(&self) -> &'static str {
        "signature"
    }

    fn verify(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Verdict> {
        Ok(self.examine(model, expectation)?.verdict)
    }

    #[cfg(feature = "signing")]
    fn examine(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Finding> {
        with_keys::examine(model, expectation, &self.is_cancelled)
    }

    #[cfg(not(feature = "signing"))]
    fn examine(&self, _: &StagedModel, expectation: &Expectation) -> io::Result<Finding> {
        Ok(match crate::resolve::signature_rules::unsupported(expectation) {
            Some(rejection) => Verdict::Fail(rejection).into(),
            None => Verdict::Pass { basis: None, reason: "no signature was looked at".to_owned() }.into(),
        })
    }
}

#[cfg(feature = "signing")]
mod with_keys {
    use std::{
        collections::BTreeMap,
        io::{self, Read},
        path::Path,
        sync::Arc,
    };

    use model_signing::FoundFile;
    use provisioner_core::{Basis, Digest, Entry, Expectation, Finding, ModelRef, StagedModel, Verdict};

    use crate::resolve::signed::{Subject, hold};

    /// How much of a file is read at once, in bytes.
    const PIECE_BYTES: usize = 1 << 20;

    pub(super) fn examine(
        model: &StagedModel,
        expectation: &Expectation,
        is_cancelled: &dyn Fn() -> bool,
    ) -> io::Result<Finding> {
        let files = files(model)?;
        let found: Vec<_> = files
            .iter()
            .map(|(path, file)| FoundFile { path, size_bytes: file.size_bytes, sha256: file.sha256.as_ref() })
            .collect();
        let mut read = |path: &str, take: &mut dyn FnMut(&[u8])| match files.get(path) {
            Some(file) => read(file, is_cancelled, take),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let subject = Subject { manifest: model.manifest(), files: &found, is_here: true };
        let (mut basis, mut reasons) = (None, Vec::new());
        let (mut signatures, mut notices) = (Vec::new(), Vec::new());
        for demand in expectation.signatures() {
            match hold(demand, &subject, Some(&mut read))? {
                Ok(held) => {
                    basis = Some(Basis::Signed);
                    reasons.push(held.reason);
                    signatures.push(held.signature);
                    notices.extend(held.notices);
                }
                Err(fault) if demand.is_enforced() => {
                    return Ok(Verdict::Fail(fault.rejection(demand)).into());
                }
                Err(fault) => {
                    tracing::warn!("`{}`: {}", model.manifest().reference(), fault.reason);
                    reasons.push(fault.reason);
                }
            }
        }
        notices.dedup();
        let verdict = Verdict::Pass { basis, reason: reasons.join("; ") };
        Ok(Finding { signatures, notices, ..verdict.into() })
    }

    /// Describes a file that the verifier may read.
    struct File {
        location: Arc<Path>,
        size_bytes: u64,
        sha256: Option<Digest>,
    }

    /// Returns the files that a signature has to cover: those of the model, and in a local folder every other one too, for an
    /// engine that is handed the folder may load it.
    fn files(model: &StagedModel) -> io::Result<BTreeMap<String, File>> {
        let mut files = BTreeMap::new();
        if let (ModelRef::Local(local), Entry::Folder) =
            (model.manifest().reference(), model.manifest().entry())
        {
            let names = fetch_file::all_folder_names(local.path()).map_err(io::Error::other)?;
            for (path, size_bytes) in names {
                let location = local.path().join(&path).into();
                files.insert(path.to_string(), File { location, size_bytes, sha256: None });
            }
        }
        for file in model.files() {
            let (location, size_bytes, sha256) =
                (file.location.clone(), file.stamp.size, file.sha256.clone());
            files.insert(file.path.to_string(), File { location, size_bytes, sha256 });
        }
        Ok(files)
    }

    fn read(file: &File, is_cancelled: &dyn Fn() -> bool, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut opened = fs_err::File::open(&*file.location)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if is_cancelled() {
                return Err(io::Error::other("the caller no longer waits for it"));
            }
            match opened.read(&mut piece)? {
                0 => return Ok(()),
                read => take(piece.get(..read).unwrap_or_default()),
            }
        }
    }
}
