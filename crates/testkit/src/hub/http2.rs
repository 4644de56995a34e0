//! Speaks HTTP/2: each stream of a connection is a request with its answer, as on a connection of its own over HTTP/1.1.
//!
//! A fault that ends a connection over HTTP/1.1 ends a stream here; a TCP reset ends all streams.

use std::{
    future::poll_fn,
    io,
    ops::Range,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::Response;
use rustix::net::sockopt::set_socket_linger;
use tokio::{net::TcpStream, sync::Notify};
use tokio_rustls::server::TlsStream;

use super::{
    content::{self, Content},
    delivery::{Delivery, Outlet, Pacer, deliver},
    exchange::answer,
    head::Head,
    line::{LIMIT, Line},
    reply::Reply,
    request::Request,
    state::Shared,
};

/// Answers the streams of a connection, all at once. The socket is the connection's own, for resetting it.
pub(super) async fn serve(
    shared: &Arc<Shared>,
    line: Line,
    stream: TlsStream<TcpStream>,
    socket: OwnedFd,
) -> io::Result<()> {
    let mut connection = h2::server::handshake(stream).await.map_err(io::Error::other)?;
    let (pacer, broken) = (Arc::new(Pacer::default()), Arc::new(Notify::new()));
    loop {
        let accepted = tokio::select! {
            // First, for the stream that asks for it ends too, and the client would be told so in good order.
            biased;
            () = broken.notified() => {
                set_socket_linger(&socket, Some(Duration::ZERO))?;
                return Ok(());
            }
            accepted = connection.accept() => accepted,
        };
        let Some(accepted) = accepted else { return Ok(()) };
        let (request, respond) = accepted.map_err(io::Error::other)?;
        let (shared, pacer) = (Arc::clone(shared), Arc::clone(&pacer));
        let mut stream = Stream { respond, body: None, broken: Arc::clone(&broken) };
        tokio::spawn(async move {
            // A client may leave when it likes.
            let Ok(request) = received(request).await else { return };
            let exchange = answer(&shared, line, &request);
            if let Ok(Delivery::Cut) = deliver(exchange, &pacer, || shared.rate(), &mut stream).await {
                let _ = stream.cut();
            }
        });
    }
}

/// Reads a request with its body.
async fn received(request: http::Request<RecvStream>) -> io::Result<Request> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece.map_err(io::Error::other)?;
        incoming.flow_control().release_capacity(piece.len()).map_err(io::Error::other)?;
        body.extend_from_slice(&piece);
        if body.len() > LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    Ok(Request::of_http2(&head, body))
}

/// One stream.
struct Stream {
    respond: SendResponse<Bytes>,
    /// The body, once the hub has sent the head.
    body: Option<SendStream<Bytes>>,
    /// Tells the connection to break.
    broken: Arc<Notify>,
}

impl Stream {
    /// Ends the stream here. A body ends as if it were whole, for a reset would overtake the bytes before it.
    fn cut(&mut self) -> io::Result<()> {
        if let Some(body) = &mut self.body {
            return body.send_data(Bytes::new(), true).map_err(io::Error::other);
        }
        self.respond.send_reset(Reason::INTERNAL_ERROR);
        Ok(())
    }

    fn body(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        self.body.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Sends as much as the client's window lets pass, and waits for the rest.
    async fn send(&mut self, mut bytes: Bytes, sent: &AtomicU64) -> io::Result<()> {
        let body = self.body()?;
        while !bytes.is_empty() {
            body.reserve_capacity(bytes.len());
            let room = poll_fn(|context| body.poll_capacity(context)).await;
            let room = room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
            let piece = bytes.split_to(room.min(bytes.len()));
            sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            body.send_data(piece, false).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Outlet for Stream {
    async fn head(&mut self, reply: &Reply, is_bare: bool) -> io::Result<()> {
        // A body ends with its stream, whatever else tells its end.
        let head = Head::of(reply);
        let mut response = Response::builder().status(head.status);
        for (name, value) in head.headers {
            response = response.header(name, value);
        }
        let response = response.body(()).map_err(io::Error::other)?;
        self.body = Some(self.respond.send_response(response, is_bare).map_err(io::Error::other)?);
        Ok(())
    }

    async fn piece(&mut self, content: &Content, mut range: Range<u64>, sent: &AtomicU64) -> io::Result<()> {
        let mut buffer = Vec::new();
        while !range.is_empty() {
            let length = content::piece(range.end - range.start);
            let piece = content.piece_at(range.start, length, &mut buffer)?;
            self.send(Bytes::copy_from_slice(piece), sent).await?;
            range.start += length as u64;
        }
        Ok(())
    }

    async fn end(&mut self) -> io::Result<()> {
        self.body()?.send_data(Bytes::new(), true).map_err(io::Error::other)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.broken.notify_one();
        Ok(())
    }

    async fn left(&mut self) -> io::Result<()> {
        let Self { respond, body, .. } = self;
        poll_fn(|context| match body {
            Some(body) => body.poll_reset(context),
            None => respond.poll_reset(context),
        })
        .await
        .map(drop)
        .map_err(io::Error::other)
    }
}
