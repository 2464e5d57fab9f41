//! Buckets of S3, or of anything that speaks its protocol.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use bytes::Bytes;

use super::FetchError;
use crate::control_plane::bundle::problem::{Problem, quoted};

pub(super) async fn fetch(
    client: &Client,
    bucket: &str,
    key: &str,
    limit: usize,
) -> Result<Bytes, FetchError> {
    let request = client.get_object().bucket(bucket).key(key);
    let object = request
        .send()
        .await
        .map_err(|error| failed(error, bucket, key))?;
    if object
        .content_length()
        .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > limit))
    {
        return Err(FetchError::too_large(limit));
    }
    let mut body = object.body;
    let mut contents = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(FetchError::unavailable)?;
        if contents.len() + chunk.len() > limit {
            return Err(FetchError::too_large(limit));
        }
        contents.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(contents))
}

/// Sorts failures by the code, or by the status where an endpoint sends no code. Unknown codes may pass; expired credentials, for one, do.
fn failed(error: SdkError<GetObjectError>, bucket: &str, key: &str) -> FetchError {
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    match (error.code(), status) {
        (Some("NoSuchBucket" | "InvalidBucketName"), _) => FetchError::no_bucket(bucket),
        (Some("NoSuchKey" | "NoSuchVersion" | "KeyTooLongError" | "NotFound"), _)
        | (None, Some(404)) => FetchError::no_key(bucket, key),
        (Some("AccessDenied" | "AllAccessDisabled" | "KMS.DisabledException"), _)
        | (None, Some(403)) => FetchError::access_denied(bucket, key),
        (Some("InvalidObjectState"), _) => {
            let (key, bucket) = (quoted(key), quoted(bucket));
            Problem::new(format!(
                "object {key} in bucket {bucket} is archived; restore it first"
            ))
            .into()
        }
        (Some("PermanentRedirect" | "IllegalLocationConstraintException"), _)
        | (None, Some(301)) => {
            Problem::new(format!("bucket {} lies in another Region", quoted(bucket))).into()
        }
        _ => FetchError::unavailable(error),
    }
}
