//! Reads, makes and checks signatures, without a socket, a file or a random number.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `keys` | public and private keys on three curves, from PEM |
//! | `dsse` | the envelope around a signed text, as attestations and model signatures have it |
//! | `bundle` | the file of a model's signature, and who signed it |
//! | `statement` | the files that a signer names, with their digests |
//! | `compare` | how the files of a model differ from those |
//! | `keyless` | signatures without a key (feature `keyless`) |

mod bundle;
mod compare;
mod dsse;
mod error;
mod hash;
#[cfg(feature = "keyless")]
mod keyless;
mod keys;
mod statement;

pub use bundle::{Bundle, BundleForm, MAX_BUNDLE_BYTES, SignedModel};
pub use compare::{Comparison, FoundFile, ReadBytes};
pub use dsse::{Envelope, EnvelopeSignature, pae};
pub use error::{Error, Result};
pub use keys::{Curve, PrivateKey, PublicKey};
pub use statement::SignedFiles;
