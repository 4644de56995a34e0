//! What is allocated is paid for by bytes that were really read. A test binary of its own, for it counts every
//! allocation of its process.

#![expect(unsafe_code, reason = "an allocator that counts cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io,
};

use model_inspect::{ByteSource, gguf, safetensors};
use testkit::FakeModel;

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    /// What is held now, and the most that was; less than nothing where older bytes were freed.
    static HELD: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn note(bytes: usize) {
    let _ = ALLOCATED.try_with(|sum| sum.set(sum.get() + bytes));
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
    hold(bytes.cast_signed() as i64);
}

fn hold(bytes: i64) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps to the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        hold(-(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps to the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Says that it has many bytes, has few, and counts what is read.
struct Promising<'a> {
    bytes: &'a [u8],
    promised: u64,
    read: usize,
}

impl ByteSource for Promising<'_> {
    fn size_bytes(&self) -> u64 {
        self.promised
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read_at(offset, buffer)?;
        self.read += read;
        Ok(read)
    }
}

/// Sum and largest of the allocations, and the bytes read.
fn cost(
    bytes: &[u8],
    promised: u64,
    read: impl FnOnce(&mut dyn ByteSource) -> bool,
) -> (usize, usize, usize, bool) {
    let mut source = Promising { bytes, promised, read: 0 };
    ALLOCATED.set(0);
    LARGEST.set(0);
    let is_sound = read(&mut source);
    (ALLOCATED.get(), LARGEST.get(), source.read, is_sound)
}

#[track_caller]
fn check(bytes: &[u8], promised: u64, read: impl FnOnce(&mut dyn ByteSource) -> bool, sound: bool) {
    let (sum, largest, read, is_sound) = cost(bytes, promised, read);
    assert_eq!(is_sound, sound);
    // The first piece is 4 KiB; each further one as long as all before. Names and values are kept once, and lists grow
    // by doubling.
    assert!(largest <= 2 * read + 8192, "{largest} bytes at once for {read} bytes read");
    assert!(sum <= 16 * read + 16_384, "{sum} bytes for {read} bytes read");
}

fn read_gguf(source: &mut dyn ByteSource) -> bool {
    gguf::Header::read(source).is_ok()
}

fn read_safetensors(source: &mut dyn ByteSource) -> bool {
    safetensors::Header::read(source).is_ok()
}

const ENORMOUS: u64 = 1 << 60;

fn header(tensors: u64, keys: u64, rest: &[u8]) -> Vec<u8> {
    [b"GGUF\x03\0\0\0".as_slice(), &tensors.to_le_bytes(), &keys.to_le_bytes(), rest].concat()
}

/// A key `k` with a type and what follows.
fn key(kind: u32, rest: &[u8]) -> Vec<u8> {
    [1u64.to_le_bytes().as_slice(), b"k", &kind.to_le_bytes(), rest].concat()
}

#[test]
fn declared_counts_allocate_nothing() {
    let numbers = [1 << 16, 1 << 20, 1 << 24, 1 << 32, 1 << 40, 1 << 63, u64::MAX];
    for number in numbers {
        check(&header(number, 0, &[]), ENORMOUS, read_gguf, false);
        check(&header(0, number, &[]), ENORMOUS, read_gguf, false);
        let length = number.to_le_bytes();
        check(&header(0, 1, &length), ENORMOUS, read_gguf, false);
        check(&header(1, 1, &key(8, &length)), ENORMOUS, read_gguf, false);
        for kind in 0..=12u32 {
            let array = [kind.to_le_bytes().as_slice(), &length].concat();
            check(&header(1, 1, &key(9, &array)), ENORMOUS, read_gguf, false);
            let nested = [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes(), &array].concat();
            check(&header(1, 1, &key(9, &nested)), ENORMOUS, read_gguf, false);
        }
        check(&header(1, 0, &length), ENORMOUS, read_gguf, false);
        check(&length, ENORMOUS, read_safetensors, false);
        check(&[length.as_slice(), b"{\"a\":"].concat(), ENORMOUS, read_safetensors, false);
    }
    let long_but_allowed = 99_000_000u64.to_le_bytes();
    check(&[long_but_allowed.as_slice(), b"{"].concat(), ENORMOUS, read_safetensors, false);
}

#[test]
fn sound_headers_cost_a_multiple_of_what_is_read() {
    let model = FakeModel::gguf().to_bytes();
    check(&model, model.len() as u64, read_gguf, true);
    for end in (0..model.len()).step_by(97) {
        let part = model.get(..end).unwrap();
        let (sum, _, read, _) = cost(part, end as u64, read_gguf);
        assert!(sum <= 16 * read + 16_384, "{sum} bytes for {read} bytes read");
    }
}

/// Arrays that are kept, of the smallest numbers.
#[test]
fn arrays_are_kept_as_they_are() {
    for kind in [0u32, 7] {
        let array = [kind.to_le_bytes().as_slice(), &1024u64.to_le_bytes(), &[1; 1024]].concat();
        let keys = (0..1000u32).map(|n| {
            let name = format!("{n:04}");
            [&4u64.to_le_bytes(), name.as_bytes(), &9u32.to_le_bytes(), &array].concat()
        });
        let bytes = header(0, 1000, &keys.collect::<Vec<_>>().concat());
        let (sum, _, read, is_sound) = cost(&bytes, bytes.len() as u64, read_gguf);
        assert!(is_sound && read == bytes.len());
        assert!(sum <= 8 * read, "{sum} bytes for {read} bytes read");
    }
}

#[test]
fn large_arrays_are_not_built() {
    let mut rest = key(9, &[8u32.to_le_bytes().as_slice(), &200_000u64.to_le_bytes()].concat());
    for _ in 0..200_000 {
        rest.extend(5u64.to_le_bytes());
        rest.extend(b"token");
    }
    let bytes = header(0, 1, &rest);
    let (sum, largest, read, is_sound) = cost(&bytes, bytes.len() as u64, read_gguf);
    assert!(is_sound && read > bytes.len() / 2);
    // The window alone, as it grows.
    assert!(largest <= 2 * (1 << 20) && sum <= 3 * read, "{largest} at once, {sum} in all, for {read}");
}

/// What is held at most, for each byte of a header.
#[track_caller]
fn check_long(json: &str, times: usize) {
    let bytes = [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    HELD.set(0);
    MOST.set(0);
    let (.., read, is_sound) = cost(&bytes, bytes.len() as u64, read_safetensors);
    let most = usize::try_from(MOST.get()).unwrap_or(0);
    assert!(is_sound && read == bytes.len());
    assert!(most <= times * read, "{most} bytes at once, for {read} read");
}

/// Headers that hold as much as there can be in few bytes.
#[test]
fn long_headers_of_safetensors() {
    let list = |item: &dyn Fn(u32) -> String| (0..66_000).map(item).collect::<Vec<_>>().join(",");
    let tensors = list(&|n| format!(r#""{n:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#));
    check_long(&format!("{{{tensors}}}"), 3);
    let notes = list(&|n| format!(r#""{n:x}":"""#));
    check_long(&format!(r#"{{"__metadata__":{{{notes}}}}}"#), 2);
    let shape = list(&|_| "0".to_owned());
    check_long(&format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,0]}}}}"#), 2);
}

#[test]
fn the_allocator_counts() {
    let (sum, largest, ..) = cost(&[], 0, |_| Vec::<u8>::with_capacity(1 << 20).capacity() > 0);
    assert!(sum >= 1 << 20 && largest >= 1 << 20, "{sum} {largest}");
}
