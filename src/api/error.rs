//! What a Proton endpoint says when it does not do what it was asked.
//!
//! [`Code`] knows every code that AWS documents for the API, the modelled seven and the common
//! ones. It knows no transport: how a code travels over gRPC is the facade's table
//! (`facade/status.rs`), how it travels over AWS-JSON the control plane's (`control_plane/wire`).

use super::validate::Violations;

/// An error as the service says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub code: Code,
    /// For the caller to read; never holds a value of a sensitive member.
    pub message: String,
    /// For [`Code::Validation`]: each rule that the request breaks.
    pub violations: Violations,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            violations: Violations::default(),
        }
    }

    /// The same, said of a member of the request.
    pub fn under(mut self, member: &str) -> Self {
        self.message = format!("{member}: {}", self.message);
        self
    }

    /// The request breaks a rule that only the state can tell.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(Code::AccessDenied, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceNotFound, message)
    }

    pub fn quota_exceeded(message: impl Into<String>) -> Self {
        Self::new(Code::ServiceQuotaExceeded, message)
    }

    /// A fault of ours. The cause belongs in the log, not in the message.
    pub fn internal() -> Self {
        Self::new(Code::InternalServer, "internal service failure")
    }

    pub fn unknown_operation(operation: &str) -> Self {
        Self::new(
            Code::UnknownOperation,
            format!("operation {operation} is not known here"),
        )
    }

    /// The request breaks these rules of the contract.
    pub fn invalid(violations: Violations) -> Self {
        let message = violations.summary(|found| format!("{}: {}", found.field, found.message));
        Self {
            code: Code::Validation,
            message,
            violations,
        }
    }
}

/// Declares [`Code`]: each code once, with every name it goes by; the first is the one we say.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $first:literal $(| $other:literal)*;)*) => {
        /// What went wrong, whatever the endpoint calls it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// Every name that an endpoint may use, with its code.
            pub const NAMES: &'static [(&'static str, Code)] = &[
                $(($first, Code::$code), $(($other, Code::$code),)*)*
            ];

            /// The name that we say it by.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $first,)* }
            }
        }
    };
}

codes! {
    Validation = "ValidationException" | "ValidationError";
    AccessDenied = "AccessDeniedException" | "AccessDenied" | "NotAuthorized";
    ResourceNotFound = "ResourceNotFoundException";
    /// Another operation is in flight, the resource exists, or it is in use.
    Conflict = "ConflictException";
    ServiceQuotaExceeded = "ServiceQuotaExceededException";
    /// Too many requests; nothing was executed.
    Throttling = "ThrottlingException" | "Throttling" | "ThrottledException" | "RequestThrottledException"
        | "RequestThrottled" | "TooManyRequestsException" | "RequestLimitExceeded" | "BandwidthLimitExceeded"
        | "LimitExceededException" | "ProvisionedThroughputExceededException" | "SlowDown"
        | "PriorRequestNotComplete" | "TransactionInProgressException" | "EC2ThrottledException";
    InternalServer = "InternalServerException" | "InternalFailure" | "InternalServerError" | "InternalError";
    ServiceUnavailable = "ServiceUnavailable" | "ServiceUnavailableException";
    RequestTimeout = "RequestTimeout" | "RequestTimeoutException" | "RequestAbortedException";
    ExpiredToken = "ExpiredTokenException" | "ExpiredToken";
    /// The endpoint does not accept the signature or the key behind it.
    BadCredentials = "UnrecognizedClientException" | "InvalidClientTokenId" | "IncompleteSignature"
        | "InvalidSignatureException" | "SignatureDoesNotMatch" | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" | "AuthFailure";
    ClockSkew = "RequestExpired" | "RequestTimeTooSkewed";
    OptInRequired = "OptInRequired";
    UnknownOperation = "UnknownOperationException" | "InvalidAction";
    Serialization = "SerializationException" | "MalformedHttpRequestException";
    RequestTooLarge = "RequestEntityTooLargeException";
}

impl Code {
    /// The code that an endpoint means by this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, code)| *code)
    }
}
