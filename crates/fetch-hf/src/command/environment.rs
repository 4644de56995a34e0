//! Chooses the environment of the command.

use std::{ffi::OsString, path::Path};

use super::settings::HubCommandSettings;

/// What the command receives besides: it reports nothing, prints plain lines, and looks for no newer release of itself.
const SET: [(&str, &str); 8] = [
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("DO_NOT_TRACK", "1"),
    ("HF_HUB_DISABLE_UPDATE_CHECK", "1"),
    ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
    ("HF_HUB_DISABLE_EXPERIMENTAL_WARNING", "1"),
    ("HF_HUB_DISABLE_SYMLINKS_WARNING", "1"),
    ("NO_COLOR", "1"),
    ("PYTHONUNBUFFERED", "1"),
];

/// Returns the whole environment of a command whose home folder is `home`: its cache and its files of tokens lie there, so that it
/// neither reads nor writes the user's own.
pub(super) fn environment(settings: &HubCommandSettings, home: &Path) -> Vec<(OsString, OsString)> {
    let mut environment = settings.environment.clone();
    let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
    for (name, value) in SET {
        set(name, value.into());
    }
    set("HF_HOME", home.into());
    if let Some(endpoint) = &settings.endpoint {
        set("HF_ENDPOINT", endpoint.into());
    }
    match &settings.token {
        Some(token) => set("HF_TOKEN", token.reveal().into()),
        None => set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1".into()),
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioner_core::Token;

    #[test]
    fn the_command_receives_what_it_needs_and_one_secret() {
        let of = |name: &str| (OsString::from(name), OsString::from("x"));
        let given = ["PATH", "https_proxy", "SSL_CERT_FILE", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "HF_HOME"];
        let settings = HubCommandSettings::new(None).environment(given.map(of));
        let names = |settings: &HubCommandSettings| {
            let all = environment(settings, Path::new("/scratch/home")).into_iter();
            all.map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let anonymous = names(&settings);
        for name in ["PATH", "https_proxy", "SSL_CERT_FILE", "HF_HOME", "HF_HUB_DISABLE_IMPLICIT_TOKEN"] {
            assert!(anonymous.iter().any(|found| found == name), "{name}");
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "HF_ENDPOINT"] {
            assert!(!anonymous.iter().any(|found| found == name), "{name}");
        }
        let known = settings.token(Token::new("hf_secret")).endpoint("https://hub.example");
        let all = environment(&known, Path::new("/scratch/home"));
        let value = |name: &str| all.iter().find(|(found, _)| found == name).unwrap().1.clone();
        assert_eq!(value("HF_TOKEN"), "hf_secret");
        assert_eq!(value("HF_ENDPOINT"), "https://hub.example");
        assert_eq!(value("HF_HOME"), "/scratch/home");
        assert!(!names(&known).iter().any(|name| name == "HF_HUB_DISABLE_IMPLICIT_TOKEN"));
    }
}
