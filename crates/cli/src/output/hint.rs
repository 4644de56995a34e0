//! Renders the hints of the library in the words of the command: with its subcommands and options.

use model_provisioner::{Digest, DigestAlgorithm, EnsureEffect, Hint, Repair, shell_word};

/// Returns a hint as the command tells it.
pub(crate) fn text(hint: &Hint) -> String {
    match hint {
        Hint::Both(first, second) => format!("{}; {}", text(first), text(second)),
        Hint::ReadUsage => "see `--help`".to_owned(),
        Hint::ListModels => "`model-provisioner list` shows what there is".to_owned(),
        Hint::UseWritableCache => "give a writable folder with `--cache-dir`".to_owned(),
        Hint::UseOwnCache => "give a folder of your own with `--cache-dir`".to_owned(),
        Hint::WaitLonger => "try again, or wait longer with `--wait`".to_owned(),
        Hint::WaitLongerForSource => "a longer `--wait` waits for it".to_owned(),
        Hint::EndUsers => "stop what uses it, then try again; `--wait` does not wait for that".to_owned(),
        Hint::Repair(repair) => of_repair(*repair).to_owned(),
        Hint::DoNotRefresh => "without `--refresh`, what is here is used".to_owned(),
        Hint::WriteDigest
        | Hint::Pin { .. }
        | Hint::PinActual { .. }
        | Hint::PinSet { .. }
        | Hint::LearnSetDigest => of_digest(hint),
        Hint::ExportAgain | Hint::ImportUnderId { .. } | Hint::CheckImportPath => of_exchange(hint),
        Hint::WriteBranch { .. }
        | Hint::AddListing { .. }
        | Hint::NameFiles
        | Hint::TakeAll { .. }
        | Hint::NameSignature
        | Hint::NameOne { .. } => of_reference(hint),
        Hint::AllowNetwork
        | Hint::AllowFormat
        | Hint::AllowFormatNamed { .. }
        | Hint::AllowCode
        | Hint::AllowPickles
        | Hint::UseListingEndpoint
        | Hint::WriteEndpoint { .. }
        | Hint::CheckEndpoint
        | Hint::TrustCertificate
        | Hint::GiveToken
        | Hint::WriteTokenAlone
        | Hint::TokenAllowsMore
        | Hint::AcceptLicence { .. } => of_settings(hint),
        _ => of_model(hint),
    }
}

/// Returns a hint as `doctor` tells it, whose reader has typed the name of the program already.
pub(crate) fn text_in_doctor(hint: &Hint) -> String {
    match hint {
        Hint::Ensure { id, effect: EnsureEffect::BringsBack } => {
            format!("`ensure {}` brings it back", shell_word(id))
        }
        other => text(other),
    }
}

/// Returns the hints about a recorded model, and those that are plain text.
fn of_model(hint: &Hint) -> String {
    match hint {
        Hint::EnsureOnline { id } => {
            format!("with a network, `model-provisioner ensure {}` fetches it", shell_word(id))
        }
        Hint::Ensure { id, effect } => {
            format!("`model-provisioner ensure {}` {}", shell_word(id), effect.as_str())
        }
        Hint::Refresh { id } => {
            format!(
                "`model-provisioner ensure {} --refresh`, under the same policy, chooses its files anew",
                shell_word(id)
            )
        }
        Hint::Activate { id } => {
            format!("`model-provisioner activate {}` makes it usable again", shell_word(id))
        }
        Hint::ActivateAndEnsure { id } => {
            let id = shell_word(id);
            format!("it is retired: `activate {id}`, and then `ensure {id}` brings it back")
        }
        Hint::ReplaceFiles { id } => format!(
            "its files are yours, and were left alone: bring the right ones back, or `model-provisioner remove {}`",
            shell_word(id)
        ),
        Hint::Lock { id, file } => {
            let file = file.as_ref().map(|file| format!(" -o {}", shell_word(file))).unwrap_or_default();
            format!("`model-provisioner lock {}{file}` adds it", shell_word(id))
        }
        Hint::LockAgain => {
            "if what the sources have now is meant, `model-provisioner lock --upgrade` pins that".to_owned()
        }
        Hint::BringFileBack => "bring the file back, or `remove` the record".to_owned(),
        plain => plain.to_string(),
    }
}

/// Returns the hints about the config and the environment, whose variables this command reads.
fn of_settings(hint: &Hint) -> String {
    let text = match hint {
        Hint::AllowNetwork => "to allow it, write `policy: { network: allow }` in the config",
        Hint::AllowFormat => {
            "use the model's safetensors or GGUF files; or, where you trust it, allow it in a config: \
             `policy: { formats: [pickle, safetensors, gguf, other] }`"
        }
        Hint::AllowFormatNamed { format } => {
            return format!(
                "use the model's safetensors or GGUF files; or, where you trust it, allow it in a config: `policy: {{ formats: \
                 [{}, safetensors, gguf, other] }}`",
                format.as_str()
            );
        }
        Hint::AllowCode => {
            "an engine that needs the code cannot start without it; where you trust it, allow it with \
             `formats: [python, safetensors, gguf, other]` in a policy (`--policy FILE`, which begins with `version: 1`), or in a config for \
             `provision`: `policy: { network: allow, formats: [python, safetensors, gguf, other] }`"
        }
        Hint::AllowPickles => {
            "where you trust them and the engine needs them, allow them with `formats: [pickle, safetensors, gguf, other]` in a policy \
             (`--policy FILE`, which begins with `version: 1`), or in a config for `provision`: \
             `policy: { network: allow, formats: [pickle, safetensors, gguf, other] }`"
        }
        Hint::UseListingEndpoint => {
            "the mirror that HF_ENDPOINT names lacks the Hub's listing (`/api/models/ORG/REPO/tree/COMMIT`): set HF_ENDPOINT to an \
             endpoint that has it, or leave it out"
        }
        Hint::WriteEndpoint { example } => {
            return format!("set HF_ENDPOINT to an address such as `{example}`");
        }
        Hint::CheckEndpoint => "check HF_ENDPOINT, and what stands between here and there",
        Hint::TrustCertificate => {
            "check HF_ENDPOINT; for a certificate of your organisation's own, set SSL_CERT_FILE to its authority"
        }
        Hint::GiveToken => "if it is right, set HF_TOKEN to a token that may read it",
        Hint::WriteTokenAlone => {
            "set HF_TOKEN, or write the file that HF_TOKEN_PATH names, to the token and nothing else"
        }
        Hint::TokenAllowsMore => "with a token in HF_TOKEN the hub allows more",
        Hint::AcceptLicence { page } => {
            let page = page.as_ref().map(|page| format!(": `{page}`")).unwrap_or_default();
            return format!(
                "accept the licence on the model's page, then set HF_TOKEN to a token of that account{page}"
            );
        }
        plain => return plain.to_string(),
    };
    text.to_owned()
}

fn of_repair(repair: Repair) -> &'static str {
    match repair {
        Repair::SetsRecordAside => "`model-provisioner doctor --fix` sets it aside",
        Repair::SetsLogAside => "`doctor --fix` sets it aside, and a new log is begun",
        Repair::Removes => "`doctor --fix` or `gc` removes it",
        Repair::Finishes => "`doctor --fix` or `gc` finishes it",
        Repair::ReadsAnew => "`doctor --fix` reads it, and records it anew if its bytes are the same",
        Repair::MovesAwayLater => "a live process uses it; `doctor --fix` moves it away when that has ended",
        _ => "`doctor --fix` mends it",
    }
}

fn of_digest(hint: &Hint) -> String {
    match hint {
        Hint::WriteDigest => "write `--sha256 HEX` or `--digest sha256:HEX`, with 64 hex digits".to_owned(),
        Hint::Pin { digest } => {
            let (option, field) = (option(digest), config_field(digest));
            format!("if these are the right bytes, pin them: `{option}`, or in a config `{field}`")
        }
        Hint::PinActual { digest } => format!("if these bytes are meant, pin them: `{}`", option(digest)),
        Hint::PinSet { digest } => format!("pin the whole set: `--digest {digest}`"),
        Hint::LearnSetDigest => "ensure it without a digest, against those that its source lists; then \
             `model-provisioner show` tells the digest of the whole set"
            .to_owned(),
        plain => plain.to_string(),
    }
}

/// Returns the field that pins a digest in a config, as a person writes it.
fn config_field(digest: &Digest) -> String {
    let (algo, value): (DigestAlgorithm, _) = (digest.algorithm(), digest.hex());
    format!("expected_digest: {{ algo: {algo}, value: {value} }}")
}

/// Returns the option that pins a digest.
fn option(digest: &Digest) -> String {
    match digest.algorithm() {
        DigestAlgorithm::Sha256 => format!("--sha256 {}", digest.hex()),
        _ => format!("--digest {digest}"),
    }
}

fn of_exchange(hint: &Hint) -> String {
    match hint {
        Hint::ExportAgain => "export the model again, or import its files with `--id`".to_owned(),
        Hint::ImportUnderId { path, id } => {
            format!("give it one: `model-provisioner import {} --id {}`", shell_word(path), shell_word(id))
        }
        Hint::CheckImportPath => "check the path: an import takes files that are on this machine, and \
             `ensure` fetches those of a hub"
            .to_owned(),
        plain => plain.to_string(),
    }
}

fn of_reference(hint: &Hint) -> String {
    match hint {
        Hint::WriteBranch { branch, at_branch } => {
            let repository = at_branch.split('@').next().unwrap_or_default();
            let (whole, option) = (shell_word(at_branch), shell_word(branch));
            format!("if `{branch}` is a branch, write `{whole}`, or `{repository} --revision {option}`")
        }
        Hint::AddListing { command, path } => format!(
            "a recent `{command}` adds the list; `model-provisioner ensure {}` takes what is there as it is",
            shell_word(path)
        ),
        Hint::NameFiles => "name files with `--include`".to_owned(),
        Hint::TakeAll { id } => {
            format!("if they are parts of one model, `{} --include '*'` takes them all", shell_word(id))
        }
        Hint::NameSignature => "a signature is found where it lies beside the model and ends with `.sig`; where it lies elsewhere, \
                                name it with `--signature`"
            .to_owned(),
        Hint::NameOne { example, id } => format!(
            "name one of them, as in `{}`, or its quantization behind a colon; \
             `model-provisioner plan {} --vram 24GiB` says which fit",
            shell_word(example),
            shell_word(id)
        ),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use model_provisioner::Format;

    use super::*;

    #[track_caller]
    fn check(hint: &Hint, expected: &str) {
        assert_eq!(text(hint), expected);
    }

    #[test]
    fn a_hint_is_a_command_that_a_shell_takes() {
        let id = || "hf:o/r?include=*".to_owned();
        check(
            &Hint::Activate { id: id() },
            "`model-provisioner activate 'hf:o/r?include=*'` makes it usable again",
        );
        check(
            &Hint::Refresh { id: id() },
            "`model-provisioner ensure 'hf:o/r?include=*' --refresh`, under the same policy, chooses its files anew",
        );
        let back = Hint::Ensure { id: id(), effect: EnsureEffect::BringsBack };
        check(&back, "`model-provisioner ensure 'hf:o/r?include=*'` brings it back");
        assert_eq!(text_in_doctor(&back), "`ensure 'hf:o/r?include=*'` brings it back");
        let command = "hf download o/r --include '*Q4*'".to_owned();
        let listing = Hint::AddListing { command, path: "/x y".into() };
        check(
            &listing,
            "a recent `hf download o/r --include '*Q4*'` adds the list; `model-provisioner ensure '/x y'` takes what is there \
             as it is",
        );
    }

    #[test]
    fn the_command_names_the_variables_and_the_config_that_it_reads() {
        let name = Hint::text("check the repository's name").and(Hint::GiveToken);
        check(&name, "check the repository's name; if it is right, set HF_TOKEN to a token that may read it");
        let busy = Hint::text("wait 60 seconds, then try again").and(Hint::TokenAllowsMore);
        check(&busy, "wait 60 seconds, then try again; with a token in HF_TOKEN the hub allows more");
        let licence = |page| Hint::AcceptLicence { page };
        let accept = "accept the licence on the model's page, then set HF_TOKEN to a token of that account";
        check(&licence(None), accept);
        check(&licence(Some("https://hf.co/o/r".into())), &format!("{accept}: `https://hf.co/o/r`"));
        check(&Hint::CheckEndpoint, "check HF_ENDPOINT, and what stands between here and there");
        check(
            &Hint::TrustCertificate,
            "check HF_ENDPOINT; for a certificate of your organisation's own, set SSL_CERT_FILE to its authority",
        );
        check(
            &Hint::WriteTokenAlone,
            "set HF_TOKEN, or write the file that HF_TOKEN_PATH names, to the token and nothing else",
        );
        let endpoint = Hint::WriteEndpoint { example: "https://huggingface.co" };
        check(&endpoint, "set HF_ENDPOINT to an address such as `https://huggingface.co`");
        check(&Hint::AllowNetwork, "to allow it, write `policy: { network: allow }` in the config");
        check(
            &Hint::AllowFormat,
            "use the model's safetensors or GGUF files; or, where you trust it, allow it in a config: `policy: { formats: \
             [pickle, safetensors, gguf, other] }`",
        );
        check(
            &Hint::AllowFormatNamed { format: Format::Keras },
            "use the model's safetensors or GGUF files; or, where you trust it, allow it in a config: `policy: { formats: \
             [keras, safetensors, gguf, other] }`",
        );
    }

    #[test]
    fn two_hints_are_joined() {
        let busy = Hint::text("wait 60 seconds, then try again").and(Hint::WaitLongerForSource);
        check(&busy, "wait 60 seconds, then try again; a longer `--wait` waits for it");
        let branch = Hint::WriteBranch { branch: "a/b".into(), at_branch: "hf:o/r@a%2Fb".into() };
        check(&branch, "if `a/b` is a branch, write `hf:o/r@a%2Fb`, or `hf:o/r --revision a/b`");
    }
}
