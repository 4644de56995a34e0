//! Keeps the token out of the log. The library hands out nothing that holds it; but the crates below log what servers say, such
//! as the host of a redirect.

use std::{
    io::{self, Write},
    sync::OnceLock,
};

use model_provisioner::Token;

/// The token of this process, once the command has read it: no server knows it before.
static TOKEN: OnceLock<Token> = OnceLock::new();

/// Keeps a token out of the log from now on.
pub(crate) fn keep_out(token: &Token) {
    // A process has one.
    let _ = TOKEN.set(token.clone());
}

/// Writes whole lines of a log, without the token.
#[derive(Debug)]
pub(crate) struct Log<W>(pub(crate) W);

impl<W: Write> Write for Log<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match TOKEN.get() {
            Some(token) => self.0.write_all(token.redact(&String::from_utf8_lossy(line)).as_bytes())?,
            None => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
