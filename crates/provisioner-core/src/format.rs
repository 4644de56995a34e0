//! Names file formats, and says which of them run code: the one place that says so. `model-inspect` tells the format of a file
//! from its contents.

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
    /// ONNX is the format of a model for ONNX Runtime.
    Onnx,
    /// Pickle is Python's format, alone, in `PyTorch`'s archive, or in a file of `NumPy`. A program that loads one can run the code
    /// in it.
    Pickle,
    /// `TorchScript` is a program of `PyTorch` with its weights, as `torch.jit.save` and `torch.export.save` write it.
    TorchScript,
    /// Keras is the archive of Keras, whose layers can have program code.
    Keras,
    /// HDF5 is a container for numbers. Keras keeps whole models in it too, with the program code of their layers.
    Hdf5,
    /// An archive is a file that hides its contents: it is compressed, or its directory contradicts itself.
    Archive,
    /// Python is program code. An engine runs the files that a model's configuration names, where its caller lets it. The
    /// provisioner tells such a file by its [role](crate::Role::Code).
    Python,
    /// Text is text in UTF-8, such as a configuration.
    Text,
    /// Every other format, and files that are not weights.
    Other,
}

/// Lists the endings that mean a pickle. `.bin` is not among them, for many other files have it: there the rest of the name
/// tells, or the contents.
const PICKLE_ENDINGS: [&str; 10] =
    ["pkl", "pickle", "pt", "pth", "ckpt", "joblib", "dill", "nemo", "jit", "pdparams"];

impl Format {
    /// Returns the format as which releases told such a file before they knew this one. Each release reads that one in a record.
    pub(crate) const fn as_first_told(self) -> Self {
        match self {
            Self::TorchScript => Self::Pickle,
            Self::Onnx | Self::Keras | Self::Hdf5 | Self::Archive | Self::Text => Self::Other,
            Self::Gguf | Self::Safetensors | Self::Pickle | Self::Python | Self::Other => self,
        }
    }

    /// Returns the name that configs and the handoff use, such as `gguf`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
            Self::Pickle => "pickle",
            Self::TorchScript => "torchscript",
            Self::Keras => "keras",
            Self::Hdf5 => "hdf5",
            Self::Archive => "archive",
            Self::Python => "python",
            Self::Text => "text",
            Self::Other => "other",
        }
    }

    /// Returns the format that a file's name states. `None` where the name states none. The contents of a file may tell another
    /// one, and they decide.
    ///
    /// ```
    /// use provisioner_core::Format;
    ///
    /// assert_eq!(Format::named("model.gguf"), Some(Format::Gguf));
    /// assert_eq!(Format::named("pytorch_model.bin"), Some(Format::Pickle));
    /// assert_eq!(Format::named("model.bin"), None);
    /// ```
    pub fn named(file_name: &str) -> Option<Self> {
        match ending(file_name).as_str() {
            "gguf" => Some(Self::Gguf),
            "safetensors" | "sft" => Some(Self::Safetensors),
            "onnx" => Some(Self::Onnx),
            "keras" => Some(Self::Keras),
            "h5" | "hdf5" => Some(Self::Hdf5),
            "ot" | "pt2" | "ptl" | "torchscript" => Some(Self::TorchScript),
            ending if PICKLE_ENDINGS.contains(&ending) => Some(Self::Pickle),
            "bin" if is_pickle_bin(file_name) => Some(Self::Pickle),
            _ => None,
        }
    }

    /// Returns whether the contents of a file whose name states a pickle may be a `TorchScript` archive: both have the same names.
    pub fn may_be_torchscript(file_name: &str) -> bool {
        ["pt", "pth", "bin", "jit"].contains(&ending(file_name).as_str())
    }

    /// Returns whether a program that loads a file of this format can run code that is in the file. A policy must name such a
    /// format to allow it.
    pub const fn runs_code(self) -> bool {
        match self {
            Self::Pickle | Self::TorchScript | Self::Keras | Self::Hdf5 | Self::Archive | Self::Python => {
                true
            }
            Self::Gguf | Self::Safetensors | Self::Onnx | Self::Text | Self::Other => false,
        }
    }

    /// Returns whether a list of formats allows this one. `other` allows text and ONNX too, for it stands for all that has no name of
    /// its own and runs no code.
    pub fn is_among(self, formats: &[Self]) -> bool {
        let is_other = matches!(self, Self::Text | Self::Onnx);
        formats.contains(&self) || (is_other && formats.contains(&Self::Other))
    }

    /// Says what a file of a format is that runs code, as the end of a sentence whose subject is the file.
    pub(crate) const fn danger(self) -> &'static str {
        match self {
            Self::TorchScript => "a TorchScript archive, which runs its program when it is loaded",
            Self::Keras => "a Keras archive, which can run code when it is loaded",
            Self::Hdf5 => "an HDF5 file, which can run code when Keras loads it",
            Self::Archive => {
                "an archive whose contents the provisioner cannot tell, and they can run code when they are loaded"
            }
            Self::Python => "program code",
            _ => "a pickle, which can run code when it is loaded",
        }
    }

    /// Returns the format of a model from those of its files: the format of its weights, where it has weights.
    pub fn of_model(files: impl IntoIterator<Item = Self>) -> Self {
        let rank = |format: &Self| match format {
            Self::Other | Self::Python | Self::Text => 0,
            Self::Archive => 1,
            Self::Onnx => 2,
            Self::Hdf5 => 3,
            Self::Keras => 4,
            Self::TorchScript => 5,
            Self::Pickle => 6,
            Self::Safetensors => 7,
            Self::Gguf => 8,
        };
        let weights = files.into_iter().max_by_key(rank).filter(|format| rank(format) > 0);
        weights.unwrap_or(Self::Other)
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

fn is_pickle_bin(file_name: &str) -> bool {
    let stem = file_name.to_ascii_lowercase();
    PICKLE_BINS.iter().any(|name| stem.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_states_a_format() {
        for (name, expected) in [
            ("a.gguf", Some(Format::Gguf)),
            ("A.SafeTensors", Some(Format::Safetensors)),
            ("m.pt", Some(Format::Pickle)),
            ("m.nemo", Some(Format::Pickle)),
            ("m.jit", Some(Format::Pickle)),
            ("m.pt2", Some(Format::TorchScript)),
            ("m.pdparams", Some(Format::Pickle)),
            ("m.sft", Some(Format::Safetensors)),
            ("pytorch_model-00001-of-00002.bin", Some(Format::Pickle)),
            ("m.onnx", Some(Format::Onnx)),
            ("m.keras", Some(Format::Keras)),
            ("tf_model.h5", Some(Format::Hdf5)),
            ("rust_model.ot", Some(Format::TorchScript)),
            ("weights.bin", None),
            ("README.md", None),
            ("", None),
        ] {
            assert_eq!(Format::named(name), expected, "{name}");
        }
    }

    #[test]
    fn other_stands_for_text_and_onnx_and_for_nothing_that_runs_code() {
        for format in [Format::Text, Format::Onnx, Format::Other] {
            assert!(format.is_among(&[Format::Other]) && !format.runs_code(), "{format:?}");
        }
        for format in [Format::Pickle, Format::TorchScript, Format::Keras, Format::Hdf5, Format::Archive] {
            let others = [Format::Other, Format::Text, Format::Python];
            assert!(
                !format.is_among(&others) && format.is_among(&[format]) && format.runs_code(),
                "{format:?}"
            );
        }
        assert!(!Format::Other.is_among(&[Format::Text, Format::Onnx]));
    }

    #[test]
    fn a_model_has_the_format_of_its_weights() {
        let check = |formats: &[Format], expected| {
            assert_eq!(Format::of_model(formats.iter().copied()), expected, "{formats:?}");
        };
        check(&[Format::Text, Format::Safetensors, Format::Pickle], Format::Safetensors);
        check(&[Format::Keras, Format::Text, Format::Hdf5], Format::Keras);
        check(&[Format::Other, Format::Text], Format::Other);
        check(&[], Format::Other);
    }
}
