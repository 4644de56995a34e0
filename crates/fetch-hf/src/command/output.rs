//! Keeps the end of what the command prints, and logs its lines.
//!
//! The command may print without end, and may print the token. So only the last bytes of an output are kept, only the first lines
//! are logged, and every text that leaves this module has `***` in the place of the token.

use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use provisioner_core::{Token, server_text};

/// How many bytes of an output are kept.
const MAX_KEPT: usize = 64 << 10;

/// How many lines of an output are logged.
const MAX_LOGGED: usize = 1000;

/// How long an output may stay open after the command has ended: a process that left its group may hold it.
const LINGER: Duration = Duration::from_secs(1);

/// Receives an output of the command, on a thread of its own.
#[derive(Debug)]
pub(super) struct Output {
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    bytes: AtomicU64,
}

/// Holds the end of an output.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Whether the beginning is lost.
    is_cut: bool,
}

impl Output {
    /// Begins to receive an output.
    ///
    /// # Errors
    /// Where this user may start no more threads.
    pub(super) fn receive(
        from: impl Read + Send + 'static,
        program: &str,
        token: Option<Token>,
    ) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (sender, ended) = channel();
        let (receiver, log) = (Arc::clone(&shared), Log::new(program, token));
        thread::Builder::new()
            .name("hf-output".to_owned())
            .spawn(move || read(from, &receiver, log, &sender))?;
        Ok(Self { shared, ended })
    }

    /// Returns how many bytes have come so far.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Returns the whole lines at the end of the output, without the token.
    pub(super) fn end(self, token: Option<&Token>) -> String {
        // An error says that the thread is gone, or that another process holds the output.
        let _ = self.ended.recv_timeout(LINGER);
        let kept = self.shared.kept();
        let text = String::from_utf8_lossy(&kept.bytes);
        // A line without its beginning may begin in the middle of the token.
        let whole = if kept.is_cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
        token.map_or_else(|| whole.to_owned(), |token| token.redact(whole).into_owned())
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut kept = self.kept();
        kept.bytes.extend_from_slice(bytes);
        if kept.bytes.len() > 2 * MAX_KEPT {
            let lost = kept.bytes.len() - MAX_KEPT;
            kept.bytes.drain(..lost);
            kept.is_cut = true;
        }
    }
}

/// Reads an output to its end.
fn read(mut from: impl Read, shared: &Shared, mut log: Log, ended: &Sender<()>) {
    let mut buffer = [0; 8 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                shared.add(&buffer[..read]);
                log.add(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    log.tell();
    // The supervisor may have given up.
    let _ = ended.send(());
}

/// Logs the lines of an output.
struct Log {
    program: String,
    token: Option<Token>,
    line: Vec<u8>,
    lines: usize,
}

impl Log {
    fn new(program: &str, token: Option<Token>) -> Self {
        Self { program: program.to_owned(), token, line: Vec::new(), lines: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.tell(),
                // What is cut off here is far behind what the log shows of a line.
                _ if self.line.len() < MAX_KEPT => self.line.push(byte),
                _ => {}
            }
        }
    }

    fn tell(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() || self.lines == MAX_LOGGED {
            return;
        }
        self.lines += 1;
        let text = self.token.as_ref().map_or_else(|| text.clone(), |token| token.redact(&text));
        tracing::debug!("`{}` says: {}", self.program, server_text(text.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(text: &str) -> String {
        let token = Token::new("hf_canary_token");
        let output = Output::receive(io::Cursor::new(text.to_owned()), "hf", token.clone()).unwrap();
        output.end(token.as_ref())
    }

    #[test]
    fn the_end_of_an_output_is_kept_without_the_token() {
        assert_eq!(end_of("a\nsent hf_canary_token\n"), "a\nsent ***\n");
        let flood = format!("{}last line\n", "x\n".repeat(1 << 20));
        let end = end_of(&flood);
        assert!(end.len() <= 2 * MAX_KEPT && end.ends_with("x\nlast line\n"), "{}", end.len());
        // Wherever the cut falls, no part of the token is left.
        for shift in 0..4 {
            let flood = format!("{}{}", "y".repeat(shift), "hf_canary_token ".repeat(20_000));
            assert_eq!(end_of(&flood), "", "one line without its beginning");
        }
    }
}
