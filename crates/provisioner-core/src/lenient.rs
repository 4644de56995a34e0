//! Reads from a document what this release knows, and passes over the rest: a newer release of the same schema may write a value
//! that this one has no name for.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Returns the elements of an array that this release can read.
pub(crate) fn elements<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let values = Vec::<Value>::deserialize(deserializer)?;
    Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// Returns a value that this release can read; `None` for another one.
pub(crate) fn value<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// Returns the entries of an object whose names and values this release can read.
pub(crate) fn entries<'de, D: Deserializer<'de>, K: DeserializeOwned + Ord, T: DeserializeOwned>(
    deserializer: D,
) -> Result<BTreeMap<K, T>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let read = |(name, value)| {
        Some((serde_json::from_value(Value::String(name)).ok()?, serde_json::from_value(value).ok()?))
    };
    Ok(values.into_iter().filter_map(read).collect())
}
