//! The header of one safetensors file.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use ::safetensors::tensor::{Metadata, TensorInfo};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::{ByteSource, Error, Result, TypeShare, error::quoted, window::Window};

/// The limit of the reference reader ("there's a limit on the size of the header of 100MB").
const MAX_HEADER_BYTES: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;

/// The header of a safetensors file, checked: its tensors follow each other without a gap or an overlap, each as long as
/// its type and shape say, up to the end of the file.
///
/// While it is read, up to fifteen times its length is held, where shapes are as long as no tensor's; seven times, where tensors
/// are as short as they can be; and less for what models have.
#[derive(Clone, Debug)]
pub struct Header {
    checked: Metadata,
    length: u64,
}

/// A tensor, as the header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderTensor {
    /// The type of its elements, such as `BF16`.
    pub kind: String,
    /// How many elements it has.
    pub elements: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Header {
    /// Reads and checks the header of a file.
    ///
    /// # Errors
    /// [`Error::Unsound`] where the header is no header, is truncated, or does not fit the file.
    pub fn read(source: &mut dyn ByteSource) -> Result<Self> {
        let mut window = Window::new(source);
        let first: [u8; 8] = window.array("the length of the header")?;
        if first == *b"version " {
            return Err(Error::unsound("is no safetensors, but the pointer of Git LFS to one"));
        }
        let length = u64::from_le_bytes(first);
        if length > MAX_HEADER_BYTES {
            let reason = format!("its header has {length} bytes, and {MAX_HEADER_BYTES} are the most");
            return Err(Error::unsound_at(0, reason));
        }
        window.expect(length, "the header")?;
        let mut json = Vec::new();
        let end = LENGTH_BYTES + length;
        while window.offset() < end {
            let piece = usize::try_from((end - window.offset()).min(1 << 16)).unwrap_or(1);
            json.extend_from_slice(window.take(piece, "the header")?);
        }
        Self::parse(json, window.size() - end)
    }

    fn parse(json: Vec<u8>, data_bytes: u64) -> Result<Self> {
        let length = json.len() as u64;
        let unsound = |reason: String| Error::unsound_at(LENGTH_BYTES, reason);
        if json.first() != Some(&b'{') {
            return Err(unsound("is no safetensors: its header does not begin with `{`".to_owned()));
        }
        let unreadable = |error: &dyn fmt::Display| {
            unsound(format!("its header is unsound: {}", quoted(&error.to_string())))
        };
        let mut listed: Listed = serde_json::from_slice(&json).map_err(|error| unreadable(&error))?;
        drop(json);
        if let Some(name) = listed.twice() {
            return Err(unsound(format!("the tensor {} is there twice", quoted(name))));
        }
        listed.tensors.sort_unstable_by_key(|(_, tensor)| tensor.data_offsets);
        let checked = Metadata::new(None, listed.tensors).map_err(|error| unreadable(&error))?;
        let tensor_bytes = checked.data_len() as u64;
        if tensor_bytes != data_bytes {
            let why = if tensor_bytes > data_bytes { "it is truncated" } else { "it is too long" };
            let reason = format!("its tensors have {tensor_bytes} bytes, and {data_bytes} are there: {why}");
            return Err(Error::unsound(reason));
        }
        Ok(Self { checked, length })
    }

    /// How many bytes it takes in its file, without its own length.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The names of the tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.checked.offset_keys()
    }

    /// A tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<HeaderTensor> {
        self.checked.info(name).map(HeaderTensor::of)
    }

    pub(crate) fn add_types(&self, types: &mut BTreeMap<String, TypeShare>) {
        for tensor in self.checked.tensors().into_values().map(HeaderTensor::of) {
            let share = TypeShare { tensors: 1, elements: tensor.elements, bytes: Some(tensor.bytes) };
            types.entry(tensor.kind).or_insert(TypeShare::NOTHING).add(share);
        }
    }
}

impl HeaderTensor {
    fn of(info: &TensorInfo) -> Self {
        // The header was checked: neither the product nor the difference overflows.
        let elements = info.shape.iter().fold(1u64, |product, size| product.saturating_mul(*size as u64));
        let (start, end) = info.data_offsets;
        Self { kind: info.dtype.to_string(), elements, bytes: end.saturating_sub(start) as u64 }
    }
}

/// The header as it is written, tensor by tensor. The crate reads JSON into a [`Metadata`] by way of a tree of values, which
/// takes sixteen times its length; so we read, and it checks.
#[derive(Default)]
struct Listed {
    tensors: Vec<(String, TensorInfo)>,
}

/// What the writer noted: texts by name. They must be that, and nobody asks for them.
struct Notes;

impl Listed {
    /// A name that two tensors have ("Duplicate keys are disallowed").
    fn twice(&self) -> Option<&str> {
        let mut names = HashSet::new();
        self.tensors.iter().map(|(name, _)| name.as_str()).find(|name| !names.insert(*name))
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ListedVisitor)
    }
}

struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let mut listed = Listed::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<Option<Notes>>()?;
            } else {
                listed.tensors.push((name, map.next_value()?));
            }
        }
        Ok(listed)
    }
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NotesVisitor)
    }
}

struct NotesVisitor;

impl<'de> Visitor<'de> for NotesVisitor {
    type Value = Notes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Notes, A::Error> {
        while map.next_entry::<String, String>()?.is_some() {}
        Ok(Notes)
    }
}
