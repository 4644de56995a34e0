//! Every file that the documents link to exists.

use std::path::Path;

#[test]
fn every_relative_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/benchmarks.md",
        "docs/cache.md",
        "docs/cli.md",
        "docs/config.md",
        "docs/engines.md",
        "docs/fuzzing.md",
        "docs/library.md",
        "docs/memory.md",
        "docs/references.md",
    ] {
        let text = fs_err::read_to_string(root.join(name)).unwrap_or_default();
        assert!(!text.is_empty(), "{name}");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !link.starts_with('#') {
                let folder = root.join(name).parent().map(Path::to_owned).unwrap_or_default();
                assert!(folder.join(link).exists(), "{name} links to {link}");
                links += 1;
            }
        }
    }
    assert!(links > 4, "only {links} links");
}
