//! Tells ONNX by its outermost fields.
//!
//! Source: `ModelProto` in `onnx/onnx.proto`. It has no magic number, so all fields of the message are walked over: each must be one
//! of the message, the last one must end with the file, and a version and a graph must be among them.

use super::look::{Cursor, Look, Span, Told};

/// Limits the fields that are walked over. A model has few, but for one for each of its functions.
const MAX_FIELDS: usize = 4096;
/// The fields of the version of the format and of the graph.
const VERSION: u64 = 1;
const GRAPH: u64 = 7;
/// The ways in which a field is written: a number, and bytes with their length.
const NUMBER: u64 = 0;
const BYTES: u64 = 2;

/// Returns whether a file is a model of ONNX.
pub(super) fn is_onnx(look: &mut Look<'_>, span: Span) -> Told<bool> {
    if look.read(span, 0, 1)? != [0x08] {
        return Ok(false);
    }
    let mut cursor = Cursor::new(look, span);
    let (mut has_version, mut has_graph) = (false, false);
    for _ in 0..MAX_FIELDS {
        if cursor.left() == 0 {
            return Ok(has_version && has_graph);
        }
        let (Some(tag), Some(value)) = (varint(&mut cursor)?, varint(&mut cursor)?) else { return Ok(false) };
        let field = tag >> 3;
        let is_right = match (field, tag & 7) {
            (1 | 5, NUMBER) => true,
            (2..=4 | 6 | 7 | 8 | 14 | 20 | 25 | 26, BYTES) => cursor.skip(value),
            _ => false,
        };
        if !is_right {
            return Ok(false);
        }
        has_version |= field == VERSION;
        has_graph |= field == GRAPH;
    }
    Ok(false)
}

fn varint(cursor: &mut Cursor<'_, '_>) -> Told<Option<u64>> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some(&[byte]) = cursor.take(1)? else { return Ok(None) };
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
