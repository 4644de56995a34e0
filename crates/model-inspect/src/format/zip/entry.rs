//! Reads one entry of a zip's directory.

use super::record::{ENTRY, LOCAL_BYTES, number};
use crate::format::look::{Cursor, Told};

const ENTRY_BYTES: usize = 46;
/// The extra field with the long sizes of zip64, and that with a second name.
const ZIP64: u64 = 1;
const UNICODE_PATH: u64 = 0x7075;

/// A member, as the directory lists it.
pub(super) struct Entry {
    /// The names that readers give to the member, in lower case, and with `/` between folders.
    pub(super) names: Vec<String>,
    /// The first name as it is written.
    pub(super) written: String,
    pub(super) method: u64,
    pub(super) is_encrypted: bool,
    pub(super) size: u64,
    /// The offset of the member's own header.
    pub(super) offset: u64,
    name_bytes: u64,
}

impl Entry {
    /// Reads the next entry; `None` where none follows.
    pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Told<Option<Self>> {
        let Some(fixed) = cursor.array::<ENTRY_BYTES>()? else { return Ok(None) };
        if !fixed.starts_with(ENTRY) {
            return Ok(None);
        }
        let lengths = [28, 30, 32].map(|at| usize::try_from(number(&fixed, at, 2)).unwrap_or(0));
        let Some(name) = cursor.take(lengths[0])?.map(<[u8]>::to_vec) else { return Ok(None) };
        let Some(extra) = cursor.take(lengths[1])?.map(<[u8]>::to_vec) else { return Ok(None) };
        if !cursor.skip(lengths[2] as u64) {
            return Ok(None);
        }
        let mut entry = Self {
            names: Vec::new(),
            written: String::from_utf8_lossy(&name).into_owned(),
            method: number(&fixed, 10, 2),
            is_encrypted: number(&fixed, 8, 2) & 1 != 0,
            size: number(&fixed, 20, 4),
            offset: number(&fixed, 42, 4),
            name_bytes: name.len() as u64,
        };
        entry.add_name(&name);
        entry.read_extra(&extra, number(&fixed, 24, 4) == u64::from(u32::MAX));
        Ok(Some(entry))
    }

    /// Returns the offset behind the member, at the least.
    pub(super) fn end(&self) -> u64 {
        let header = LOCAL_BYTES as u64 + self.name_bytes;
        self.offset.saturating_add(header).saturating_add(self.size)
    }

    /// Adds a name, and what is left of it where a reader ends it at a zero byte.
    fn add_name(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name).replace('\\', "/").to_ascii_lowercase();
        if let Some((before, _)) = name.split_once('\0') {
            self.names.push(before.to_owned());
        }
        self.names.push(name);
    }

    fn read_extra(&mut self, extra: &[u8], has_long_size: bool) {
        let mut rest = extra;
        while let Some((head, after)) = rest.split_at_checked(4) {
            let length = usize::try_from(number(head, 2, 2)).unwrap_or(0).min(after.len());
            let (field, next) = after.split_at(length);
            match number(head, 0, 2) {
                ZIP64 => self.read_long(field, has_long_size),
                // A version, and a checksum of the name that this one stands for.
                UNICODE_PATH => self.add_name(field.get(5..).unwrap_or_default()),
                _ => {}
            }
            rest = next;
        }
    }

    /// Takes the numbers that do not fit into the entry: the size before compression, the one after it, and the offset.
    fn read_long(&mut self, field: &[u8], has_long_size: bool) {
        let mut at = if has_long_size { 8 } else { 0 };
        for value in [&mut self.size, &mut self.offset] {
            if *value == u64::from(u32::MAX) && field.len() >= at + 8 {
                *value = number(field, at, 8);
                at += 8;
            }
        }
    }
}
