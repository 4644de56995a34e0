//! The header of one safetensors file.

use std::collections::{BTreeMap, HashMap};

use ::safetensors::tensor::{Metadata, TensorInfo};

use crate::{ByteSource, Error, Result, TypeShare, error::quoted, window::Window};

/// The limit of the reference reader ("there's a limit on the size of the header of 100MB").
const MAX_HEADER_BYTES: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;

/// The header of a safetensors file, checked: its tensors follow each other without a gap or an overlap, each as long as
/// its type and shape say, up to the end of the file.
#[derive(Clone, Debug)]
pub struct Header {
    tensors: HashMap<String, HeaderTensor>,
    metadata: BTreeMap<String, String>,
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
        Self::parse(&json, window.size() - end)
    }

    fn parse(json: &[u8], data_bytes: u64) -> Result<Self> {
        let unsound = |reason: String| Error::unsound_at(LENGTH_BYTES, reason);
        if json.first() != Some(&b'{') {
            return Err(unsound("is no safetensors: its header does not begin with `{`".to_owned()));
        }
        let header: Metadata = serde_json::from_slice(json)
            .map_err(|error| unsound(format!("its header is unsound: {}", quoted(&error.to_string()))))?;
        let tensor_bytes = header.data_len() as u64;
        if tensor_bytes != data_bytes {
            let why = if tensor_bytes > data_bytes { "it is truncated" } else { "it is too long" };
            let reason = format!("its tensors have {tensor_bytes} bytes, and {data_bytes} are there: {why}");
            return Err(Error::unsound(reason));
        }
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = header.tensors().into_iter().map(|(name, info)| (name, HeaderTensor::of(info)));
        Ok(Self { tensors: tensors.collect(), metadata })
    }

    /// The tensors, by name.
    pub fn tensors(&self) -> &HashMap<String, HeaderTensor> {
        &self.tensors
    }

    /// What the writer noted (`__metadata__`).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    pub(crate) fn add_types(&self, types: &mut BTreeMap<String, TypeShare>) {
        for tensor in self.tensors.values() {
            let share = TypeShare { tensors: 1, elements: tensor.elements, bytes: Some(tensor.bytes) };
            types.entry(tensor.kind.clone()).or_insert(TypeShare::NOTHING).add(share);
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
