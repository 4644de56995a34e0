//! Tells files of `NumPy` that hold Python objects, which are pickled behind the header.
//!
//! Source: `numpy.lib.format`, "Format Version 1.0" to 3.0: a magic number, a version, the length of the header, and a dictionary in
//! Python's syntax with the type of the numbers. A type that holds objects has the code `O` or the name `object`.

use provisioner_core::Format;

use super::look::{Look, Span, Told};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Limits the header, in bytes. `NumPy` itself reads a longer one than 10,000 bytes only where its caller allows pickles.
const MAX_HEADER: usize = 64 * 1024;

/// Returns [`Format::Pickle`] for a file that holds objects, and `None` for any other.
pub(super) fn tell(look: &mut Look<'_>, span: Span, beginning: &[u8]) -> Told<Option<Format>> {
    let Some([major, _, rest @ ..]) = beginning.strip_prefix(MAGIC) else { return Ok(None) };
    let (length, at) = match (*major, rest) {
        (1, [low, high, ..]) => (usize::from(u16::from_le_bytes([*low, *high])), MAGIC.len() + 4),
        (_, [a, b, c, d, ..]) => {
            (usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX), MAGIC.len() + 6)
        }
        _ => return Ok(None),
    };
    if length > MAX_HEADER {
        return Ok(Some(Format::Pickle));
    }
    let header = look.read(span, at as u64, length)?;
    Ok((header.len() < length || has_objects(&header)).then_some(Format::Pickle))
}

/// Returns whether a header may name a type that holds objects. It reads the texts of the dictionary. What no `NumPy` writes counts as
/// such a type: an escape in a text, a comment, and two texts in a row, which Python joins.
fn has_objects(header: &[u8]) -> bool {
    if header.contains(&b'\\') || header.contains(&b'#') {
        return true;
    }
    let (mut rest, mut before) = (header, b'{');
    while let Some(quote) = rest.iter().position(|byte| b"'\"".contains(byte)) {
        let (above, from) = rest.split_at(quote);
        before = above.trim_ascii_end().last().copied().unwrap_or(before);
        let Some((mark, text)) = from.split_first() else { break };
        let Some(end) = text.iter().position(|byte| byte == mark) else { return true };
        let (text, after) = text.split_at(end);
        if !b"{[(,:".contains(&before) || names_objects(text) {
            return true;
        }
        (rest, before) = (after.get(1..).unwrap_or_default(), *mark);
    }
    false
}

/// Returns whether a text is a type that holds objects: `|O`, `O8`, `object`, or one of several between commas.
fn names_objects(text: &[u8]) -> bool {
    text.split(|byte| *byte == b',').any(|part| {
        let is_before = |byte: &u8| b"|<>=() ".contains(byte) || byte.is_ascii_digit();
        let start = part.iter().position(|byte| !is_before(byte)).unwrap_or(part.len());
        let code = part.get(start..).unwrap_or_default();
        let is_code =
            code.strip_prefix(b"O").is_some_and(|rest| rest.iter().all(|byte| !byte.is_ascii_alphabetic()));
        is_code || code.to_ascii_lowercase().starts_with(b"object")
    })
}
