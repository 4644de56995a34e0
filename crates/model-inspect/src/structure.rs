//! Judges a model's structure.

use std::io;

use provisioner_core::{Basis, Expectation, Finding, Format, Rejection, StagedModel, Verdict, Verifier};

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
/// neither weakens nor refuses what the caller named.
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
                Ok(Finding { verdict: verdict(&found, expectation), facts: Some(found.details.facts) })
            }
            // The error names the file already.
            Err(Error::Io { source, .. }) => Err(source),
            Err(error) => Ok(Verdict::Fail(self.rejection(&error)).into()),
        }
    }
}

impl StructureVerifier {
    /// Tells a file that is absent from one that contradicts, as the sources do, which look for shards too.
    fn rejection(self, error: &Error) -> Rejection {
        let (verifier, reason) = (self.name(), one_line(error));
        match error {
            Error::Incomplete { .. } => Rejection::Incomplete { verifier, reason },
            _ => Rejection::Unsound { verifier, reason },
        }
    }
}

/// Judges a model that was read without an error.
fn verdict(found: &Inspection, expectation: &Expectation) -> Verdict {
    if found.details.format == Format::Other {
        let reason = "its structure is not known, as it has no GGUF or safetensors file".to_owned();
        return if is_vouched_for(expectation) {
            Verdict::Pass { basis: None, reason }
        } else {
            Verdict::Warn { reason }
        };
    }
    let mut reason = format!("its structure is sound ({})", found.details.format.as_str());
    for note in &found.notes {
        reason.push_str("; ");
        reason.push_str(note);
    }
    Verdict::Pass { basis: None, reason }
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
                locator: Locator::InPlace((*location).to_owned()),
            });
            let reference: ModelRef = "local:/m".parse().unwrap();
            let manifest = Manifest::new(reference, listed.collect(), Entry::Folder).unwrap();
            let staged = files.iter().map(|(name, location)| StagedFile {
                path: path(name),
                location: (*location).to_owned(),
                stamp: Stamp { size: 1, ..Stamp::of(&fs_err::metadata("/").unwrap()) },
                settled: true,
                format: Format::of(name, b""),
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
