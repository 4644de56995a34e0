//! Finds the token of the Hugging Face Hub where the Hub's own tools do.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use model_provisioner::{ErrorCode, Token, TokenOrigin, read_secret_file};

use super::{
    local_caches::{expanded, hugging_face_home},
    variable::Variable,
};
use crate::output::{failure::Failure, redact};

/// The largest file of a token that the command reads.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// Returns the token, and where it comes from: `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file of `HF_TOKEN_PATH`, or
/// `HF_HOME/token`. `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves it out. The command looks once, and so warns once.
pub(super) fn token() -> Option<(Token, TokenOrigin)> {
    static FOUND: OnceLock<Option<(Token, TokenOrigin)>> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

fn find() -> Option<(Token, TokenOrigin)> {
    if Variable::NoImplicitToken.is_yes() {
        return None;
    }
    let given = Variable::SECRETS.into_iter().find_map(|variable| {
        Some((Token::new(&variable.text()?)?, TokenOrigin::Variable(variable.name().to_owned())))
    });
    if given.is_some() {
        return given;
    }
    let path = file()?;
    Some((Token::new(&saved_token(&path)?)?, TokenOrigin::File(path)))
}

/// Returns the path of the token's file, which need not exist.
pub(super) fn file() -> Option<PathBuf> {
    expanded(Variable::TokenPath).or_else(|| Some(hugging_face_home()?.join("token")))
}

/// Returns the token that the command sends to the hub. From now on it stays out of the log.
pub(super) fn kept_out() -> Option<(Token, TokenOrigin)> {
    let found = token();
    if let Some((token, _)) = &found {
        redact::keep_out(token);
    }
    found
}

/// Returns the text of a token's file; `None` where there is no such file. A file that cannot be read earns a warning: without
/// its token, the user could not explain the hub's answer.
fn saved_token(path: &Path) -> Option<String> {
    match read_secret_file(path, "the token", MAX_TOKEN_BYTES) {
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => {
            tracing::warn!("the token is left out: {}", Failure::from(error).message);
            None
        }
        Ok(bytes) => String::from_utf8(bytes).ok(),
    }
}
