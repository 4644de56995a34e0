//! Says how much a test proves: enough to see a fault, or all that the promises say.

/// Returns the first value in the quick tier, and the second one in the long tier, which `MODEL_PROVISIONER_PROVE=full` chooses
/// (`just prove`).
#[expect(clippy::disallowed_methods, reason = "a switch for developers")]
pub fn tier<T>(quick: T, full: T) -> T {
    if std::env::var("MODEL_PROVISIONER_PROVE").is_ok_and(|tier| tier == "full") { full } else { quick }
}
