//! Arguments of `run`.

use std::ffi::OsString;

use clap::Args;

use super::ensure::EnsureOptions;

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  model-provisioner run hf:org/repo:Q4_K_M -- llama-server -m {path} --port 8080
      fetches the model if need be, and becomes the engine: same process, signals and exit status
  model-provisioner run /models/a.gguf --supervise -- sudo -u llm llama-server -m {path}
      stays beside an engine whose starter would close the lease
  model-provisioner run hf:org/repo:Q4_K_M
      prints the path, and keeps the model until its standard input closes

In the program and its arguments, {path}, {id}, {handoff} and {mmproj} are filled in; a model without a projector has no
{mmproj}. Without --handoff, {handoff} is a file of that model's own below .runtime/engines in the working directory; where
it is not used, the handoff goes to .runtime/engines/llamacpp.json there, if that can be written.

Exit status:
  that of the program; 126 where it cannot be executed, 127 where it does not exist";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A model reference: a path, or `hf:org/repo…`, `hf.co/…` or a page of the Hub
    #[arg(value_name = "REF")]
    pub(crate) reference: OsString,
    #[command(flatten)]
    pub(crate) options: EnsureOptions,
    /// Stay beside the program, where it or its starter would close the lease
    #[arg(long, requires = "program")]
    pub(crate) supervise: bool,
    /// The program to become, and its arguments
    #[arg(last = true, value_names = ["PROGRAM", "ARGS"])]
    pub(crate) program: Vec<OsString>,
}
