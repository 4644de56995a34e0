//! Holds the one table of causes: stable code, category (from which the command takes its exit status), whether the same
//! call may succeed later, and the next step. A test generates `docs/error-codes.md` from it.

use std::{error::Error as _, fmt, io};

use serde::{Serialize, Serializer};

use crate::hint::{Hint, Repair};

/// Names the kind of failure that a code stands for. The command maps each to one exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Every failure that no other category names.
    Other,
    /// The request is malformed, or this build cannot do it.
    Usage,
    /// The named thing does not exist.
    NotFound,
    /// The bytes are not what they should be, or nothing proves that they are.
    Verification,
    /// The policy, the lifecycle or the format forbids the step.
    Denied,
    /// The caller cannot reach the source, or the source's answer is malformed.
    Unavailable,
    /// The source refuses the credentials.
    Authentication,
    /// The disk, its permissions, or a file on it does not allow the step.
    Storage,
    /// Another process holds what the call needs.
    Busy,
    /// The operating system cannot execute the program of the call.
    NotExecutable,
    /// The program of the call does not exist.
    NoProgram,
    /// The user stopped the work.
    Interrupted,
    /// A supervisor stopped the work.
    Terminated,
}

macro_rules! codes {
    ($($variant:ident $name:literal $category:ident $retriable:literal $meaning:literal $hint:expr;)*) => {
        /// Names a cause of failure with a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the stable name, such as `digest-mismatch`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the category of the failure.
            pub const fn category(self) -> Category {
                match self { $(Self::$variant => Category::$category,)* }
            }

            /// Returns whether the same call may succeed later although no person changes anything.
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => $retriable,)* }
            }

            /// Returns what happened, as a fragment.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Returns the general next step. An error may know a better one for its own case.
            pub fn hint(self) -> Option<Hint> {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}

/// Makes a hint that names no option of the command.
fn say(text: &'static str) -> Hint {
    Hint::from(text)
}

codes! {
    Failed "failed" Other false "a failure without a code of its own" None;
    InvalidUsage "invalid-usage" Usage false "an option or argument makes no sense here" Some(Hint::ReadUsage);
    InvalidReference "invalid-reference" Usage false "a model reference cannot be parsed" None;
    AmbiguousReference "ambiguous-reference" Usage false "a reference fits several models" Some(say("name one of the choices"));
    NotAFile "not-a-file" Usage false "what was named is neither a file nor a folder of files" Some(say("name a model's file or folder"));
    PathNotUtf8 "path-not-utf8" Usage false "a path is not valid UTF-8" Some(say("rename the file or folder"));
    UnsafePath "unsafe-path" Usage false "a path is not a safe relative path" Some(say("rename the file or folder"));
    InvalidDigest "invalid-digest" Usage false "a digest is not well formed" Some(Hint::WriteDigest);
    UnsupportedDigest "unsupported-digest" Usage false "the digest's algorithm is not known here" Some(say("use sha256, git-sha1 or sha256-tree"));
    DigestNeedsOneFile "digest-needs-one-file" Usage false "a digest of one file was given for a set of files" None;
    InvalidKey "invalid-key" Usage false "a key is not of a form that is read" None;
    UnsupportedScheme "unsupported-scheme" Usage false "this build has no source for the reference's scheme" None;
    InvalidLock "invalid-lock" Usage false "the lock file cannot be understood" Some(Hint::LockAgain);
    ToolMissing "tool-missing" Usage false "the program that fetches for a source is not on this machine, or does not work here" None;
    InvalidConfig "invalid-config" Usage false "the config cannot be understood" Some(say("`docs/config.md` shows every field, and `schemas/config.schema.json` their types"));
    HandoffInTheWay "handoff-in-the-way" Usage false "the handoff or the statement would overwrite a file that the call reads, such as the config, the lock file, a policy or a key, or be a file of the model or of the cache" Some(say("write it elsewhere"));
    ExportInTheWay "export-in-the-way" Usage false "there is something where a model is to be exported to" Some(say("name a folder that does not exist, or is empty"));
    InvalidExport "invalid-export" Usage false "a folder that says that it was exported makes no sense" Some(Hint::ExportAgain);
    NeedsId "needs-id" Usage false "what is imported has no id of its own" None;
    NotFound "not-found" NotFound false "a file or folder does not exist" Some(say("check the path; a relative one is taken from the working directory, or from the config's folder"));
    EmptyFolder "empty-folder" NotFound false "a folder holds no file of a model" Some(say("folders leave out `.git`, `.cache` and names that begin with a dot"));
    MissingShard "missing-shard" NotFound false "a shard of the set is not there" Some(say("put the named file beside the other shards"));
    NothingFits "nothing-fits" NotFound false "no model of a repository is certain to fit into the memory" Some(say("ask for a shorter context, fewer sequences or smaller keys and values, or name a model that is small enough"));
    NotInCatalog "not-in-catalog" NotFound false "the catalog has no record of that id" Some(Hint::ListModels);
    DigestMismatch "digest-mismatch" Verification false "the bytes do not have the expected digest" None;
    Unproven "unproven" Verification false "strict verification without anything to compare with" None;
    Rejected "rejected" Verification false "a verifier found the model unsound" None;
    ProvenanceWrong "provenance-wrong" Verification false "the provenance log, or a document that rests on it, is not what was written" Some(say("compare the log with a copy of it that is kept elsewhere"));
    ChangedWhileRead "changed-while-read" Verification true "a file changed while it was being read" Some(say("wait until the writer has finished, then try again"));
    SignatureInvalid "signature-invalid" Verification false "a signature is malformed, or not by the signer whom the caller trusts" Some(say("take the key from its owner, and not from where the model comes from"));
    SignatureUnsupported "signature-unsupported" Verification false "this build verifies no signature of that form" Some(say("ask its publisher for a signature with a key, or pin the digest of the model"));
    SignatureMissing "signature-missing" Verification false "a signature is demanded, and the model has none" Some(Hint::NameSignature);
    SignatureMismatch "signature-mismatch" Verification false "the model's files are not those that were signed" Some(say("take the revision that was signed, or ask its publisher for a signature of this one"));
    PolicyDenied "denied" Denied false "the policy does not allow it" None;
    Offline "offline" Denied false "the network is off limits, and the model is not on this machine" None;
    NotLocked "not-locked" Denied false "the lock file does not have the model" None;
    RefusedFormat "refused-format" Denied false "the format can run code when it is loaded" Some(Hint::AllowFormat);
    Retired "retired" Denied false "the model is retired" None;
    SourceUnavailable "source-unavailable" Unavailable true "the source cannot be reached" Some(say("check the network, then try again"));
    SourceInvalid "source-invalid" Unavailable false "the source's answer makes no sense" None;
    Disabled "disabled" Unavailable false "the source has disabled the repository" Some(say("the hub serves it to no user, and no token changes that; take the model from another repository"));
    Unauthorized "unauthorized" Authentication false "the source refuses these credentials" None;
    Gated "gated" Authentication false "the source wants its terms to be accepted first" Some(say("accept the licence on the model's page"));
    TooManyFiles "too-many-files" Storage false "this process, or the system, may open no more files" Some(say("raise the limit: `ulimit -n` of the shell, `LimitNOFILE=` of a systemd unit"));
    StorageFailed "storage-failed" Storage false "the disk refused a read or a write" None;
    PermissionDenied "permission-denied" Storage false "a file or folder may not be read or written" Some(say("check its owner and mode"));
    ReadOnly "read-only" Storage false "the file system is read-only" Some(Hint::UseWritableCache);
    NoSpace "no-space" Storage false "the disk is full" Some(say("free some space, then try again"));
    UnsafeCache "unsafe-cache" Storage false "the cache, or something in it, is not ours to trust" Some(Hint::UseOwnCache);
    UntrustedLocks "untrusted-locks" Storage false "locks cannot be trusted on this file system, so no process can tell what is in use" Some(say("put the cache on a local file system, or stop all engines and remove models by hand"));
    DamagedRecord "damaged-record" Storage false "a catalog record cannot be read" Some(Hint::Repair(Repair::SetsRecordAside));
    NewerRecord "newer-record" Storage false "a catalog record was written by a newer release" Some(say("use that release, or another cache"));
    Busy "busy" Busy true "another process holds it" Some(Hint::WaitLonger);
    InUse "in-use" Busy true "live processes have a lease on the model" Some(Hint::EndUsers);
    ProgramNotExecutable "program-not-executable" NotExecutable false "the program cannot be executed" Some(say("check that it is a program, and its mode"));
    ProgramNotFound "program-not-found" NoProgram false "the program does not exist" Some(say("name it by its path, or put its folder into PATH"));
    TooManyThreads "too-many-threads" Other true "this user, or the system, may start no more threads" Some(say("raise the limit: `ulimit -u` of the shell, `TasksMax=` of a systemd unit"));
    Interrupted "interrupted" Interrupted true "the user stopped it" None;
    Terminated "terminated" Terminated true "a supervisor stopped it" None;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let codes: Vec<_> = Self::ALL.iter().map(|code| code.as_str()).collect();
        schemars::json_schema!({
            "type": "string",
            "description": "The stable name of a cause of failure. A later release may add some.",
            "enum": codes
        })
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The numbers for too many open files, of the system and of one process. Linux and macOS have the same, and std has no name
/// for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

impl ErrorCode {
    /// Returns the code of what the operating system said about a file.
    pub fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::NotFound,
            // The system says so of a thread alone: this process opens no file in a way that may block.
            ErrorKind::WouldBlock => Self::TooManyThreads,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace,
            _ if matches!(number_of(error), Some(ENFILE | EMFILE)) => Self::TooManyFiles,
            _ => Self::StorageFailed,
        }
    }
}

/// Returns the operating system's number of an error, also of one to which a path was added.
fn number_of(error: &io::Error) -> Option<i32> {
    let within = || number_of(error.source()?.downcast_ref()?);
    error.raw_os_error().or_else(within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        );
    }

    #[test]
    fn what_the_system_says_has_a_code() {
        let check = |number, expected| {
            assert_eq!(ErrorCode::of_io(&io::Error::from_raw_os_error(number)), expected, "{number}");
        };
        check(2, ErrorCode::NotFound);
        check(13, ErrorCode::PermissionDenied);
        check(23, ErrorCode::TooManyFiles);
        check(24, ErrorCode::TooManyFiles);
        check(11, ErrorCode::TooManyThreads);
        check(28, ErrorCode::NoSpace);
        check(30, ErrorCode::ReadOnly);
        check(5, ErrorCode::StorageFailed);
    }

    #[test]
    fn meanings_and_hints_are_fragments() {
        for code in ErrorCode::ALL {
            assert!(!code.meaning().ends_with('.'), "{code}");
            assert!(!code.hint().is_some_and(|hint| hint.to_string().ends_with('.')), "{code}");
        }
    }
}
