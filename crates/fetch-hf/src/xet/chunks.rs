//! Reads the chunks of a xorb as their bytes arrive.
//!
//! # Format
//! A chunk begins with a header of eight bytes (Xet's specification, "Xorb format"): the version, which is 0; the length of the
//! packed bytes that follow; how they are packed; and the length that they unpack to. Both lengths have three bytes, the lowest
//! first. Chunks follow each other without a gap.
//!
//! Bytes are packed as they are, as a frame of LZ4, or as a frame of LZ4 in groups of bytes: each first byte of four, each second,
//! each third and each fourth, as suits floating-point numbers.

use std::io::Read;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::TryStreamExt;
use lz4_flex::frame::FrameDecoder;
use provisioner_core::{ByteStream, FetchError};

use super::failure::unavailable;

/// The length of a header, in bytes.
const HEADER: usize = 8;

/// How many bytes a chunk unpacks to at the most.
const LONGEST: usize = 128 << 10;

const DAMAGED: &str = "what came is damaged";

/// Reads chunks that follow each other.
pub(super) struct Chunks {
    stream: ByteStream,
    /// How many bytes may still come.
    left: u64,
    /// Bytes that have arrived, and were not read yet.
    arrived: Bytes,
}

/// Holds a chunk as it is packed.
pub(super) struct Chunk {
    packing: u8,
    packed: Bytes,
    /// How many bytes it unpacks to.
    length: usize,
}

impl Chunks {
    /// Reads chunks out of so many bytes.
    pub(super) fn new(stream: ByteStream, length: u64) -> Self {
        Self { stream, left: length, arrived: Bytes::new() }
    }

    /// Returns the next chunk, once all of it has arrived.
    pub(super) async fn next(&mut self) -> Result<Chunk, FetchError> {
        let mut header = self.take(HEADER).await?;
        let version = header.get_u8();
        let packed = usize::try_from(header.get_uint_le(3)).unwrap_or(usize::MAX);
        let packing = header.get_u8();
        let length = usize::try_from(header.get_uint_le(3)).unwrap_or(usize::MAX);
        if version != 0 || length > LONGEST || packed > 2 * LONGEST {
            return Err(unavailable(DAMAGED));
        }
        Ok(Chunk { packing, packed: self.take(packed).await?, length })
    }

    /// Takes so many bytes. Those that arrived together are not copied.
    async fn take(&mut self, length: usize) -> Result<Bytes, FetchError> {
        if self.arrived.len() < length {
            let mut gathered = BytesMut::with_capacity(length);
            while self.arrived.len() < length - gathered.len() {
                gathered.extend_from_slice(&self.arrived);
                let next = self.stream.try_next().await?;
                self.arrived = next.ok_or_else(|| unavailable("a section ends early"))?;
                let left = self.left.checked_sub(self.arrived.len() as u64);
                self.left = left.ok_or_else(|| unavailable("a section has more bytes than it may"))?;
            }
            gathered.extend_from_slice(&self.arrived.split_to(length - gathered.len()));
            return Ok(gathered.freeze());
        }
        Ok(self.arrived.split_to(length))
    }
}

impl Chunk {
    /// Returns the bytes that the chunk unpacks to.
    pub(super) fn unpacked(self) -> Result<Bytes, FetchError> {
        let bytes = match self.packing {
            0 => self.packed,
            1 => self.inflated()?.into(),
            2 => ungrouped(&self.inflated()?).into(),
            _ => return Err(unavailable("what came is packed in an unknown way")),
        };
        if bytes.len() == self.length { Ok(bytes) } else { Err(unavailable(DAMAGED)) }
    }

    /// Returns the content of the frame. More bytes than the header states are cut off, but for one.
    fn inflated(&self) -> Result<Vec<u8>, FetchError> {
        let (mut bytes, most) = (Vec::with_capacity(self.length), self.length as u64 + 1);
        let read = FrameDecoder::new(&self.packed[..]).take(most).read_to_end(&mut bytes);
        read.map_err(|_| unavailable(DAMAGED))?;
        Ok(bytes)
    }
}

/// Puts bytes that are grouped by their place in four back into their order.
fn ungrouped(groups: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (vec![0; groups.len()], groups);
    let mut group = |place: usize| {
        let (group, others) = rest.split_at((groups.len() + 3 - place) / 4);
        rest = others;
        group
    };
    let places = [group(0), group(1), group(2), group(3)];
    let [first, second, third, fourth] = places;
    let mut fours = bytes.chunks_exact_mut(4);
    for ((((four, a), b), c), d) in fours.by_ref().zip(first).zip(second).zip(third).zip(fourth) {
        four.copy_from_slice(&[*a, *b, *c, *d]);
    }
    for (byte, group) in fours.into_remainder().iter_mut().zip(places) {
        *byte = group.last().copied().unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests;
