//! Finds where the field's other tools keep models on this machine, by the rules of each.

use std::{fs::File, io::Read, path::PathBuf};

use etcetera::BaseStrategy;
use model_provisioner::Adoption;

use super::{
    expand::expand,
    variable::{Variable, named},
};

/// The largest pointer to LM Studio's home that the command reads: it is one path.
const MAX_POINTER_BYTES: u64 = 4096;

/// Adds the folders where other tools keep models, behind those that `adoption` names already.
pub(crate) fn with_local_caches(adoption: Adoption) -> Adoption {
    let folders = [lm_studio(), modelscope(), llama_cpp()].into_iter().flatten();
    let docker = Variable::DockerModels.folder().or_else(|| in_home(".docker/models"));
    Adoption {
        huggingface: hub_caches(),
        ollama: ollama(),
        docker: docker.into_iter().collect(),
        ramalama: ramalama(),
        folders: adoption.folders.into_iter().chain(folders).collect(),
        ..adoption
    }
}

/// Returns the caches in the layout of the Hugging Face Hub's own tools: theirs (`HF_HUB_CACHE`, or else `hub` in `HF_HOME`), and that
/// of llama.cpp (`LLAMA_CACHE`), which keeps its downloads in theirs otherwise.
pub(super) fn hub_caches() -> Vec<PathBuf> {
    let hub = [Variable::HubCache, Variable::OldHubCache].into_iter().find_map(expanded);
    let hub = hub.or_else(|| Some(hugging_face_home()?.join("hub")));
    let llama_cpp = Variable::LlamaCache.folder().filter(|llama| Some(llama) != hub.as_ref());
    hub.into_iter().chain(llama_cpp).collect()
}

/// Returns the folder of the Hugging Face Hub's own tools: `HF_HOME`, or else `huggingface` among the user's caches.
pub(super) fn hugging_face_home() -> Option<PathBuf> {
    let caches = || expanded(Variable::CacheHome).or_else(|| in_home(".cache"));
    expanded(Variable::HubHome).or_else(|| Some(caches()?.join("huggingface")))
}

/// Returns the path that a variable of the Hub's own tools names: they expand a home folder and variables in it.
pub(super) fn expanded(variable: Variable) -> Option<PathBuf> {
    let text = variable.value().filter(|text| !text.is_empty())?;
    Some(expand(&text, etcetera::home_dir().ok().as_deref(), named))
}

/// Returns a path below the user's home folder, where there is one.
fn in_home(path: &str) -> Option<PathBuf> {
    Some(etcetera::home_dir().ok()?.join(path))
}

/// Returns `OLLAMA_MODELS`, or else the user's and the service's.
fn ollama() -> Vec<PathBuf> {
    let service = PathBuf::from("/usr/share/ollama/.ollama/models");
    let defaults = || in_home(".ollama/models").into_iter().chain([service]).collect();
    Variable::OllamaModels.folder().map_or_else(defaults, |models| vec![models])
}

/// Returns `RAMALAMA_STORE`, or else the user's and root's.
fn ramalama() -> Vec<PathBuf> {
    let defaults = || {
        let data = etcetera::choose_base_strategy().map(|base| base.data_dir().join("ramalama"));
        data.into_iter().chain([PathBuf::from("/var/lib/ramalama")]).collect()
    };
    Variable::RamalamaStore.folder().map_or_else(defaults, |store| vec![store])
}

/// Returns where llama.cpp keeps what came from an address or a registry: plain files.
fn llama_cpp() -> Option<PathBuf> {
    let caches = || Variable::CacheHome.folder().or_else(|| in_home(".cache"));
    Variable::LlamaCache.folder().or_else(|| Some(caches()?.join("llama.cpp")))
}

/// Returns LM Studio's models, in the home that its pointer names, or else in the older or the newer default.
#[expect(clippy::disallowed_methods, reason = "an error is not shown, so it need not name the path")]
fn lm_studio() -> Option<PathBuf> {
    let pointer = || {
        let path = in_home(".lmstudio-home-pointer")?;
        let file = path.metadata().ok()?.is_file().then(|| File::open(&path).ok())??;
        let mut text = String::new();
        file.take(MAX_POINTER_BYTES).read_to_string(&mut text).ok()?;
        Some(PathBuf::from(text.trim())).filter(|home| home.is_absolute())
    };
    let old = || in_home(".cache/lm-studio").filter(|old| old.is_dir());
    Some(pointer().or_else(old).or_else(|| in_home(".lmstudio"))?.join("models"))
}

/// Returns `MODELSCOPE_CACHE`, or else its default. ModelScope expands a home folder in it.
fn modelscope() -> Option<PathBuf> {
    expanded(Variable::ModelScopeCache).or_else(|| in_home(".cache/modelscope"))
}
