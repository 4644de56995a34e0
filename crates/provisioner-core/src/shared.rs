//! Reads and writes a list that clones share: in a document it is a list.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes the elements of a list.
pub(crate) fn serialize<S: Serializer, T: Serialize>(
    list: &Arc<Vec<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    list.as_slice().serialize(serializer)
}

/// Reads the elements of a list.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Arc<Vec<T>>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::new)
}
