//! Bundles as directories, for authors who check and pack them on their own machine.
//!
//! The same rules and limits as for an archive, so that what passes here passes at registration too.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use super::archive::is_bookkeeping;
use super::files::{File, Files, clean_path};
use super::limits::Limits;
use super::problem::{Problem, quoted};

/// Why a directory could not be read as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error("could not read {path}")]
    Io { path: String, source: io::Error },
}

/// Reads all regular files below a directory, leaving out `.git`.
pub fn read(directory: &Path, limits: &Limits) -> Result<Files, Error> {
    let mut walk = Walk {
        files: Files::default(),
        entries: 0,
        bytes: 0,
        limits,
    };
    walk.folder(directory, "")?;
    if walk.files.is_empty() {
        return Err(Problem::new("the bundle holds no files").into());
    }
    Ok(walk.files)
}

struct Walk<'a> {
    files: Files,
    entries: usize,
    bytes: usize,
    limits: &'a Limits,
}

impl Walk<'_> {
    // Recursion ends where paths become longer than `path_bytes`.
    fn folder(&mut self, directory: &Path, inside: &str) -> Result<(), Error> {
        let failed = |source| Error::Io {
            path: directory.display().to_string(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(Problem::new(format!(
                    "the bundle holds more than {} files and folders",
                    self.limits.entries
                ))
                .into());
            }
            let name = entry.file_name();
            let path = [inside.as_bytes(), b"/", name.as_encoded_bytes()].concat();
            let path = clean_path(path.strip_prefix(b"/").unwrap_or(&path), self.limits)?
                .expect("a directory entry has a name");
            if path != ".git" && !is_bookkeeping(&path) {
                self.entry(&entry, path)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, path: String) -> Result<(), Error> {
        let on_disk = entry.path();
        let failed = |source| Error::Io {
            path: on_disk.display().to_string(),
            source,
        };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            return self.folder(&on_disk, &path);
        }
        if !kind.is_file() {
            let what = if kind.is_symlink() {
                "a symbolic link"
            } else {
                "a special file"
            };
            return Err(Problem::new(format!(
                "the bundle holds {}, {what}; only regular files are allowed",
                quoted(&path)
            ))
            .into());
        }
        let left = self.limits.unpacked_bytes - self.bytes;
        let file = fs::File::open(&on_disk).map_err(failed)?;
        let executable = is_executable(&file.metadata().map_err(failed)?);
        let mut contents = Vec::new();
        file.take(left as u64 + 1)
            .read_to_end(&mut contents)
            .map_err(failed)?;
        if contents.len() > left {
            return Err(Problem::new(format!(
                "the bundle holds more than {} bytes",
                self.limits.unpacked_bytes
            ))
            .into());
        }
        self.bytes += contents.len();
        self.files.insert(
            path,
            File {
                contents: Bytes::from(contents),
                executable,
            },
        )?;
        Ok(())
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
