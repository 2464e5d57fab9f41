//! What callers say about themselves. Nobody can sign here, so nobody is let in but for the one request that the corpus
//! has with its signature, and nobody is told a secret.

use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proton_grpc::{
    api::operation::Class,
    identity::{
        Client, FORWARDED_CERTIFICATE, Identities, Machine, Place, Principal, Proxied, Refusal,
        Settings, Sources, Tokens, TrustedProxy,
    },
};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z, as in AWS's examples of signatures.
const NOW: Duration = Duration::from_secs(1_440_938_160);
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k",
"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("proton-grpc-fuzz-{}", std::process::id()));
    let callers = format!(
        "[[caller]]\naccess-key = {{ id = \"{KEY}\", secret-file = \"secret\" }}\naccount = \"111111111111\"\n
        [[caller]]\nspiffe = \"spiffe://td/ns/*\"\naccount = \"222222222222\"\n
        [[caller]]\nsubject = \"ci\"\naccount = \"333333333333\"\n"
    );
    let files = [
        ("callers.toml", callers.as_str()),
        ("secret", SECRET),
        ("keys.json", KEYS),
    ];
    write_private(&directory, &files).expect("the temporary directory takes a few files");
    let settings = Settings {
        local: Place {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        },
        sources: Some(Sources {
            callers: directory.join("callers.toml"),
            trust_domain: Some("td".parse().expect("it is a trust domain")),
            tokens: Some(Tokens {
                issuer: "https://issuer.example".to_owned(),
                audience: "proton".to_owned(),
                keys: Some(directory.join("keys.json")),
            }),
            proxied: Some(Proxied {
                proxy: TrustedProxy::Loopback,
                header: FORWARDED_CERTIFICATE,
            }),
            roles: true,
        }),
    };
    let clock = Arc::new(|| UNIX_EPOCH + NOW);
    let (identities, _) = Identities::open(settings, clock).expect("the files are right");
    std::fs::remove_dir_all(directory).expect("what was read is not needed again");
    identities
});

fn write_private(directory: &std::path::Path, files: &[(&str, &str)]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(directory)?;
    for (name, text) in files {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).write(true).mode(0o600);
        file.open(directory.join(name))?
            .write_all(text.as_bytes())?;
    }
    Ok(())
}

/// A request as HTTP/1.1 writes it, without its first line: headers, an empty line, a body.
pub fn sigv4_header(bytes: &[u8]) {
    let (headers, body) = read(bytes);
    let mut request = Request::post("/").body(Bytes::copy_from_slice(body));
    let request = request.as_mut().expect("it is a good request");
    *request.headers_mut() = headers;
    if !(request.headers().get_all("authorization").iter())
        .any(|value| value.as_bytes().starts_with(b"AWS4-"))
    {
        return;
    }
    let client = Client {
        certificate: None,
        machine: Machine::Other,
    };
    let asked = IDENTITIES.of_request(request, Class::Read, client);
    let found = asked.now_or_never().expect("a signature needs no look-up");
    if let Some(principal) = told(found) {
        assert_eq!(principal.to_string(), format!("access-key:{KEY}"));
        assert_eq!(body, b"{}", "a signature covers the body");
    }
}

/// Headers that say who calls, by a bearer token or a proxy's word; behind an empty line the certificate.
pub fn caller(bytes: &[u8]) {
    let (headers, certificate) = read(bytes);
    let client = Client {
        certificate: (!certificate.is_empty()).then_some(certificate),
        machine: Machine::Loopback,
    };
    let asked = IDENTITIES.of_call(&headers, client);
    // Keys that are not known are looked up again, but not at once.
    let found = asked.now_or_never().expect("no time passes here");
    if let Some(principal) = told(found) {
        let id = principal.to_string();
        let name = id
            .strip_prefix("spiffe://td/ns/")
            .expect("of the one domain");
        assert!(
            !name.split('/').any(|part| matches!(part, "" | "." | "..")),
            "{id}"
        );
        assert_eq!(principal.account(), "222222222222");
    }
}

fn told(found: Result<Principal, Refusal>) -> Option<Principal> {
    match found {
        Ok(principal) => Some(principal),
        Err(refusal) => {
            assert!(!format!("{refusal:?}").contains(SECRET));
            None
        }
    }
}

fn read(bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let end = bytes.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &b""[..]),
    };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    });
    (headers.collect(), body)
}
