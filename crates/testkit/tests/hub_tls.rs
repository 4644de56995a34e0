//! The hub over TLS: the protocols that it offers, and its faults over HTTP/2.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join;
use h2::{Reason, client::SendRequest};
use http::Request;
use testkit::{
    Hub,
    hub::{At, ContentLength, Fault, FaultKind, Origin, Protocol},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

const BOTH: &[Protocol] = &[Protocol::Http2, Protocol::Http1];
const FILE: &str = "config.json";

fn bytes() -> Bytes {
    (0..2500u32).flat_map(u32::to_le_bytes).collect()
}

/// A hub with one file that it sends itself.
fn hub(protocols: &[Protocol]) -> Hub {
    let hub = Hub::start_tls(protocols);
    hub.repo("a/b").file(FILE, bytes()).publish();
    hub
}

/// A connection on which the client offers these protocols.
async fn connect(hub: &Hub, offered: &[Protocol]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(hub.certificate().unwrap().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|protocol| protocol.name().to_vec()).collect();
    let stream = TcpStream::connect(hub.endpoint().trim_start_matches("https://")).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await
}

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// The hub reset the stream, or the client the answer, which makes no sense.
    Stream(Reason),
    /// The connection broke.
    Connection,
    /// Nothing came for as long as the client waits.
    Stalled,
}

impl From<h2::Error> for End {
    fn from(error: h2::Error) -> Self {
        error.reason().map_or(Self::Connection, Self::Stream)
    }
}

struct Client {
    requests: SendRequest<Bytes>,
    endpoint: String,
}

impl Client {
    async fn open(hub: &Hub) -> Self {
        let (requests, connection) =
            h2::client::handshake(connect(hub, &[Protocol::Http2]).await.unwrap()).await.unwrap();
        tokio::spawn(connection);
        Self { requests, endpoint: hub.endpoint() }
    }

    /// A GET of the file: what came of its body, the length that was announced, and how it ended.
    async fn get(&self) -> (Vec<u8>, Option<String>, End) {
        let mut body = Vec::new();
        let mut length = None;
        let end = match timeout(Duration::from_millis(400), self.read(&mut body, &mut length)).await {
            Err(_) => End::Stalled,
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) => End::Whole,
        };
        (body, length, end)
    }

    async fn read(&self, body: &mut Vec<u8>, length: &mut Option<String>) -> Result<(), h2::Error> {
        let request = Request::get(format!("{}/a/b/resolve/main/{FILE}", self.endpoint)).body(()).unwrap();
        let mut requests = self.requests.clone().ready().await?;
        let response = requests.send_request(request, true)?.0.await?;
        *length = response.headers().get("content-length").map(|text| text.to_str().unwrap().to_owned());
        let mut incoming = response.into_body();
        while let Some(piece) = incoming.data().await {
            let piece = piece?;
            incoming.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_protocol_is_agreed_on_and_counted() {
    let agreed = async |hub: &Hub, offered: &[Protocol]| {
        let name = |stream: TlsStream<TcpStream>| stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        connect(hub, offered).await.ok().map(name)
    };
    let both = hub(BOTH);
    assert_eq!(agreed(&both, BOTH).await, Some(Some(b"h2".to_vec())));
    assert_eq!(agreed(&both, &[Protocol::Http1]).await, Some(Some(b"http/1.1".to_vec())));
    assert_eq!(agreed(&both, &[]).await, Some(None));
    let only = hub(&[Protocol::Http2]);
    assert_eq!(agreed(&only, &[Protocol::Http1]).await, None, "they have none in common");
    let client = Client::open(&only).await;
    assert_eq!(client.get().await.2, End::Whole);
    assert_eq!(client.get().await.2, End::Whole);
    let protocols: Vec<_> = only.connections().iter().map(|accepted| accepted.protocol).collect();
    assert_eq!(protocols, [None, Some(Protocol::Http2)]);
    let seen = only.requests();
    assert_eq!((seen[0].protocol, seen[0].origin), (Protocol::Http2, Origin::Hub));
    assert_eq!(seen[0].connection, seen[1].connection);
}

#[tokio::test]
async fn a_stream_ends_where_a_connection_would() {
    let hub = hub(BOTH);
    let client = Client::open(&hub).await;
    let (reset, short) = (Reason::INTERNAL_ERROR, Reason::PROTOCOL_ERROR);
    for (at, reason, length) in [
        (At::BeforeHead, reset, 0),
        (At::Byte(1), short, 1),
        (At::Half, short, 5000),
        (At::BeforeEnd(1), short, 9999),
    ] {
        hub.reset_counts();
        hub.fault(Fault::on(FILE).once().kind(FaultKind::Cut(at)));
        let (body, _, end) = client.get().await;
        assert_eq!((end, body.len()), (End::Stream(reason), length), "{at:?}");
        assert_eq!(body, bytes()[..length]);
        assert_eq!(hub.bytes_sent(FILE), length as u64);
        let good = client.get().await;
        assert_eq!((good.0, good.2), (bytes().to_vec(), End::Whole), "the connection goes on");
    }
    hub.fault(Fault::on(FILE).once().kind(FaultKind::Reset(At::Byte(100))));
    assert_eq!(client.get().await.2, End::Connection);
    assert_eq!(Client::open(&hub).await.get().await.2, End::Whole);
}

#[tokio::test]
async fn a_stream_stalls_alone() {
    let hub = hub(BOTH);
    let client = Client::open(&hub).await;
    hub.fault(Fault::on(FILE).once().kind(FaultKind::Stall(At::Byte(10), None)));
    let (stalled, good) = join(client.get(), client.get()).await;
    assert_eq!((stalled.0.len(), stalled.2), (10, End::Stalled));
    assert_eq!(good.2, End::Whole);
    for at in [At::BeforeHead, At::Half] {
        hub.fault(Fault::on(FILE).once().kind(FaultKind::Stall(at, Some(Duration::from_millis(100)))));
        let begin = Instant::now();
        assert_eq!(client.get().await.2, End::Whole);
        assert!(begin.elapsed() >= Duration::from_millis(100));
    }
}

#[tokio::test]
async fn a_length_lies_as_far_as_the_protocol_can_say_it() {
    let hub = hub(BOTH);
    for text in ["9000", "10001", "99999999999999999999999"] {
        let client = Client::open(&hub).await;
        let lie = FaultKind::ContentLength(ContentLength::Is(text.to_owned()));
        hub.fault(Fault::on(FILE).once().kind(lie));
        let (_, _, end) = client.get().await;
        assert_eq!(end, End::Stream(Reason::PROTOCOL_ERROR), "{text}");
    }
    for kind in [ContentLength::Missing, ContentLength::Chunked] {
        let client = Client::open(&hub).await;
        hub.fault(Fault::on(FILE).once().kind(FaultKind::ContentLength(kind)));
        assert_eq!(client.get().await, (bytes().to_vec(), None, End::Whole));
        assert_eq!(client.get().await.1, Some("10000".to_owned()));
    }
}

#[tokio::test]
async fn the_rate_is_that_of_the_connection_not_of_a_stream() {
    let hub = hub(BOTH);
    hub.limit_rate(Some(100_000));
    let client = Client::open(&hub).await;
    let begin = Instant::now();
    let (one, other) = join(client.get(), client.get()).await;
    assert_eq!((one.2, other.2), (End::Whole, End::Whole));
    // Two bodies of 10,000 bytes, less what goes at once.
    assert!(begin.elapsed() >= Duration::from_millis(150), "{:?}", begin.elapsed());
}
