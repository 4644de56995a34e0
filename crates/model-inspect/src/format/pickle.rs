//! Tells a pickle of any protocol by its opcodes.
//!
//! Source: `Lib/pickletools.py` of Python. A pickle is a program for a small machine with a stack. Protocols 2 to 5 begin with the
//! opcode `PROTO`; 0 and 1 begin with any opcode, and most of theirs are letters. So a letter says nothing, and this reads on as the
//! machine would: each opcode must be one, have its argument, and find on the stack what it takes. It is never stricter than a loader,
//! for a loader runs each opcode before it reads the next one.
//!
//! A file is a pickle when it calls what it named, when a first pickle ends and nothing follows, or when so many opcodes in a row
//! make sense that no text and no weights would. A file that begins with `PROTO` needs fewer.

mod opcode;

use opcode::{Argument, Effect, MAX_LINE, Opcode};

use super::look::{Cursor, Look, Span, Stop, Told};

/// How many opcodes make a file a pickle that begins with `PROTO`.
const ENOUGH_AFTER_PROTO: u32 = 4;
/// How many opcodes make any other file a pickle, where some of them build containers or fill the memo.
const ENOUGH: u32 = 64;
/// Limits the depth of the stack. No pickle of weights comes near.
const MAX_STACK: usize = 1 << 16;
/// What four letters of a text are at the least, as a length in bytes.
const LEAST_OF_TEXT: u64 = 0x0909_0909;
/// Modules that every Python has, in which pickles of its own objects and hostile ones name functions.
const KNOWN_MODULES: [&[u8]; 9] =
    [b"os", b"nt", b"posix", b"sys", b"subprocess", b"builtins", b"__builtin__", b"copyreg", b"copy_reg"];

/// Returns whether a part of a file begins as a pickle.
pub(super) fn is_pickle(look: &mut Look<'_>, span: Span) -> Told<bool> {
    let goes_on = look.is_beginning();
    let mut machine = Machine {
        cursor: Cursor::new(look, span),
        goes_on,
        stack: Vec::new(),
        frame_end: None,
        opcodes: 0,
        has_proto: false,
        has_global: false,
        has_known_module: false,
        has_built: false,
    };
    loop {
        if let Some(answer) = machine.step()? {
            return Ok(answer);
        }
    }
}

/// Says what lies on the stack, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Mark,
    /// A number, a text or a tuple: no opcode appends to it, and none calls it.
    Plain,
    Any,
}

/// Says how reading an argument went.
enum Reading {
    Done,
    Wrong,
    /// The file ends in the argument.
    Ended,
    /// The bytes end in the argument, and the rest of the file may well be the rest of it.
    Cut,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a thing that was seen")]
struct Machine<'l, 'a> {
    cursor: Cursor<'l, 'a>,
    /// Whether the file goes on where the cursor ends.
    goes_on: bool,
    stack: Vec<Item>,
    /// Where the frame ends in which the next opcode lies.
    frame_end: Option<u64>,
    opcodes: u32,
    /// Whether the file begins with `PROTO`.
    has_proto: bool,
    /// Whether an opcode named a function or a class.
    has_global: bool,
    /// Whether it named one in a module that every Python has.
    has_known_module: bool,
    /// Whether an opcode built a container or filled the memo.
    has_built: bool,
}

impl Machine<'_, '_> {
    /// Runs one opcode. Returns the answer where there is one.
    fn step(&mut self) -> Told<Option<bool>> {
        let Some(&[code]) = self.cursor.take(1)? else { return Ok(Some(self.ended())) };
        let Some(opcode) = opcode::of(code) else { return Ok(Some(self.broken())) };
        let frame_end = self.frame_end;
        let reading = self.read(opcode.argument)?;
        if self.leaves(frame_end) {
            return Ok(Some(true));
        }
        match reading {
            Reading::Done => {}
            Reading::Wrong => return Ok(Some(self.broken())),
            Reading::Ended => return Ok(Some(self.ended())),
            Reading::Cut => return Ok(Some(self.goes_on || self.ended())),
        }
        if !self.apply(opcode) {
            return Ok(Some(self.broken()));
        }
        if self.stack.len() > MAX_STACK {
            return Err(Stop::Limit);
        }
        self.opcodes += 1;
        self.has_proto |= self.opcodes == 1 && code == opcode::PROTO;
        self.has_global |= opcode.names;
        self.has_built |= opcode.builds;
        if opcode.effect == Effect::Stop {
            return Ok(self.stopped());
        }
        let runs = self.has_global && (opcode.calls || self.has_proto);
        Ok((runs || self.is_enough()).then_some(true))
    }

    /// Returns whether the last opcode began within a frame and goes on behind its end. Python's loader in C then skips what is left of
    /// the frame, so it runs another program than this one.
    fn leaves(&mut self, frame_end: Option<u64>) -> bool {
        let at = self.cursor.offset();
        self.frame_end = self.frame_end.filter(|end| *end != at);
        frame_end.is_some_and(|end| at > end || self.frame_end.is_some_and(|inner| inner > end))
    }

    fn is_enough(&self) -> bool {
        (self.has_proto && self.opcodes >= ENOUGH_AFTER_PROTO) || (self.has_built && self.opcodes >= ENOUGH)
    }

    /// Answers after an opcode that a loader refuses.
    fn broken(&self) -> bool {
        self.is_enough() || self.is_named_so()
    }

    /// Returns whether a file names what a list of words would not, and goes on with an opcode.
    fn is_named_so(&self) -> bool {
        self.has_known_module && self.opcodes > 1
    }

    /// Answers where the file ends without `STOP`.
    fn ended(&self) -> bool {
        let is_long = self.has_built && self.opcodes >= ENOUGH / 4;
        self.has_proto || self.is_named_so() || (self.goes_on && is_long)
    }

    /// Answers after `STOP`. `PyTorch` wrote several pickles one after the other, and the first ones name nothing.
    fn stopped(&mut self) -> Option<bool> {
        let is_all = self.cursor.left() == 0 && !self.goes_on;
        self.stack.clear();
        (self.has_proto || self.has_global || is_all).then_some(true)
    }

    fn read(&mut self, argument: Argument) -> Told<Reading> {
        let is_right = match argument {
            Argument::None => true,
            Argument::Version => match self.cursor.take(1)? {
                Some(&[version]) => version <= opcode::HIGHEST_PROTOCOL,
                _ => return Ok(Reading::Ended),
            },
            Argument::Bytes(bytes) => return Ok(self.skip(bytes)),
            Argument::Frame => {
                let Some(length) = self.cursor.array()? else { return Ok(Reading::Ended) };
                let end = self.cursor.offset().saturating_add(u64::from_le_bytes(length));
                self.frame_end = self.frame_end.max(Some(end));
                true
            }
            Argument::Counted(width) => {
                let Some(length) = self.cursor.take(width)? else { return Ok(Reading::Ended) };
                let length = length.iter().rev().fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
                return Ok(self.skip(length));
            }
            Argument::Line(is_right) => match self.cursor.line(MAX_LINE)? {
                (line, true) => line.len() >= MAX_LINE || is_right(&line),
                (line, false) if line.len() >= MAX_LINE && is_right(&line) => return Ok(Reading::Cut),
                _ => return Ok(Reading::Ended),
            },
            Argument::Name => return self.read_name(),
        };
        Ok(if is_right { Reading::Done } else { Reading::Wrong })
    }

    fn read_name(&mut self) -> Told<Reading> {
        let ((module, _), (name, true)) = (self.cursor.line(MAX_LINE)?, self.cursor.line(MAX_LINE)?) else {
            return Ok(Reading::Ended);
        };
        self.has_known_module |= KNOWN_MODULES.contains(&module.as_slice());
        let is_right = opcode::is_name(&module) && opcode::is_name(&name);
        Ok(if is_right { Reading::Done } else { Reading::Wrong })
    }

    fn skip(&mut self, bytes: u64) -> Reading {
        if self.cursor.skip(bytes) {
            Reading::Done
        } else if (MAX_LINE as u64..LEAST_OF_TEXT).contains(&bytes) {
            Reading::Cut
        } else {
            Reading::Ended
        }
    }

    /// Does to the stack what an opcode does. Returns whether the stack has what the opcode takes.
    fn apply(&mut self, opcode: Opcode) -> bool {
        match opcode.effect {
            Effect::Keep { needs } => self.has(needs),
            Effect::Mark => self.push(Item::Mark),
            Effect::Pop => self.stack.pop().is_some(),
            Effect::PopMark => self.pop_to_mark().is_some(),
            Effect::Duplicate => {
                let top = self.stack.last().copied();
                top.is_some_and(|top| top != Item::Mark && self.push(top))
            }
            Effect::Stop => self.has(1),
            Effect::Plain { takes } => self.pop(takes) && self.push(Item::Plain),
            Effect::Any { takes } => self.pop(takes) && self.push(Item::Any),
            Effect::Call { takes } => self.pop(takes - 1) && self.pop_container() && self.push(Item::Any),
            Effect::PlainFromMark => self.pop_to_mark().is_some() && self.push(Item::Plain),
            Effect::AnyFromMark { least } => {
                self.pop_to_mark().is_some_and(|items| items >= least) && self.push(Item::Any)
            }
            Effect::Into { takes } => self.pop(takes) && self.pop_container() && self.push(Item::Any),
            // Where nothing lies above the mark, a loader does nothing to what lies below, whatever that is.
            Effect::IntoFromMark => match self.pop_to_mark() {
                Some(0) => self.has(1),
                Some(_) => self.pop_container() && self.push(Item::Any),
                None => false,
            },
        }
    }

    fn push(&mut self, item: Item) -> bool {
        self.stack.push(item);
        true
    }

    fn has(&self, items: usize) -> bool {
        let above = self.stack.iter().rev().take(items).filter(|item| **item != Item::Mark);
        above.count() == items
    }

    fn pop(&mut self, items: usize) -> bool {
        let has = self.has(items);
        self.stack.truncate(self.stack.len().saturating_sub(items));
        has
    }

    /// Takes an item off to which something is appended, or that is called.
    fn pop_container(&mut self) -> bool {
        self.stack.pop() == Some(Item::Any)
    }

    /// Takes all items above the last mark off, and the mark. Returns how many they were.
    fn pop_to_mark(&mut self) -> Option<usize> {
        let mark = self.stack.iter().rposition(|item| *item == Item::Mark)?;
        let items = self.stack.len() - mark - 1;
        self.stack.truncate(mark);
        Some(items)
    }
}
