//! Judges a model's structure.

use std::io;

use provisioner_core::{
    Basis, Entry, Expectation, Finding, Format, Manifest, ModelRef, Rejection, RelativePath, StagedModel,
    Verdict, Verifier,
    reference::{RepoRef, RepoTarget},
};

use crate::{Error, Inspection, LocalFiles, inspect_model};

/// Fails a model whose files of weights are not what they say: another magic, a version that is not read, tensors past
/// the end of the file or in each other, shards that are missing or of another model, an index that does not fit.
///
/// It reads headers alone. It does not see a changed bit in the weights: the digest verifier does.
///
/// It judges every file of weights, also one in a sub-folder or beside the others, for an engine chooses which of them it loads.
/// It judges `config.json` and `tokenizer_config.json` too, without which no engine loads a model. For a `generation_config.json` that
/// cannot be read it adds a note, as engines go on without it. It judges no other file. A model without any file of weights gets a
/// warning, for it may not be a model. It passes where the caller gave its digest or asked for strict verification, for this verifier
/// neither weakens nor refuses what the caller named. It warns in the same way of an index and shards that differ in what engines pass
/// over, and of pointers of Git LFS in the place of files that no engine reads; a pointer in the place of any other file fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct StructureVerifier;

impl Verifier for StructureVerifier {
    fn name(&self) -> &'static str {
        "structure"
    }

    fn verify(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Verdict> {
        Ok(self.examine(model, expectation)?.verdict)
    }

    fn examine(&self, model: &StagedModel, expectation: &Expectation) -> io::Result<Finding> {
        match inspect_model(&LocalFiles::staged(model)) {
            Ok(found) => {
                let rejection = self.companion(model.manifest(), &found);
                let verdict = rejection.map_or_else(|| verdict(&found, expectation), Verdict::Fail);
                Ok(Finding { facts: Some(found.details.facts), ..verdict.into() })
            }
            // The error names the file already.
            Err(Error::Io { source, .. }) => Err(source),
            Err(error) => {
                let is_local = model.manifest().reference().is_local();
                Ok(Verdict::Fail(self.rejection(&error, is_local)).into())
            }
        }
    }
}

impl StructureVerifier {
    /// Tells a file that is absent from one that contradicts, as the sources do, which look for shards too.
    fn rejection(self, error: &Error, is_local: bool) -> Rejection {
        let (verifier, reason) = (self.name(), one_line(error));
        match error {
            Error::Incomplete { .. } => Rejection::Incomplete { verifier, reason },
            Error::Index { .. } => Rejection::Index { verifier, reason },
            Error::Pointer { .. } => Rejection::Pointer { verifier, reason, is_local },
            _ => Rejection::Unsound { verifier, reason },
        }
    }
}

impl StructureVerifier {
    /// Rejects a companion of a model that an engine would be given as the model: the reference does not name it in full.
    fn companion(self, manifest: &Manifest, found: &Inspection) -> Option<Rejection> {
        let (path, role) = found.companion.as_ref().filter(|_| !names_its_files(manifest))?;
        let others = manifest.files().iter().filter(|file| file.path != *path);
        if others.map(|file| file.path.file_name()).any(has_other_weights) {
            return None;
        }
        let reason = format!(
            "`{}` is no model by its header, and has the role `{}`",
            path.as_str().escape_debug(),
            role.as_str()
        );
        Some(Rejection::Companion { verifier: self.name(), reason, full_name: full_name(manifest, path) })
    }
}

/// Endings of weights in formats that are not read here.
const OTHER_WEIGHTS: [&str; 11] =
    ["bin", "ckpt", "ggml", "h5", "litertlm", "msgpack", "nemo", "onnx", "pt", "pth", "tflite"];

fn has_other_weights(file_name: &str) -> bool {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| OTHER_WEIGHTS.contains(&ending.as_str()))
}

/// Returns whether a reference names its files: by a path of a file, by patterns, or in the grammar of a source without repositories.
fn names_its_files(manifest: &Manifest) -> bool {
    let is_file = matches!(manifest.entry(), Entry::File(_));
    match manifest.reference().repository().map(RepoRef::target) {
        Some(RepoTarget::Path(_)) => is_file,
        Some(RepoTarget::Repository(selection)) => !selection.is_empty(),
        Some(_) => false,
        None => is_file || !manifest.reference().is_local(),
    }
}

/// Returns the reference that names one file of a model in full.
fn full_name(manifest: &Manifest, path: &RelativePath) -> String {
    let reference = manifest.reference();
    if let ModelRef::Local(folder) = reference {
        return folder.path().join(path).display().to_string();
    }
    let file = reference.repository().and_then(|repo| repo.clone().file(path).ok());
    file.map_or_else(|| path.to_string(), |file| file.to_string())
}

/// Judges a model that was read without an error.
fn verdict(found: &Inspection, expectation: &Expectation) -> Verdict {
    if found.details.format == Format::Other {
        let mut reason = "its structure is not known, as it has no GGUF or safetensors file".to_owned();
        for warning in &found.warnings {
            reason.push_str("; ");
            reason.push_str(warning);
        }
        return if is_vouched_for(expectation) {
            Verdict::Pass { basis: None, reason }
        } else {
            Verdict::Warn { reason }
        };
    }
    let mut reason = format!("its structure is sound ({})", found.details.format.as_str());
    for note in found.notes.iter().chain(&found.warnings) {
        reason.push_str("; ");
        reason.push_str(note);
    }
    if found.warnings.is_empty() || is_vouched_for(expectation) {
        Verdict::Pass { basis: None, reason }
    } else {
        Verdict::Warn { reason }
    }
}

/// Returns whether the caller says which bytes these must be.
fn is_vouched_for(expectation: &Expectation) -> bool {
    expectation.is_strict() || expectation.digest().is_some_and(|(_, basis)| Basis::is_strict(basis))
}

/// Writes an error with its causes on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use provisioner_core::{
        Entry, Locator, Manifest, ManifestFile, ModelRef, RelativePath, StagedFile, Stamp, Timestamp,
    };

    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_verdict() {
        // It can be opened, and reading it fails.
        let folder = std::env::temp_dir();
        let check = |name: &str, files: &[(&str, &std::path::Path)]| {
            let path = |name: &str| RelativePath::new(name).unwrap();
            let listed = files.iter().map(|(name, location)| ManifestFile {
                path: path(name),
                size: 1,
                digest: None,
                locator: Locator::InPlace((*location).into()),
            });
            let reference: ModelRef = "local:/m".parse().unwrap();
            let manifest = Manifest::new(reference, listed.collect(), Entry::Folder).unwrap();
            let staged = files.iter().map(|(name, location)| StagedFile {
                path: path(name),
                location: (*location).into(),
                stamp: Stamp { size: 1, ..Stamp::of(&fs_err::metadata("/").unwrap()) },
                settled: true,
                format: Format::named(name).unwrap_or(Format::Other),
                sha256: None,
                git_sha1: None,
            });
            let model = StagedModel::new(manifest, staged.collect()).unwrap();
            let verifiers: [Arc<dyn Verifier>; 1] = [Arc::new(StructureVerifier)];
            let error = model.judge(&Expectation::none(), &verifiers, Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(matches!(error, provisioner_core::Error::Unread { .. }), "{name}: {error:?}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(&folder.display().to_string()), "it names the file: {source}");
        };
        check("GGUF", &[("a.gguf", &folder)]);
        check("safetensors", &[("a.safetensors", &folder)]);
    }
}
