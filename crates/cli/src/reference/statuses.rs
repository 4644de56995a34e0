//! Writes the exit statuses.

use std::{collections::BTreeMap, fmt::Write as _};

use model_provisioner::{Category, ErrorCode};

use crate::exit::number;

/// Returns the part of the page on exit statuses.
pub(super) fn section() -> String {
    let mut text = String::from(
        "\n## Exit statuses\n\nEach failure has a code as well: [error-codes.md](error-codes.md) says what happened, and \
         what to do.\n\n| exit | meaning | codes |\n| --- | --- | --- |\n| 0 | done | |\n",
    );
    let mut rows: BTreeMap<u8, (&str, Vec<String>)> = BTreeMap::new();
    for code in ErrorCode::ALL {
        let row = rows.entry(number(code.category())).or_insert((meaning(code.category()), Vec::new()));
        row.1.push(format!("`{code}`"));
    }
    for (status, (meaning, codes)) in rows {
        writeln!(text, "| {status} | {meaning} | {} |", codes.join(", ")).unwrap();
    }
    text.push_str(
        "\n`run` ends with the status of its program; 128 and the signal, where a signal ended it.\n\
         \nA second interrupt or `SIGTERM` ends the command at once, with 130 or 143.\n",
    );
    text
}

fn meaning(category: Category) -> &'static str {
    match category {
        Category::Other => "another failure",
        Category::Usage => {
            "an option, a reference, a digest or a config makes no sense; this build has no source for a scheme"
        }
        Category::NotFound => "a file, a shard or a record does not exist",
        Category::Verification => "verification failed, or the model is truncated or inconsistent",
        Category::Denied => "the policy denies it; the model is retired; its format can run code",
        Category::Unavailable => "the source cannot be reached, or its answer makes no sense",
        Category::Authentication => "the source wants other credentials",
        Category::Storage => "no space, no permission, a read-only disk, a damaged or newer record",
        Category::Busy => "another process holds it, or uses it",
        Category::NotExecutable => "`run` cannot execute the program",
        Category::NoProgram => "the program of `run` does not exist",
        Category::Interrupted => "the user interrupted it",
        Category::Terminated => "`SIGTERM` ended it; a parent process sees the signal itself",
    }
}
