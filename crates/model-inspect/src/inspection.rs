//! What an inspection of a model finds.

use provisioner_core::{Format, RelativePath, Role, SourceFacts};

use crate::{details::DetailedFacts, memory::MemoryEstimate};

/// Says what a model tells of itself, and what it needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Says what the model says of itself.
    pub details: DetailedFacts,
    /// The memory that it needs.
    pub memory: MemoryEstimate,
    /// Says what could not be checked, as fragments of sentences.
    pub notes: Vec<String>,
    /// The file that an engine would be given, where that is a companion of a model and not one.
    pub(crate) companion: Option<(RelativePath, Role)>,
    /// Says what engines pass over and a person should know, as fragments of sentences.
    pub warnings: Vec<String>,
    /// Says what the source of the model tells of it, which no header proves; `None` where the caller knows nothing of that.
    pub source: Option<SourceFacts>,
}

impl Inspection {
    /// Makes the inspection of a model of which nothing is known, for a reason.
    pub(crate) fn unknown(format: Format, why: &str) -> Self {
        let memory = MemoryEstimate::new(None, Err(why.to_owned()), None);
        Self {
            details: DetailedFacts::unknown(format, 0),
            memory,
            notes: Vec::new(),
            companion: None,
            warnings: Vec::new(),
            source: None,
        }
    }

    /// Returns the same inspection with what the source of the model tells of it.
    #[must_use]
    pub fn with_source(self, source: Option<SourceFacts>) -> Self {
        Self { source, ..self }
    }
}
