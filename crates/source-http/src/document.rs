//! Reads documents of a source's API: within a time, no further than a bound, for as long as the bytes come fast enough.

use std::time::Duration;

use provisioner_core::{ByteRange, FetchError, FetchErrorKind, Pace};
use reqwest::{Url, header::LINK};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::{
    address::redacted,
    answer::Answer,
    client::HttpClient,
    connections::Pool,
    error::{broken, invalid, server_text},
    json_elements::JsonElements,
    link::next_page,
};

/// How many bytes an answer of an API has at the most.
pub const MAX_BODY_BYTES: usize = 64 << 20;

impl HttpClient {
    /// Returns a document in JSON.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and
    /// [`FetchErrorKind::Invalid`] for an answer that is too large or not such a document.
    pub async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        self.in_time(&url, 1, self.document(url.clone())).await
    }

    /// Gives each element of a JSON array to `take` as it arrives, and returns the address of the next page, where the answer
    /// has one.
    ///
    /// # Errors
    /// Those of [`json`](Self::json), and [`FetchErrorKind::Invalid`] for what `take` refuses.
    pub async fn elements(
        &self,
        url: Url,
        take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Option<Url>, FetchError> {
        self.in_time(&url, 1, self.page(url.clone(), take)).await
    }

    /// Waits for so many of the API's deadlines, and no longer.
    ///
    /// # Errors
    /// Those of the work; [`FetchErrorKind::Unavailable`] where it takes longer.
    pub async fn in_time<T>(
        &self,
        url: &Url,
        deadlines: u32,
        work: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let limit = self.settings().api_deadline().saturating_mul(deadlines);
        match timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(FetchError::new(
                FetchErrorKind::Unavailable,
                format!("`{}` takes too long: more than {limit:?}", redacted(url)),
            )),
        }
    }

    async fn page(
        &self,
        url: Url,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Option<Url>, FetchError> {
        let (answer, next) = self.linked(url).await?;
        let (url, mut elements) = (answer.url.clone(), JsonElements::default());
        self.body(answer, |piece| elements.push(piece, &mut take)).await?;
        elements.end().map_err(|what| invalid(&url, &no_document(&what)))?;
        Ok(next)
    }

    async fn document<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        let (answer, _) = self.linked(url).await?;
        let (url, mut body) = (answer.url.clone(), Vec::new());
        let keep = |piece: &[u8]| {
            body.extend_from_slice(piece);
            Ok(())
        };
        self.body(answer, keep).await?;
        serde_json::from_slice(&body).map_err(|error| invalid(&url, &no_document(&error.to_string())))
    }

    /// Returns an answer of the API, and the address of the next page.
    async fn linked(&self, url: Url) -> Result<(Answer, Option<Url>), FetchError> {
        let answer = self.get(url, ByteRange::ALL, Pool::Shared).await?;
        let url = &answer.url;
        let links = answer.response.headers().get_all(LINK).iter().map(|link| link.to_str().ok());
        let next = next_page(links).map_err(|_| invalid(url, "its links make no sense"))?;
        let Some(next) = next else { return Ok((answer, None)) };
        let next = url.join(&next).map_err(|_| invalid(url, "its next page is not an address"))?;
        // The client would send the token with the request for it.
        if !self.is_own(&next) {
            return Err(invalid(url, "its next page is on another host"));
        }
        Ok((answer, Some(next)))
    }

    /// Gives the bytes of an answer to `take`, piece by piece, for as long as they come fast enough.
    async fn body(
        &self,
        answer: Answer,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), FetchError> {
        let (Answer { mut response, url }, window) = (answer, self.settings().timeout);
        let (mut bytes, mut pace) = (0, Pace::new(window));
        loop {
            let begin = Instant::now();
            let Ok(piece) = timeout(pace.patience(), response.chunk()).await else {
                return Err(too_slow(&url, &pace, window));
            };
            let Some(piece) = piece.map_err(|error| broken(&url, &error))? else { return Ok(()) };
            bytes += piece.len();
            if bytes > MAX_BODY_BYTES {
                return Err(invalid(&url, "its answer is too large"));
            }
            pace.arrived(piece.len() as u64, begin.elapsed());
            take(&piece).map_err(|what| invalid(&url, &what))?;
        }
    }
}

/// Says that an answer is not the document that it must be.
fn no_document(what: &str) -> String {
    format!("no document came: {}", server_text(what))
}

fn too_slow(url: &Url, pace: &Pace, window: Duration) -> FetchError {
    let message =
        format!("`{}` is too slow: {} bytes came in the last {window:?}", redacted(url), pace.bytes());
    FetchError::new(FetchErrorKind::Unavailable, message)
}
