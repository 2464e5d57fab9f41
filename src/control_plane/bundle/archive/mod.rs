//! Bundles as `.tar.gz`.
//!
//! Reading never touches the disk. Every byte that leaves the decompressor is counted, so what an archive costs is bounded by [`Limits`] whatever
//! its headers claim. Only regular files are taken; folders and the bookkeeping members that tar programs add (PAX records, AppleDouble `._`
//! files of macOS) are passed over; links, devices and sparse files are refused, because the bundle would not be what its author tested.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::files::{File, Files, clean_path};
use super::limits::Limits;
use super::problem::{Problem, quoted};

/// Unpacks an archive in memory.
pub fn unpack(archive: &[u8], limits: &Limits) -> Result<Files, Problem> {
    if archive.len() > limits.archive_bytes {
        return Err(Problem::new(format!(
            "the bundle has {} bytes, the limit is {}",
            archive.len(),
            limits.archive_bytes
        )));
    }
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return Err(Problem::new(format!(
            "the bundle is not a gzipped tar archive (.tar.gz){}",
            what_it_is_instead(archive)
        )));
    }
    let mut tar = Archive::new(Bounded {
        inner: MultiGzDecoder::new(archive),
        left: limits.unpacked_bytes,
    });
    let files = read_members(&mut tar, limits)?;

    // Reading on behind the last member verifies the checksum of the gzip stream.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| unreadable(&error, limits))?;
    if files.is_empty() {
        return Err(Problem::new("the bundle holds no files"));
    }
    files.checked()
}

fn read_members<R: Read>(tar: &mut Archive<R>, limits: &Limits) -> Result<Files, Problem> {
    let mut files = Files::default();
    let members = tar.entries().map_err(|error| unreadable(&error, limits))?;
    for (index, member) in members.enumerate() {
        let mut member = member.map_err(|error| unreadable(&error, limits))?;
        if index >= limits.entries {
            return Err(Problem::new(format!(
                "the bundle holds more than {} files and folders",
                limits.entries
            )));
        }
        if let Some((path, file)) = read_member(&mut member, limits)? {
            files.insert(path, file)?;
        }
    }
    Ok(files)
}

/// One member's file, or `None` for members that carry none.
fn read_member<R: Read>(
    member: &mut Entry<'_, R>,
    limits: &Limits,
) -> Result<Option<(String, File)>, Problem> {
    let kind = member.header().entry_type();
    // Archives older than POSIX mark a folder by nothing but the slash at its end.
    if kind.is_pax_global_extensions() || (kind.is_file() && member.path_bytes().ends_with(b"/")) {
        return Ok(None);
    }
    let Some(path) = clean_path(&member.path_bytes(), limits)? else {
        return Ok(None);
    };
    if is_bookkeeping(&path) {
        return Ok(None);
    }
    let refuse = |what: &str| {
        Err(Problem::new(format!(
            "the bundle holds {}, {what}; only regular files are allowed",
            quoted(&path)
        )))
    };
    match kind {
        EntryType::Directory => return Ok(None),
        EntryType::Regular | EntryType::Continuous => {}
        EntryType::Symlink => return refuse("a symbolic link"),
        EntryType::Link => return refuse("a hard link"),
        EntryType::GNUSparse => return refuse("a sparse file"),
        _ => return refuse("a device or other special file"),
    }
    if is_sparse(member).map_err(|error| unreadable(&error, limits))? {
        return refuse("a sparse file");
    }
    let executable = member.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
    let declared = member.size();
    let mut contents = Vec::new();
    member
        .read_to_end(&mut contents)
        .map_err(|error| unreadable(&error, limits))?;
    if contents.len() as u64 != declared {
        return Err(Problem::new(format!(
            "the bundle's archive ends inside {}",
            quoted(&path)
        )));
    }
    Ok(Some((
        path,
        File {
            contents: Bytes::from(contents),
            executable,
        },
    )))
}

/// The PAX way of storing sparse files hides behind an ordinary member.
fn is_sparse<R: Read>(member: &mut Entry<'_, R>) -> io::Result<bool> {
    let Some(records) = member.pax_extensions()? else {
        return Ok(false);
    };
    Ok(records
        .flatten()
        .any(|record| record.key_bytes().starts_with(b"GNU.sparse.")))
}

/// Whether a path is one that macOS adds to archives behind the author's back.
pub(super) fn is_bookkeeping(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("._"))
}

/// Packs files so that equal files give equal bytes: sorted, without times, owners or the name of the packer's system.
pub fn pack(files: &Files) -> Bytes {
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::best());
    let mut tar = Builder::new(gzip);
    for (path, file) in files.iter() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.contents.len() as u64);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, path, &file.contents[..])
            .expect("clean paths and writes to memory do not fail");
    }
    let packed = tar.into_inner().and_then(|gzip| gzip.finish());
    Bytes::from(packed.expect("writes to memory do not fail"))
}

/// Passes bytes through until there have been too many.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

fn unreadable(error: &io::Error, limits: &Limits) -> Problem {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Problem::new(format!(
            "the bundle unpacks to more than {} bytes",
            limits.unpacked_bytes
        )),
        io::ErrorKind::UnexpectedEof => Problem::new("the bundle's archive is cut off"),
        _ => Problem::new(format!(
            "the bundle is not a readable .tar.gz archive: {error}"
        )),
    }
}

fn what_it_is_instead(archive: &[u8]) -> &'static str {
    match archive {
        [] => ", it is empty",
        [b'P', b'K', ..] => ", it looks like a zip file",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ", it looks like a zstd file",
        [b'B', b'Z', b'h', ..] => ", it looks like a bzip2 file",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => ", it looks like an xz file",
        _ if archive.get(257..262) == Some(b"ustar") => {
            ", it looks like a tar archive that was not gzipped"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests;
