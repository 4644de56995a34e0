use super::*;
use crate::staging::kind::can_go_on;

#[test]
fn a_dead_processs_partial_is_resumed_and_a_live_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let first = store.partial("a", 10, "model", &store.resumable().unwrap()).unwrap();
    fs_err::write(first.file().data, "bytes").unwrap();
    fs_err::write(first.file().journal, "").unwrap();
    let beside = store.partial("a", 10, "model", &store.resumable().unwrap()).unwrap();
    assert!(!beside.file().data.exists(), "the first one lives");
    beside.discard().unwrap();
    drop(first);
    assert!(
        !store.partial("b", 10, "model", &store.resumable().unwrap()).unwrap().file().data.exists(),
        "another file"
    );
    let resumed = store.partial("a", 10, "model", &store.resumable().unwrap()).unwrap();
    assert_eq!(fs_err::read(resumed.file().data).unwrap(), b"bytes");
    resumed.discard().unwrap();
}

/// Makes the folder of each kind look like one of another kind.
#[test]
fn one_kind_is_never_taken_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let precious = dir.path().join("precious");
    fs_err::create_dir(&precious).unwrap();
    for name in ["data", ".model.json"] {
        fs_err::write(precious.join(name), "precious").unwrap();
    }
    let root = store.models().join("hf/org/repo/abc/all");
    let makers: [&dyn Fn() -> Partial; 3] = [
        &|| store.partial("a", 10, "model", &store.resumable().unwrap()).unwrap(),
        &|| store.partial_of_small("model", &store.resumable().unwrap()).unwrap(),
        &|| store.begin_view(&root).unwrap(),
    ];
    for make in makers {
        let folder = make().folder().to_owned();
        let _ = fs_err::remove_dir_all(folder.join("small"));
        let _ = fs_err::remove_dir_all(folder.join("view"));
        std::os::unix::fs::symlink(&precious, folder.join("view")).unwrap();
        std::os::unix::fs::symlink(&precious, folder.join("small")).unwrap();
        fs_err::hard_link(precious.join("data"), folder.join("data")).unwrap();
        fs_err::write(folder.join("journal"), "").unwrap();
        assert_ne!(make().folder(), folder, "it is not taken over");
        store.sweep().unwrap();
        assert!(!folder.exists(), "no process can go on from it");
    }
    // A folder that looks like two kinds is taken for the one that is whole.
    let folder = makers[0]().folder().to_owned();
    fs_err::hard_link(precious.join("data"), folder.join("data")).unwrap();
    fs_err::write(folder.join("journal"), "").unwrap();
    fs_err::create_dir(folder.join("view")).unwrap();
    fs_err::write(folder.join("view/.model.json"), "{}").unwrap();
    assert!(can_go_on(&folder));
    assert_ne!(makers[0]().folder(), folder, "it is not taken over");
    for name in ["data", ".model.json"] {
        assert_eq!(fs_err::read_to_string(precious.join(name)).unwrap(), "precious");
    }
}

#[test]
fn what_dying_processes_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let alive = store.partial("a", 10, "model", &ResumableTransfers::default()).unwrap();
    for (name, files) in [
        (".new.1", &[][..]),
        (".new.2", &["lock"]),
        (".gone.3", &["data"]),
        ("key.4", &["lock", "journal"]),
        ("key.5", &["lock", "size", "view"]),
        ("key.6", &["lock"]),
        ("key.7", &["lock", "about", "linked"]),
    ] {
        let folder = store.partials().join(name);
        fs_err::create_dir(&folder).unwrap();
        for file in files {
            fs_err::write(folder.join(file), "").unwrap();
        }
    }
    let _died_here = store.scrap().unwrap().keep().unwrap();
    store.sweep().unwrap();
    assert_eq!(entries(&store.partials()).unwrap(), [alive.folder()]);
}

#[test]
fn what_others_put_among_small_files_goes_when_the_folder_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().to_owned());
    let precious = dir.path().join("precious");
    fs_err::write(&precious, "precious").unwrap();
    let take = || store.partial_of_small("model", &store.resumable().unwrap()).unwrap();
    let small = take().folder().join("small");
    for name in ["own", "own.journal", "b.linked/c"] {
        durable_fs::create_folders(small.join(name).parent().unwrap()).unwrap();
        fs_err::write(small.join(name), "own").unwrap();
    }
    fs_err::create_dir(small.join("folder")).unwrap();
    fs_err::hard_link(&precious, small.join("hard")).unwrap();
    fs_err::hard_link(&precious, small.join("a.linked")).unwrap();
    std::os::unix::fs::symlink(&precious, small.join("soft")).unwrap();
    let partial = take();
    let left = durable_fs::entries(&partial.folder().join("small")).unwrap();
    let left: Vec<_> = left.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(left, ["a.linked", "own", "own.journal"]);
    assert_eq!(fs_err::read_to_string(&precious).unwrap(), "precious");
}
