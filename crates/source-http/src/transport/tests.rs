//! Reads of what arrives in pieces.

use std::collections::VecDeque;

use tokio::io::AsyncReadExt;

use super::*;

/// What a read of the stream below returns.
enum Turn {
    Bytes(&'static [u8]),
    Nothing,
    Error,
}

/// A stream of which each read returns the next turn, and then its end.
struct Turns(VecDeque<Turn>);

impl AsyncRead for Turns {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0.pop_front() {
            Some(Turn::Bytes(bytes)) => {
                let (now, later) = bytes.split_at(bytes.len().min(buf.remaining()));
                buf.put_slice(now);
                if !later.is_empty() {
                    self.0.push_front(Turn::Bytes(later));
                }
            }
            Some(Turn::Nothing) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Turn::Error) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {}
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads of 8 bytes at the most, as texts; an error is its kind.
async fn reads(turns: impl IntoIterator<Item = Turn>) -> Vec<String> {
    let mut reads = FullReads { stream: Turns(turns.into_iter().collect()), error: None };
    let (mut all, mut buffer) = (Vec::new(), [0; 8]);
    loop {
        match reads.read(&mut buffer).await {
            Ok(0) => return all,
            Ok(length) => all.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
            Err(error) => all.push(error.kind().to_string()),
        }
    }
}

#[tokio::test]
async fn a_read_takes_all_records_that_are_here() {
    use Turn::{Bytes, Error, Nothing};

    assert_eq!(reads([Bytes(b"ab"), Bytes(b"cd"), Bytes(b"ef")]).await, ["abcdef"]);
    assert_eq!(reads([Bytes(b"ab"), Nothing, Bytes(b"cd"), Bytes(b"ef")]).await, ["ab", "cdef"]);
    assert_eq!(reads([Bytes(b"abcdef"), Bytes(b"ghij")]).await, ["abcdefgh", "ij"], "the buffer is full");
    assert_eq!(reads([Bytes(b"ab"), Error]).await, ["ab", "connection reset"], "no byte is lost");
    assert_eq!(reads([Error, Bytes(b"ab")]).await, ["connection reset", "ab"]);
    assert_eq!(reads([Nothing]).await, [""; 0]);
}
