//! Becomes an engine, with a lease on its model.

use std::{
    ffi::OsStr,
    future::poll_fn,
    io::{self, IsTerminal},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitCode, ExitStatus},
    task::Poll,
};

use model_provisioner::{ErrorCode, Lease};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::failure::Failure;

/// The signals that a supervisor hands on. An interrupt from a terminal reaches the engine by itself.
const HANDED_ON: [Signal; 6] =
    [Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2, Signal::INT, Signal::QUIT];

/// Says what comes after a subcommand has done its work.
#[derive(Debug)]
pub(crate) enum Next {
    /// The command ends with this status.
    End(ExitCode),
    /// The command becomes an engine, on a model that is ready.
    Engine(Box<Engine>),
}

/// Holds a program that the command is about to run, and the lease on its model.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) lease: Lease,
    pub(crate) command: Command,
    /// Whether the command stays beside the program instead of becoming it.
    pub(crate) is_supervised: bool,
}

impl Engine {
    /// Becomes the program; or runs it as a child, and returns its status.
    ///
    /// # Errors
    /// The system does not run the program.
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let Self { lease, mut command, is_supervised } = self;
        if is_supervised {
            return supervise(lease, command).await;
        }
        lease.inherit(true)?;
        // `exec` comes back only where the system does not run the program.
        let error = command.exec();
        Err(not_run(command.get_program(), &error))
    }
}

/// Runs the program as a child, hands signals on to it, and returns its status.
async fn supervise(mut lease: Lease, command: Command) -> Result<ExitCode, Failure> {
    let mut signals = Vec::new();
    for kind in HANDED_ON {
        signals.push((kind, signal(SignalKind::from_raw(kind.as_raw()))?));
    }
    let mut ended = signal(SignalKind::child())?;
    let program = command.get_program().to_owned();
    let mut child = lease.spawn(command).map_err(|error| not_run(&program, &error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(as_it_ended(status));
        }
        let next = poll_fn(|context| {
            let mut all = signals.iter_mut();
            let ready = all.find_map(|(kind, stream)| stream.poll_recv(context).is_ready().then_some(*kind));
            ready.map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            _ = ended.recv() => {}
            kind = next => {
                let is_key = matches!(kind, Signal::INT | Signal::QUIT) && io::stdin().is_terminal();
                if let Some(pid) = pid.filter(|_| !is_key) {
                    // The next round sees a child that has just ended.
                    let _ = kill_process(pid, kind);
                }
            }
        }
    }
}

/// Returns the status of a program that ended: 128 and the signal, as in a shell, where a signal ended it.
fn as_it_ended(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::ProgramNotFound,
        _ => ErrorCode::ProgramNotExecutable,
    };
    Failure::new(code, format!("`{}` cannot be run: {error}", program.to_string_lossy()))
}
