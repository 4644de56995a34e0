//! Prints results on standard output, and everything else on standard error. A reader that closes its end ends the output quietly.

use std::{
    fmt::Display,
    io::{self, BufWriter, Write},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{
    escape::{bounded, escaped},
    failure::{Failure, FailureDocument},
};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// How many bytes of a result are in memory at the most before they go out.
const BUFFER_BYTES: usize = 64 << 10;

/// Prints as the global options say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    /// Makes a printer of documents, where `json` says so, or of text.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints the result: the document, or its text for people.
    ///
    /// # Errors
    /// Where standard output cannot be written, as in the other functions.
    pub(crate) fn result(self, document: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        if self.json { print_document(document) } else { print(&escaped(&text.to_string())) }
    }

    /// Prints a result whose text is a path, or one on each line: exactly, for a shell gives it to a program.
    pub(crate) fn paths(self, document: &impl Serialize, paths: impl Display) -> Result<(), Failure> {
        if self.json { print_document(document) } else { print(&paths.to_string()) }
    }

    /// Prints the results of several references; of a single one, the document is not a list.
    pub(crate) fn one_or_several<T: Serialize>(
        self,
        documents: &[T],
        text: impl Display,
    ) -> Result<(), Failure> {
        match documents {
            [only] => self.result(only, text),
            several => self.result(&several, text),
        }
    }

    /// Prints a part of the result for people, before the command knows the rest.
    pub(crate) fn say_result(self, text: impl Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(&escaped(&text.to_string())) }
    }

    /// Prints lines for people as they come, before the command knows the rest.
    pub(crate) fn say_lines(self, lines: impl Iterator<Item = String>) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, anstream::stdout());
        let mut write = |line: String| writeln!(out, "{}", escaped(&line));
        let mut lines = lines;
        let written = lines.try_for_each(&mut write).and_then(|()| out.flush());
        ignore_closed(written)
    }

    /// Begins a list whose elements the command prints as it comes to know them.
    pub(crate) fn elements(self) -> Elements {
        Elements { printer: self, count: 0 }
    }

    /// Prints text that is the same in either mode, such as completions.
    pub(crate) fn raw(text: &[u8]) -> Result<(), Failure> {
        ignore_closed(io::stdout().lock().write_all(text))
    }

    /// Prints a warning, unless the caller wants none.
    pub(crate) fn warning(self, message: impl Display) {
        if !self.quiet {
            note(YELLOW, "warning", message);
        }
    }

    /// Prints a next step, unless the caller wants none.
    pub(crate) fn hint(self, message: impl Display) {
        if !self.quiet {
            next_step(message);
        }
    }

    /// Prints what the command decided for the caller, unless the caller wants none.
    pub(crate) fn note(self, message: impl Display) {
        if !self.quiet {
            note(CYAN, "chosen", message);
        }
    }

    /// Prints what the command has done, for a person who watches.
    pub(crate) fn say(self, message: impl Display) {
        if !self.quiet && !self.json {
            let _ = writeln!(anstream::stderr(), "{}", escaped(&message.to_string()));
        }
    }

    /// Prints a failure: in words on standard error, and as a document where the caller wants documents.
    pub(crate) fn failure(self, failure: &Failure) {
        Self::failure_text(failure);
        if self.json {
            Self::failure_document(failure);
        }
    }

    /// Prints the words of a failure alone, where the failure is part of a larger document.
    pub(crate) fn failure_text(failure: &Failure) {
        note(RED, "error", &failure.message);
        if let Some(hint) = &failure.hint {
            next_step(hint);
        }
    }

    /// Prints the document of a failure alone.
    pub(crate) fn failure_document(failure: &Failure) {
        if let Ok(text) = json(&FailureDocument { error: failure }) {
            let _ = print(&text);
        }
    }
}

/// Prints the elements of a list a few at a time, so that memory does not grow with the list.
#[derive(Debug)]
pub(crate) struct Elements {
    printer: Printer,
    /// How many elements of a document were printed; 0 before the list begins, and behind its end.
    count: usize,
}

impl Elements {
    /// Prints the next elements: their documents, or their text for people.
    pub(crate) fn add(&mut self, documents: &[impl Serialize], text: impl Display) -> Result<(), Failure> {
        if !self.printer.json {
            return self.printer.say_result(text);
        }
        let mut next = String::new();
        for (number, document) in documents.iter().enumerate() {
            next.push_str(if self.count + number == 0 { "[\n  " } else { ",\n  " });
            // No string of a document has a newline of its own.
            next.push_str(&json(document)?.replace('\n', "\n  "));
        }
        // A document that has no text ends the call before one of these is out.
        self.count += documents.len();
        ignore_closed(anstream::stdout().write_all(next.as_bytes()))
    }

    /// Ends the list.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        match self.count {
            _ if !self.printer.json => Ok(()),
            0 => print("[]"),
            _ => self.close(),
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.count = 0;
        print("\n]")
    }
}

/// Ends a list that the command cannot finish: the document of the failure follows it.
impl Drop for Elements {
    fn drop(&mut self) {
        if self.count > 0 {
            let _ = self.close();
        }
    }
}

/// Prints a document as its text comes into being: a list of many models would be in memory twice.
fn print_document(document: &impl Serialize) -> Result<(), Failure> {
    let write = |to: &mut dyn Write| serde_json::to_writer_pretty(to, document).map_err(io::Error::from);
    // A document that has no text, for a path in it that is not UTF-8, fails before its first byte is out.
    write(&mut io::sink())?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, anstream::stdout());
    ignore_closed(write(&mut out).and_then(|()| writeln!(out)).and_then(|()| out.flush()))
}

fn json(document: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(document).map_err(io::Error::from)?)
}

fn print(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    ignore_closed(writeln!(anstream::stdout(), "{text}"))
}

fn ignore_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints a hint: the one place that renders next steps.
fn next_step(hint: impl Display) {
    note(CYAN, "hint", hint);
}

fn note(style: Style, word: &str, message: impl Display) {
    let message = message.to_string();
    let _ = writeln!(anstream::stderr(), "{style}{word}:{style:#} {}", escaped(&bounded(&message)));
}
