//! Tells by its name what goes along with a GGUF model and is not one.

/// Names what a companion of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Companion {
    /// The companion is a multimodal projector.
    Projector,
    /// The companion is an importance matrix, which a program needs to quantize the model.
    ImportanceMatrix,
    /// The companion is a smaller model that drafts tokens for the model.
    Draft,
    /// The companion is an adapter: weights that are added to those of the model.
    Adapter,
}

/// The words by which people name drafts.
const DRAFTS: [&str; 7] = ["mtp", "eagle", "eagle2", "eagle3", "dflash", "dspark", "draft"];

/// The words by which people name adapters.
const ADAPTERS: [&str; 3] = ["lora", "qlora", "adapter"];

impl Companion {
    /// Returns what the path of a GGUF file says: by a word anywhere in its name, in any letter case, or by the folder `MTP`. `None`
    /// for a model. Some models have such a word in their own names; so a caller that finds no model looks among these.
    ///
    /// ```
    /// use provisioner_core::reference::Companion;
    ///
    /// assert_eq!(Companion::of("Vis-9B.mmproj-f16.gguf"), Some(Companion::Projector));
    /// assert_eq!(Companion::of("MTP/Qw-27B-Q8_0.gguf"), Some(Companion::Draft));
    /// assert_eq!(Companion::of("Vis-9B(mmproj).gguf"), Some(Companion::Projector));
    /// assert_eq!(Companion::of("Vis-9B-Q8_0.gguf"), None);
    /// ```
    pub fn of(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        let (folder, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        let mut words = name.split(is_edge);
        if name.starts_with("mmproj") || words.clone().any(|word| word == "mmproj") {
            Some(Self::Projector)
        } else if name.contains("imatrix") {
            Some(Self::ImportanceMatrix)
        } else if words.clone().any(|word| DRAFTS.contains(&word))
            || folder.split('/').any(|word| word == "mtp")
        {
            Some(Self::Draft)
        } else if words.any(|word| ADAPTERS.contains(&word)) {
            Some(Self::Adapter)
        } else {
            None
        }
    }

    /// Returns whether a file name begins with the word that makes it a companion: then it is one for sure.
    pub fn begins(file_name: &str) -> bool {
        let name = file_name.to_ascii_lowercase();
        let first = name.split(is_edge).next().unwrap_or_default();
        name.starts_with("mmproj") || DRAFTS.contains(&first) || ADAPTERS.contains(&first)
    }
}

fn is_edge(c: char) -> bool {
    !c.is_alphanumeric()
}

/// Returns whether the name of a GGUF file is that of a companion of a model for sure: of a projector, of an importance matrix, or
/// of a draft or an adapter that its first word names.
pub fn is_companion(file_name: &str) -> bool {
    match Companion::of(file_name) {
        Some(Companion::Projector | Companion::ImportanceMatrix) => true,
        Some(_) => Companion::begins(file_name),
        None => false,
    }
}
