//! Follows the hash frontier: a thread hashes the bytes that have arrived without a gap, from memory where they arrived at
//! the frontier, and from the page cache where they arrived ahead of it. Its one loop does all of a transfer's hashing. Where many
//! files come, it writes the bytes at the frontier too.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use provisioner_core::{ContentDigests, ContentHasher};
use tokio::sync::{oneshot, watch};

use crate::{
    arrived::{Arrival, Next},
    concurrency::Hashed,
    epoch::Epoch,
    error::Result,
    partners::Stretch,
    scheduling::interrupt_no_other_thread,
    sink::Sink,
    write::{Write, length},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// Hashes the bytes of a sink to the end, as they arrive, and returns their digests; `None` when they end early. It blocks.
/// `told` tells how far it is, each time that `step_bytes` more are hashed.
pub(crate) fn follow(
    sink: &Arc<Sink>,
    epoch: Epoch,
    size: u64,
    git_ids: bool,
    told: &watch::Sender<Hashed>,
    step_bytes: u64,
) -> Result<Option<ContentDigests>> {
    let _queue = sink.open_queue(epoch);
    let stretch = Stretch::new(ContentHasher::of_size(size, git_ids));
    let mut frontier = Frontier { sink, stretch, buffer: BytesMut::new(), bytes: 0, told, step_bytes };
    while frontier.bytes < size {
        let Some(next) = sink.next(epoch, frontier.bytes) else { return Ok(None) };
        match next {
            Next::InFile(end) => frontier.read_to(end)?,
            Next::InMemory(Arrival::Written(pieces)) => frontier.hash(pieces)?,
            Next::InMemory(Arrival::Unwritten(write)) => {
                if !frontier.write(write)? {
                    return Ok(None);
                }
            }
        }
    }
    told.send_replace(frontier.hashed());
    Ok(Some(frontier.stretch.hasher.finish()))
}

/// Holds how far the hashing is.
struct Frontier<'a> {
    sink: &'a Sink,
    stretch: Stretch,
    buffer: BytesMut,
    bytes: u64,
    told: &'a watch::Sender<Hashed>,
    step_bytes: u64,
}

impl Frontier<'_> {
    /// Hashes the bytes of the file up to `end`.
    fn read_to(&mut self, end: u64) -> Result<()> {
        while self.bytes < end {
            let length = usize::try_from(end - self.bytes).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(length, 0);
            self.sink.read(&mut buffer, self.bytes)?;
            let piece = buffer.freeze();
            self.hash(vec![piece.clone()])?;
            // No other piece of the buffer is left.
            self.buffer = piece.try_into_mut().unwrap_or_default();
        }
        Ok(())
    }

    /// Does a write for its connection, and hashes the bytes. Returns `false` where the write failed: the connection has the error,
    /// and ends the fetch.
    fn write(&mut self, write: Write) -> Result<bool> {
        let Write { epoch, start, pieces, written } = write;
        match self.sink.write(epoch, start, &pieces) {
            Ok(are_new) => {
                // The connection may have been dropped.
                let _ = written.send(Ok(()));
                let end = start + length(&pieces) as u64;
                if are_new {
                    self.hash(pieces)?;
                } else {
                    self.read_to(end)?;
                }
                Ok(true)
            }
            Err(error) => match written.send(Err(error)) {
                Ok(()) => Ok(false),
                Err(unheard) => unheard.map(|()| false),
            },
        }
    }

    /// Hashes bytes, and tells how far it is after each step.
    fn hash(&mut self, pieces: Vec<Bytes>) -> Result<()> {
        let before = self.bytes / self.step_bytes;
        self.bytes += length(&pieces) as u64;
        self.stretch.pieces = pieces.into();
        self.stretch = self.sink.hash(std::mem::take(&mut self.stretch))?;
        if self.bytes / self.step_bytes > before {
            self.told.send_replace(self.hashed());
        }
        Ok(())
    }

    fn hashed(&self) -> Hashed {
        Hashed { bytes: self.bytes, busy: self.stretch.busy }
    }
}

/// Holds the thread that hashes. When this is dropped, the thread ends.
pub(crate) struct Follower<'a> {
    digests: oneshot::Receiver<Result<Option<ContentDigests>>>,
    sink: &'a Sink,
    epoch: Epoch,
}

impl<'a> Follower<'a> {
    /// Starts a thread of its own: it waits for bytes that only the runtime's blocking threads can write.
    pub(crate) fn start(
        sink: &'a Sink,
        follow: impl FnOnce() -> Result<Option<ContentDigests>> + Send + 'static,
    ) -> Result<Self> {
        let (tell, digests) = oneshot::channel();
        std::thread::Builder::new().name("hashing".to_owned()).spawn(move || {
            interrupt_no_other_thread();
            // The caller may have been dropped.
            let _ = tell.send(follow());
        })?;
        Ok(Self { digests, sink, epoch: sink.epoch() })
    }

    /// Waits for the digests; `None` when the bytes end early.
    pub(crate) async fn finish(mut self) -> Result<Option<ContentDigests>> {
        (&mut self.digests).await.map_err(std::io::Error::other)?
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.sink.give_up(self.epoch);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{process::Command, sync::mpsc::channel, thread};

    use super::*;
    use crate::{journal::JournalHeader, partners::Partners, scheduling::is_filtered};

    /// Returns the policy of the thread that calls it.
    fn policy() -> i32 {
        let stat = fs_err::read_to_string("/proc/thread-self/stat").unwrap();
        // The field 41 of `proc(5)`; the second one, which may hold spaces, ends with the last parenthesis.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
    }

    /// Returns the policies of a thread that hashes and of the one that starts it.
    fn policies() -> (i32, i32) {
        let dir = tempfile::tempdir().unwrap();
        let header = JournalHeader { size: 1, digest: None, validator: None, boot: String::new() };
        let (data, journal) = (dir.path().join("data"), dir.path().join("journal"));
        let partners = Arc::new(Partners::new(2));
        let (sink, _) = Sink::open(&data, &journal, &header, Arc::new(()), partners).unwrap();
        let (tell, told) = channel();
        let _follower = Follower::start(&sink, move || {
            tell.send(policy()).unwrap();
            Ok(None)
        });
        (told.recv().unwrap(), policy())
    }

    #[test]
    fn the_thread_that_hashes_alone_gets_the_policy_for_long_work() {
        let before = policy();
        let is_usual = before == libc::SCHED_OTHER && !is_filtered();
        let expected = if is_usual { libc::SCHED_BATCH } else { before };
        assert_eq!(policies(), (expected, before));
    }

    /// A filter that forbids the call may end the process for it; this one allows all calls, and ends with its thread.
    #[test]
    #[expect(unsafe_code, reason = "these calls have no safe names")]
    fn where_a_filter_sees_the_calls_no_policy_changes() {
        let filtered = thread::spawn(|| {
            let allow = libc::BPF_RET | libc::BPF_K;
            let code = u16::try_from(allow).unwrap();
            let mut all = [libc::sock_filter { code, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
            let program = libc::sock_fprog { len: 1, filter: all.as_mut_ptr() };
            // SAFETY: the kernel copies the program, which lives until then.
            let done = unsafe {
                let alone = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                alone | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
            };
            // A system without filters refuses this one.
            (done == 0).then(policies)
        });
        let before = policy();
        assert_eq!(filtered.join().unwrap().unwrap_or((before, before)), (before, before));
    }

    /// Runs tests of this crate once more, in a process that another program starts. Without that program, of util-linux, or where the
    /// system refuses what it asks for, none run.
    fn again(program: &str, args: &[&str], tests: &[&str]) {
        let mut command = Command::new(program);
        let this = std::env::current_exe().unwrap();
        let Ok(run) = command.args(args).arg(this).args(tests).output() else { return };
        let said = String::from_utf8_lossy(&run.stdout);
        let has_begun = said.contains("running ");
        assert!(!has_begun || run.status.success() && !said.contains(" 0 passed"), "{said}");
    }

    #[test]
    fn a_policy_that_the_process_has_stays() {
        let name = "hashing::tests::the_thread_that_hashes_alone_gets_the_policy_for_long_work";
        again("chrt", &["--idle", "0"], &[name, "--exact"]);
    }

    /// There the thread that hashes a file writes it too. On more processors it does so only where as many files come.
    #[test]
    fn all_files_arrive_on_one_processor_too() {
        let status = fs_err::read_to_string("/proc/self/status").unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        let first = allowed.trim().split(['-', ',']).next().unwrap();
        again("taskset", &["-c", first], &["fetch::tests"]);
    }
}
