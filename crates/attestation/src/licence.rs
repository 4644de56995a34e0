//! Knows the SPDX ids of the licences that models name.

/// The licences as hubs write them, in lower case, and their ids in the SPDX License List 3.25.
const SPDX: [(&str, &str); 34] = [
    ("afl-3.0", "AFL-3.0"),
    ("agpl-3.0", "AGPL-3.0-only"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-3-clause-clear", "BSD-3-Clause-Clear"),
    ("bsl-1.0", "BSL-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("cc-by-2.0", "CC-BY-2.0"),
    ("cc-by-3.0", "CC-BY-3.0"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-nc-2.0", "CC-BY-NC-2.0"),
    ("cc-by-nc-3.0", "CC-BY-NC-3.0"),
    ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
    ("cc-by-nc-nd-4.0", "CC-BY-NC-ND-4.0"),
    ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
    ("cc-by-nd-4.0", "CC-BY-ND-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("ecl-2.0", "ECL-2.0"),
    ("epl-2.0", "EPL-2.0"),
    ("eupl-1.1", "EUPL-1.1"),
    ("eupl-1.2", "EUPL-1.2"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("isc", "ISC"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-3.0", "LGPL-3.0-only"),
    ("mit", "MIT"),
    ("mpl-2.0", "MPL-2.0"),
    ("ofl-1.1", "OFL-1.1"),
    ("unlicense", "Unlicense"),
    ("zlib", "Zlib"),
];

/// Returns the SPDX id of a licence as a model names it; `None` for one that is not on the list, such as `llama3`.
pub(crate) fn spdx_id(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase();
    SPDX.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_found_in_any_letter_case() {
        assert_eq!(spdx_id("Apache-2.0"), Some("Apache-2.0"));
        assert_eq!(spdx_id("gpl-3.0"), Some("GPL-3.0-only"));
        assert_eq!(spdx_id("llama3"), None);
    }

    #[test]
    fn every_name_stands_once() {
        let names: std::collections::BTreeSet<_> = SPDX.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SPDX.len());
    }
}
