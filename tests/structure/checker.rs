//! The checker itself, on small invented trees: it finds what it must, and nothing else.

use std::path::{Path, PathBuf};

use crate::{
    modules::{Tree, roots},
    rules,
};

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect()
}

/// Finds the circles of a library, and compares the files of each with what is expected.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let named: Vec<_> = files.iter().map(|(path, text)| (format!("c/src/{path}"), *text)).collect();
    let named: Vec<_> = named.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let found = rules::circles(&tree(&named));
    let first = |told: &String| {
        let first = told.lines().next().unwrap_or_default().rsplit(": ").next().unwrap_or_default();
        first.replace("c/src/", "")
    };
    assert_eq!(found.iter().map(first).collect::<Vec<_>>(), expected, "{found:#?}");
}

#[test]
fn two_files_that_import_each_other_are_a_circle() {
    let (a, b) = (("a.rs", "use crate::b::B;\npub struct A;"), ("b.rs", "use super::a::A;\npub struct B;"));
    check(&[("lib.rs", "mod a;\nmod b;"), a, b], &["a.rs, b.rs"]);
    check(&[("lib.rs", "mod a;\nmod b;"), a, ("b.rs", "pub struct B;")], &[]);
}

#[test]
fn a_circle_over_three_files_is_one() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{b::B, c};\npub struct A;"),
        ("b.rs", "use crate::c::C;\npub struct B;"),
        ("c.rs", "use crate::a::*;\npub struct C;"),
    ];
    check(&files, &["a.rs, b.rs, c.rs"]);
}

#[test]
fn two_circles_of_one_crate_are_told_apart() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
        ("c.rs", "use crate::{d::D, a::A}; pub struct C;"),
        ("d.rs", "use crate::c::C; pub struct D;"),
    ];
    check(&files, &["a.rs, b.rs", "c.rs, d.rs"]);
}

#[test]
fn a_parent_and_a_child_are_a_circle_only_where_each_imports_the_other() {
    let child = ("a/b.rs", "use super::A;\npub struct B;");
    check(&[("lib.rs", "mod a;"), ("a.rs", "mod b;\npub struct A;"), child], &[]);
    check(&[("lib.rs", "mod a;"), ("a.rs", "mod b;\nuse b::B;\npub struct A;"), child], &["a/b.rs, a.rs"]);
    check(
        &[("lib.rs", "mod a;"), ("a.rs", "mod b;\npub use self::b::B;\npub struct A;"), child],
        &["a/b.rs, a.rs"],
    );
    check(
        &[("lib.rs", "mod a;"), ("a/mod.rs", "mod b;\nuse b::B;\npub struct A;"), child],
        &["a/b.rs, a/mod.rs"],
    );
}

#[test]
fn a_re_export_leads_to_the_file_that_declares_the_item() {
    let files = [
        ("lib.rs", "mod a; mod b;\npub use a::{A as Renamed, *};\npub use b::B;"),
        ("a.rs", "pub struct A; pub struct Other;"),
        ("b.rs", "use crate::{Other, Renamed};\npub struct B;"),
    ];
    check(&files, &[]);
    let back = ("a.rs", "use crate::B;\npub struct A; pub struct Other;");
    check(&[files[0], back, files[2]], &["a.rs, b.rs"]);
}

#[test]
fn what_the_root_declares_belongs_to_the_root() {
    let root = ("lib.rs", "mod a;\npub use a::A;\npub fn helper() {}");
    check(&[root, ("a.rs", "pub struct A;\nfn f() { crate::helper() }")], &["a.rs, lib.rs"]);
}

#[test]
fn a_path_in_the_code_is_an_import_too() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn a() { crate::b::b() }"),
        ("b.rs", "pub fn b() { super::a::a() }"),
    ];
    check(&files, &["a.rs, b.rs"]);
}

#[test]
fn modules_between_braces_belong_to_their_file() {
    let inner = "mod inner { use super::A; use crate::b::B; pub struct I; }\npub struct A;";
    check(
        &[("lib.rs", "mod a; mod b;"), ("a.rs", inner), ("b.rs", "use crate::a::inner::I; pub struct B;")],
        &["a.rs, b.rs"],
    );
}

#[test]
fn comments_texts_and_unit_tests_import_nothing() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "// use crate::b::B;\npub struct A; const T: &str = \"use crate::b::B;\";"),
        ("b.rs", "use crate::a::A;\npub struct B;\n"),
    ];
    check(&files, &[]);
    let tested = ("a.rs", "pub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }");
    check(&[files[0], tested, files[2]], &[]);
    let beside = ("a.rs", "pub struct A;\n#[cfg(test)]\nmod tests;");
    check(&[files[0], beside, ("a/tests.rs", "use super::*; use crate::b::B;"), files[2]], &[]);
}

#[test]
fn other_crates_are_no_matter() {
    check(&[("lib.rs", "mod a; pub use core_of::*;"), ("a.rs", "use crate::Digest; use std::fmt;")], &[]);
}

#[test]
fn a_module_from_another_folder_is_no_matter() {
    check(
        &[
            ("lib.rs", "#[path = \"../../example.rs\"] mod example; mod a; use a::A;"),
            ("a.rs", "use crate::example::E; pub struct A;"),
        ],
        &[],
    );
}

#[test]
fn a_circle_is_told_with_its_lines() {
    let files = tree(&[
        ("c/src/lib.rs", "mod a; mod b;"),
        ("c/src/a.rs", "\nuse crate::b::{B, self};\npub struct A;"),
        ("c/src/b.rs", "pub struct B;\nfn f(_: crate::a::A) {}"),
    ]);
    let told = rules::circles(&files);
    let expected = "c/src/lib.rs: 2 files in a circle: c/src/a.rs, c/src/b.rs
    c/src/a.rs:2 imports c/src/b.rs (`crate::b`)
    c/src/b.rs:2 imports c/src/a.rs (`crate::a::A`)";
    assert_eq!(told, [expected]);
}

#[test]
fn every_sort_of_crate_has_its_root() {
    let files = tree(&[
        ("src/lib.rs", ""),
        ("src/a.rs", ""),
        ("src/tests/main.rs", ""),
        ("crates/x/src/main.rs", ""),
        ("tests/one.rs", ""),
        ("tests/many/main.rs", ""),
        ("tests/many/part.rs", ""),
        ("examples/e.rs", ""),
        ("fuzz/targets/t.rs", ""),
    ]);
    let found: Vec<_> = roots(&files).iter().map(|root| root.display().to_string()).collect();
    let expected = [
        "crates/x/src/main.rs",
        "examples/e.rs",
        "fuzz/targets/t.rs",
        "src/lib.rs",
        "tests/many/main.rs",
        "tests/one.rs",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_import_of_a_later_step_is_found() {
    let steps = ["first", "absent", "second"];
    let files = |first: &str, second: &str| {
        tree(&[
            ("src/lib.rs", "mod first; mod second; mod shared;\npub use second::S;"),
            ("src/first.rs", "mod part;"),
            ("src/first/part.rs", first),
            ("src/second.rs", second),
            ("src/shared.rs", ""),
        ])
    };
    let found = |first: &str, second: &str| rules::backward(&files(first, second), Path::new("src"), &steps);
    assert_eq!(found("use crate::shared;", "pub struct S;\nuse crate::first::part;"), Vec::<String>::new());
    let told = "src/first/part.rs:1 imports src/second.rs of a later step (`crate::S`)";
    assert_eq!(found("use crate::S;", "pub struct S;"), [told]);
}

#[test]
fn long_files_and_strewn_methods_are_found() {
    let files = tree(&[
        ("src/a.rs", "pub struct P {}\nimpl P {}\n"),
        ("src/b.rs", "\n\nimpl P {\n}\n"),
        ("src/c.rs", "struct P;\nimpl P {}\n"),
        ("src/d.rs", "impl Path {}\n// impl P {}"),
    ]);
    assert_eq!(rules::too_long(&files, 3), ["src/b.rs has 4 lines"]);
    assert_eq!(rules::strewn(&files, Path::new("src"), "P"), ["src/b.rs has an `impl P`"]);
}
