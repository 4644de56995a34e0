//! Identifies processes, as lock files and notes name them. Another process tells a person which one it is, and sees whether
//! that one still lives.

use std::{fmt, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// Identifies one process for good. The kernel gives a number to another process soon; the boot, the namespace of the
/// number and the start time tell the two apart.
///
/// The files that name a process hold it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The number of the process.
    pub pid: u32,
    /// The name of the program that the process runs.
    pub program: String,
    /// The name of the machine that the process is on.
    pub host: String,
    boot: String,
    /// The namespace of the process number (`/proc/self/ns/pid`).
    pid_space: String,
    /// The start time, in ticks since the boot (`proc_pid_stat(5)`, field 22).
    began: Option<u64>,
}

impl ProcessIdentity {
    /// Returns the identity of this process.
    pub fn this() -> Self {
        let pid = std::process::id();
        let (program, began) = program_and_start(pid).unwrap_or_default();
        Self::new(pid, program, began)
    }

    /// Returns the identity of the process of a number on this machine. Returns `None` where no such process lives.
    pub fn of(pid: u32) -> Option<Self> {
        program_and_start(pid).map(|(program, began)| Self::new(pid, program, began))
    }

    fn new(pid: u32, program: String, began: Option<u64>) -> Self {
        Self {
            pid,
            program,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot: boot_id().to_owned(),
            pid_space: pid_space(),
            began,
        }
    }

    /// Returns the same process with the program that it runs now, if it lives here: it may have become another program.
    #[must_use]
    pub fn now(self) -> Self {
        let now = Self::of(self.pid).filter(|_| self.is_alive() == Some(true));
        now.unwrap_or(self)
    }

    /// Returns whether the process lives. Returns `None` where this process cannot tell, because the other one is on another
    /// machine or in another container.
    pub fn is_alive(&self) -> Option<bool> {
        if self.boot.is_empty() || self.pid_space.is_empty() || self.host.is_empty() {
            return None;
        }
        if self.boot != boot_id() {
            // The process is of another machine, or of an earlier boot of this one.
            let here = rustix::system::uname();
            return (here.nodename().to_string_lossy() == self.host).then_some(false);
        }
        if self.pid_space != pid_space() {
            return None;
        }
        Some(program_and_start(self.pid).is_some_and(|(_, began)| began == self.began))
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}) on {}", self.pid, self.program, self.host)
    }
}

/// Returns the id of the boot that the machine is in, or an empty text where the system gives none. Bytes that no process
/// synced count in that boot alone.
pub fn boot_id() -> &'static str {
    // No process lives in two boots.
    static ID: LazyLock<String> = LazyLock::new(|| {
        let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    });
    &ID
}

fn pid_space() -> String {
    let link = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// Returns the name of the program that a process runs, and when the process began. Returns `None` where there is no such
/// process, or only its remains.
fn program_and_start(pid: u32) -> Option<(String, Option<u64>)> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets, and may have any character.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let is_dead = fields.next().is_some_and(|state| matches!(state, "Z" | "X"));
    // The state is field 3.
    (!is_dead).then(|| (name.to_owned(), fields.nth(18).and_then(|ticks| ticks.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_one() {
        let this = ProcessIdentity::this();
        assert!(this.began.is_some(), "{this:?}");
        assert_eq!(this.is_alive(), Some(true));
        // The first process of all outlives this one.
        let (program, began) = program_and_start(1).unwrap();
        let first = ProcessIdentity { pid: 1, program, began, ..this.clone() };
        assert_eq!(first.is_alive(), Some(true));
        assert_eq!(
            ProcessIdentity { began: Some(u64::MAX), ..first }.is_alive(),
            Some(false),
            "the number was used again"
        );
        assert_eq!(ProcessIdentity { boot: "other".into(), ..this.clone() }.is_alive(), Some(false));
        assert_eq!(
            ProcessIdentity { boot: "other".into(), host: "elsewhere".into(), ..this.clone() }.is_alive(),
            None
        );
        assert_eq!(ProcessIdentity { pid_space: "pid:[1]".into(), ..this }.is_alive(), None);
    }
}
