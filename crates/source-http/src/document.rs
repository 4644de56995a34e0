//! Reads documents of a source's API: within a time, no further than a bound, for as long as the bytes come fast enough.

use std::{ops::ControlFlow, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http::header::LINK;
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, Opened, Pace, server_text};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    address::redacted, answer::Answer, client::HttpClient, connections::Pool, error::invalid,
    json_elements::JsonElements, link::next_page,
};

/// How many bytes an answer of an API has at the most.
pub const MAX_BODY_BYTES: usize = 64 << 20;

const TOO_LARGE: &str = "its answer is too large";

/// Says what an answer of a listing was.
#[derive(Debug)]
pub enum Page {
    /// The answer was the last page.
    Last,
    /// The answer was a page before the one at this address.
    Before(Url),
    /// The answer was not a list, such as a web page: the source has no listing there. The error says what came.
    Missing(FetchError),
}

impl HttpClient {
    /// Returns a document in JSON.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and
    /// [`FetchErrorKind::Invalid`] for an answer that is too large or not such a document.
    pub async fn json<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        self.in_time(&url, 1, self.document(url.clone())).await
    }

    /// Returns a document in JSON that the caller can do without. A source that asks for a pause is asked for all else meanwhile: only
    /// the error has the pause.
    ///
    /// # Errors
    /// Those of [`json`](Self::json).
    pub async fn optional_json<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        let read = async {
            let answer = self.get_apart(url.clone(), ByteRange::ALL, Pool::Shared).await?;
            self.parsed(answer).await
        };
        self.in_time(&url, 1, read).await
    }

    /// Gives each element of a JSON array to `take` as it arrives, and returns what the answer was.
    ///
    /// # Errors
    /// Those of [`json`](Self::json), and [`FetchErrorKind::Invalid`] for what `take` refuses.
    pub async fn elements(
        &self,
        url: Url,
        take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Page, FetchError> {
        self.in_time(&url, 1, self.page(url.clone(), take)).await
    }

    /// Returns an answer of the API as it came, of `most` bytes at the most, and the address of the page that follows it.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and [`FetchErrorKind::Invalid`] for an answer that is too large.
    pub async fn answer(&self, url: Url, most: usize) -> Result<(Vec<u8>, Option<Url>), FetchError> {
        let read = async {
            let (answer, next) = self.linked(url.clone()).await?;
            Ok((self.kept(answer, most).await?, next))
        };
        self.in_time(&url, 1, read).await
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
    ) -> Result<Page, FetchError> {
        let (answer, next) = self.linked(url).await?;
        let (url, mut elements) = (answer.url.clone(), JsonElements::default());
        let read = self.body(answer, |piece| elements.push(piece, &mut take)).await;
        let read = read.and_then(|()| elements.end().map_err(|what| invalid(&url, &no_document(&what))));
        match read {
            Err(error) if !elements.is_begun() && error.kind == FetchErrorKind::Invalid => {
                Ok(Page::Missing(error))
            }
            Err(error) => Err(error),
            Ok(()) => Ok(next.map_or(Page::Last, Page::Before)),
        }
    }

    async fn document<T: DeserializeOwned>(&self, url: Url) -> Result<T, FetchError> {
        let (answer, _) = self.linked(url).await?;
        self.parsed(answer).await
    }

    /// Returns the document that an answer is.
    async fn parsed<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, FetchError> {
        let url = answer.url.clone();
        let body = self.kept(answer, MAX_BODY_BYTES).await?;
        serde_json::from_slice(&body).map_err(|error| invalid(&url, &no_document(&error.to_string())))
    }

    /// Returns the bytes of an answer, of `most` bytes at the most.
    async fn kept(&self, answer: Answer, most: usize) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        let keep = |piece: &[u8]| {
            if piece.len() > most - body.len() {
                return Err(TOO_LARGE.to_owned());
            }
            body.extend_from_slice(piece);
            Ok(())
        };
        self.body(answer, keep).await?;
        Ok(body)
    }

    /// Returns an answer of the API, and the address of the next page.
    async fn linked(&self, url: Url) -> Result<(Answer, Option<Url>), FetchError> {
        let answer = self.get(url.clone(), ByteRange::ALL, Pool::Shared).await?;
        let (asked, url) = (url, &answer.url);
        let links = answer.response.headers().get_all(LINK).iter().map(|link| link.to_str().ok());
        let next = next_page(links).map_err(|_| invalid(url, "its links make no sense"))?;
        let Some(next) = next else { return Ok((answer, None)) };
        let next = url.join(&next).map_err(|_| invalid(url, "its next page is not an address"))?;
        // A mirror passes the link of its upstream on. The upstream is another host, and gets no request.
        if self.is_same_page(&asked, url, &next) {
            let mut next_of_own = asked;
            next_of_own.set_query(next.query());
            return Ok((answer, Some(next_of_own)));
        }
        // The client would send the token with the request for it.
        if !self.is_own(&next) {
            return Err(invalid(url, "its next page is on another host"));
        }
        Ok((answer, Some(next)))
    }

    /// Returns whether a link names the very path that was asked, or the one that answered, at whichever host. A link of an
    /// upstream lacks the path of a mirror's own endpoint.
    fn is_same_page(&self, asked: &Url, answered: &Url, next: &Url) -> bool {
        let base = self.endpoint().path().trim_end_matches('/');
        let of_upstream = |page: &Url| page.path().strip_prefix(base) == Some(next.path());
        [asked, answered].iter().any(|page| page.path() == next.path()) || of_upstream(asked)
    }

    /// Returns the bytes of a small file that a source opened, for as long as they come fast enough. Bytes after the first `most`
    /// are cut off. An error calls the file by `name`.
    ///
    /// # Errors
    /// Those of the stream; [`FetchErrorKind::Unavailable`] where the bytes come too slowly.
    pub async fn whole(&self, name: &str, opened: Opened, most: usize) -> Result<Bytes, FetchError> {
        let mut bytes = BytesMut::new();
        let keep = |piece: &[u8]| {
            let room = most - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            Ok(if piece.len() > room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        self.at_pace(name, opened.stream, keep).await?;
        Ok(bytes.freeze())
    }

    /// Gives the bytes of an answer to `take`, piece by piece, for as long as they come fast enough.
    async fn body(
        &self,
        answer: Answer,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), FetchError> {
        let (url, mut bytes) = (answer.url.clone(), 0);
        let take = |piece: &[u8]| {
            bytes += piece.len();
            if bytes > MAX_BODY_BYTES {
                return Err(invalid(&url, TOO_LARGE));
            }
            take(piece).map(ControlFlow::Continue).map_err(|what| invalid(&url, &what))
        };
        self.at_pace(&redacted(&url), answer.bytes(), take).await
    }

    /// Gives the bytes of a stream to `take`, piece by piece, for as long as they come fast enough and `take` wants more.
    async fn at_pace(
        &self,
        name: &str,
        mut stream: impl Stream<Item = Result<Bytes, FetchError>> + Unpin,
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>, FetchError>,
    ) -> Result<(), FetchError> {
        let window = self.settings().timeout;
        let mut pace = Pace::new(window);
        loop {
            let begin = Instant::now();
            let Ok(piece) = timeout(pace.patience(), stream.try_next()).await else {
                return Err(too_slow(name, &pace, window));
            };
            let Some(piece) = piece? else { return Ok(()) };
            pace.arrived(piece.len() as u64, begin.elapsed());
            if take(&piece)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// Says that an answer is not the document that it must be.
fn no_document(what: &str) -> String {
    format!("no document came: {}", server_text(what))
}

fn too_slow(name: &str, pace: &Pace, window: Duration) -> FetchError {
    let message = format!("`{name}` is too slow: {} bytes came in the last {window:?}", pace.bytes());
    FetchError::new(FetchErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dialect::tests::Plain, settings::HttpSettings};

    #[test]
    fn a_link_of_an_upstream_is_known_by_its_path() {
        let check = |asked: &str, answered: &str, next: &str| {
            let client = HttpClient::new(HttpSettings::new("https://corp/hub/").unwrap(), Plain);
            let url = |text: &str| Url::parse(text).unwrap();
            client.is_same_page(&url(asked), &url(answered), &url(next))
        };
        let (own, upstream) = ("https://corp/hub/api/tree/1?page=1", "https://hub.example/api/tree/1?page=2");
        assert!(check(own, own, upstream), "the upstream lacks the path of the endpoint");
        assert!(check(own, own, "https://corp/api/tree/1?page=2"));
        assert!(check(own, own, "http://corp/hub/api/tree/1?page=2"));
        assert!(check(own, "https://hub.example/api/tree/one", "https://hub.example/api/tree/one?page=2"));
        for other in
            ["https://hub.example/api/tree/2", "https://hub.example/hubapi/tree/1", "https://corp/hub"]
        {
            assert!(!check(own, own, other), "{other}");
        }
    }
}
