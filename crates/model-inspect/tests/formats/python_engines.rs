//! Files that the real `PyTorch`, `NumPy`, Keras, joblib and others write are told for what they are, under twenty names each.
//!
//! `just engines` brings the programs to `target/tools/engines`, and `just test-formats` runs this.

#![expect(clippy::print_stderr, reason = "a line for each file, which `--nocapture` shows")]

use std::{path::Path, process::Command};

use model_inspect::{Seekable, format_of};

use crate::NAMES;

/// Programs that an older set of tools lacks.
const MAY_MISS: [&str; 3] = ["keras", "keras-hdf5", "dill"];

#[test]
#[ignore = "needs PyTorch, NumPy, joblib and Keras: `just engines`"]
fn files_of_real_programs_are_told_under_every_name() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = manifest.ancestors().nth(2).unwrap().join("target/tools/engines/bin/python");
    assert!(python.exists(), "`just engines` brings {}", python.display());
    let folder = tempfile::tempdir().unwrap();
    let mut make = Command::new(python);
    make.arg(manifest.join("tests/formats/real/make.py")).arg(folder.path());
    make.env("KERAS_BACKEND", "torch").env("CUDA_VISIBLE_DEVICES", "").env("HOME", folder.path());
    let done = make.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    let (mut files, mut wrong) = (0, Vec::new());
    for line in lines.lines() {
        let [expected, file, program] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        eprintln!("{expected:12} {program}");
        if expected == "missing" {
            assert!(MAY_MISS.contains(&file), "{program}");
            continue;
        }
        files += 1;
        for name in NAMES {
            let mut source = Seekable::new(fs_err::File::open(folder.path().join(file)).unwrap()).unwrap();
            let found = format_of(name, &mut source).unwrap().as_str();
            if found != expected {
                wrong.push(format!("{program} as `{name}`: {found}, and is {expected}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(files >= 50, "{files} files");
    eprintln!("{files} files, {} names each", NAMES.len());
}
