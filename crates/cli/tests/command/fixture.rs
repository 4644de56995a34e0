//! Makes a folder with a cache in it, and runs the command there.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// Names the variables that say where other tools keep models. The tests set none of them.
const PLACES: [&str; 7] = [
    "HUGGINGFACE_HUB_CACHE",
    "LLAMA_CACHE",
    "MODELS_PATH",
    "MODELSCOPE_CACHE",
    "RAMALAMA_STORE",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
];

pub(crate) struct Fixture {
    dir: tempfile::TempDir,
}

/// Holds what a finished command printed, and its status.
pub(crate) struct Finished {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Returns the command in this folder, with this cache, and with none of the variables that it reads.
    pub(crate) fn command(&self) -> Command {
        self.command_at(Path::new(env!("CARGO_BIN_EXE_model-provisioner")))
    }

    fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("MODEL_PROVISIONER_CACHE_DIR", self.cache());
        command.env("HF_HUB_CACHE", self.path("hf/hub")).env("OLLAMA_MODELS", self.path("ollama"));
        command.env("HOME", self.path("home"));
        for name in [
            "MODEL_PROVISIONER_OFFLINE",
            "MODEL_PROVISIONER_POLICY",
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HF_HUB_DISABLE_IMPLICIT_TOKEN",
            "CLICOLOR_FORCE",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(name);
        }
        for name in PLACES {
            command.env_remove(name);
        }
        command
    }

    /// Returns the command as a user who may not write everywhere: the user of the test, or the user 65534 where that is root.
    pub(crate) fn unprivileged(&self) -> Command {
        if !rustix::process::geteuid().is_root() {
            return self.command();
        }
        let copy = self.path("model-provisioner");
        if !copy.exists() {
            // A program that was just written is busy for as long as another test starts one.
            let program = env!("CARGO_BIN_EXE_model-provisioner");
            fs_err::hard_link(program, &copy).or_else(|_| fs_err::copy(program, &copy).map(drop)).unwrap();
        }
        let mut command = self.command_at(&copy);
        command.uid(65534).gid(65534);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        finish(self.command().args(args))
    }

    /// Returns the document that a command prints with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let done = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
    }

    /// Lists every file below the cache.
    pub(crate) fn cache_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.cache()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs_err::read_dir(folder) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Lists the files of the catalog's records.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        self.cache_files()
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect()
    }

    #[track_caller]
    pub(crate) fn has_no_temporary_files(&self) {
        let left = self
            .cache_files()
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "tmp"));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    }
}

pub(crate) fn finish(command: &mut Command) -> Finished {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Finished { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}
