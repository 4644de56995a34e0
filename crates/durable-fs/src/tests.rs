use std::{
    io::{Read, Write},
    os::unix::fs::symlink,
    path::Path,
};

use rustix::fs::Mode;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs_err::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn replaces_whole_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/file.json");
    replace(&path, b"one").unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(read(&path, 3).unwrap().unwrap(), b"two");
    fs_err::create_dir(dir.path().join("folder")).unwrap();
    assert!(replace(&dir.path().join("folder"), b"x").is_err());
    assert_eq!(names(dir.path()), ["a", "folder"]);
}

#[test]
fn a_writer_that_fails_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.json");
    replace(&path, b"old").unwrap();
    let failed = replace_with(&path, |to| {
        to.write_all(b"ne")?;
        Err(std::io::ErrorKind::FileTooLarge.into())
    });
    assert!(failed.is_err());
    assert_eq!(
        (read(&path, 3).unwrap().unwrap(), names(dir.path())),
        (b"old".to_vec(), vec!["file.json".into()])
    );
    let pieces = |to: &mut dyn Write| (0..1000).try_for_each(|_| to.write_all(&[b'x'; 100]));
    replace_with(&path, pieces).unwrap();
    assert_eq!(read(&path, 1 << 20).unwrap().unwrap(), vec![b'x'; 100_000]);
}

#[test]
fn the_folders_in_a_folder_are_created_where_they_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let above = dir.path().join("a/b");
    for more in ["one", "two"] {
        create_folders_in(&above, ["zero", more].map(Path::new)).unwrap();
    }
    assert_eq!(names(&above), ["one", "two", "zero"]);
    fs_err::write(above.join("file"), "").unwrap();
    assert!(create_folders_in(&above, [Path::new("file")]).is_err());
}

#[test]
fn the_paths_in_a_folder_come_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b", "a"] {
        fs_err::write(dir.path().join(name), "").unwrap();
    }
    let mut paths: Vec<_> = paths_in(dir.path()).unwrap().map(|path| path.unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, entries(dir.path()).unwrap());
    for nothing in ["gone", "a"] {
        assert_eq!(paths_in(&dir.path().join(nothing)).unwrap().count(), 0);
    }
}

#[test]
fn what_dead_writers_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    for name in [".a.json.x1.tmp", ".a.json.b.c.tmp", ".b.json.x2.tmp", "a.json.x3.tmp"] {
        fs_err::write(dir.path().join(name), "").unwrap();
        let (file, _) = fs_err::File::open(dir.path().join(name)).unwrap().into_parts();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    fs_err::write(dir.path().join(".a.json.new.tmp"), "").unwrap();
    replace(&path, b"one").unwrap();
    sweep(&path);
    let left = [".a.json.b.c.tmp", ".a.json.new.tmp", ".b.json.x2.tmp", "a.json", "a.json.x3.tmp"];
    assert_eq!(names(dir.path()), left);
}

#[test]
fn a_symlink_is_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs_err::write(&target, "theirs").unwrap();
    symlink(&target, &link).unwrap();
    let refused = |result: Result<()>| matches!(result, Err(Error::NotOurs { .. }));
    assert!(refused(read(&link, 10).map(drop)) && refused(read_foreign(&link, 10).map(drop)));
    assert!(refused(open_append(&link).map(drop)) && refused(open_found(&link).map(drop)));
    assert!(refused(touch(&link)));
    assert!(refused(lock(&link, std::time::Duration::ZERO).map(drop)));
    assert!(refused(replace(&link, b"ours")));
    assert_eq!(fs_err::read(&target).unwrap(), b"theirs");
}

#[test]
#[ignore = "needs root, to give a file to another user; .ci/run runs it where it is root"]
fn what_belongs_to_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("planted");
    fs_err::write(&path, "theirs").unwrap();
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    assert!(matches!(read(&path, 10), Err(Error::NotOurs { .. })));
    assert_eq!(read_foreign(&path, 10).unwrap().unwrap(), b"theirs");
}

#[test]
fn odd_files_are_refused_and_do_not_hang() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    for path in [&pipe, dir.path()] {
        assert!(matches!(replace(path, b"x"), Err(Error::NotOurs { .. })));
        assert!(matches!(read(path, 10), Err(Error::NotOurs { .. })), "{}", path.display());
        assert!(matches!(read_foreign(path, 10), Err(Error::NotOurs { .. })), "{}", path.display());
    }
    fs_err::write(dir.path().join("large"), [0; 11]).unwrap();
    assert!(matches!(read_foreign(&dir.path().join("large"), 10), Err(Error::NotOurs { .. })));
    assert!(matches!(read(&dir.path().join("large"), 10), Err(Error::NotOurs { .. })));
    assert!(read(&dir.path().join("absent"), 10).unwrap().is_none());
}

#[test]
fn a_file_that_a_user_names_is_regular_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link, pipe) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("pipe"));
    fs_err::write(&file, [7; 10]).unwrap();
    symlink(&file, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    assert_eq!(read_regular(&link, 10).unwrap(), [7; 10]);
    for (path, limit) in [(pipe.as_path(), 10), (dir.path(), 10), (Path::new("/dev/zero"), 10)] {
        assert!(matches!(read_regular(path, limit), Err(Error::NotOurs { .. })), "{}", path.display());
    }
    assert!(matches!(read_regular(&file, 9), Err(Error::TooLarge { limit_bytes: 9, .. })));
    assert!(matches!(read_regular(&dir.path().join("absent"), 10), Err(Error::Io(_))));
}

#[test]
fn what_is_appended_stands_behind_the_rest_and_a_missing_file_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    assert!(open_found(&path).unwrap().is_none());
    for text in ["one\n", "two\n"] {
        open_append(&path).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let mut text = String::new();
    open_found(&path).unwrap().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\ntwo\n");
}

#[test]
fn a_folder_is_listed_in_order_and_what_is_none_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b", "a", ".c"] {
        fs_err::write(dir.path().join(name), "").unwrap();
    }
    let at = |name: &str| dir.path().join(name);
    assert_eq!(entries(dir.path()).unwrap(), [at(".c"), at("a"), at("b")]);
    assert!(entries(&at("a")).unwrap().is_empty() && entries(&at("absent")).unwrap().is_empty());
}
