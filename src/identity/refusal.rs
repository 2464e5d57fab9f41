//! Why somebody is not let in, in no transport's words.

use std::borrow::Cow;

/// An identity that does not hold, and what the caller may read about it. Never shows what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub why: Why,
    pub message: Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nobody said who calls.
    Missing,
    /// What was said cannot be read.
    Malformed,
    /// Who it is said to be is not known here, or it was not said to us.
    Unrecognized,
    /// The signature is not made with the key that it names, over this request, now.
    BadSignature,
    /// The token's time is over.
    Expired,
    /// It holds, but maps to no account.
    Unmapped,
    /// There are no keys yet to check it with.
    NoKeys,
    /// It cannot be checked now for a repeat of an earlier request.
    Crowded,
}

impl Why {
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::Malformed,
        Self::Unrecognized,
        Self::BadSignature,
        Self::Expired,
        Self::Unmapped,
        Self::NoKeys,
        Self::Crowded,
    ];
}

impl Refusal {
    pub(super) fn new(why: Why, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why,
            message: message.into(),
        }
    }

    pub(super) fn missing() -> Self {
        Self::new(Why::Missing, "the call says nobody's name")
    }

    pub(super) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Why::Malformed, message)
    }

    pub(super) fn unrecognized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Why::Unrecognized, message)
    }

    pub(super) fn bad_signature(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Why::BadSignature, message)
    }
}
