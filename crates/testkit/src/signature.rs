//! Signs models as the reference implementation of OpenSSF Model Signing does (PyPI `model-signing` 1.1.1).

use model_signing::{Envelope, PrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The keys of RFC 6979, as OpenSSL writes them: they are public, and sign nothing but tests.
pub const PRIVATE_KEY: &str = include_str!("../../model-signing/tests/keys/p384.pkcs8.pem");
/// The public key that goes with [`PRIVATE_KEY`].
pub const PUBLIC_KEY: &str = include_str!("../../model-signing/tests/keys/p384.pub.pem");
/// The private key of another signer.
pub const OTHER_PRIVATE_KEY: &str = include_str!("../../model-signing/tests/keys/p256.pkcs8.pem");
/// The public key of the other signer.
pub const OTHER_PUBLIC_KEY: &str = include_str!("../../model-signing/tests/keys/p256.pub.pem");

/// Builds the signature of a model.
///
/// ```
/// use testkit::Signature;
///
/// let signature = Signature::of([("a.gguf", b"bytes")]).to_json();
/// assert!(signature.contains("application/vnd.dev.sigstore.bundle.v0.3+json"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Signature {
    files: Vec<(String, Vec<u8>)>,
    ignored: Vec<String>,
    piece_bytes: Option<usize>,
    private_key: Option<&'static str>,
}

impl Signature {
    /// Begins a signature of some files, by their paths in the model. A single file that is signed alone has the path `.`.
    pub fn of<P: Into<String>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (P, B)>) -> Self {
        let files = files.into_iter().map(|(path, bytes)| (path.into(), bytes.as_ref().to_vec()));
        Self { files: files.collect(), ..Self::default() }
    }

    /// Names paths that the signer left out.
    #[must_use]
    pub fn ignoring(mut self, paths: &[&str]) -> Self {
        self.ignored = paths.iter().map(|&path| path.to_owned()).collect();
        self
    }

    /// Tells each file by digests of pieces of that length, in bytes.
    #[must_use]
    pub fn in_pieces(mut self, bytes: usize) -> Self {
        self.piece_bytes = Some(bytes);
        self
    }

    /// Signs with another key, as PEM.
    #[must_use]
    pub fn by(mut self, private_key: &'static str) -> Self {
        self.private_key = Some(private_key);
        self
    }

    /// Returns the file of the signature.
    ///
    /// # Panics
    /// Where the key is not PEM of one.
    pub fn to_json(&self) -> String {
        let key = PrivateKey::from_pem(self.private_key.unwrap_or(PRIVATE_KEY).as_bytes()).unwrap();
        let payload = self.statement().to_string().into_bytes();
        let envelope = Envelope::sign("application/vnd.in-toto+json", payload, &key).unwrap();
        let mut envelope: Value = serde_json::from_str(&envelope.to_json()).unwrap();
        envelope["signatures"][0]["keyid"] = json!("");
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": { "hint": key.public_key().fingerprint() },
                "tlogEntries": []
            },
            "dsseEnvelope": envelope
        });
        bundle.to_string()
    }

    fn statement(&self) -> Value {
        let (mut resources, mut digests) = (Vec::new(), Vec::new());
        for (name, bytes) in self.files.iter().flat_map(|(path, bytes)| self.pieces(path, bytes)) {
            let digest = Sha256::digest(bytes);
            digests.extend(digest);
            let algorithm = match self.piece_bytes {
                Some(length) => format!("sha256-sharded-{length}"),
                None => "sha256".to_owned(),
            };
            resources.push(json!({ "name": name, "algorithm": algorithm, "digest": hex::encode(digest) }));
        }
        let method = if self.piece_bytes.is_some() { "shards" } else { "files" };
        let mut serialization = json!({
            "method": method, "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": self.ignored
        });
        if let Some(length) = self.piece_bytes {
            serialization["shard_size"] = serde_json::from_str(&format!("{length}.0")).unwrap();
        }
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "model", "digest": { "sha256": hex::encode(Sha256::digest(digests)) } }],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": { "resources": resources, "serialization": serialization }
        })
    }

    /// Returns the pieces of a file with their names, or the file itself.
    fn pieces<'a>(&self, path: &str, bytes: &'a [u8]) -> Vec<(String, &'a [u8])> {
        let Some(length) = self.piece_bytes else { return vec![(path.to_owned(), bytes)] };
        let pieces = bytes.chunks(length).enumerate();
        let name = |begin: usize, end: usize| format!("{path}:{begin}:{end}");
        pieces.map(|(number, piece)| (name(number * length, number * length + piece.len()), piece)).collect()
    }
}
