//! Asks the storage which chunks make up a range of a file, and for these chunks.

use std::{ops::Range, sync::Arc};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use provisioner_core::{ByteRange, ByteStream, FetchError};
use source_http::{Dialect, HttpClient, Pool, Token, Url, invalid};

use super::{
    ranges::Boundaries,
    reconstruction::{self, Section, Term},
    terms::{self, Tries},
};

/// How many bytes an answer has at the most: the bytes that it is about have some four thousand chunks, most of them in few sections.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// Asks a storage.
#[derive(Debug)]
pub(super) struct Storage {
    client: HttpClient,
}

/// Names a file of a storage, and holds where its ranges are to end.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) hash: String,
    pub(super) size: u64,
    pub(super) boundaries: Boundaries,
}

/// Speaks as a storage does, which says nothing beyond HTTP.
#[derive(Debug)]
struct StorageDialect;

impl Storage {
    /// Returns the client of a storage that the hub names, beside the hub's own.
    pub(super) fn new(hub: &HttpClient, address: Url, token: &str) -> Self {
        Self { client: hub.beside(address, Token::new(token), StorageDialect) }
    }

    /// Returns the bytes of a range of a file. No error has the token.
    pub(super) async fn open(
        self: &Arc<Self>,
        file: &Arc<StoredFile>,
        range: &Range<u64>,
    ) -> Result<ByteStream, FetchError> {
        let mut tries = Tries::new();
        let terms = loop {
            match self.terms(&file.hash, range).await {
                Ok(terms) => break terms,
                Err(error) => tries.wait_out(error).await.map_err(|error| self.client.redacted(error))?,
            }
        };
        let storage = Arc::clone(self);
        let mut bytes = terms::fetch(terms, move |section| {
            let storage = Arc::clone(&storage);
            async move { storage.section(&section).await }
        });
        let mut look_ahead = Arc::clone(self).look_ahead(Arc::clone(file), range).boxed().fuse();
        let beside = stream::poll_fn(move |context| {
            let _ = look_ahead.poll_unpin(context);
            bytes.poll_next_unpin(context)
        });
        let storage = Arc::clone(self);
        Ok(Box::pin(beside.map_err(move |error| storage.client.redacted(error))))
    }

    /// Notes where the next xorbs begin. A range need not end there, so no range fails for this. But a storage that asks for a pause
    /// gets it from all requests.
    fn look_ahead(
        self: Arc<Self>,
        file: Arc<StoredFile>,
        range: &Range<u64>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let asked = file.boundaries.to_ask(range, file.size);
        async move {
            if let Some(asked) = asked
                && let Ok(terms) = self.terms(&file.hash, &asked).await
            {
                file.boundaries.learn(reconstruction::boundaries(&terms, asked.start));
            }
        }
    }

    /// Returns the terms of a range of a file.
    async fn terms(&self, hash: &str, range: &Range<u64>) -> Result<Vec<Term>, FetchError> {
        let mut url = self.client.endpoint().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", "reconstructions", hash]);
        }
        let bytes = ByteRange { start: range.start, end: Some(range.end) };
        let answer = self.client.get(url.clone(), bytes, Pool::Shared).await?;
        let document = self.client.whole(hash, answer.opened(false)?, MAX_ANSWER_BYTES).await?;
        let terms = reconstruction::read(&document, range.end - range.start, self.client.endpoint());
        terms.map_err(|what| invalid(&url, what))
    }

    /// Returns the bytes of a section, in which its chunks are packed.
    async fn section(&self, section: &Section) -> Result<ByteStream, FetchError> {
        let range = ByteRange { start: section.range.start, end: Some(section.range.end) };
        let answer = self.client.get(section.url.clone(), range, Pool::Ranges).await?;
        let opened = answer.opened(false)?;
        if !is_of(section, opened.range) {
            return Err(invalid(&section.url, "it sent other bytes than the request was for"));
        }
        Ok(opened.stream)
    }
}

impl Dialect for StorageDialect {
    fn name(&self) -> &'static str {
        "the storage"
    }
}

/// Returns whether an answer may be the bytes of a section. One without a range may be; one with all of a xorb is not.
fn is_of(section: &Section, answered: ByteRange) -> bool {
    answered.end.is_none_or(|end| end.checked_sub(answered.start) == Some(section.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_all_of_a_xorb_is_not_that_of_a_section() {
        let url = Url::parse("https://cdn/xorb").unwrap();
        let section = Section { url, range: 100..300, first_chunk: 0 };
        let check = |start, end| is_of(&section, ByteRange { start, end });
        assert!(check(100, Some(300)));
        assert!(check(0, Some(200)), "a storage that names no range sends these bytes alone");
        assert!(check(0, None));
        assert!(!check(0, Some(300)));
        assert!(!check(100, Some(299)));
    }
}
