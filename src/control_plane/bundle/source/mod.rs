//! Where bundles come from: buckets of S3, or directories that stand for buckets.
//!
//! A fetch is bounded while it reads; nobody's word on a size is trusted. Its failures come in two sorts, because they lead to different ends: what
//! the author has to mend fails the registration, what may pass is tried again.

use std::error::Error as StdError;
use std::path::PathBuf;

use bytes::Bytes;

use super::problem::{Problem, quoted};

mod directory;
mod s3;

/// A place that holds buckets.
#[derive(Clone, Debug)]
pub enum Source {
    /// A bucket is a directory below this one, a key is the path of a file in it.
    Directory(PathBuf),
    S3(aws_sdk_s3::Client),
}

/// Why a bundle could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The author has to mend it: trying again gives the same.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// It may pass: worth another try.
    #[error("could not fetch the bundle")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl FetchError {
    fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    fn too_large(limit: usize) -> Self {
        Problem::new(format!("the bundle has more than {limit} bytes")).into()
    }

    fn no_bucket(bucket: &str) -> Self {
        Problem::new(format!("there is no bucket {}", quoted(bucket))).into()
    }

    fn no_key(bucket: &str, key: &str) -> Self {
        Problem::new(format!(
            "there is no object {} in bucket {}",
            quoted(key),
            quoted(bucket)
        ))
        .into()
    }

    fn access_denied(bucket: &str, key: &str) -> Self {
        Problem::new(format!(
            "access to object {} in bucket {} is denied",
            quoted(key),
            quoted(bucket)
        ))
        .into()
    }
}

impl Source {
    /// Fetches an object of at most `limit` bytes.
    pub async fn fetch(&self, bucket: &str, key: &str, limit: usize) -> Result<Bytes, FetchError> {
        match self {
            Self::Directory(root) => {
                let (root, bucket, key) = (root.clone(), bucket.to_owned(), key.to_owned());
                let read = tokio::task::spawn_blocking(move || {
                    directory::fetch(&root, &bucket, &key, limit)
                });
                read.await.map_err(FetchError::unavailable)?
            }
            Self::S3(client) => s3::fetch(client, bucket, key, limit).await,
        }
    }
}

#[cfg(test)]
mod tests;
