//! Where a source keeps the bytes of its files.
//!
//! A source may redirect to an address elsewhere, such as a signed one at a CDN. The next range of the file is asked for
//! there at once, until something goes wrong with that address: such addresses expire, and nodes die.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::TryStreamExt;
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, ManifestFile, Opened};
use reqwest::Url;

use crate::{answer::Answer, client::HttpClient, connections::Pool};

/// Remembers where the source redirected to, by its own address of a file. Clones share what they remember.
#[derive(Clone, Debug, Default)]
pub struct Locations(Arc<Mutex<HashMap<String, Url>>>);

impl Locations {
    /// Opens a range of a file that the source has at an address of its own. The range has bytes:
    /// [`no_bytes`](crate::no_bytes) answers for one without.
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
        let answer = self.ask(client, address, range, Pool::of_file(file.size)).await?;
        let may_be_page = file.path.as_str().to_ascii_lowercase().ends_with(".html");
        let opened = answer.opened(may_be_page)?;
        let (locations, address) = (self.clone(), address.to_owned());
        let stream = opened.stream.inspect_err(move |_| locations.forget(&address));
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
        let known = self.lock().get(address).cloned();
        if let Some(location) = known {
            match client.get(location, range, pool).await {
                // Another node of the same storage would ask for the same pause.
                Err(error) if error.retry_after.is_some() => return Err(error),
                Err(error) => {
                    tracing::debug!("{} is asked anew: {}", client.name(), client.redacted(error));
                    self.forget(address);
                }
                answered => return answered,
            }
        }
        let url = Url::parse(address)
            .map_err(|_| FetchError::new(FetchErrorKind::Invalid, "a file's address is none"))?;
        let answer = client.get(url, range, pool).await?;
        if client.is_own(&answer.url) {
            self.forget(address);
        } else {
            self.lock().insert(address.to_owned(), answer.url.clone());
        }
        Ok(answer)
    }

    fn forget(&self, address: &str) {
        self.lock().remove(address);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
