//! Where a database is, and whether the way there is encrypted.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where distributions keep the certificates that they trust.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A PostgreSQL database, as a URL says it. `Display` and `Debug` leave the password out.
///
/// Of `sslmode`, `disable` means no encryption, `require` and `verify-full` both mean a certificate for the host's name, checked
/// against the file that `sslrootcert` names, or `SSL_CERT_FILE`, or the system's. Without it, a database on this machine is
/// reached in the clear and any other one is verified.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Option<Roots>,
}

#[derive(Clone)]
struct Roots(Option<PathBuf>);

impl Database {
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// What verifies the server, if it is to be verified.
    pub(super) fn tls(&self) -> Result<Option<MakeRustlsConnect>, TlsError> {
        let Some(roots) = &self.tls else {
            return Ok(None);
        };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.read()?)
            .with_no_client_auth();
        Ok(Some(MakeRustlsConnect::new(config)))
    }
}

/// Why no server could be verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("no file of trusted certificates: name one with sslrootcert")]
    NoRoots,
    #[error("cannot read certificates from {}", file.display())]
    Roots {
        file: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, TlsError> {
        let variable = || env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let system = || {
            let mut known = SYSTEM_ROOTS.iter().map(Path::new);
            known.find(|path| path.exists()).map(Path::to_owned)
        };
        let file = self.0.clone().or_else(variable).or_else(system);
        let file = file.ok_or(TlsError::NoRoots)?;
        let read = || {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(&file)? {
                roots.add_parsable_certificates([certificate?]);
            }
            Ok(roots)
        };
        read().map_err(|source| TlsError::Roots { file, source })
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("not a postgres:// URL".to_owned());
        }
        let (url, [mode, roots]) = take_parameters(url, ["sslmode", "sslrootcert"]);
        let mut config: Config = url.parse().map_err(|error| describe(&error))?;
        if config.get_hosts().is_empty() {
            return Err("the URL names no host".to_owned());
        }
        let verified = match mode.as_deref() {
            Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(other) => {
                return Err(format!(
                    "sslmode is disable, require or verify-full, not {other}"
                ));
            }
            None => !config.get_hosts().iter().all(is_here),
        };
        config.ssl_mode(match verified {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        be_patient_only_for_a_while(&mut config);
        let tls = verified.then(|| Roots(roots.map(PathBuf::from)));
        Ok(Self { config, tls })
    }
}

/// The URL without the parameters that are read here.
fn take_parameters<const N: usize>(url: &str, names: [&str; N]) -> (String, [Option<String>; N]) {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut found = [const { None }; N];
    let rest: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let ours = names.iter().position(|ours| *ours == name);
            if let Some(at) = ours {
                found[at] = Some(value.replace("%2F", "/").replace("%2f", "/"));
            }
            ours.is_none() && !parameter.is_empty()
        })
        .collect();
    let url = match rest.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", rest.join("&")),
    };
    (url, found)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

/// A host that has vanished is to be noticed while somebody still waits for the answer.
fn be_patient_only_for_a_while(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    config.keepalives_idle(Duration::from_secs(10));
    config.keepalives_interval(Duration::from_secs(5));
    config.keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("proton-grpc");
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"))
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        match self.config.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Database {
        url.parse().unwrap()
    }

    #[test]
    fn a_password_is_never_shown() {
        let database = read("postgres://proton:secret@db.example:6432/proton?sslmode=require");
        assert_eq!(database.to_string(), "postgres://db.example:6432/proton");
        assert!(!format!("{database:?}").contains("secret"));
    }

    #[test]
    fn only_this_machine_is_reached_in_the_clear_without_being_told() {
        for (url, verified) in [
            ("postgres://localhost/p", false),
            ("postgres://[::1]/p", false),
            ("postgres://p@%2Frun%2Fpostgresql/p", false),
            ("postgres:///p?host=/run/postgresql", false),
            ("postgres://db.example/p", true),
            ("postgres://localhost,db.example/p", true),
            ("postgres://db.example/p?sslmode=disable", false),
            ("postgres://localhost/p?sslmode=verify-full", true),
        ] {
            let database = read(url);
            assert_eq!(database.tls.is_some(), verified, "{url}");
            let wanted = database.config.get_ssl_mode() == SslMode::Require;
            assert_eq!(wanted, verified, "{url}");
        }
    }

    #[test]
    fn a_url_that_means_nothing_says_why() {
        for (url, why) in [
            ("mysql://db/p", "not a postgres:// URL"),
            ("postgres:///p", "the URL names no host"),
            (
                "postgres://db/p?sslmode=prefer",
                "sslmode is disable, require or verify-full, not prefer",
            ),
            (
                "postgres://db/p?speed=high",
                "invalid connection string: unknown option `speed`",
            ),
        ] {
            assert_eq!(url.parse::<Database>().unwrap_err(), why, "{url}");
        }
    }

    #[test]
    fn trusted_certificates_come_from_the_file_that_is_named() {
        let missing = read("postgres://db.example/p?sslrootcert=/none/ca.pem&connect_timeout=3");
        assert_eq!(
            missing.config.get_connect_timeout(),
            Some(&Duration::from_secs(3))
        );
        let error = missing.tls().err().expect("the file is missing");
        assert_eq!(
            error.to_string(),
            "cannot read certificates from /none/ca.pem"
        );
    }
}
