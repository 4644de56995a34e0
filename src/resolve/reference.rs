//! Parses a reference, and asks the disk for what only the disk knows of it.

use provisioner_core::ModelRef;

use crate::{
    context::{Context, run_blocking},
    error::Result,
};

/// Parses a reference as a person wrote it. A relative path begins at the working directory.
pub(crate) async fn parse(text: &str) -> Result<ModelRef> {
    let text = text.to_owned();
    // A working directory that is gone matters to a relative path alone.
    run_blocking(move || Ok(fetch_file::parse(&text, std::env::current_dir().ok().as_deref())?)).await
}

/// Returns the reference without the `..` that only the disk can resolve, and as its fetcher reads it.
pub(crate) async fn canonical(ctx: &Context, reference: &ModelRef) -> Result<ModelRef> {
    match reference {
        ModelRef::Local(local) if local.as_str().contains("/..") => {
            let local = local.clone();
            run_blocking(move || Ok(ModelRef::Local(fetch_file::tidy(&local)?))).await
        }
        other => ctx.registry.read(other),
    }
}
