//! Makes and reads the bytes of a file, of which a caller can read any range without holding the whole.

use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Content that is synthetic repeats a tile of noise of this size.
const TILE: usize = 1 << 20;
/// Each page of synthetic content begins with a number of its own, so that no two are alike.
const PAGE: u64 = 4096;
const STAMP: u64 = 8;
/// How many bytes are read or made at once.
pub(super) const PIECE: usize = 256 << 10;

/// The bytes of a file: in memory, computed from their offset, or on disk.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Bytes),
    Synthetic { size: u64, seed: u64 },
    File { file: Arc<File>, size: u64 },
}

impl Content {
    /// Opens a file on disk. Its content has the size that the file has now.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = fs_err::File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self::File { file: Arc::new(file.into_file()), size })
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Synthetic { size, .. } | Self::File { size, .. } => *size,
        }
    }

    /// Returns the bytes that begin at an offset, from memory or through the buffer.
    pub(super) fn piece_at<'a>(
        &'a self,
        offset: u64,
        length: usize,
        buffer: &'a mut Vec<u8>,
    ) -> io::Result<&'a [u8]> {
        if let Self::Bytes(bytes) = self {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            return Ok(&bytes[start..start + length]);
        }
        buffer.resize(PIECE, 0);
        self.read_at(offset, &mut buffer[..length])?;
        Ok(&buffer[..length])
    }

    /// Fills a buffer with the bytes that begin at an offset.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            }
            Self::Synthetic { seed, .. } => fill(*seed, offset, buffer),
            Self::File { file, .. } => file.read_exact_at(buffer, offset)?,
        }
        Ok(())
    }

    /// Computes the SHA-256 of the whole, in hex.
    pub(super) fn sha256(&self) -> io::Result<String> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        while offset < self.size() {
            let length = piece(self.size() - offset);
            self.read_at(offset, &mut buffer[..length])?;
            hasher.update(&buffer[..length]);
            offset += length as u64;
        }
        Ok(hex::encode(hasher.finalize()))
    }
}

/// Returns how many of the bytes that are left go into one piece.
pub(super) fn piece(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}

/// Describes content of any size, which follows from a seed and which no process holds.
///
/// The hub makes it faster than it can send it. It copies a tile of noise, and begins each page of 4 KiB with a number that only
/// that page of that seed has. So a page that is moved, left out or sent twice changes the digest.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic {
    /// The length in bytes.
    pub size_bytes: u64,
    /// The number that tells it from others of its length.
    pub seed: u64,
}

impl Synthetic {
    /// Returns the bytes of a range.
    ///
    /// # Panics
    /// Where the range does not lie within the content.
    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        assert!(range.end <= self.size_bytes, "{range:?} of {}", self.size_bytes);
        let length = usize::try_from(range.end.saturating_sub(range.start)).expect("it fits in memory");
        let mut bytes = vec![0; length];
        fill(self.seed, range.start, &mut bytes);
        bytes
    }

    /// Computes the SHA-256 of the whole, in hex.
    ///
    /// # Panics
    /// Never, for it reads nothing.
    pub fn sha256(&self) -> String {
        let content = Content::Synthetic { size: self.size_bytes, seed: self.seed };
        content.sha256().expect("nothing is read")
    }
}

fn fill(seed: u64, offset: u64, buffer: &mut [u8]) {
    let tile = tile();
    let mut at = usize::try_from(offset % TILE as u64).unwrap_or(0);
    let mut rest = &mut buffer[..];
    while !rest.is_empty() {
        let length = rest.len().min(TILE - at);
        let (head, tail) = rest.split_at_mut(length);
        head.copy_from_slice(&tile[at..at + length]);
        (rest, at) = (tail, 0);
    }
    let end = offset + buffer.len() as u64;
    for page in offset / PAGE..end.div_ceil(PAGE) {
        let stamp = mix(seed ^ mix(page)).to_le_bytes();
        let start = page * PAGE;
        let shared = start.max(offset)..(start + STAMP).min(end);
        if shared.start < shared.end {
            let within = |n: u64, from: u64| usize::try_from(n - from).unwrap_or(0);
            buffer[within(shared.start, offset)..within(shared.end, offset)]
                .copy_from_slice(&stamp[within(shared.start, start)..within(shared.end, start)]);
        }
    }
}

fn tile() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| (0..TILE as u64 / 8).flat_map(|n| mix(n).to_le_bytes()).collect())
}

/// Mixes a number's bits: the output step of `SplitMix64`.
pub(super) fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_a_part_of_the_whole() {
        let synthetic = Synthetic { size_bytes: (TILE + 9000) as u64, seed: 3 };
        let whole = synthetic.bytes(0..synthetic.size_bytes);
        for start in [0, 1, 7, 8, 4095, 4096, 4099, TILE - 3, TILE, TILE + 8995] {
            for length in [0, 1, 5, 8, 4096, 5000] {
                let end = (start + length).min(whole.len());
                assert_eq!(synthetic.bytes(start as u64..end as u64), whole[start..end], "{start}..{end}");
            }
        }
        assert_eq!(synthetic.sha256(), hex::encode(Sha256::digest(&whole)));
        assert_ne!(synthetic.sha256(), Synthetic { seed: 4, ..synthetic }.sha256());
        assert_ne!(whole[..4096], whole[TILE..TILE + 4096], "no two pages are alike");
    }
}
