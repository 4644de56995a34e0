//! Begins a call anew when another process changed the model's record.

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with a conflict so often, and then returns what `end` returns.
    async fn tried(conflicts: usize, end: impl Fn() -> Result<()>) -> (Result<()>, usize) {
        let mut attempts = 0;
        let outcome = retry_on_conflict("local:/a", || {
            attempts += 1;
            let outcome = if attempts > conflicts { end() } else { Err(Error::conflict("local:/a")) };
            async { outcome }
        });
        (outcome.await, attempts)
    }

    #[tokio::test]
    async fn only_a_conflict_is_tried_again_and_not_for_ever() {
        assert!(matches!(tried(2, || Ok(())).await, (Ok(()), 3)));
        let refused = || Err(Error::Retired { id: String::new() });
        assert!(matches!(tried(2, refused).await, (Err(Error::Retired { .. }), 3)));
        assert!(matches!(tried(usize::MAX, || Ok(())).await, (Err(Error::Contended { .. }), MAX_ATTEMPTS)));
    }
}
