//! Makes small files of weights: sound, and as long and as different as a test needs them.

/// The smallest GGUF, without a key and without a tensor.
pub const TINY_GGUF: &[u8] = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// How many bytes of such a file are its header.
const GGUF_HEADER_BYTES: usize = 64;
const SAFETENSORS_HEADER_BYTES: usize = 96;

/// How many bytes of a pattern make a row.
const ROW_BYTES: usize = 251;

/// The number of 8-bit integers among GGUF's types.
const I8: u32 = 24;

/// Makes a GGUF with one tensor: these bytes.
pub fn gguf(content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    // One tensor, no key.
    file.extend([1u64.to_le_bytes(), 0u64.to_le_bytes()].concat());
    // Its name, its dimensions, its type, its offset.
    file.extend([1u64.to_le_bytes().as_slice(), b"w", &1u32.to_le_bytes()].concat());
    file.extend((content.len() as u64).to_le_bytes());
    file.extend([I8.to_le_bytes().as_slice(), &0u64.to_le_bytes()].concat());
    file.resize(GGUF_HEADER_BYTES, 0);
    file.extend(content);
    file
}

/// Makes a GGUF of so many bytes, with others for another seed. Its weights look like no other file.
pub fn gguf_of(len: usize, seed: usize) -> Vec<u8> {
    gguf(pattern(len.saturating_sub(GGUF_HEADER_BYTES), seed))
}

/// Makes a safetensors file with one tensor: these bytes.
pub fn safetensors(content: impl AsRef<[u8]>) -> Vec<u8> {
    let (content, len) = (content.as_ref(), content.as_ref().len());
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#);
    let padded = SAFETENSORS_HEADER_BYTES - size_of::<u64>();
    let mut file = (padded as u64).to_le_bytes().to_vec();
    file.extend(format!("{header:padded$}").into_bytes());
    file.extend(content);
    file
}

/// Makes a safetensors file of so many bytes, with others for another seed.
pub fn safetensors_of(len: usize, seed: usize) -> Vec<u8> {
    safetensors(pattern(len.saturating_sub(SAFETENSORS_HEADER_BYTES), seed))
}

/// Returns bytes in rows. In a row each byte is 31 more than the one before, modulo 256; the next row begins one further.
///
/// The compiler does not optimise tests, so this copies each row whole: a row is a stretch of the multiples of 31.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    const INVERSE_OF_31: usize = 223;
    let multiples: Vec<u8> = (0..256 + ROW_BYTES).map(|n| u8::try_from(n * 31 % 256).unwrap_or(0)).collect();
    let mut bytes = Vec::with_capacity(len + ROW_BYTES);
    for row in 0..len.div_ceil(ROW_BYTES) {
        let first = row * (ROW_BYTES * 31 + 1) + seed * 7;
        let start = first * INVERSE_OF_31 % 256;
        bytes.extend_from_slice(&multiples[start..start + ROW_BYTES]);
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_as_long_as_asked_for() {
        assert_eq!((gguf_of(100, 1).len(), safetensors_of(1000, 1).len()), (100, 1000));
        assert_ne!(gguf_of(100, 1), gguf_of(100, 2));
        assert!(gguf("x").ends_with(b"x"));
    }

    #[test]
    fn a_pattern_is_the_same_byte_for_byte_as_its_formula() {
        for (len, seed) in [(0, 0), (1, 3), (251, 0), (252, 1), (200_000, 9), (70_000, 12_345)] {
            let byte = |n: usize| u8::try_from((n * 31 + seed * 7 + n / ROW_BYTES) % 256).unwrap();
            assert!(pattern(len, seed) == (0..len).map(byte).collect::<Vec<_>>(), "{len} {seed}");
        }
    }
}
