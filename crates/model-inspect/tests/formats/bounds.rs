//! A look at any bytes ends, reads no more than it may, and gives an answer.

use std::io;

use model_inspect::{ByteSource, MAX_FORMAT_BYTES, format_of};
use proptest::{collection::vec, prelude::*, sample::Index};
use provisioner_core::Format;
use testkit::{ZipWriter, tar};

/// Bytes in memory as a file of any size, with a count of what is read.
struct Counted<'a> {
    bytes: &'a [u8],
    size_bytes: u64,
    read_bytes: u64,
}

impl ByteSource for Counted<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(offset + buffer.len() as u64 <= self.size_bytes, "it reads past the end");
        // The bytes again and again, so that a large file costs no memory.
        for (at, byte) in buffer.iter_mut().enumerate() {
            let at = (offset + at as u64) % self.bytes.len() as u64;
            *byte = self.bytes[usize::try_from(at).unwrap()];
        }
        self.read_bytes += buffer.len() as u64;
        Ok(buffer.len())
    }
}

fn look(bytes: &[u8], size_bytes: u64) -> Format {
    let mut source = Counted { bytes, size_bytes, read_bytes: 0 };
    let format = format_of("model.dat", &mut source).unwrap();
    assert!(source.read_bytes <= MAX_FORMAT_BYTES, "{} bytes", source.read_bytes);
    format
}

#[test]
fn a_file_without_an_end_is_read_up_to_the_limit() {
    // One line, one string of opcodes, one tar of empty members.
    let empty_member = testkit::tar_header("a.txt", b'0', 0);
    for bytes in [b"V".as_slice(), b"N0", b"(", &empty_member] {
        assert_eq!(look(bytes, 1 << 40), Format::Archive, "{:?}", &bytes[..1]);
    }
    // Weights of nothing but zeros need no such reading.
    assert_eq!(look(&[0], 1 << 40), Format::Other);
}

#[test]
fn the_failure_of_a_source_is_no_answer() {
    struct Failing;
    impl ByteSource for Failing {
        fn size_bytes(&self) -> u64 {
            9
        }
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk"))
        }
    }
    assert_eq!(format_of("a", &mut Failing).unwrap_err().to_string(), "the disk");
}

fn sound() -> Vec<Vec<u8>> {
    let npy = b"\x93NUMPY\x01\0\x10\0{'descr': '<f4'}\0\0".as_slice();
    let zip = ZipWriter::of(&[("a.npy", npy), ("b/config.json", b"{}"), ("c", b"\x80\x02}.")]);
    let inner = zip.to_bytes();
    vec![
        inner.clone(),
        zip.clone().zip64().to_bytes(),
        zip.behind(b"prefix").commented(&inner).to_bytes(),
        tar(&[("a.txt", b"text"), ("inner.zip", &inner), ("b", npy)]),
        b"(dp0\nVa\np1\n(lp2\nI1\naI2\nasVb\np3\n(NVx\np4\ntp5\ns.".to_vec(),
        b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01K\x02e\x8c\x01b\x94N\x8c\x01x\x94\x86\x94u.".to_vec(),
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x4a\x4e\x49\x4b\xcf\xc8\x2c\x2a\x2e\x29\x2d\x2b\xaf\x48\x04\0".to_vec(),
        b"\x08\x08\x12\x07pytorch\x3a\x04\x0a\x02\x0a\0".to_vec(),
    ]
}

proptest! {
    #[test]
    fn any_bytes_have_a_format(bytes in vec(any::<u8>(), 1..2000), size in 0_u64..1 << 45) {
        look(&bytes, bytes.len() as u64);
        look(&bytes, size);
    }

    #[test]
    fn a_sound_file_with_other_bytes_in_it_has_a_format(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..8),
        cut in any::<Index>(),
    ) {
        let all = sound();
        let mut bytes = which.get(&all).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        look(&bytes, bytes.len() as u64);
        bytes.truncate(cut.index(bytes.len()) + 1);
        look(&bytes, bytes.len() as u64);
    }
}
