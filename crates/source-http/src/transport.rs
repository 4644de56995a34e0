//! Carries the bytes of a connection: as they are, or through TLS.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{address::bare_host, tls::HTTP2};

/// Carries bytes both ways.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Holds a connection to a server, perhaps through TLS or a proxy.
pub(crate) struct Transport {
    stream: TokioIo<Box<dyn Stream>>,
    speaks_http2: bool,
    /// Whether a proxy reads the requests.
    is_proxied: bool,
    has_answered: HasAnswered,
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
            stream: TokioIo::new(stream),
            speaks_http2: false,
            is_proxied: false,
            has_answered: HasAnswered::default(),
        }
    }

    /// Says that a proxy reads the requests: they name the server in full.
    pub(crate) fn proxied(self) -> Self {
        Self { is_proxied: true, ..self }
    }

    /// Speaks TLS over this connection with a server.
    ///
    /// # Errors
    /// The name is none that a certificate may have; the handshake fails.
    pub(crate) async fn secured(self, server: &Uri, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(bare_host(server.host().unwrap_or_default()));
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(tls).connect(name, self.stream.into_inner()).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(Self { speaks_http2, ..Self::of(stream) })
    }

    fn pinned(self: Pin<&mut Self>) -> Pin<&mut TokioIo<Box<dyn Stream>>> {
        Pin::new(&mut self.get_mut().stream)
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
        self.pinned().poll_read(cx, buf)
    }
}

impl Write for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(cx)
    }
}
