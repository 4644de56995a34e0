//! Tells what a GGUF file is by its header: a model, or a companion of one.
//!
//! Source: `GGUFType` and `Keys` of gguf-py; `clip.cpp`, `llama-adapter.cpp` and the imatrix tool of llama.cpp. Of a set of shards only the
//! first one has the keys that tell; the others have those of their place.

use provisioner_core::Role;

use super::Header;

/// Names the architectures of heads that draft tokens for a model.
const DRAFTS: [&str; 3] = ["eagle", "eagle3", "dflash"];

/// The endings of the tensors of an adapter.
const ADAPTER_TENSORS: [&str; 2] = [".lora_a", ".lora_b"];

impl Header {
    /// Returns what the file is for an engine: weights that it loads as the model, or a companion.
    ///
    /// ```
    /// use model_inspect::gguf::Header;
    /// use provisioner_core::Role;
    ///
    /// let bytes = testkit::FakeModel::gguf().to_bytes();
    /// assert_eq!(Header::read(&mut bytes.as_slice())?.role(), Role::Weights);
    /// # Ok::<(), model_inspect::Error>(())
    /// ```
    pub fn role(&self) -> Role {
        let architecture = self.text("general.architecture").unwrap_or_default();
        match self.text("general.type") {
            Some("mmproj" | "clip-vision" | "projector") => return Role::Projector,
            Some("adapter") => return Role::Adapter,
            Some("imatrix") => return Role::Imatrix,
            _ => {}
        }
        if architecture == "clip" {
            Role::Projector
        } else if architecture == "imatrix" || self.has_key("imatrix.") {
            Role::Imatrix
        } else if architecture == "controlvector" || self.has_key("adapter.") || self.is_all_adapter() {
            Role::Adapter
        } else if DRAFTS.contains(&architecture) {
            Role::Draft
        } else {
            Role::Weights
        }
    }

    fn has_key(&self, beginning: &str) -> bool {
        self.values().range(beginning.to_owned()..).next().is_some_and(|(key, _)| key.starts_with(beginning))
    }

    /// Returns whether every tensor changes one of another model.
    fn is_all_adapter(&self) -> bool {
        let is_adapter = |name: &str| ADAPTER_TENSORS.iter().any(|ending| name.ends_with(ending));
        !self.tensors().is_empty() && self.tensors().iter().all(|tensor| is_adapter(&tensor.name))
    }
}
