//! Says how this machine installs the command.

use std::path::Path;

use provisioner_core::{FetchError, FetchErrorKind, Hint};

/// Where systems describe themselves: `os-release` (freedesktop.org), in the order in which programs look.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The largest description that the fetcher reads, in bytes.
const MAX_OS_RELEASE_BYTES: u64 = 64 << 10;

/// The ways to install the command, by the names that systems give themselves in `ID` and `ID_LIKE`. The first row that a name of
/// theirs fits counts.
const WAYS: [(&[&str], &str); 6] = [
    (&["arch", "cachyos", "manjaro", "endeavouros"], "`sudo pacman -S python-huggingface-hub`"),
    (&["debian", "ubuntu"], "`sudo apt install pipx`, and then `pipx install huggingface_hub`"),
    (&["fedora", "rhel", "centos"], "`sudo dnf install pipx`, and then `pipx install huggingface_hub`"),
    (
        &["suse", "opensuse", "opensuse-tumbleweed", "opensuse-leap", "sles"],
        "`sudo zypper install python3-pipx`, and then `pipx install huggingface_hub`",
    ),
    (&["alpine", "postmarketos"], "`apk add pipx` as root, and then `pipx install huggingface_hub`"),
    (&["macos"], "`brew install hf`"),
];

/// The way of a system that no row names.
const ANY: &str = "`pipx install huggingface_hub`, or `uv tool install huggingface_hub`,";

/// Returns the error of a command that is not on this machine. `os_release` is the description of a system, where the caller gave it.
pub(super) fn missing(os_release: Option<&str>) -> FetchError {
    let message = "neither `hf` nor `huggingface-cli` is on this machine";
    FetchError::new(FetchErrorKind::ToolMissing, message).with_hint(hint(os_release))
}

/// Returns an error with how to install the command, where the error says that it is missing, or too old, or broken.
pub(super) fn explained(error: FetchError, os_release: Option<&str>) -> FetchError {
    if error.kind == FetchErrorKind::ToolMissing && error.hint.is_none() {
        let hint = Hint::text("releases of huggingface_hub from 0.34 on do it").and(hint(os_release));
        return error.with_hint(hint);
    }
    error
}

/// Returns how to install the command, and how to do without it.
fn hint(os_release: Option<&str>) -> Hint {
    let way = way(os_release.map(str::to_owned).or_else(this_system).as_deref());
    Hint::text(format!(
        "{way} installs it; without it, bring the files here by other means, and name their path: `file:/path/of/the/model`"
    ))
}

/// Returns the description of this system.
fn this_system() -> Option<String> {
    if cfg!(target_os = "macos") {
        return Some("ID=macos".to_owned());
    }
    let read = |path: &&str| durable_fs::read_regular(Path::new(path), MAX_OS_RELEASE_BYTES).ok();
    let text = OS_RELEASE.iter().find_map(read)?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the way to install the command on a system.
fn way(os_release: Option<&str>) -> &'static str {
    let text = os_release.unwrap_or_default();
    let names: Vec<_> = ["ID", "ID_LIKE"].iter().flat_map(|key| values(text, key)).collect();
    let of = |name: &String| WAYS.iter().find(|(systems, _)| systems.contains(&name.as_str()));
    names.iter().find_map(of).map_or(ANY, |(_, way)| way)
}

/// Returns the words of a key's value, in lower case. A value may be in quotes.
fn values(os_release: &str, key: &str) -> Vec<String> {
    let line = os_release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let value = line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_lowercase();
    value.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_has_its_own_words() {
        let check = |os_release: &str, expected: &str| {
            let error = missing(Some(os_release));
            assert_eq!(error.code(), provisioner_core::ErrorCode::ToolMissing);
            let hint = error.hint.unwrap().to_string();
            assert!(hint.starts_with(&format!("{expected} installs it; ")), "{os_release}: {hint}");
            assert!(hint.ends_with("`file:/path/of/the/model`"), "{hint}");
        };
        let pacman = "`sudo pacman -S python-huggingface-hub`";
        check("NAME=\"Arch Linux\"\nID=arch\n", pacman);
        check("NAME=\"CachyOS Linux\"\nID=cachyos\nID_LIKE=arch\n", pacman);
        check("ID=garuda\nID_LIKE=\"arch\"\n", pacman);
        let apt = "`sudo apt install pipx`, and then `pipx install huggingface_hub`";
        check("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n", apt);
        check("ID_LIKE=debian\nID=ubuntu\n", apt);
        check("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", apt);
        check("ID=fedora\n", "`sudo dnf install pipx`, and then `pipx install huggingface_hub`");
        check(
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            "`sudo dnf install pipx`, and then `pipx install huggingface_hub`",
        );
        let zypper = "`sudo zypper install python3-pipx`, and then `pipx install huggingface_hub`";
        check("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", zypper);
        check("ID='sles'\n", zypper);
        check("ID=alpine\n", "`apk add pipx` as root, and then `pipx install huggingface_hub`");
        check("ID=macos", "`brew install hf`");
        let any = "`pipx install huggingface_hub`, or `uv tool install huggingface_hub`,";
        check("ID=plan9\n", any);
        check("", any);
        check("IDENTITY=arch\n", any);
    }
}
