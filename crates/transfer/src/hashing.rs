//! Hashing what has arrived, right behind it.

use std::sync::Arc;

use provisioner_core::Digest;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::{
    Result,
    sink::{Epoch, Sink},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// How often those who wait for the window are told.
const TELL_BYTES: u64 = 4 << 20;

/// The digests of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) sha256: Digest,
    pub(crate) git_sha1: Option<Digest>,
}

/// Follows the bytes of a sink to the end, and returns their digests; `None` when they end early. It blocks. How far it
/// is, is told through `hashed`.
pub(crate) fn follow(
    sink: &Arc<Sink>,
    epoch: Epoch,
    size: u64,
    git_ids: bool,
    hashed: &watch::Sender<u64>,
) -> Result<Option<Digests>> {
    let mut sha256 = Sha256::new();
    let mut git = git_ids.then(|| Sha1::new().chain_update(format!("blob {size}\0")));
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut at, mut told) = (0, 0);
    while at < size {
        let Some(frontier) = sink.wait_past(epoch, at) else { return Ok(None) };
        while at < frontier {
            let length = usize::try_from(frontier - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let piece = &mut buffer[..length];
            sink.read(piece, at)?;
            sha256.update(&piece);
            if let Some(git) = &mut git {
                git.update(&piece);
            }
            at += length as u64;
            if at - told >= TELL_BYTES {
                told = at;
                hashed.send_replace(at);
            }
        }
        hashed.send_replace(at);
    }
    Ok(Some(Digests {
        sha256: Digest::sha256(sha256.finalize().into()),
        git_sha1: git.map(|git| Digest::git_sha1(git.finalize().into())),
    }))
}
