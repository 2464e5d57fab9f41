//! Whether a trail is whole: what was written is there, in its order, and as it was written.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Seal,
    chain::{Fault, Link, Read, sha256},
    record::Event,
};

/// No record is as long.
const LONGEST_LINE: u64 = 4 << 20;

/// What is to be said of a trail.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub records: u64,
    /// When the first and the last of them were written.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Changes whose outcome is not recorded (yet).
    pub unfinished: usize,
    /// How often writes that were cut off have been set aside.
    pub torn: u64,
    /// Bytes of a last line that is not whole: it is being written, or the process died.
    pub cut_off: usize,
    /// The first place where the chain does not hold; what is behind it was not looked at.
    pub broken: Option<Break>,
    /// The newest hash. Kept elsewhere it shows later that nothing was cut off.
    pub hash: Option<String>,
}

/// A place where a chain does not hold.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    pub file: PathBuf,
    pub line: u64,
    pub why: &'static str,
}

/// Checks files that follow each other, the oldest first.
pub fn verify(files: &[PathBuf], seal: &Seal) -> io::Result<Report> {
    let mut check = Check {
        seal,
        report: Report::default(),
        link: None,
        intents: HashSet::new(),
    };
    for file in files {
        check.file(file)?;
        if check.report.broken.is_some() {
            break;
        }
    }
    let hash = check.link.map(|link| link.hash);
    Ok(Report {
        unfinished: check.intents.len(),
        hash,
        ..check.report
    })
}

struct Check<'a> {
    seal: &'a Seal,
    report: Report,
    link: Option<Link>,
    /// The changes that have no outcome.
    intents: HashSet<String>,
}

/// Lines that are no records, until one says that it knows of them.
#[derive(Default)]
struct Aside {
    bytes: Vec<u8>,
    line: u64,
}

impl Aside {
    fn take(&mut self, line: &[u8], number: u64) -> Result<(), &'static str> {
        if self.bytes.is_empty() {
            self.line = number;
        }
        self.bytes.extend(line);
        match self.bytes.len() as u64 > LONGEST_LINE {
            true => Err("it is no record"),
            false => Ok(()),
        }
    }
}

impl Check<'_> {
    fn file(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::new(File::open(path)?);
        let mut aside = Aside::default();
        self.report.cut_off = 0;
        for number in 1.. {
            let mut line = Vec::new();
            (&mut lines)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)?;
            let Some(whole) = line.strip_suffix(b"\n") else {
                // At the end of a file it is what a crash leaves.
                self.report.cut_off = line.len();
                if !aside.bytes.is_empty() {
                    self.breaks(path, aside.line, "it is no record");
                } else if line.len() as u64 == LONGEST_LINE {
                    self.breaks(path, number, "it is no record");
                }
                return Ok(());
            };
            let checked = match self.seal.read(whole) {
                Ok(read) => self.record(read, &mut aside),
                Err(Fault::WrongHash) => Err("it was changed, or made with another key"),
                Err(Fault::NoRecord) => aside.take(&line, number),
            };
            if let Err(why) = checked {
                let at = if aside.bytes.is_empty() {
                    number
                } else {
                    aside.line
                };
                self.breaks(path, at, why);
                return Ok(());
            }
        }
        unreachable!("lines have numbers without end")
    }

    fn record(&mut self, read: Read, aside: &mut Aside) -> Result<(), &'static str> {
        if read.event == Event::Torn {
            let known = read.bytes == Some(aside.bytes.len() as u64)
                && read.sha256.as_deref() == Some(&*sha256(&aside.bytes));
            if !known {
                return Err("what was set aside before it is not what it was");
            }
            *aside = Aside::default();
            self.report.torn += 1;
        }
        if !aside.bytes.is_empty() {
            return Err("it is no record");
        }
        if self.link.as_ref().is_some_and(|link| !read.follows(link)) {
            return Err("it does not follow the record before it");
        }
        if read.sequence == 1 && read.previous != Link::first().hash {
            return Err("it is the first and follows another");
        }
        match (read.event, &read.call) {
            (Event::Intent, Some(call)) => {
                self.intents.insert(call.clone());
            }
            (Event::Outcome, Some(call)) => {
                self.intents.remove(call);
            }
            _ => {}
        }
        self.report.records += 1;
        self.report.first.get_or_insert_with(|| read.time.clone());
        self.report.last = Some(read.time.clone());
        self.link = Some(read.link());
        Ok(())
    }

    fn breaks(&mut self, file: &Path, line: u64, why: &'static str) {
        self.report.broken = Some(Break {
            file: file.to_owned(),
            line,
            why,
        });
    }
}
