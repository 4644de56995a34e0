//! Moves wrong files out of the way.

use std::path::{Path, PathBuf};

use crate::{error::Result, layout::Store};

impl Store {
    /// Moves a file or a folder with wrong contents to the quarantine, and returns its new path.
    pub(crate) fn quarantine(&self, path: &Path) -> Result<PathBuf> {
        let folder = self.quarantined();
        durable_fs::create_folders(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = tempfile::Builder::new().prefix(&format!("{name}.")).tempdir_in(&folder)?.keep();
        let aside = own.join(name);
        durable_fs::rename(path, &aside)?;
        tracing::warn!("`{}` has wrong contents, and is now `{}`", path.display(), aside.display());
        Ok(aside)
    }
}
