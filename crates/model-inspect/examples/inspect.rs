//! Prints what a model says of itself, as JSON: `inspect PATH…`. The benchmarks and the tests beside the Python reader
//! run it as a process of its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    for path in std::env::args_os().skip(1) {
        match model_inspect::inspect(Path::new(&path)) {
            Ok(found) => println!("{}", serde_json::json!(found.details)),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
