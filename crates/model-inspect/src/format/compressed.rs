//! Tells compressed files by their magic numbers, and what deflated ones begin with.
//!
//! Sources: RFC 1950 (zlib), RFC 1952 (gzip), and the specifications of bzip2, xz, LZMA, Zstandard, LZ4, 7z and RAR. joblib reads most
//! of them whatever a file's name is, and Python's `tarfile` some.

use provisioner_core::Format;

use super::{
    danger::dangerous,
    inflate::{self, Inflated},
    look::{Look, MAX_DEPTH, Told},
};

/// The magic numbers of formats that are not looked into.
const MAGICS: [&[u8]; 7] = [
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf\x27\x1c",
    b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18",
    b"Rar!\x1a\x07",
    // joblib's own, of before it used those of other programs.
    b"ZF0x",
];
/// What a gzip file of deflated bytes begins with.
const GZIP: &[u8] = b"\x1f\x8b\x08";
/// How many bytes, at the most, a file that is not zlib's inflates to by chance.
const MOST_BY_CHANCE: usize = 4096;
/// What a bzip2 file has behind its magic number and its level.
const BZIP2_BLOCK: &[u8] = b"1AY&SY";
/// How much of a stream is inflated, in bytes.
const INFLATED: usize = 64 * 1024;

/// Returns the format of a compressed file; `None` for any other, and for compressed text.
pub(super) fn tell(look: &Look<'_>, beginning: &[u8], file_name: &str, depth: usize) -> Told<Option<Format>> {
    if beginning.starts_with(GZIP) {
        // The header may be longer than the bytes that are looked at.
        let inside = gzip_stream(beginning).and_then(|stream| inflate::beginning(stream, INFLATED));
        let Some(inside) = inside else { return Ok(Some(Format::Archive)) };
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        return within(look, &inside, stem, depth);
    }
    if let Some(stream) = zlib_stream(beginning) {
        // Two bytes are no proof, so there must be much inside, or what is inside must tell.
        let Some(inside) = inflate::beginning(stream, INFLATED) else { return Ok(None) };
        let found = within(look, &inside, "", depth)?;
        let is_proven = inside.hides || inside.bytes.len() >= MOST_BY_CHANCE;
        return Ok(found.filter(|found| is_proven || *found != Format::Archive));
    }
    let is_bzip2 = beginning.starts_with(b"BZh") && beginning.get(4..10) == Some(BZIP2_BLOCK);
    let is_skipped = matches!(beginning, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    let is_archive = is_bzip2
        || is_skipped
        || is_lzma(beginning)
        || MAGICS.iter().any(|magic| beginning.starts_with(magic));
    Ok(is_archive.then_some(Format::Archive))
}

/// Returns the format of what a stream begins with: `None` for text.
fn within(look: &Look<'_>, inside: &Inflated, file_name: &str, depth: usize) -> Told<Option<Format>> {
    // A file may inflate to itself.
    if depth >= MAX_DEPTH {
        return Ok(Some(Format::Archive));
    }
    Ok(match look.member_beginning(&inside.bytes, file_name, depth)? {
        Format::Text if !inside.hides => None,
        found => dangerous(found).or(Some(Format::Archive)),
    })
}

/// Returns the deflated stream of a gzip file, behind the header.
fn gzip_stream(beginning: &[u8]) -> Option<&[u8]> {
    let [flags, _, _, _, _, _, _, rest @ ..] = beginning.strip_prefix(GZIP)? else { return None };
    let mut rest = rest;
    if flags & 4 != 0 {
        let length = rest.get(..2).and_then(|length| length.try_into().ok()).map(u16::from_le_bytes)?;
        rest = rest.get(2 + usize::from(length)..)?;
    }
    // The name, and the comment.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & 2 != 0 { rest.get(2..) } else { Some(rest) }
}

/// Returns the deflated stream of a zlib file, behind the header.
fn zlib_stream(beginning: &[u8]) -> Option<&[u8]> {
    let [method, flags, stream @ ..] = beginning else { return None };
    let is_zlib = method & 0x0f == 8
        && method >> 4 <= 7
        && flags & 0x20 == 0
        && u16::from_be_bytes([*method, *flags]).is_multiple_of(31);
    is_zlib.then_some(stream)
}

/// Returns whether a file is LZMA without a container: the usual properties, and the zero byte with which the stream begins. The
/// dictionary has a size that encoders choose, or its first byte is zero, which is enough for joblib; the size is not known or plausible.
fn is_lzma(beginning: &[u8]) -> bool {
    let [0x5d, a, b, c, d, size @ ..] = beginning else { return false };
    let begins = size.get(8) == Some(&0);
    if begins && *a == 0 {
        return true;
    }
    let dictionary = u32::from_le_bytes([*a, *b, *c, *d]);
    let is_usual = dictionary >= 4096
        && (dictionary.is_power_of_two() || (dictionary % 3 == 0 && (dictionary / 3).is_power_of_two()));
    let size = size.get(..8).and_then(|size| size.try_into().ok()).map(u64::from_le_bytes);
    is_usual && size.is_some_and(|size| size == u64::MAX || size < 1 << 40) && begins
}
