//! File formats, by name and by their first bytes.

use serde::{Deserialize, Serialize};

/// What a file, or a model of several files, is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// GGUF, the format of llama.cpp.
    Gguf,
    /// Safetensors, the format of the Hub's repositories.
    Safetensors,
    /// Python's pickle, alone or in `PyTorch`'s archive: loading it can run code.
    Pickle,
    /// Anything else.
    Other,
}

/// The endings that say "pickle". `.bin` is not among them: much that is no pickle is called so; there the rest of the
/// name tells, or the first bytes.
const PICKLE_ENDINGS: [&str; 7] = ["pkl", "pickle", "pt", "pth", "ckpt", "joblib", "dill"];

impl Format {
    /// How many of a file's first bytes [`Format::of`] looks at.
    pub const MAGIC_LEN: usize = 256;

    /// The name that configs and the handoff use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Pickle => "pickle",
            Self::Other => "other",
        }
    }

    /// The format of one file, from its name and its first bytes (up to [`Format::MAGIC_LEN`]; fewer where the
    /// file is shorter).
    pub fn of(file_name: &str, first_bytes: &[u8]) -> Self {
        if is_pickle(file_name, first_bytes) {
            Self::Pickle
        } else if first_bytes.starts_with(b"GGUF") {
            Self::Gguf
        } else if is_safetensors(file_name, first_bytes) {
            Self::Safetensors
        } else {
            Self::Other
        }
    }

    /// The format that a file's name says it has; `None` where it says nothing.
    pub fn named(file_name: &str) -> Option<Self> {
        match ending(file_name).as_str() {
            _ if is_pickle(file_name, &[]) => Some(Self::Pickle),
            "gguf" => Some(Self::Gguf),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// The format of a model, from the formats of its files: its weights' format, where it has weights.
    pub fn of_model(files: impl IntoIterator<Item = Self>) -> Self {
        let rank = |format: &Self| match format {
            Self::Other => 0,
            Self::Pickle => 1,
            Self::Safetensors => 2,
            Self::Gguf => 3,
        };
        files.into_iter().max_by_key(rank).unwrap_or(Self::Other)
    }
}

fn ending(file_name: &str) -> String {
    file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// The names that `PyTorch`, Transformers and Accelerate give to pickles which end in `.bin`.
const PICKLE_BINS: [&str; 6] =
    ["pytorch_model", "adapter_model", "training_args", "optimizer", "scheduler", "consolidated"];

/// Pickle by name; by the `PROTO` opcode of protocols 2 to 5 with a frame or a plausible opcode after it; by a `GLOBAL`
/// or a first container of the older, textual protocol; or by the zip archive in which `torch.save` puts one.
fn is_pickle(file_name: &str, bytes: &[u8]) -> bool {
    let ending = ending(file_name);
    if PICKLE_ENDINGS.contains(&ending.as_str()) {
        return true;
    }
    let raw = matches!(bytes, [0x80, 2..=5, opcode, ..] if b"\x95\x8a}](cX\x8c)".contains(opcode));
    let is_bin = ending == "bin";
    let stem = file_name.to_ascii_lowercase();
    let textual = is_bin
        && [
            b"(dp0".as_slice(),
            b"(lp0",
            b"c__",
            b"ccopy_reg",
            b"cos\n",
            b"cposix\n",
            b"cbuiltins\n",
            b"cnt\n",
            b"csubprocess\n",
        ]
        .iter()
        .any(|start| bytes.starts_with(start));
    if is_bin && (textual || PICKLE_BINS.iter().any(|name| stem.starts_with(name))) {
        // Whatever it is called, GGUF is GGUF.
        return !bytes.starts_with(b"GGUF");
    }
    let torch_archive =
        is_bin && bytes.starts_with(b"PK\x03\x04") && bytes.windows(8).any(|window| window == b"data.pkl");
    raw || torch_archive
}

/// A little-endian header length, then JSON (the format's README, "Format").
fn is_safetensors(file_name: &str, bytes: &[u8]) -> bool {
    ending(file_name) == "safetensors" && bytes.get(8) == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_formats_apart() {
        let check =
            |name: &str, bytes: &[u8], expected| assert_eq!(Format::of(name, bytes), expected, "{name}");
        check("a.gguf", b"GGUF\x03\0\0\0", Format::Gguf);
        check("a.bin", b"GGUF\x03\0\0\0", Format::Gguf);
        check("a.gguf", b"# readme", Format::Other);
        check("m.safetensors", b"\x10\0\0\0\0\0\0\0{}", Format::Safetensors);
        check("m.safetensors", b"", Format::Other);
        check("m.pt", b"", Format::Pickle);
        check("pytorch_model.bin", b"PK\x03\x04....archive/data.pkl", Format::Pickle);
        check("pytorch_model.bin", b"\x80\x02\x8a\x0al", Format::Pickle);
        check("weights.bin", b"\x80\x05\x95\x04\0\0", Format::Pickle);
        check("pytorch_model-00001-of-00002.bin", b"(dp0\n", Format::Pickle);
        check("adapter_model.bin", b"", Format::Pickle);
        check("weights.bin", b"cos\nsystem\n(S'id'\ntR.", Format::Pickle);
        check("weights.bin", b"\0\0\0\0", Format::Other);
        check("bundle.zip", b"PK\x03\x04....archive/data.pkl", Format::Other);
        check("README.md", b"", Format::Other);
    }

    #[test]
    fn a_model_has_the_format_of_its_weights() {
        assert_eq!(
            Format::of_model([Format::Other, Format::Safetensors, Format::Pickle]),
            Format::Safetensors
        );
        assert_eq!(Format::of_model([]), Format::Other);
    }
}
