//! Renders hints as texts for a program that links the library.

use std::fmt;

use super::{EnsureEffect, Hint, Repair};

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Both(first, second) => write!(f, "{first}; {second}"),
            Self::ReadUsage => f.write_str("see the documentation of the call"),
            Self::WriteDigest => f.write_str("write `sha256:HEX`, with 64 hex digits"),
            Self::ExportAgain => f.write_str("export the model again, or import its files under an id"),
            Self::ListModels => f.write_str("the catalog lists what there is"),
            Self::UseWritableCache => f.write_str("give a writable cache folder"),
            Self::UseOwnCache => f.write_str("give a cache folder of your own"),
            Self::WaitLonger => f.write_str("try again, or wait longer"),
            Self::WaitLongerForSource => f.write_str("a longer wait lets the source answer"),
            Self::EndUsers => f.write_str("stop what uses it, then try again; waiting does not help"),
            Self::Repair(repair) => repair.fmt(f),
            Self::EnsureOnline { id } => write!(f, "with a network, ensuring `{id}` fetches it"),
            Self::DoNotRefresh => f.write_str("without a refresh, the model that is here is used"),
            Self::Refresh { id } => write!(f, "refreshing `{id}` chooses its files anew"),
            Self::Ensure { id, effect } => write!(f, "ensuring `{id}` {effect}"),
            Self::Activate { id } => write!(f, "activating `{id}` makes it usable again"),
            Self::ActivateAndEnsure { id } => {
                write!(f, "it is retired: activate `{id}`, and then ensuring it brings it back")
            }
            Self::Pin { digest } => write!(f, "if these are the right bytes, pin them: `{digest}`"),
            Self::PinActual { digest } => write!(f, "if these bytes are meant, pin them: `{digest}`"),
            Self::PinSet { digest } => write!(f, "pin the whole set: `{digest}`"),
            Self::LearnSetDigest => f.write_str(
                "ensure it without a digest, against those that its source lists; then its record has the digest of the whole set",
            ),
            Self::ReplaceFiles { id } => write!(
                f,
                "its files are yours, and were left alone: bring the right ones back, or remove `{id}` from the catalog"
            ),
            Self::BringFileBack => f.write_str("bring the file back, or remove the record"),
            Self::ImportUnderId { path, id } => write!(f, "give `{path}` an id, such as `{id}`"),
            Self::CheckImportPath => f.write_str(
                "check the path: an import takes files that are on this machine, and ensuring fetches those of a source",
            ),
            Self::WriteBranch { branch, at_branch } => {
                write!(f, "if `{branch}` is a branch, write `{at_branch}`")
            }
            Self::AddListing { command, path } => {
                write!(f, "a recent `{command}` adds the list; ensuring `{path}` takes what is there as it is")
            }
            Self::Lock { id, file } => {
                let file = file.as_ref().map(|file| format!(" `{file}`")).unwrap_or_default();
                write!(f, "locking `{id}` adds it to the lock file{file}")
            }
            Self::LockAgain => f.write_str("if what its source has now is meant, lock it again"),
            Self::AllowNetwork => f.write_str("to allow it, let the policy allow the network"),
            Self::AllowFormat => f.write_str(
                "use the model's safetensors or GGUF files; or, where you trust it, let the policy's `formats` allow it",
            ),
            Self::AllowFormatNamed { format } => write!(
                f,
                "use the model's safetensors or GGUF files; or, where you trust it, let the policy's `formats` name `{}`",
                format.as_str()
            ),
            Self::AllowCode => f.write_str(
                "an engine that needs the code cannot start without it; where you trust it, let the policy's `formats` name `python`",
            ),
            Self::AllowPickles => f.write_str(
                "where you trust them and the engine needs them, let the policy's `formats` name `pickle`",
            ),
            Self::UseListingEndpoint => f.write_str(
                "the endpoint lacks the Hub's listing (`/api/models/ORG/REPO/tree/COMMIT`): give the address of one that has it",
            ),
            Self::WriteEndpoint { example } => write!(f, "give an address such as `{example}`"),
            Self::CheckEndpoint => {
                f.write_str("check the address of the source, and what stands between here and there")
            }
            Self::TrustCertificate => f.write_str(
                "check the address of the source; for a certificate of your organisation's own, trust its authority",
            ),
            Self::GiveToken => f.write_str("if it is right, give a token that may read it"),
            Self::WriteTokenAlone => f.write_str("give the token and nothing else"),
            Self::TokenAllowsMore => f.write_str("with a token the source allows more"),
            Self::AcceptLicence { page } => {
                f.write_str("accept the licence on the model's page, then give a token of that account")?;
                page.as_ref().map_or(Ok(()), |page| write!(f, ": `{page}`"))
            }
            Self::NameFiles => f.write_str("name files with patterns"),
            Self::TakeAll { id } => write!(f, "if they are parts of one model, the pattern `*` takes all of `{id}`"),
            Self::NameSignature => f.write_str(
                "a signature is found where it lies beside the model and ends with `.sig`; where it lies elsewhere, name its file",
            ),
            Self::NameOne { example, .. } => {
                write!(f, "name one of them, as in `{example}`, or its quantization behind a colon")
            }
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mends => "a repair of the cache mends it",
            Self::SetsRecordAside => "a repair of the cache sets it aside",
            Self::SetsLogAside => "a repair of the cache sets it aside, and a new log is begun",
            Self::Removes => "a repair of the cache or an eviction removes it",
            Self::Finishes => "a repair of the cache or an eviction finishes it",
            Self::ReadsAnew => {
                "a repair of the cache reads it, and records it anew if its bytes are the same"
            }
            Self::MovesAwayLater => {
                "a live process uses it; a repair of the cache moves it away when that has ended"
            }
        })
    }
}

impl EnsureEffect {
    /// Returns what ensuring does, as a text whose subject is the call.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BringsBack => "brings it back",
            Self::FetchesAgain => "fetches it again; what was wrong is in the quarantine",
            Self::ComputesDigests => "computes its digests; then it can be locked",
            Self::PutsRight => "puts it right; its files are where they were, as they may be in use",
        }
    }
}

impl fmt::Display for EnsureEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
