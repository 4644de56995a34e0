//! Carries the bytes of a connection: as they are, or through TLS.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use hyper::{
    Uri,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, Take},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{address::bare_host, tls::HTTP2};

/// How many bytes the open connections of a pool read at once, all together, and one of them at the least and at the most. All
/// that a connection has read and no caller has written yet is in memory, a few times as much. A long read costs less for each byte
/// than a short one.
const READ_BYTES: usize = 3 << 19;
const LEAST_READ_BYTES: usize = 64 << 10;
pub(crate) const MOST_READ_BYTES: usize = 408 << 10;

/// How many bytes fewer a connection reads than its share: the HTTP library takes a buffer twice as long where a read fills one.
const SPARED_BYTES: usize = 4 << 10;

/// Carries bytes both ways.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Holds a connection to a server, perhaps through TLS or a proxy.
pub(crate) struct Transport {
    stream: TokioIo<Take<Box<dyn Stream>>>,
    /// Counts it among the open ones of its pool.
    counted: Option<Counted>,
    speaks_http2: bool,
    /// Whether a proxy reads the requests.
    is_proxied: bool,
    has_answered: HasAnswered,
}

/// Counts the open connections of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenConnections(Arc<AtomicUsize>);

/// Counts a connection for as long as it is open.
struct Counted(OpenConnections);

impl OpenConnections {
    /// Returns how many bytes each one reads at once at the most.
    fn read_bytes(&self) -> usize {
        let open = self.0.load(Ordering::Relaxed).max(1);
        (READ_BYTES / open).clamp(LEAST_READ_BYTES, MOST_READ_BYTES) - SPARED_BYTES
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says whether a connection has answered a request. The answers and the failures of a connection share one.
#[derive(Clone, Debug, Default)]
pub(crate) struct HasAnswered(Arc<AtomicBool>);

impl HasAnswered {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Transport {
    /// Returns a connection without TLS.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::of(stream)
    }

    fn of(stream: impl Stream + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        Self {
            stream: TokioIo::new(stream.take(0)),
            counted: None,
            speaks_http2: false,
            is_proxied: false,
            has_answered: HasAnswered::default(),
        }
    }

    /// Says that a proxy reads the requests: they name the server in full.
    pub(crate) fn proxied(self) -> Self {
        Self { is_proxied: true, ..self }
    }

    /// Counts it among the open connections of a pool, which share the memory of what they read at once.
    pub(crate) fn counted_by(self, open: &OpenConnections) -> Self {
        open.0.fetch_add(1, Ordering::Relaxed);
        Self { counted: Some(Counted(open.clone())), ..self }
    }

    /// Speaks TLS over this connection with a server.
    ///
    /// # Errors
    /// The name is none that a certificate may have; the handshake fails.
    pub(crate) async fn secured(self, server: &Uri, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(bare_host(server.host().unwrap_or_default()));
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(tls).connect(name, self.stream.into_inner().into_inner()).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(Self { speaks_http2, ..Self::of(stream) })
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut Box<dyn Stream>> {
        Pin::new(self.get_mut().stream.inner_mut().get_mut())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { speaks_http2, is_proxied, .. } = self;
        let mut shown = f.debug_struct("Transport");
        shown.field("speaks_http2", speaks_http2).field("is_proxied", is_proxied).finish_non_exhaustive()
    }
}

impl Connection for Transport {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied).extra(self.has_answered.clone());
        if self.speaks_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = this.counted.as_ref().map_or(LEAST_READ_BYTES, |counted| counted.0.read_bytes());
        this.stream.inner_mut().set_limit(most as u64);
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl Write for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::rt::ReadBuf;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn open_connections_share_what_they_read_at_once() {
        let open = OpenConnections::default();
        let (mut server, client) = duplex(8 << 20);
        let mut transport = Transport::of(client).counted_by(&open);
        server.write_all(&vec![7; 8 << 20]).await.unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut read = async |others: usize| {
            let others: Vec<_> = (0..others).map(|_| Transport::of(duplex(1).0).counted_by(&open)).collect();
            let mut buffer = ReadBuf::new(&mut buffer);
            poll_fn(|cx| Pin::new(&mut transport).poll_read(cx, buffer.unfilled())).await.unwrap();
            drop(others);
            (buffer.filled().len() + SPARED_BYTES) >> 10
        };
        for (others, kib) in [(0, 408), (7, 192), (15, 96), (99, 64), (3, 384)] {
            assert_eq!(read(others).await, kib, "beside {others}");
        }
    }
}
