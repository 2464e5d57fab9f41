//! Where events go: a file of JSON lines, or whoever listens at a URL.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

use super::delivery::sleep;
use crate::control_plane::ControlPlane;
use crate::control_plane::store::Emitted;

/// How long a listener may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many lines are written to disk together.
const LINES: usize = 100;

/// Takes events.
#[derive(Clone)]
pub enum Sink {
    /// One line an event, on disk before the event counts as delivered.
    File(PathBuf),
    /// One POST an event; any answer of the 2xx kind takes it.
    Webhook {
        url: http::Uri,
        http: SharedHttpConnector,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("the file of events cannot be written")]
    File(#[source] io::Error),
    #[error("the listener answered with status {0}")]
    Refused(u16),
    #[error("the listener cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the listener did not answer within {} seconds", PATIENCE.as_secs())]
    Silent,
}

impl Sink {
    /// A file to append to, which is made if need be; it may be moved away at any time.
    pub fn file(path: PathBuf) -> io::Result<Self> {
        append(&path, &[])?;
        Ok(Self::File(path))
    }

    /// A listener at an `http` or `https` URL.
    pub fn webhook(url: http::Uri) -> Self {
        let mut connector = Connector::builder();
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        let http = connect(connector, url.scheme_str() == Some("http"));
        Self::Webhook { url, http }
    }

    /// How many events it takes or leaves as one.
    pub(super) fn at_once(&self) -> usize {
        match self {
            Self::File(_) => LINES,
            Self::Webhook { .. } => 1,
        }
    }

    /// Delivers events.
    pub(super) async fn take(
        &self,
        plane: &ControlPlane,
        events: &[Emitted],
    ) -> Result<(), SinkError> {
        match self {
            Self::File(path) => {
                let line = |event: &Emitted| format!("{}\n", event.event.body.as_str());
                let (path, lines) = (path.clone(), events.iter().map(line).collect::<String>());
                let appending =
                    tokio::task::spawn_blocking(move || append(&path, lines.as_bytes()));
                let appended = appending
                    .await
                    .unwrap_or_else(|cause| Err(io::Error::other(cause)));
                appended.map_err(SinkError::File)
            }
            Self::Webhook { url, http } => {
                for event in events {
                    let posting = post(url, http, event.event.body.as_str());
                    tokio::select! {
                        posted = posting => posted?,
                        () = sleep(plane, PATIENCE) => return Err(SinkError::Silent),
                    }
                }
                Ok(())
            }
        }
    }
}

/// Writes whole lines to the end of the file, and to disk. Half a line that a crash left there stays a line of its own.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    } else {
        sync_directory(path)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    file.write_all(lines)?;
    file.sync_data()
}

/// A new file is as lasting as its entry in its directory.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn connect(connector: ConnectorBuilder, plain: bool) -> SharedHttpConnector {
    match plain {
        // Spares the reading of the machine's root certificates.
        true => SharedHttpConnector::new(connector.build_http()),
        false => SharedHttpConnector::new(
            connector
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .build(),
        ),
    }
}

async fn post(url: &http::Uri, http: &SharedHttpConnector, body: &str) -> Result<(), SinkError> {
    let request = http::Request::post(url)
        .header("content-type", "application/json")
        .body(SdkBody::from(body))
        .expect("the URL was read as one");
    let request = HttpRequest::try_from(request).expect("its headers are text");
    let answer = http
        .call(request)
        .await
        .map_err(|cause| SinkError::Unreachable(cause.into()))?;
    match answer.status().as_u16() {
        200..=299 => Ok(()),
        other => Err(SinkError::Refused(other)),
    }
}

/// URLs of webhooks hold secrets.
impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Webhook { .. } => f.write_str("Webhook"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_stays_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        append(&path, b"{\"n\":1}\n").unwrap();
        append(&path, b"{\"n\"").unwrap();
        append(&path, b"{\"n\":2}\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"n\":1}\n{\"n\"\n{\"n\":2}\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let Sink::File(file) = Sink::file(path.clone()).unwrap() else {
            panic!("it is a file");
        };
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        append(&file, b"{}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
    }
}
