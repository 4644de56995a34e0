//! What is written to the log, without the token. The library hands out nothing that has it; but crates below log what servers
//! say, such as the host of a redirect.

use std::{
    io::{self, Write},
    sync::OnceLock,
};

use model_provisioner::Token;

/// The token of this process, once it was read: no server knows it before.
static TOKEN: OnceLock<Token> = OnceLock::new();

/// Keeps a token out of the log from now on.
pub(crate) fn keep_out(token: &Token) {
    // A process has one.
    let _ = TOKEN.set(token.clone());
}

/// What a log is written to, in whole lines, and without the token.
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
