//! Lists the opcodes of pickles: what follows each, and what it does to the stack.
//!
//! Source: `opcodes` in `Lib/pickletools.py` of Python, protocols 0 to 5.

/// The opcode that names the protocol.
pub(super) const PROTO: u8 = 0x80;
pub(super) const HIGHEST_PROTOCOL: u8 = 5;
/// How much of a line is looked at, in bytes.
pub(super) const MAX_LINE: usize = 1024;

/// Says what follows an opcode.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    None,
    /// The number of a protocol.
    Version,
    /// So many bytes.
    Bytes(u64),
    /// The length of a frame, in eight bytes.
    Frame,
    /// A little-endian length of so many bytes, and as many bytes as it says.
    Counted(usize),
    /// A line, of which the function says whether a loader takes it.
    Line(fn(&[u8]) -> bool),
    /// A line with a module, and one with a name in it.
    Name,
}

/// Says what an opcode does to the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Leaves the stack alone, which must have so many items.
    Keep {
        needs: usize,
    },
    Mark,
    Pop,
    PopMark,
    Duplicate,
    Stop,
    /// Takes items, and puts one there that is a number, a text or a tuple.
    Plain {
        takes: usize,
    },
    /// Takes items, and puts any one there.
    Any {
        takes: usize,
    },
    /// Takes what is called and its arguments, and puts the result there.
    Call {
        takes: usize,
    },
    PlainFromMark,
    /// Takes the items above the last mark, of which there must be some.
    AnyFromMark {
        least: usize,
    },
    /// Puts items into the one below them.
    Into {
        takes: usize,
    },
    IntoFromMark,
}

#[derive(Clone, Copy)]
pub(super) struct Opcode {
    pub(super) argument: Argument,
    pub(super) effect: Effect,
    /// Whether the opcode names a function or a class, which a loader imports.
    pub(super) names: bool,
    /// Whether a loader calls something.
    pub(super) calls: bool,
    /// Whether the opcode builds a container or fills the memo.
    pub(super) builds: bool,
}

/// Returns the opcode of a byte. `None` where it is none.
pub(super) fn of(code: u8) -> Option<Opcode> {
    let (argument, effect) = argument_and_effect(code)?;
    Some(Opcode {
        argument,
        effect,
        names: matches!(code, b'c' | b'i' | 0x82..=0x84 | 0x93),
        calls: matches!(code, b'R' | b'b' | b'i' | b'o' | 0x81 | 0x92),
        builds: matches!(
            code,
            b'a' | b'd' | b'e' | b'l' | b'p' | b'q' | b'r' | b's' | b't' | b'u' | 0x90 | 0x94
        ),
    })
}

fn argument_and_effect(code: u8) -> Option<(Argument, Effect)> {
    use Argument::{Bytes, Counted, Frame, Line, Name, None as Nothing, Version};
    use Effect::{
        Any, AnyFromMark, Call, Duplicate, Into, IntoFromMark, Keep, Mark, Plain, PlainFromMark, Pop,
        PopMark, Stop,
    };
    let plain = Plain { takes: 0 };
    Some(match code {
        b'(' => (Nothing, Mark),
        b'.' => (Nothing, Stop),
        b'0' => (Nothing, Pop),
        b'1' => (Nothing, PopMark),
        b'2' => (Nothing, Duplicate),
        b'N' | b')' | 0x88 | 0x89 => (Nothing, plain),
        b'K' => (Bytes(1), plain),
        b'M' => (Bytes(2), plain),
        b'J' => (Bytes(4), plain),
        b'G' => (Bytes(8), plain),
        b'I' | b'L' => (Line(is_number), plain),
        b'F' => (Line(is_float), plain),
        b'S' => (Line(is_quoted), plain),
        b'V' => (Line(|_| true), plain),
        b'C' | b'U' | 0x8a | 0x8c => (Counted(1), plain),
        b'B' | b'T' | b'X' | 0x8b => (Counted(4), plain),
        0x8d | 0x8e => (Counted(8), plain),
        0x96 => (Counted(8), Any { takes: 0 }),
        b']' | b'}' | 0x8f | 0x97 => (Nothing, Any { takes: 0 }),
        b'P' => (Line(|_| true), Any { takes: 0 }),
        b'Q' => (Nothing, Any { takes: 1 }),
        b'g' => (Line(is_number), Any { takes: 0 }),
        b'h' | 0x82 => (Bytes(1), Any { takes: 0 }),
        b'j' | 0x84 => (Bytes(4), Any { takes: 0 }),
        b'p' => (Line(is_number), Keep { needs: 1 }),
        b'q' => (Bytes(1), Keep { needs: 1 }),
        b'r' => (Bytes(4), Keep { needs: 1 }),
        0x94 | 0x98 => (Nothing, Keep { needs: 1 }),
        b'c' => (Name, Any { takes: 0 }),
        0x83 => (Bytes(2), Any { takes: 0 }),
        b'R' | 0x81 => (Nothing, Call { takes: 2 }),
        0x92 => (Nothing, Call { takes: 3 }),
        b'i' => (Name, AnyFromMark { least: 0 }),
        b'o' => (Nothing, AnyFromMark { least: 1 }),
        // Where the state of `BUILD` is empty, a loader does nothing to what lies below, whatever that is.
        b'b' | 0x93 => (Nothing, Any { takes: 2 }),
        b'd' | b'l' | 0x91 => (Nothing, AnyFromMark { least: 0 }),
        b't' => (Nothing, PlainFromMark),
        0x85 => (Nothing, Plain { takes: 1 }),
        0x86 => (Nothing, Plain { takes: 2 }),
        0x87 => (Nothing, Plain { takes: 3 }),
        b'a' => (Nothing, Into { takes: 1 }),
        b's' => (Nothing, Into { takes: 2 }),
        b'e' | b'u' | 0x90 => (Nothing, IntoFromMark),
        PROTO => (Version, Keep { needs: 0 }),
        0x95 => (Frame, Keep { needs: 0 }),
        _ => return None,
    })
}

fn is_number(line: &[u8]) -> bool {
    let number = unsigned(line);
    // A long number may have a letter behind it.
    let number = number.strip_suffix(b"L").map_or(number, white_off);
    // Python's loader in C reads no digits before a zero byte as zero.
    let begins = number.first().map_or(line.contains(&0), u8::is_ascii_digit);
    begins && number.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn is_float(line: &[u8]) -> bool {
    let line = unsigned(line).to_ascii_lowercase();
    line.first().is_some_and(|first| first.is_ascii_digit() || *first == b'.')
        || line.starts_with(b"inf")
        || line.starts_with(b"nan")
}

/// Returns a number without its sign, and without what a loader skips: white space, and what stands behind a zero byte.
fn unsigned(line: &[u8]) -> &[u8] {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let line = white_off(line);
    line.strip_prefix(b"-").or_else(|| line.strip_prefix(b"+")).unwrap_or(line)
}

/// Returns a text without the white space around it, as C and Python know it.
fn white_off(line: &[u8]) -> &[u8] {
    let is_white = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let from = line.iter().position(|byte| !is_white(byte)).unwrap_or(line.len());
    let to = line.iter().rposition(|byte| !is_white(byte)).map_or(from, |last| last + 1);
    line.get(from..to).unwrap_or_default()
}

/// Returns whether a line is a text in quotes. A long line is cut off before its last quote.
fn is_quoted(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    match line {
        [first @ (b'\'' | b'"'), .., last] => first == last || line.len() >= MAX_LINE / 2,
        _ => false,
    }
}

/// Returns whether a line may be the name of a module, or of something in one.
pub(super) fn is_name(line: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-<>".contains(byte) || !byte.is_ascii();
    !line.is_empty() && line.iter().all(is_part)
}
