//! Prints the format of each file at the paths that it is given, by contents and name, and how many have each: `formats PATH…`.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::{collections::BTreeMap, io, path::PathBuf};

use model_inspect::{Seekable, format_of};

fn main() -> io::Result<()> {
    let mut open: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (mut files, mut counts) = (Vec::new(), BTreeMap::<_, usize>::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs_err::read_dir(path)? {
                open.push(entry?.path());
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let format = format_of(&name, &mut Seekable::new(fs_err::File::open(&path)?)?)?.as_str();
        println!("{format}\t{}", path.display());
        *counts.entry(format).or_default() += 1;
    }
    println!("{counts:?}");
    Ok(())
}
