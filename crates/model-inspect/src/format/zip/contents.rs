//! Tells a zip by the names of its members, and by what these begin with.

use provisioner_core::Format;

use super::{
    entry::Entry,
    record::{LOCAL, LOCAL_BYTES, number},
};
use crate::format::{
    danger::{dangerous, worst},
    inflate,
    look::{Look, Span, Told},
};

/// Limits the members whose first bytes are looked at.
const MAX_PEEKS: usize = 8192;
/// How much of a deflated member is read, and inflated, in bytes.
const DEFLATED: usize = 4096;
const STORED: u64 = 0;
const DEFLATE: u64 = 8;

/// The pickles of a `TorchScript` archive, as `PyTorch` writes them. Its own loader reads them, and calls nothing by name.
const TORCHSCRIPT_PICKLES: [&str; 6] = [
    "data.pkl",
    "constants.pkl",
    "bytecode.pkl",
    "attributes.pkl",
    "traced_inputs.pkl",
    "mobile_debug_handles.pkl",
];

/// What the names of a directory say.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that was seen")]
pub(super) struct Contents {
    has_constants: bool,
    has_code: bool,
    has_pickle: bool,
    /// Whether a pickle is not one of those of `TorchScript`.
    has_other_pickle: bool,
    is_exported: bool,
    has_config: bool,
    has_keras_part: bool,
    is_contradictory: bool,
    /// Whether there are more members than are looked at.
    has_more: bool,
    entries: Vec<Entry>,
}

impl Contents {
    pub(super) fn contradicts(&mut self) {
        self.is_contradictory = true;
    }

    pub(super) fn add(&mut self, entry: Entry) {
        for name in &entry.names {
            let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
            if Format::named(base) == Some(Format::Pickle) {
                self.has_pickle = true;
                let written = entry.written.rsplit('/').next().unwrap_or_default();
                self.has_other_pickle |= folder.contains('/') || !TORCHSCRIPT_PICKLES.contains(&written);
                self.has_constants |= written == "constants.pkl";
            }
            self.has_code |=
                folder.split('/').nth(1) == Some("code") || folder.split('/').next() == Some("code");
            self.is_exported |= base == "archive_format" || base == "serialized_exported_program.json";
            self.has_config |= name == "config.json";
            self.has_keras_part |= name == "metadata.json" || name.starts_with("model.weights.");
        }
        if self.entries.len() < MAX_PEEKS {
            self.entries.push(entry);
        } else {
            self.has_more = true;
        }
    }

    /// Returns the worst format that names and members tell. `directory` is the offset of the directory, and `shift` the length of a
    /// prefix.
    pub(super) fn tell(
        mut self,
        look: &mut Look<'_>,
        span: Span,
        directory: u64,
        shift: u64,
        depth: usize,
    ) -> Told<Option<Format>> {
        let is_script = self.has_constants && self.has_code && !self.has_other_pickle;
        if self.has_pickle && !is_script {
            return Ok(Some(Format::Pickle));
        }
        let mut found = if is_script || self.is_exported {
            Some(Format::TorchScript)
        } else if self.has_config && self.has_keras_part {
            Some(Format::Keras)
        } else {
            None
        };
        let whole = span.len();
        if self.overlaps(directory.saturating_sub(shift).min(whole)) {
            self.is_contradictory = true;
        }
        if self.is_contradictory || (self.has_more && found.is_none()) {
            found = worst(found, Some(Format::Archive));
        }
        // What a known archive holds is told by its names.
        let is_known = found.is_some() && !self.is_contradictory;
        for entry in self.entries.iter().filter(|_| !is_known) {
            found = worst(found, member(look, span, entry, shift, depth)?);
            if found == Some(Format::Pickle) {
                break;
            }
        }
        Ok(found)
    }

    /// Returns whether two members share bytes, or one lies past the directory.
    fn overlaps(&self, directory: u64) -> bool {
        let mut parts: Vec<_> = self.entries.iter().map(|entry| (entry.offset, entry.end())).collect();
        parts.sort_unstable();
        let next = parts.iter().skip(1).map(|(start, _)| *start).chain([directory]);
        parts.iter().zip(next).any(|((_, end), next)| *end > next)
    }
}

/// Returns the format of a member, where it runs code.
fn member(look: &mut Look<'_>, span: Span, entry: &Entry, shift: u64, depth: usize) -> Told<Option<Format>> {
    let name = entry.names.last().map(String::as_str).unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let Some(data) = data(look, span, entry, shift)? else { return Ok(Some(Format::Archive)) };
    let format = match entry.method {
        STORED if !entry.is_encrypted => look.member(data, name, depth)?,
        DEFLATE if !entry.is_encrypted => {
            let stream = look.read(data, 0, DEFLATED)?;
            match inflate::beginning(&stream, DEFLATED) {
                Some(inside) if !inside.hides => look.member_beginning(&inside.bytes, name, depth)?,
                _ => Format::Archive,
            }
        }
        // What cannot be looked into may hold anything.
        _ => Format::Archive,
    };
    Ok(dangerous(format))
}

/// Finds the bytes of a member, behind its own header. `None` where that is not where the directory says.
fn data(look: &mut Look<'_>, span: Span, entry: &Entry, shift: u64) -> Told<Option<Span>> {
    for offset in [entry.offset.saturating_add(shift), entry.offset] {
        let header = look.read(span, offset, LOCAL_BYTES)?;
        if header.len() == LOCAL_BYTES && header.starts_with(LOCAL) {
            let behind = LOCAL_BYTES as u64 + number(&header, 26, 2) + number(&header, 28, 2);
            return Ok(Some(span.part(offset.saturating_add(behind), entry.size)));
        }
    }
    Ok(None)
}
