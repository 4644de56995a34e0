//! What the field's other tools read from the environment, and so this one too.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the command, which reads the environment for the library"
)]

use std::{env, path::PathBuf, time::Duration};

use model_provisioner::ProvisionerBuilder;

use crate::failure::Failure;

/// Whether `HF_HUB_OFFLINE` says that the network is off limits, or `TRANSFORMERS_OFFLINE` where that is not set.
pub(crate) fn is_offline() -> bool {
    let given = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find_map(|name| {
        let text = env::var(name).ok()?;
        (!text.is_empty()).then_some(text)
    });
    given.is_some_and(|text| is_yes(&text))
}

/// Whether a variable of the Hub's own tools says yes.
#[cfg(feature = "hf")]
fn is_set(name: &str) -> bool {
    env::var(name).is_ok_and(|text| is_yes(&text))
}

/// What the Hub's own tools read as yes; everything else is no.
fn is_yes(text: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

/// The hub that would be asked.
pub(crate) fn hub_endpoint() -> String {
    let given = env::var("HF_ENDPOINT").ok().filter(|text| !text.trim().is_empty());
    let endpoint = given.unwrap_or_else(|| "https://huggingface.co".to_owned());
    // Whoever writes a password into it does not want to see it here.
    match endpoint.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => endpoint,
    }
}

/// Where a program is, by the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(is_program)
}

/// Adds the Hugging Face Hub: `HF_ENDPOINT`, and the token of `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`, or
/// `HF_HOME/token`; none with `HF_HUB_DISABLE_IMPLICIT_TOKEN`. With `HF_HUB_DISABLE_XET`, its files come by plain HTTP alone.
#[cfg(feature = "hf")]
pub(crate) fn with_hub(
    builder: ProvisionerBuilder,
    timeout: Duration,
) -> Result<ProvisionerBuilder, Failure> {
    use model_provisioner::{Error, HubFetcher, HubSettings};
    let endpoint = env::var("HF_ENDPOINT").ok().filter(|text| !text.trim().is_empty());
    let mut settings = HubSettings::new(endpoint.as_deref()).map_err(Error::from)?.timeout(timeout);
    if let Some((token, origin)) = token() {
        crate::redact::keep_out(&token);
        settings = settings.token(Some(token)).token_origin(origin);
    }
    settings = settings.caches(crate::neighbours::hub_caches());
    #[cfg(feature = "xet")]
    let settings = settings.xet(!is_set("HF_HUB_DISABLE_XET"));
    Ok(builder.fetcher(HubFetcher::new(settings)))
}

#[cfg(not(feature = "hf"))]
pub(crate) fn with_hub(builder: ProvisionerBuilder, _: Duration) -> Result<ProvisionerBuilder, Failure> {
    Ok(builder)
}

/// The token, and where it comes from.
#[cfg(feature = "hf")]
fn token() -> Option<(model_provisioner::Token, model_provisioner::TokenOrigin)> {
    use model_provisioner::{Token, TokenOrigin};

    use crate::neighbours::{expanded, hugging_face_home};

    if is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].iter().find_map(|name| {
        Some((Token::new(&env::var(name).ok()?)?, TokenOrigin::Variable((*name).to_owned())))
    });
    if given.is_some() {
        return given;
    }
    let path = expanded("HF_TOKEN_PATH").or_else(|| Some(hugging_face_home()?.join("token")))?;
    Some((Token::new(&saved_token(&path)?)?, TokenOrigin::File(path)))
}

/// Where the token comes from that a hub would be sent, as a fragment.
#[cfg(feature = "hf")]
pub(crate) fn token_origin() -> Option<String> {
    token().map(|(_, origin)| origin.to_string())
}

#[cfg(not(feature = "hf"))]
pub(crate) fn token_origin() -> Option<String> {
    None
}

/// No token is longer.
#[cfg(feature = "hf")]
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// The text of a token's file; `None` where there is no such file. One that cannot be read is told of: without its token, a
/// hub's answer would be a riddle.
#[cfg(feature = "hf")]
fn saved_token(path: &std::path::Path) -> Option<String> {
    use model_provisioner::{ErrorCode, read_named_file};
    match read_named_file(path, MAX_TOKEN_BYTES) {
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => {
            tracing::warn!("the token is left out: {}", Failure::from(error).message);
            None
        }
        Ok(bytes) => String::from_utf8(bytes).ok(),
    }
}
