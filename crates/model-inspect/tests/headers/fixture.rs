//! Headers that are put together byte by byte, and models in memory.

use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

use model_inspect::{ByteSource, Error, ListedFile, ModelSource, gguf::Header, inspect_model};
use provisioner_core::RelativePath;

/// A GGUF header in which everything may be wrong.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u32,
    pub(crate) tensor_count: Option<u64>,
    pub(crate) key_count: Option<u64>,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) tensors: Vec<Vec<u8>>,
    pub(crate) data_bytes: usize,
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl Raw {
    pub(crate) fn new() -> Self {
        Self {
            magic: *b"GGUF",
            version: 3,
            tensor_count: None,
            key_count: None,
            keys: Vec::new(),
            tensors: Vec::new(),
            data_bytes: 0,
        }
    }

    /// A key with the bytes of a value.
    pub(crate) fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.push([&text(name), kind.to_le_bytes().as_slice(), value].concat());
        self
    }

    pub(crate) fn u32(self, name: &str, value: u32) -> Self {
        self.key(name, 4, &value.to_le_bytes())
    }

    pub(crate) fn string(self, name: &str, value: &str) -> Self {
        self.key(name, 8, &text(value))
    }

    /// A key with an array: the type of its elements, their count, and their bytes.
    pub(crate) fn array(self, name: &str, kind: u32, count: u64, values: &[u8]) -> Self {
        self.key(name, 9, &[&kind.to_le_bytes(), count.to_le_bytes().as_slice(), values].concat())
    }

    pub(crate) fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        let count = u32::try_from(dimensions.len()).unwrap();
        let sizes: Vec<u8> = dimensions.iter().flat_map(|size| size.to_le_bytes()).collect();
        self.tensors.push(
            [text(name).as_slice(), &count.to_le_bytes(), &sizes, &kind.to_le_bytes(), &offset.to_le_bytes()]
                .concat(),
        );
        self
    }

    pub(crate) fn data(mut self, bytes: usize) -> Self {
        self.data_bytes = bytes;
        self
    }

    /// The header alone.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.key_count.unwrap_or(self.keys.len() as u64).to_le_bytes());
        bytes.extend(self.keys.iter().chain(&self.tensors).flatten());
        bytes
    }

    /// Header, padding and data.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        if self.data_bytes > 0 {
            bytes.resize(bytes.len().next_multiple_of(32) + self.data_bytes, 0);
        }
        bytes
    }

    pub(crate) fn read(&self) -> Result<Header, Error> {
        Header::read(&mut self.bytes().as_slice())
    }
}

/// The fault of a header. A sound one fails the test.
pub(crate) fn fault(raw: &Raw) -> String {
    raw.read().map(|header| format!("{header:?}")).unwrap_err().to_string()
}

/// A model in memory.
#[derive(Default)]
pub(crate) struct InMemory {
    files: Vec<ListedFile>,
    bytes: BTreeMap<RelativePath, Vec<u8>>,
    pub(crate) entry: Option<RelativePath>,
    pub(crate) is_selection: bool,
    /// The files that were opened.
    pub(crate) opened: RefCell<Vec<String>>,
}

impl InMemory {
    pub(crate) fn new(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        let mut model = Self::default();
        for (name, bytes) in files {
            model.put(name, bytes);
        }
        model
    }

    pub(crate) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.bytes.insert(name.parse().unwrap(), bytes);
        let listed = self.bytes.iter().map(|(path, bytes)| ListedFile {
            path: path.clone(),
            size_bytes: bytes.len() as u64,
            format: None,
        });
        self.files = listed.collect();
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.bytes.remove(&name.parse().unwrap()).unwrap();
        self.files.retain(|file| file.path.as_str() != name);
    }
}

impl ModelSource for InMemory {
    fn files(&self) -> &[ListedFile] {
        &self.files
    }

    fn entry(&self) -> Option<&RelativePath> {
        self.entry.as_ref()
    }

    fn open(&self, path: &RelativePath) -> io::Result<Box<dyn ByteSource + '_>> {
        self.opened.borrow_mut().push(path.to_string());
        Ok(Box::new(self.bytes[path].as_slice()))
    }

    fn is_selection(&self) -> bool {
        self.is_selection
    }
}

/// Counts what is read of a source.
pub(crate) struct Counted<S> {
    pub(crate) source: S,
    pub(crate) size: u64,
    pub(crate) first: usize,
    pub(crate) reads: Rc<RefCell<Vec<usize>>>,
}

impl<S: ByteSource> Counted<S> {
    pub(crate) fn new(source: S) -> Self {
        let (size, first) = (source.size_bytes(), source.first_read_bytes());
        Self { source, size, first, reads: Rc::default() }
    }

    pub(crate) fn bytes_read(&self) -> usize {
        self.reads.borrow().iter().sum()
    }
}

impl<S: ByteSource> ByteSource for Counted<S> {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(offset, buffer)?;
        self.reads.borrow_mut().push(read);
        Ok(read)
    }

    fn first_read_bytes(&self) -> usize {
        self.first
    }
}

/// The error of a model that is refused, which says so much.
#[track_caller]
pub(crate) fn refused(model: &InMemory, says: &str) -> Error {
    let error = inspect_model(model).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    error
}
