//! A storm: many processes do everything at once to a few models, some of them are killed, and the branches move.
//!
//! While it lasts, no command prints a path with wrong bytes, hands out a mixture of two revisions, removes a leased
//! model, or ends with a wrong status. When it is over, every record is of a whole model, `doctor` finds no false
//! problem, and `gc` frees everything else. A seed says which commands come in which order, and not how
//! they meet.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use testkit::{Hub, gguf_of, tier};

use crate::{
    fixture::Fixture,
    hub::{self, run},
};

const REPOS: [&str; 4] = ["one", "two", "three", "four"];

/// The only one of which a command may be killed that makes it present. That may leave a view without a record; `doctor` puts it back
/// under its commit, where the branch's record is of an older one, and the next refresh moves to the same one: both records are true
/// then, and elsewhere they would not be.
const KILLED_BEFORE_ITS_RECORD: &str = "four";

/// Lists what `doctor` may find after a kill: what the process left, and what it had not come to.
const LEFT_BY_KILLS: [&str; 7] = [
    "is the note of a process that is gone",
    "its removal was begun",
    "no model has it",
    "was never finished",
    "an unfinished transfer",
    "has the mode",
    "is whole in",
];

/// Longer than any command takes, on a machine that does much other work.
const FOR_EVER: Duration = Duration::from_secs(180);

fn id(repo: &str) -> String {
    format!("hf:org/{repo}?include=*")
}

fn same() -> Vec<u8> {
    gguf_of(90_000, 7)
}

/// The bytes of each published commit, by repository.
type Editions = Mutex<BTreeMap<String, Vec<u8>>>;

/// Holds what all processes of a storm share.
struct Storm {
    seed: u64,
    bench: Fixture,
    hub: Hub,
    editions: Editions,
    is_over: AtomicBool,
    commands: AtomicUsize,
    kills: AtomicUsize,
    refusals: Mutex<BTreeMap<String, usize>>,
    faults: Mutex<Vec<String>>,
}

/// Numbers that look like chance, and are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Holds what a command printed in the end.
struct Said {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Drop for Storm {
    fn drop(&mut self) {
        if thread::panicking() {
            let (commands, kills) = (self.commands.get_mut(), self.kills.get_mut());
            let _ =
                writeln!(std::io::stderr(), "STORM_SEED={}: {commands} commands, {kills} killed", self.seed);
        }
    }
}

impl Storm {
    fn new(seed: u64) -> Self {
        let storm = Self {
            seed,
            bench: Fixture::new(),
            hub: Hub::start(),
            editions: Mutex::default(),
            is_over: AtomicBool::new(false),
            commands: AtomicUsize::new(0),
            kills: AtomicUsize::new(0),
            refusals: Mutex::default(),
            faults: Mutex::default(),
        };
        REPOS.iter().chain(["carried"].iter()).for_each(|repo| storm.publish(repo, 1));
        storm.bench.file("plain.gguf", gguf_of(50_000, 3));
        let bench = &storm.bench;
        let ensured = run(bench, &storm.hub, &["ensure", &id("carried")]);
        assert_eq!(ensured.status, 0, "{}", ensured.stderr);
        assert_eq!(bench.run(&["export", &id("carried"), "carried"]).status, 0);
        storm
    }

    /// Publishes the next edition of a repository.
    fn publish(&self, repo: &str, edition: usize) {
        let own = gguf_of(150_000 + repo.len(), edition);
        let config = format!("{{\"edition\": {edition}}}");
        let repo =
            self.hub.repo(&format!("org/{repo}")).lfs("a.gguf", own.clone()).lfs("sub/same.gguf", same());
        // Known to the test before another process can see it.
        let mut editions = self.editions.lock().unwrap();
        editions.insert(repo.file("config.json", config).publish().to_string(), own);
    }

    /// Returns whether the folder of a model has the files of one revision. Other commands remove models, so a file may
    /// be gone.
    fn has_right_bytes(&self, root: &Path, may_be_gone: bool) -> Result<(), String> {
        let told = root.display();
        let commit = root.iter().rev().nth(1).unwrap_or_default().to_string_lossy().into_owned();
        let own = self.editions.lock().unwrap().get(&commit).cloned();
        let own = own.ok_or_else(|| format!("{told} is of no commit that was published"))?;
        for (name, bytes) in [("a.gguf", own), ("sub/same.gguf", same())] {
            match fs_err::read(root.join(name)) {
                Ok(found) if found == bytes => {}
                Ok(found) => return Err(format!("{told}: wrong bytes, {} of {}", found.len(), bytes.len())),
                Err(_) if may_be_gone => {}
                Err(error) => return Err(format!("{told}: {error}")),
            }
        }
        Ok(())
    }

    /// Runs one command after the other, until the storm is over.
    fn work(&self, seed: u64) {
        let mut dice = Dice(seed);
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.commands.fetch_add(1, Ordering::Relaxed);
            let (kind, args) = self.some_command(&mut dice, number);
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let may_die = !["ensure", "run"].contains(&kind) || args[1] == id(KILLED_BEFORE_ITS_RECORD);
            let patience = (dice.below(8) == 0 && may_die).then(|| dice.below(250));
            let child = self.start(&args);
            let said = finish(child, patience.map(|ms| Duration::from_millis(ms as u64)));
            if let Err(fault) = self.is_right(kind, &args, &said) {
                let told = format!("seed {seed}: {args:?}: {:?}: {fault}: {}", said.status, said.stderr);
                self.faults.lock().unwrap().push(told);
            }
            if kind == "export" {
                let _ = fs_err::remove_dir_all(args[2]);
            }
        }
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command: Command = hub::command(&self.bench, &self.hub.endpoint(), args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Returns any of the commands, and its arguments.
    fn some_command(&self, dice: &mut Dice, number: usize) -> (&'static str, Vec<String>) {
        let id = id(REPOS[dice.below(REPOS.len())]);
        let script = "sha256sum {path}/a.gguf && sleep 0.1 && sha256sum {path}/a.gguf && echo {path}";
        let out = self.bench.path(&format!("out-{number}")).to_str().unwrap().to_owned();
        let words: &[&str] = match dice.below(20) {
            0..=3 => &["ensure", "ID"],
            4..=6 => &["ensure", "ID", "--refresh"],
            7..=8 => &["remove", "ID"],
            9 => &["gc", "--grace", "0"],
            10 => &["gc", "--grace", "0", "--max-size", "400K"],
            11 => &["verify", "--all"],
            12 => &["import", "carried"],
            13 => &["import", "plain.gguf", "--id", "hf:org/plain/plain.gguf"],
            14 => &["export", "ID", "OUT"],
            15 => &["doctor", "--fix"],
            16 => &["retire", "ID"],
            17 => &["activate", "ID"],
            18 => &["list"],
            _ => &["run", "ID", "-q", "--", "sh", "-c", "SCRIPT"],
        };
        let filled = words.iter().map(|word| match *word {
            "ID" => id.clone(),
            "OUT" => out.clone(),
            "SCRIPT" => script.to_owned(),
            word => word.to_owned(),
        });
        (words[0], filled.collect())
    }

    /// Fails unless a command ended with a status that it may have.
    fn is_right(&self, kind: &str, args: &[&str], said: &Said) -> Result<(), String> {
        let Some(status) = said.status else {
            self.kills.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        // Other commands may have removed or retired a model, or may keep it busy for too long.
        let allowed: &[i32] = match kind {
            "ensure" | "import" => &[0, 5, 9],
            "doctor" => &[0, 8, 9],
            "gc" => &[0, 9],
            "verify" => &[0, 3, 9],
            "list" => &[0],
            _ => &[0, 3, 5, 9],
        };
        if !allowed.contains(&status) {
            return Err("no such end is right".to_owned());
        }
        if status != 0 {
            *self.refusals.lock().unwrap().entry(format!("{kind} {status}")).or_default() += 1;
            return Ok(());
        }
        match kind {
            "ensure" => self.has_right_bytes(Path::new(said.stdout.trim()), true),
            "run" => self.was_leased(said),
            "export" => {
                let sums = Command::new("sha256sum")
                    .args(["-c", "--quiet", "SHA256SUMS"])
                    .current_dir(args[2])
                    .output();
                let own =
                    fs_err::read(Path::new(args[2]).join("a.gguf")).map_err(|error| error.to_string())?;
                let is_known = self.editions.lock().unwrap().values().any(|bytes| *bytes == own);
                if sums.unwrap().status.success() && is_known {
                    Ok(())
                } else {
                    Err("wrong bytes".to_owned())
                }
            }
            "list" if said.stderr.contains("warning: ") => Err("a damaged record".to_owned()),
            _ => Ok(()),
        }
    }

    /// Fails unless a program had its model whole for as long as it ran.
    fn was_leased(&self, said: &Said) -> Result<(), String> {
        let lines: Vec<_> = said.stdout.lines().collect();
        let [first, second, path] = lines.as_slice() else { return Err(format!("it saw {lines:?}")) };
        if first != second {
            return Err(format!("the bytes changed under it: {lines:?}"));
        }
        self.has_right_bytes(Path::new(path), true)
    }

    /// Moves the branches.
    fn move_branches(&self) {
        for edition in 2.. {
            // Each branch stays where it is for long enough that some find it there twice.
            let until = Instant::now() + Duration::from_millis(700);
            while Instant::now() < until {
                if self.is_over.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
            self.publish(REPOS[edition % REPOS.len()], edition);
        }
    }

    fn json(&self, args: &[&str]) -> Value {
        let done = run(&self.bench, &self.hub, &[args, &["--json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", done.stderr))
    }

    /// Fails unless the cache is consistent when no process lives any more.
    fn is_calm(&self) {
        let quarantine = self.bench.cache().join("store-v1/quarantine");
        let quarantined: Vec<_> =
            self.bench.cache_files().into_iter().filter(|path| path.starts_with(&quarantine)).collect();
        assert_eq!(quarantined, Vec::<PathBuf>::new(), "no bytes were ever wrong");
        let found = self.json(&["doctor"]);
        let is_false = |finding: &&Value| {
            let problem = finding["problem"].as_str().unwrap();
            !LEFT_BY_KILLS.iter().any(|told| problem.contains(told))
        };
        let wrong: Vec<_> = found["findings"].as_array().unwrap().iter().filter(is_false).collect();
        assert!(wrong.is_empty(), "doctor says what is not so: {wrong:#?}");
        self.age_what_is_half_made();
        for args in [&["gc", "--grace", "0"][..], &["doctor", "--fix"], &["verify", "--all"]] {
            let done = run(&self.bench, &self.hub, args);
            assert_eq!(done.status, 0, "{args:?}: {}{}", done.stdout, done.stderr);
        }
        assert_eq!(self.json(&["doctor"])["findings"], serde_json::json!([]));
        self.has_no_phantoms();
        for model in self.json(&["list"]).as_array().unwrap() {
            let done = self.bench.run(&["remove", model["id"].as_str().unwrap()]);
            assert_eq!(done.status, 0, "{model}: {}", done.stderr);
        }
        assert_eq!(self.bench.run(&["gc", "--grace", "0"]).status, 0);
        assert_eq!(self.left(), Vec::<PathBuf>::new(), "gc does not free it");
        let done = self.bench.run(&["provenance", "verify"]);
        assert_eq!(done.status, 0, "the log is a chain: {}", done.stdout);
    }

    /// Ages what a killed process left half-made: `gc` removes such files after ten minutes.
    fn age_what_is_half_made(&self) {
        let age = ["-exec", "touch", "-d", "-1 hour", "{}", "+"];
        let partial = self.bench.cache().join("store-v1/partial");
        let partials = Command::new("find").arg(partial).args(age).status();
        let half_written = ["-name", ".*.tmp"];
        let temporary = Command::new("find").arg(self.bench.cache()).args(half_written).args(age).status();
        assert!(partials.unwrap().success() && temporary.unwrap().success());
    }

    /// Lists the files of the cache, without its locks, its notes of use, and the log.
    fn left(&self) -> Vec<PathBuf> {
        let cache = self.bench.cache();
        let log = ["provenance.jsonl", "provenance.lock"];
        let stays = ["store-v1/locks", "store-v1/leases", "store-v1/used", log[0], log[1]]
            .map(|name| cache.join(name));
        let files = self.bench.cache_files().into_iter().filter(|path| !path.ends_with(".lock"));
        files.filter(|path| !stays.iter().any(|place| path.starts_with(place))).collect()
    }

    /// Fails unless every record is of a whole model, and none is of a revision that another record has under a shorter
    /// id.
    fn has_no_phantoms(&self) {
        let list = self.json(&["list"]);
        let models = list.as_array().unwrap();
        let revisions: BTreeMap<_, _> =
            models.iter().map(|model| (model["id"].as_str().unwrap(), model["revision"].as_str())).collect();
        for model in models {
            let (id, path) =
                (model["id"].as_str().unwrap(), Path::new(model["local_path"].as_str().unwrap()));
            if id.contains("/plain/") {
                assert!(fs_err::read(path).unwrap() == gguf_of(50_000, 3), "{model}");
                continue;
            }
            self.has_right_bytes(path, false).unwrap_or_else(|fault| panic!("{model}: {fault}"));
            if let Some((repo, rest)) = id.split_once('@') {
                let branch = format!("{repo}?{}", rest.split_once('?').unwrap().1);
                let may_be_both = branch == self::id(KILLED_BEFORE_ITS_RECORD);
                let is_both = revisions.get(branch.as_str()) == Some(&model["revision"].as_str());
                assert!(may_be_both || !is_both, "{id} is {branch} too: {list:#}");
                assert_eq!(model["lifecycle"], "Retired", "{model}");
            }
        }
    }
}

/// Waits for a command, or kills it after a while.
fn finish(mut child: Child, patience: Option<Duration>) -> Said {
    let [mut out, mut err] = [String::new(), String::new()];
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = thread::spawn(move || {
        stdout.unwrap().read_to_string(&mut out).unwrap();
        out
    });
    let reading_errors = thread::spawn(move || {
        stderr.unwrap().read_to_string(&mut err).unwrap();
        err
    });
    let until = Instant::now() + patience.unwrap_or(FOR_EVER);
    let mut status = None;
    while status.is_none() && Instant::now() < until {
        status = child.try_wait().unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    if status.is_none() {
        assert!(patience.is_some(), "{child:?} does not end");
        child.kill().unwrap();
    }
    let status = child.wait().unwrap().code();
    Said { status, stdout: reading.join().unwrap(), stderr: reading_errors.join().unwrap() }
}

#[test]
fn everything_at_once_with_kills() {
    let (processes, enough, seconds) = tier((8, 250, 120), (64, usize::MAX, 600));
    let seed = chosen_seed().unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 16);
    let storm = Storm::new(seed);
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    thread::scope(|scope| {
        scope.spawn(|| storm.move_branches());
        for process in 0..processes {
            let storm = &storm;
            scope.spawn(move || storm.work(seed + process));
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        let is_enough = || count(&storm.commands) >= enough && count(&storm.kills) > 0;
        while Instant::now() < until && !is_enough() && storm.faults.lock().unwrap().len() < 50 {
            thread::sleep(Duration::from_millis(50));
        }
        storm.is_over.store(true, Ordering::Relaxed);
    });
    {
        let (faults, refusals) = (storm.faults.lock().unwrap(), storm.refusals.lock().unwrap());
        assert!(faults.is_empty(), "{} faults: {faults:#?}, beside {refusals:?}", faults.len());
    }
    assert!(count(&storm.kills) > 0 && count(&storm.commands) > 50);
    storm.is_calm();
}

/// The seed that the caller wants again: `STORM_SEED`, as a storm that failed told it.
#[expect(clippy::disallowed_methods, reason = "a switch for developers")]
fn chosen_seed() -> Option<u64> {
    std::env::var("STORM_SEED").ok()?.parse().ok()
}
