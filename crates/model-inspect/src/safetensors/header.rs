//! Reads the header of one safetensors file.
//!
//! # Memory
//! The parser reads a header as it arrives, tensor by tensor. Its text is never whole in memory. Each name is kept once, one behind
//! the other. Of a shape only the product is kept. The crate `safetensors` would keep a map of names and a list for each shape.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, Read},
};

use ::safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::{ByteSource, Error, Result, TypeShare, error::quoted, window::Window};

/// Limits a header, as the reference reader does ("there's a limit on the size of the header of 100MB").
const MAX_HEADER_BYTES: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;
/// How many bytes of a header the parser gets at once. They are few, for they are allocated before anything was read.
const PIECE_BYTES: usize = 1 << 10;

/// Holds the header of a safetensors file that was checked: its tensors follow each other without a gap or an overlap, each as long as
/// its type and shape say, up to the end of the file.
///
/// While it reads a header, it holds no more than three times the header's length, however short the tensors are.
#[derive(Clone, Debug)]
pub struct Header {
    tensors: Tensors,
    /// The tensors in the order of their names.
    by_name: Vec<u32>,
    length: u64,
}

/// Describes a tensor as the header tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderTensor {
    /// The type of its elements, such as `BF16`.
    pub kind: String,
    /// The number of its elements.
    pub elements: u64,
    /// The number of its bytes.
    pub bytes: u64,
}

impl Header {
    /// Reads and checks the header of a file.
    ///
    /// # Errors
    /// [`Error::Unsound`] where the bytes are not a header, or where it is truncated or does not fit the file.
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
        let end = LENGTH_BYTES + length;
        let data_bytes = window.size() - end;
        Self::check(parse(&mut window, end)?, length, data_bytes)
    }

    fn check(mut tensors: Tensors, length: u64, data_bytes: u64) -> Result<Self> {
        tensors.list.sort_unstable_by_key(|tensor| (tensor.begin, tensor.end));
        let mut tensor_bytes = 0;
        for tensor in &tensors.list {
            if tensor.begin != tensor_bytes {
                let name = quoted(tensors.name(tensor));
                return Err(unsound(format!(
                    "its header is unsound: the tensor {name} is not behind another"
                )));
            }
            tensor_bytes = tensor.end;
        }
        if tensor_bytes != data_bytes {
            let why = if tensor_bytes > data_bytes { "it is truncated" } else { "it is too long" };
            let reason = format!("its tensors have {tensor_bytes} bytes, and {data_bytes} are there: {why}");
            return Err(Error::unsound(reason));
        }
        let by_name = tensors.by_name()?;
        Ok(Self { tensors, by_name, length })
    }

    /// Returns how many bytes it takes in its file, without its own length.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the names of the tensors, in the order of their data.
    pub fn names(&self) -> Vec<String> {
        self.each_name().map(str::to_owned).collect()
    }

    /// Returns the names of the tensors, in the order of their data, without copies.
    pub(crate) fn each_name(&self) -> impl Iterator<Item = &str> {
        self.tensors.list.iter().map(|tensor| self.tensors.name(tensor))
    }

    /// Finds a tensor by its name.
    pub fn tensor(&self, name: &str) -> Option<HeaderTensor> {
        let at = |number: &u32| self.tensors.list.get(*number as usize);
        let name_at = |number: &u32| at(number).map(|tensor| self.tensors.name(tensor));
        let found = self.by_name.binary_search_by(|number| name_at(number).cmp(&Some(name))).ok()?;
        Some(HeaderTensor::of(at(self.by_name.get(found)?)?))
    }

    pub(crate) fn add_types(&self, types: &mut BTreeMap<String, TypeShare>) {
        for tensor in self.tensors.list.iter().map(HeaderTensor::of) {
            let share = TypeShare { tensors: 1, elements: tensor.elements, bytes: Some(tensor.bytes) };
            types.entry(tensor.kind).or_insert(TypeShare::NOTHING).add(share);
        }
    }
}

impl HeaderTensor {
    fn of(tensor: &Tensor) -> Self {
        let bytes = tensor.end - tensor.begin;
        // The elements fill the bytes, and these are in a file.
        let elements = bytes.saturating_mul(8) / (tensor.kind.bitsize() as u64).max(1);
        Self { kind: tensor.kind.to_string(), elements, bytes }
    }
}

fn unsound(reason: String) -> Error {
    Error::unsound_at(LENGTH_BYTES, reason)
}

/// Reads the tensors of a header that ends at an offset.
fn parse(window: &mut Window<'_>, end: u64) -> Result<Tensors> {
    let mut rest = Rest { window, end, failure: None };
    let mut first = [0];
    let begins = rest.read(&mut first).is_ok_and(|read| read == 1 && first == *b"{");
    let parsed = if begins {
        let json = BufReader::with_capacity(PIECE_BYTES, first.as_slice().chain(&mut rest));
        serde_json::from_reader(json)
            .map_err(|error| unsound(format!("its header is unsound: {}", quoted(&error.to_string()))))
    } else {
        Err(unsound("is no safetensors: its header does not begin with `{`".to_owned()))
    };
    match rest.failure {
        Some(failure) => Err(failure),
        None => parsed,
    }
}

/// Reads the rest of a header through a window.
struct Rest<'a, 'w> {
    window: &'a mut Window<'w>,
    end: u64,
    /// The error of the source, of which the parser knows only that there was one.
    failure: Option<Error>,
}

impl Read for Rest<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.window.offset()).unwrap_or(usize::MAX);
        let bytes = left.min(buffer.len()).min(PIECE_BYTES);
        match self.window.take(bytes, "the header") {
            Ok(taken) => {
                buffer.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
                Ok(bytes)
            }
            Err(failure) => {
                self.failure = Some(failure);
                Err(io::Error::other("the header cannot be read"))
            }
        }
    }
}

/// Collects the tensors of a header.
#[derive(Clone, Debug, Default)]
struct Tensors {
    /// All names, one behind the other.
    names: String,
    list: Vec<Tensor>,
}

/// The places of a tensor's name and of its data. 32 bits are enough, for the header has at most 100 MB.
#[derive(Clone, Copy, Debug)]
struct Tensor {
    name: u32,
    name_bytes: u32,
    begin: u64,
    end: u64,
    kind: Dtype,
}

impl Tensors {
    fn name(&self, tensor: &Tensor) -> &str {
        let begin = tensor.name as usize;
        self.names.get(begin..begin + tensor.name_bytes as usize).unwrap_or_default()
    }

    /// Returns the numbers of the tensors in the order of their names, each of which must be there once ("Duplicate keys are
    /// disallowed").
    fn by_name(&self) -> Result<Vec<u32>> {
        let name = |number: &u32| self.list.get(*number as usize).map_or("", |tensor| self.name(tensor));
        let mut numbers: Vec<u32> = (0..).take(self.list.len()).collect();
        numbers.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        match numbers.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
            Some(pair) => Err(unsound(format!("the tensor {} is there twice", quoted(name(&pair[0]))))),
            None => Ok(numbers),
        }
    }

    /// Adds a tensor under the name that begins at an offset.
    fn add(&mut self, name: usize, described: &Described) -> Result<(), String> {
        let short = |number: usize| u32::try_from(number).map_err(|_| "its names are too long".to_owned());
        let (begin, end) = described.data_offsets;
        let bits =
            described.shape.0.and_then(|elements| elements.checked_mul(described.dtype.bitsize() as u64));
        if bits.is_none_or(|bits| bits % 8 != 0 || end.checked_sub(begin) != Some(bits / 8)) {
            let name = quoted(self.names.get(name..).unwrap_or_default());
            return Err(format!("the tensor {name} is not as long as its type and shape say"));
        }
        let (name, name_bytes) = (short(name)?, short(self.names.len() - name)?);
        self.list.push(Tensor { name, name_bytes, begin, end, kind: described.dtype });
        Ok(())
    }
}

/// Reads a tensor as it is written.
#[derive(Deserialize)]
struct Described {
    dtype: Dtype,
    shape: Elements,
    data_offsets: (u64, u64),
}

/// Counts the elements of a shape; `None` where 64 bits cannot count them.
struct Elements(Option<u64>);

/// Checks the writer's notes: texts by name. No reader asks for them.
struct Notes;

/// Adds a name behind the others.
struct Name<'a>(&'a mut String);

/// Checks a text, and does not keep it.
struct Text;

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TensorsVisitor)
    }
}

struct TensorsVisitor;

impl<'de> Visitor<'de> for TensorsVisitor {
    type Value = Tensors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
        let mut tensors = Tensors::default();
        loop {
            let name = tensors.names.len();
            if map.next_key_seed(Name(&mut tensors.names))?.is_none() {
                return Ok(tensors);
            }
            if tensors.names.get(name..) == Some("__metadata__") {
                tensors.names.truncate(name);
                map.next_value::<Option<Notes>>()?;
            } else {
                let described = map.next_value()?;
                tensors.add(name, &described).map_err(A::Error::custom)?;
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.push_str(name);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut shape: A) -> Result<Elements, A::Error> {
        let mut elements = Some(1u64);
        while let Some(size) = shape.next_element::<u64>()? {
            elements = elements.and_then(|elements| elements.checked_mul(size));
        }
        Ok(Elements(elements))
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
        while map.next_entry::<Text, Text>()?.is_some() {}
        Ok(Notes)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, _: &str) -> Result<Text, E> {
        Ok(Text)
    }
}
