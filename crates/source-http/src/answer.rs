//! Holds an answer that is a success, and the bytes of a file in it.

use std::time::Duration;

use futures_util::stream;
use http::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use provisioner_core::{ByteRange, ByteStream, FetchError, Opened};
use tokio::time::timeout;
use url::Url;

use crate::{
    error::{broken, invalid},
    range::content_range,
};

/// Holds an answer that is a success, and the address that gave it.
#[derive(Debug)]
pub struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) url: Url,
    /// How long the server may be silent.
    pub(crate) patience: Duration,
}

impl Answer {
    /// Returns the address that gave the answer: another one than was asked for, after a redirect.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns a header of the answer; `None` where it has no header of that name, or its bytes are not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Returns whether the answer is a part of a file, and does not say which.
    pub(crate) fn is_unnamed_part(&self) -> bool {
        let headers = self.response.headers();
        self.response.status() == StatusCode::PARTIAL_CONTENT
            && text(headers, &CONTENT_RANGE).and_then(content_range).is_none()
    }

    /// Returns the bytes of a file, with what the answer says of them.
    ///
    /// # Errors
    /// [`FetchErrorKind::Invalid`](provisioner_core::FetchErrorKind::Invalid) for a web page where `may_be_page` does not
    /// expect one, for bytes in an encoding, and for a range that the answer does not name.
    pub fn opened(self, may_be_page: bool) -> Result<Opened, FetchError> {
        let Self { response, url, .. } = &self;
        let headers = response.headers();
        let is_page = text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        if is_page && !may_be_page {
            return Err(invalid(url, "it sent a web page instead of a file"));
        }
        if text(headers, &CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(invalid(url, "the bytes came encoded"));
        }
        let (range, total_size) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let parsed = text(headers, &CONTENT_RANGE).and_then(content_range);
            parsed.ok_or_else(|| invalid(url, "the answer does not say which bytes it has"))?
        } else {
            let length = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
            (ByteRange { start: 0, end: length }, length)
        };
        let validator = text(headers, &ETAG).filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
        Ok(Opened { range, total_size, validator, stream: self.bytes() })
    }

    /// Returns the bytes of the answer. The stream fails where the connection breaks or is silent.
    pub(crate) fn bytes(self) -> ByteStream {
        let Self { response, url, patience } = self;
        Box::pin(stream::try_unfold((response.into_body(), url), move |(mut body, url)| async move {
            loop {
                let silent = || format!("no byte came within {patience:?}");
                let frame = timeout(patience, body.frame()).await.map_err(|_| broken(&url, &silent()))?;
                let Some(frame) = frame.transpose().map_err(|error| broken(&url, &error))? else {
                    return Ok(None);
                };
                // Headers may follow the bytes.
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some((bytes, (body, url))));
                }
            }
        }))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
