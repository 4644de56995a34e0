//! Computes the SHA-256 of two streams at once, on one processor, in the time that one takes.
//!
//! # Why two
//! A round of SHA-256 needs the result of the round before it, so the processor's SHA unit waits for most of its time: its
//! instruction takes four cycles, and a new one may begin every other cycle. Rounds of a second stream fill the gaps. More than two
//! streams bring nothing more.
//!
//! # What is ours
//! One stream goes through the crate `sha2`, block by block. Only the loop over two streams is ours, in `x86`; it needs the SHA
//! instructions of x86-64. Elsewhere [`update_both`] hashes one stream after the other, and [`is_quicker_in_pairs`] says so.
//!
//! The constants, the padding and the rounds are those of [FIPS 180-4](https://doi.org/10.6028/NIST.FIPS.180-4).

#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;

use sha2::block_api::compress256;

/// The size of a block, in bytes.
const BLOCK: usize = 64;

/// Where the padding has the length of the message.
const LENGTH_AT: usize = BLOCK - size_of::<u64>();

type Block = [u8; BLOCK];

/// The state before the first block.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Computes the SHA-256 of bytes that come in pieces.
///
/// ```
/// use paired_sha256::{Sha256, update_both};
///
/// let (mut one, mut other) = (Sha256::new(), Sha256::new());
/// update_both((&mut one, b"ab"), (&mut other, b""));
/// one.update(b"c");
/// assert!(one.finish().starts_with(&[0xba, 0x78, 0x16, 0xbf]));
/// assert!(other.finish().starts_with(&[0xe3, 0xb0, 0xc4, 0x42]));
/// ```
#[derive(Clone)]
pub struct Sha256 {
    state: [u32; 8],
    /// The bytes of a block that has not all of them yet.
    begun: Block,
    /// How many bytes came.
    length: u64,
}

impl Sha256 {
    /// Begins with no byte.
    pub const fn new() -> Self {
        Self { state: INITIAL, begun: [0; BLOCK], length: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.complete(bytes).as_chunks();
        self.compress(blocks);
        self.keep(rest);
    }

    /// Returns the digest of all bytes.
    pub fn finish(mut self) -> [u8; 32] {
        let length_bits = self.length.wrapping_mul(8);
        let begun = self.begun_bytes();
        let padding = if begun < LENGTH_AT { LENGTH_AT } else { LENGTH_AT + BLOCK } - begun;
        let mut end = [0; 2 * BLOCK];
        end[0] = 0x80;
        end[padding..padding + size_of::<u64>()].copy_from_slice(&length_bits.to_be_bytes());
        self.update(&end[..padding + size_of::<u64>()]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// Completes the block that has begun, and returns the bytes behind it: none where the block lacks bytes still.
    fn complete<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let begun = self.begun_bytes();
        if begun == 0 {
            return bytes;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - begun));
        self.keep(head);
        if self.begun_bytes() == 0 {
            compress256(&mut self.state, &[self.begun]);
        }
        rest
    }

    /// Takes whole blocks, where none has begun.
    fn compress(&mut self, blocks: &[Block]) {
        compress256(&mut self.state, blocks);
        self.length += blocks.as_flattened().len() as u64;
    }

    /// Keeps bytes that do not fill the block.
    fn keep(&mut self, bytes: &[u8]) {
        let begun = self.begun_bytes();
        self.begun[begun..begun + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u64;
    }

    /// Returns how many bytes of the next block are here. The lowest byte of the length tells, for 256 is a multiple of the block.
    fn begun_bytes(&self) -> usize {
        usize::from(self.length.to_le_bytes()[0]) % BLOCK
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha256").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Takes the next bytes of two streams. Where both have as many, it takes as long as one of them.
pub fn update_both(one: (&mut Sha256, &[u8]), other: (&mut Sha256, &[u8])) {
    let ((one, one_bytes), (other, other_bytes)) = (one, other);
    let (one_blocks, one_rest) = one.complete(one_bytes).as_chunks();
    let (other_blocks, other_rest) = other.complete(other_bytes).as_chunks();
    #[cfg(target_arch = "x86_64")]
    let (one_blocks, other_blocks) = compress_both((one, one_blocks), (other, other_blocks));
    for (stream, blocks, rest) in [(one, one_blocks, one_rest), (other, other_blocks, other_rest)] {
        stream.compress(blocks);
        stream.keep(rest);
    }
}

/// Takes as many blocks of one stream as of the other, where the processor can, and returns those that are left.
#[cfg(target_arch = "x86_64")]
fn compress_both<'a>(
    (one, one_blocks): (&mut Sha256, &'a [Block]),
    (other, other_blocks): (&mut Sha256, &'a [Block]),
) -> (&'a [Block], &'a [Block]) {
    let both = if is_quicker_in_pairs() { one_blocks.len().min(other_blocks.len()) } else { 0 };
    let (one_first, one_rest) = one_blocks.split_at(both);
    let (other_first, other_rest) = other_blocks.split_at(both);
    if both > 0 {
        x86::compress_both([&mut one.state, &mut other.state], [one_first, other_first]);
        one.length += one_first.as_flattened().len() as u64;
        other.length += other_first.as_flattened().len() as u64;
    }
    (one_rest, other_rest)
}

/// Returns whether this processor hashes two streams in less time than one after the other.
pub fn is_quicker_in_pairs() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_instructions = x86::has_instructions();
    #[cfg(not(target_arch = "x86_64"))]
    let has_instructions = false;
    has_instructions
}
