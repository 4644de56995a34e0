//! Notes when a caller last used a model.

use provisioner_core::Timestamp;

use crate::{files::modified, layout::Store};

impl Store {
    /// Notes that a caller asks for a model. Where this process cannot write in the store, nothing is noted.
    pub fn touch_used(&self, id: &str) {
        let path = self.last_use_path(id);
        let touched = durable_fs::touch(&path).or_else(|_| {
            durable_fs::create_folders(path.parent().unwrap_or(self.root()))?;
            durable_fs::touch(&path)
        });
        if let Err(error) = touched {
            tracing::debug!("the use of `{id}` is not noted: {error}");
        }
    }

    /// Returns when a caller last asked for a model.
    pub fn last_used(&self, id: &str) -> Option<Timestamp> {
        modified(&fs_err::symlink_metadata(self.last_use_path(id)).ok()?)
    }

    /// Removes the note of when a caller last asked for a model.
    pub fn forget_used(&self, id: &str) {
        if let Err(error) = fs_err::remove_file(self.last_use_path(id)) {
            tracing::debug!("the use of `{id}` is not forgotten: {error}");
        }
    }
}
