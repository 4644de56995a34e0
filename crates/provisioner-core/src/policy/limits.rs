//! Decides how large a model may be, and of how many files.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::{denial::Denial, size::parse_size};

/// Returns the denial of a model's size in bytes.
pub(super) fn refuse_size(limit: Option<u64>, id: &str, size_bytes: u64) -> Option<Denial> {
    let limit = limit.filter(|limit| size_bytes > *limit)?;
    let what = format!("`{id}`, which has {size_bytes} bytes, over the limit of {limit}");
    let denial = Denial::new("max_bytes", size_bytes.to_string(), what);
    Some(denial.with_remedy("raise the policy's `max_bytes`"))
}

/// Returns the denial of a model's number of files.
pub(super) fn refuse_files(limit: Option<u64>, id: &str, files: u64) -> Option<Denial> {
    let limit = limit.filter(|limit| files > *limit)?;
    let what = format!("`{id}`, which has {files} files, over the limit of {limit}");
    Some(Denial::new("max_files", files.to_string(), what).with_remedy("raise the policy's `max_files`"))
}

/// Reads a size: a number of bytes, or a text with a unit, such as `200G`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Size>::deserialize(deserializer)?.map(|size| size.0))
}

/// Reads a size that must have a value.
pub(crate) fn given_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Size::deserialize(deserializer).map(|size| Some(size.0))
}

/// Holds a number of bytes, as a person may write it.
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or a size such as `200G`")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::custom("a size is not negative"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        parse_size(text).map(Size).map_err(E::custom)
    }
}

/// Describes a size in a schema.
#[cfg(feature = "schema")]
pub(crate) fn size_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["integer", "string"], "minimum": 0 })
}
