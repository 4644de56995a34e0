//! Reads the list of tensors, and checks that it fits the file.

use std::collections::BTreeMap;

use super::TensorType;
use crate::{Error, Result, error::quoted, window::Window};

/// Limits the dimensions, as ggml does (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;
/// Limits a name, in bytes. The specification says 64; some programs that write GGUF go beyond.
const MAX_NAME_BYTES: u64 = 1024;
/// The least bytes of an entry, with an empty name and without a dimension: length, count of dimensions, type, offset.
pub(super) const LEAST_BYTES: u64 = 24;

/// Describes a tensor as the header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// The name of the tensor.
    pub name: String,
    /// The sizes of its dimensions, the fastest one first.
    pub dimensions: Vec<u64>,
    /// The type of its elements.
    pub kind: TensorType,
    /// The offset of its bytes from the beginning of the data.
    pub offset: u64,
    /// The number of its elements.
    pub elements: u64,
    /// The number of its bytes. `None` for a type that is not known.
    pub bytes: Option<u64>,
}

/// Sums over all tensors of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeTotal {
    /// The number of tensors.
    pub tensors: u64,
    /// The number of their elements.
    pub elements: u64,
    /// The number of their bytes. `None` for a type that is not known.
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
            if size == 0 {
                return Err(fail("has a dimension of zero".to_owned()));
            }
            elements = count_of(elements, size)
                .ok_or_else(|| fail("has more elements than 63 bits count".to_owned()))?;
            dimensions.push(size);
        }
        let kind = TensorType::new(window.u32("a tensor's type")?);
        if kind.is_dropped() {
            return Err(fail(format!("has {kind}, which the format has dropped")));
        }
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

/// Multiplies the elements by a dimension, where the format can count the product.
fn count_of(elements: u64, size: u64) -> Option<u64> {
    let is_counted = |count: &u64| i64::try_from(*count).is_ok();
    Some(size).filter(is_counted).and_then(|size| elements.checked_mul(size)).filter(is_counted)
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

/// Checks that each tensor is inside the data and begins where the one before it in the list ends, rounded up to
/// the alignment. The specification only wants them aligned and apart; but llama.cpp (`gguf.cpp`) loads no file with gaps, and
/// no program is known that writes any. What follows the last tensor does not matter to either.
///
/// A type that is not known has no size: such a tensor must begin inside the data, and the next one anywhere after that.
/// So a newer file is not refused for a type that only a newer engine needs to know.
pub(super) fn check_extents(tensors: &[Tensor], alignment: u64, data_bytes: u64) -> Result<()> {
    let mut next = Next { at: 0, is_exact: true };
    let mut before = "";
    for tensor in tensors {
        let offset = tensor.offset;
        let fail = |reason: String| {
            Err(Error::unsound(format!("tensor {} begins at {offset}, {reason}", quoted(&tensor.name))))
        };
        if !offset.is_multiple_of(alignment) {
            return fail(format!("which is no multiple of the alignment {alignment}"));
        }
        if offset < next.at {
            return fail(format!("before tensor {} ends", quoted(before)));
        }
        if next.is_exact && offset > next.at {
            return fail(format!("and should begin at {}: tensors follow each other without gaps", next.at));
        }
        let bytes = tensor.bytes.unwrap_or(1);
        let Some(end) = offset.checked_add(bytes).filter(|end| *end <= data_bytes) else {
            return fail(format!(
                "has {bytes} bytes, and the file has {data_bytes} of data: it is truncated or wrong"
            ));
        };
        next = Next {
            at: end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX),
            is_exact: tensor.bytes.is_some(),
        };
        before = &tensor.name;
    }
    Ok(())
}

/// Says where the next tensor begins: there, or anywhere from there on.
struct Next {
    at: u64,
    is_exact: bool,
}
