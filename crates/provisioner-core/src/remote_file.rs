//! Names a file at its source, with what its fetcher knows of it.

use std::{any::Any, fmt, sync::Arc};

/// Names a file at its source, for the fetcher that listed it.
///
/// It may carry what the fetcher learned of the file, or learns while it opens it. That state goes when the last clone of the
/// manifest's file goes.
///
/// ```
/// use provisioner_core::RemoteFile;
///
/// let file = RemoteFile::new("https://example.org/a.gguf").with_state(42_u64);
/// assert_eq!(file.state::<u64>(), Some(&42));
/// assert_eq!(file, RemoteFile::from("https://example.org/a.gguf"));
/// ```
#[derive(Clone)]
pub struct RemoteFile {
    address: String,
    state: Option<Arc<dyn Any + Send + Sync>>,
}

impl RemoteFile {
    /// Names a file by an address, which only its fetcher reads.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), state: None }
    }

    /// Adds what the fetcher knows of the file. All clones share it.
    #[must_use]
    pub fn with_state(self, state: impl Any + Send + Sync) -> Self {
        Self { state: Some(Arc::new(state)), ..self }
    }

    /// Returns the address, as the fetcher wrote it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns what the fetcher knows of the file. `None` where it has added nothing of that type.
    pub fn state<T: Any>(&self) -> Option<&T> {
        self.state.as_ref()?.downcast_ref()
    }
}

impl From<String> for RemoteFile {
    fn from(address: String) -> Self {
        Self::new(address)
    }
}

impl From<&str> for RemoteFile {
    fn from(address: &str) -> Self {
        Self::new(address)
    }
}

/// Compares addresses alone.
impl PartialEq for RemoteFile {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for RemoteFile {}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteFile").field(&self.address).finish()
    }
}
