//! Deadlines: what the caller gave, what it gets if it gave none, and what holds when the services
//! below do not keep to it.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use super::{
    method::Shape,
    refusal::{Outcome, Refusal},
};
use crate::facade::deadline::Deadline;

/// For a unary call that names no deadline.
const DEFAULT: Duration = Duration::from_secs(30);
/// No unary call waits longer, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(120);
/// With less than this left there is no answer in time; work would only be wasted.
const SHORTEST: Duration = Duration::from_millis(10);

/// When a call that arrives now must have been answered. A stream lives as long as its caller wants.
pub(crate) fn read(
    headers: &HeaderMap,
    shape: Shape,
    now: Instant,
) -> Result<Option<Deadline>, Refusal> {
    let asked = match headers.get("grpc-timeout") {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(parse).ok_or_else(malformed)?),
    };
    if asked.is_some_and(|asked| asked < SHORTEST) {
        return Err(Refusal::deadline_exceeded(Outcome::NotExecuted));
    }
    let allowed = match shape {
        Shape::Unary => Some(asked.unwrap_or(DEFAULT).min(LONGEST)),
        Shape::ServerStream | Shape::Bidirectional => asked,
    };
    // Eight digits of hours reach beyond what a clock can count: as good as none.
    Ok(allowed
        .and_then(|allowed| now.checked_add(allowed))
        .map(Deadline))
}

/// Waits for the answer no longer than the deadline.
pub(crate) async fn keep<T>(
    deadline: Option<Deadline>,
    answer: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    match deadline {
        None => answer.await,
        Some(Deadline(at)) => timeout_at(at, answer)
            .await
            .unwrap_or_else(|_| Err(Refusal::deadline_exceeded(Outcome::Unknown))),
    }
}

/// `TimeoutValue TimeoutUnit`: one to eight digits and a letter.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 60 * 60),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

fn malformed() -> Refusal {
    let message = "grpc-timeout must be one to eight digits and one of H, M, S, m, u, n";
    Refusal::unexecuted(Code::Internal, "MALFORMED_TIMEOUT", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(timeout: Option<&'static str>, shape: Shape) -> Result<Option<Duration>, Code> {
        let now = Instant::now();
        let headers = timeout.map(|value| {
            (
                http::HeaderName::from_static("grpc-timeout"),
                value.parse().unwrap(),
            )
        });
        match read(&headers.into_iter().collect(), shape, now) {
            Ok(deadline) => Ok(deadline.map(|deadline| deadline.remaining(now))),
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn every_unit_is_understood() {
        for (value, millis) in [
            ("2S", 2_000),
            ("1M", 60_000),
            ("50m", 50),
            ("20000u", 20),
            ("99999999n", 99),
        ] {
            let left = left(Some(value), Shape::Unary).unwrap().unwrap();
            assert_eq!(left.as_millis(), millis, "{value}");
        }
    }

    #[test]
    fn a_unary_call_without_a_deadline_gets_one_and_a_long_one_is_cut() {
        assert_eq!(left(None, Shape::Unary), Ok(Some(DEFAULT)));
        assert_eq!(left(Some("99999999H"), Shape::Unary), Ok(Some(LONGEST)));
    }

    #[test]
    fn a_stream_has_only_the_deadline_its_caller_gives() {
        assert_eq!(left(None, Shape::ServerStream), Ok(None));
        assert_eq!(
            left(Some("1H"), Shape::ServerStream),
            Ok(Some(Duration::from_secs(3600)))
        );
        assert!(left(Some("99999999H"), Shape::Bidirectional).is_ok());
    }

    #[test]
    fn a_malformed_timeout_is_internal() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            "1 S",
            " 1S",
            "1SS",
        ] {
            assert_eq!(
                left(Some(value), Shape::Unary),
                Err(Code::Internal),
                "{value:?}"
            );
        }
    }

    #[test]
    fn too_little_time_is_a_deadline_exceeded() {
        for value in ["0S", "9m", "9999u"] {
            assert_eq!(
                left(Some(value), Shape::ServerStream),
                Err(Code::DeadlineExceeded),
                "{value}"
            );
        }
    }
}
