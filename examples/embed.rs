//! Turns a reference into a verified local path, in a program without an async runtime.
//!
//! `cargo run --example embed -- CACHE REF`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{env, error::Error, path::PathBuf};

use model_provisioner::{Expectation, blocking::ModelProvisioner};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let cache = args.next().unwrap_or_else(|| "target/example-cache".to_owned());
    let reference = args.next().unwrap_or_else(|| "examples/tiny.gguf".to_owned());
    println!("{}", embed(&cache, &reference)?.display());
    Ok(())
}

/// Returns the path of a model, which an engine in this process can open.
///
/// # Errors
/// Where the reference, the model or the cache is not sound.
pub(crate) fn embed(cache: &str, reference: &str) -> Result<PathBuf, model_provisioner::Error> {
    let provisioner = ModelProvisioner::file_only(cache)?;
    let model = provisioner.ensure_str(reference, &Expectation::none())?;
    println!("{}: {}", model.id, model.verification.reason);
    Ok(model.local_path)
}
