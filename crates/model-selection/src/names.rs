//! Reads what a name says of a file. Names decide only where no manifest does.

use provisioner_core::{is_training_folder, is_training_state};

/// Says what a file is, as far as its name and those beside it tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file, or a folder above it, begins with a dot.
    Hidden,
    /// A picture, a paper, a sample: for people.
    Document,
    /// A bundle of other files.
    Archive,
    /// The state or the log of a training.
    Training,
    /// A program.
    Script,
    Weights(Format),
    /// An index that says which file has which weights of a format.
    Index(Format),
    Tokenizer,
    Configuration,
    Unknown,
}

/// Names what a file of weights is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Format {
    Safetensors,
    Gguf,
    /// A piece of a GGUF file that was cut without a header of its own.
    RawPart,
    /// How important each weight is, which a program needs to quantize.
    ImportanceMatrix,
    /// Arrays of `NumPy`, in which MLX kept its models first.
    Npz,
    CTranslate2,
    Nemo,
    /// The format of whisper.cpp, before GGUF.
    Ggml,
    /// A program with a GGUF file in it.
    Llamafile,
    /// A whole pipeline of diffusers in one file.
    Dduf,
    Paddle,
    LiteRt,
    Pickle,
    /// TensorFlow, Flax, and the Rust binding of `PyTorch`.
    OtherFramework,
    Onnx,
    /// Tensors outside of an ONNX file.
    OnnxData,
    OpenVino,
    CoreMl,
    /// Engines that were compiled for one card.
    Compiled,
    /// Bytes that end in `.bin` and say no more.
    Bin,
}

const DOCUMENTS: [&str; 37] = [
    "png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "tif", "tiff", "ico", "avif", "heic", "pdf", "mp4",
    "mov", "avi", "mkv", "webm", "m4v", "mp3", "wav", "flac", "ogg", "opus", "m4a", "md", "rst", "html",
    "htm", "ipynb", "doc", "docx", "ppt", "pptx", "xls", "xlsx", "bib",
];
const ARCHIVES: [&str; 9] = ["zip", "tar", "gz", "tgz", "bz2", "xz", "7z", "rar", "zst"];
const SCRIPTS: [&str; 14] =
    ["py", "sh", "bat", "ps1", "js", "ts", "rb", "pl", "c", "cc", "cpp", "cu", "cuh", "h"];
const PICKLES: [&str; 10] =
    ["pt", "pth", "ckpt", "pkl", "pickle", "joblib", "dill", "jit", "pt2", "pdparams"];

/// Returns the ending of a name in lower case: what stands behind its last dot.
pub(crate) fn ending(name: &str) -> &str {
    name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default()
}

/// Returns the folder of a path with its slash, and the name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

/// Returns what a file is, by its path in lower case. `has` says whether the listing has another path in lower case.
pub(crate) fn kind(path: &str, has: impl Fn(&str) -> bool) -> Kind {
    let (folder, name) = split(path);
    if path.split('/').any(|component| component.starts_with('.')) {
        return Kind::Hidden;
    }
    if is_training_state(name) {
        return Kind::Training;
    }
    if let Some(format) = index_of(name) {
        return Kind::Index(format);
    }
    if let Some(format) = weights(folder, name, &has) {
        return Kind::Weights(format);
    }
    let is_legal = ["license", "licence", "notice", "copying"].iter().any(|word| name.starts_with(word));
    let ending = ending(name);
    if is_legal {
        Kind::Unknown
    } else if DOCUMENTS.contains(&ending) || name == "readme" || name.starts_with("readme.") {
        Kind::Document
    } else if ARCHIVES.contains(&ending) && !name.ends_with(".txt.gz") {
        Kind::Archive
    } else if SCRIPTS.contains(&ending) {
        Kind::Script
    } else if is_tokenizer(folder, name) {
        Kind::Tokenizer
    } else if ["json", "jinja", "yaml", "yml", "toml", "cfg", "ini"].contains(&ending) {
        Kind::Configuration
    } else {
        Kind::Unknown
    }
}

fn index_of(name: &str) -> Option<Format> {
    if ending(name) != "json" || !name.contains(".index.") {
        return None;
    }
    if name.contains(".safetensors.") {
        Some(Format::Safetensors)
    } else if name.contains(".bin.") || name.contains(".pt.") {
        Some(Format::Pickle)
    } else if name.contains(".msgpack.") || name.contains(".h5.") {
        Some(Format::OtherFramework)
    } else {
        None
    }
}

fn weights(folder: &str, name: &str, has: &impl Fn(&str) -> bool) -> Option<Format> {
    if ml_package(folder).is_some() || name.contains(".mlmodelc") || name.contains(".mlpackage") {
        return Some(Format::CoreMl);
    }
    let ending = ending(name);
    Some(match ending {
        "safetensors" | "sft" => Format::Safetensors,
        "gguf" if has_token(name, "imatrix") => Format::ImportanceMatrix,
        "gguf" => Format::Gguf,
        "imatrix" => Format::ImportanceMatrix,
        "dat" if name.contains("imatrix") => Format::ImportanceMatrix,
        _ if is_raw_part(name) => Format::RawPart,
        "npz" => Format::Npz,
        "nemo" => Format::Nemo,
        "llamafile" => Format::Llamafile,
        "dduf" => Format::Dduf,
        "pdiparams" | "pdmodel" => Format::Paddle,
        "task" | "litertlm" | "tflite" => Format::LiteRt,
        // The tensors of `model.onnx`, as pipelines keep them.
        "pb" if name == "weights.pb" && has(&format!("{folder}model.onnx")) => Format::OnnxData,
        "h5" | "msgpack" | "ot" | "pb" | "keras" => Format::OtherFramework,
        "onnx" | "ort" => Format::Onnx,
        "mlmodel" => Format::CoreMl,
        "engine" | "plan" | "trt" | "hef" | "rknn" | "pte" => Format::Compiled,
        "index" | "meta" if name.contains(".ckpt") => Format::OtherFramework,
        _ if name.contains(".ckpt.data-") => Format::OtherFramework,
        _ if is_onnx_data(name) => Format::OnnxData,
        "xml" if has(&format!("{folder}{}bin", name.strip_suffix("xml")?)) => Format::OpenVino,
        "bin" if has(&format!("{folder}{}xml", name.strip_suffix("bin")?)) => Format::OpenVino,
        "bin" => bin(folder, name, has),
        _ if PICKLES.contains(&ending) => Format::Pickle,
        _ => return None,
    })
}

fn bin(folder: &str, name: &str, has: &impl Fn(&str) -> bool) -> Format {
    let vocabularies = [
        "vocabulary.json",
        "vocabulary.txt",
        "shared_vocabulary.json",
        "shared_vocabulary.txt",
        "source_vocabulary.json",
        "source_vocabulary.txt",
    ];
    let pickles = [
        "pytorch_model",
        "adapter_model",
        "pytorch_lora_weights",
        "consolidated",
        "learned_embeds",
        "torch_model",
    ];
    if name == "model.bin" && vocabularies.iter().any(|file| has(&format!("{folder}{file}"))) {
        Format::CTranslate2
    } else if pickles.iter().any(|stem| name.contains(stem)) {
        Format::Pickle
    } else if name.contains("ggml") {
        Format::Ggml
    } else if name.starts_with("openvino_") {
        Format::OpenVino
    } else {
        Format::Bin
    }
}

/// Returns whether a file has tensors outside of an ONNX file: `model.onnx_data`, `model.onnx_data_1`, `model.onnx.data`.
fn is_onnx_data(name: &str) -> bool {
    name.contains(".onnx_data") || name.contains(".onnx.data") || name.starts_with("onnx__")
}

/// Returns whether a file is a piece of a GGUF file: `x.gguf.part1of2`, `x.gguf-split-a`, `x.gguf.part-aa`.
fn is_raw_part(name: &str) -> bool {
    let Some((_, rest)) = name.rsplit_once(".gguf") else { return false };
    let rest = rest.trim_start_matches(['.', '-', '_']);
    rest.starts_with("part")
        || rest.starts_with("split")
        || (rest.len() == 3 && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the part of a path in lower case up to the first folder that is a package of Core ML, with its slash. `None` where no
/// folder is one.
pub(crate) fn ml_package(path: &str) -> Option<&str> {
    let is_package = |path: &&str| path.ends_with(".mlmodelc") || path.ends_with(".mlpackage");
    let ends = path.match_indices('/').map(|(slash, _)| slash);
    ends.map(|slash| &path[..slash]).find(is_package).map(|found| &path[..=found.len()])
}

fn is_tokenizer(folder: &str, name: &str) -> bool {
    const STARTS: [&str; 12] = [
        "tokenizer",
        "tokenization",
        "vocab",
        "merges.txt",
        "special_tokens",
        "added_tokens",
        "spiece",
        "sentencepiece",
        "tekken",
        "normalizer.json",
        "bpe.",
        "shared_vocabulary",
    ];
    let is_folder =
        folder.trim_end_matches('/').rsplit('/').next().is_some_and(|last| last.starts_with("tokenizer"));
    let is_model = ["tiktoken", "spm", "bpe", "vocab"].contains(&ending(name)) || name == "tiktoken.model";
    is_folder
        || is_model
        || STARTS.iter().any(|start| name.starts_with(start))
        || name.ends_with("_vocabulary.json")
        || name.ends_with("_vocabulary.txt")
}

/// Says why everything below a folder stays out beside native weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderKind {
    Training,
    OtherFormat,
    OtherPrecision,
    OtherRuntime,
}

/// Returns what a folder is by the names of its components, in lower case. `None` for a folder that no rule knows.
pub(crate) fn folder_kind(folder: &str) -> Option<FolderKind> {
    folder.split('/').find_map(|name| match name {
        _ if is_training_folder(name) => Some(FolderKind::Training),
        "original" | "metal" | "flax" | "jax" | "tf" | "tensorflow" | "saved_model" | "pytorch"
        | "consolidated" => Some(FolderKind::OtherFormat),
        "onnx" | "openvino" | "coreml" | "tflite" | "litert" | "tensorrt" | "trt" | "trtllm" | "gguf"
        | "ggml" | "mlx" | "ncnn" | "executorch" | "qnn" | "rknn" | "ctranslate2" | "ct2"
        | "openvino_model" | "onnx_model" | "mnn" => Some(FolderKind::OtherRuntime),
        _ if ml_package(&format!("{name}/")).is_some() => Some(FolderKind::OtherRuntime),
        _ if is_precision(name) => Some(FolderKind::OtherPrecision),
        _ => None,
    })
}

/// Returns whether a word states a precision.
pub(crate) fn is_precision(word: &str) -> bool {
    const WORDS: [&str; 26] = [
        "fp32",
        "f32",
        "float32",
        "fp16",
        "f16",
        "float16",
        "bf16",
        "bfloat16",
        "fp8",
        "fp4",
        "nf4",
        "mxfp4",
        "nvfp4",
        "int8",
        "int4",
        "uint8",
        "uint4",
        "8bit",
        "4bit",
        "8-bit",
        "4-bit",
        "q8",
        "q4",
        "fp8_scaled",
        "bnb-4bit",
        "bnb-8bit",
    ];
    WORDS.contains(&word) || word.starts_with("fp8_e") || word.starts_with("float8_")
}

/// Returns whether a name has a word between edges, in any letter case.
pub(crate) fn has_token(name: &str, word: &str) -> bool {
    name.split(|c: char| "-._/ ".contains(c)).any(|token| token.eq_ignore_ascii_case(word))
}
