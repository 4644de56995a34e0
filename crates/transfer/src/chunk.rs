//! Fetches a chunk of a file over one connection, and holds the answer against the request.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use provisioner_core::{ByteRange, ByteStream, ManifestFile, ModelFetcher, Opened};
use tokio::time::{Instant, timeout};

use crate::{
    body::Body,
    connections::{Connection, Connections},
    context::Context,
    error::{Error, Result},
    journal::JournalHeader,
    lock::lock,
    progress::FileProgress,
    sink::Sink,
    writer::Writer,
};

/// Holds a part of the file that one answer brings.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) range: Range<u64>,
    /// Whether the answer may turn out to be the whole file.
    pub(crate) is_first: bool,
    /// Whether the file lacks no other bytes.
    pub(crate) is_only: bool,
}

/// Holds what the chunks of one file share.
pub(crate) struct FileFetch<'a> {
    pub(crate) context: &'a Context,
    pub(crate) fetcher: &'a dyn ModelFetcher,
    pub(crate) file: &'a ManifestFile,
    pub(crate) sink: Arc<Sink>,
    pub(crate) header: Mutex<JournalHeader>,
    /// Whether the server sends the whole file, whichever range a request asks for.
    pub(crate) no_ranges: AtomicBool,
    /// Whether the server has sent a range that a request asked for.
    pub(crate) has_ranges: AtomicBool,
    pub(crate) connections: Connections,
    pub(crate) progress: FileProgress<'a>,
}

impl FileFetch<'_> {
    /// Fetches the bytes of a chunk from `at` on, over one connection, as far as they come.
    pub(crate) async fn stream<'a>(
        &'a self,
        chunk: &Chunk,
        at: &mut u64,
        connection: &mut Connection<'a>,
    ) -> Result<()> {
        let stall = self.context.settings.stall;
        connection.ask(self.context.connections.acquire().await.ok());
        let (begin, chunk_end) = (Instant::now(), chunk.range.end);
        // A request for a whole file names no range: more servers serve a small one that way.
        let is_whole = self.no_ranges.load(Ordering::Relaxed) || (chunk.is_only && *at == 0);
        let range = if is_whole { ByteRange::ALL } else { ByteRange { start: *at, end: Some(chunk_end) } };
        let opened = timeout(stall, self.fetcher.open(self.file, range)).await;
        let opened = opened.map_err(|_| self.stalled(stall))?.map_err(Error::Source)?;
        connection.answered(begin.elapsed());
        let keeps_to_range = self.check(&opened, *at..chunk_end)?;
        if keeps_to_range {
            self.has_ranges.store(true, Ordering::Relaxed);
            self.connections.tell();
        } else if chunk.is_first && !self.has_ranges.load(Ordering::Relaxed) {
            self.no_ranges.store(true, Ordering::Relaxed);
        } else {
            return Err(self.answer("the server forgot how to serve ranges", true));
        }
        // A server without ranges sends all; the connection passes over what is here already.
        let (skip, end) = if keeps_to_range { (0, chunk_end) } else { (*at, self.file.size) };
        let mut writer = Writer::new(&self.sink, *at);
        let taken = self.receive(opened.stream, skip, end, &mut writer, connection).await;
        writer.flush().await?;
        self.progress.show(self.sink.len());
        *at = writer.end();
        taken?;
        if *at < end { Err(self.answer("the bytes end early", true)) } else { Ok(()) }
    }

    /// Writes the bytes of a stream, without the first `skip`, and not beyond `end`.
    async fn receive(
        &self,
        stream: ByteStream,
        skip: u64,
        end: u64,
        writer: &mut Writer<'_>,
        connection: &mut Connection<'_>,
    ) -> Result<()> {
        let mut body = Body::new(self.file, stream, self.context.settings.stall);
        let mut skip = skip;
        while let Some(mut piece) = body.next().await? {
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= passed as u64;
            let piece = piece.split_off(passed);
            let (bytes, at) = (piece.len() as u64, writer.end());
            if at + bytes > end {
                return Err(self.answer("the source sent more bytes than the request was for", false));
            }
            self.context.rate.pay(bytes).await;
            connection.arrived(bytes, end - at - bytes);
            if writer.push(piece, self.context.open_ranges()).await? {
                self.progress.show(self.sink.len());
            }
        }
        Ok(())
    }

    /// Returns whether an answer keeps to the range of the request. Otherwise it is the whole file, or an error.
    fn check(&self, opened: &Opened, asked: Range<u64>) -> Result<bool> {
        let size = self.file.size;
        if let Some(total) = opened.total_size.filter(|total| *total != size) {
            return Err(self.answer(&format!("it has {total} bytes, and its listing says {size}"), false));
        }
        self.check_validator(opened.validator.as_deref())?;
        let answered = opened.range.start..opened.range.end.unwrap_or(size);
        if answered == asked {
            return Ok(true);
        }
        if answered == (0..size) {
            return Ok(false);
        }
        let what = format!("the request was for bytes {asked:?}, and the answer has {answered:?}");
        Err(self.answer(&what, false))
    }

    /// Returns an error where an answer is of another state of the file than the bytes that are here.
    fn check_validator(&self, validator: Option<&str>) -> Result<()> {
        let Some(validator) = validator else { return Ok(()) };
        let mut header = lock(&self.header);
        match &header.validator {
            Some(known) if known != validator => Err(Error::Changed { path: self.file.path.to_string() }),
            Some(_) => Ok(()),
            None => {
                header.validator = Some(validator.to_owned());
                self.sink.identify(validator);
                Ok(())
            }
        }
    }

    pub(crate) fn answer(&self, what: &str, may_pass: bool) -> Error {
        Error::Answer { path: self.file.path.to_string(), what: what.to_owned(), may_pass }
    }

    fn stalled(&self, after: Duration) -> Error {
        Error::Stalled { path: self.file.path.to_string(), after }
    }
}
