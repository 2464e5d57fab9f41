//! The chain: each record holds the hash of the one before it, and a hash of itself.
//!
//! ```text
//!  {"sequence":7,"time":"…","event":"intent",…,"previous":"<hash of 6>","hash":"<hash of 7>"}
//!  └────────────────── what the hash is made over ──────────────────┘
//! ```
//!
//! The hash is over the bytes of the line as they stand, so that whoever checks it needs no rule for
//! how JSON is written. The first record follows sixty-four zeros. With a key the hash is an HMAC: then
//! only who has the key can make a chain that holds.

use std::{fmt, fs, os::unix::fs::PermissionsExt as _, path::Path};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{self, HMAC_SHA256},
};
use serde::Deserialize;

use super::record::Event;

const HASH: &[u8] = b",\"hash\":\"";
/// A hash in hexadecimal digits.
const DIGITS: usize = 64;

/// As long as what comes of it.
const SHORTEST_KEY: usize = 32;

/// What hashes are made with.
#[derive(Clone)]
pub enum Seal {
    Plain,
    /// Boxed, because a key is large.
    Keyed(Box<hmac::Key>),
}

impl Seal {
    /// With this secret.
    pub fn keyed(secret: &[u8]) -> Self {
        Self::Keyed(Box::new(hmac::Key::new(HMAC_SHA256, secret)))
    }

    /// With the secret in this file, which must not be everybody's to read.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let read = || {
            let others = fs::metadata(path)?.permissions().mode() & 0o006;
            Ok((fs::read(path)?, others != 0))
        };
        let problem = match read() {
            Err(error) => std::io::Error::to_string(&error),
            Ok((_, true)) => "it holds a key and is open to everybody: chmod o=".to_owned(),
            Ok((secret, _)) if secret.len() < SHORTEST_KEY => {
                format!("a key has {SHORTEST_KEY} bytes or more")
            }
            Ok((secret, _)) => return Ok(Self::keyed(&secret)),
        };
        Err(format!("{}: {problem}", path.display()))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain => "sha256",
            Self::Keyed(_) => "hmac-sha256",
        }
    }

    fn hash(&self, bytes: &[u8]) -> String {
        match self {
            Self::Plain => sha256(bytes),
            Self::Keyed(key) => hex(hmac::sign(key, bytes).as_ref()),
        }
    }

    /// Ends a line that has no hash yet, and puts it after others. The new end of the chain is returned.
    pub(super) fn close(&self, after: &Link, line: Vec<u8>, lines: &mut Vec<u8>) -> Link {
        let hash = self.hash(&line);
        lines.extend(line);
        lines.extend(HASH);
        lines.extend(hash.as_bytes());
        lines.extend(b"\"}\n");
        Link {
            sequence: after.sequence + 1,
            hash,
        }
    }

    /// Reads a line without its line feed.
    pub(super) fn read(&self, line: &[u8]) -> Result<Read, Fault> {
        let read: Read = serde_json::from_slice(line).map_err(|_| Fault::NoRecord)?;
        let ending = [HASH, read.hash.as_bytes(), b"\"}"].concat();
        let body = line.strip_suffix(&*ending).ok_or(Fault::WrongHash)?;
        match self.hash(body) == read.hash {
            true => Ok(read),
            false => Err(Fault::WrongHash),
        }
    }
}

/// Keys are nobody's to see.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in the chain: after this record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) sequence: u64,
    pub(super) hash: String,
}

impl Link {
    /// Before the first record.
    pub(super) fn first() -> Self {
        Self {
            sequence: 0,
            hash: "0".repeat(DIGITS),
        }
    }
}

/// What the chain needs of a record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Read {
    pub(super) sequence: u64,
    pub(super) time: String,
    pub(super) event: Event,
    pub(super) previous: String,
    pub(super) hash: String,
    /// Of a change.
    pub(super) call: Option<String>,
    /// Of what was torn.
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<String>,
}

impl Read {
    pub(super) fn follows(&self, link: &Link) -> bool {
        self.sequence == link.sequence + 1 && self.previous == link.hash
    }

    pub(super) fn link(self) -> Link {
        Link {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

/// What is wrong with a line by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is something else, or half of one.
    NoRecord,
    /// It was changed, or made with another key.
    WrongHash,
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}
