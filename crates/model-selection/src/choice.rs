//! Holds the answer: which files make a model, as what, and why the others stay out.

use provisioner_core::{Entry, LeftOut, Manifest, Notice, RelativePath, Role};

/// Holds the files of a model, and the reasons against the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// The files that belong to the model, in the order of their paths.
    pub files: Vec<Chosen>,
    /// The part of them that an engine loads.
    pub entry: Entry,
    /// The multimodal projector among them, of a GGUF model.
    pub projector: Option<RelativePath>,
    /// The files that do not belong to the model, in the order of their paths.
    pub left_out: Vec<LeftOut>,
    /// What a person should know of the choice.
    pub notices: Vec<Notice>,
}

/// Describes a file that belongs to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chosen {
    /// The path of the file in the repository.
    pub path: RelativePath,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What the file is to an engine.
    pub role: Role,
}

impl Choice {
    /// Returns a manifest of the chosen files with what the choice says of them: roles, reasons, notices and the projector.
    #[must_use]
    pub fn applied_to(self, manifest: Manifest) -> Manifest {
        let roles = self.files.into_iter().map(|file| (file.path, file.role));
        manifest.with_projector(self.projector).with_choice(roles, self.left_out, self.notices)
    }
}
