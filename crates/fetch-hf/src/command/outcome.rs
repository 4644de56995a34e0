//! Tells why a run of the command failed, by its status and by what it said.
//!
//! The command has one status for every failure. Releases before 1.0 end with a Python traceback, whose last lines name the error's
//! class; later ones print `Error: …`. Both repeat what the hub answered.

use std::{io, time::Duration};

use provisioner_core::{FetchError, FetchErrorKind, Hint, server_text};

use super::supervisor::{End, Finished};

/// The number for a full disk, which std maps to a kind of its own.
const ENOSPC: i32 = 28;

/// The statuses with which a shell says that it cannot execute a program, and that there is none.
const NOT_STARTED: [i32; 2] = [126, 127];

/// The status with which the command says that it does not know an option.
const USAGE: i32 = 2;

/// What the texts of one kind of failure have in common, in lower case. The first row that fits counts.
const TEXTS: [(FetchErrorKind, &[&str]); 12] = [
    (FetchErrorKind::Storage, &["no space left on device", "disk quota exceeded"]),
    (
        FetchErrorKind::Gated,
        &["gatedrepoerror", "requires approval", "is restricted", "awaiting a review", "fine-grained token"],
    ),
    (FetchErrorKind::Disabled, &["access to this resource is disabled"]),
    (
        FetchErrorKind::Unauthorized,
        &[
            "invalid credentials in authorization header",
            "invalid user token",
            "401 client error",
            "403 client error",
        ],
    ),
    (
        FetchErrorKind::NotFound,
        &[
            "repositorynotfounderror",
            "revisionnotfounderror",
            "entrynotfounderror: 404",
            "revision not found in",
            "file not found in",
            "404 client error",
            "' not found.",
        ],
    ),
    (
        FetchErrorKind::ToolMissing,
        &["no longer works", "modulenotfounderror", "importerror", "bad interpreter"],
    ),
    (FetchErrorKind::Permission, &["permission denied", "permissionerror"]),
    (
        FetchErrorKind::Invalid,
        &["certificate_verify_failed", "certificate verify failed", "consistency check failed"],
    ),
    (FetchErrorKind::Unreachable, &["429 client error", "too many requests", "server error"]),
    (
        FetchErrorKind::Unreachable,
        &["localentrynotfounderror", "local entry not found", "connection", "timed out", "timeout"],
    ),
    (
        FetchErrorKind::Unreachable,
        &["name or service not known", "temporary failure in name resolution", "network is unreachable"],
    ),
    (
        FetchErrorKind::ToolMissing,
        &["no such option", "unrecognized arguments", "no such command", "invalid choice"],
    ),
];

/// Returns what a run left, where the command ended well.
///
/// # Errors
/// Why it did not.
pub(super) fn check(name: &str, silence: Duration, finished: Finished) -> Result<Finished, FetchError> {
    let error = |kind, what: &str| FetchError::new(kind, format!("`{name}` {what}"));
    match finished.end {
        End::Exited(0) => Ok(finished),
        End::Exited(status) => Err(explained(name, status, &finished)),
        End::Silent => {
            let what = format!("wrote and printed nothing for {} seconds, and was ended", silence.as_secs());
            Err(error(FetchErrorKind::Unavailable, &what))
        }
        End::Flooded => Err(error(FetchErrorKind::Invalid, "printed without end, and was ended")),
        End::Dropped => Err(error(FetchErrorKind::Unavailable, "was ended, for its caller is gone")),
    }
}

/// Returns the error of a status.
fn explained(name: &str, status: i32, finished: &Finished) -> FetchError {
    let text = telling(finished);
    let told = last_words(text);
    let kind = match status {
        _ if NOT_STARTED.contains(&status) => FetchErrorKind::ToolMissing,
        USAGE => FetchErrorKind::ToolMissing,
        // A failure that no row knows may pass.
        _ => kind_of(text).unwrap_or(FetchErrorKind::Unavailable),
    };
    let what = if told.is_empty() { String::new() } else { format!(": {told}") };
    let message = format!("`{name}` failed with status {status}{what}");
    let error = FetchError::new(kind, message);
    match (kind, hint_of(kind, text)) {
        (FetchErrorKind::Storage, _) => error.because(io::Error::from_raw_os_error(ENOSPC)),
        (_, Some(hint)) => error.with_hint(hint),
        _ => error,
    }
}

/// Returns the output that tells of a failure. Some releases before 1.0 print it to their standard output.
fn telling(finished: &Finished) -> &str {
    let Finished { said, printed, .. } = finished;
    let is_there = said.trim().is_empty() || kind_of(said).is_none() && kind_of(printed).is_some();
    if is_there { printed } else { said }
}

/// Returns the kind of a failure, by what the command said; `None` where no row knows it.
fn kind_of(said: &str) -> Option<FetchErrorKind> {
    let said = said.to_lowercase();
    let fits = |texts: &&[&str]| texts.iter().any(|text| said.contains(text));
    TEXTS.iter().find(|(_, texts)| fits(texts)).map(|(kind, _)| *kind)
}

/// Returns the next step after a failure.
fn hint_of(kind: FetchErrorKind, said: &str) -> Option<Hint> {
    match kind {
        FetchErrorKind::Gated => Some(Hint::AcceptLicence { page: None }),
        FetchErrorKind::Unauthorized => Some(Hint::text("check the repository's name").and(Hint::GiveToken)),
        // The command says the same of a private repository.
        FetchErrorKind::NotFound if said.to_lowercase().contains("repo") => {
            Some(Hint::text("check the repository's name").and(Hint::GiveToken))
        }
        FetchErrorKind::NotFound => {
            Some(Hint::text("check the repository's name, its revision and the file"))
        }
        FetchErrorKind::Invalid if said.to_lowercase().contains("certificate") => {
            Some(Hint::TrustCertificate)
        }
        _ => None,
    }
}

/// Returns the line that says what went wrong: the one that begins with `Error:`, or the last one that names an error's class, or
/// the last one.
fn last_words(said: &str) -> String {
    let lines = || said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let is_class = |line: &&str| {
        let class = line.split([':', ' ']).next().unwrap_or_default();
        class.ends_with("Error") && line.contains(':')
    };
    let line = lines().find(|line| line.starts_with("Error:")).or_else(|| lines().find(is_class));
    server_text(line.or_else(|| lines().next()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: i32, said: &str) -> FetchError {
        let finished = Finished { end: End::Exited(status), printed: String::new(), said: said.to_owned() };
        check("hf", Duration::from_secs(1), finished).unwrap_err()
    }

    #[test]
    fn what_each_release_says_has_a_kind() {
        use FetchErrorKind::{
            Gated, Invalid, NotFound, Permission, Storage, ToolMissing, Unauthorized, Unavailable,
            Unreachable,
        };
        let check = |status, said: &str, kind, message: &str| {
            let error = failure(status, said);
            assert_eq!(error.kind, kind, "{said}");
            assert!(error.message.ends_with(message), "{}", error.message);
        };
        // 2.x, and 1.x.
        check(
            1,
            "Hint: x\nError: Model 'org/nope' not found.\nIf the repo is private, make sure you are authenticated",
            NotFound,
            "Error: Model 'org/nope' not found.",
        );
        check(1, "Error: Revision not found in model 'org/name'.\n", NotFound, "'org/name'.");
        check(
            1,
            "Error: File not found in model 'org/name'.\nURL: http://h/org/name/resolve/c/x",
            NotFound,
            "'org/name'.",
        );
        check(1, "Error: Access denied. Model 'org/x' requires approval.\n", Gated, "requires approval.");
        check(
            1,
            "Retrying in 8s\nError: Local entry not found. [Errno 111] Connection refused",
            Unreachable,
            "refused",
        );
        check(2, "Error: No such option: --quiet", ToolMissing, "--quiet");
        // 0.3x: a traceback.
        check(
            1,
            "  File \"x.py\", line 1\nhuggingface_hub.errors.RepositoryNotFoundError: 401 Client Error.\n\nRepository Not Found for url: http://h/",
            Unauthorized,
            "401 Client Error.",
        );
        check(
            1,
            "huggingface_hub.errors.EntryNotFoundError: 404 Client Error.\n\nEntry Not Found for url",
            NotFound,
            "404 Client Error.",
        );
        check(
            1,
            "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error.\n\nRevision Not Found",
            NotFound,
            "404 Client Error.",
        );
        check(
            1,
            "huggingface_hub.errors.GatedRepoError: 403 Client Error.\n\nCannot access gated repo",
            Gated,
            "403 Client Error.",
        );
        check(
            1,
            "huggingface_hub.errors.LocalEntryNotFoundError: An error happened",
            Unreachable,
            "An error happened",
        );
        check(
            1,
            "requests.exceptions.HTTPError: 503 Server Error: busy for url",
            Unreachable,
            "busy for url",
        );
        check(2, "usage: hf\nhf: error: unrecognized arguments: --x", ToolMissing, "--x");
        // Any release.
        check(1, "OSError: [Errno 28] No space left on device", Storage, "device");
        check(1, "PermissionError: [Errno 13] Permission denied: '/x'", Permission, "'/x'");
        check(1, "ssl.SSLCertVerificationError: certificate verify failed", Invalid, "failed");
        check(1, "ModuleNotFoundError: No module named 'huggingface_hub'", ToolMissing, "'huggingface_hub'");
        check(
            1,
            "Warning: `huggingface-cli` is deprecated and no longer works. Use `hf` instead.",
            ToolMissing,
            "instead.",
        );
        check(127, "sh: 1: hf: not found", ToolMissing, "not found");
        check(1, "something new", Unavailable, "something new");
        check(139, "", Unavailable, "status 139");
        assert_eq!(
            failure(1, "OSError: [Errno 28] No space left on device").code(),
            provisioner_core::ErrorCode::NoSpace
        );
    }

    #[test]
    fn a_run_that_was_ended_says_why() {
        let of = |end| {
            let finished = Finished { end, printed: String::new(), said: String::new() };
            let error = check("hf", Duration::from_secs(120), finished).unwrap_err();
            (error.code().is_retriable(), error.message)
        };
        assert_eq!(
            of(End::Silent),
            (true, "`hf` wrote and printed nothing for 120 seconds, and was ended".to_owned())
        );
        assert_eq!(of(End::Flooded), (false, "`hf` printed without end, and was ended".to_owned()));
    }
}
