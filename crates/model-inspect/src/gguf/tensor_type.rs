//! How the elements of a tensor are kept.

use std::fmt;

/// The type of a tensor, "`ggml_type`" (`ggml.h`), as its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType(u32);

/// Name, elements of a block, bytes of a block: the table of `ggml.c` ("`type_traits`"), by number. Types that were
/// removed from the format have no entry.
const fn layout(number: u32) -> Option<(&'static str, u64, u64)> {
    Some(match number {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 40),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        40 => ("NVFP4", 64, 36),
        41 => ("Q1_0", 128, 18),
        42 => ("Q2_0", 64, 18),
        _ => return None,
    })
}

impl TensorType {
    /// The type with a number; it need not be a known one.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number in the file.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether its size is known.
    pub const fn is_known(self) -> bool {
        layout(self.0).is_some()
    }

    /// How many elements make one block, the least that can be kept. `None` for an unknown type.
    pub(crate) fn block_elements(self) -> Option<u64> {
        layout(self.0).map(|(_, elements, _)| elements)
    }

    /// The bytes of so many elements. `None` for an unknown type, a part of a block, or more than 64 bits count.
    pub(crate) fn bytes_of(self, elements: u64) -> Option<u64> {
        let (_, block, bytes) = layout(self.0)?;
        if elements.is_multiple_of(block) { (elements / block).checked_mul(bytes) } else { None }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match layout(self.0) {
            Some((name, ..)) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::file_type_name;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Tables {
        tensor_types: BTreeMap<u32, (String, u64, u64)>,
        file_types: BTreeMap<u64, String>,
    }

    #[test]
    fn the_tables_are_those_of_the_python_package() {
        let tables: Tables = serde_json::from_str(include_str!("../../tests/vectors/tables.json")).unwrap();
        assert!(tables.tensor_types.len() > 30 && tables.file_types.len() > 30);
        for (number, (name, elements, bytes)) in tables.tensor_types {
            assert_eq!(layout(number), Some((name.as_str(), elements, bytes)), "{number}");
        }
        for (number, name) in tables.file_types {
            assert_eq!(file_type_name(number), Some(name.as_str()), "{number}");
        }
        assert_eq!((TensorType::new(4).is_known(), file_type_name(5)), (false, None));
    }
}
