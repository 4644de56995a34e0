//! Names the kinds of partials.

use std::path::Path;

use crate::{
    files::{is_folder, is_own_file},
    layout::{DATA, JOURNAL, META, SCRATCH, SEAL, VIEW},
    staging::partial_file::has_small,
};

/// Says what a partial is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The partial holds one file.
    File,
    /// The partial holds the small files of a model.
    Small,
    /// The partial holds what a program of a source downloads.
    Scratch,
    /// The partial holds a view.
    View,
}

impl Kind {
    /// Returns whether a transfer, or a commit, of this kind can resume a folder.
    pub(crate) fn is_at(self, folder: &Path) -> bool {
        let has = |name: &str| is_own_file(&folder.join(name));
        let is_folder = |name: &str| is_folder(&folder.join(name));
        has(META)
            && match self {
                Self::File => has(DATA) && has(JOURNAL),
                Self::Small => has_small(folder),
                Self::Scratch => is_folder(SCRATCH),
                Self::View => is_folder(VIEW) && has(&format!("{VIEW}/{SEAL}")),
            }
    }
}

/// Returns whether a transfer, or a commit, of any kind can resume a partial.
pub(crate) fn can_go_on(folder: &Path) -> bool {
    [Kind::File, Kind::Small, Kind::Scratch, Kind::View].into_iter().any(|kind| kind.is_at(folder))
}
