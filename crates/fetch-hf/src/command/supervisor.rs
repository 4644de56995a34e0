//! Runs the command, and sees to it that it ends.
//!
//! # It dies with this process
//! A shell stands between this process and the command, and all three are told apart by their process groups: the shell leads a new
//! one, and the command is in it. The shell's standard input is a pipe, of which this process alone holds the other end, and which it
//! never writes to. When this process dies, however it dies, the kernel closes that end; the shell's watcher reads the end of the file,
//! and kills the group. So no signal handler, no thread and no clock of a dead process has to do anything.
//!
//! `PR_SET_PDEATHSIG` would not do: it tells of the death of the *thread* that started the child, and tells the child alone, not what the
//! child started.
//!
//! # It ends
//! A thread looks at the command every few moments. It kills the group where the caller dropped the call, where the command was
//! silent for too long, and where it printed too much. A command has been silent when it neither printed nor changed a file of its
//! folder. Also after a command that ended by itself, the group is killed before its leader is reaped: until then no other group can
//! have its number.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use durable_fs::usage_below;
use provisioner_core::{FetchError, FetchErrorKind, Token};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::output::Output;

/// The shell, which every system with the command has.
const SHELL: &str = "/bin/sh";

/// Runs the command of the arguments, and ends it when its standard input ends. The descriptor 3 is kept from the command, so that the
/// watcher alone reads it.
const SCRIPT: &str = r#"exec 3<&0 </dev/null
"$@" 3<&- &
tool=$!
{ read -r end <&3; kill -s KILL 0; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$tool"
status=$?
exec 2>/dev/null
kill -s KILL "$watch"
exit "$status""#;

/// How often the supervisor looks whether the command has ended.
const TICK: Duration = Duration::from_millis(50);

/// How often the supervisor measures the folder.
const MEASURE: Duration = Duration::from_millis(500);

/// How many bytes the command may print in all.
const MAX_PRINTED: u64 = 64 << 20;

/// Describes one run of the command.
#[derive(Debug)]
pub(super) struct Job {
    /// The path of the command.
    pub(super) program: PathBuf,
    /// The name of the command, for messages.
    pub(super) name: String,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The folder that the command works in, which is there.
    pub(super) folder: PathBuf,
    /// How long the command may be silent.
    pub(super) silence: Duration,
    /// What no text may show.
    pub(super) token: Option<Token>,
}

/// Says how a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The command ended with a status, as a shell tells it.
    Exited(i32),
    /// The command was silent for too long, and was killed.
    Silent,
    /// The command printed too much, and was killed.
    Flooded,
    /// The caller dropped the call, and the command was killed.
    Dropped,
}

/// Holds what a run left. No text of it has the token.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) end: End,
    /// The end of the standard output.
    pub(super) printed: String,
    /// The end of the standard error.
    pub(super) said: String,
}

/// What the caller of a run and its supervisor tell each other.
#[derive(Debug, Default)]
struct Shared {
    is_dropped: AtomicBool,
    bytes: AtomicU64,
}

/// Tells the supervisor that its caller is gone.
struct DropGuard(Arc<Shared>);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.is_dropped.store(true, Ordering::Relaxed);
    }
}

/// Runs the command to its end, and tells `progress` how many bytes the folder has on the disk. The command ends when the caller drops
/// the call.
///
/// # Errors
/// [`FetchErrorKind::Storage`] where the system starts no process.
pub(super) async fn run(job: Job, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<Finished, FetchError> {
    let shared = Arc::<Shared>::default();
    let _guard = DropGuard(Arc::clone(&shared));
    let name = job.name.clone();
    let supervisor = Arc::clone(&shared);
    let mut running = tokio::task::spawn_blocking(move || supervise(&job, &supervisor));
    let finished = loop {
        match tokio::time::timeout(MEASURE, &mut running).await {
            Ok(finished) => break finished,
            Err(_) => progress(shared.bytes.load(Ordering::Relaxed)),
        }
    };
    let failed = |error: io::Error| {
        FetchError::new(FetchErrorKind::Storage, format!("`{name}` cannot be started")).because(error)
    };
    finished.map_err(io::Error::other).and_then(|finished| finished).map_err(failed)
}

/// Runs the command, and blocks until it has ended.
fn supervise(job: &Job, shared: &Shared) -> io::Result<Finished> {
    let mut group = Group::start(job)?;
    let (printed, said) = group.outputs(job)?;
    let end = watch(job, shared, &group, &[&printed, &said])?;
    group.kill();
    let token = job.token.as_ref();
    Ok(Finished { end, printed: printed.end(token), said: said.end(token) })
}

/// Watches the command until it ends, or must be ended.
fn watch(job: &Job, shared: &Shared, group: &Group, outputs: &[&Output]) -> io::Result<End> {
    let (mut last, mut measured) = (Signs::default(), None::<Instant>);
    let mut last_sign = Instant::now();
    loop {
        if let Some(status) = group.status()? {
            return Ok(End::Exited(status));
        }
        if shared.is_dropped.load(Ordering::Relaxed) {
            return Ok(End::Dropped);
        }
        if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
            let signs = Signs::of(&job.folder, outputs);
            shared.bytes.store(signs.bytes, Ordering::Relaxed);
            measured = Some(Instant::now());
            if signs.printed > MAX_PRINTED {
                return Ok(End::Flooded);
            }
            if signs != last {
                (last, last_sign) = (signs, Instant::now());
            }
        }
        if last_sign.elapsed() >= job.silence {
            return Ok(End::Silent);
        }
        thread::sleep(TICK);
    }
}

/// What changes while a command works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signs {
    bytes: u64,
    last_write: Option<SystemTime>,
    printed: u64,
}

impl Signs {
    fn of(folder: &Path, outputs: &[&Output]) -> Self {
        let usage = usage_below(folder);
        let printed = outputs.iter().map(|output| output.bytes()).sum();
        Self { bytes: usage.bytes, last_write: usage.last_write, printed }
    }
}

/// Holds the process group of the command. Dropping it kills the group.
struct Group {
    leader: Child,
    is_reaped: bool,
}

impl Group {
    fn start(job: &Job) -> io::Result<Self> {
        let mut shell = Command::new(SHELL);
        shell.args(["-c", SCRIPT, &job.name]).arg(&job.program).args(&job.arguments);
        shell.env_clear().envs(job.environment.iter().map(|(name, value)| (name, value)));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let leader = shell.current_dir(&job.folder).process_group(0).spawn()?;
        Ok(Self { leader, is_reaped: false })
    }

    /// Begins to receive what the group prints.
    fn outputs(&mut self, job: &Job) -> io::Result<(Output, Output)> {
        let (printed, said) = (self.leader.stdout.take(), self.leader.stderr.take());
        let (Some(printed), Some(said)) = (printed, said) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let receive = |name: &str, token: &Option<Token>| (name.to_owned(), token.clone());
        let (name, token) = receive(&job.name, &job.token);
        Ok((Output::receive(printed, &name, token.clone())?, Output::receive(said, &name, token)?))
    }

    /// Returns the status of the leader, which is that of the command, once it has ended. It stays a zombie, and keeps its number.
    fn status(&self) -> io::Result<Option<i32>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Some(status) = waitid(WaitId::Pid(Pid::from_child(&self.leader)), options)? else {
            return Ok(None);
        };
        let by_signal = || status.terminating_signal().map(|signal| 128 + signal);
        Ok(Some(status.exit_status().or_else(by_signal).unwrap_or(-1)))
    }

    /// Kills what is left of the group, and reaps its leader.
    fn kill(&mut self) {
        if self.is_reaped {
            return;
        }
        // The leader is not reaped yet, so the number is the group's. An error says that no process is left in it.
        let _ = kill_process_group(Pid::from_child(&self.leader), Signal::KILL);
        self.is_reaped = self.leader.wait().is_ok();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
