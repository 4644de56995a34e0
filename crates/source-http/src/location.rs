//! Remembers where a source keeps the bytes of a file.
//!
//! A source may redirect to an address elsewhere, such as a signed one at a CDN. The client asks there for the next range of
//! the file at once, until something goes wrong with that address: such addresses expire, and nodes die.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt;
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, ManifestFile, Opened};
use url::Url;

use crate::{answer::Answer, client::HttpClient, connections::Pool};

/// Remembers where the source redirected to for one file. Clones share what they remember.
///
/// A fetcher keeps one for each file that it lists, for as long as the manifest lives.
#[derive(Clone, Debug, Default)]
pub struct Location(Arc<Mutex<Option<Url>>>);

impl Location {
    /// Opens a range of the file, which the source has at an address of its own. The range has bytes:
    /// [`no_bytes`](crate::no_bytes) answers for one without.
    ///
    /// A server that sends a part and does not say which may have sent any other. The client takes none of its bytes, and asks
    /// for the whole file.
    ///
    /// # Errors
    /// Those of [`HttpClient::get`] and of [`Answer::opened`]. The stream fails where the connection breaks.
    pub async fn open(
        &self,
        client: &HttpClient,
        address: &str,
        file: &ManifestFile,
        range: ByteRange,
    ) -> Result<Opened, FetchError> {
        let pool = Pool::of_file(file.size);
        let mut answer = self.ask(client, address, range, pool).await?;
        if range != ByteRange::ALL && answer.is_unnamed_part() {
            tracing::debug!("{} does not say which part of `{}` it sent", client.name(), file.path);
            answer = self.ask(client, address, ByteRange::ALL, pool).await?;
        }
        let may_be_page = file.path.as_str().to_ascii_lowercase().ends_with(".html");
        let opened = answer.opened(may_be_page)?;
        let location = self.clone();
        let stream = opened.stream.inspect_err(move |_| location.remember(None));
        Ok(Opened { stream: Box::pin(stream), ..opened })
    }

    /// Asks where the source redirected to last, and the source itself when that fails.
    async fn ask(
        &self,
        client: &HttpClient,
        address: &str,
        range: ByteRange,
        pool: Pool,
    ) -> Result<Answer, FetchError> {
        let known = self.lock().clone();
        if let Some(elsewhere) = known {
            match client.get(elsewhere, range, pool).await {
                // Another node of the same storage would ask for the same.
                Err(error) if error.kind == FetchErrorKind::RateLimited => {
                    // A limit without a time may be that of this address alone: the next call asks for another one.
                    if error.retry_after.is_none() {
                        self.remember(None);
                    }
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!("{} is asked anew: {}", client.name(), client.redacted(error));
                    self.remember(None);
                }
                answered => return answered,
            }
        }
        let url = Url::parse(address)
            .map_err(|_| FetchError::new(FetchErrorKind::Invalid, "a file's address is none"))?;
        let answer = client.get(url, range, pool).await?;
        self.remember(Some(&answer.url).filter(|url| !client.is_own(url)).cloned());
        Ok(answer)
    }

    fn remember(&self, elsewhere: Option<Url>) {
        *self.lock() = elsewhere;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
