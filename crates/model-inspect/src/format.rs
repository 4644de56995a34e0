//! Tells the format of a file from its contents, whatever its name is.
//!
//! # Model
//! A program that loads a file goes by its contents too: Python's `pickle` by the opcodes, `PyTorch` and `NumPy` by the directory of
//! a zip, `NeMo` by the members of a tar. So each format has a file here, which reads what such a loader reads first: the beginning of
//! a pickle, the directory of an archive, the headers of its members, and the first bytes of each member.
//!
//! Archives can be read in more than one way: a zip from each of several end records, and behind any bytes. Where one of these ways
//! shows a format that runs code, the file has that format. Where the ways contradict each other, or the contents are hidden, the
//! file is an archive of its own kind ([`Format::Archive`]), which a policy refuses unless it names it.
//!
//! # Limits
//! A look at a file reads at the most [`MAX_FORMAT_BYTES`] in at the most `MAX_READS` pieces, follows archives in archives up to
//! `MAX_DEPTH` deep, and inflates no more than the beginning of a member. A file that needs more is an archive that cannot be told.

mod compressed;
mod danger;
mod hdf5;
mod inflate;
mod look;
mod numpy;
mod onnx;
mod pickle;
mod tar;
mod text;
mod zip;

use std::io;

use danger::worst;
pub use look::MAX_BYTES as MAX_FORMAT_BYTES;
use look::{Look, Span, Stop, Told};
use provisioner_core::Format;

use crate::source::ByteSource;

/// Returns the format of a file from its contents and its name. Contents that run code decide before the name does; a name that
/// states such a format stands for itself where the contents state none.
///
/// ```
/// use model_inspect::format_of;
/// use provisioner_core::Format;
///
/// let format = format_of("tokenizer.dat", &mut b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94.".as_slice())?;
/// assert_eq!(format, Format::Pickle);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the source says. Contents that cannot be understood are no error.
pub fn format_of(file_name: &str, source: &mut dyn ByteSource) -> io::Result<Format> {
    let mut look = Look::new(source, told);
    let whole = look.whole();
    match told(&mut look, whole, file_name, 0) {
        Ok(format) => Ok(format),
        Err(Stop::Limit) => Ok(with_name(file_name, Format::Archive)),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// Returns the format of a file, or of a member of an archive.
fn told(look: &mut Look<'_>, span: Span, file_name: &str, depth: usize) -> Told<Format> {
    Ok(with_name(file_name, contents(look, span, file_name, depth)?))
}

/// Settles the format of a file from what its contents told and what its name states.
fn with_name(file_name: &str, contents: Format) -> Format {
    match Format::named(file_name) {
        // A file with the magic number of GGUF is GGUF, where many kinds of files have its ending.
        Some(Format::Pickle) if contents == Format::Gguf && has_ending(file_name, "bin") => contents,
        Some(named) if named.runs_code() && (!contents.runs_code() || contents == Format::Archive) => named,
        _ => contents,
    }
}

fn has_ending(file_name: &str, ending: &str) -> bool {
    file_name.rsplit_once('.').is_some_and(|(_, found)| found.eq_ignore_ascii_case(ending))
}

fn contents(look: &mut Look<'_>, span: Span, file_name: &str, depth: usize) -> Told<Format> {
    if pickle::is_pickle(look, span)? {
        return Ok(Format::Pickle);
    }
    let beginning = look.read(span, 0, BEGINNING_BYTES)?;
    // Any file may end as a zip too, whatever it begins with.
    let mut found = worst(zip::tell(look, span, &beginning, depth)?, hdf5::tell(look, span)?);
    if found != Some(Format::Pickle) {
        let others = [
            numpy::tell(look, span, &beginning)?,
            tar::tell(look, span, &beginning, depth)?,
            compressed::tell(look, &beginning, file_name, depth)?,
        ];
        found = others.into_iter().fold(found, worst);
    }
    if let Some(found) = found {
        return Ok(found);
    }
    Ok(if beginning.starts_with(b"GGUF") {
        Format::Gguf
    } else if is_safetensors(file_name, &beginning) {
        Format::Safetensors
    } else if onnx::is_onnx(look, span)? {
        Format::Onnx
    } else if text::is_text(&beginning) {
        Format::Text
    } else {
        Format::Other
    })
}

/// How many bytes at the beginning of a file are looked at together: enough for the header of a tar and for what tells a text.
const BEGINNING_BYTES: usize = 16 * 1024;

/// Returns whether a file begins with a little-endian header length and JSON (the format's README, "Format").
fn is_safetensors(file_name: &str, beginning: &[u8]) -> bool {
    let is_named = has_ending(file_name, "safetensors") || has_ending(file_name, "sft");
    is_named && beginning.get(8) == Some(&b'{')
}
