use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, UNIX_EPOCH},
};

use http::{HeaderName, HeaderValue};
use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::json;

use super::*;
use crate::identity::jwt::tests::{ISSUER, NOW, Signer, claims, set};

const CALLERS: &str = "
[[caller]]
spiffe = 'spiffe://prod.example/web'
account = '111111111111'
[[caller]]
subject = 'alice'
account = '222222222222'
region = 'eu-west-1'
[[caller]]
proxied = 'bob'
account = '333333333333'
";

struct World {
    identities: Identities,
    signer: Signer,
    _directory: tempfile::TempDir,
}

/// What a call brings.
#[derive(Default)]
struct Call {
    headers: Vec<(&'static str, String)>,
    certificate: Option<Vec<u8>>,
    machine: Option<Machine>,
}

fn world(proxied: Option<(&str, &'static str)>) -> World {
    let directory = tempfile::tempdir().unwrap();
    let signer = Signer::es256("a");
    let (callers, keys) = (
        directory.path().join("callers"),
        directory.path().join("keys"),
    );
    let names = proxied.is_some_and(|(_, header)| header == "x-user");
    let callers_text = match names {
        true => CALLERS.to_owned(),
        false => CALLERS
            .split("[[caller]]\nproxied")
            .next()
            .unwrap()
            .to_owned(),
    };
    fs::write(&callers, callers_text).unwrap();
    fs::set_permissions(&callers, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&keys, set(&[&signer])).unwrap();
    let settings = Settings {
        local: local(),
        sources: Some(Sources {
            callers,
            trust_domain: Some("prod.example".parse().unwrap()),
            tokens: Some(Tokens {
                issuer: ISSUER.to_owned(),
                audience: "proton".to_owned(),
                keys: Some(keys),
            }),
            proxied: proxied.map(|(proxy, header)| Proxied {
                proxy: proxy.parse().unwrap(),
                header: HeaderName::from_static(header),
            }),
            roles: false,
        }),
    };
    let clock: Clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(NOW));
    let (identities, _) = Identities::open(settings, clock).unwrap();
    World {
        identities,
        signer,
        _directory: directory,
    }
}

fn local() -> Place {
    Place {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
    }
}

fn certificate(id: &str) -> Option<Vec<u8>> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    Some(params.self_signed(&key).unwrap().der().to_vec())
}

impl World {
    async fn ask(&self, call: Call) -> Result<String, Why> {
        let header = |(name, value): (&'static str, String)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).unwrap(),
            )
        };
        let headers = call.headers.into_iter().map(header).collect();
        let client = Client {
            certificate: call.certificate.as_deref(),
            machine: call.machine.unwrap_or(Machine::Other),
        };
        let principal = self.identities.of_call(&headers, client).await;
        let principal = principal.map_err(|refusal| refusal.why)?;
        Ok(format!(
            "{principal} in {} {}",
            principal.account(),
            principal.region()
        ))
    }

    fn bearer(&self, claims: &Value) -> Vec<(&'static str, String)> {
        vec![(
            "authorization",
            format!("Bearer {}", self.signer.token(claims)),
        )]
    }
}

#[tokio::test]
async fn a_certificate_is_its_workload() {
    let world = world(None);
    let of = async |id| {
        let call = Call {
            certificate: certificate(id),
            ..Call::default()
        };
        world.ask(call).await
    };
    assert_eq!(
        of("spiffe://prod.example/web").await.unwrap(),
        "spiffe://prod.example/web in 111111111111 us-east-1"
    );
    assert_eq!(of("spiffe://prod.example/other").await, Err(Why::Unmapped));
    assert_eq!(
        of("spiffe://test.example/web").await,
        Err(Why::Unrecognized)
    );
    assert_eq!(of("https://prod.example/web").await, Err(Why::Malformed));
    assert_eq!(world.ask(Call::default()).await, Err(Why::Missing));
}

#[tokio::test]
async fn a_token_decides_even_when_it_does_not_hold() {
    let world = world(None);
    let with = async |headers| {
        let certificate = certificate("spiffe://prod.example/web");
        world
            .ask(Call {
                headers,
                certificate,
                ..Call::default()
            })
            .await
    };
    let good = with(world.bearer(&claims())).await;
    assert_eq!(
        good.unwrap(),
        format!("jwt:{ISSUER}#alice in 222222222222 eu-west-1")
    );
    let mut late = claims();
    late["exp"] = (NOW - 100).into();
    assert_eq!(with(world.bearer(&late)).await, Err(Why::Expired));
    let mut stranger = claims();
    stranger["sub"] = "mallory".into();
    assert_eq!(with(world.bearer(&stranger)).await, Err(Why::Unmapped));
    let basic = with(vec![("authorization", "Basic YTpi".to_owned())]).await;
    assert!(basic.unwrap().starts_with("spiffe:"));
}

#[tokio::test]
async fn a_header_counts_from_the_trusted_proxy_only() {
    let world = world(Some(("spiffe://prod.example/edge", "x-user")));
    let says = async |name: &str, id| {
        let headers = vec![("x-user", name.to_owned())];
        let certificate = certificate(id);
        world
            .ask(Call {
                headers,
                certificate,
                ..Call::default()
            })
            .await
    };
    let bob = says("bob", "spiffe://prod.example/edge").await.unwrap();
    assert_eq!(bob, "proxied:bob in 333333333333 us-east-1");
    let web = says("bob", "spiffe://prod.example/web").await.unwrap();
    assert_eq!(web, "spiffe://prod.example/web in 111111111111 us-east-1");
    let foreign = says("bob", "spiffe://test.example/edge").await;
    assert_eq!(foreign, Err(Why::Unrecognized));
    assert_eq!(
        says("eve", "spiffe://prod.example/edge").await,
        Err(Why::Unmapped)
    );
    let alone = Call {
        headers: vec![("x-user", "bob".to_owned())],
        ..Call::default()
    };
    assert_eq!(world.ask(alone).await, Err(Why::Missing));
}

#[tokio::test]
async fn a_proxy_cannot_vouch_for_another_trust_domain() {
    let world = world(Some(("loopback", "x-forwarded-client-cert")));
    let says = async |id: &str| {
        let headers = vec![("x-forwarded-client-cert", format!("URI={id}"))];
        world
            .ask(Call {
                headers,
                machine: Some(Machine::Loopback),
                ..Call::default()
            })
            .await
    };
    assert!(says("spiffe://prod.example/web").await.is_ok());
    assert_eq!(
        says("spiffe://test.example/web").await,
        Err(Why::Unrecognized)
    );
    assert_eq!(says("nobody").await, Err(Why::Malformed));
}

#[tokio::test]
async fn where_nobody_asks_everybody_is_the_local_caller() {
    let (identities, upkeep) = Identities::open(
        Settings {
            local: local(),
            sources: None,
        },
        Arc::new(|| UNIX_EPOCH),
    )
    .unwrap();
    upkeep.run().await;
    assert!(!identities.are_asked_for());
    let client = Client {
        certificate: None,
        machine: Machine::Other,
    };
    let principal = identities.of_call(&HeaderMap::new(), client).await.unwrap();
    assert!(principal.is_local());
    assert_eq!(
        (principal.account(), principal.region()),
        ("000000000000", "us-east-1")
    );
}

#[test]
fn what_is_wrong_with_the_sources_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let callers = directory.path().join("callers");
    let open = |tokens: Option<Tokens>| {
        let sources = Sources {
            callers: callers.clone(),
            trust_domain: None,
            tokens,
            proxied: None,
            roles: false,
        };
        let settings = Settings {
            local: local(),
            sources: Some(sources),
        };
        Identities::open(settings, Arc::new(|| UNIX_EPOCH))
            .map(|_| ())
            .unwrap_err()
    };
    assert!(open(None).contains("callers: No such file"));
    fs::write(&callers, "").unwrap();
    let tokens = |issuer: &str, keys: Option<PathBuf>| {
        Some(Tokens {
            issuer: issuer.to_owned(),
            audience: "a".to_owned(),
            keys,
        })
    };
    assert!(open(tokens("http://issuer.example", None)).contains("must be https"));
    let missing = directory.path().join("keys");
    assert!(open(tokens(ISSUER, Some(missing.clone()))).contains("keys: No such file"));
    fs::write(&missing, json!({ "keys": [] }).to_string()).unwrap();
    assert!(open(tokens(ISSUER, Some(missing))).contains("has no key"));
}
