//! Writes GGUF, version 3.
//!
//! Source: "GGUF", `docs/gguf.md` in the ggml repository. All numbers are little-endian; the tensors' data begins at
//! the next multiple of the alignment (32) after the header, and so does each tensor.

const ALIGNMENT: usize = 32;

/// Collects keys and tensors, and writes them in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct GgufWriter {
    keys: u64,
    metadata: Vec<u8>,
    tensors: u64,
    infos: Vec<u8>,
    data: Vec<u8>,
}

/// Numbers the types of values as the format does.
mod kind {
    pub(super) const U16: u32 = 2;
    pub(super) const U32: u32 = 4;
    pub(super) const I32: u32 = 5;
    pub(super) const F32: u32 = 6;
    pub(super) const STRING: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
}

impl GgufWriter {
    /// Adds a key with a string.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key, kind::STRING);
        put_string(&mut self.metadata, value);
        self
    }

    /// Adds a key with an unsigned 32-bit number.
    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.key(key, kind::U32);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    /// Adds a key with an unsigned 16-bit number.
    pub fn u16(&mut self, key: &str, value: u16) -> &mut Self {
        self.key(key, kind::U16);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    /// Adds a key with a signed 32-bit number.
    pub fn i32(&mut self, key: &str, value: i32) -> &mut Self {
        self.key(key, kind::I32);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    /// Adds a key with a 32-bit float.
    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.key(key, kind::F32);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    /// Adds a key with an array of strings.
    pub fn strings(&mut self, key: &str, values: &[String]) -> &mut Self {
        self.array(key, kind::STRING, values.len());
        for value in values {
            put_string(&mut self.metadata, value);
        }
        self
    }

    /// Adds a key with an array of 32-bit floats.
    pub fn f32s(&mut self, key: &str, values: &[f32]) -> &mut Self {
        self.array(key, kind::F32, values.len());
        self.metadata.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    /// Adds a key with an array of signed 32-bit numbers.
    pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        self.array(key, kind::I32, values.len());
        self.metadata.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self
    }

    /// Adds a tensor of 32-bit floats, the fastest dimension first.
    pub fn tensor_f32(&mut self, name: &str, shape: &[u64], values: &[f32]) -> &mut Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, shape, 0, bytes)
    }

    /// Adds a tensor of 16-bit floats, the fastest dimension first.
    pub fn tensor_f16(&mut self, name: &str, shape: &[u64], values: &[f32]) -> &mut Self {
        let bytes = values.iter().flat_map(|value| half(*value).to_le_bytes()).collect();
        self.tensor(name, shape, 1, bytes)
    }

    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(self.tensors.to_le_bytes());
        bytes.extend(self.keys.to_le_bytes());
        bytes.extend(&self.metadata);
        bytes.extend(&self.infos);
        pad(&mut bytes);
        bytes.extend(&self.data);
        bytes
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.keys += 1;
        put_string(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, kind::ARRAY);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend((len as u64).to_le_bytes());
    }

    fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, bytes: Vec<u8>) -> &mut Self {
        self.tensors += 1;
        put_string(&mut self.infos, name);
        self.infos.extend(u32::try_from(shape.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.infos.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
        self.infos.extend(kind.to_le_bytes());
        self.infos.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(bytes);
        pad(&mut self.data);
        self
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// Rounds to a 16-bit float (IEEE 754 binary16), for numbers from 2^-14 to 65504 and for zero; smaller ones become zero.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let exponent = ((bits >> 23) & 0xff).cast_signed() - 112;
    let half =
        if exponent <= 0 { sign } else { sign | (exponent.cast_unsigned() << 10) | ((bits >> 13) & 0x3ff) };
    // Only the lower 16 bits are ever set.
    u16::try_from(half).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        assert_eq!(
            [half(0.0), half(1.0), half(-2.0), half(0.5), half(65504.0), half(1e-9)],
            [0, 0x3c00, 0xc000, 0x3800, 0x7bff, 0]
        );
    }

    #[test]
    fn a_file_is_laid_out_as_the_format_says() {
        let mut writer = GgufWriter::default();
        writer.u32("k", 7).tensor_f32("t", &[1], &[1.0]);
        let bytes = writer.to_bytes();
        let header =
            [b"GGUF".as_slice(), &[3, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0]]
                .concat();
        assert_eq!(bytes[..24], header);
        assert_eq!(
            bytes[24..45],
            [[1, 0, 0, 0, 0, 0, 0, 0].as_slice(), b"k", &[4, 0, 0, 0], &[7, 0, 0, 0], &[1, 0, 0, 0]].concat()
        );
        assert_eq!(bytes.len() % 32, 0);
        assert_eq!(bytes[bytes.len() - 32..][..4], 1.0f32.to_le_bytes());
    }
}
