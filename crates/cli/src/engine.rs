//! Becoming an engine, with a lease on its model.

use std::{
    ffi::{OsStr, OsString},
    future::poll_fn,
    io::{self, IsTerminal},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
    task::Poll,
};

use model_provisioner::{
    DEFAULT_LLAMACPP_HANDOFF_PATH, ErrorCode, Lease, ModelProvisioner, ResolvedModel, key_of,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::{Common, Run},
    commands::{Next, asked, expectation, selected, warn},
    document::Model,
    failure::Failure,
    output::Output,
};

/// What a supervisor hands on. An interrupt from a terminal reaches the engine by itself.
const HANDED_ON: [Signal; 6] =
    [Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2, Signal::INT, Signal::QUIT];

/// What stands for the handoff's path among the program's arguments.
const HANDOFF: &[u8] = b"{handoff}";

/// A program that is to be run, on a model that is leased.
#[derive(Debug)]
pub(crate) struct Engine {
    lease: Lease,
    command: Command,
    is_supervised: bool,
}

/// Makes the model present, takes a lease, and writes the handoff. Without a program, the lease is kept until the standard
/// input closes.
pub(crate) async fn prepare(common: &Common, args: Run, output: Output) -> Result<Next, Failure> {
    let Run { reference, how, supervise, program } = args;
    let provisioner = asked(common, &how.hub)?;
    let written = selected(&provisioner, &reference, &how.hub).await?;
    let reference = provisioner.parse(&written).await?;
    let expectation = expectation(&how)?;
    if how.refresh {
        provisioner.refresh(&reference, &expectation).await?;
    }
    let leased = provisioner.ensure_leased(&reference, &expectation).await;
    let (model, lease) = leased.map_err(|error| error.guessing(&written))?;
    warn(&model, output);
    let asked = match how.handoff {
        None if program.iter().any(|text| find(text.as_bytes(), HANDOFF).is_some()) => {
            Some(own_handoff(&model))
        }
        asked => asked,
    };
    let handoff = match asked {
        Some(dest) => Some(provisioner.hand_off(&model, &dest).await?),
        None => hand_off_by_default(&provisioner, &model, output).await,
    };
    let Some((name, rest)) = program.split_first() else {
        output.paths(&Model::new(&model, handoff), model.local_path.display())?;
        until_input_closes(lease).await;
        return Ok(Next::End(ExitCode::SUCCESS));
    };
    let fill = |text: &OsString| filled(text, &model, handoff.as_deref());
    let mut command = Command::new(fill(name)?);
    command.args(rest.iter().map(fill).collect::<Result<Vec<_>, _>>()?);
    Ok(Next::Engine(Box::new(Engine { lease, command, is_supervised: supervise })))
}

/// The handoff of an engine that is told where it is: named by the model, so that engines which are started in one folder do
/// not read each other's, and one that is started again leaves no further file.
fn own_handoff(model: &ResolvedModel) -> PathBuf {
    let key = key_of(&format!("{}\n{}", model.id, model.local_path.display()));
    Path::new(DEFAULT_LLAMACPP_HANDOFF_PATH).with_extension(format!("{}.json", &key[..16]))
}

/// Writes the handoff where everybody looks for it. Nobody asked for it: a folder that cannot be written stops no engine.
async fn hand_off_by_default(
    provisioner: &ModelProvisioner,
    model: &ResolvedModel,
    output: Output,
) -> Option<PathBuf> {
    match provisioner.hand_off(model, Path::new(DEFAULT_LLAMACPP_HANDOFF_PATH)).await {
        Ok(handoff) => Some(handoff),
        Err(error) => {
            output.warning(Failure::from(error).message);
            output.hint(
                "no place was named for it, so this stops nothing; if it is read, name one with `--handoff`",
            );
            None
        }
    }
}

/// Keeps the lease for as long as somebody keeps our standard input open.
async fn until_input_closes(lease: Lease) {
    // An input that cannot be read is closed.
    let _ = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink())).await;
    drop(lease);
}

impl Engine {
    /// Becomes the program; or runs it beside us, and ends as it does.
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let Self { lease, mut command, is_supervised } = self;
        if is_supervised {
            return stand_by(lease, command).await;
        }
        lease.inherit(true)?;
        // This does not come back, unless the program cannot be run.
        let error = command.exec();
        Err(not_run(command.get_program(), &error))
    }
}

/// Runs the program beside us, hands signals on to it, and ends as it does.
async fn stand_by(mut lease: Lease, command: Command) -> Result<ExitCode, Failure> {
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
                    // One that has just ended is seen in the next round.
                    let _ = kill_process(pid, kind);
                }
            }
        }
    }
}

/// The status of a program that ended: as a shell has it, where a signal ended it.
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

/// An argument with what stands for the model's own filled in.
fn filled(text: &OsString, model: &ResolvedModel, handoff: Option<&Path>) -> Result<OsString, Failure> {
    let mut bytes = text.as_bytes().to_vec();
    let projector = model.mmproj.as_deref().map(Path::as_os_str);
    if projector.is_none() && find(&bytes, b"{mmproj}").is_some() {
        return Err(Failure::usage(format!("`{}` has no projector for {{mmproj}}", model.id)));
    }
    let values = [
        ("{path}", model.local_path.as_os_str()),
        ("{id}", OsStr::new(&model.id)),
        ("{handoff}", handoff.map(Path::as_os_str).unwrap_or_default()),
        ("{mmproj}", projector.unwrap_or_default()),
    ];
    // From left to right, so that nothing is filled into what was filled in.
    let mut out = Vec::new();
    while let Some((at, name, value)) = values
        .iter()
        .filter_map(|(name, value)| Some((find(&bytes, name.as_bytes())?, name, value)))
        .min_by_key(|(at, ..)| *at)
    {
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(value.as_bytes());
        bytes.drain(..at + name.len());
    }
    out.extend_from_slice(&bytes);
    Ok(OsString::from_vec(out))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
