//! Speaks HTTP/1.1: reads requests, and writes answers byte by byte as a fault wants them.

use std::{
    io,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::{
    content::{self, Content},
    delivery::{Delivery, Outlet, Pacer, deliver},
    exchange::answer,
    head::{BodyEnd, Head},
    line::{LIMIT, Line},
    reply::Reply,
    request::Request,
    state::Shared,
};

/// The socket, with TLS or without.
pub(super) type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Answers the requests of a connection until the client or the hub ends it.
pub(super) async fn serve(shared: &Shared, line: Line, wire: Wire) -> io::Result<()> {
    let mut connection =
        Connection { wire, inbox: BytesMut::new(), buffer: Vec::new(), is_chunked: false, stays_open: true };
    let pacer = Pacer::default();
    while let Some(request) = connection.receive().await? {
        let exchange = answer(shared, line, &request);
        let delivery = deliver(exchange, &pacer, || shared.rate(), &mut connection).await?;
        if request.wants_close() || !connection.stays_open || delivery == Delivery::Cut {
            return connection.wire.shutdown().await;
        }
    }
    Ok(())
}

struct Connection {
    wire: Wire,
    inbox: BytesMut,
    buffer: Vec<u8>,
    /// Whether this answer's body comes in chunks.
    is_chunked: bool,
    /// Whether the client can tell where this answer ends.
    stays_open: bool,
}

impl Connection {
    /// Reads the next request. `None` at the end of the connection, or where it is not HTTP.
    async fn receive(&mut self) -> io::Result<Option<Request>> {
        let head = loop {
            if let Some(end) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.inbox.split_to(end + 4);
            }
            if self.inbox.len() > LIMIT || self.wire.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        };
        let Some(mut request) = Request::parse(&head[..head.len() - 4]) else { return Ok(None) };
        let length = request.body_length().min(LIMIT);
        while self.inbox.len() < length {
            if self.wire.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        }
        request.body = self.inbox.split_to(length).to_vec();
        Ok(Some(request))
    }

    /// Writes a piece of content of at most that length, and returns its length.
    async fn write(
        &mut self,
        content: &Content,
        offset: u64,
        length: u64,
        sent: &AtomicU64,
    ) -> io::Result<u64> {
        if let (Content::File { file, .. }, Either::Left(stream)) = (content, &self.wire) {
            let most = usize::try_from(length).map_err(io::Error::other)?;
            let sendfile = || Ok(rustix::fs::sendfile(stream, file, Some(&mut { offset }), most)?);
            return match give(stream, most, sent, sendfile).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                length => Ok(length as u64),
            };
        }
        let length = content::piece(length);
        let mut rest = content.piece_at(offset, length, &mut self.buffer)?;
        while !rest.is_empty() {
            let taken = match &mut self.wire {
                Either::Left(stream) => {
                    give(stream, rest.len(), sent, || Ok(rustix::io::write(&*stream, rest)?)).await?
                }
                Either::Right(stream) => {
                    sent.fetch_add(rest.len() as u64, Ordering::SeqCst);
                    let taken = stream.write(rest).await;
                    let left = rest.len() - taken.as_ref().map_or(0, |taken| *taken);
                    sent.fetch_sub(left as u64, Ordering::SeqCst);
                    taken?
                }
            };
            rest = &rest[taken..];
        }
        Ok(length as u64)
    }
}

impl Outlet for Connection {
    async fn head(&mut self, reply: &Reply, is_bare: bool) -> io::Result<()> {
        let head = Head::of(reply);
        self.is_chunked = head.end == BodyEnd::Chunks;
        self.stays_open = is_bare || matches!(head.end, BodyEnd::Length | BodyEnd::Chunks);
        self.wire.write_all(text(&head).as_bytes()).await?;
        self.wire.flush().await
    }

    async fn piece(&mut self, content: &Content, mut range: Range<u64>, sent: &AtomicU64) -> io::Result<()> {
        // An empty chunk would be the last one.
        let is_chunk = self.is_chunked && !range.is_empty();
        if is_chunk {
            self.wire.write_all(format!("{:x}\r\n", range.end - range.start).as_bytes()).await?;
        }
        while !range.is_empty() {
            range.start += self.write(content, range.start, range.end - range.start, sent).await?;
        }
        if is_chunk {
            self.wire.write_all(b"\r\n").await?;
        }
        self.wire.flush().await
    }

    async fn end(&mut self) -> io::Result<()> {
        if self.is_chunked {
            self.wire.write_all(b"0\r\n\r\n").await?;
        }
        self.wire.flush().await
    }

    fn reset(&mut self) -> io::Result<()> {
        match &self.wire {
            Either::Left(stream) => stream.set_zero_linger(),
            Either::Right(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }

    async fn left(&mut self) -> io::Result<()> {
        while self.wire.read_buf(&mut self.inbox).await? > 0 {}
        Ok(())
    }
}

/// Gives bytes to a socket, and returns how many it took.
async fn give(
    stream: &TcpStream,
    length: usize,
    sent: &AtomicU64,
    attempt: impl Fn() -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        stream.writable().await?;
        sent.fetch_add(length as u64, Ordering::SeqCst);
        let taken = stream.try_io(Interest::WRITABLE, &attempt);
        let left = length - taken.as_ref().map_or(0, |taken| *taken);
        sent.fetch_sub(left as u64, Ordering::SeqCst);
        if !matches!(&taken, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            return taken;
        }
    }
}

/// Writes a head as text.
fn text(head: &Head) -> String {
    let framing = match head.end {
        BodyEnd::Length | BodyEnd::WrongLength => "",
        BodyEnd::Chunks => "Transfer-Encoding: chunked\r\n",
        BodyEnd::Connection => "Connection: close\r\n",
    };
    let first = format!("HTTP/1.1 {} {}\r\n", head.status, reason(head.status));
    let headers = head.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    std::iter::once(first).chain(headers).chain([framing.to_owned(), "\r\n".to_owned()]).collect()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
