//! Failed calls: what the user has to know of, and what passes.

use std::error::Error;

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::super::Setback;

#[derive(Debug)]
pub(super) enum Trouble {
    /// A repetition would be refused, too.
    Refused {
        code: String,
        message: String,
    },
    Passing(Setback),
}

/// Codes of refusals that say nothing about the call: of load, of clocks, and of the credentials that the operator gave.
const PASSING: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "InvalidClientTokenId",
    "OperationInProgressException",
    "RequestExpired",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "StaleRequestException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "UnrecognizedClientException",
];

impl Trouble {
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Passing(_) => None,
        }
    }
}

impl<E> From<SdkError<E>> for Trouble
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        let refusal = refusal(&error).or_else(|| not_assumed(&error));
        refusal.unwrap_or_else(|| Self::Passing(error.into()))
    }
}

fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Trouble> {
    let status = error.raw_response()?.status().as_u16();
    let code = error.as_service_error()?.code()?;
    let passes = status >= 500 || status == 429 || PASSING.contains(&code);
    (!passes).then(|| Trouble::Refused {
        code: code.to_owned(),
        message: error
            .as_service_error()
            .and_then(E::message)
            .unwrap_or(code)
            .to_owned(),
    })
}

/// A call is not even sent when the role may not be assumed; that is found among the causes.
fn not_assumed(error: &(dyn Error + 'static)) -> Option<Trouble> {
    let mut cause = error;
    loop {
        if let Some(denial) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            let Trouble::Refused { code, message } = refusal(denial)? else {
                return None;
            };
            return Some(Trouble::Refused {
                code,
                message: format!("the role cannot be assumed: {message}"),
            });
        }
        cause = cause.source()?;
    }
}
