//! Reads the header: everything before the tensors' data.

use std::collections::{BTreeMap, HashSet};

use super::{Tensor, TensorType, TypeTotal, Value, ValueKind, tensor};
use crate::{ByteSource, Error, Result, error::quoted, window::Window};

const MAGIC: [u8; 4] = *b"GGUF";
/// Limits a key, in bytes: "The key ... must be at most 2^16-1 bytes long".
const MAX_KEY_BYTES: u64 = 65_535;
const MAX_KEYS: u64 = 1 << 16;
/// Limits the tensors. The largest models known have some thousands; with every expert on its own, some ten thousands.
const MAX_TENSORS: u64 = 1 << 20;
/// The least bytes of a key and its value: a length, one byte, a type, and one byte.
const LEAST_KEY_BYTES: u64 = 14;
/// The key of the alignment, a "uint32". Both llama.cpp and its Python reader refuse any other type.
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

/// Holds the header of a GGUF file that was checked.
///
/// ```
/// use model_inspect::gguf::Header;
///
/// let bytes = testkit::FakeModel::gguf().to_bytes();
/// let header = Header::read(&mut bytes.as_slice())?;
/// assert_eq!(header.text("general.architecture"), Some("llama"));
/// # Ok::<(), model_inspect::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Header {
    version: u32,
    values: BTreeMap<String, Value>,
    tensors: Vec<Tensor>,
    end: u64,
}

impl Header {
    /// Reads and checks the header of a file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for version 1 and for big-endian files; [`Error::Unsound`] where the bytes are not a header,
    /// or where it is truncated, contradicts itself, or tells of tensors that the file does not hold.
    pub fn read(source: &mut dyn ByteSource) -> Result<Self> {
        let mut window = Window::new(source);
        let version = read_version(&mut window)?;
        let tensor_count = read_count(&mut window, "tensors", MAX_TENSORS)?;
        let key_count = read_count(&mut window, "keys", MAX_KEYS)?;
        window.expect(key_count * LEAST_KEY_BYTES + tensor_count * tensor::LEAST_BYTES, "the header")?;

        let mut values = BTreeMap::new();
        for _ in 0..key_count {
            let offset = window.offset();
            let key = read_key(&mut window)?;
            let kind = ValueKind::read(&mut window, &key)?;
            if key == ALIGNMENT && kind != ValueKind::U32 {
                return Err(Error::unsound_at(offset, format!("`{ALIGNMENT}` has a type other than u32")));
            }
            let value = Value::read(&mut window, kind, &key)?;
            if values.contains_key(&key) {
                return Err(Error::unsound_at(offset, format!("the key {} is there twice", quoted(&key))));
            }
            values.insert(key, value);
        }
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            tensors.push(Tensor::read(&mut window)?);
        }
        let header = Self { version, values, tensors, end: window.offset() };
        header.check(window.size())?;
        Ok(header)
    }

    fn check(&self, file_bytes: u64) -> Result<()> {
        let mut names = HashSet::new();
        if let Some(twice) = self.tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
            return Err(Error::unsound(format!("the tensor {} is there twice", quoted(&twice.name))));
        }
        let alignment = self.alignment()?;
        if self.tensors.is_empty() {
            return Ok(());
        }
        let data_start = self.end.next_multiple_of(alignment);
        tensor::check_extents(&self.tensors, alignment, file_bytes.saturating_sub(data_start))
    }

    fn alignment(&self) -> Result<u64> {
        let alignment = self.count(ALIGNMENT).unwrap_or(DEFAULT_ALIGNMENT);
        if alignment.is_power_of_two() {
            return Ok(alignment);
        }
        Err(Error::unsound(format!("`{ALIGNMENT}` is {alignment}, and must be a power of two")))
    }

    /// Returns the version of the format.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns all keys and their values.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// Returns the tensors, in the header's order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Returns how many bytes the header has, without the padding before the data.
    pub fn header_bytes(&self) -> u64 {
        self.end
    }

    /// Returns the tensors' types, and the sums over the tensors of each.
    pub fn types(&self) -> BTreeMap<TensorType, TypeTotal> {
        tensor::totals(&self.tensors)
    }

    /// Returns the value of a key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Returns the text of a key, where its value is a text of at most 64 KiB.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }

    /// Returns the count of a key, where its value is a count.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.value(key)?.as_u64()
    }
}

/// Returns whether a file with these first bytes is meant as GGUF, of any version and byte order.
pub(crate) fn is_beginning(first: [u8; 8]) -> bool {
    let [a, b, c, d, version @ ..] = first;
    let version = u32::from_le_bytes(version);
    [a, b, c, d] == MAGIC && (1..=0xffff).contains(&version.min(version.swap_bytes()))
}

fn read_version(window: &mut Window) -> Result<u32> {
    let unsupported = |reason: String| Error::Unsupported { file: None, reason };
    let magic: [u8; 4] = window.array("the magic")?;
    if magic == *b"vers" {
        return Err(Error::unsound_at(0, "is no GGUF; it looks like the pointer of Git LFS to one"));
    }
    if magic != MAGIC {
        let reason =
            format!("is no GGUF: it begins with \"{}\", and not with \"GGUF\"", magic.escape_ascii());
        return Err(Error::unsound_at(0, reason));
    }
    match window.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        1 => Err(unsupported("is GGUF version 1, and versions 2 and 3 are read".to_owned())),
        version if matches!(version.swap_bytes(), 1..=0xffff) => Err(unsupported(format!(
            "is big-endian GGUF, version {}, and little-endian files are read",
            version.swap_bytes()
        ))),
        version => Err(unsupported(format!("is GGUF version {version}, and versions 2 and 3 are read"))),
    }
}

fn read_count(window: &mut Window, what: &str, most: u64) -> Result<u64> {
    let offset = window.offset();
    let count = window.u64("a count")?;
    if count > most {
        return Err(Error::unsound_at(
            offset,
            format!("says that it has {count} {what}, and {most} are the most"),
        ));
    }
    Ok(count)
}

fn read_key(window: &mut Window) -> Result<String> {
    let offset = window.offset();
    let bytes = window.u64("a key")?;
    if bytes == 0 {
        return Err(Error::unsound_at(offset, "a key is empty"));
    }
    if bytes > MAX_KEY_BYTES {
        window.expect(bytes, "a key")?;
        let reason = format!("a key has {bytes} bytes, and {MAX_KEY_BYTES} are the most");
        return Err(Error::unsound_at(offset, reason));
    }
    let key = window.take(usize::try_from(bytes).unwrap_or(usize::MAX), "a key")?;
    let key = std::str::from_utf8(key);
    key.map(str::to_owned).map_err(|_| Error::unsound_at(offset, "a key is not UTF-8"))
}
