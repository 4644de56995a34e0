//! Reads the values of a header's keys.

use crate::{Error, Result, error::quoted, window::Window};

/// Limits the strings that are kept, in bytes. Of longer ones only the length is kept.
const KEPT_TEXT_BYTES: u64 = 64 << 10;
/// Limits the arrays of numbers that are kept, in elements, for there may be one for each layer.
const KEPT_ITEMS: u64 = 1024;
/// Limits how deep arrays lie in arrays. No known file has an array in another one.
const MAX_DEPTH: u32 = 4;

/// Names the types of values, "`gguf_metadata_value_type`".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the format's own")]
pub enum ValueKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueKind {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Reads the type of a key's value, or of an array's elements.
    pub(super) fn read(window: &mut Window, key: &str) -> Result<Self> {
        let offset = window.offset();
        let number = window.u32("the type of a value")?;
        Self::of(number).ok_or_else(|| {
            Error::unsound_at(offset, format!("{} has type {number}, and types are 0 to 12", quoted(key)))
        })
    }

    /// Returns how many bytes a value has at least; a number has exactly so many.
    const fn least_bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::String => 8,
            Self::Array => 12,
        }
    }

    /// Reads these bytes as a number. `None` where they are not a number of this type.
    fn number(self, bytes: &[u8]) -> Option<Value> {
        Some(match self {
            Self::U8 => Value::Unsigned(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U16 => Value::Unsigned(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U32 => Value::Unsigned(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::U64 => Value::Unsigned(u64::from_le_bytes(bytes.try_into().ok()?)),
            Self::I8 => Value::Signed(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I16 => Value::Signed(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I32 => Value::Signed(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::I64 => Value::Signed(i64::from_le_bytes(bytes.try_into().ok()?)),
            Self::F32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Self::F64 => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Self::Bool => match bytes {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return None,
            },
            Self::String | Self::Array => return None,
        })
    }
}

/// Holds a value, or the part of it that is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number that is not negative by its type.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A number with a fraction; exact, also where the file has 32 bits.
    Float(f64),
    /// A truth value, true or false.
    Bool(bool),
    /// A string, with replacements for bytes that are not UTF-8.
    Text(String),
    /// A string of more than 64 KiB, which is not kept.
    LongText {
        /// The number of its bytes.
        bytes: u64,
    },
    /// An array of values of one type.
    Array(Array),
}

/// Holds an array, or the part of it that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The type of its elements.
    pub kind: ValueKind,
    /// The number of its elements.
    pub len: u64,
    /// The elements as they lie in the file, for a [`Value`] of each is many times as large.
    numbers: Vec<u8>,
}

impl Array {
    /// Returns the elements, where they are at most 1,024 numbers; otherwise nothing.
    pub fn items(&self) -> impl Iterator<Item = Value> {
        self.numbers.chunks_exact(self.kind.least_bytes()).filter_map(|bytes| self.kind.number(bytes))
    }

    /// Returns one element, where it is kept.
    pub fn item(&self, index: usize) -> Option<Value> {
        self.items().nth(index)
    }
}

impl Value {
    /// Returns the value as a count.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Returns the value as a number with a fraction, where it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Float(number) = self { Some(*number) } else { None }
    }

    /// Returns the value as a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => self.as_u64().map(|number| number != 0),
        }
    }

    /// Returns the value as text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the value as an array.
    pub fn as_array(&self) -> Option<&Array> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// Reads the value of a key.
    pub(super) fn read(window: &mut Window, kind: ValueKind, key: &str) -> Result<Self> {
        match kind {
            ValueKind::Array => read_array(window, key, 0).map(Self::Array),
            ValueKind::String => read_text(window, key),
            number => read_number(window, number, key),
        }
    }
}

fn read_text(window: &mut Window, key: &str) -> Result<Value> {
    let bytes = window.u64("the length of a string")?;
    if bytes > KEPT_TEXT_BYTES {
        window.skip(bytes, &quoted(key))?;
        return Ok(Value::LongText { bytes });
    }
    let text = window.take(usize::try_from(bytes).unwrap_or(usize::MAX), "a string")?;
    Ok(Value::Text(String::from_utf8_lossy(text).into_owned()))
}

fn read_number(window: &mut Window, kind: ValueKind, key: &str) -> Result<Value> {
    let offset = window.offset();
    let bytes = window.take(kind.least_bytes(), "a number")?;
    kind.number(bytes).ok_or_else(|| no_truth(offset, key, bytes))
}

/// Reads few numbers, and keeps them as they lie in the file.
fn read_numbers(window: &mut Window, kind: ValueKind, bytes: usize, key: &str) -> Result<Vec<u8>> {
    let offset = window.offset();
    let numbers = window.take(bytes, "an array")?;
    match numbers.chunks_exact(kind.least_bytes()).find(|bytes| kind.number(bytes).is_none()) {
        None => Ok(numbers.to_vec()),
        Some(wrong) => Err(no_truth(offset, key, wrong)),
    }
}

/// Checks the bytes of a truth value. Any bytes are a number of the other types.
fn no_truth(offset: u64, key: &str, bytes: &[u8]) -> Error {
    let found = bytes.first().copied().unwrap_or_default();
    let reason = format!("{} is a truth of {found}, and truths are 0 or 1", quoted(key));
    Error::unsound_at(offset, reason)
}

/// Reads an array. It keeps few numbers; of any other array it keeps how many elements there are.
fn read_array(window: &mut Window, key: &str, depth: u32) -> Result<Array> {
    let offset = window.offset();
    if depth >= MAX_DEPTH {
        let reason = format!("{} has arrays more than {MAX_DEPTH} deep", quoted(key));
        return Err(Error::unsound_at(offset, reason));
    }
    let kind = ValueKind::read(window, key)?;
    let len = window.u64("the length of an array")?;
    let bytes = len.checked_mul(kind.least_bytes() as u64).ok_or_else(|| {
        Error::unsound_at(
            offset,
            format!("truncated: {} has {len} elements, more than any file", quoted(key)),
        )
    })?;
    window.expect(bytes, "an array")?;
    let mut numbers = Vec::new();
    match (kind, usize::try_from(bytes)) {
        (ValueKind::String, _) => window.skip_strings(len)?,
        (ValueKind::Array, _) => (0..len).try_for_each(|_| read_array(window, key, depth + 1).map(drop))?,
        (number, Ok(bytes)) if len <= KEPT_ITEMS => numbers = read_numbers(window, number, bytes, key)?,
        _ => window.skip(bytes, "an array")?,
    }
    Ok(Array { kind, len, numbers })
}
