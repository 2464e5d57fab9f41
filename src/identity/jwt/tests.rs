use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _,
    },
};
use aws_smithy_types::base64;
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::json;

use super::*;
use crate::identity::Clock;

pub(in crate::identity) const ISSUER: &str = "https://issuer.example";
pub(in crate::identity) const NOW: u64 = 1_700_000_000;

/// What stands before the key itself, in the file form of one of 2048 bits.
const PKCS8_HEADER: usize = 26;

/// In the alphabet for URLs, as tokens have it.
fn url64(bytes: impl AsRef<[u8]>) -> String {
    let text = base64::encode(bytes).replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

fn unurl64(text: &str) -> Vec<u8> {
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let text = text.replace('-', "+").replace('_', "/") + &padding;
    base64::decode(text).unwrap()
}

/// Somebody who signs tokens.
pub(in crate::identity) struct Signer {
    algorithm: Algorithm,
    id: &'static str,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    pub(in crate::identity) fn es256(id: &'static str) -> Self {
        Self::elliptic(id, Algorithm::ES256)
    }

    fn elliptic(id: &'static str, algorithm: Algorithm) -> Self {
        let (kind, curve) = match algorithm {
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        };
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
        let jwk = json!({ "kty": "EC", "crv": curve, "x": url64(x), "y": url64(y) });
        Self::new(id, algorithm, EncodingKey::from_ec_der(pkcs8.as_ref()), jwk)
    }

    fn ed25519(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": url64(pair.public_key()) });
        Self::new(
            id,
            Algorithm::EdDSA,
            EncodingKey::from_ed_der(pkcs8.as_ref()),
            jwk,
        )
    }

    fn rsa(id: &'static str, algorithm: Algorithm) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let (n, e) = (
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        let jwk = json!({ "kty": "RSA", "n": url64(n), "e": url64(e) });
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Self::new(
            id,
            algorithm,
            EncodingKey::from_rsa_der(&der.as_ref()[PKCS8_HEADER..]),
            jwk,
        )
    }

    fn new(id: &'static str, algorithm: Algorithm, key: EncodingKey, mut jwk: Value) -> Self {
        jwk["kid"] = id.into();
        Self {
            algorithm,
            id,
            key,
            jwk,
        }
    }

    fn header(&self) -> Header {
        Header {
            kid: Some(self.id.to_owned()),
            ..Header::new(self.algorithm)
        }
    }

    pub(in crate::identity) fn token(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

pub(in crate::identity) fn set(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk.clone()).collect();
    json!({ "keys": keys }).to_string()
}

/// Good ones.
pub(in crate::identity) fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "proton", "sub": "alice", "exp": NOW + 300, "nbf": NOW, "groups": ["ops"] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn tokens(issuer: &str) -> Tokens {
    Tokens {
        issuer: issuer.to_owned(),
        audience: "proton".to_owned(),
        keys: None,
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn judge(token: &str, set: &str) -> Result<(Who, Map<String, Value>), Refusal> {
    let keys = Keys::read(set.as_bytes()).unwrap();
    verify(token, &header(token)?, &keys, &tokens(ISSUER), now())
}

#[test]
fn a_token_of_every_algorithm_is_taken() {
    use Algorithm::{ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512};
    let rsa = Signer::rsa("a", RS256);
    let with = |algorithm| Signer {
        algorithm,
        id: rsa.id,
        key: rsa.key.clone(),
        jwk: rsa.jwk.clone(),
    };
    let mut signers: Vec<_> = [RS256, RS384, RS512, PS256, PS384, PS512].map(with).into();
    signers.extend([ES256, ES384].map(|algorithm| Signer::elliptic("a", algorithm)));
    signers.push(Signer::ed25519("a"));
    for signer in &signers {
        let (who, claims) = judge(&signer.token(&claims()), &set(&[signer])).unwrap();
        assert_eq!(who.to_string(), format!("jwt:{ISSUER}#alice"));
        assert_eq!(Value::Object(claims), json!({ "groups": ["ops"] }));
    }
}

#[test]
fn each_claim_must_be_right() {
    let signer = Signer::es256("a");
    let keys = set(&[&signer]);
    for (claims, why) in [
        (
            with("iss", "https://issuer.example/".into()),
            Why::Unrecognized,
        ),
        (with("iss", json!([ISSUER])), Why::Unrecognized),
        (with("iss", Value::Null), Why::Unrecognized),
        (with("aud", "proton2".into()), Why::Unrecognized),
        (with("aud", json!(["a", "b"])), Why::Unrecognized),
        (with("aud", Value::Null), Why::Unrecognized),
        (with("exp", (NOW - 60).into()), Why::Expired),
        (with("exp", "never".into()), Why::Malformed),
        (with("nbf", (NOW + 61).into()), Why::Unrecognized),
        (with("nbf", "soon".into()), Why::Malformed),
        (with("sub", "".into()), Why::Malformed),
        (with("sub", 7.into()), Why::Malformed),
        (with("sub", "x".repeat(256).into()), Why::Malformed),
    ] {
        let refusal = judge(&signer.token(&claims), &keys).unwrap_err();
        assert_eq!(refusal.why, why, "{claims}");
    }
    for claims in [
        with("aud", json!(["a", "proton"])),
        with("exp", (NOW - 59).into()),
        with("nbf", (NOW + 60).into()),
    ] {
        assert!(judge(&signer.token(&claims), &keys).is_ok(), "{claims}");
    }
    for name in ["exp", "sub", "aud", "iss"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert!(
            judge(&signer.token(&claims), &keys).is_err(),
            "without {name}"
        );
    }
}

#[test]
fn only_the_issuers_keys_sign() {
    let (ours, theirs) = (Signer::es256("a"), Signer::es256("a"));
    let refusal = judge(&theirs.token(&claims()), &set(&[&ours])).unwrap_err();
    assert_eq!(refusal.why, Why::Unrecognized);

    let other = Signer::es256("b");
    assert!(judge(&other.token(&claims()), &set(&[&ours])).is_err());
    assert!(judge(&other.token(&claims()), &set(&[&ours, &other])).is_ok());

    let unnamed = encode(&Header::new(Algorithm::ES256), &claims(), &ours.key).unwrap();
    assert!(judge(&unnamed, &set(&[&ours])).is_ok());
    assert!(judge(&unnamed, &set(&[&ours, &other])).is_err());
}

#[test]
fn a_key_is_used_as_its_issuer_says() {
    let mut signer = Signer::rsa("a", Algorithm::RS256);
    let token = signer.token(&claims());
    for (name, value, taken) in [
        ("alg", "RS256", true),
        ("alg", "PS256", false),
        ("use", "sig", true),
        ("use", "enc", false),
    ] {
        let before = signer.jwk.clone();
        signer.jwk[name] = value.into();
        let other = Signer::es256("b");
        assert_eq!(
            judge(&token, &set(&[&signer, &other])).is_ok(),
            taken,
            "{name} {value}"
        );
        signer.jwk = before;
    }
}

#[test]
fn neither_no_signature_nor_a_secret_one_is_taken() {
    let signer = Signer::rsa("a", Algorithm::RS256);
    let keys = set(&[&signer]);
    let part = |value: &Value| url64(value.to_string());
    for alg in ["none", "None", "NONE", "HS1"] {
        let token = format!("{}.{}.", part(&json!({ "alg": alg })), part(&claims()));
        assert!(judge(&token, &keys).is_err(), "{alg}");
    }
    // The public key as the secret, in each form that an implementation may confuse it with.
    let modulus = signer.jwk["n"].as_str().unwrap();
    let secrets = [
        modulus.as_bytes().to_vec(),
        unurl64(modulus),
        keys.clone().into_bytes(),
    ];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header {
                alg: algorithm,
                ..signer.header()
            };
            let token = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
            assert!(judge(&token, &keys).is_err());
        }
    }
    let octets = json!({ "keys": [{ "kty": "oct", "kid": "a", "k": "c2VjcmV0" }] }).to_string();
    assert!(Keys::read(octets.as_bytes()).is_err());
}

#[test]
fn what_is_no_token_is_refused() {
    let signer = Signer::es256("a");
    let keys = set(&[&signer]);
    let good = signer.token(&claims());
    let long = format!("{good}{}", "A".repeat(LONGEST));
    let (head, tail) = good.split_at(good.rfind('.').unwrap());
    let critical = Header {
        crit: Some(vec!["b64".to_owned()]),
        ..signer.header()
    };
    let critical = encode(&critical, &claims(), &signer.key).unwrap();
    let list = encode(&signer.header(), &json!(["a"]), &signer.key).unwrap();
    for token in [
        "",
        ".",
        "..",
        "a.b.c",
        head,
        tail,
        &long,
        &critical,
        &list,
        &format!("{head}.AAAA"),
    ] {
        assert!(judge(token, &keys).is_err(), "{token}");
    }
    assert!(judge(&good, &keys).is_ok());
}

#[test]
fn a_call_has_at_most_one_token() {
    let headers = |values: &[&'static str]| -> HeaderMap {
        let value = |value: &&'static str| (AUTHORIZATION, http::HeaderValue::from_static(value));
        values.iter().map(value).collect()
    };
    assert_eq!(bearer(&headers(&[])).unwrap(), None);
    assert_eq!(bearer(&headers(&["Basic abc"])).unwrap(), None);
    assert_eq!(bearer(&headers(&["Bearer abc"])).unwrap(), Some("abc"));
    assert_eq!(bearer(&headers(&["bEaReR  abc"])).unwrap(), Some("abc"));
    assert_eq!(bearer(&headers(&["Bearer"])).unwrap(), Some(""));
    assert!(bearer(&headers(&["Bearer abc", "Bearer abc"])).is_err());
}

#[test]
fn keys_come_over_connections_that_nobody_can_change() {
    for good in [
        "https://issuer.example",
        "http://localhost:1",
        "http://127.0.0.1:1/a",
        "http://[::1]:1",
    ] {
        assert!(check_url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://issuer.example",
        "http://127.0.0.1.evil",
        "issuer.example",
        "ftp://x",
        "file:///etc/keys",
        "",
    ] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}

/// An issuer on loopback, whose answers a test changes.
struct Website {
    address: String,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
struct Pages {
    issuer: String,
    keys: String,
    status: u16,
}

impl Website {
    async fn open(keys: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let pages = Arc::new(Mutex::new(Pages {
            issuer: address.clone(),
            keys,
            status: 200,
        }));
        let site = Self {
            address: address.clone(),
            pages: pages.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (address, pages) = (address.clone(), pages.clone());
                let service = hyper::service::service_fn(
                    move |request: http::Request<hyper::body::Incoming>| {
                        let pages = pages.lock().unwrap();
                        let body = match request.uri().path() {
                        "/.well-known/openid-configuration" => {
                            json!({ "issuer": pages.issuer, "jwks_uri": format!("{address}/keys") }).to_string()
                        }
                        _ => pages.keys.clone(),
                    };
                        let response = http::Response::builder().status(pages.status);
                        let response =
                            response.body(http_body_util::Full::new(bytes::Bytes::from(body)));
                        async move { response }
                    },
                );
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service),
                );
            }
        });
        site
    }

    fn change(&self, change: impl FnOnce(&mut Pages)) {
        change(&mut self.pages.lock().unwrap());
    }
}

#[tokio::test]
async fn keys_are_discovered() {
    let signer = Signer::es256("a");
    let site = Website::open(set(&[&signer])).await;
    let keys = discovery::keys(&site.address).await.unwrap();
    assert!(keys.find(Some("a")).is_some());
    let wrong: [fn(&mut Pages); 4] = [
        |pages| pages.issuer = "https://other.example".to_owned(),
        |pages| pages.status = 500,
        |pages| pages.status = 302,
        |pages| pages.keys = " ".repeat(1 << 20),
    ];
    for change in wrong {
        let site = Website::open(set(&[&signer])).await;
        site.change(change);
        assert!(discovery::keys(&site.address).await.is_err());
    }
    drop(site);
    assert!(discovery::keys("http://127.0.0.1:1").await.is_err());
}

/// A source whose keys a test changes, and how often it was asked.
#[derive(Clone, Default)]
struct Shown(Arc<(Mutex<Option<String>>, AtomicUsize)>);

impl Shown {
    fn show(&self, signers: &[&Signer]) {
        *self.0.0.lock().unwrap() = Some(set(signers));
    }

    fn fail(&self) {
        *self.0.0.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    /// An issuer that shows them, and time that the test lets pass.
    fn issuer(&self) -> Arc<Issuer> {
        let shown = self.clone();
        let look = move || -> issuer::Looked {
            shown.0.1.fetch_add(1, Ordering::Relaxed);
            let set = shown.0.0.lock().unwrap().clone();
            Box::pin(async move { Keys::read(set.ok_or("down")?.as_bytes()) })
        };
        let source = issuer::Source {
            look: Box::new(look),
            pace: issuer::ASKING,
        };
        let start = tokio::time::Instant::now();
        let clock: Clock = Arc::new(move || now() + start.elapsed());
        let issuer = Arc::new(Issuer::new(tokens(ISSUER), clock, source, None));
        let kept = Arc::clone(&issuer);
        tokio::spawn(async move { kept.keep().await });
        issuer
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Good for longer than any test takes.
fn lasting() -> Value {
    with("exp", (NOW + 86_400).into())
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_looked_up_when_the_first_token_names_it() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let shown = Shown::default();
    shown.show(&[&old]);
    let issuer = shown.issuer();
    pass(60).await;
    assert!(issuer.verify(&old.token(&lasting())).await.is_ok());
    shown.show(&[&old, &new]);
    assert!(issuer.verify(&new.token(&lasting())).await.is_ok());
    assert!(issuer.verify(&old.token(&lasting())).await.is_ok());
    assert_eq!(shown.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn made_up_keys_lead_to_no_flood_of_look_ups() {
    let (known, unknown) = (Signer::es256("known"), Signer::es256("unknown"));
    let shown = Shown::default();
    shown.show(&[&known]);
    let issuer = shown.issuer();
    pass(60).await;
    let before = tokio::time::Instant::now();
    for _ in 0..100 {
        let refusal = issuer.verify(&unknown.token(&lasting())).await.unwrap_err();
        assert_eq!(refusal.why, Why::Unrecognized);
    }
    assert_eq!(shown.asked(), 2);
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "nobody waits for what is not looked up"
    );
}

#[tokio::test(start_paused = true)]
async fn keys_are_looked_up_now_and_then_and_a_key_that_is_gone_is_not_taken() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let shown = Shown::default();
    shown.show(&[&old]);
    let issuer = shown.issuer();
    pass(1).await;
    shown.show(&[&new]);
    assert!(issuer.verify(&old.token(&lasting())).await.is_ok());
    pass(300).await;
    assert!(issuer.verify(&old.token(&lasting())).await.is_err());
    assert!(issuer.verify(&new.token(&lasting())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_fails_changes_nothing() {
    let signer = Signer::es256("a");
    let shown = Shown::default();
    let issuer = shown.issuer();
    pass(1).await;
    let early = issuer.verify(&signer.token(&lasting())).await.unwrap_err();
    assert_eq!(early.why, Why::NoKeys);
    shown.show(&[&signer]);
    pass(30).await;
    assert!(issuer.verify(&signer.token(&lasting())).await.is_ok());
    shown.fail();
    pass(3600).await;
    assert!(issuer.verify(&signer.token(&lasting())).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_in_a_file_are_read_again() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| std::fs::write(file.path(), text).unwrap();
    let open = || {
        let tokens = Tokens {
            keys: Some(file.path().to_owned()),
            ..tokens(ISSUER)
        };
        Issuer::open(tokens, Arc::new(now))
    };
    assert!(open().is_err(), "an empty file has no keys");
    write(&set(&[&old]));
    let issuer = Arc::new(open().unwrap());
    let kept = Arc::clone(&issuer);
    tokio::spawn(async move { kept.keep().await });
    assert!(issuer.verify(&old.token(&lasting())).await.is_ok());
    write(&set(&[&new]));
    pass(5).await;
    assert!(issuer.verify(&new.token(&lasting())).await.is_ok());
    write("half a");
    pass(5).await;
    assert!(issuer.verify(&new.token(&lasting())).await.is_ok());
}
