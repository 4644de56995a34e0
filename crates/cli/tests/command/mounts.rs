//! Processes see one cache through another mount: a volume elsewhere, a copy, a read-only file system.
//!
//! One test needs to mount disk images, as root.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use testkit::gguf_of;

use crate::fixture::{Finished, Fixture, finish};

const ID: &str = "hf:org/mine/model.gguf";
const SIZE: usize = 2 << 20;

/// Returns whether a call read bytes of the model, by its progress.
fn has_read(done: &Finished) -> bool {
    assert_eq!(done.status, 0, "{}", done.stderr);
    done.stderr.contains("hash_started")
}

/// Asks for the model in a cache, without a network.
fn ensure(bench: &Fixture, cache: &Path, more: &[&str]) -> Finished {
    let mut command = bench.command();
    command.args(["ensure", ID, "--offline", "--json", "--progress", "json"]).args(more);
    finish(command.env("MODEL_PROVISIONER_CACHE_DIR", cache))
}

/// Makes a cache with a model that it shares with another owner, or that it has alone.
fn import(bench: &Fixture, cache: &Path, from: &Path, mode: &str) {
    let mut command = bench.command();
    command.args(["import", "--id", ID, "--adopt", mode]).arg(from);
    let done = finish(command.env("MODEL_PROVISIONER_CACHE_DIR", cache));
    assert_eq!(done.status, 0, "{}", done.stderr);
}

/// A model's file that was written an hour ago: its stamp has settled.
fn old_file(path: &Path) -> PathBuf {
    fs_err::write(path, gguf_of(SIZE, 1)).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_secs(3600)).unwrap();
    path.to_owned()
}

/// Copies a cache as a backup or an image does: its files are other ones, with the same times.
fn copy_cache(cache: &Path, to: &Path) {
    must("cp", &["-r".as_ref(), "--preserve=timestamps".as_ref(), cache, to]);
}

fn must(program: &str, args: &[&Path]) -> String {
    let done = finish(Command::new(program).args(args));
    assert_eq!(done.status, 0, "{program} {args:?}: {}{}", done.stdout, done.stderr);
    done.stdout.trim().to_owned()
}

/// Mounts a disk image, and unmounts it when the caller drops this.
struct Disk {
    image: PathBuf,
    at: PathBuf,
    devices: Vec<String>,
}

impl Disk {
    fn new(bench: &Fixture) -> Self {
        let (image, at) = (bench.path("disk.img"), bench.path("disk"));
        fs_err::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs_err::create_dir(&at).unwrap();
        must("mkfs.ext4", &["-q".as_ref(), &image]);
        Self { image, at, devices: Vec::new() }
    }

    /// Mounts it under a device number that it did not have before, and returns that number.
    fn mount(&mut self, options: &str) -> u64 {
        let device = must("losetup", &["-f".as_ref(), "--show".as_ref(), &self.image]);
        self.devices.push(device.clone());
        must("mount", &["-o".as_ref(), options.as_ref(), device.as_ref(), &self.at]);
        fs_err::metadata(&self.at).unwrap().dev()
    }

    /// The loop device before stays busy, so that the next one has another number.
    fn unmount(&self) {
        must("umount", &[&self.at]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
        for device in &self.devices {
            let _ = Command::new("losetup").args(["-d", device]).status();
        }
    }
}

#[test]
#[ignore = "needs root, to mount a disk image; .ci/run runs it where it is root"]
fn a_small_disk_is_the_same_under_another_number() {
    let bench = Fixture::new();
    let mut disk = Disk::new(&bench);
    let first = disk.mount("rw");
    let theirs = old_file(&disk.at.join("theirs.gguf"));
    let caches = ["link", "copy"].map(|mode| (mode, disk.at.join(mode)));
    for (mode, cache) in &caches {
        import(&bench, cache, &theirs, mode);
    }
    for (mode, cache) in &caches {
        let handoff = bench.path(&format!("{mode}.json"));
        assert!(!has_read(&ensure(&bench, cache, &["--handoff", handoff.to_str().unwrap()])), "{mode}");
    }
    disk.unmount();
    assert_ne!(disk.mount("ro"), first, "the device has another number");
    for (mode, cache) in &caches {
        let done = ensure(&bench, cache, &[]);
        assert!(!has_read(&done), "{mode}: {}", done.stderr);
        let handoff = fs_err::read_to_string(bench.path(&format!("{mode}.json"))).unwrap();
        assert!(handoff.contains(&format!("\"dev\": {first}")), "{handoff}");
        model_provisioner::handoff::read(&bench.path(&format!("{mode}.json"))).unwrap().check().unwrap();
    }
}

#[test]
fn a_copied_cache_is_read_once() {
    let bench = Fixture::new();
    let theirs = old_file(&bench.path("theirs.gguf"));
    import(&bench, &bench.cache(), &theirs, "copy");
    let copy = bench.path("copy");
    copy_cache(&bench.cache(), &copy);
    assert!(has_read(&ensure(&bench, &copy, &[])));
    assert!(!has_read(&ensure(&bench, &copy, &[])));
}

#[test]
fn a_copied_cache_that_cannot_be_written_says_what_it_rests_on() {
    let bench = Fixture::new();
    let theirs = old_file(&bench.path("theirs.gguf"));
    import(&bench, &bench.cache(), &theirs, "copy");
    let copy = bench.path("copy");
    copy_cache(&bench.cache(), &copy);
    must("chmod", &["-R".as_ref(), "a+rX,a-w".as_ref(), &copy]);
    for _ in 0..2 {
        let mut command = bench.unprivileged();
        command.args(["ensure", ID, "--offline", "--json", "--progress", "json"]);
        let done = finish(command.env("MODEL_PROVISIONER_CACHE_DIR", &copy));
        let told =
            done.stderr.contains("cannot be recorded") && done.stderr.contains("verify the model once");
        assert!(has_read(&done) && told, "{}", done.stderr);
    }
    must("chmod", &["-R".as_ref(), "u+w".as_ref(), &copy]);
}

#[test]
#[ignore = "needs root, to mount layers over each other; .ci/run runs it where it is root"]
fn what_lies_in_the_lower_layer_of_a_small_disk_is_removed_whole() {
    let bench = Fixture::new();
    let mut disk = Disk::new(&bench);
    disk.mount("rw");
    let theirs = old_file(&bench.path("theirs.gguf"));
    let lower = bench.path("lower");
    import(&bench, &lower, &theirs, "copy");
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| disk.at.join(name));
    for folder in [&upper, &work, &merged] {
        fs_err::create_dir(folder).unwrap();
    }
    let layers =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    must(
        "mount",
        &["-t".as_ref(), "overlay".as_ref(), "-o".as_ref(), layers.as_ref(), "overlay".as_ref(), &merged],
    );
    let run = |args: &[&str]| {
        let done = finish(bench.command().args(args).env("MODEL_PROVISIONER_CACHE_DIR", &merged));
        (done.status, done.stdout + &done.stderr)
    };
    let removed = run(&["remove", ID]);
    let (listed, looked) = (run(&["list", "--json"]), run(&["doctor"]));
    must("umount", &[&merged]);
    disk.unmount();
    assert_eq!(removed.0, 0, "{}", removed.1);
    assert_eq!((listed.1.trim(), looked.0), ("[]", 0), "{}", looked.1);
}
