//! The file of the trail. It is only ever appended to, by one process.
//!
//! A write that was cut off, by a crash or a full disk, leaves a part of a line at the end. It stays
//! where it is: the next record but one's own line feed says how long it is and what it hashes to, and
//! the chain goes on behind it.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::chain::{Fault, Link, Seal, sha256};

/// More than was ever written at once: the last whole record is within.
const TAIL: u64 = 4 << 20;
/// How the first line of every chain begins.
const BEGINNING: &[u8] = b"{\"sequence\":1,";

/// Where lines go. There is the file, and what tests make of one.
pub(super) trait Disk: Send {
    /// Opens the file of the name, unless that is the one that is open, and finds the end of the
    /// chain. A new file goes on with the chain of the old one.
    fn open(&mut self) -> io::Result<Tail>;

    /// Whether the file of the name is another one than was opened.
    fn is_moved(&self) -> bool;

    /// Lines are on disk when this returns. After an error any part of them may be.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// The end of a file.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) link: Link,
    /// The last line lacks its end.
    pub(super) needs_line_feed: bool,
    pub(super) torn: Option<Torn>,
}

/// What stands behind the last record and is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Torn {
    /// Together with the line feed that ends it.
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

pub(super) struct File {
    path: PathBuf,
    seal: Seal,
    open: Option<fs::File>,
}

impl File {
    pub(super) fn new(path: PathBuf, seal: Seal) -> Self {
        Self {
            path,
            seal,
            open: None,
        }
    }

    fn tail(&self, file: &fs::File) -> io::Result<Tail> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(TAIL);
        let mut bytes = vec![0; usize::try_from(length - start).expect("the tail fits memory")];
        file.read_exact_at(&mut bytes, start)?;
        find(bytes, start == 0, &self.seal).map_err(io::Error::other)
    }
}

impl Disk for File {
    fn open(&mut self) -> io::Result<Tail> {
        if let Some(open) = &self.open
            && !self.is_moved()
        {
            return self.tail(open);
        }
        let file = create(&self.path)?;
        let mut tail = self.tail(&file)?;
        if let Some(old) = &self.open
            && file.metadata()?.len() == 0
        {
            tail.link = self.tail(old)?.link;
        }
        self.open = Some(file);
        Ok(tail)
    }

    fn is_moved(&self) -> bool {
        let Some(open) = &self.open else { return true };
        let same = open.metadata().and_then(|open| {
            let named = fs::metadata(&self.path)?;
            Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
        });
        !same.unwrap_or(false)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let file = self.open.as_mut().expect("it was opened before");
        file.write_all(lines)?;
        file.sync_data()
    }
}

/// Opens the file for this process alone; a new one is its owner's.
fn create(path: &Path) -> io::Result<fs::File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(io::Error::other("another process writes it"));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // A new file is as lasting as its entry in its directory.
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// Finds the last record, and what is behind it.
fn find(mut bytes: Vec<u8>, is_whole: bool, seal: &Seal) -> Result<Tail, &'static str> {
    let needs_line_feed = bytes.last().is_some_and(|last| *last != b'\n');
    if needs_line_feed {
        bytes.push(b'\n');
    }
    let mut end = bytes.len();
    while end > 0 {
        let start = after_line_feed(&bytes[..end - 1]);
        match seal.read(&bytes[start..end - 1]) {
            Ok(read) => {
                return Ok(Tail {
                    link: read.link(),
                    needs_line_feed,
                    torn: torn(&bytes[end..]),
                });
            }
            Err(Fault::WrongHash) => {
                return Err("its last record was changed, or made with another key");
            }
            Err(Fault::NoRecord) => end = start,
        }
    }
    match is_whole && (bytes.is_empty() || begins_chain(&bytes)) {
        true => Ok(Tail {
            link: Link::first(),
            needs_line_feed,
            torn: torn(&bytes),
        }),
        false => Err("it is something else than an audit trail"),
    }
}

/// Whether this may be what is left of the very first write.
fn begins_chain(lines: &[u8]) -> bool {
    let first = lines.split(|byte| *byte == b'\n').next();
    first.is_some_and(|first| {
        let common = first.len().min(BEGINNING.len());
        common > 0 && first[..common] == BEGINNING[..common]
    })
}

/// Where the line begins that these bytes end in.
fn after_line_feed(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    last.map_or(0, |at| at + 1)
}

fn torn(lines: &[u8]) -> Option<Torn> {
    (!lines.is_empty()).then(|| Torn {
        bytes: lines.len() as u64,
        sha256: sha256(lines),
    })
}
