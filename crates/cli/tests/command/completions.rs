//! The shells themselves complete the command.

use std::process::Command;

use crate::fixture::{Finished, Fixture, finish};

/// What is typed, and what completes it.
const EXPECTED: [(&[&str], &[&str]); 4] = [
    (&["ver"], &["verify"]),
    (&["ensure", "--ad"], &["--adopt"]),
    (&["ensure", "--adopt", ""], &["copy", "link", "off"]),
    (&["gc", "--max"], &["--max-size"]),
];

/// Runs a shell that reads the completions from `script` and then runs `body`, which prints one candidate a line.
fn complete(bench: &Fixture, shell: &mut Command, name: &str, body: &str) -> Vec<String> {
    let script = bench.file(&format!("completions.{name}"), bench.run(&["completions", name]).stdout);
    let body = body.replace("SCRIPT", script.to_str().unwrap());
    let Finished { status, stdout, stderr } = finish(shell.current_dir(bench.path("")).arg(&body));
    assert_eq!(status, 0, "{name}: {stderr}");
    let mut words: Vec<_> = stdout.lines().map(|line| line.trim().to_owned()).collect();
    words.retain(|word| !word.is_empty());
    words.sort();
    words
}

/// Returns whether the machine has such a program: nearly every machine has bash, and few have the others.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("-c").arg("true").status().is_ok_and(|status| status.success())
}

#[test]
fn bash_completes_options_and_values() {
    if !is_there("bash") {
        return;
    }
    let bench = Fixture::new();
    for (typed, expected) in EXPECTED {
        let (last, before) =
            (typed.last().unwrap(), typed.len().checked_sub(2).map_or("model-provisioner", |at| typed[at]));
        let words: Vec<_> = typed.iter().map(|word| format!("'{word}'")).collect();
        let body = format!(
            "source SCRIPT; COMP_WORDS=(model-provisioner {}); COMP_CWORD={}; \
             _model__provisioner model-provisioner '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            typed.len()
        );
        let mut bash = Command::new("bash");
        assert_eq!(complete(&bench, bash.args(["--norc", "-c"]), "bash", &body), expected, "{typed:?}");
    }
}

#[test]
#[ignore = "needs fish; .ci/run installs it"]
fn fish_completes_options_and_values() {
    let bench = Fixture::new();
    for (typed, expected) in EXPECTED {
        let body = format!(
            "source SCRIPT; complete -C 'model-provisioner {}' | string split -f1 \\t",
            typed.join(" ")
        );
        let mut fish = Command::new("fish");
        assert_eq!(complete(&bench, fish.args(["--no-config", "-c"]), "fish", &body), expected, "{typed:?}");
    }
}

/// Zsh completes only where its line editor runs: in a terminal of its own, which `zpty` gives it.
#[test]
#[ignore = "needs zsh; .ci/run installs it"]
fn zsh_completes_options_and_values() {
    let bench = Fixture::new();
    for (typed, expected) in EXPECTED {
        let body = ZSH.replace("TYPED", &typed.join(" "));
        let mut zsh = Command::new("timeout");
        assert_eq!(
            complete(&bench, zsh.args(["60", "zsh", "-f", "-c"]), "zsh", &body),
            expected,
            "{typed:?}"
        );
    }
}

/// `compadd` says what it adds, between angle brackets.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PROMPT=; autoload -Uz compinit; compinit -u -D; source SCRIPT'
zpty -w z 'compadd() { local -a found; builtin compadd -O found "$@"; print -l "<"$^found">"; builtin compadd "$@" }'
zpty -w z 'finish() { print E""ND; exit }; zle -C list list-choices _main_complete; zle -N finish'
zpty -w z 'bindkey "^T" list; bindkey "^Y" finish'
zpty -w -n z $'model-provisioner TYPED\x14\x19'
text=
while zpty -r z line; do text+=$line; case $line in *END*) break;; esac; done
print -r -- $text | grep -o '<[a-z-]*>' | tr -d '<>' | sort -u
"#;
