//! Reads the config of the `provision` flow: YAML, and so JSON.

mod statement;

use std::path::{Path, PathBuf};

use local_caches::Adoption;
use model_inspect::{Engine, FlashAttention, KvType, MemoryRequest};
use provisioner_core::{
    AdoptMode, Digest, Expectation, LockFile, Mirror, ModelRef, PlacedPolicy, Policy, PolicyDocument,
    PolicyPlace, parse_memory,
};
use serde::{Deserialize, Serialize};

pub use self::statement::AttestConfig;
use crate::{
    error::{Error, Result},
    lock_file::read_lock_file,
    policy_file::with_key_paths,
    via::Via,
    yaml::{self, Mistake, Unreadable},
};

/// Says which model to provide, and how.
///
/// ```
/// use model_provisioner::ModelProvisionerConfig;
///
/// let yaml = "model_ref: file:/models/a.gguf\nstrict_verification: true\n";
/// let config = ModelProvisionerConfig::from_yaml(yaml, "/etc/model.yaml".as_ref())?;
/// assert_eq!(config.model_ref, "file:/models/a.gguf");
///
/// let error = ModelProvisionerConfig::from_yaml("model_rev: x", "/etc/model.yaml".as_ref()).unwrap_err();
/// assert_eq!(error.hint().unwrap().to_string(), "did you mean `model_ref`?");
/// # Ok::<(), model_provisioner::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "Which model to provide, and how."))]
#[serde(deny_unknown_fields)]
pub struct ModelProvisionerConfig {
    /// Names the model. A relative path begins at the config's folder.
    pub model_ref: String,
    /// Names the digest that the model must have.
    #[serde(default, deserialize_with = "given")]
    pub expected_digest: Option<Digest>,
    /// Says whether the expected digest, or the source's, must prove the model.
    #[serde(default)]
    pub strict_verification: bool,
    /// Says what a call may do. The default allows local files alone.
    #[serde(default)]
    pub policy: Policy,
    /// Says which files of other tools on this machine the provisioner takes instead of fetching them.
    #[serde(default)]
    pub adopt: AdoptionConfig,
    /// Chooses the best of the models that the reference may mean, by the memory that there is.
    #[serde(default)]
    pub fit: Option<FitConfig>,
    /// Says who must have signed the model.
    #[serde(default)]
    pub signature: Option<SignatureConfig>,
    /// Says which statement about the model is written beside the handoff.
    #[serde(default)]
    pub attest: Option<AttestConfig>,
    /// Names the lock file that has the model. A relative path begins at the config's folder.
    #[serde(default)]
    pub lock: Option<PathBuf>,
    /// Names other addresses that may have what the sources have. The provisioner asks them, in their order, for bytes whose SHA-256
    /// it knows.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
    /// Names the means by which models of the Hub are fetched.
    #[serde(default)]
    pub via: Via,
    /// Names the path of the handoff. A relative path begins at the config's folder.
    #[serde(default)]
    pub handoff: Option<PathBuf>,
    /// The folder at which relative paths begin.
    #[serde(skip)]
    folder: PathBuf,
    /// The path of the config.
    #[serde(skip)]
    path: PathBuf,
    /// Names the config as the file of a policy.
    #[serde(skip)]
    document: Option<PolicyDocument>,
}

/// Says which files of other tools on this machine the provisioner takes instead of fetching them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AdoptionConfig {
    /// Says whether the provisioner links or copies such a file.
    pub mode: AdoptMode,
    /// Lists folders of plain files that may have the bytes. A relative path begins at the config's folder.
    pub folders: Vec<PathBuf>,
}

/// Says into what memory a model must fit, and how an engine is to run it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// The memory of the card, such as `24GiB`. A plain number counts bytes, 1 MiB at least.
    #[serde(deserialize_with = "memory")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub vram: u64,
    /// The context of each sequence, in tokens. Absent means the longest that the model was made for.
    #[serde(default)]
    pub ctx: Option<u64>,
    /// How many sequences run at once. Absent means one.
    #[serde(default)]
    pub parallel: Option<u64>,
    /// The type in which the engine keeps keys and values.
    #[serde(default)]
    pub kv_type: KvType,
    /// The engine. Absent means llama.cpp for GGUF, and vLLM for safetensors.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// How many tokens the engine computes at once. Absent means the engine's default.
    #[serde(default)]
    pub ubatch: Option<u64>,
    /// Says whether llama.cpp uses flash attention: `on`, `off` or `auto`.
    #[serde(default)]
    pub flash_attn: FlashAttention,
}

/// Says who must have signed a model: the holder of a key, or an identity of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SignatureConfig {
    /// Names the file of the signer's public key, as PEM. A relative path begins at the config's folder.
    pub public_key: Option<PathBuf>,
    /// Names the signer's identity, as its certificate has it. It goes with `identity_issuer`.
    pub identity: Option<String>,
    /// Names the URL of the issuer that vouches for the identity.
    pub identity_issuer: Option<String>,
    /// Names the file of the signature. A relative path begins at the config's folder. Absent means the one beside the model.
    pub file: Option<PathBuf>,
}

impl FitConfig {
    /// Returns the demand of memory.
    pub fn request(&self) -> MemoryRequest {
        MemoryRequest {
            ctx: self.ctx,
            parallel: self.parallel.unwrap_or(1),
            kv_type: self.kv_type,
            vram_bytes: Some(self.vram),
            engine: self.engine,
            tokens_at_once: self.ubatch,
            flash_attn: self.flash_attn,
        }
    }
}

impl ModelProvisionerConfig {
    /// Reads a config from a file. It may block.
    ///
    /// # Errors
    /// [`Error::Storage`] where the disk does not give the file; [`Error::Config`] for a mistake in it, with its line.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |error| Error::storage(format!("the config `{}` cannot be read", path.display()), error);
        let absolute = std::path::absolute(path).map_err(failed)?;
        let text = yaml::read_text(path).map_err(|error| match error {
            Unreadable::Disk(error) => failed(error),
            Unreadable::Mistake(mistake) => invalid(path, mistake),
        })?;
        let config = Self::from_yaml(&text, path)?;
        Ok(Self { folder: absolute.parent().unwrap_or(&absolute).to_owned(), ..config })
    }

    /// Reads the text of a config that lies, or would lie, at `path`.
    ///
    /// # Errors
    /// [`Error::Config`] for a mistake in the text, with its line.
    pub fn from_yaml(text: &str, path: &Path) -> Result<Self> {
        let config: Self = yaml::parse(text).map_err(|mistake| invalid(path, mistake))?;
        if config.fit.is_some() && config.lock.is_some() {
            let reason = "`fit` chooses a model at its source, and `lock` names it already".to_owned();
            let hint = Some("leave one of the two out".to_owned());
            return Err(Error::Config { path: path.to_owned(), reason, hint });
        }
        let folder = path.parent().unwrap_or(path).to_owned();
        let document = Some(PolicyDocument::new(path, text));
        Ok(Self { folder, path: path.to_owned(), document, ..config })
    }

    /// Returns the reference. A relative path in it begins at the config's folder. A text such as `hf.co/org/repo` is a path where
    /// something lies there, and names a model of the Hub anywhere else.
    ///
    /// # Errors
    /// As [`ModelRef::parse`].
    pub fn reference(&self) -> Result<ModelRef> {
        Ok(fetch_file::parse(&self.model_ref, Some(&self.folder))?)
    }

    /// Returns the digest that the model must have, and how strict the check is.
    pub fn expectation(&self) -> Expectation {
        let digest = self.expected_digest.clone();
        digest.map_or_else(Expectation::none, Expectation::pinned).strict(self.strict_verification)
    }

    /// Returns the policy, which says in each denial where its rule stands. A relative path of a key begins at the config's folder.
    pub fn placed_policy(&self) -> PlacedPolicy<Policy> {
        let place = PolicyPlace::below(&self.path, "policy");
        let placed = PlacedPolicy::new(with_key_paths(self.policy.clone(), &self.folder), place);
        match &self.document {
            Some(document) => placed.in_document(document.clone()),
            None => placed,
        }
    }

    /// Returns which files of other tools on this machine the provisioner takes.
    pub fn adoption(&self) -> Adoption {
        let folders = self.adopt.folders.iter().map(|folder| self.folder.join(folder)).collect();
        Adoption { mode: self.adopt.mode, folders, ..Adoption::default() }
    }

    /// Returns who must have signed the model, if the config says so. Its relative paths begin at the config's folder.
    pub fn signature(&self) -> Option<SignatureConfig> {
        let SignatureConfig { public_key, identity, identity_issuer, file } = self.signature.clone()?;
        let joined = |path: Option<PathBuf>| path.map(|path| self.folder.join(path));
        Some(SignatureConfig {
            public_key: joined(public_key),
            identity,
            identity_issuer,
            file: joined(file),
        })
    }

    /// Returns which statement the config wants. Its relative paths begin at the config's folder.
    pub fn attest(&self) -> Option<AttestConfig> {
        Some(self.attest.as_ref()?.below(&self.folder))
    }

    /// Reads the lock file, if the config names one. It may block.
    ///
    /// # Errors
    /// As [`read_lock_file`](crate::read_lock_file).
    pub fn lock_file(&self) -> Result<Option<LockFile>> {
        self.lock.as_ref().map(|lock| read_lock_file(&self.folder.join(lock))).transpose()
    }

    /// Returns the path of the handoff, if the config has one.
    pub fn handoff_path(&self) -> Option<PathBuf> {
        self.handoff.as_ref().map(|handoff| self.folder.join(handoff))
    }
}

/// Reads a small file that a user names, such as the file of a token: a regular file of at most `limit` bytes. It may
/// block.
///
/// # Errors
/// [`Error::Storage`] where the disk fails, and for a pipe, a device and a larger file.
pub fn read_named_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    durable_fs::read_regular(path, limit)
        .map_err(|error| Error::storage(format!("`{}` cannot be read", path.display()), error.into()))
}

/// Reads a digest that the config mentions. An empty value is a mistake in a template; it does not mean that there is no
/// digest.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Digest>, D::Error> {
    Digest::deserialize(deserializer).map(Some)
}

/// Reads the memory of a card.
fn memory<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    parse_memory(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn invalid(path: &Path, Mistake { reason, hint }: Mistake) -> Error {
    Error::Config { path: path.to_owned(), reason, hint }
}
