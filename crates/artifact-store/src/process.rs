//! Who holds something of the store, so that others can tell a person, and can see whether that process still lives.

use std::{fmt, path::Path};

use durable_fs::boot_id;
use serde::{Deserialize, Serialize};

const MAX_BYTES: u64 = 4096;

/// A process. A number alone would soon mean another one; with the boot, the space of numbers and the moment at which
/// it began, it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// What it runs.
    pub program: String,
    /// The machine's name.
    pub host: String,
    boot: String,
    /// The space that the number is of (`/proc/self/ns/pid`).
    pid_space: String,
    /// When it began, in ticks since the boot (`proc_pid_stat(5)`, field 22).
    began: Option<u64>,
}

impl ProcessIdentity {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        let (program, began) = program_and_start(pid).unwrap_or_default();
        Self::new(pid, program, began)
    }

    /// The process of a number, on this machine.
    pub(crate) fn of(pid: u32) -> Option<Self> {
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

    /// The same process with what it runs now, if it lives here: it may have become another program.
    pub(crate) fn now(self) -> Self {
        let now = Self::of(self.pid).filter(|_| self.is_alive() == Some(true));
        now.unwrap_or(self)
    }

    /// Whether it lives. `None` where that cannot be told from here: on another machine, or in another container.
    pub fn is_alive(&self) -> Option<bool> {
        if self.boot.is_empty() || self.pid_space.is_empty() || self.host.is_empty() {
            return None;
        }
        if self.boot != boot_id() {
            // Another machine, or this one before it was started again.
            let here = rustix::system::uname();
            return (here.nodename().to_string_lossy() == self.host).then_some(false);
        }
        if self.pid_space != pid_space() {
            return None;
        }
        Some(program_and_start(self.pid).is_some_and(|(_, began)| began == self.began))
    }

    /// The owner that a file names.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&durable_fs::read(path, MAX_BYTES).ok()??).ok()
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}) on {}", self.pid, self.program, self.host)
    }
}

fn pid_space() -> String {
    let link = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// What a process runs, and when it began. `None` where there is no such process, or only its remains.
fn program_and_start(pid: u32) -> Option<(String, Option<u64>)> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets, and may have any character in it.
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
        // The first process of all, which outlives this one.
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
