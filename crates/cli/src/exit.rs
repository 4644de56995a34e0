//! Maps each kind of failure to an exit status.

use std::process::ExitCode;

use model_provisioner::{Category, ErrorCode};

/// Returns the exit status of a code.
pub(crate) fn status(code: ErrorCode) -> ExitCode {
    ExitCode::from(number(code.category()))
}

/// Returns the exit status of a kind of failure: the one table.
pub(crate) const fn number(category: Category) -> u8 {
    match category {
        Category::Other => 1,
        Category::Usage => 2,
        Category::NotFound => 3,
        Category::Verification => 4,
        Category::Denied => 5,
        Category::Unavailable => 6,
        Category::Authentication => 7,
        Category::Storage => 8,
        Category::Busy => 9,
        Category::NotExecutable => 126,
        Category::NoProgram => 127,
        Category::Interrupted => 130,
        Category::Terminated => 143,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use model_provisioner::ErrorCode;

    use super::number;
    use crate::output::hint;

    #[test]
    fn the_reference_of_codes_is_current() {
        let mut page = String::from(
            "# Error codes\n\nGenerated from the table in `crates/provisioner-core/src/code.rs`; \
             `UPDATE_GENERATED=1 cargo test --workspace` writes it anew.\n\n\
             With `--json` a failure is `{\"error\": {\"code\", \"message\", \"hint\", \"retriable\"}}`. \
             A retriable one may go away though neither the user nor the operator changes anything.\n\n\
             | code | exit | retriable | what happened | next step |\n| --- | --- | --- | --- | --- |\n",
        );
        for &code in ErrorCode::ALL {
            let retriable = if code.is_retriable() { "yes" } else { "no" };
            let (exit, meaning) = (number(code.category()), code.meaning());
            let hint = code.hint().map_or_else(|| "as the message says".to_owned(), |hint| hint::text(&hint));
            writeln!(page, "| `{code}` | {exit} | {retriable} | {meaning} | {hint} |").unwrap();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/error-codes.md");
        testkit::assert_current(path.as_ref(), page.as_bytes());
    }
}
