//! Inflates the beginning of a deflated stream, so that the first bytes of a compressed member tell its format.
//!
//! Source: RFC 1951. The default build has no crate that inflates, and this needs a few thousand bytes alone: speed is no matter.

/// The longest code of a symbol, in bits.
const MAX_BITS: usize = 15;
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LENGTH_BITS: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_BITS: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// The order in which a block lists the lengths of the codes for lengths of codes.
const CODE_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How many bytes of a stream, at the most, an encoder needs before the first bytes that it tells: tables of codes.
const MOST_TABLES: usize = 512;
/// How many bytes stand behind the only stream of a file, at the most: a checksum and a length.
const MOST_TRAILER: usize = 8;

/// Holds what a stream begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    pub(super) bytes: Vec<u8>,
    /// Whether a program that reads on finds more than these bytes let expect: the stream spends its bytes on telling next to nothing,
    /// or another one follows its end.
    pub(super) hides: bool,
}

/// Returns what a stream begins with, up to `most` bytes, or less where the given bytes end. `None` where it is not a stream.
pub(super) fn beginning(stream: &[u8], most: usize) -> Option<Inflated> {
    let mut inflater = Inflater { stream, at: 0, bits: 0, count: 0, out: Vec::new(), most };
    let hides = match inflater.run() {
        Ok(()) => stream.len() - inflater.at > MOST_TRAILER,
        Err(End::Enough) => false,
        Err(End::Input) => inflater.out.len() + MOST_TABLES < stream.len(),
        Err(End::Wrong) => return None,
    };
    Some(Inflated { bytes: inflater.out, hides })
}

/// Says why inflating ended before the stream did.
enum End {
    Enough,
    Input,
    Wrong,
}

type Step<T> = Result<T, End>;

struct Inflater<'a> {
    stream: &'a [u8],
    at: usize,
    bits: u32,
    count: u32,
    out: Vec<u8>,
    most: usize,
}

impl Inflater<'_> {
    fn run(&mut self) -> Step<()> {
        loop {
            let is_last = self.take(1)? == 1;
            match self.take(2)? {
                0 => self.stored()?,
                1 => self.symbols(&Codes::fixed_lengths(), &Codes::new(&[5; 30]))?,
                2 => {
                    let (lengths, distances) = self.tables()?;
                    self.symbols(&lengths, &distances)?;
                }
                _ => return Err(End::Wrong),
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn take(&mut self, count: u32) -> Step<usize> {
        while self.count < count {
            let byte = self.stream.get(self.at).ok_or(End::Input)?;
            self.bits |= u32::from(*byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
        let value = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count;
        Ok(value as usize)
    }

    fn push(&mut self, byte: u8) -> Step<()> {
        if self.out.len() >= self.most {
            return Err(End::Enough);
        }
        self.out.push(byte);
        Ok(())
    }

    fn stored(&mut self) -> Step<()> {
        self.take(self.count % 8)?;
        let (length, complement) = (self.take(16)?, self.take(16)?);
        if length != complement ^ 0xffff {
            return Err(End::Wrong);
        }
        for _ in 0..length {
            let byte = self.take(8)?;
            self.push(u8::try_from(byte).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Reads the tables of a block that has its own.
    fn tables(&mut self) -> Step<(Codes, Codes)> {
        let (literals, distances, codes) = (self.take(5)? + 257, self.take(5)? + 1, self.take(4)? + 4);
        let mut of_codes = [0; 19];
        for index in CODE_ORDER.iter().take(codes) {
            let bits = self.take(3)?;
            if let Some(length) = of_codes.get_mut(*index) {
                *length = u8::try_from(bits).unwrap_or_default();
            }
        }
        let of_codes = Codes::new(&of_codes);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match self.symbol(&of_codes)? {
                16 => (*lengths.last().ok_or(End::Wrong)?, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (u8::try_from(length).unwrap_or_default(), 1),
            };
            lengths.resize(lengths.len() + times, value);
        }
        if lengths.len() != literals + distances {
            return Err(End::Wrong);
        }
        let (literals, distances) = lengths.split_at(literals);
        Ok((Codes::new(literals), Codes::new(distances)))
    }

    /// Reads the symbols of a block.
    fn symbols(&mut self, lengths: &Codes, distances: &Codes) -> Step<()> {
        loop {
            let symbol = self.symbol(lengths)?;
            match u8::try_from(symbol) {
                Ok(literal) => self.push(literal)?,
                Err(_) if symbol == 256 => return Ok(()),
                Err(_) => self.copy(symbol - 257, distances)?,
            }
        }
    }

    fn copy(&mut self, length: usize, distances: &Codes) -> Step<()> {
        let length = self.ranged(&LENGTH_BASE, &LENGTH_BITS, length)?;
        let symbol = self.symbol(distances)?;
        let distance = self.ranged(&DISTANCE_BASE, &DISTANCE_BITS, symbol)?;
        for _ in 0..length {
            let from = self.out.len().checked_sub(distance).ok_or(End::Wrong)?;
            let byte = *self.out.get(from).ok_or(End::Wrong)?;
            self.push(byte)?;
        }
        Ok(())
    }

    fn ranged(&mut self, bases: &[u16], bits: &[u8], index: usize) -> Step<usize> {
        let (base, bits) = bases.get(index).zip(bits.get(index)).ok_or(End::Wrong)?;
        Ok(usize::from(*base) + self.take(u32::from(*bits))?)
    }

    fn symbol(&mut self, codes: &Codes) -> Step<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in codes.counts.iter().skip(1) {
            code |= self.take(1)?;
            if code < first + count {
                return codes.symbols.get(index + code - first).copied().ok_or(End::Wrong);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(End::Wrong)
    }
}

/// The codes of some symbols: how many have each length, and the symbols in the order of their codes.
struct Codes {
    counts: [usize; MAX_BITS + 1],
    symbols: Vec<usize>,
}

impl Codes {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; MAX_BITS + 1];
        let mut symbols: Vec<_> =
            (0..lengths.len()).filter(|symbol| lengths.get(*symbol) > Some(&0)).collect();
        symbols.sort_by_key(|symbol| lengths.get(*symbol).copied());
        for length in symbols.iter().filter_map(|symbol| lengths.get(*symbol)) {
            if let Some(count) = counts.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        Self { counts, symbols }
    }

    fn fixed_lengths() -> Self {
        Self::new(&[[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat())
    }
}

#[cfg(test)]
mod tests;
