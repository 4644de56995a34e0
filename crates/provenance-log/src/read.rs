//! Reads a log from its first line to its last, and checks the chain.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    chain::{Chain, Chained, Place},
    error::{Error, Result},
    fault::{Fault, FaultKind},
    files::{open, segments},
    gap::Gap,
    line::{Parsed, VERSION, parse},
    lines::Lines,
    log::Log,
    position::Position,
};

/// How many bytes a read takes.
const READ_BYTES: usize = 256 << 10;

/// Shows one line of a log to a visitor.
#[derive(Debug)]
pub struct LogLine<'a> {
    /// The number and the hash; `None` for a line without a chain.
    pub position: Option<Position>,
    /// The file that has the line.
    pub file: &'a Path,
    /// The number of the line in that file, from 1 on.
    pub line: u64,
    /// The bytes, without the newline.
    pub text: &'a [u8],
}

/// Says what a walk over a whole log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The last line of the chain; `None` where the log has none.
    pub head: Option<Position>,
    /// How many lines the chain has.
    pub lines: u64,
    /// How many files the log has.
    pub files: u64,
    /// How many torn tails later lines tell of.
    pub torn: u64,
    /// The length of what a writer that died left behind the last line, in bytes.
    pub torn_tail_bytes: u64,
    /// The length of what the log held before its first chained line, in bytes.
    pub unchained_bytes: u64,
    /// The first line that is wrong; `None` where every line is right.
    pub fault: Option<Fault>,
}

/// Holds a log as it was at one moment: writers go on behind it.
struct Snapshot {
    earlier: Vec<PathBuf>,
    current: Option<(File, u64)>,
}

/// Says what a walk wants of each line: to go on, or to stop with a fault or at the wish of the caller.
enum Stop {
    Fault(Fault),
    Error(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Log {
    /// Shows every line to a visitor, in order, until the visitor returns `false`. It checks nothing.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Stopped`].
    pub fn read(&self, wait: Duration, visit: &mut dyn FnMut(&LogLine<'_>) -> bool) -> Result<()> {
        let snapshot = self.snapshot(wait)?;
        self.each_file(snapshot, &mut |lines, file| {
            while let Some(line) = lines.next()? {
                let position = match parse(line.text) {
                    Parsed::Link(link) => Some(Position::of(link.seq, line.text)),
                    _ => None,
                };
                if !visit(&LogLine { position, file, line: line.number, text: line.text }) {
                    return Err(Error::Stopped.into());
                }
            }
            Ok(())
        })
        .or_else(|stop| match stop {
            Stop::Error(error) => Err(error),
            Stop::Fault(_) => Ok(()),
        })
    }

    /// Checks the chain from the first line to the last, in bounded memory. Shows every line of the chain to a visitor, until the
    /// visitor returns `false`.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Stopped`]. A line that is wrong is not an error of this call: the report names it.
    pub fn verify(&self, wait: Duration, visit: &mut dyn FnMut(&LogLine<'_>) -> bool) -> Result<Report> {
        let snapshot = self.snapshot(wait)?;
        let files = snapshot.earlier.len() as u64 + u64::from(snapshot.current.is_some());
        let (mut chain, mut gap, current) = (Chain::default(), Gap::default(), self.path());
        let walked = self.each_file(snapshot, &mut |lines, file| {
            follow(&mut chain, &mut gap, lines, file, visit)?;
            // A writer goes on behind a torn tail in the same file.
            if file != current && !gap.is_empty() {
                let what = "it is not a line of the log";
                return Err(Stop::Fault(Fault {
                    line: gap.first_line,
                    ..at(file, FaultKind::Foreign, what)
                }));
            }
            Ok(())
        });
        let report = |chain: &Chain| Report {
            head: chain.head(),
            lines: chain.lines,
            files,
            torn: chain.torn,
            unchained_bytes: chain.unchained_bytes,
            ..Report::default()
        };
        let so_far = report(&chain);
        let ended = match walked {
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fault(fault)) => Err(fault),
            Ok(()) => chain.end(&gap, self.path()),
        };
        Ok(match ended {
            Err(fault) => Report { fault: Some(fault), ..so_far },
            Ok(chain) if chain.lines == 0 => Report { unchained_bytes: gap.span().bytes, ..so_far },
            Ok(chain) => Report { torn_tail_bytes: gap.span().bytes, ..report(&chain) },
        })
    }

    /// Looks which files there are, and how long the one is that grows.
    fn snapshot(&self, wait: Duration) -> Result<Snapshot> {
        let _lock = durable_fs::lock_shared_found(&self.lock_path(), wait)?;
        let earlier = segments(&self.folder)?.into_iter().map(|segment| segment.path).collect();
        let current = open(&self.path())?;
        let current = current.map(|file| file.metadata().map(|found| (file, found.len()))).transpose()?;
        Ok(Snapshot { earlier, current })
    }

    fn each_file(&self, snapshot: Snapshot, walk: &mut Walk<'_>) -> std::result::Result<(), Stop> {
        for path in snapshot.earlier {
            let Some(file) = open(&path)? else { continue };
            walk(&mut reader(file, u64::MAX), &path)?;
        }
        let Some((mut file, len)) = snapshot.current else { return Ok(()) };
        file.rewind()?;
        walk(&mut reader(file, len), &self.path())
    }
}

/// Walks over one file.
type Walk<'a> = dyn FnMut(&mut Lines<Reader>, &Path) -> std::result::Result<(), Stop> + 'a;

type Reader = BufReader<std::io::Take<File>>;

fn reader(file: File, len: u64) -> Lines<Reader> {
    Lines::new(BufReader::with_capacity(READ_BYTES, file.take(len)))
}

fn at(file: &Path, kind: FaultKind, what: &str) -> Fault {
    Fault { kind, file: file.to_owned(), line: 1, what: what.to_owned() }
}

/// Follows the chain through one file.
fn follow(
    chain: &mut Chain,
    gap: &mut Gap,
    lines: &mut Lines<Reader>,
    file: &Path,
    visit: &mut dyn FnMut(&LogLine<'_>) -> bool,
) -> std::result::Result<(), Stop> {
    let name: Arc<Path> = file.into();
    while let Some(line) = lines.next()? {
        let parsed = if line.is_whole { parse(line.text) } else { Parsed::Other };
        let place = Place { file: Arc::clone(&name), line: line.number };
        match parsed {
            Parsed::Link(link) => {
                let position = Position::of(link.seq, line.text);
                let shown = LogLine { position: Some(position), file, line: line.number, text: line.text };
                chain.push(Chained { link, position, place }, gap).map_err(Stop::Fault)?;
                *gap = Gap::default();
                if !visit(&shown) {
                    return Err(Error::Stopped.into());
                }
            }
            Parsed::Newer(found) => {
                let what = format!("it has version {found}, and this release knows version {VERSION}");
                return Err(Stop::Fault(Fault { line: line.number, ..at(file, FaultKind::Newer, &what) }));
            }
            Parsed::Other => gap.add(&line),
        }
    }
    Ok(())
}
