//! How a template gets to CloudFormation: in the call, or if it is too large for that, by way of a bucket.

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_s3::primitives::ByteStream;

use super::trouble::Trouble;

/// The largest template that fits into a call.
const MAX_BODY: usize = 51_200;

/// A bucket that the roles of environments can read.
#[derive(Clone, Debug)]
pub struct TemplateBucket {
    pub client: aws_sdk_s3::Client,
    pub name: String,
    /// Where CloudFormation reads the bucket, such as `https://s3.us-east-1.amazonaws.com/templates`.
    pub url: String,
}

/// Either of two.
#[derive(Default)]
pub(super) struct Template {
    pub(super) body: Option<String>,
    pub(super) url: Option<String>,
}

pub(super) async fn place(
    template: &[u8],
    bucket: Option<&TemplateBucket>,
) -> Result<Template, Trouble> {
    let refuse = |message: String| Trouble::Refused {
        code: "ValidationError".to_owned(),
        message,
    };
    if template.len() <= MAX_BODY {
        let body = str::from_utf8(template)
            .map_err(|_| refuse("the template is not UTF-8 text".to_owned()))?;
        return Ok(Template {
            body: Some(body.to_owned()),
            url: None,
        });
    }
    let Some(bucket) = bucket else {
        let bytes = template.len();
        return Err(refuse(format!(
            "the template has {bytes} bytes, of which CloudFormation takes {MAX_BODY} in a call; for more, no bucket is configured"
        )));
    };
    // Called after its contents, the object can be put again and again.
    let sum = digest(&SHA256, template);
    let sum: String = (sum.as_ref().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = format!("proton-grpc/{sum}.template");
    let request = (bucket.client.put_object())
        .bucket(&bucket.name)
        .key(&key)
        .body(ByteStream::from(template.to_vec()));
    // A bucket that is not as it should be is the operator's to mend, and no fault of the deployment.
    request
        .send()
        .await
        .map_err(|error| Trouble::Passing(error.into()))?;
    Ok(Template {
        body: None,
        url: Some(format!("{}/{key}", bucket.url.trim_end_matches('/'))),
    })
}
