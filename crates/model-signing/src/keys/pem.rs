//! Finds the one key in the text of a key file (RFC 7468).
//!
//! A file may have more than the key: OpenSSL writes the parameters of a curve before a private key, and a person may keep a
//! comment. Lines may have any length and end as on Windows.

use base64ct::{Base64, Encoding};
use provisioner_core::excerpt;
use zeroize::Zeroizing;

/// The largest key file, in bytes. A key on the largest curve has less than 1 KiB.
const MAX_BYTES: usize = 64 << 10;

/// Holds the decoded contents of one block, and forgets them when it is dropped.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Returns the only block of a text that has one of the labels.
///
/// # Errors
/// Says as a fragment what the text has instead.
pub(super) fn only<'a>(text: &'a [u8], labels: &[&str]) -> Result<Block<'a>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(text).map_err(|_| "it is not a text".to_owned())?;
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----").ok_or("a line of it is cut off")?;
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(end.as_str()).ok_or("its block has no end")?;
        if labels.contains(&label) {
            found.push((label, body));
        } else {
            others.push(label);
        }
        rest = after;
    }
    match (found.as_slice(), others.first()) {
        ([(label, body)], _) => Ok(Block { label, der: decode(body)? }),
        ([_, _, ..], _) => Err("it holds more than one key".to_owned()),
        ([], Some(other)) => Err(format!("it holds `{}`", excerpt(other, 40))),
        ([], None) => Err("it holds no block of PEM".to_owned()),
    }
}

fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    if body.contains("Proc-Type:") {
        return Err("it is encrypted".to_owned());
    }
    let bare: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let der = Base64::decode_vec(&bare).map_err(|_| "its block is not Base64".to_owned())?;
    Ok(Zeroizing::new(der))
}
