//! Holds the token, and says where it came from.

use std::{borrow::Cow, fmt, ops::Range, path::PathBuf};

use crate::fetch_error::FetchError;

/// The client does not look for a shorter token in a text: the text may have it by chance.
const SHORTEST: usize = 8;

/// Holds a secret. Its `Debug` shows `Token(***)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Returns a token from its text, without the white space around it; `None` where nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the secret, for the header or the child process that receives it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns a text with `***` wherever it has the token, in any letter case and with any of it percent-encoded: a server that
    /// knows the token may repeat it.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (mut redacted, mut rest) = (String::new(), text);
        while let Some(found) = self.find(rest) {
            redacted.push_str(&rest[..found.start]);
            redacted.push_str("***");
            rest = &rest[found.end..];
        }
        if redacted.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(redacted + rest) }
    }

    /// Returns the error with `***` wherever it has the token, and without a source that has it.
    pub fn redact_error(&self, error: FetchError) -> FetchError {
        let redacted = |text: String| self.redact(&text).into_owned();
        FetchError {
            message: redacted(error.message),
            hint: error.hint.map(|hint| hint.map_text(&redacted)),
            denial: error.denial.map(|denial| Box::new(denial.map_text(&redacted))),
            source: error.source.filter(|source| !self.is_in(&source.to_string())),
            ..error
        }
    }

    /// Returns whether a text has the token, in any letter case and with any of it percent-encoded. A token of fewer than eight
    /// characters is in no text.
    pub fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// Returns the first place of a text that has the token.
    fn find(&self, text: &str) -> Option<Range<usize>> {
        if self.0.len() < SHORTEST {
            return None;
        }
        (0..text.len()).find_map(|start| Some(start..start + self.length_at(&text.as_bytes()[start..])?))
    }

    /// Returns how many bytes the token takes at the beginning of a text; `None` where the text does not begin with it.
    fn length_at(&self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        for byte in self.0.bytes() {
            let (found, length) = match text.get(at..)? {
                [b'%', high, low, ..] => (hex_digit(*high)? << 4 | hex_digit(*low)?, 3),
                [found, ..] => (*found, 1),
                [] => return None,
            };
            if !found.eq_ignore_ascii_case(&byte) {
                return None;
            }
            at += length;
        }
        Some(at)
    }
}

/// Returns the value of a hexadecimal digit.
fn hex_digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| value.try_into().ok())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Says where a token came from, so that a person whose token the source refuses knows which one to renew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenOrigin {
    /// The caller does not say.
    #[default]
    Given,
    /// A variable of the environment, by its name. A person or a deployment sets it on purpose.
    Variable(String),
    /// A file that a login wrote. The client sends it with every request, also where the source needs no token.
    File(PathBuf),
}

impl TokenOrigin {
    /// Returns whether the token comes along unasked. The client then asks a source that refuses it once more, without it.
    pub fn is_ambient(&self) -> bool {
        matches!(self, Self::File(_))
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
        check("hf_secret", "?t=hf%5Fsecret&u=%68%66_SECRE%74%", "?t=***&u=***%");
        check("hf_secret", "hf_secre%7 hf_secre% 100%", "hf_secre%7 hf_secre% 100%");
        check("é-secret", "%C3%A9-secret", "***");
    }
}
