//! What the process says about itself, on standard error.
//!
//! Requests and responses may hold what their owners call sensitive, so they are never logged:
//! not here, and not by the AWS SDK, whose lower levels would.
//!
//! Each call is a [`Line`], below the usual level: under `proton_grpc::calls=debug` the log is an
//! access log. Only what went wrong in this process or behind it is said without asking, so that no
//! caller can fill a disk.

use std::time::Duration;

use tracing::{Level, Metadata, debug, error, info};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use super::Span;
use crate::identity::Principal;

/// What lines of calls are filtered by.
const CALLS: &str = "proton_grpc::calls";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Makes the AWS SDK log whole requests and responses.
const BODIES: &str = "LOG_SENSITIVE_BODIES";
/// Variables that send calls elsewhere than the settings say.
const DETOURS: [&str; 3] = ["AWS_ENDPOINT_URL", "HTTP_PROXY", "HTTPS_PROXY"];

/// A process that must not log, and the setting that makes it so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{BODIES} is set: it would put requests and responses into the log")]
    Bodies,
    #[error("--log {filter}: {why}")]
    Filter {
        filter: String,
        why: tracing_subscriber::filter::ParseError,
    },
}

/// Starts to log. `variables` is the process's environment.
pub fn start(
    filter: &str,
    format: Format,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(), Error> {
    let variables: Vec<_> = variables.into_iter().collect();
    if variables.iter().any(|(name, _)| name == BODIES) {
        return Err(Error::Bodies);
    }
    let chosen = EnvFilter::try_new(filter).map_err(|why| Error::Filter {
        filter: filter.to_owned(),
        why,
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // The filters stand beside the lines, not on them: then a span or event that is filtered out
    // costs a look at a flag. The SDK and h2 make many in every call.
    registry()
        .with(chosen)
        .with(filter_fn(may_be_logged))
        .with(lines)
        .init();
    std::panic::set_hook(Box::new(|panic| error!(%panic, "panicked")));
    for (name, value) in variables.iter().filter(|(name, _)| is_detour(name)) {
        info!(%name, value = without_password(value), "environment variable in force");
    }
    Ok(())
}

/// A call, when it is over.
#[derive(Debug)]
pub struct Line<'a> {
    pub front: &'static str,
    pub method: &'a str,
    pub code: &'a str,
    /// Why it was refused, if it was.
    pub reason: Option<&'a str>,
    pub after: Duration,
    pub principal: Option<&'a Principal>,
    pub request_id: Option<&'a str>,
    pub span: Option<&'a Span>,
}

impl Line<'_> {
    /// Whether anybody would see a line, of a call that failed by our fault or of any other.
    pub fn is_seen(fault: bool) -> bool {
        match fault {
            true => tracing::enabled!(target: CALLS, Level::INFO),
            false => tracing::enabled!(target: CALLS, Level::DEBUG),
        }
    }

    pub fn write(&self, fault: bool) {
        let Self {
            front,
            method,
            code,
            reason,
            request_id,
            ..
        } = self;
        let milliseconds = self.after.as_secs_f64() * 1000.0;
        let principal = self.principal.map(tracing::field::display);
        let trace_id = self
            .span
            .map(|span| tracing::field::display(span.trace_id()));
        macro_rules! write {
            ($level:ident) => {
                $level!(target: CALLS, front, method, code, reason, milliseconds, principal, request_id, trace_id, "call")
            };
        }
        match fault {
            true => write!(info),
            false => write!(debug),
        }
    }
}

/// Below `INFO` the SDK logs what it sends.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !metadata.target().starts_with("aws_")
}

fn is_detour(name: &str) -> bool {
    let name = name.to_uppercase();
    DETOURS.iter().any(|detour| name == *detour) || name.starts_with("AWS_ENDPOINT_URL_")
}

/// A proxy's URL may hold the password for it.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &url[..scheme + 3], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_in_the_log_are_refused() {
        let variables = [("LOG_SENSITIVE_BODIES".to_owned(), String::new())];
        assert!(matches!(
            start("info", Format::Text, variables),
            Err(Error::Bodies)
        ));
    }

    #[test]
    fn a_wrong_filter_names_the_setting() {
        let error = start("a=b=c", Format::Text, []).unwrap_err();
        assert!(error.to_string().starts_with("--log a=b=c: "), "{error}");
    }

    #[test]
    fn endpoints_and_proxies_are_detours() {
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_PROTON",
            "https_proxy",
            "HTTP_PROXY",
        ] {
            assert!(is_detour(name), "{name}");
        }
        assert!(!is_detour("AWS_REGION"));
    }

    #[test]
    fn a_proxys_password_stays_out() {
        assert_eq!(
            without_password("http://me:secret@proxy:1"),
            "http://proxy:1"
        );
        assert_eq!(without_password("http://proxy:1"), "http://proxy:1");
    }
}
