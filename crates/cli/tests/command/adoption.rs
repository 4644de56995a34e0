//! The command adopts what other tools have on this machine.
//!
//! One test needs the real `hf` command on the path (`pip install huggingface_hub`); one needs to mount exFAT, as root
//! (`apt-get install exfat-fuse exfatprogs`).

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Hub, gguf_of, safetensors_of};

use crate::fixture::{Finished, Fixture, finish};

const ID: &str = "hf:org/repo?include=*";
const SIZE: usize = 3 << 20;

fn command(bench: &Fixture, hub: &Hub, args: &[&str]) -> Command {
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
    command.args(args);
    command
}

fn run(bench: &Fixture, hub: &Hub, args: &[&str]) -> Finished {
    let done = finish(&mut command(bench, hub, args));
    assert_eq!(done.status, 0, "{args:?}: {}", done.stderr);
    done
}

fn document(bench: &Fixture, hub: &Hub, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&run(bench, hub, &[args, &["--json"]].concat()).stdout).unwrap()
}

fn weights(seed: usize) -> Vec<u8> {
    gguf_of(SIZE, seed)
}

/// Returns how many bytes of files the hub has sent.
fn content_sent(hub: &Hub) -> u64 {
    hub.requests().iter().filter(|seen| seen.file.is_some()).map(testkit::hub::Seen::sent_bytes).sum()
}

/// Returns bytes, mode, owner and modification time of all files in a folder; of a symlink, its target.
fn seen(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, u32, i64, i64)> {
    let (mut seen, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs_err::symlink_metadata(&path).unwrap();
            let content = if stat.is_symlink() {
                fs_err::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if stat.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs_err::read(&path).unwrap()
            };
            seen.insert(path, (content, stat.mode(), stat.uid(), stat.mtime(), stat.mtime_nsec()));
        }
    }
    seen
}

/// Publishes two large files and a small one, and makes a blob of the first in Ollama's layout.
fn in_ollama(bench: &Fixture) -> Hub {
    let hub = Hub::start();
    let [one, two] = [weights(1), weights(2)];
    hub.repo("org/repo").lfs("a.gguf", one.clone()).lfs("b.gguf", two).file("config.json", "{}").publish();
    let sum = Command::new("sha256sum").arg(bench.file("a.gguf", &one)).output().unwrap();
    let hex = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    let blob = bench.file(&format!("ollama/blobs/sha256-{hex}"), one);
    std::os::unix::fs::chown(&blob, Some(12345).filter(|_| rustix::process::geteuid().is_root()), None)
        .unwrap();
    hub
}

#[test]
fn a_plan_says_what_would_be_adopted_from_where() {
    let bench = Fixture::new();
    let hub = in_ollama(&bench);
    let before = seen(&bench.path("ollama"));
    let plan = document(&bench, &hub, &["plan", ID]);
    let [adopted, fetched] = [&plan["files"][0], &plan["files"][1]];
    assert_eq!((&adopted["state"], &fetched["state"]), (&"adopt".into(), &"fetch".into()));
    let from = adopted["from"].as_str().unwrap();
    assert!(from.contains("/ollama/blobs/sha256-"), "{from}");
    let rest = (SIZE + 2) as u64;
    assert_eq!((&plan["download_bytes"], &plan["space_needed_bytes"]), (&rest.into(), &rest.into()));
    let copied = document(&bench, &hub, &["plan", ID, "--adopt", "copy"]);
    assert_eq!(copied["download_bytes"], rest);
    assert_eq!(copied["space_needed_bytes"], rest + SIZE as u64);
    assert_eq!(document(&bench, &hub, &["plan", ID, "--adopt", "off"])["files"][0]["state"], "fetch");
    let text = run(&bench, &hub, &["plan", ID]).stdout;
    assert!(text.contains(&format!("adopt        3.00 MiB  a.gguf, from {from}\nfetch  ")), "{text}");
    assert_eq!(content_sent(&hub), 0);
    let model = document(&bench, &hub, &["ensure", ID]);
    assert_eq!((&model["cached"], content_sent(&hub)), (&false.into(), rest), "some had to be fetched");
    assert_eq!(document(&bench, &hub, &["ensure", "hf:org/repo/a.gguf"])["cached"], true);
    assert_eq!(seen(&bench.path("ollama")), before);
}

#[test]
fn a_config_names_folders() {
    let bench = Fixture::new();
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", weights(1)).publish();
    bench.file("conf/nas/models/tiny.gguf", weights(1));
    let config = "model_ref: hf:org/repo/a.gguf\npolicy: { network: allow }\nadopt: { folders: [nas] }\n";
    bench.file("conf/model.yaml", config);
    let provisioned = document(&bench, &hub, &["provision", "--config", "conf/model.yaml"]);
    assert_eq!((&provisioned["cached"], content_sent(&hub)), (&true.into(), 0));
    bench.file("conf/model.yaml", config.replace("{ folders: [nas] }", "{ mode: off, folders: [nas] }"));
    run(&bench, &hub, &["remove", "hf:org/repo/a.gguf"]);
    assert_eq!(document(&bench, &hub, &["provision", "--config", "conf/model.yaml"])["cached"], false);
    bench.file("conf/model.yaml", config.replace("folders", "folder"));
    let wrong = finish(&mut command(&bench, &hub, &["provision", "--config", "conf/model.yaml"]));
    assert!(wrong.status == 2 && wrong.stderr.contains("did you mean `folders`?"), "{}", wrong.stderr);
}

#[test]
fn progress_shows_the_reading() {
    let bench = Fixture::new();
    let hub = in_ollama(&bench);
    let done = run(&bench, &hub, &["ensure", "hf:org/repo/a.gguf", "--progress", "json"]);
    let events = done.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let names: Vec<_> = events.map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    // The command reads a linked file once to know it, and once more after it has made the last link.
    assert_eq!(names, ["resolving", "hash_started", "hash_ended", "hash_started", "hash_ended", "ready"]);
}

#[test]
#[ignore = "needs the hf command: pip install huggingface_hub; .ci/run installs it where it can"]
fn what_the_hf_command_downloaded_costs_no_byte() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    let repo = hub
        .repo("org/repo")
        .lfs("model.safetensors", safetensors_of(SIZE, 1))
        .file("config.json", "{\"a\": 1}");
    repo.file("tokenizer.json", "{}").publish();
    let mut hf = Command::new("hf");
    hf.args(["download", "org/repo", "--quiet"]).env("HF_ENDPOINT", hub.endpoint());
    hf.env("HF_HUB_CACHE", bench.path("hf/hub")).env("HF_HOME", bench.path("hf")).env_remove("HF_TOKEN");
    hf.env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1");
    let downloaded = finish(&mut hf);
    assert_eq!(downloaded.status, 0, "{}", downloaded.stderr);
    assert!(content_sent(&hub) >= SIZE as u64);
    let before = seen(&bench.path("hf"));
    hub.reset_counts();
    let plan = document(&bench, &hub, &["plan", "hf:org/repo"]);
    assert_eq!((&plan["download_bytes"], &plan["space_needed_bytes"]), (&0.into(), &0.into()));
    let model = document(&bench, &hub, &["ensure", "hf:org/repo"]);
    assert_eq!((&model["cached"], content_sent(&hub)), (&true.into(), 0));
    let root = PathBuf::from(model["local_path"].as_str().unwrap());
    assert_eq!(fs_err::read(root.join("model.safetensors")).unwrap(), safetensors_of(SIZE, 1));
    assert_eq!(fs_err::read(root.join("config.json")).unwrap(), b"{\"a\": 1}");
    assert_eq!(seen(&bench.path("hf")), before, "bytes, modes, owners, times and names");
}

/// Mounts an exFAT file system, and unmounts it when the caller drops this.
struct Exfat {
    at: PathBuf,
    device: String,
}

impl Exfat {
    fn mount(bench: &Fixture) -> Self {
        let (image, at) = (bench.path("exfat.img"), bench.path("exfat"));
        fs_err::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs_err::create_dir(&at).unwrap();
        let run = |program: &str, args: &[&Path]| {
            let done = finish(Command::new(program).args(args));
            assert_eq!(done.status, 0, "{program}: {}{}", done.stdout, done.stderr);
            done.stdout
        };
        run("mkfs.exfat", &[&image]);
        let device = run("losetup", &["-f".as_ref(), "--show".as_ref(), &image]).trim().to_owned();
        run("mount.exfat-fuse", &[device.as_ref(), &at]);
        Self { at, device }
    }
}

impl Drop for Exfat {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

#[test]
#[ignore = "needs root and exfat-fuse; .ci/run installs it where it can"]
fn without_links_everything_is_copied_and_that_is_said() {
    let bench = Fixture::new();
    let hub = in_ollama(&bench);
    let before = seen(&bench.path("ollama"));
    let exfat = Exfat::mount(&bench);
    fs_err::copy(bench.path("a.gguf"), exfat.at.join("same.gguf")).unwrap();
    let config = "model_ref: hf:org/repo/a.gguf\npolicy: { network: allow }\nadopt: { folders: [exfat] }\n";
    bench.file("model.yaml", config);
    // From another device, and from the same one, which has no links.
    for (number, args) in
        [vec!["ensure", ID], vec!["provision", "--config", "model.yaml"]].into_iter().enumerate()
    {
        let cache = exfat.at.join(format!("cache-{number}"));
        let on_exfat = |args: &[&str]| {
            let mut command = command(&bench, &hub, args);
            finish(command.env("MODEL_PROVISIONER_CACHE_DIR", &cache))
        };
        if number == 1 {
            fs_err::rename(bench.path("ollama"), bench.path("ollama-gone")).unwrap();
        }
        hub.reset_counts();
        let done = on_exfat(&args);
        assert_eq!(done.status, 0, "{}", done.stderr);
        assert!(
            done.stderr.contains("cannot be linked") && done.stderr.contains("copied"),
            "{}",
            done.stderr
        );
        assert_eq!(content_sent(&hub), if number == 0 { (SIZE + 2) as u64 } else { 0 });
        hub.reset_counts();
        let again = on_exfat(&["ensure", "hf:org/repo/a.gguf", "--json"]);
        let again: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(again["cached"], true);
        assert_eq!(fs_err::read(again["local_path"].as_str().unwrap()).unwrap(), weights(1));
        assert_eq!(content_sent(&hub), 0);
    }
    fs_err::rename(bench.path("ollama-gone"), bench.path("ollama")).unwrap();
    assert_eq!(seen(&bench.path("ollama")), before);
}

/// Mounts a small file system, and unmounts it when the caller drops this.
struct Tmpfs(PathBuf);

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root, to mount a small disk; .ci/run runs it where it is root"]
fn a_link_fits_on_a_small_disk_that_has_no_room_for_a_copy() {
    let (bench, hub) = (Fixture::new(), Hub::start());
    hub.repo("org/repo").lfs("a.gguf", weights(1)).publish();
    let disk = Tmpfs(bench.path("disk"));
    fs_err::create_dir(&disk.0).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=5M", "none"]).arg(&disk.0).status().unwrap();
    assert!(mounted.success());
    bench.file("disk/models/a.gguf", weights(1));
    let config = "model_ref: hf:org/repo/a.gguf\npolicy: { network: allow }\nadopt: { MODE, folders: [disk/models] }\n";
    let provision = |mode: &str| {
        bench.file("model.yaml", config.replace("MODE", mode));
        let mut command = command(&bench, &hub, &["provision", "--config", "model.yaml", "--json"]);
        finish(command.env("MODEL_PROVISIONER_CACHE_DIR", bench.path("disk/cache")))
    };
    for mode in ["mode: copy", "mode: off"] {
        let full = provision(mode);
        assert!(
            full.status == 8 && full.stdout.contains("no-space"),
            "{mode}: {}{}",
            full.stdout,
            full.stderr
        );
    }
    let linked = provision("mode: link");
    assert_eq!((linked.status, content_sent(&hub)), (0, 0), "{}", linked.stderr);
}

#[test]
#[ignore = "needs strace; .ci/run installs it"]
fn killed_at_every_system_call_of_an_adoption() {
    for mode in ["link", "copy"] {
        for call in ["rename,renameat,renameat2", "fsync,fdatasync", "link,linkat", "unlink,unlinkat,rmdir"] {
            let bench = Fixture::new();
            let hub = in_ollama(&bench);
            let (before, mut kills) = (seen(&bench.path("ollama")), 0);
            let args = ["ensure", "hf:org/repo/a.gguf", "--adopt", mode];
            for count in 1..60 {
                let plain = command(&bench, &hub, &args);
                let mut strace = Command::new("strace");
                let inject = format!("inject={call}:signal=KILL:when={count}");
                strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
                strace.arg(plain.get_program()).args(plain.get_args()).current_dir(bench.path(""));
                strace.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                let killed = finish(&mut strace);
                let done = run(&bench, &hub, &args);
                assert_eq!(fs_err::read(done.stdout.trim()).unwrap(), weights(1), "{call} {count}");
                let left =
                    fs_err::read_dir(bench.cache().join("store-v1/partial")).map_or(0, Iterator::count);
                assert_eq!((left, seen(&bench.path("ollama"))), (0, before.clone()), "{mode} {call} {count}");
                if killed.status == 0 {
                    break;
                }
                kills += 1;
                run(&bench, &hub, &["remove", "hf:org/repo/a.gguf"]);
            }
            assert!(kills > 0 && content_sent(&hub) == 0, "{mode} {call}: {kills} kills");
        }
    }
}

#[test]
fn a_tool_whose_folder_is_not_there_is_told_of_with_v_alone() {
    let (hub, bench) = (Hub::start(), Fixture::new());
    hub.repo("org/repo").lfs("a.gguf", weights(1)).publish();
    let done = run(&bench, &hub, &["ensure", ID, "-v"]);
    let absent =
        format!("nothing to adopt: failed to read directory `{}`", bench.path("hf").join("hub").display());
    assert!(done.stderr.contains(&absent), "{}", done.stderr);
    run(&bench, &hub, &["remove", ID]);
    assert_eq!(run(&bench, &hub, &["ensure", ID]).stderr, "");
}
