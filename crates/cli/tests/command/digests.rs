//! The digests are those of `sha256sum`.

use std::process::Command;

use testkit::tier;

use crate::fixture::Fixture;

/// `sha256sum` of five gibibytes of zeros.
const FIVE_GIB_OF_ZEROS: &str = "7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5";

fn computed(bench: &Fixture, name: &str) -> String {
    assert_eq!(bench.run(&["ensure", name, "-q"]).status, 0);
    assert_eq!(bench.run(&["verify", name]).status, 0);
    bench.json(&["show", name])["digest"]["value"].as_str().unwrap().to_owned()
}

fn sha256sum(bench: &Fixture, name: &str) -> String {
    let output = Command::new("sha256sum").arg(bench.path(name)).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn are_those_of_sha256sum() {
    let bench = Fixture::new();
    for size in [0, 1, 65535, 65536, 65537, 262_143, 262_145, 3_000_001] {
        let bytes: Vec<u8> = (0..size).map(|n: usize| u8::try_from(n * 7 % 251).unwrap()).collect();
        let name = format!("{size}.bin");
        bench.file(&name, bytes);
        assert_eq!(computed(&bench, &name), sha256sum(&bench, &name), "{size} bytes");
    }
}

#[test]
fn go_past_four_gibibytes() {
    let bench = Fixture::new();
    fs_err::File::create(bench.path("large.bin")).unwrap().set_len(5 << 30).unwrap();
    assert_eq!(bench.json(&["ensure", "large.bin"])["size_bytes"], 5u64 << 30);
    // To hash them takes ten seconds of a processor.
    if tier(false, true) {
        assert_eq!(computed(&bench, "large.bin"), FIVE_GIB_OF_ZEROS);
    }
}

#[test]
fn of_a_folder_are_those_of_the_table() {
    let bench = Fixture::new();
    for name in ["repo/b", "repo/a b", "repo/sub/c", "repo/B"] {
        bench.file(name, name);
    }
    let table = Command::new("sh")
        .args([
            "-c",
            "find . -type f | cut -c3- | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum",
        ])
        .current_dir(bench.path("repo"))
        .output()
        .unwrap();
    assert_eq!(computed(&bench, "repo"), String::from_utf8(table.stdout).unwrap()[..64]);
}
