//! Answers the Hub's own client within this process, with what ours gets from the hub.
//!
//! # Model
//! The Hub's client believes that the hub is at [`ENDPOINT`]. Its connections lead to a socket in a private folder, where the relay
//! reads each request, asks the hub for the same path with our client, and passes the bytes on. So our client's rules hold for what
//! the Hub's client does: the token goes to the endpoint's own origin alone, the policy and the guard look at every host, a link
//! to a next page leads to that endpoint, and an answer has a bound. The Hub's client knows neither the address nor the token.
//!
//! # Who may ask
//! The folder is this user's alone, and the relay hangs up on every process but its own. It lives for one piece of work.

use std::{
    convert::Infallible,
    future::Future,
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use hf_hub::{HFClient, HFError};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, Uri,
    body::Incoming,
    header::{AUTHORIZATION, LINK},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use provisioner_core::{FetchError, FetchErrorKind};
use source_http::{HttpClient, USER_AGENT, Url, invalid, server_text};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

/// Where the Hub's client believes the hub is. No name ends in this, so a request that left the process would find nothing (RFC 2606).
const ENDPOINT: &str = "http://hub.invalid";

/// The relay passes on questions to the API alone.
const API: &str = "/api/";

/// The largest number of bytes of one answer.
pub(super) const MAX_ANSWER_BYTES: usize = 8 << 20;

/// The largest number of requests for one piece of work.
const MAX_REQUESTS: usize = 4096;

/// Text that no header can have. The Hub's client, which is given a token, looks for none in the environment, and sends none that is
/// not a header.
const NO_TOKEN: &str = "\n";

/// Answers the Hub's client.
pub(super) struct Relay<'a> {
    client: &'a HttpClient,
    listener: UnixListener,
    folder: TempDir,
    requests: AtomicUsize,
    /// Why our client got no answer.
    failure: Mutex<Option<FetchError>>,
}

impl<'a> Relay<'a> {
    /// Opens the socket.
    pub(super) async fn open(client: &'a HttpClient) -> Result<Self, FetchError> {
        let folder = tokio::task::spawn_blocking(private_folder).await.map_err(io::Error::from).flatten();
        let open = |folder: TempDir| Ok((UnixListener::bind(socket(&folder))?, folder));
        let (listener, folder) = folder.and_then(open).map_err(|error| no_relay(&error))?;
        Ok(Self { client, listener, folder, requests: AtomicUsize::new(0), failure: Mutex::default() })
    }

    /// Does some work with the Hub's client, and answers it meanwhile.
    ///
    /// # Errors
    /// Those of our client, and [`FetchErrorKind::Invalid`] for an answer that the Hub's client does not take.
    pub(super) async fn run<T, F: Future<Output = Result<T, HFError>>>(
        &self,
        work: impl FnOnce(HFClient) -> F,
    ) -> Result<T, FetchError> {
        let hub = self.hub().map_err(|error| no_relay(&error))?;
        let done = tokio::select! {
            done = work(hub) => done,
            never = self.serve() => match never {},
        };
        done.map_err(|error| {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            failure.unwrap_or_else(|| {
                invalid(
                    self.client.endpoint(),
                    &format!("no document came: {}", server_text(&error.to_string())),
                )
            })
        })
    }

    /// Returns a client of the Hub whose connections all lead to the relay.
    fn hub(&self) -> Result<HFClient, HFError> {
        let connections = reqwest::Client::builder()
            .unix_socket(socket(&self.folder))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .build()?;
        HFClient::builder()
            .client(connections)
            .endpoint(ENDPOINT)
            .token(NO_TOKEN)
            .user_agent(USER_AGENT)
            .cache_dir(self.folder.path())
            .cache_enabled(false)
            .retry_max_attempts(0)
            .build()
    }

    /// Answers for ever.
    async fn serve(&self) -> Infallible {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let own = accepted.ok().map(|(stream, _)| stream).filter(is_own);
                    connections.extend(own.map(|stream| self.answer_all(stream)));
                }
                Some(()) = connections.next() => {}
            }
        }
    }

    /// Answers the requests of one connection.
    async fn answer_all(&self, stream: UnixStream) {
        let service = service_fn(|request| async move { Ok::<_, Infallible>(self.answer(&request).await) });
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        if let Err(error) = served {
            tracing::debug!("the Hub's client left: {error}");
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let asked = match self.asked(request) {
            Ok(url) => self.client.answer(url, MAX_ANSWER_BYTES).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok((bytes, next)) => {
                let mut response = Response::new(Full::from(bytes));
                let next = next.and_then(|next| self.link_to(&next).parse().ok());
                response.headers_mut().extend(next.map(|link| (LINK, link)));
                response
            }
            Err(error) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // The Hub's client does not repeat a request that was answered so.
                let mut response = Response::new(Full::default());
                *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
                response
            }
        }
    }

    /// Returns the address at the hub that a request means.
    fn asked(&self, request: &Request<Incoming>) -> Result<Url, FetchError> {
        let endpoint = self.client.endpoint();
        if self.requests.fetch_add(1, Ordering::Relaxed) == MAX_REQUESTS {
            return Err(invalid(endpoint, "the listing does not end"));
        }
        if request.method() != Method::GET || !request.uri().path().starts_with(API) {
            return Err(invalid(endpoint, "the Hub's client asked for more than the API says"));
        }
        if request.headers().contains_key(AUTHORIZATION) {
            return Err(invalid(endpoint, "the Hub's client found a token by itself"));
        }
        Ok(at_endpoint(endpoint, request.uri()))
    }

    /// Returns the link by which the Hub's client asks for another page.
    fn link_to(&self, page: &Url) -> String {
        let base = self.client.endpoint().path().trim_end_matches('/');
        let path = page.path().strip_prefix(base).unwrap_or(page.path());
        let query = page.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("<{ENDPOINT}{path}{query}>; rel=\"next\"")
    }
}

/// Returns an address of the Hub's client, below the endpoint of ours.
fn at_endpoint(endpoint: &Url, asked: &Uri) -> Url {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}{}", endpoint.path().trim_end_matches('/'), asked.path()));
    url.set_query(asked.query());
    url
}

/// Returns whether a connection comes from this process.
fn is_own(stream: &UnixStream) -> bool {
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    pid.is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()))
}

/// Makes a folder for the socket, which this user alone may enter.
fn private_folder() -> io::Result<TempDir> {
    let mode = PermissionsExt::from_mode(0o700);
    tempfile::Builder::new().prefix("model-provisioner-hub-").permissions(mode).tempdir()
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join("hub")
}

fn no_relay(error: &dyn std::fmt::Display) -> FetchError {
    FetchError::new(FetchErrorKind::Storage, format!("the Hub's own client cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_hubs_client_is_one_below_the_endpoint() {
        let check = |endpoint: &str, asked: &str, expect: &str| {
            let url = at_endpoint(&Url::parse(endpoint).unwrap(), &asked.parse().unwrap());
            assert_eq!(url.as_str(), expect);
        };
        let asked = "http://hub.invalid/api/models/o/r/tree/refs%2Fpr%2F1?recursive=true&expand=true";
        check(
            "https://hub",
            asked,
            "https://hub/api/models/o/r/tree/refs%2Fpr%2F1?recursive=true&expand=true",
        );
        check("https://corp/hub/", "http://hub.invalid/api/whoami-v2", "https://corp/hub/api/whoami-v2");
    }
}
