//! The `model-provisioner` command: arguments and environment in, text, JSON, progress and exit status out. The library does all
//! the rest.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod allocator;
mod args;
mod commands;
mod engine;
mod environment;
mod exit;
mod invocation;
mod output;
#[cfg(test)]
mod reference;
mod signals;

use std::{env, fmt, io, pin::pin, process::ExitCode, sync::Arc, thread, time::Duration};

use clap::Parser;
use model_provisioner::ErrorCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tracing::field::Field;
use tracing_subscriber::{
    filter::filter_fn,
    fmt::format::{Writer, debug_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

#[cfg(any(feature = "hf", feature = "hf-cli"))]
use crate::output::redact;
use crate::{
    args::{Args, GlobalOptions},
    engine::Next,
    invocation::Invocation,
    output::{
        escape::{bounded, escaped},
        failure::Failure,
        printer::Printer,
        progress::{AboveBars, Screen},
    },
    signals::SecondSignal,
};

/// The descriptors that the runtime and its signals need.
const DESCRIPTORS: usize = 6;

/// The time for which the runtime keeps a thread without work: no process lives longer.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The time for which the end waits for writes that have begun.
const LAST_WRITES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    allocator::bound_free_memory();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let output = Printer::new(args.global.json, args.global.quiet);
    let limit = allow_many_files();
    let screen = Arc::<Screen>::default();
    start_log(&args.global, &screen);
    let done = run(args, output, &screen, limit);
    match done {
        Ok(status) => status,
        Err(failure) => {
            output.failure(&failure);
            if failure.code == ErrorCode::Terminated {
                signals::terminate();
            }
            exit::status(failure.code)
        }
    }
}

/// Allows as many open files as the system does: each file that the command fetches holds a lock. Returns the limit before that,
/// which an engine expects.
fn allow_many_files() -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, the old limit stands.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    limit
}

/// Returns a runtime whose first thread for work that blocks lives as long as the runtime does: without any, such work would end
/// the process. Further work waits for that thread where the system gives no other.
///
/// # Errors
/// Where the system refuses what the runtime panics without: a thread, or some descriptors.
fn runtime() -> Result<Runtime, Failure> {
    let spare = (0..DESCRIPTORS).map(|_| rustix::io::dup(io::stderr())).collect::<Result<Vec<_>, _>>();
    drop(spare.map_err(io::Error::from)?);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(FOR_EVER).build()?;
    let thread = thread::Builder::new().spawn(|| ()).map_err(|error| {
        Failure::new(ErrorCode::of_io(&error), format!("no thread can be started: {error}"))
    })?;
    // A thread that panicked would have had nothing to do.
    let _ = thread.join();
    drop(runtime.spawn_blocking(|| ()));
    Ok(runtime)
}

/// Runs the command until it is done, or until the user or a supervisor stops it.
///
/// # Errors
/// What the subcommand fails with.
fn run(args: Args, output: Printer, screen: &Arc<Screen>, limit: Rlimit) -> Result<ExitCode, Failure> {
    let runtime = runtime()?;
    let invocation = Invocation::new(args.global, output, Arc::clone(screen));
    let second_signal = SecondSignal::ends_the_process();
    let done = runtime.block_on(async {
        // Over the limit on the size of files, a write is to fail and not to kill.
        let _over_limit = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
        let mut stopped = pin!(signals::stopped());
        let done = tokio::select! {
            biased;
            done = commands::run(args.command, &invocation) => done,
            stopped = &mut stopped => return Err(stopped.hinting(screen.kept())),
        };
        match done {
            // A supervisor may have asked the command to end while it did its last work: then no engine starts.
            Ok(Next::Engine(engine)) => tokio::select! {
                biased;
                stopped = stopped => Err(stopped),
                () = signals::look_once_more(!engine.is_supervised) => Ok(Next::Engine(engine)),
            },
            done => done,
        }
    });
    screen.finish();
    let done = match done {
        // From here on, the signals are the engine's.
        Ok(Next::Engine(engine)) => {
            drop(second_signal);
            let _ = setrlimit(Resource::Nofile, limit);
            runtime.block_on(engine.run())
        }
        Ok(Next::End(status)) => Ok(status),
        Err(failure) => Err(failure),
    };
    // A write that has begun comes to its end; the command does not wait for a write that waits for a lock. It does not wait for the
    // threads that hash either: where they write, the last write of each file may come once more with the next fetch.
    runtime.shutdown_timeout(LAST_WRITES);
    done
}

/// Prints the fault of the arguments; or prints the help or the version, and succeeds.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that went away has seen enough.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let _ = error.print();
    // The arguments were not understood, and yet a program may be waiting for its document.
    if env::args_os().any(|arg| arg == "--json") {
        let text = error.to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join(" ");
        Printer::failure_document(&Failure::usage(message.trim_start_matches("error: ")));
    }
    exit::status(Failure::usage("").code)
}

/// Sends log lines to standard error: warnings, what the command does with `-v`, or everything with `-vv`. Lines of the Hub's own client of Xet, which
/// hf-hub brings along, stay out: they name signed addresses.
fn start_log(options: &GlobalOptions, screen: &Arc<Screen>) {
    let level = match (options.verbose, options.quiet) {
        (2.., _) => tracing::Level::TRACE,
        (1, _) => tracing::Level::DEBUG,
        (0, true) => tracing::Level::ERROR,
        (0, false) => tracing::Level::WARN,
    };
    let is_coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let screen = Arc::clone(screen);
    let above_bars = move || AboveBars(Arc::clone(&screen));
    #[cfg(any(feature = "hf", feature = "hf-cli"))]
    let above_bars = move || redact::Log(above_bars());
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(above_bars);
    let foreign = filter_fn(|line| !line.target().starts_with("xet"));
    let log = log.fmt_fields(debug_fn(log_field));
    log.without_time().with_ansi(is_coloured).log_internal_errors(false).finish().with(foreign).init();
}

/// Writes the message of a log line, or another field of it. Either may hold the name that a stranger gave to a file.
fn log_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    let text = bounded(&text);
    match field.name() {
        "message" => writer.write_str(&escaped(&text)),
        // The place in a library that wrote the line.
        name if name.starts_with("log.") => Ok(()),
        name => write!(writer, " {name}={}", escaped(&text)),
    }
}
