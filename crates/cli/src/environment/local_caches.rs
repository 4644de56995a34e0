//! Where the field's other tools keep models on this machine, by the rules of each.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the command, which reads the environment for the library"
)]

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use model_provisioner::Adoption;

/// The pointer to LM Studio's home is one path.
const MAX_POINTER_BYTES: u64 = 4096;

/// Adds the places where other tools keep models. Folders that `adoption` names already are looked at first.
pub(crate) fn places(adoption: Adoption) -> Adoption {
    let folders = [lm_studio(), modelscope(), llama_cpp()].into_iter().flatten();
    let docker = folder("MODELS_PATH").or_else(|| in_home(".docker/models"));
    Adoption {
        huggingface: hub_caches(),
        ollama: ollama(),
        docker: docker.into_iter().collect(),
        ramalama: ramalama(),
        folders: adoption.folders.into_iter().chain(folders).collect(),
        ..adoption
    }
}

/// The caches in the layout of the Hugging Face Hub's own tools: theirs (`HF_HUB_CACHE`, or else `hub` in `HF_HOME`), and that
/// of llama.cpp (`LLAMA_CACHE`), which keeps its downloads in theirs otherwise.
pub(crate) fn hub_caches() -> Vec<PathBuf> {
    let hub = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(expanded);
    let hub = hub.or_else(|| Some(hugging_face_home()?.join("hub")));
    let llama_cpp = folder("LLAMA_CACHE").filter(|llama| Some(llama) != hub.as_ref());
    hub.into_iter().chain(llama_cpp).collect()
}

/// The folder of the Hugging Face Hub's own tools: `HF_HOME`, or else `huggingface` among the user's caches.
pub(crate) fn hugging_face_home() -> Option<PathBuf> {
    let caches = || expanded("XDG_CACHE_HOME").or_else(|| in_home(".cache"));
    expanded("HF_HOME").or_else(|| Some(caches()?.join("huggingface")))
}

/// A path that a variable of the Hub's own tools names: they expand a home folder and variables in it.
pub(crate) fn expanded(name: &str) -> Option<PathBuf> {
    let text = env::var_os(name).filter(|text| !text.is_empty())?;
    Some(expand(&text, etcetera::home_dir().ok().as_deref(), |name| env::var_os(name)))
}

/// A path that a variable names, as it stands.
fn folder(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// A path below the user's home folder, where there is one.
fn in_home(path: &str) -> Option<PathBuf> {
    Some(etcetera::home_dir().ok()?.join(path))
}

/// `OLLAMA_MODELS`, or else the user's and the service's.
fn ollama() -> Vec<PathBuf> {
    let service = PathBuf::from("/usr/share/ollama/.ollama/models");
    let defaults = || in_home(".ollama/models").into_iter().chain([service]).collect();
    folder("OLLAMA_MODELS").map_or_else(defaults, |models| vec![models])
}

/// `RAMALAMA_STORE`, or else the user's and root's.
fn ramalama() -> Vec<PathBuf> {
    let defaults = || {
        let data = etcetera::choose_base_strategy().map(|base| base.data_dir().join("ramalama"));
        data.into_iter().chain([PathBuf::from("/var/lib/ramalama")]).collect()
    };
    folder("RAMALAMA_STORE").map_or_else(defaults, |store| vec![store])
}

/// Where llama.cpp keeps what came from an address or a registry: plain files.
fn llama_cpp() -> Option<PathBuf> {
    let caches = || folder("XDG_CACHE_HOME").or_else(|| in_home(".cache"));
    folder("LLAMA_CACHE").or_else(|| Some(caches()?.join("llama.cpp")))
}

/// LM Studio's models, in the home that its pointer names, or else in the older or the newer default.
fn lm_studio() -> Option<PathBuf> {
    use std::io::Read;
    let pointer = || {
        let path = in_home(".lmstudio-home-pointer")?;
        let file = path.metadata().ok()?.is_file().then(|| std::fs::File::open(&path).ok())??;
        let mut text = String::new();
        file.take(MAX_POINTER_BYTES).read_to_string(&mut text).ok()?;
        Some(PathBuf::from(text.trim())).filter(|home| home.is_absolute())
    };
    let old = || in_home(".cache/lm-studio").filter(|old| old.is_dir());
    Some(pointer().or_else(old).or_else(|| in_home(".lmstudio"))?.join("models"))
}

/// `MODELSCOPE_CACHE`, or else its default. ModelScope expands a home folder in it.
fn modelscope() -> Option<PathBuf> {
    expanded("MODELSCOPE_CACHE").or_else(|| in_home(".cache/modelscope"))
}

/// A path with `~` at its beginning, `$NAME` and `${NAME}` replaced, as Python's `expanduser` and then `expandvars` do. What is
/// not set stays as it is written, and so does the home of another user.
fn expand(text: &OsStr, home: Option<&Path>, variable: impl Fn(&OsStr) -> Option<OsString>) -> PathBuf {
    let bytes = text.as_bytes();
    let is_home = |rest: &&[u8]| rest.is_empty() || rest.starts_with(b"/");
    let (mut done, mut rest) = match (home, bytes.strip_prefix(b"~").filter(is_home)) {
        (Some(home), Some(rest)) => (home.as_os_str().as_bytes().to_vec(), rest),
        _ => (Vec::new(), bytes),
    };
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        done.extend(&rest[..at]);
        let (name, length) = name_after(&rest[at + 1..]);
        match variable(OsStr::from_bytes(name)).filter(|_| length > 0) {
            Some(value) => done.extend(value.as_bytes()),
            None => done.extend(&rest[at..=at + length]),
        }
        rest = &rest[at + 1 + length..];
    }
    done.extend(rest);
    PathBuf::from(OsString::from_vec(done))
}

/// The name of a variable behind `$`, and how many bytes it takes with its braces: none where there is no name.
fn name_after(text: &[u8]) -> (&[u8], usize) {
    let (inner, braces) = match text.strip_prefix(b"{") {
        Some(inner) => (inner, 2),
        None => (text, 0),
    };
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = inner.iter().position(|byte| !is_word(byte)).unwrap_or(inner.len());
    let is_closed = braces == 0 || inner.get(length) == Some(&b'}');
    if length > 0 && is_closed { (&inner[..length], length + braces) } else { (&[], 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_expanded_as_their_owners_do() {
        let variable = |name: &OsStr| match name.to_str()? {
            "DISK" => Some("/disk".into()),
            "USER_1" => Some("me".into()),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(
                expand(text.as_ref(), Some(Path::new("/home/me")), variable),
                Path::new(expected),
                "{text}"
            );
        };
        check("~", "/home/me");
        check("~/hf", "/home/me/hf");
        check("/a/~/b", "/a/~/b");
        check("~other/hf", "~other/hf");
        check("$DISK/hf", "/disk/hf");
        check("${DISK}/hf/$USER_1", "/disk/hf/me");
        check("/x${EMPTY}y", "/xy");
        check("/a/$UNSET/b", "/a/$UNSET/b");
        check("/a/${UNSET}/${DISK", "/a/${UNSET}/${DISK");
        check("/a/$/b$", "/a/$/b$");
        check("~/$USER_1$DISK", "/home/me/me/disk");
    }
}
