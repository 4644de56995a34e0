//! Tells HDF5 by its signature.
//!
//! Source: HDF5 File Format Specification, version 3.0, "Disk Format: Level 0A": the superblock lies at offset 0, 512, 1024, and so
//! on in doublings.

use provisioner_core::Format;

use super::look::{Look, Span, Told};

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

pub(super) fn tell(look: &mut Look<'_>, span: Span) -> Told<Option<Format>> {
    let mut offset = 0;
    while offset < span.len() {
        if look.read(span, offset, SIGNATURE.len())? == SIGNATURE {
            return Ok(Some(Format::Hdf5));
        }
        offset = if offset == 0 { 512 } else { offset.saturating_mul(2) };
    }
    Ok(None)
}
