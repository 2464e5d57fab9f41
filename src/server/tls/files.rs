//! What the operator gives TLS: a certificate, its key, and whose certificates clients show.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::digest::{self, SHA256};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use x509_cert::{Certificate, der::Decode};

/// Time enough to find out why nobody renews it.
const SOON: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// PEM files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The server's chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// Who vouches for clients, which then need a certificate.
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {why}", .file.display())]
    Read { file: PathBuf, why: io::Error },
    #[error("{} holds no {what} that can be used: {why}", .file.display())]
    Pem {
        file: PathBuf,
        what: &'static str,
        why: pem::Error,
    },
    #[error("the certificate in {} cannot be used: {why}", .file.display())]
    Certificate { file: PathBuf, why: String },
    #[error("{} and {} are not a certificate and its key: {why}", .certificate.display(), .key.display())]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        why: rustls::Error,
    },
    #[error("the certificates in {} cannot vouch for clients: {why}", .file.display())]
    ClientCa {
        file: PathBuf,
        why: VerifierBuilderError,
    },
    #[error("cannot make keys for session tickets: {0}")]
    Tickets(rustls::Error),
}

/// The files, read.
pub(super) struct Contents {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Vec<CertificateDer<'static>>>,
    fingerprint: Fingerprint,
}

/// Tells contents from other contents without keeping a key.
pub(super) type Fingerprint = [u8; 32];

impl Contents {
    pub(super) fn read(files: &Files) -> Result<Self, Error> {
        let mut digest = digest::Context::new(&SHA256);
        let mut read = |file: &Path| {
            let bytes = fs::read(file).map_err(|why| Error::Read {
                file: file.to_owned(),
                why,
            })?;
            digest.update(&bytes.len().to_be_bytes());
            digest.update(&bytes);
            Ok(bytes)
        };
        let certificate = read(&files.certificate)?;
        let key = read(&files.key)?;
        let clients = files
            .client_ca
            .as_deref()
            .map(|file| Ok((file, read(file)?)));
        let clients = clients.transpose()?;
        let clients = clients.map(|(file, bytes)| certificates(file, &bytes));
        Ok(Self {
            chain: certificates(&files.certificate, &certificate)?,
            key: PrivateKeyDer::from_pem_slice(&key).map_err(|why| Error::Pem {
                file: files.key.clone(),
                what: "private key",
                why,
            })?,
            clients: clients.transpose()?,
            fingerprint: digest
                .finish()
                .as_ref()
                .try_into()
                .expect("SHA-256 has 32 bytes"),
        })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What to speak TLS with, without protocols.
    pub(super) fn config(&self, files: &Files) -> Result<ServerConfig, Error> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions");
        let builder = match (&self.clients, &files.client_ca) {
            (Some(clients), Some(file)) => {
                let mut roots = RootCertStore::empty();
                for certificate in clients {
                    let added = roots.add(certificate.clone());
                    added.map_err(|why| Error::Certificate {
                        file: file.clone(),
                        why: why.to_string(),
                    })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier = verifier.build().map_err(|why| Error::ClientCa {
                    file: file.clone(),
                    why,
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|why| Error::Pair {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
                why,
            })?;
        if self.clients.is_some() {
            // A resumed session skips the look at the client's certificate, which may have expired
            // or lost who vouches for it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            // Rotates its keys by itself.
            config.ticketer = Ticketer::new().map_err(Error::Tickets)?;
        }
        Ok(config)
    }

    /// When the certificate expires, if that can be told.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        expiry(&self.chain[0]).ok()
    }

    pub(super) fn warn_of_expiry(&self, files: &Files, now: SystemTime) {
        let file = files.certificate.display();
        match expiry(&self.chain[0]) {
            Ok(expires) => match expires.duration_since(now) {
                Ok(left) if left > SOON => {}
                Ok(left) => {
                    let days = left.as_secs() / DAY;
                    tracing::warn!(certificate = %file, days, "the certificate expires soon");
                }
                Err(_) => tracing::error!(certificate = %file, "the certificate has expired"),
            },
            Err(error) => {
                tracing::warn!(certificate = %file, %error, "cannot tell when the certificate expires")
            }
        }
    }
}

fn certificates(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = certificates.and_then(|found| match found.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(found),
    });
    certificates.map_err(|why| Error::Pem {
        file: file.to_owned(),
        what: "certificate",
        why,
    })
}

fn expiry(certificate: &CertificateDer<'_>) -> Result<SystemTime, x509_cert::der::Error> {
    let certificate = Certificate::from_der(certificate)?;
    Ok(certificate
        .tbs_certificate
        .validity
        .not_after
        .to_system_time())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_tells_when_it_expires() {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(2030, 1, 2);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let expires = expiry(certificate.der()).unwrap();
        assert_eq!(expires, SystemTime::from(params.not_after));
    }
}
