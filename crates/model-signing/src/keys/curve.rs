//! Names the curves, and what is not one of them.

use std::fmt;

use p256::pkcs8::ObjectIdentifier;

/// Names a curve of FIPS 186-5. Each goes with one hash function: P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-256, which OpenSSL calls `prime256v1`.
    P256,
    /// P-384, which OpenSSL calls `secp384r1`.
    P384,
    /// P-521, which OpenSSL calls `secp521r1`.
    P521,
}

impl Curve {
    /// Returns the name of the curve in FIPS 186-5, such as `P-256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns which kind of key an algorithm's object identifiers stand for, for a message. `parameters` names the curve.
pub(super) fn kind(algorithm: ObjectIdentifier, parameters: Option<ObjectIdentifier>) -> String {
    let names = [
        ("1.2.840.113549.1.1.1", "RSA"),
        ("1.2.840.113549.1.1.10", "RSA"),
        ("1.3.101.112", "Ed25519"),
        ("1.3.101.113", "Ed448"),
        ("1.2.840.10040.4.1", "DSA"),
    ];
    let algorithm = algorithm.to_string();
    match (names.iter().find(|(oid, _)| *oid == algorithm), parameters) {
        (Some((_, name)), _) => format!("it is a key of {name}"),
        (None, Some(curve)) if algorithm == "1.2.840.10045.2.1" => {
            format!("it is a key on the curve {curve}")
        }
        (None, _) => format!("it is a key of the algorithm {algorithm}"),
    }
}

/// Returns what a message says of a block that a parser refuses.
pub(super) fn malformed<E>(_: E) -> String {
    "its block is malformed".to_owned()
}

/// Returns the curve of an object identifier (RFC 5480, section 2.1.1.1).
pub(super) fn curve_of(oid: ObjectIdentifier) -> Option<Curve> {
    match oid.to_string().as_str() {
        "1.2.840.10045.3.1.7" => Some(Curve::P256),
        "1.3.132.0.34" => Some(Curve::P384),
        "1.3.132.0.35" => Some(Curve::P521),
        _ => None,
    }
}
