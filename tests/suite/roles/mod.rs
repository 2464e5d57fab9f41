//! As whom AWS is called: the facade with callers in roles, before a stub of STS and Proton.

mod aws;
mod isolation;

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderName};
use proton_grpc::{
    api::pb::{
        GetEnvironmentTemplateRequest, UpdateEnvironmentTemplateRequest,
        proton_service_server::ProtonService as _,
    },
    facade::{Ambient, Facade, Settings, upstream::Remote},
    identity::{
        self, Client, Identities, Machine, Place, Principal, Proxied, Sources, TrustedProxy,
    },
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use aws::{Asked, Aws, LIFETIME};

/// Where the trusted proxy says who calls.
pub(crate) const CALLER: &str = "x-caller";

/// Somebody whom the trusted proxy knows by this name.
pub(crate) fn entry(name: &str, digit: &str, more: &str) -> String {
    let account = digit.repeat(12);
    format!("[[caller]]\nproxied = '{name}'\naccount = '{account}'\n{more}\n")
}

/// Those of these entries, if a proxy on this machine says so.
pub(crate) fn callers(entries: &[String]) -> Identities {
    let directory = tempfile::tempdir().unwrap();
    let callers = directory.path().join("callers");
    fs::write(&callers, entries.concat()).unwrap();
    let settings = identity::Settings {
        local: Place {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        },
        sources: Some(Sources {
            callers,
            trust_domain: None,
            tokens: None,
            proxied: Some(Proxied {
                proxy: TrustedProxy::Loopback,
                header: HeaderName::from_static(CALLER),
            }),
            roles: true,
        }),
    };
    Identities::open(settings, Arc::new(SystemTime::now))
        .unwrap()
        .0
}

pub(crate) async fn principal(identities: &Identities, name: &str) -> Principal {
    let headers = HeaderMap::from_iter([(HeaderName::from_static(CALLER), name.parse().unwrap())]);
    let client = Client {
        certificate: None,
        machine: Machine::Loopback,
    };
    identities.of_call(&headers, client).await.unwrap()
}

pub(crate) fn ambient() -> Ambient {
    Ambient {
        request_id: Arc::new(|| "made-up-id".to_owned()),
        jitter: Arc::new(|longest| longest),
    }
}

/// A caller in this role, with more in its entry.
fn in_role(name: &str, role: &str, more: &str) -> String {
    let role = format!("role = 'arn:aws:iam::111111111111:role/{role}'\n{more}");
    entry(name, "1", &role)
}

/// A caller with a role that has its name.
fn role(name: &str) -> String {
    in_role(name, name, "")
}

struct World {
    aws: Arc<Aws>,
    identities: Identities,
    facade: Facade,
}

fn world(entries: &[String]) -> World {
    let aws = Arc::new(Aws::new());
    let config = aws::sdk(aws.listen(), &aws.clock);
    let upstream = Remote::new(config, None).upstream();
    World {
        facade: Facade::new(upstream, Settings::default(), ambient()),
        identities: callers(entries),
        aws,
    }
}

impl World {
    /// The role that the upstream sees in a call of this caller.
    async fn seen(&self, caller: &str) -> Result<String, Status> {
        let mut request = Request::new(GetEnvironmentTemplateRequest { name: "a".into() });
        let principal = principal(&self.identities, caller).await;
        request.extensions_mut().insert(principal);
        let answer = self.facade.get_environment_template(request).await?;
        Ok(answer.into_inner().environment_template.unwrap().name)
    }

    async fn refusal(&self, caller: &str) -> (Code, String) {
        let status = self.seen(caller).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "proton-grpc");
        assert_eq!(info.metadata["outcome"], "not_executed");
        (status.code(), info.reason)
    }
}

#[tokio::test]
async fn each_caller_acts_in_its_role() {
    let in_europe = "region = 'eu-west-1'\nexternal-id = 'x y'";
    let world = world(&[
        role("alice@example.com"),
        in_role("bob", "bob", in_europe),
        entry("ops", "2", "role = 'own'"),
    ]);
    for caller in ["alice@example.com", "bob", "alice@example.com"] {
        assert_eq!(world.seen(caller).await.unwrap(), caller);
    }
    assert_eq!(world.seen("ops").await.unwrap(), "own");

    let regions = ["us-east-1", "eu-west-1"].map(str::to_owned);
    assert_eq!(world.aws.regions(), HashSet::from(regions));
    let (calls, forged) = world.aws.calls();
    assert_eq!((calls, forged), (4, 0));

    let asked = world.aws.asked();
    let [alice, bob] = &asked[..] else {
        panic!("{asked:?}")
    };
    let text = |asked: &Asked, name: &str| asked.get(name).cloned().unwrap_or_default();
    let session = text(alice, "RoleSessionName");
    assert!(session.starts_with("alice@example.com-"), "{session}");
    assert_eq!(text(alice, "SourceIdentity"), session);
    assert_eq!(text(alice, "ExternalId"), "");
    assert_eq!(text(bob, "RoleArn"), "arn:aws:iam::111111111111:role/bob");
    assert_eq!(text(bob, "ExternalId"), "x y");
    let tags = [
        ("Tags.member.1", "kind", "proxied"),
        ("Tags.member.2", "caller", "bob"),
    ];
    for (member, key, value) in tags {
        assert_eq!(
            text(bob, &format!("{member}.Key")),
            format!("proton-grpc:{key}")
        );
        assert_eq!(text(bob, &format!("{member}.Value")), value);
    }
    assert_eq!(
        text(bob, "TransitiveTagKeys.member.2"),
        "proton-grpc:caller"
    );
}

#[tokio::test]
async fn callers_of_one_role_have_a_session_each() {
    let world = world(&["alice", "bob"].map(|name| in_role(name, "shared", "")));
    for caller in ["alice", "bob", "alice"] {
        assert_eq!(world.seen(caller).await.unwrap(), "shared");
    }
    let asked = world.aws.asked();
    let sessions: BTreeSet<_> = asked.iter().map(|asked| &asked["SourceIdentity"]).collect();
    assert_eq!((asked.len(), sessions.len()), (2, 2));
}

#[tokio::test]
async fn a_role_that_sts_refuses_is_its_callers_alone() {
    let world = world(&[role("alice"), role("bob")]);
    world.aws.refuse("alice", 403, "AccessDenied");
    let refused = (Code::PermissionDenied, "ROLE_REFUSED".to_owned());
    for _ in 0..3 {
        assert_eq!(world.refusal("alice").await, refused);
        assert_eq!(world.seen("bob").await.unwrap(), "bob");
    }
    // STS is not asked again at once.
    assert_eq!(world.aws.asked().len(), 2);
    world.aws.relent();
    assert_eq!(world.refusal("alice").await, refused);
    world.aws.clock.pass(Duration::from_secs(1));
    assert_eq!(world.seen("alice").await.unwrap(), "alice");
}

#[tokio::test]
async fn what_sts_says_tells_whether_to_come_back() {
    for (status, code, expected) in [
        (
            400,
            "Throttling",
            (Code::Unavailable, "UPSTREAM_CREDENTIALS_UNAVAILABLE"),
        ),
        (
            400,
            "ValidationError",
            (Code::Internal, "UPSTREAM_CREDENTIALS_MISCONFIGURED"),
        ),
        (
            403,
            "InvalidClientTokenId",
            (Code::Internal, "UPSTREAM_CREDENTIALS_MISCONFIGURED"),
        ),
        (
            403,
            "AccessDenied",
            (Code::PermissionDenied, "ROLE_REFUSED"),
        ),
    ] {
        let world = world(&[role("alice")]);
        world.aws.refuse("alice", status, code);
        let (grpc, reason) = world.refusal("alice").await;
        assert_eq!((grpc, &*reason), expected, "{code}");
    }
}

#[tokio::test]
async fn credentials_are_renewed_early_and_once() {
    let world = world(&[role("alice")]);
    let crowd = || async {
        for seen in join_all((0..50).map(|_| world.seen("alice"))).await {
            assert_eq!(seen.unwrap(), "alice");
        }
        world.aws.asked().len()
    };
    assert_eq!(crowd().await, 1);
    assert_eq!(crowd().await, 0);
    world.aws.clock.pass(LIFETIME - Duration::from_secs(59));
    assert_eq!(crowd().await, 1);
}

#[tokio::test]
async fn credentials_that_cannot_be_renewed_serve_to_their_end() {
    let world = world(&[role("alice")]);
    world.seen("alice").await.unwrap();
    world.aws.refuse("alice", 400, "Throttling");
    world.aws.clock.pass(LIFETIME - Duration::from_secs(1));
    assert_eq!(world.seen("alice").await.unwrap(), "alice");
    world.aws.clock.pass(Duration::from_secs(1));
    let (code, _) = world.refusal("alice").await;
    assert_eq!(code, Code::Unavailable);
}

#[tokio::test]
async fn an_expired_token_is_forgotten_for_its_caller_alone() {
    let world = world(&[role("alice"), role("bob")]);
    for caller in ["alice", "bob"] {
        world.seen(caller).await.unwrap();
    }
    world.aws.asked();
    world.aws.expire("alice");
    for caller in ["alice", "bob"] {
        assert_eq!(world.seen(caller).await.unwrap(), caller);
    }
    let asked = world.aws.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0]["RoleArn"].ends_with("/alice"));
}

#[tokio::test]
async fn sts_is_not_asked_anew_for_callers_who_give_up() {
    let world = world(&[role("alice")]);
    world.aws.patience.forget_permits(usize::MAX);
    for _ in 0..3 {
        // Each gets as far as it can, and goes.
        let gave_up = tokio::time::timeout(Duration::from_millis(20), world.seen("alice")).await;
        assert!(gave_up.is_err());
    }
    world.aws.patience.add_permits(1);
    assert_eq!(world.seen("alice").await.unwrap(), "alice");
    assert_eq!(world.aws.asked().len(), 1);
}

#[tokio::test]
async fn changes_are_made_in_the_role_too() {
    let world = world(&[role("alice")]);
    let mut request = Request::new(UpdateEnvironmentTemplateRequest {
        name: "a".into(),
        ..Default::default()
    });
    let principal = principal(&world.identities, "alice").await;
    request.extensions_mut().insert(principal);
    let answer = world
        .facade
        .update_environment_template(request)
        .await
        .unwrap();
    let template = answer.into_inner().environment_template.unwrap();
    assert_eq!(template.name, "alice");
}

/// Clients of some are forgotten; their credentials are not.
#[tokio::test]
async fn more_callers_than_have_clients_are_served() {
    let names: Vec<_> = (0..600).map(|number| format!("caller-{number}")).collect();
    let entries: Vec<_> = names.iter().map(|name| role(name)).collect();
    let world = world(&entries);
    for _ in 0..2 {
        for name in &names {
            assert_eq!(world.seen(name).await.unwrap(), *name);
        }
    }
    assert_eq!(world.aws.asked().len(), names.len());
    assert_eq!(world.aws.calls(), (1200, 0));
}
