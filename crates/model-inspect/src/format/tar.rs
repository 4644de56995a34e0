//! Tells the members of a tar, as which `NeMo` keeps its models and `PyTorch` kept them at first.
//!
//! Source: "pax Interchange Format" of POSIX.1-2017, and "Basic Tar Format" of the manual of GNU tar. Where readers of tars differ, in
//! how long a member is, the tar is an archive that cannot be told.

use provisioner_core::Format;

use super::{
    danger::{dangerous, worst},
    look::{Look, MAX_DEPTH, Span, Stop, Told},
};

const BLOCK: usize = 512;
/// Limits the members that are looked at.
const MAX_MEMBERS: usize = 8192;
/// Limits a header that only names the next member, in bytes.
const MAX_NAMES: usize = 64 * 1024;

/// Returns the worst format of the members of a tar; `None` where the file is not a tar, or has none that runs code.
pub(super) fn tell(look: &mut Look<'_>, span: Span, beginning: &[u8], depth: usize) -> Told<Option<Format>> {
    if beginning.get(..BLOCK).and_then(Header::read).is_none() {
        return Ok(None);
    }
    if depth >= MAX_DEPTH {
        return Err(Stop::Limit);
    }
    let mut walk = Walk { at: 0, named: Named::default(), found: None };
    for _ in 0..MAX_MEMBERS {
        if !walk.step(look, span, depth)? || walk.found == Some(Format::Pickle) {
            return Ok(walk.found);
        }
    }
    Err(Stop::Limit)
}

/// What headers before a member say of it.
#[derive(Default)]
struct Named {
    name: Option<String>,
    size: Option<u64>,
    is_sparse: bool,
}

struct Walk {
    at: u64,
    named: Named,
    found: Option<Format>,
}

impl Walk {
    /// Looks at one member. Returns whether more may follow.
    fn step(&mut self, look: &mut Look<'_>, span: Span, depth: usize) -> Told<bool> {
        let block = look.read(span, self.at, BLOCK)?;
        if block.is_empty() || block.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        let Some(header) = Header::read(&block) else { return Ok(self.contradicts()) };
        let named = if header.is_about_next() { Named::default() } else { std::mem::take(&mut self.named) };
        let Some(size) = named.size.or(header.size) else { return Ok(self.contradicts()) };
        let name = named.name.unwrap_or_else(|| header.name.clone());
        let data = span.part(self.at + BLOCK as u64, size);
        // What is no file has no bytes, and readers differ in whether they skip those that its header promises.
        let is_wrong = data.len() < size && !look.is_beginning() || (header.is_empty_kind(&name) && size > 0);
        if is_wrong || named.is_sparse || header.kind == b'S' {
            return Ok(self.contradicts());
        }
        let block = BLOCK as u64;
        self.at = self.at.saturating_add(block).saturating_add(size.div_ceil(block).saturating_mul(block));
        if header.is_about_next() {
            return self.name_next(look, &header, data);
        }
        if !header.is_empty_kind(&name) {
            let file_name = name.rsplit('/').next().unwrap_or_default();
            let found = look.member(data, file_name, depth)?;
            self.found = worst(self.found, dangerous(found));
        }
        Ok(true)
    }

    fn contradicts(&mut self) -> bool {
        self.found = worst(self.found, Some(Format::Archive));
        false
    }

    /// Reads what a header says of the member behind it.
    fn name_next(&mut self, look: &mut Look<'_>, header: &Header, data: Span) -> Told<bool> {
        if data.len() > MAX_NAMES as u64 {
            return Ok(self.contradicts());
        }
        let bytes = look.read(data, 0, MAX_NAMES)?;
        match header.kind {
            b'L' => self.named.name = Some(text(&bytes)),
            b'x' => return Ok(self.read_pax(&bytes) || self.contradicts()),
            // What holds for all members must say nothing of their sizes.
            b'g' if bytes.windows(5).any(|window| window == b"size=") => return Ok(self.contradicts()),
            _ => {}
        }
        Ok(true)
    }

    /// Reads the records of a pax header. Returns whether they are sound.
    fn read_pax(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() && rest.first() != Some(&0) {
            let Some(space) = rest.iter().position(|byte| *byte == b' ') else { return false };
            let length = std::str::from_utf8(rest.get(..space).unwrap_or_default())
                .ok()
                .and_then(|text| text.parse().ok());
            let Some(record) = length.and_then(|length: usize| rest.get(space + 1..length)) else {
                return false;
            };
            rest = rest.get(space + 1 + record.len()..).unwrap_or_default();
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return false };
            let (key, value) = (
                record.get(..equals).unwrap_or_default(),
                text(record.get(equals + 1..).unwrap_or_default()),
            );
            match key {
                b"path" => self.named.name = Some(value),
                b"size" => match value.parse() {
                    Ok(size) => self.named.size = Some(size),
                    Err(_) => return false,
                },
                key if key.starts_with(b"GNU.sparse") => self.named.is_sparse = true,
                _ => {}
            }
        }
        true
    }
}

/// The header of one member.
struct Header {
    name: String,
    /// `None` where it is not a size.
    size: Option<u64>,
    kind: u8,
}

impl Header {
    /// Reads a header; `None` where its checksum is not that of the block.
    fn read(block: &[u8]) -> Option<Self> {
        let checksum = number(block.get(148..156)?)?;
        let blank = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { *byte };
        let bytes = || block.iter().take(BLOCK).enumerate().map(blank);
        let unsigned: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        if block.len() < BLOCK || (checksum != unsigned && checksum != signed) {
            return None;
        }
        let size = number(block.get(124..136)?).and_then(|size| u64::try_from(size).ok());
        Some(Self { name: text(block.get(..100)?), size, kind: *block.get(156)? })
    }

    /// Returns whether the header says something of the next member.
    fn is_about_next(&self) -> bool {
        b"xgLK".contains(&self.kind)
    }

    /// Returns whether a member of this kind has no bytes: a link, a folder, a device.
    fn is_empty_kind(&self, name: &str) -> bool {
        b"123456".contains(&self.kind) || (self.kind == 0 && name.ends_with('/'))
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Reads a number: octal digits, or GNU's bytes behind a first one that says their sign.
fn number(field: &[u8]) -> Option<i64> {
    match field {
        [sign @ (0x80 | 0xff), rest @ ..] => {
            let sum = rest.iter().fold(0_i128, |sum, byte| (sum << 8) | i128::from(*byte));
            let below = if *sign == 0xff { 1_i128 << (8 * rest.len()) } else { 0 };
            i64::try_from(sum - below).ok()
        }
        field => octal(field),
    }
}

/// Reads octal digits as Python's `int` does: with a sign, a prefix, and lines between the digits.
fn octal(field: &[u8]) -> Option<i64> {
    let written = text(field);
    let is_white = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let digits = written.trim_matches(is_white).to_ascii_lowercase().replace('_', "");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let digits = digits.strip_prefix("0o").unwrap_or(digits);
    if digits.is_empty() { Some(0) } else { i64::from_str_radix(digits, 8).ok().map(|value| sign * value) }
}
