//! When a model was last asked for.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use provisioner_core::Timestamp;

use crate::Store;

impl Store {
    /// Notes that a model was asked for. A store that cannot be written forgets it.
    pub fn touch_used(&self, id: &str) {
        let path = self.used(id);
        let touched = durable_fs::touch(&path).or_else(|_| {
            durable_fs::create_folders(path.parent().unwrap_or(self.root()))?;
            durable_fs::touch(&path)
        });
        if let Err(error) = touched {
            tracing::debug!("the use of `{id}` is not noted: {error}");
        }
    }

    /// When a model was last asked for.
    pub fn last_used(&self, id: &str) -> Option<Timestamp> {
        modified(&fs_err::symlink_metadata(self.used(id)).ok()?)
    }

    /// Forgets when a model was last asked for.
    pub fn forget_used(&self, id: &str) {
        if let Err(error) = fs_err::remove_file(self.used(id)) {
            tracing::debug!("the use of `{id}` is not forgotten: {error}");
        }
    }
}

/// When a file was modified.
pub(crate) fn modified(metadata: &Metadata) -> Option<Timestamp> {
    Timestamp::new(metadata.mtime(), i32::try_from(metadata.mtime_nsec()).ok()?).ok()
}
