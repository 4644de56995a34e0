//! Tells file formats by their names and their first bytes.

use serde::{Deserialize, Serialize};

/// Names the format of a file, or of a model of several files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// GGUF is the format of llama.cpp.
    Gguf,
    /// Safetensors is the format of most repositories of the Hub.
    Safetensors,
    /// Pickle is Python's format, alone or in `PyTorch`'s archive. A program that loads one can run the code in it.
    Pickle,
    /// Python is program code. An engine runs the files that a model's configuration names, where its caller lets it. The
    /// provisioner tells such a file by its [role](crate::Role::Code).
    Python,
    /// Every other format, and files that are not weights.
    Other,
}

/// Lists the endings that mean a pickle. `.bin` is not among them, for many other files have it: there the rest of the name
/// tells, or the first bytes.
const PICKLE_ENDINGS: [&str; 10] =
    ["pkl", "pickle", "pt", "pth", "ckpt", "joblib", "dill", "jit", "pt2", "pdparams"];

impl Format {
    /// The number of first bytes of a file that [`Format::of`] looks at.
    pub const MAGIC_LEN: usize = 256;

    /// Returns the name that configs and the handoff use, such as `gguf`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Pickle => "pickle",
            Self::Python => "python",
            Self::Other => "other",
        }
    }

    /// Returns the format of one file, from its name and its first bytes. The caller passes [`Format::MAGIC_LEN`] bytes, or
    /// the whole file where it is shorter.
    ///
    /// ```
    /// use provisioner_core::Format;
    ///
    /// assert_eq!(Format::of("model.bin", b"GGUF"), Format::Gguf);
    /// assert_eq!(Format::of_model([Format::Other, Format::Safetensors]), Format::Safetensors);
    /// ```
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

    /// Returns the format that a file's name states. `None` where the name states none.
    pub fn named(file_name: &str) -> Option<Self> {
        match ending(file_name).as_str() {
            _ if is_pickle(file_name, &[]) => Some(Self::Pickle),
            "gguf" => Some(Self::Gguf),
            "safetensors" | "sft" => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// Returns the format of a model from those of its files: the format of its weights, where it has weights.
    pub fn of_model(files: impl IntoIterator<Item = Self>) -> Self {
        let rank = |format: &Self| match format {
            Self::Other | Self::Python => 0,
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

/// Lists the names that `PyTorch`, Transformers, diffusers and Accelerate give to pickles which end in `.bin`.
const PICKLE_BINS: [&str; 8] = [
    "pytorch_model",
    "diffusion_pytorch_model",
    "pytorch_lora_weights",
    "adapter_model",
    "training_args",
    "optimizer",
    "scheduler",
    "consolidated",
];

/// Returns whether a file is a pickle: by its name; by the `PROTO` opcode of protocols 2 to 5 with a frame or a plausible
/// opcode after it; by a `GLOBAL` or a first container of the older, textual protocol; or by the zip archive of
/// `torch.save`.
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
        // A file with the magic number of GGUF is GGUF, whatever its name is.
        return !bytes.starts_with(b"GGUF");
    }
    let torch_archive =
        is_bin && bytes.starts_with(b"PK\x03\x04") && bytes.windows(8).any(|window| window == b"data.pkl");
    raw || torch_archive
}

/// Returns whether a file begins with a little-endian header length and JSON (the format's README, "Format").
fn is_safetensors(file_name: &str, bytes: &[u8]) -> bool {
    ["safetensors", "sft"].contains(&ending(file_name).as_str()) && bytes.get(8) == Some(&b'{')
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
        check("m.sft", b"\x10\0\0\0\0\0\0\0{}", Format::Safetensors);
        check("m.jit", b"", Format::Pickle);
        check("m.pt2", b"", Format::Pickle);
        check("m.pdparams", b"", Format::Pickle);
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
