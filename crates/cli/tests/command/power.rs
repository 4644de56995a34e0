//! After a loss of power, what a command acknowledged stays, and what it did not acknowledge vanishes whole.
//!
//! The cache lies on a file system in a file. The test shuts it down without writing its log, as if the machine had lost
//! its power, and mounts it again. ext4 writes nothing by itself for as long as a test lasts (`commit=300`), and does not
//! write a file because of its rename (`noauto_da_alloc`). XFS still answers the sync of a folder with success after
//! that. So only what a command acknowledged before counts.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use testkit::{Hub, gguf_of, tier};

use crate::{
    fixture::{Finished, Fixture, finish},
    hub,
};

/// The bytes of each model, by the name of its repository and the number of its edition.
fn weights(repo: &str, edition: usize) -> Vec<u8> {
    gguf_of(60_000 + repo.len(), edition)
}

/// A file system in a file.
struct Disk {
    bench: Fixture,
    kind: &'static str,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.mount()).stderr(Stdio::null()).status();
    }
}

fn must(command: &mut Command) {
    let done = finish(command);
    assert_eq!(done.status, 0, "{command:?}: {}{}", done.stdout, done.stderr);
}

impl Disk {
    fn new(kind: &'static str) -> Self {
        let disk = Self { bench: Fixture::new(), kind };
        let image = disk.bench.path("image");
        fs_err::File::create(&image).unwrap().set_len(320 << 20).unwrap();
        let quiet = if kind == "xfs" { ["-q", "-f"] } else { ["-q", "-F"] };
        must(Command::new(format!("mkfs.{kind}")).args(quiet).arg(image));
        fs_err::create_dir(disk.mount()).unwrap();
        disk.switch_on();
        disk
    }

    /// Returns the folder of the cache and the handoffs.
    fn mount(&self) -> PathBuf {
        self.bench.path("disk")
    }

    fn switch_on(&self) {
        let options = if self.kind == "xfs" { "loop" } else { "loop,noauto_da_alloc,commit=300" };
        must(Command::new("mount").args(["-o", options]).args([self.bench.path("image"), self.mount()]));
    }

    /// Loses what is not on the disk.
    #[expect(unsafe_code, reason = "this call has no safe name")]
    fn cut(&self) {
        const SHUT_DOWN: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<u32>(b'X', 125);
        const WITHOUT_LOG: u32 = 2;
        let folder = fs_err::File::open(self.mount()).unwrap();
        // SAFETY: the call reads the number that it is given, and writes nothing.
        unsafe {
            rustix::ioctl::ioctl(&folder, rustix::ioctl::Setter::<SHUT_DOWN, u32>::new(WITHOUT_LOG)).unwrap();
        }
    }

    fn switch_off(&self) {
        must(Command::new("umount").arg(self.mount()));
    }

    fn command(&self, hub: &Hub, args: &[String]) -> Command {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut command = hub::command(&self.bench, &hub.endpoint(), &args);
        command.env("MODEL_PROVISIONER_CACHE_DIR", self.mount().join("cache"));
        command
    }

    fn run(&self, hub: &Hub, args: &[&str]) -> Finished {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        finish(&mut self.command(hub, &args))
    }

    /// Returns what the command says of its models, and the handoffs that exist.
    fn state(&self, hub: &Hub) -> State {
        let list = self.run(hub, &["list", "--json"]);
        // What a command that was cut off left of its transfer is a hint; a damaged record would be a warning.
        assert!(list.status == 0 && !list.stderr.contains("warning"), "{}{}", list.stdout, list.stderr);
        let mut state = State::new();
        for model in serde_json::from_str::<Vec<Value>>(&list.stdout).unwrap() {
            let of = |field: &str| model[field].to_string();
            let told = ["lifecycle", "revision", "local_path", "digest"].map(of).join(" ");
            state.insert(model["id"].as_str().unwrap().to_owned(), told.into_bytes());
        }
        for entry in fs_err::read_dir(self.mount()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                state.insert(path.to_str().unwrap().to_owned(), fs_err::read(&path).unwrap());
            }
        }
        state
    }
}

/// The state of each model and each handoff.
type State = BTreeMap<String, Vec<u8>>;

/// Numbers that look like chance, and are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

const REPOS: [&str; 3] = ["one", "two", "three"];

fn id(repo: &str) -> String {
    format!("hf:org/{repo}/a.gguf")
}

/// Runs one of the commands that change something, and returns the repository that it is about.
fn some_command(dice: &mut Dice, disk: &Disk) -> (&'static str, Vec<String>) {
    let repo = REPOS[dice.below(REPOS.len())];
    // An id that is imported, and one that is fetched.
    let (mine, any) = (id(&format!("{repo}-here")), dice.below(2) == 0);
    let handoff = disk.mount().join(format!("{repo}.json")).to_str().unwrap().to_owned();
    let words: &[&str] = match dice.below(9) {
        0 | 1 => &["ensure", "ID", "--handoff", "HANDOFF"],
        2 | 3 => &["ensure", "ID", "--refresh", "--handoff", "HANDOFF"],
        4 => &["remove", "ANY"],
        5 => &["retire", "ANY"],
        6 => &["activate", "ANY"],
        7 => &["import", "WEIGHTS", "--id", "MINE", "--adopt", "copy"],
        _ => &["provision", "--config", "CONFIG", "--handoff", "HANDOFF"],
    };
    let filled = words.iter().map(|word| match *word {
        "ID" => id(repo),
        "MINE" => mine.clone(),
        "ANY" => {
            if any {
                mine.clone()
            } else {
                id(repo)
            }
        }
        "HANDOFF" => handoff.clone(),
        "WEIGHTS" => disk.bench.path(&format!("{repo}.gguf")).to_str().unwrap().to_owned(),
        "CONFIG" => disk.bench.path(&format!("{repo}.yaml")).to_str().unwrap().to_owned(),
        word => word.to_owned(),
    });
    (repo, filled.collect())
}

/// Publishes a repository's next edition, and says which commit that is.
fn publish(hub: &Hub, editions: &mut BTreeMap<String, Vec<u8>>, repo: &str, edition: usize) {
    let bytes = weights(repo, edition);
    let commit = hub.repo(&format!("org/{repo}")).lfs("a.gguf", bytes.clone()).publish();
    editions.insert(commit.to_string(), bytes);
}

/// Fails unless every Active model has the bytes of its revision.
fn has_right_bytes(disk: &Disk, hub: &Hub, editions: &BTreeMap<String, Vec<u8>>, what: &str) {
    let list = disk.run(hub, &["list", "--json"]);
    for model in serde_json::from_str::<Vec<Value>>(&list.stdout).unwrap() {
        let path = Path::new(model["local_path"].as_str().unwrap());
        let found = fs_err::read(path).unwrap_or_default();
        let expected = match model["revision"].as_str() {
            Some(commit) => editions[commit].clone(),
            None => weights(model["id"].as_str().unwrap().split(['/', '-']).nth(1).unwrap(), 0),
        };
        assert!(found == expected, "{what}: {model}: {} bytes", found.len());
    }
}

/// Fails unless the cache is well, except for models of the interrupted command, and unless `doctor --fix` repairs these.
fn is_repaired(disk: &Disk, hub: &Hub, what: &str, is_touched: impl Fn(&str) -> bool) {
    let is_well = |args: &[&str]| {
        let done = disk.run(hub, args);
        assert_eq!(done.status, 0, "{what}: {args:?}: {}{}", done.stdout, done.stderr);
    };
    is_well(&["verify", "--all"]);
    is_well(&["gc", "--grace", "0"]);
    // Between its view and its record, a model is whole and not in the catalog; `doctor` may find nothing else.
    let found: Value = serde_json::from_str(&disk.run(hub, &["doctor", "--json"]).stdout).unwrap();
    for finding in found["findings"].as_array().unwrap() {
        let problem = finding["problem"].as_str().unwrap();
        assert!(problem.contains("is whole in") && is_touched(problem), "{what}: {problem}");
    }
    is_well(&["doctor", "--fix"]);
    is_well(&["doctor"]);
}

/// Loses power so many times, and checks each time what is left. Returns how many acknowledged states it checked.
fn lose_power(kind: &'static str, cuts: usize, seed: u64) -> usize {
    let (disk, hub, mut dice) = (Disk::new(kind), Hub::start(), Dice(seed));
    let mut editions = BTreeMap::new();
    for repo in REPOS {
        disk.bench.file(&format!("{repo}.gguf"), weights(repo, 0));
        let config = format!("model_ref: '{}'\npolicy: {{ network: allow }}\n", id(repo));
        disk.bench.file(&format!("{repo}.yaml"), config);
        publish(&hub, &mut editions, repo, 1);
    }
    let mut looked_at = 0;
    for round in 0..cuts {
        let what = format!("{kind}, seed {seed}, cut {round}");
        if dice.below(3) == 0 {
            let repo = REPOS[dice.below(REPOS.len())];
            publish(&hub, &mut editions, repo, round + 2);
        }
        let mut told = String::new();
        for _ in 0..=dice.below(3) {
            let (_, args) = some_command(&mut dice, &disk);
            let done = finish(&mut disk.command(&hub, &args));
            let _ = write!(told, "\n{args:?}: {} {}", done.status, done.stderr);
            assert!([0, 3, 5].contains(&done.status), "{what}: {told}");
        }
        let acknowledged = disk.state(&hub);
        let cut_off = if dice.below(2) == 0 { None } else { Some(under_way(&mut dice, &disk, &hub)) };
        disk.cut();
        let touched = cut_off.map(|(repo, mut child)| {
            child.kill().unwrap();
            child.wait().unwrap();
            format!("/{repo}")
        });
        disk.switch_off();
        disk.switch_on();
        let is_touched = |name: &str| touched.as_ref().is_some_and(|repo| name.contains(repo));
        let (mut before, mut after) = (acknowledged, disk.state(&hub));
        before.retain(|name, _| !is_touched(name));
        after.retain(|name, _| !is_touched(name));
        looked_at += before.len();
        for (name, state) in &before {
            let now = after.get(name).map(|state| String::from_utf8_lossy(state));
            let state = String::from_utf8_lossy(state);
            assert_eq!(
                now.as_deref(),
                Some(state.as_ref()),
                "{what}: {name} {told}\nin the middle of {touched:?}"
            );
        }
        assert_eq!(before.len(), after.len(), "{what}: something came back: {:?}{told}", after.keys());
        has_right_bytes(&disk, &hub, &editions, &what);
        is_repaired(&disk, &hub, &format!("{what}{told}"), is_touched);
    }
    disk.switch_off();
    looked_at
}

/// Starts a command, and returns it in the middle of its work.
fn under_way(dice: &mut Dice, disk: &Disk, hub: &Hub) -> (&'static str, Child) {
    let (repo, args) = some_command(dice, disk);
    let mut command = disk.command(hub, &args);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_micros(u64::try_from(dice.below(60_000)).unwrap()));
    (repo, child)
}

#[test]
#[ignore = "needs root, loop devices, mkfs.ext4 and mkfs.xfs; .ci/run runs it where it can"]
fn what_was_acknowledged_survives_a_loss_of_power() {
    let cuts = tier(8, 250);
    for (kind, seed) in [("ext4", 0x5eed_0001), ("xfs", 0x5eed_0002)] {
        let looked_at = lose_power(kind, cuts, seed);
        assert!(looked_at > cuts, "{kind}: only {looked_at} states");
    }
}
