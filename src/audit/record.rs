//! What a record says. Its members never hold more than names, codes and times.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use aws_smithy_types::date_time::{DateTime, Format};
use serde::{Deserialize, Serialize};

use super::chain::Link;
use crate::identity::{Principal, Who};

/// Names are given by callers, and some of them before anybody has looked at them.
const LONGEST: usize = 512;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// A change is going to be made.
    Intent,
    /// What became of a change.
    Outcome,
    /// A read that was answered.
    Read,
    /// A call that somebody was not allowed to make.
    Refused,
    /// A process began to write this file.
    Opened,
    /// A process went over to another file, or ended.
    Closed,
    /// What stands before is no record: a write that was cut off.
    Torn,
    /// Records that nobody waited for were left out.
    Omitted,
}

/// Where a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    Grpc,
    AwsJson,
}

/// What became of the work that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    /// It was refused, by whoever does the work.
    Rejected,
    /// It was not begun.
    NotExecuted,
    /// It may have been done.
    Unknown,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ending {
    pub outcome: Outcome,
    /// As the front says it, unless all went well: `NOT_FOUND`, `ResourceNotFoundException`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    /// What the upstream said, where the front says it in words of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_code: Option<String>,
    /// The id that the caller was given: the upstream's, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether it is for what the caller is, or may do.
    #[serde(skip)]
    pub refused: bool,
}

impl Ending {
    pub fn ok(request_id: Option<String>) -> Self {
        Self {
            outcome: Outcome::Ok,
            code: None,
            aws_code: None,
            request_id,
            refused: false,
        }
    }

    pub fn failed(outcome: Outcome, code: impl Into<Cow<'static, str>>) -> Self {
        Self {
            outcome,
            code: Some(code.into()),
            aws_code: None,
            request_id: None,
            refused: false,
        }
    }
}

/// What is known of a call when it comes in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct About {
    /// The same in the intent and the outcome of a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<String>,
    pub(super) front: Front,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<By>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<String>,
    pub(super) operation: Cow<'static, str>,
    /// Its kind and its name below its parents': `ServiceInstance/shop/prod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caller_request_id: Option<String>,
}

/// Who calls.
#[derive(Clone, Debug, Serialize)]
pub(super) struct By {
    id: String,
    kind: &'static str,
    pub(super) account: String,
    pub(super) region: String,
}

impl By {
    pub(super) fn of(principal: &Principal) -> Self {
        Self {
            id: cut(principal.to_string()),
            kind: match principal.who() {
                Who::Local => "local",
                Who::Spiffe(_) => "spiffe",
                Who::Token { .. } => "token",
                Who::AccessKey(_) => "access-key",
                Who::Proxied(_) => "proxied",
            },
            account: principal.account().to_owned(),
            region: principal.region().to_owned(),
        }
    }
}

/// The time to the microsecond, as long as any other.
fn written(time: SystemTime) -> String {
    let time = DateTime::from(time);
    let seconds = DateTime::from_secs(time.secs())
        .fmt(Format::DateTime)
        .expect("clocks tell years of four digits");
    let seconds = seconds.trim_end_matches('Z');
    format!("{seconds}.{:06}Z", time.subsec_nanos() / 1000)
}

/// As long as a name can be.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    text
}

/// A record that has no place in the chain yet.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) event: Event,
    pub(super) time: SystemTime,
    pub(super) about: Option<About>,
    pub(super) ending: Option<Ending>,
    pub(super) took: Option<Duration>,
    pub(super) remark: Option<Remark>,
}

/// What the trail says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Remark {
    /// Who writes from here on.
    Opened {
        version: &'static str,
        seal: &'static str,
    },
    /// How many bytes before this line are no records, and their SHA-256.
    Torn { bytes: u64, sha256: String },
    /// How many records were left out.
    Omitted { records: u64 },
}

impl Entry {
    pub(super) fn remark(event: Event, time: SystemTime, remark: Option<Remark>) -> Self {
        Self {
            event,
            time,
            about: None,
            ending: None,
            took: None,
            remark,
        }
    }

    /// The line without its own hash, which is made over these very bytes, and without its end.
    pub(super) fn line(&self, after: &Link) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            sequence: u64,
            time: String,
            event: Event,
            #[serde(flatten)]
            about: &'a Option<About>,
            #[serde(flatten)]
            ending: &'a Option<Ending>,
            #[serde(skip_serializing_if = "Option::is_none")]
            duration_us: Option<u64>,
            #[serde(flatten)]
            remark: &'a Option<Remark>,
            previous: &'a str,
        }
        let line = Line {
            sequence: after.sequence + 1,
            time: written(self.time),
            event: self.event,
            about: &self.about,
            ending: &self.ending,
            duration_us: self
                .took
                .map(|took| took.as_micros().try_into().unwrap_or(u64::MAX)),
            remark: &self.remark,
            previous: &after.hash,
        };
        let mut bytes = serde_json::to_vec(&line).expect("a record is JSON");
        bytes.pop();
        bytes
    }
}
