//! One connection: requests in, answers out, byte by byte as they were meant.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpListener, TcpStream},
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

use super::{
    content::{self, Content},
    exchange::{Exchange, answer},
    fault::ContentLength,
    ledger::Origin,
    reply::{InterruptionKind, Reply},
    request::Request,
    server::Shared,
};

/// The most that a head or a body of a request may have.
const LIMIT: usize = 1 << 20;
/// How much of a body is sent before other connections have their turn.
const PIECE: u64 = 1 << 20;
/// At a limited rate, this many pieces are sent each second.
const PIECES_PER_S: u64 = 50;

/// Serves every connection to a listener, for ever.
pub(super) async fn accept(shared: &Arc<Shared>, listener: TcpListener, origin: Origin) {
    loop {
        // An accept fails where a client is gone already, or where there are too many files.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            shared.state().ledger.connected();
            let mut connection = Connection {
                shared: &shared,
                origin,
                stream,
                inbox: BytesMut::new(),
                buffer: Vec::new(),
                next: None,
            };
            // A client may leave when it likes.
            let _ = connection.serve().await;
            drop(connection);
            shared.state().ledger.disconnected();
        });
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    origin: Origin,
    stream: TcpStream,
    inbox: BytesMut,
    buffer: Vec<u8>,
    /// When the next piece may go, at a limited rate.
    next: Option<Instant>,
}

/// Whether the connection stays open.
enum After {
    KeepAlive,
    Close,
}

impl Connection<'_> {
    async fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some(request) = self.receive().await? {
            let wants_close = request.wants_close();
            let exchange = answer(self.shared, self.origin, &request);
            let after = self.send(exchange).await?;
            if wants_close || matches!(after, After::Close) {
                self.stream.shutdown().await?;
                break;
            }
        }
        Ok(())
    }

    /// The next request. `None` at the end of the connection, or where it is not HTTP.
    async fn receive(&mut self) -> io::Result<Option<Request>> {
        let head = loop {
            if let Some(end) = self.inbox.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.inbox.split_to(end + 4);
            }
            if self.inbox.len() > LIMIT || self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        };
        let Some(mut request) = Request::parse(&head[..head.len() - 4]) else { return Ok(None) };
        let length = request.body_length().min(LIMIT);
        while self.inbox.len() < length {
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        }
        request.body = self.inbox.split_to(length).to_vec();
        Ok(Some(request))
    }

    async fn send(&mut self, exchange: Exchange) -> io::Result<After> {
        let Exchange { reply, is_head, sent } = exchange;
        let mut pending = reply.interruption;
        if let Some(interruption) = pending.take_if(|interruption| interruption.at.is_none())
            && self.interrupt(interruption.kind).await?
        {
            return Ok(After::Close);
        }
        self.stream.write_all(head(&reply).as_bytes()).await?;
        if is_head {
            return Ok(After::KeepAlive);
        }
        let is_chunked = matches!(reply.length, Some(ContentLength::Chunked));
        let mut done = 0;
        for (content, range) in &reply.body {
            let mut offset = range.start;
            while offset < range.end || pending.is_some_and(|pending| pending.at == Some(done)) {
                if let Some(interruption) = pending.take_if(|pending| pending.at == Some(done))
                    && self.interrupt(interruption.kind).await?
                {
                    return Ok(After::Close);
                }
                let until = pending.and_then(|pending| pending.at).map_or(u64::MAX, |at| at - done);
                let length = self.pace((range.end - offset).min(until)).await;
                self.send_piece(content, offset..offset + length, is_chunked, &sent).await?;
                offset += length;
                done += length;
            }
        }
        if is_chunked {
            self.stream.write_all(b"0\r\n\r\n").await?;
        }
        let is_framed = reply.length.is_none() || is_chunked;
        Ok(if is_framed { After::KeepAlive } else { After::Close })
    }

    async fn send_piece(
        &mut self,
        content: &Content,
        mut range: Range<u64>,
        is_chunk: bool,
        sent: &AtomicU64,
    ) -> io::Result<()> {
        // An empty chunk would be the last one.
        let is_chunk = is_chunk && !range.is_empty();
        if is_chunk {
            self.stream.write_all(format!("{:x}\r\n", range.end - range.start).as_bytes()).await?;
        }
        while !range.is_empty() {
            range.start += self.write(content, range.start, range.end - range.start, sent).await?;
        }
        if is_chunk {
            self.stream.write_all(b"\r\n").await?;
        }
        Ok(())
    }

    /// Sends a piece of content of at most that length; how much it was.
    async fn write(
        &mut self,
        content: &Content,
        offset: u64,
        length: u64,
        sent: &AtomicU64,
    ) -> io::Result<u64> {
        if let Content::File { file, .. } = content {
            let most = usize::try_from(length).map_err(io::Error::other)?;
            let sendfile = || Ok(rustix::fs::sendfile(&self.stream, file, Some(&mut { offset }), most)?);
            return match self.give(most, sent, sendfile).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                length => Ok(length as u64),
            };
        }
        let length = content::piece(length);
        let piece = if let Content::Bytes(bytes) = content {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            &bytes[start..start + length]
        } else {
            self.buffer.resize(content::PIECE, 0);
            content.read_at(offset, &mut self.buffer[..length])?;
            &self.buffer[..length]
        };
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = self.give(rest.len(), sent, || Ok(rustix::io::write(&self.stream, rest)?)).await?;
            rest = &rest[taken..];
        }
        Ok(length as u64)
    }

    /// Gives bytes to the socket; how many it took. They are counted before, so that who has read them finds them
    /// counted.
    async fn give(
        &self,
        length: usize,
        sent: &AtomicU64,
        attempt: impl Fn() -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            self.stream.writable().await?;
            sent.fetch_add(length as u64, Ordering::SeqCst);
            let taken = self.stream.try_io(Interest::WRITABLE, &attempt);
            let left = length - taken.as_ref().map_or(0, |taken| *taken);
            sent.fetch_sub(left as u64, Ordering::SeqCst);
            if !matches!(&taken, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return taken;
            }
        }
    }

    /// How much of what is left may go now, after waiting for its time.
    async fn pace(&mut self, left: u64) -> u64 {
        let rate = self.shared.rate.load(Ordering::Relaxed);
        if rate == 0 {
            self.next = None;
            // A client that reads as fast as this writes must not keep the others waiting.
            yield_now().await;
            return left.min(PIECE);
        }
        let length = left.min((rate / PIECES_PER_S).max(1)).min(PIECE);
        let now = Instant::now();
        // What a late wake-up has lost is made up for, but not more than a little.
        let due =
            self.next.map_or(now, |next| next.max(now.checked_sub(Duration::from_millis(50)).unwrap_or(now)));
        sleep_until(due).await;
        let micros = length.saturating_mul(1_000_000) / rate;
        self.next = Some(due + Duration::from_micros(micros));
        length
    }

    /// Does what was meant to happen. Whether that was the end of the connection.
    async fn interrupt(&mut self, kind: InterruptionKind) -> io::Result<bool> {
        match kind {
            InterruptionKind::Cut => Ok(true),
            InterruptionKind::Reset => {
                self.stream.set_zero_linger()?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            InterruptionKind::Stall(None) => {
                while self.stream.read_buf(&mut self.inbox).await? > 0 {}
                Ok(true)
            }
            InterruptionKind::Stall(Some(time)) => {
                let until_it_leaves = async {
                    while self.stream.read_buf(&mut self.inbox).await? > 0 {}
                    Ok(())
                };
                timeout(time, until_it_leaves)
                    .await
                    .map_or(Ok(false), |left: io::Result<()>| left.map(|()| true))
            }
        }
    }
}

/// The head of an answer, as bytes.
fn head(reply: &Reply) -> String {
    let framing = match &reply.length {
        None => format!("Content-Length: {}\r\n", reply.size()),
        Some(ContentLength::Is(text)) => format!("Content-Length: {text}\r\n"),
        Some(ContentLength::Chunked) => "Transfer-Encoding: chunked\r\n".to_owned(),
        Some(ContentLength::Missing) => "Connection: close\r\n".to_owned(),
    };
    let first = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    let headers = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    std::iter::once(first).chain(headers).chain([framing, "\r\n".to_owned()]).collect()
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
