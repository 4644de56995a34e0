//! The types in which the elements of tensors are kept.

use std::fmt;

/// Names the type of a tensor, "`ggml_type`" (`ggml.h`), as its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType(u32);

/// Lists name, elements of a block and bytes of a block: the table of `ggml.c` ("`type_traits`"), by number. Types that the format has
/// [dropped](TensorType::is_dropped) have no entry.
const fn layout(number: u32) -> Option<(&'static str, u64, u64)> {
    Some(match number {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
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
    /// Makes the type with a number, known or not.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns its number in the file.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns whether its size is known.
    pub const fn is_known(self) -> bool {
        layout(self.0).is_some()
    }

    /// Returns whether the format had it once and has dropped it: the table of `ggml.c` gives its blocks no elements.
    pub(crate) const fn is_dropped(self) -> bool {
        matches!(self.0, 4 | 5 | 31..=33 | 36..=38)
    }

    /// Returns how many elements make one block, the least that can be kept. `None` for an unknown type.
    pub(crate) fn block_elements(self) -> Option<u64> {
        layout(self.0).map(|(_, elements, _)| elements)
    }

    /// Returns the bytes of so many elements. `None` for an unknown type, a part of a block, or more than 64 bits count.
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

    /// The bytes of `ggml_half`.
    const HALF: u64 = 2;

    /// Number, name, elements and bytes of a block, in ggml d99724f: the numbers stand in `enum ggml_type` (`ggml.h`), names and
    /// elements in `type_traits` (`ggml.c`), and the members of each block in `ggml-common.h`.
    const GGML: [(u32, &str, u64, u64); 35] = [
        (0, "f32", 1, 4),
        (1, "f16", 1, HALF),
        (2, "q4_0", 32, HALF + 32 / 2),
        (3, "q4_1", 32, 2 * HALF + 32 / 2),
        (6, "q5_0", 32, HALF + 4 + 32 / 2),
        (7, "q5_1", 32, 2 * HALF + 4 + 32 / 2),
        (8, "q8_0", 32, HALF + 32),
        (9, "q8_1", 32, 2 * HALF + 32),
        (10, "q2_K", 256, 256 / 16 + 256 / 4 + 2 * HALF),
        (11, "q3_K", 256, 256 / 8 + 256 / 4 + 12 + HALF),
        (12, "q4_K", 256, 2 * HALF + 12 + 256 / 2),
        (13, "q5_K", 256, 2 * HALF + 12 + 256 / 8 + 256 / 2),
        (14, "q6_K", 256, 256 / 2 + 256 / 4 + 256 / 16 + HALF),
        (15, "q8_K", 256, 4 + 256 + 256 / 16 * 2),
        (16, "iq2_xxs", 256, HALF + 256 / 8 * 2),
        (17, "iq2_xs", 256, HALF + 256 / 8 * 2 + 256 / 32),
        (18, "iq3_xxs", 256, HALF + 3 * 256 / 8),
        (19, "iq1_s", 256, HALF + 256 / 8 + 256 / 32 * 2),
        (20, "iq4_nl", 32, HALF + 32 / 2),
        (21, "iq3_s", 256, HALF + 256 / 4 + 256 / 32 + 256 / 8 + 256 / 64),
        (22, "iq2_s", 256, HALF + 256 / 4 + 256 / 32 + 256 / 32),
        (23, "iq4_xs", 256, HALF + 2 + 256 / 64 + 256 / 2),
        (24, "i8", 1, 1),
        (25, "i16", 1, 2),
        (26, "i32", 1, 4),
        (27, "i64", 1, 8),
        (28, "f64", 1, 8),
        (29, "iq1_m", 256, 256 / 8 + 256 / 16 + 256 / 32),
        (30, "bf16", 1, 2),
        (34, "tq1_0", 256, (256 - 4 * 256 / 64) / 5 + 256 / 64 + HALF),
        (35, "tq2_0", 256, 256 / 4 + HALF),
        (39, "mxfp4", 32, 1 + 32 / 2),
        (40, "nvfp4", 64, 64 / 16 + 64 / 2),
        (41, "q1_0", 128, HALF + 128 / 8),
        (42, "q2_0", 64, HALF + 64 / 4),
    ];

    #[test]
    fn the_table_is_that_of_ggml() {
        let mut known = Vec::new();
        for (number, name, elements, bytes) in GGML {
            let (ours, blocks) = layout(number).map(|(name, of, bytes)| (name, (of, bytes))).unwrap();
            assert!(ours.eq_ignore_ascii_case(name), "{number}");
            assert_eq!(blocks, (elements, bytes), "{name}");
            known.push(number);
        }
        for number in 0..100 {
            let kind = TensorType::new(number);
            assert_eq!(kind.is_known(), known.contains(&number), "{number}");
            // The numbers between the known ones are of types that the format had once.
            assert_eq!(kind.is_dropped(), number < 43 && !kind.is_known(), "{number}");
        }
    }

    #[test]
    fn the_tables_are_those_of_the_python_package() {
        let tables: Tables = serde_json::from_str(include_str!("../../tests/vectors/tables.json")).unwrap();
        assert!(tables.tensor_types.len() > 30 && tables.file_types.len() > 30);
        for (number, (name, elements, bytes)) in tables.tensor_types {
            // The package counts two floats in a block of Q8_1, where ggml has two halves.
            let bytes = if name == "Q8_1" { bytes - 4 } else { bytes };
            assert_eq!(layout(number), Some((name.as_str(), elements, bytes)), "{number}");
        }
        for (number, name) in tables.file_types {
            assert_eq!(file_type_name(number), Some(name.as_str()), "{number}");
        }
        assert_eq!((TensorType::new(4).is_known(), file_type_name(5)), (false, None));
    }
}
