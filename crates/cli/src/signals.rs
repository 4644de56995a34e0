//! Says what the interrupt key and `SIGTERM` do to the command.
//!
//! The first one stops the command, which says what is kept and how to go on. The second one ends the process at once: the thread that
//! would say so may wait for a reader of its output.

use std::{
    future::pending,
    sync::{Arc, atomic::AtomicBool},
};

use libc::{SIGINT, SIGTERM};
use model_provisioner::ErrorCode;
use signal_hook::{SigId, flag, low_level::unregister};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::failure::Failure;

/// Holds what the second signal does. Dropped, it does nothing of its own.
pub(crate) struct SecondSignal(Vec<SigId>);

impl SecondSignal {
    /// Lets the second signal end the process, with 128 and its number. One that the parent process ignores does nothing.
    pub(crate) fn ends_the_process() -> Self {
        let has_come = Arc::<AtomicBool>::default();
        // A system that does not let the command catch a signal ends it at the first one.
        let actions = heeded().flat_map(|signal| {
            let ends = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&has_come));
            [ends, flag::register(signal, Arc::clone(&has_come))]
        });
        Self(actions.flatten().collect())
    }
}

impl Drop for SecondSignal {
    fn drop(&mut self) {
        for action in self.0.drain(..) {
            unregister(action);
        }
    }
}

/// Returns what stopped the command, once a signal does. A signal that the system does not let the command catch ends it at once. A
/// parent process that ignores `SIGTERM` has it ignored here too.
pub(crate) async fn stopped() -> Failure {
    let next = async |kind| match signal(kind) {
        Ok(mut signals) => signals.recv().await,
        Err(_) => pending().await,
    };
    let is_ignored = is_ignored(SIGTERM);
    tokio::select! {
        _ = next(SignalKind::interrupt()) => Failure::interrupted(),
        _ = next(SignalKind::terminate()), if !is_ignored => Failure::new(ErrorCode::Terminated, "terminated"),
    }
}

/// Lets the runtime hand on the signals that have come. From here on, the next one ends a command that `becomes` an engine.
pub(crate) async fn look_once_more(becomes: bool) {
    if becomes {
        heeded().for_each(default_action);
    }
    tokio::task::yield_now().await;
}

/// Ends the process by `SIGTERM`, as it would end had the command not caught it: a supervisor such as systemd tells that from a
/// failure. Returns where the system withholds the signal, as it does from the first process of a container.
#[expect(unsafe_code, reason = "this call has no safe name")]
pub(crate) fn terminate() {
    default_action(SIGTERM);
    // SAFETY: it takes a number.
    unsafe { libc::raise(SIGTERM) };
}

/// Lets a signal do what it did before the command caught it.
#[expect(unsafe_code, reason = "this call has no safe name")]
fn default_action(signal: libc::c_int) {
    // SAFETY: it takes numbers, and the default action runs no code of this process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Returns those of the two signals that the parent process does not have ignored.
fn heeded() -> impl Iterator<Item = libc::c_int> {
    [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal))
}

/// Returns whether the parent process has a signal ignored, and this process does not catch it.
#[expect(unsafe_code, reason = "this call has no safe name")]
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action it changes nothing, and it writes the present one where it succeeds.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
