//! Trying again when another process changed what a call is about.

use crate::error::{Error, Result};

/// How often a call begins anew because other processes change the same record.
const MAX_ATTEMPTS: usize = 100;

/// Returns the first outcome of `attempt` that is not a [conflict](Error::is_conflict). Each attempt reads the record anew.
///
/// # Errors
/// [`Error::Contended`] where other processes change the record of `id` during every attempt.
pub(crate) async fn retry_on_conflict<T, F>(id: &str, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for _ in 0..MAX_ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
    Err(Error::Contended { id: id.to_owned() })
}
