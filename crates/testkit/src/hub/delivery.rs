//! Sends an answer, and cuts, stalls or resets it on its way: the same over HTTP/1.1 and HTTP/2.

use std::{
    io,
    ops::Range,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};

use super::{
    content::Content,
    exchange::Exchange,
    reply::{InterruptionKind, Reply},
};

/// How many bytes of a body the hub sends before it serves other connections.
const PIECE: u64 = 1 << 20;
/// How many pieces the hub sends each second at a limited rate.
const PIECES_PER_S: u64 = 50;

/// A way out for an answer: a connection that speaks HTTP/1.1, or a stream of one that speaks HTTP/2.
pub(super) trait Outlet {
    /// Writes the status and the headers. A bare head has no body behind it.
    async fn head(&mut self, reply: &Reply, is_bare: bool) -> io::Result<()>;

    /// Writes a part of the body, and counts its bytes before each write: a client that has read them finds them counted.
    async fn piece(&mut self, content: &Content, range: Range<u64>, sent: &AtomicU64) -> io::Result<()>;

    /// Ends the body in good order.
    async fn end(&mut self) -> io::Result<()>;

    /// Ends the whole connection with a TCP reset.
    fn reset(&mut self) -> io::Result<()>;

    /// Waits until the client leaves.
    async fn left(&mut self) -> io::Result<()>;
}

/// Says how a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// Before its end, as the fault says.
    Cut,
}

/// Sends an answer, with its interruption.
pub(super) async fn deliver(
    exchange: Exchange,
    pacer: &Pacer,
    rate: impl Fn() -> u64,
    outlet: &mut impl Outlet,
) -> io::Result<Delivery> {
    let Exchange { reply, is_head, sent } = exchange;
    let mut pending = reply.interruption;
    if let Some(interruption) = pending.take_if(|interruption| interruption.at.is_none())
        && interrupt(outlet, interruption.kind).await?
    {
        return Ok(Delivery::Cut);
    }
    outlet.head(&reply, is_head).await?;
    if is_head {
        return Ok(Delivery::Whole);
    }
    let mut done = 0;
    for (content, range) in &reply.body {
        let mut offset = range.start;
        while offset < range.end || pending.is_some_and(|pending| pending.at == Some(done)) {
            if let Some(interruption) = pending.take_if(|pending| pending.at == Some(done))
                && interrupt(outlet, interruption.kind).await?
            {
                return Ok(Delivery::Cut);
            }
            let until = pending.and_then(|pending| pending.at).map_or(u64::MAX, |at| at - done);
            let length = pacer.pace((range.end - offset).min(until), rate()).await;
            outlet.piece(content, offset..offset + length, &sent).await?;
            offset += length;
            done += length;
        }
    }
    outlet.end().await?;
    Ok(Delivery::Whole)
}

/// Interrupts the answer, and returns whether it ends there.
async fn interrupt(outlet: &mut impl Outlet, kind: InterruptionKind) -> io::Result<bool> {
    match kind {
        InterruptionKind::Cut => Ok(true),
        InterruptionKind::Reset => {
            outlet.reset()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        InterruptionKind::Stall(None) => outlet.left().await.map(|()| true),
        InterruptionKind::Stall(Some(time)) => {
            timeout(time, outlet.left()).await.map_or(Ok(false), |left| left.map(|()| true))
        }
    }
}

/// Spaces what one TCP connection sends, over all its streams.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// The time at which the next piece may go.
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    /// Waits for the time of the next piece, and returns how many of the bytes that are left may go, at so many bytes per second; 0
    /// is no limit.
    async fn pace(&self, left: u64, rate: u64) -> u64 {
        if rate == 0 {
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
            // A client that reads as fast as this writes must not keep the others waiting.
            yield_now().await;
            return left.min(PIECE);
        }
        let length = left.min((rate / PIECES_PER_S).max(1)).min(PIECE);
        let due = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // A late wake-up is made up for, by 50 ms at the most.
            let earliest = now.checked_sub(Duration::from_millis(50)).unwrap_or(now);
            let due = next.map_or(now, |next| next.max(earliest));
            *next = Some(due + Duration::from_micros(length.saturating_mul(1_000_000) / rate));
            due
        };
        sleep_until(due).await;
        length
    }
}
