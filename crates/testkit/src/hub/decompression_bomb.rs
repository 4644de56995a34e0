//! Makes a small body that unfolds to a huge one.

use bytes::Bytes;

/// The most bytes that one match of DEFLATE repeats.
const MATCH: u64 = 258;
/// The number of matches that fill whole bytes.
const GROUP: u64 = 8;

/// Makes a gzip file (RFC 1952) of that many zeros, about a 160th of their size.
///
/// It is one block with the fixed codes of RFC 1951: a zero, matches of 258 at distance 1, and zeros for what is left.
pub(super) fn gzip_of_zeros(size: u64) -> Bytes {
    let mut bits = Bits { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], held: 0, count: 0 };
    bits.push(0b011, 3);
    if size > 0 {
        bits.literal_zero();
        let matches = (size - 1) / MATCH;
        let (groups, rest) = (matches / GROUP, matches % GROUP);
        // The first group begins with a bit of the literal; from the second on, all are the same bytes.
        (0..GROUP * groups.min(1)).for_each(|_| bits.match_258());
        let start = bits.bytes.len();
        (0..GROUP * groups.saturating_sub(1).min(1)).for_each(|_| bits.match_258());
        let group = bits.bytes[start..].to_vec();
        for _ in 2..groups {
            bits.bytes.extend_from_slice(&group);
        }
        (0..rest).for_each(|_| bits.match_258());
        (0..(size - 1) % MATCH).for_each(|_| bits.literal_zero());
    }
    bits.push(0, 7);
    let mut bytes = bits.finish();
    bytes.extend_from_slice(&crc32_of_zeros(size).to_le_bytes());
    bytes.extend_from_slice(&size.to_le_bytes()[..4]);
    bytes.into()
}

/// Bits, the least significant first.
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Writes the literal 0, whose code is 00110000; codes go in with their first bit first.
    fn literal_zero(&mut self) {
        self.push(0b0000_1100, 8);
    }

    /// Writes a match: the code of length 258 is 11000101, that of distance 1 is 00000.
    fn match_258(&mut self) {
        self.push(0b1010_0011, 13);
    }

    fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.count % 8) % 8;
        self.push(0, missing);
        self.bytes
    }
}

/// Computes the CRC-32 of that many zeros, by squaring the step that one zero makes.
fn crc32_of_zeros(size: u64) -> u32 {
    let mut step: [u32; 32] = std::array::from_fn(|bit| {
        (0..8).fold(1 << bit, |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let apply = |step: &[u32; 32], crc: u32| {
        (0..32).filter(|bit| crc >> bit & 1 == 1).fold(0, |sum, bit| sum ^ step[bit])
    };
    let (mut crc, mut left) = (u32::MAX, size);
    while left > 0 {
        if left & 1 == 1 {
            crc = apply(&step, crc);
        }
        step = step.map(|column| apply(&step, column));
        left >>= 1;
    }
    !crc
}
