//! TLS 1.2 and 1.3, with certificates that may change while the server runs.
//!
//! A handshake takes what is current when it begins, and a connection keeps what it was made with.
//! New files are taken up whole or not at all: as long as a key does not belong to its certificate
//! or a file cannot be read, what was served before is served on.

mod files;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::files::{Contents, Fingerprint};
pub use self::files::{Error, Files};
use super::life::Life;
use crate::telemetry::metrics::Tls as Sample;

const HANDSHAKE: Duration = Duration::from_secs(10);

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What listeners speak TLS with. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    state: Mutex<State>,
    failures: Failures,
}

/// Handshakes that came to nothing.
#[derive(Default)]
struct Failures {
    too_long: AtomicU64,
    handshake: AtomicU64,
    protocol: AtomicU64,
}

struct State {
    configs: Configs,
    /// What the files held when they were last looked at, whether it was of use or not.
    seen: Option<Fingerprint>,
    /// When the certificate in force expires, if it can be told.
    expires: Option<SystemTime>,
}

/// The same for both fronts, but for the protocols that they offer.
#[derive(Clone)]
struct Configs {
    http2: Arc<ServerConfig>,
    any: Arc<ServerConfig>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("the client took too long")]
    TooLong,
    #[error("the server is shutting down")]
    Closing,
    #[error("the client and the server do not understand each other")]
    Handshake(#[source] std::io::Error),
    #[error("the client does not offer HTTP/2")]
    Protocol,
}

type Certificates = Option<Arc<[CertificateDer<'static>]>>;

impl Tls {
    /// Reads the files.
    pub fn open(files: Files, now: SystemTime) -> Result<Self, Error> {
        let contents = Contents::read(&files)?;
        let configs = Configs::new(contents.config(&files)?);
        contents.warn_of_expiry(&files, now);
        let state = Mutex::new(State {
            configs,
            seen: Some(contents.fingerprint()),
            expires: contents.expires(),
        });
        Ok(Self(Arc::new(Shared {
            files,
            state,
            failures: Failures::default(),
        })))
    }

    /// Takes up what the files hold now, if that has changed.
    pub fn reload(&self, now: SystemTime) {
        let files = &self.0.files;
        let read = Contents::read(files);
        let seen = read.as_ref().ok().map(Contents::fingerprint);
        if std::mem::replace(&mut self.state().seen, seen) == seen {
            return;
        }
        let changed = read.and_then(|contents| Ok((contents.config(files)?, contents)));
        match changed {
            Ok((config, contents)) => {
                {
                    let mut state = self.state();
                    state.configs = Configs::new(config);
                    state.expires = contents.expires();
                }
                tracing::info!(certificate = %files.certificate.display(), "new certificate in force");
                contents.warn_of_expiry(files, now);
            }
            Err(error) => tracing::warn!(%error, "the previous certificate stays in force"),
        }
    }

    /// Shakes hands with a client; tells the certificates that it has proved to be its own.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        http1: bool,
        life: &Life,
    ) -> Result<(TlsStream<S>, Certificates), Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let configs = self.state().configs.clone();
        let config = if http1 { configs.any } else { configs.http2 };
        let stream = tokio::select! {
            shaken = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)) => {
                shaken.map_err(|_| Failed::TooLong)?.map_err(Failed::Handshake)?
            }
            () = life.closing.cancelled() => return Err(Failed::Closing),
        };
        let (_, connection) = stream.get_ref();
        // A client that offers no protocol at all speaks HTTP/1.1.
        if !http1 && connection.alpn_protocol() != Some(HTTP2) {
            return Err(Failed::Protocol);
        }
        let certificates = connection.peer_certificates().map(<Arc<[_]>>::from);
        Ok((stream, certificates))
    }

    /// Counts a handshake that came to nothing by the client's doing.
    pub(super) fn count(&self, failed: &Failed) {
        let failures = &self.0.failures;
        let counted = match failed {
            Failed::TooLong => &failures.too_long,
            Failed::Handshake(_) => &failures.handshake,
            Failed::Protocol => &failures.protocol,
            Failed::Closing => return,
        };
        counted.fetch_add(1, Relaxed);
    }

    /// The handshakes that failed so far, and the certificate's end.
    pub(super) fn sample(&self) -> Sample {
        let failures = &self.0.failures;
        let failed = [
            ("too_long", &failures.too_long),
            ("handshake", &failures.handshake),
            ("protocol", &failures.protocol),
        ];
        let failed = failed.map(|(reason, count)| (reason, count.load(Relaxed)));
        Sample {
            failed: failed.into(),
            expires: self.state().expires,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Configs {
    fn new(config: ServerConfig) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            http2: offering(&[HTTP2]),
            any: offering(&[HTTP2, HTTP1]),
        }
    }
}
