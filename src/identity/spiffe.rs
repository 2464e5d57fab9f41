//! SPIFFE ids: `spiffe://<trust domain>/<path>`, as certificates carry them.

use std::{fmt, str::FromStr};

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::Refusal;

const SCHEME: &str = "spiffe://";
const LONGEST: usize = 2048;
const LONGEST_DOMAIN: usize = 255;

/// The id of a workload: it has a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId(String);

/// Whom a certificate authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(String);

impl SpiffeId {
    /// The id in a client's certificate, which must be its only URI.
    pub(super) fn of_certificate(der: &[u8]) -> Result<Self, Refusal> {
        let der = CertificateDer::from_slice(der);
        let certificate = EndEntityCert::try_from(&der)
            .map_err(|_| Refusal::malformed("the client certificate cannot be read"))?;
        let mut uris = certificate.valid_uri_names();
        let only = uris.next().filter(|_| uris.next().is_none());
        only.ok_or_else(|| Refusal::malformed("a client certificate must have exactly one URI"))?
            .parse()
            .map_err(|problem| Refusal::malformed(format!("the client certificate: {problem}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_of(&self, domain: &TrustDomain) -> bool {
        self.0[SCHEME.len()..]
            .split_once('/')
            .is_some_and(|(own, _)| own == domain.0)
    }
}

impl FromStr for SpiffeId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |rule: &str| Err(format!("a SPIFFE id {rule}"));
        if text.len() > LONGEST {
            return wrong(&format!("has at most {LONGEST} bytes"));
        }
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return wrong("begins with spiffe://");
        };
        let Some((domain, path)) = rest.split_once('/') else {
            return wrong("has a path");
        };
        domain.parse::<TrustDomain>()?;
        // A query, a fragment, an encoded or a foreign letter: none is of these.
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(letter);
        if !path.split('/').all(segment) {
            return wrong("has a path of segments of letters, digits, '-', '.' and '_'");
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for TrustDomain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Neither a port nor a user fits.
        let letter =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if (1..=LONGEST_DOMAIN).contains(&text.len()) && text.bytes().all(letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "a trust domain has 1 to {LONGEST_DOMAIN} lower-case letters, digits, '-', '.' and '_'"
            ))
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: &[SanType]) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn a_certificate_has_exactly_one_id() {
        let dns = SanType::DnsName("web.prod.example".try_into().unwrap());
        let id = "spiffe://prod.example/ns/shop/web";
        let found = SpiffeId::of_certificate(&certificate(&[dns.clone(), uri(id)])).unwrap();
        assert_eq!(found.as_str(), id);
        for names in [
            vec![dns],
            vec![uri(id), uri(id)],
            vec![uri(id), uri("https://prod.example/")],
            vec![uri("https://prod.example/")],
        ] {
            assert!(
                SpiffeId::of_certificate(&certificate(&names)).is_err(),
                "{names:?}"
            );
        }
        assert!(SpiffeId::of_certificate(b"no certificate").is_err());
    }

    #[test]
    fn an_id_is_a_domain_and_a_path() {
        let long = format!("spiffe://td/{}", "a".repeat(LONGEST));
        for wrong in [
            "",
            "spiffe://",
            "spiffe://td",
            "spiffe://td/",
            "spiffe:///a",
            "spiffe://td/a/",
            "spiffe://td//a",
            "spiffe://td/a/../b",
            "spiffe://td/.",
            "spiffe://td/a?b",
            "spiffe://td/a#b",
            "spiffe://td/a%20b",
            "spiffe://td/ä",
            "spiffe://td:443/a",
            "spiffe://user@td/a",
            "spiffe://TD/a",
            "SPIFFE://td/a",
            "https://td/a",
            &long,
            &format!("spiffe://{}/a", "d".repeat(256)),
        ] {
            assert!(wrong.parse::<SpiffeId>().is_err(), "{wrong}");
        }
        for right in [
            "spiffe://td/a",
            "spiffe://t_d.x-1/A/b.c/_",
            &long[..LONGEST],
        ] {
            assert!(right.parse::<SpiffeId>().is_ok(), "{right}");
        }
    }

    #[test]
    fn a_trust_domain_is_compared_whole() {
        let domain: TrustDomain = "prod.example".parse().unwrap();
        let of = |id: &str| id.parse::<SpiffeId>().unwrap().is_of(&domain);
        assert!(of("spiffe://prod.example/a"));
        for other in [
            "spiffe://prod.example.evil/a",
            "spiffe://evil.prod.example/a",
            "spiffe://prod.exampl/e/a",
            "spiffe://evil/prod.example/a",
        ] {
            assert!(!of(other), "{other}");
        }
    }
}
