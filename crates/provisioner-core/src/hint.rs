//! Names the next step after a failure, as data.
//!
//! An orchestrator that links the library reads the variant and its fields, or shows the text, which speaks of calls and of
//! things to do. The command renders each variant in its own words, with its own options.

mod text;

use std::borrow::Cow;

use crate::{digest::Digest, format::Format};

/// Says what a person or a program can do next.
///
/// ```
/// use provisioner_core::Hint;
///
/// let hint = Hint::Activate { id: "hf:org/repo".to_owned() };
/// assert_eq!(hint.to_string(), "activating `hf:org/repo` makes it usable again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Do what the text says. It names no option of the command.
    Text(Cow<'static, str>),
    /// Do both; the second adds to the first.
    Both(Box<Hint>, Box<Hint>),
    /// Read how the call is used.
    ReadUsage,
    /// Write a digest with its algorithm and all of its hex digits.
    WriteDigest,
    /// Export the model again, or import its files under an id.
    ExportAgain,
    /// List what the catalog has.
    ListModels,
    /// Keep the cache in a folder that this process can write.
    UseWritableCache,
    /// Keep the cache in a folder of the caller's own.
    UseOwnCache,
    /// Wait longer for another process.
    WaitLonger,
    /// Wait longer for a source that asks to be left alone.
    WaitLongerForSource,
    /// End the processes that have a lease. A longer wait does not help.
    EndUsers,
    /// Repair the cache, which does what the field says.
    Repair(Repair),
    /// Ensure the model where there is a network.
    EnsureOnline {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Ensure the model instead of refreshing it.
    DoNotRefresh,
    /// Refresh the model, which chooses its files anew.
    Refresh {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Ensure the model again.
    Ensure {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// Says what the ensure does.
        effect: EnsureEffect,
    },
    /// Activate the retired model.
    Activate {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Activate the retired model, and then ensure it.
    ActivateAndEnsure {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Pin the digest of bytes that no other digest proves.
    Pin {
        /// The digest of the bytes.
        digest: Digest,
    },
    /// Pin the digest that the bytes have, if the caller means these bytes.
    PinActual {
        /// The digest of the bytes.
        digest: Digest,
    },
    /// Pin the digest of the whole set.
    PinSet {
        /// The digest of the set.
        digest: Digest,
    },
    /// Ensure the set without a digest, and read the digest in its record.
    LearnSetDigest,
    /// Put the right files back in the place of the caller's own files, or remove the record.
    ReplaceFiles {
        /// The id of the model: the canonical text of its reference.
        id: String,
    },
    /// Bring a lost file of the caller's own back, or remove the record.
    BringFileBack,
    /// Import the path under an id.
    ImportUnderId {
        /// The path, as the caller gave it.
        path: String,
        /// An example of an id.
        id: String,
    },
    /// Check the path: an import takes files of this machine, and an ensure fetches.
    CheckImportPath,
    /// Write the whole name of a branch that has a slash.
    WriteBranch {
        /// The whole name of the branch.
        branch: String,
        /// The id of the repository at that branch.
        at_branch: String,
    },
    /// Add the list of a repository's files to the cache of the source's own tools, or ensure the path as it is.
    AddListing {
        /// The command of those tools that adds the list.
        command: String,
        /// The path of the files that are on this machine.
        path: String,
    },
    /// Add the model to the lock file.
    Lock {
        /// The id of the model: the canonical text of its reference.
        id: String,
        /// The path of the lock file, where it has one.
        file: Option<String>,
    },
    /// Pin what the sources have now, if that is meant.
    LockAgain,
    /// Let the policy allow the network.
    AllowNetwork,
    /// Use files of a format that runs no code, or let the policy allow the format.
    AllowFormat,
    /// Use files of a format that runs no code, or let the policy name this format.
    AllowFormatNamed {
        /// The format of the refused file.
        format: Format,
    },
    /// Let the policy allow the program code that a model names.
    AllowCode,
    /// Let the policy allow the pickles that an engine needs beside the weights.
    AllowPickles,
    /// Give the address of an endpoint that lists files: this one does not.
    UseListingEndpoint,
    /// Give the address of the source, such as the example.
    WriteEndpoint {
        /// An example of an address.
        example: &'static str,
    },
    /// Check the address of the source, and what stands between here and there.
    CheckEndpoint,
    /// Check the address of the source, or trust the authority of its certificate.
    TrustCertificate,
    /// Give a token that may read the model, if its name is right.
    GiveToken,
    /// Give a token and nothing else.
    WriteTokenAlone,
    /// Give a token, with which the source allows more.
    TokenAllowsMore,
    /// Accept the model's licence, and then give a token of the account that did.
    AcceptLicence {
        /// The page on which an account accepts the licence.
        page: Option<String>,
    },
    /// Name the files by patterns.
    NameFiles,
    /// Take all files of the repository.
    TakeAll {
        /// The id of the whole repository.
        id: String,
    },
    /// Name the file of the signature.
    NameSignature,
    /// Name one of several models.
    NameOne {
        /// The id of one of them.
        example: String,
        /// The id of the whole repository.
        id: String,
    },
}

/// Says what a repair of the cache does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// The repair mends the fault.
    Mends,
    /// The repair sets a damaged record aside.
    SetsRecordAside,
    /// The repair sets the provenance log aside and begins a new one.
    SetsLogAside,
    /// The repair removes what unfinished work left. An eviction does too.
    Removes,
    /// The repair finishes a removal. An eviction does too.
    Finishes,
    /// The repair reads the model, and records it again if its bytes are the same.
    ReadsAnew,
    /// The repair moves a view away when the process that uses it has ended.
    MovesAwayLater,
}

/// Says what an ensure of a recorded model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnsureEffect {
    /// The ensure brings lost files back.
    BringsBack,
    /// The ensure fetches the model again. The wrong bytes are in the quarantine.
    FetchesAgain,
    /// The ensure computes the digests that no source states.
    ComputesDigests,
    /// The ensure puts wrong files right, which are still in their place because a process may use them.
    PutsRight,
}

impl Hint {
    /// Makes a hint of a text that names no option of the command.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Returns this hint, with another one that adds to it.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self::Both(Box::new(self), Box::new(more))
    }

    /// Returns the hint with each of its texts replaced, so that a caller can take a secret out of it.
    #[must_use]
    pub fn map_text(self, replace: &dyn Fn(String) -> String) -> Self {
        match self {
            Self::Text(text) => Self::Text(replace(text.into_owned()).into()),
            Self::Both(first, second) => first.map_text(replace).and(second.map_text(replace)),
            Self::EnsureOnline { id } => Self::EnsureOnline { id: replace(id) },
            Self::Ensure { id, effect } => Self::Ensure { id: replace(id), effect },
            Self::Refresh { id } => Self::Refresh { id: replace(id) },
            Self::Activate { id } => Self::Activate { id: replace(id) },
            Self::ActivateAndEnsure { id } => Self::ActivateAndEnsure { id: replace(id) },
            Self::ReplaceFiles { id } => Self::ReplaceFiles { id: replace(id) },
            Self::ImportUnderId { path, id } => Self::ImportUnderId { path: replace(path), id: replace(id) },
            Self::WriteBranch { branch, at_branch } => {
                Self::WriteBranch { branch: replace(branch), at_branch: replace(at_branch) }
            }
            Self::AddListing { command, path } => {
                Self::AddListing { command: replace(command), path: replace(path) }
            }
            Self::Lock { id, file } => Self::Lock { id: replace(id), file: file.map(replace) },
            Self::TakeAll { id } => Self::TakeAll { id: replace(id) },
            Self::NameOne { example, id } => Self::NameOne { example: replace(example), id: replace(id) },
            Self::AcceptLicence { page } => Self::AcceptLicence { page: page.map(replace) },
            plain => plain,
        }
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&'static str> for Hint {
    fn from(text: &'static str) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_names_no_option_and_no_command() {
        let id = || "hf:o/r".to_owned();
        let digest = Digest::sha256([1; 32]);
        let repairs = [
            Repair::Mends,
            Repair::SetsRecordAside,
            Repair::SetsLogAside,
            Repair::Removes,
            Repair::Finishes,
            Repair::ReadsAnew,
            Repair::MovesAwayLater,
        ];
        let mut hints = vec![
            Hint::ReadUsage,
            Hint::WriteDigest,
            Hint::ExportAgain,
            Hint::ListModels,
            Hint::UseWritableCache,
            Hint::UseOwnCache,
            Hint::WaitLonger,
            Hint::WaitLongerForSource,
            Hint::EndUsers,
            Hint::EnsureOnline { id: id() },
            Hint::DoNotRefresh,
            Hint::Refresh { id: id() },
            Hint::Ensure { id: id(), effect: EnsureEffect::BringsBack },
            Hint::Activate { id: id() },
            Hint::ActivateAndEnsure { id: id() },
            Hint::Pin { digest: digest.clone() },
            Hint::PinActual { digest: digest.clone() },
            Hint::PinSet { digest },
            Hint::LearnSetDigest,
            Hint::ReplaceFiles { id: id() },
            Hint::BringFileBack,
            Hint::ImportUnderId { path: "x".into(), id: id() },
            Hint::CheckImportPath,
            Hint::WriteBranch { branch: "a/b".into(), at_branch: id() },
            Hint::AddListing { command: "hf download o/r".into(), path: "/x".into() },
            Hint::Lock { id: id(), file: Some("models.lock".into()) },
            Hint::LockAgain,
            Hint::AllowNetwork,
            Hint::AllowFormat,
            Hint::AllowFormatNamed { format: Format::Keras },
            Hint::AllowCode,
            Hint::UseListingEndpoint,
            Hint::WriteEndpoint { example: "https://example.org" },
            Hint::CheckEndpoint,
            Hint::TrustCertificate,
            Hint::GiveToken,
            Hint::WriteTokenAlone,
            Hint::TokenAllowsMore,
            Hint::AcceptLicence { page: Some("https://example.org/o/r".into()) },
            Hint::NameFiles,
            Hint::NameSignature,
            Hint::NameOne { example: id(), id: id() },
        ];
        hints.extend(repairs.map(Hint::Repair));
        for hint in hints {
            let text = hint.to_string();
            assert!(!text.contains("--") && !text.contains("model-provisioner"), "{text}");
            assert!(!text.contains("doctor") && !text.ends_with('.'), "{text}");
            assert!(!text.contains("HF_") && !text.contains("config"), "{text}");
        }
    }

    #[test]
    fn every_text_can_be_replaced() {
        let secret = "hf_secret".to_owned();
        let listing = Hint::AddListing { command: secret.clone(), path: secret.clone() };
        let licence = Hint::AcceptLicence { page: Some(secret.clone()) };
        let hint = Hint::text(secret).and(listing).and(licence);
        let told = format!("{:?}", hint.map_text(&|text| text.replace("hf_secret", "***")));
        assert!(!told.contains("secret") && told.matches("***").count() == 4, "{told}");
    }
}
