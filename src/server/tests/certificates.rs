//! Authorities, and certificates that they issue.

use std::{fs, path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};

use crate::server::tls::Files;

pub(super) struct Authority {
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A certificate for this machine.
    pub(super) fn issue(&self) -> Issued {
        self.issue_until(4096)
    }

    /// One that was good until some year.
    pub(super) fn issue_until(&self, year: i32) -> Issued {
        self.issue_for(&KeyPair::generate().unwrap(), year)
    }

    pub(super) fn issue_rsa(&self) -> Issued {
        self.issue_for(&KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), 4096)
    }

    fn issue_for(&self, key: &KeyPair, until: i32) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        Issued {
            certificate: params.signed_by(key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    pub(super) fn client(&self, shows: Option<&Issued>) -> ClientConfig {
        self.client_with(shows, &[&TLS12, &TLS13])
    }

    pub(super) fn client_with(
        &self,
        shows: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.pem)).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shows {
            Some(issued) => {
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
                let chain = vec![der(&issued.certificate)];
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

impl Issued {
    pub(super) fn der(&self) -> CertificateDer<'static> {
        der(&self.certificate)
    }

    /// Writes both, and who vouches for clients, where a server reads them.
    pub(super) fn write(&self, directory: &Path, client_ca: Option<&Authority>) -> Files {
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Files {
            certificate: file("cert.pem", &self.certificate),
            key: file("key.pem", &self.key),
            client_ca: client_ca.map(|authority| file("ca.pem", &authority.pem)),
        }
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
