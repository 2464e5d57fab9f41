//! Directories as buckets.
//!
//! Bucket and key come from the wire. They may only lead down from the root, by plain names and without following links, and no message says where
//! the root is.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::FetchError;

pub(super) fn fetch(
    root: &Path,
    bucket: &str,
    key: &str,
    limit: usize,
) -> Result<Bytes, FetchError> {
    let bucket_path = below(root, bucket).filter(|_| !bucket.contains('/'));
    let Some(bucket_path) = bucket_path.filter(|path| path.is_dir() && has_no_links(root, path))
    else {
        return Err(FetchError::no_bucket(bucket));
    };
    let path = below(&bucket_path, key).ok_or_else(|| FetchError::no_key(bucket, key))?;
    let read = || -> io::Result<Option<Bytes>> {
        // A pipe would block before it could be refused, so look before opening.
        if !path.symlink_metadata()?.is_file() || !has_no_links(root, &path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut contents = Vec::new();
        File::open(&path)?
            .take(limit as u64 + 1)
            .read_to_end(&mut contents)?;
        Ok((contents.len() <= limit).then(|| Bytes::from(contents)))
    };
    match read() {
        Ok(Some(contents)) => Ok(contents),
        Ok(None) => Err(FetchError::too_large(limit)),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => FetchError::no_key(bucket, key),
            io::ErrorKind::PermissionDenied => FetchError::access_denied(bucket, key),
            _ => FetchError::unavailable(error),
        }),
    }
}

/// The path below a directory, if every step of it is a plain name.
fn below(directory: &Path, steps: &str) -> Option<PathBuf> {
    let plain = |step: &str| !matches!(step, "" | "." | "..") && !step.contains(['\\', '\0']);
    steps.split('/').all(plain).then(|| directory.join(steps))
}

/// Whether the way from the root to the path is as it is written; links above the root are the operator's affair.
fn has_no_links(root: &Path, path: &Path) -> bool {
    let Ok(steps) = path.strip_prefix(root) else {
        return false;
    };
    match (root.canonicalize(), path.canonicalize()) {
        (Ok(root), Ok(path)) => path == root.join(steps),
        _ => false,
    }
}
