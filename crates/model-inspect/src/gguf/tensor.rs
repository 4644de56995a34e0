//! The list of tensors, and whether it fits the file.

use std::collections::BTreeMap;

use super::TensorType;
use crate::{Error, Result, error::quoted, window::Window};

/// ggml's own limit on dimensions (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;
/// The specification says 64 bytes; other programs that write GGUF go beyond.
const MAX_NAME_BYTES: u64 = 1024;
/// An empty name and no dimension: length, count of dimensions, type, offset.
pub(super) const LEAST_BYTES: u64 = 24;

/// A tensor, as the header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its sizes, the fastest dimension first.
    pub dimensions: Vec<u64>,
    /// How its elements are kept.
    pub kind: TensorType,
    /// Where its bytes begin, from the beginning of the data.
    pub offset: u64,
    /// How many elements it has.
    pub elements: u64,
    /// How many bytes it has. `None` for a type that is not known.
    pub bytes: Option<u64>,
}

/// What all tensors of one type come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeTotal {
    /// How many tensors there are.
    pub tensors: u64,
    /// How many elements they have.
    pub elements: u64,
    /// How many bytes they have. `None` for a type that is not known.
    pub bytes: Option<u64>,
}

/// Adds up the tensors of each type.
pub(super) fn totals(tensors: &[Tensor]) -> BTreeMap<TensorType, TypeTotal> {
    let mut totals: BTreeMap<_, TypeTotal> = BTreeMap::new();
    for tensor in tensors {
        let total = totals.entry(tensor.kind).or_insert(TypeTotal { bytes: Some(0), ..TypeTotal::default() });
        total.tensors += 1;
        total.elements = total.elements.saturating_add(tensor.elements);
        total.bytes = total.bytes.zip(tensor.bytes).map(|(sum, bytes)| sum.saturating_add(bytes));
    }
    totals
}

impl Tensor {
    pub(super) fn read(window: &mut Window) -> Result<Self> {
        let at = window.offset();
        let name = read_name(window)?;
        let fail = |reason: String| Error::unsound_at(at, format!("tensor {} {reason}", quoted(&name)));
        let count = window.u32("a tensor's dimensions")?;
        if count > MAX_DIMENSIONS {
            return Err(fail(format!("has {count} dimensions, and {MAX_DIMENSIONS} are the most")));
        }
        let mut dimensions = Vec::new();
        let mut elements = 1u64;
        for _ in 0..count {
            let size = window.u64("a tensor's dimensions")?;
            elements = elements
                .checked_mul(size)
                .filter(|elements| i64::try_from(*elements).is_ok())
                .ok_or_else(|| fail("has more elements than 63 bits count".to_owned()))?;
            dimensions.push(size);
        }
        let kind = TensorType::new(window.u32("a tensor's type")?);
        let offset = window.u64("a tensor's offset")?;
        let row = dimensions.first().copied().unwrap_or(1);
        if let Some(block) = kind.block_elements().filter(|block| row % block != 0) {
            return Err(fail(format!("has rows of {row} elements, and {kind} keeps {block} at a time")));
        }
        let bytes = kind.bytes_of(elements);
        if bytes.is_none() && kind.is_known() {
            return Err(fail("has more bytes than 64 bits count".to_owned()));
        }
        Ok(Self { name, dimensions, kind, offset, elements, bytes })
    }
}

fn read_name(window: &mut Window) -> Result<String> {
    let offset = window.offset();
    let bytes = window.u64("a tensor's name")?;
    if bytes > MAX_NAME_BYTES {
        window.expect(bytes, "a tensor's name")?;
        let reason = format!("a tensor's name has {bytes} bytes, and {MAX_NAME_BYTES} are the most");
        return Err(Error::unsound_at(offset, reason));
    }
    let name = window.take(usize::try_from(bytes).unwrap_or(usize::MAX), "a tensor's name")?;
    let name = std::str::from_utf8(name);
    name.map(str::to_owned).map_err(|_| Error::unsound_at(offset, "a tensor's name is not UTF-8"))
}

/// Checks that each tensor is aligned and inside the data, and that no two overlap.
///
/// A type that is not known has no size: such a tensor must begin inside the data, and no other may begin where it does.
/// Newer files are so not refused for a type that only a newer engine needs to know.
pub(super) fn check_extents(tensors: &[Tensor], alignment: u64, data_bytes: u64) -> Result<()> {
    let mut order: Vec<&Tensor> = tensors.iter().collect();
    order.sort_unstable_by_key(|tensor| (tensor.offset, tensor.bytes));
    let mut end = 0;
    let mut before = "";
    for tensor in order {
        let fail = |reason: String| Err(Error::unsound(format!("tensor {} {reason}", quoted(&tensor.name))));
        let (offset, bytes) = (tensor.offset, tensor.bytes.unwrap_or(u64::from(tensor.elements > 0)));
        if offset % alignment != 0 {
            return fail(format!("begins at {offset}, which is no multiple of the alignment {alignment}"));
        }
        let inside = offset.checked_add(bytes).filter(|end| *end <= data_bytes);
        let Some(ends) = inside else {
            return fail(format!(
                "has {bytes} bytes from {offset}, and the file has {data_bytes} bytes of data: it is truncated or wrong"
            ));
        };
        if offset < end {
            return fail(format!("begins at {offset}, inside of tensor {}", quoted(before)));
        }
        (end, before) = (ends, &tensor.name);
    }
    Ok(())
}
