//! Holds elliptic curve keys, which a person made with OpenSSL or a tool like it.

mod curve;
mod pem;
mod private;
mod public;

pub use curve::Curve;
pub use private::PrivateKey;
pub use public::PublicKey;

#[cfg(test)]
mod tests;
