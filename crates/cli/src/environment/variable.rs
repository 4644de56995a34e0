//! Lists the environment variables that the command reads. Nothing else in it reads one.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the command, which reads the environment for the library"
)]
#![cfg_attr(
    all(not(feature = "xet"), not(test)),
    expect(dead_code, reason = "a build without a source still documents the variables of that source")
)]

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

macro_rules! variables {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// Names an environment variable that the command reads.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Variable {
            $(#[doc = $meaning] $variant,)*
        }

        impl Variable {
            /// Lists every variable, in the order of the table.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns what the variable does, as a fragment.
            #[cfg(test)]
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

variables! {
    CacheDir "MODEL_PROVISIONER_CACHE_DIR" "names the cache folder, as `--cache-dir` does";
    Policy "MODEL_PROVISIONER_POLICY" "names the policy file of the operator, which holds beside each `--policy`";
    Offline "MODEL_PROVISIONER_OFFLINE" "keeps the command from the network, as `--offline` does; empty, `0`, `false`, `no`, `n`, `off` and `f` do not";
    HubOffline "HF_HUB_OFFLINE" "keeps the command from the network: `1`, `ON`, `YES` or `TRUE`";
    TransformersOffline "TRANSFORMERS_OFFLINE" "the same, where `HF_HUB_OFFLINE` is not set";
    Endpoint "HF_ENDPOINT" "names another hub than `https://huggingface.co`";
    Token "HF_TOKEN" "holds the token, which goes to the hub's own origin and nowhere else";
    OldToken "HUGGING_FACE_HUB_TOKEN" "holds the token, where `HF_TOKEN` is not set";
    TokenPath "HF_TOKEN_PATH" "names the file that holds the token, otherwise `token` in `HF_HOME`";
    NoImplicitToken "HF_HUB_DISABLE_IMPLICIT_TOKEN" "keeps the command from sending a token: `1`, `ON`, `YES` or `TRUE`";
    NoXet "HF_HUB_DISABLE_XET" "makes the command fetch by plain HTTP what the Hub stores in Xet: `1`, `ON`, `YES` or `TRUE`";
    HubHome "HF_HOME" "names the folder of Hugging Face's own tools, otherwise `huggingface` in `XDG_CACHE_HOME`; the tools, and the command with them, expand `~` and `$NAME`";
    HubCache "HF_HUB_CACHE" "names the cache of Hugging Face's own tools, otherwise `hub` in `HF_HOME`";
    OldHubCache "HUGGINGFACE_HUB_CACHE" "the same, where `HF_HUB_CACHE` is not set";
    LlamaCache "LLAMA_CACHE" "names the folder of llama.cpp, otherwise that of Hugging Face's own tools and `llama.cpp` in `XDG_CACHE_HOME`";
    OllamaModels "OLLAMA_MODELS" "names the folder of Ollama, otherwise `~/.ollama/models` and `/usr/share/ollama/.ollama/models`";
    DockerModels "MODELS_PATH" "names the folder of Docker Model Runner, otherwise `~/.docker/models`";
    RamalamaStore "RAMALAMA_STORE" "names the folder of RamaLama, otherwise `ramalama` in `XDG_DATA_HOME` and `/var/lib/ramalama`";
    ModelScopeCache "MODELSCOPE_CACHE" "names the folder of ModelScope, otherwise `~/.cache/modelscope`";
    CacheHome "XDG_CACHE_HOME" "names the folder of the user's caches, otherwise `~/.cache`; the command's own cache is `models` in it";
    Certificates "SSL_CERT_FILE" "names the file of the certificates that the command trusts";
    CertificateFolders "SSL_CERT_DIR" "names folders of such files, between colons";
    SearchPath "PATH" "tells where `run` looks for a program, and `--via hf-cli` and `doctor` for `hf` or `huggingface-cli`";
}

impl Variable {
    /// Lists those that hold a secret.
    pub(crate) const SECRETS: [Self; 2] = [Self::Token, Self::OldToken];

    /// Returns the text, where the variable is set and is UTF-8.
    pub(super) fn text(self) -> Option<String> {
        env::var(self.name()).ok()
    }

    /// Returns the value, where the variable is set.
    pub(super) fn value(self) -> Option<OsString> {
        env::var_os(self.name())
    }

    /// Returns the path that the variable names, as it is written; `None` where the variable is empty.
    pub(super) fn folder(self) -> Option<PathBuf> {
        self.value().filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// Returns the paths that the variable names, between colons.
    pub(super) fn folders(self) -> Vec<PathBuf> {
        env::split_paths(&self.value().unwrap_or_default())
            .filter(|path| !path.as_os_str().is_empty())
            .collect()
    }

    /// Returns whether the variable says yes, as the Hub's own tools read it.
    pub(super) fn is_yes(self) -> bool {
        self.text().is_some_and(|text| is_yes(&text))
    }
}

/// Returns whether the Hub's own tools read a text as yes; they read everything else as no.
pub(super) fn is_yes(text: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

/// Returns the whole environment, of which the `hf` command receives a part.
#[cfg(feature = "hf-cli")]
pub(super) fn all() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os()
}

/// Returns the value of a variable that stands in a path of the operator, such as `$DISK/models`.
pub(super) fn named(name: &OsStr) -> Option<OsString> {
    env::var_os(name)
}
