//! How much is read: counted, not timed.

use std::io;

use model_inspect::{
    ByteSource, Error, Seekable,
    gguf::{Header, Value},
    inspect,
};
use testkit::GgufWriter;

use crate::fixture::{Counted, Raw, text};

/// A header of about so many bytes, most of them tokens and merges, as in the vocabularies of real models.
fn header_of(bytes: usize) -> Raw {
    let count = bytes / 28;
    let tokens = text("tokens").repeat(count);
    let merges = text("merges").repeat(count);
    Raw::new()
        .string("general.architecture", "llama")
        .array("tokenizer.ggml.tokens", 8, count as u64, &tokens)
        .array("tokenizer.ggml.merges", 8, count as u64, &merges)
        .tensor("t", &[8], 0, 0)
}

/// A small header, and then nothing but a size.
struct Endless {
    header: Vec<u8>,
    size: u64,
}

impl ByteSource for Endless {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        (&mut self.header.as_slice()).read_at(offset, buffer)?;
        Ok(buffer.len())
    }
}

#[test]
fn less_than_twice_the_header() {
    for bytes in [5_000, 40_000, 300_000, 1 << 20, (4 << 20) + 50, 9 << 20] {
        let header = header_of(bytes).header();
        let len = header.len();
        let mut source = Counted::new(Endless { header, size: 100_000_000_000 });
        let read = Header::read(&mut source).unwrap();
        assert_eq!(read.header_bytes(), len as u64);
        assert!(
            source.bytes_read() >= len && source.bytes_read() < 2 * len,
            "{len}: {}",
            source.bytes_read()
        );
    }
}

#[test]
fn a_sparse_file_of_100_gb() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.gguf");
    let elements = 25_000_000_000u64;
    let header = header_of(1 << 20).tensor("u", &[elements], 0, 32).header();
    fs_err::write(&path, &header).unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(header.len().next_multiple_of(32) as u64 + 32 + elements * 4).unwrap();
    assert_eq!(inspect(&path).unwrap().details.facts.parameter_count, Some(elements + 8));
    let mut source = Counted::new(Seekable::new(fs_err::File::open(&path).unwrap()).unwrap());
    assert_eq!(Header::read(&mut source).unwrap().tensors().len(), 2);
    assert!(source.size_bytes() > 100_000_000_000);
    assert!(source.bytes_read() < 2 * header.len(), "{}", source.bytes_read());
}

#[test]
fn ranged_requests_are_few() {
    let header = header_of(8 << 20).header();
    let len = header.len();
    let mut source = Counted::new(Endless { header, size: 5_000_000_000 });
    source.first = 256 << 10;
    Header::read(&mut source).unwrap();
    assert!(source.bytes_read() < 16 << 20, "{}", source.bytes_read());
    assert!(source.reads.borrow().len() <= 12, "{len}: {:?}", source.reads.borrow());
}

#[test]
fn arrays_of_numbers_are_not_read() {
    let mut writer = GgufWriter::default();
    writer.string("general.architecture", "llama").f32s("scores", &vec![0.0; 1_000_000]).u32("last", 7);
    let bytes = writer.to_bytes();
    let mut source = Counted::new(bytes.as_slice());
    let header = Header::read(&mut source).unwrap();
    assert_eq!(header.count("last"), Some(7));
    assert_eq!(header.value("scores").and_then(Value::as_array).unwrap().len, 1_000_000);
    assert!(source.bytes_read() < 20_000, "{}", source.bytes_read());
}

/// Gives one byte at a time, and is interrupted in between.
struct Stutter<'a>(&'a [u8], bool);

impl ByteSource for Stutter<'_> {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let first = buffer.get_mut(..1).unwrap();
        self.0.read_at(offset, first)
    }
}

#[test]
fn short_reads_are_continued() {
    let bytes = header_of(300).data(32).bytes();
    let header = Header::read(&mut Stutter(&bytes, false)).unwrap();
    assert_eq!(header.tensors().len(), 1);
}

#[test]
fn a_source_that_ends_too_early() {
    let bytes = header_of(300).header();
    let mut source = Counted::new(bytes.get(..150).unwrap());
    source.size = 100_000_000_000;
    let error = Header::read(&mut source).unwrap_err();
    assert!(matches!(error, Error::Unsound { offset: Some(_), .. }), "{error:?}");
    assert!(error.to_string().contains("its source ended at byte"), "{error}");
}

#[test]
fn a_header_without_an_end_is_given_up() {
    // Strings of no bytes, as far as a hole in a file goes.
    let header = Raw::new().array("k", 8, 12_000_000_000, &[]).header();
    let mut source = Counted::new(Endless { header, size: 100_000_000_000 });
    let error = Header::read(&mut source).unwrap_err().to_string();
    assert!(error.contains("the longest header that is read"), "{error}");
    assert!(source.bytes_read() < 10_000, "{}", source.bytes_read());
}
