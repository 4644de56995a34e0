//! The token, and where it came from.

use std::{borrow::Cow, fmt, path::PathBuf};

use provisioner_core::FetchError;

/// What is shorter is no token: a text may have it by chance.
const SHORTEST: usize = 8;

/// A secret that shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from its text; white space around it is no part of it. `None` where nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns a text with `***` wherever it has the token, in any letter case: a server that knows the token may repeat it.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.is_in(text) {
            return Cow::Borrowed(text);
        }
        let (lower, token) = (text.to_ascii_lowercase(), self.0.to_ascii_lowercase());
        let (mut redacted, mut end) = (String::new(), 0);
        for (at, _) in lower.match_indices(&token) {
            redacted.push_str(&text[end..at]);
            redacted.push_str("***");
            end = at + token.len();
        }
        redacted.push_str(&text[end..]);
        Cow::Owned(redacted)
    }

    /// The error without the token.
    pub(crate) fn redact_error(&self, error: FetchError) -> FetchError {
        let redacted = |text: String| self.redact(&text).into_owned();
        FetchError {
            message: redacted(error.message),
            hint: error.hint.map(|hint| hint.map_text(&redacted)),
            source: error.source.filter(|source| !self.is_in(&source.to_string())),
            ..error
        }
    }

    /// Whether a text has the token, in any letter case.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let token = self.0.as_bytes();
        let is_long = token.len() >= SHORTEST && text.len() >= token.len();
        is_long && text.as_bytes().windows(token.len()).any(|part| part.eq_ignore_ascii_case(token))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Where a token came from, so that a person whose token is refused knows which one to renew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenOrigin {
    /// The caller does not say.
    #[default]
    Given,
    /// A variable of the environment, by its name. A person or a deployment set it on purpose.
    Variable(String),
    /// A file that a login wrote. It is sent with every request, also where no token is needed.
    File(PathBuf),
}

impl TokenOrigin {
    /// Whether the token comes along unasked, so that a hub that no longer takes it is asked once more without it.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What brings a token that the hub takes.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Given => "give a token that has not expired, or none: a public model needs none".to_owned(),
            Self::Variable(name) => {
                format!("set {name} to a token that has not expired, or unset it: a public model needs none")
            }
            Self::File(_) => "`hf auth login` writes a new one".to_owned(),
        }
    }
}

impl fmt::Display for TokenOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("the token that was given"),
            Self::Variable(name) => write!(f, "the token of the variable {name}"),
            Self::File(path) => write!(f, "the token of the file `{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_no_token() {
        let check = |token: &str, text: &str, expected: &str| {
            let token = Token::new(token).unwrap();
            assert_eq!(token.redact(text), expected);
            assert_eq!(token.is_in(text), text != expected);
        };
        check("hf_secret", "", "");
        check("hf_secret", "hf_secre", "hf_secre");
        check("hf_secret", "hf_secret", "***");
        check("hf_secret", "é hf_secrethf_secret é", "é ****** é");
        check("hf_Secret", "https://hf_secret.example/HF_SECRET?", "https://***.example/***?");
        check("é-secret", "É-secret é-SECRET", "É-secret ***");
        check("short", "short", "short");
    }
}
