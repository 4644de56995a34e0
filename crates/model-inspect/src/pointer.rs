//! Finds pointers of Git LFS that lie in the place of files.
//!
//! Source: "The Pointer", `docs/spec.md` of Git LFS: a pointer has fewer than 1,024 bytes, and its first line is `version` and the
//! address of a specification. So only small files are opened, and only their first bytes are read.

use provisioner_core::RelativePath;

use crate::{
    error::{Error, Result, quoted},
    files::{ListedFile, ModelSource},
    named_files::open,
};

/// Limits a pointer, in bytes.
const MAX_BYTES: u64 = 1023;
/// The beginnings of a pointer; the second one is that of the first releases.
const BEGINNINGS: [&str; 2] =
    ["version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"];

/// How many small files are opened at the source at the most.
const MAX_OPENED: usize = 64;

/// Endings of files that engines read: weights, tokenizers, configurations, templates and code.
const READ_ENDINGS: [&str; 40] = [
    "bin",
    "bpe",
    "cfg",
    "ckpt",
    "dat",
    "data",
    "gguf",
    "ggml",
    "h5",
    "jinja",
    "json",
    "litertlm",
    "mlmodel",
    "model",
    "msgpack",
    "nemo",
    "npy",
    "npz",
    "onnx",
    "onnx_data",
    "ot",
    "pb",
    "pickle",
    "pkl",
    "pt",
    "pth",
    "py",
    "safetensors",
    "spm",
    "task",
    "tflite",
    "tiktoken",
    "toml",
    "vocab",
    "weight",
    "weights",
    "wts",
    "xml",
    "yaml",
    "yml",
];

/// Texts that engines read, though others with their ending are for people.
const READ_TEXTS: [&str; 3] = ["vocab.txt", "merges.txt", "labels.txt"];

/// Looks for pointers among the files of a model. Returns those that no engine reads, as warnings.
///
/// # Errors
/// [`Error::Pointer`] naming the first one that an engine reads; [`Error::Io`] where a small file cannot be read.
pub(crate) fn check(model: &dyn ModelSource) -> Result<Vec<String>> {
    let mut others = Vec::new();
    for file in model.files().iter().filter(|file| may_be_pointer(file)) {
        if !is_pointer(model, &file.path)? {
            continue;
        }
        if is_read_by_engines(&file.path) {
            return Err(Error::Pointer { file: Some(file.path.to_string()) });
        }
        others.push(quoted(file.path.as_str()));
    }
    Ok(warning(&others).into_iter().collect())
}

/// Returns the pointers in the place of files that are never as small as one, such as weights. Of a model at its source, it opens
/// these small files alone, and 64 of them at the most.
///
/// # Errors
/// [`Error::Io`] where a small file cannot be read.
pub fn find_pointers(model: &dyn ModelSource) -> Result<Vec<RelativePath>> {
    let mut found = Vec::new();
    let small = model.files().iter().filter(|file| may_stand_for(&file.path, file.size_bytes));
    for file in small.take(MAX_OPENED) {
        if is_pointer(model, &file.path)? {
            found.push(file.path.clone());
        }
    }
    Ok(found)
}

/// Returns whether a file is as small as a pointer of Git LFS, and by its name one that is never so small.
pub fn may_stand_for(path: &RelativePath, size_bytes: u64) -> bool {
    is_pointer_size(size_bytes) && is_large_by_name(path)
}

/// Returns whether a file that engines read has, by its name, more bytes than a pointer.
fn is_large_by_name(path: &RelativePath) -> bool {
    const TEXTS: [&str; 8] = ["cfg", "jinja", "json", "py", "toml", "xml", "yaml", "yml"];
    let name = path.file_name().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    (READ_ENDINGS.contains(&ending) && !TEXTS.contains(&ending)) || name == "tokenizer.json"
}

fn is_pointer_size(size_bytes: u64) -> bool {
    size_bytes <= MAX_BYTES && size_bytes > BEGINNINGS[0].len() as u64
}

fn may_be_pointer(file: &ListedFile) -> bool {
    is_pointer_size(file.size_bytes)
}

fn is_pointer(model: &dyn ModelSource, path: &RelativePath) -> Result<bool> {
    let mut first = [0; BEGINNINGS[0].len()];
    let read = open(model, path)?.read_at(0, &mut first);
    let read = read.map_err(|error| Error::from(error).in_file(path.as_str()))?;
    let first = first.get(..read).unwrap_or_default();
    Ok(BEGINNINGS.iter().any(|beginning| first.starts_with(beginning.as_bytes())))
}

fn is_read_by_engines(path: &RelativePath) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    READ_ENDINGS.contains(&ending) || READ_TEXTS.contains(&name.as_str())
}

fn warning(pointers: &[String]) -> Option<String> {
    let first = pointers.first()?;
    Some(match pointers.len() - 1 {
        0 => format!("{first} is the pointer of Git LFS to a file, and not the file"),
        more => format!("{first} and {more} more are pointers of Git LFS to files, and not the files"),
    })
}
