//! Streams the bytes of terms, in their order.
//!
//! # Model
//! A section comes as a stream, and its chunks are handed on one by one: no more than a chunk is in memory. A term may begin in the
//! middle of a section, where another term of the same section ended before; the stream of such a section waits until then. A
//! section whose terms are in no such order is asked for again, within a budget.
//!
//! # Failures
//! A stream that breaks is opened again, and goes on with the chunk that was to come next: a range needs many requests, so not each
//! failure is a reason to give the file up.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::stream;
use provisioner_core::{ByteStream, FetchError, FetchErrorKind};
use tokio::time::sleep;

use super::{
    chunks::Chunks,
    failure::unavailable,
    reconstruction::{Section, Term},
};

/// How often a request is tried again.
const RETRIES: usize = 2;
const PAUSE: Duration = Duration::from_millis(200);

/// How many streams of sections may wait for a later term.
const MAX_WAITING: usize = 8;

/// How many times the bytes of a range may come, where its sections have to come again or have chunks of no term.
const MAX_TIMES: u64 = 4;

/// How many bytes more than that may come: a range begins and ends within a chunk.
const MARGIN: u64 = 1 << 20;

/// Reads the terms that are left of a range.
struct Reader<F> {
    terms: VecDeque<Term>,
    /// Opens a section at the storage.
    open: F,
    sections: Vec<Open>,
    /// How many bytes may come still.
    budget: u64,
}

/// Holds the stream of a section.
struct Open {
    section: Arc<Section>,
    chunks: Chunks,
    /// The number of the chunk that comes next.
    next: u32,
}

/// Counts how often a request may be tried again.
pub(super) struct Tries(usize);

/// Returns the bytes of terms. `open` opens a section at the storage.
pub(super) fn fetch<F, O>(terms: Vec<Term>, open: F) -> ByteStream
where
    F: Fn(Arc<Section>) -> O + Send + 'static,
    O: Future<Output = Result<ByteStream, FetchError>> + Send,
{
    let length: u64 = terms.iter().map(|term| term.bytes).sum();
    let budget = length.saturating_mul(MAX_TIMES).saturating_add(MARGIN);
    let reader = Reader { terms: terms.into(), open, sections: Vec::new(), budget };
    Box::pin(stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|bytes| (bytes, reader)))
    }))
}

impl Tries {
    pub(super) fn new() -> Self {
        Self(RETRIES)
    }

    /// Waits before the next try; returns the error where that may not help.
    pub(super) async fn wait_out(&mut self, error: FetchError) -> Result<(), FetchError> {
        use FetchErrorKind::{Unavailable, Unreachable};
        let may_pass = matches!(error.kind, Unavailable | Unreachable);
        self.0 = self.0.checked_sub(1).filter(|_| may_pass).ok_or(error)?;
        sleep(PAUSE).await;
        Ok(())
    }
}

impl<F, O> Reader<F>
where
    F: Fn(Arc<Section>) -> O,
    O: Future<Output = Result<ByteStream, FetchError>>,
{
    /// Returns the next bytes, of one chunk.
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while let Some(term) = self.terms.front() {
            if term.bytes == 0 {
                self.end_term();
                continue;
            }
            let (section, number) = (Arc::clone(&term.section), term.chunks.start);
            if term.chunks.is_empty() {
                return Err(unavailable("a term has too few bytes"));
            }
            let chunk = self.chunk(&section, number).await?;
            if let Some(bytes) = self.terms.front_mut().and_then(|term| term.take(chunk)) {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Returns a chunk of a section.
    async fn chunk(&mut self, section: &Arc<Section>, number: u32) -> Result<Bytes, FetchError> {
        let mut tries = Tries::new();
        loop {
            match self.try_chunk(section, number).await {
                Ok(chunk) => return Ok(chunk),
                Err(error) => tries.wait_out(error).await?,
            }
        }
    }

    /// Returns a chunk of a section. A stream that fails is dropped.
    async fn try_chunk(&mut self, section: &Arc<Section>, number: u32) -> Result<Bytes, FetchError> {
        let is_before = |open: &Open| Arc::ptr_eq(&open.section, section) && open.next <= number;
        let waiting = self.sections.iter().position(is_before);
        let mut open = match waiting {
            Some(at) => self.sections.remove(at),
            None => self.open(section).await?,
        };
        let chunk = loop {
            let chunk = open.chunks.next().await?;
            open.next += 1;
            if open.next > number {
                break chunk.unpacked()?;
            }
        };
        self.sections.push(open);
        Ok(chunk)
    }

    async fn open(&mut self, section: &Arc<Section>) -> Result<Open, FetchError> {
        let left = self.budget.checked_sub(section.len());
        self.budget = left.ok_or_else(|| unavailable("the storage sends too much for the range"))?;
        let chunks = Chunks::new((self.open)(Arc::clone(section)).await?, section.len());
        Ok(Open { section: Arc::clone(section), chunks, next: section.first_chunk })
    }

    /// Goes on to the next term. The stream of a section that a later term needs waits.
    fn end_term(&mut self) {
        let Some(ended) = self.terms.pop_front() else { return };
        let is_done = !self.terms.iter().any(|term| Arc::ptr_eq(&term.section, &ended.section));
        if is_done {
            self.sections.retain(|open| !Arc::ptr_eq(&open.section, &ended.section));
        }
        if self.sections.len() > MAX_WAITING {
            self.sections.remove(0);
        }
    }
}

impl Term {
    /// Takes what belongs to the range of the next chunk; `None` where all of it is before the range.
    fn take(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        self.chunks.start += 1;
        let before = usize::try_from(self.before).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(before);
        self.before -= before as u64;
        chunk.truncate(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        self.bytes -= chunk.len() as u64;
        (!chunk.is_empty()).then_some(chunk)
    }
}

#[cfg(test)]
mod tests;
