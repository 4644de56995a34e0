//! Servers that close connections.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures_util::{TryStreamExt, future::join_all};
use provisioner_core::{ByteRange, FetchErrorKind};

use super::*;
use crate::{HttpClient, dialect::tests::Plain};

/// A server that reads a request too many, and closes the connection on it.
struct Server {
    endpoint: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server whose connections answer so many requests each.
    fn answering(most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(&client, most, &seen));
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut client: &TcpStream, most: usize, seen: &AtomicUsize) {
    let mut lines = BufReader::new(client).lines().map_while(Result::ok);
    for answered in 0.. {
        // The head of a request ends with an empty line.
        if lines.by_ref().take_while(|line| !line.is_empty()).count() == 0 {
            return;
        }
        seen.fetch_add(1, Ordering::SeqCst);
        if answered == most {
            return;
        }
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    }
}

#[tokio::test]
async fn a_server_that_closes_each_kept_connection_on_a_request_answers_all() {
    let server = Server::answering(1);
    let client = HttpClient::new(HttpSettings::new(&server.endpoint).unwrap(), Plain);
    for pool in [Pool::Shared, Pool::Ranges] {
        let open = || client.get(Url::parse(&server.endpoint).unwrap(), ByteRange::ALL, pool);
        // Several connections are kept, and none of them is any good.
        let opened = join_all([open(), open(), open()]).await;
        for answer in opened {
            answer.unwrap().opened(false).unwrap().stream.try_collect::<Vec<_>>().await.unwrap();
        }
        let before = server.requests();
        for asked in 1..=5 {
            let opened = open().await.unwrap().opened(false).unwrap();
            assert_eq!(opened.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"{}", "{pool:?}");
            assert!(server.requests() - before <= 2 * asked, "{pool:?}: each is sent twice at the most");
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_a_fresh_connection_is_asked_once() {
    let server = Server::answering(0);
    let client = HttpClient::new(HttpSettings::new(&server.endpoint).unwrap(), Plain);
    let url = Url::parse(&server.endpoint).unwrap();
    let error = client.get(url, ByteRange::ALL, Pool::Shared).await.unwrap_err();
    assert_eq!((error.kind, server.requests()), (FetchErrorKind::Unavailable, 1), "{error}");
}

/// It may be busy, or something between may have cut the connection: neither says anything of a certificate.
#[tokio::test]
async fn a_server_that_closes_in_the_handshake_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 4096]);
        }
    });
    let client = HttpClient::new(HttpSettings::new(&endpoint).unwrap(), Plain);
    let open = client.get(Url::parse(&endpoint).unwrap(), ByteRange::ALL, Pool::Shared);
    let error = open.await.unwrap_err();
    assert_eq!((error.kind, error.hint.is_some()), (FetchErrorKind::Unreachable, false), "{error}");
}
