//! Accepts connections, secures them where the hub speaks TLS, and serves each in the protocol that client and hub agree on.

use std::{io, os::fd::AsFd, sync::Arc};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::either::Either;

use super::{
    http1, http2,
    line::{Line, Origin, Protocol},
    state::Shared,
};

/// Serves every connection to a listener, for ever.
pub(super) async fn accept(shared: &Arc<Shared>, listener: TcpListener, origin: Origin) {
    loop {
        // An accept fails where a client is gone already, or where there are too many files.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let number = shared.state().ledger.connected(origin);
            // A client may leave when it likes.
            let _ = serve(&shared, origin, number, stream).await;
            shared.state().ledger.disconnected();
        });
    }
}

async fn serve(shared: &Arc<Shared>, origin: Origin, number: u64, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let settle = |protocol| {
        shared.state().ledger.settled(number, protocol);
        Line { origin, number, protocol }
    };
    let Some(tls) = &shared.tls else {
        return http1::serve(shared, settle(Protocol::Http1), Either::Left(stream)).await;
    };
    let socket = stream.as_fd().try_clone_to_owned()?;
    let stream = tls.accept(stream).await?;
    match Protocol::named(stream.get_ref().1.alpn_protocol()) {
        Protocol::Http1 => {
            drop(socket);
            http1::serve(shared, settle(Protocol::Http1), Either::Right(Box::new(stream))).await
        }
        Protocol::Http2 => http2::serve(shared, settle(Protocol::Http2), stream, socket).await,
    }
}
