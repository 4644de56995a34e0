//! The token goes to `hf` by its environment, wherever it came from, and to no other process, argument, host, log or file.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Hub, gguf_of, hub::Origin};

use crate::{
    fixture::{Finished, Fixture, finish},
    secrets::{has_no_token, is_kept},
    via_hf_real::on_path,
};

const SIZE: usize = 1 << 20;
const ID: &str = "hf:org/gguf:Q4_K_M";

/// The places at which a token may lie that the command sends, and whether it is a variable.
const PLACES: [(&str, bool); 4] = [
    ("HF_TOKEN", true),
    ("HUGGING_FACE_HUB_TOKEN", true),
    ("HF_TOKEN_PATH", false),
    ("hf-home/token", false),
];

/// Notes the arguments, the environment and the state of every process of this machine. What follows runs as `hf`. One
/// `grep` reads them all: a program for each process would take most of the test's time.
const WATCH: &str = r#"#!/bin/sh
here=$(dirname "$0")
[ "$1" = version ] && { echo "huggingface_hub version: 9.8.7"; exit 0; }
grep -azH '' /proc/[0-9]*/cmdline /proc/[0-9]*/environ /proc/[0-9]*/stat 2>/dev/null | tr '\0' '\n' >>"$here/seen"
echo "$$" >>"$here/pids"
"#;

/// A user's machine with a token, a hub that knows it, and an `hf`.
struct Bench {
    files: Fixture,
    hub: Hub,
    token: String,
    place: &'static str,
}

impl Bench {
    fn new(place: &'static str, number: usize, hf: &str) -> Self {
        let (files, hub) = (Fixture::new(), Hub::start());
        let token = format!("hf_Canary0123456789via{number}{}", std::process::id());
        hub.grant(&token);
        hub.repo("org/gguf").lfs("x-Q4_K_M.gguf", gguf_of(SIZE, 4)).private().publish();
        files.file("bin/right", gguf_of(SIZE, 4));
        let bench = Self { files, hub, token, place };
        let path = bench.files.file("bin/hf", format!("{WATCH}{hf}\n"));
        fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        bench
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.files.command();
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"] {
            command.env_remove(name);
        }
        // The hub and its CDN are on one machine. By one name, `hf` would take them for one host.
        command
            .env("PATH", format!("{}:/usr/bin:/bin", self.files.path("bin").display()))
            .env("HF_ENDPOINT", self.hub.endpoint().replace("127.0.0.1", "localhost"))
            .env("HF_HUB_DISABLE_XET", "1")
            .env("HF_HOME", self.files.path("hf-home"))
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Finished {
        let mut command = self.command(&[args, &["-vv"]].concat());
        match self.place {
            "HF_TOKEN_PATH" => command.env(self.place, self.private_file("saved", &self.token)),
            file if file.contains('/') => {
                self.private_file(file, &self.token);
                &mut command
            }
            variable => command.env(variable, &self.token),
        };
        let done = finish(&mut command);
        is_kept(&self.files, &self.hub, &done, self.place);
        done
    }

    fn private_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.file(name, text);
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs_err::read(self.files.path("bin").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns what the watching `hf` noted of each process: its number, the name of the file in its folder of `/proc`, and one
    /// argument or variable, or all of its state.
    fn seen(&self) -> Vec<(String, String, String)> {
        let mut seen: Vec<(String, String, String)> = Vec::new();
        for line in self.read("seen").lines() {
            let noted = line.strip_prefix("/proc/").and_then(|rest| {
                let (pid, rest) = rest.split_once('/')?;
                let (what, text) = rest.split_once(':')?;
                Some((pid.to_owned(), what.to_owned(), text.to_owned()))
            });
            match noted {
                Some(noted) => seen.push(noted),
                // An argument or a variable has several lines.
                None => seen.last_mut().unwrap().2 += line,
            }
        }
        seen
    }

    /// Fails where another process than the command and `hf` has the token, and where any has it in its arguments. Returns how many
    /// variables of `hf` have it.
    #[track_caller]
    fn only_hf_has_it(&self, is_variable: bool) -> usize {
        let seen = self.seen();
        let has = |pid: Option<&str>, argument: &str| {
            seen.iter().any(|(of, what, text)| {
                what == "cmdline" && pid.is_none_or(|pid| pid == of) && text.contains(argument)
            })
        };
        let group = |pid: &str| {
            let stat = seen.iter().find(|(of, what, _)| of == pid && what == "stat");
            // Behind the name: the state, the parent and the group.
            stat.and_then(|(_, _, text)| text.rsplit_once(')')?.1.split_whitespace().nth(2))
        };
        assert!(has(None, "org/gguf"), "none was noted");
        let pids = self.read("pids");
        let groups: Vec<_> = pids.lines().map(|pid| group(pid).unwrap()).collect();
        let mut having = 0;
        for (pid, what, text) in seen.iter().filter(|(_, _, text)| text.contains(&self.token)) {
            assert_eq!(what, "environ", "{}: process {pid} has it in its arguments: {text}", self.place);
            let is_hf = group(pid).is_some_and(|group| groups.contains(&group));
            let is_ours = has(Some(pid), "--via");
            assert!(is_hf || (is_variable && is_ours), "{}: process {pid} has {text}", self.place);
            assert!(!is_hf || text.starts_with("HF_TOKEN="), "{}: {text}", self.place);
            having += usize::from(is_hf);
        }
        having
    }
}

#[test]
fn a_token_from_any_place_reaches_hf_by_its_environment_alone() {
    for (number, (place, is_variable)) in PLACES.into_iter().enumerate() {
        let bench = Bench::new(
            place,
            number,
            r#"for arg in "$@"; do case "$arg" in --local-dir=*) dir=${arg#--local-dir=};; esac; done
            mkdir -p "$dir"; cp "$here/right" "$dir/x-Q4_K_M.gguf"; echo "as $HF_TOKEN"; echo "for $HF_TOKEN" >&2"#,
        );
        for args in [
            &["ensure", ID, "--via", "hf-cli"][..],
            &["show", ID],
            &["doctor", "--json"],
            &["run", ID, "--via", "hf-cli", "--", "env"],
            &["gc"],
        ] {
            let done = bench.run(args);
            assert_eq!(done.status, 0, "{place} {args:?}: {}", done.stderr);
        }
        assert!(bench.only_hf_has_it(is_variable) > 0, "{place}: it needs the token");
        assert!(bench.hub.count(|seen| seen.authorization.is_some()) > 0, "{place}: the listing does too");
    }
}

#[test]
fn a_failing_hf_that_repeats_its_token_is_not_repeated() {
    for (number, (place, is_variable)) in PLACES.into_iter().enumerate() {
        for (script, status) in [
            (r#"echo "Error: Access denied. Model $HF_TOKEN requires approval." >&2; exit 1"#, 7),
            (r#"echo "$HF_TOKEN"; echo "401 Client Error: $HF_TOKEN" >&2; exit 1"#, 7),
            (r#"printf '%s' "$HF_TOKEN" >"$HOME/x" 2>/dev/null; echo "$HF_TOKEN"; kill -SEGV $$"#, 6),
            (r#"echo "no such option: --token=$HF_TOKEN" >&2; exit 2"#, 2),
        ] {
            let bench = Bench::new(place, 10 + number, script);
            for json in [&[][..], &["--json"]] {
                let done = bench.run(&[&["ensure", ID, "--via", "hf-cli"], json].concat());
                assert_eq!(done.status, status, "{place} {script}: {}", done.stderr);
            }
            bench.only_hf_has_it(is_variable);
        }
    }
}

/// `hf auth login` keeps every account that it ever had in one file. The command reads the one in use, and that file never.
#[test]
fn the_stored_tokens_of_other_accounts_stay_where_they_are() {
    let script = r#"cat "$HF_HOME/stored_tokens" 2>/dev/null; env; exit 1"#;
    let bench = Bench::new("HF_TOKEN", 20, script);
    let stored =
        bench.private_file("hf-home/stored_tokens", &format!("[work]\nhf_token = {}\n", bench.token));
    // A public repository, so that the command gets as far as running hf.
    bench.hub.repo("org/open").lfs("x-Q4_K_M.gguf", gguf_of(SIZE, 4)).publish();
    let done = finish(&mut bench.command(&["ensure", "hf:org/open:Q4_K_M", "--via", "hf-cli", "-vv"]));
    assert_ne!(done.status, 0, "{}", done.stderr);
    assert!(!bench.read("pids").is_empty(), "hf ran: {}", done.stderr);
    is_kept(&bench.files, &bench.hub, &done, "stored_tokens");
    assert_eq!(bench.hub.count(|seen| seen.authorization.is_some()), 0);
    assert!(!bench.read("seen").contains(&bench.token));
    assert!(stored.exists());
}

#[test]
#[ignore = "needs hf-0.36, hf-1 and hf-2 on the path; .ci/run installs them where it can"]
fn each_real_hf_command_keeps_the_token_of_any_place() {
    let mut number = 30;
    for program in ["hf-0.36", "hf-1", "hf-2"] {
        for (place, is_variable) in PLACES {
            number += 1;
            let real = on_path(program);
            let bench = Bench::new(place, number, &format!("exec {} \"$@\"", real.display()));
            let done = bench.run(&["ensure", ID, "--via", "hf-cli"]);
            assert_eq!(done.status, 0, "{program} {place}: {}", done.stderr);
            assert!(bench.only_hf_has_it(is_variable) > 0, "{program} {place}");
            let told = bench.hub.count(|seen| seen.file.is_some() && seen.authorization.is_some());
            assert!(told > 0, "{program} {place}: the hub gives the file for a token alone");
            let elsewhere =
                |seen: &testkit::hub::Seen| seen.origin != Origin::Hub && seen.authorization.is_some();
            assert_eq!(bench.hub.count(elsewhere), 0, "{program} {place}");
            let refused = bench.run(&["ensure", "hf:org/absent", "--via", "hf-cli"]);
            assert_ne!(refused.status, 0, "{program} {place}");
            has_no_token(&refused.stderr, program);
            let home = bench.files.path("hf-home");
            assert!(!has_other_files(&home), "{program} wrote into the user's home");
        }
    }
}

/// Returns whether the home of the Hub's tools has more than a token.
fn has_other_files(home: &Path) -> bool {
    fs_err::read_dir(home).into_iter().flatten().any(|entry| entry.unwrap().file_name() != "token")
}
