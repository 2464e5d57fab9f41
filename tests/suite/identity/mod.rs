//! Who may call, on both fronts, and whose resources they see: a server on loopback with an issuer of
//! tokens and access keys, and the control plane behind it.

mod mutual_tls;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_credential_types::Credentials;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_types::base64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use prost_reflect::DynamicMessage;
use proton_grpc::{
    control_plane::{ControlPlane, wire},
    facade::{
        Ambient, Facade, Settings as FacadeSettings, Upstream,
        upstream::{Answer, Endpoint},
    },
    identity::{
        Client, FORWARDED_CERTIFICATE, Identities, Machine, Place, Proxied, Settings, Sources,
        Tokens, TrustedProxy,
    },
    server::{Bound, Health, Server, proton, reflection},
    telemetry::Telemetry,
};
use serde_json::{Value as Json, json};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    descriptors::{self, json},
    facade_errors::{minimal, operations},
    facade_world::Dynamic,
    stack::{REGION, START_MS, Stack, environment_bundle},
};

const ISSUER: &str = "https://issuer.example";
const CALLERS: &str = "
[[caller]]
subject = 'alice'
account = '111111111111'

[[caller]]
access-key = { id = 'AKIDALICE', secret = 'the secret of alice' }
account = '111111111111'

[[caller]]
subject = 'bob'
account = '222222222222'
region = 'eu-west-1'

[[caller]]
access-key = { id = 'AKIDBOB', secret = 'the secret of bob' }
account = '222222222222'
region = 'eu-west-1'
";

struct World {
    stack: Stack,
    identities: Identities,
    issuer: Issuer,
    channel: Channel,
    _server: Server,
}

/// Who signs the tokens.
struct Issuer {
    key: EncodingKey,
    set: String,
}

impl Issuer {
    fn new() -> Self {
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|number| {
            let text = base64::encode(number).replace('+', "-").replace('/', "_");
            text.trim_end_matches('=').to_owned()
        });
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": x, "y": y });
        Self {
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            set: json!({ "keys": [key] }).to_string(),
        }
    }

    fn token(&self, subject: &str, audience: &str, lifetime: i64) -> String {
        let expires = START_MS / 1000 + lifetime;
        let claims = json!({ "iss": ISSUER, "aud": audience, "sub": subject, "exp": expires });
        let header = Header {
            kid: Some("a".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, &claims, &self.key).unwrap()
    }

    fn good(&self, subject: &str) -> String {
        self.token(subject, "proton", 300)
    }
}

/// The control plane as the facade's upstream.
struct Behind(ControlPlane);

impl Endpoint for Behind {
    fn answer(&self, request: http::Request<Bytes>) -> Answer {
        let plane = self.0.clone();
        Box::pin(async move { wire::handle(&plane, request).await })
    }
}

async fn world() -> World {
    world_trusting(None).await
}

async fn world_trusting(proxy: Option<TrustedProxy>) -> World {
    let (stack, issuer) = (Stack::new(), Issuer::new());
    let directory = tempfile::tempdir().unwrap();
    let (callers, keys) = (
        directory.path().join("callers"),
        directory.path().join("keys"),
    );
    fs::write(&callers, CALLERS).unwrap();
    fs::set_permissions(&callers, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&keys, &issuer.set).unwrap();
    let settings = Settings {
        local: Place {
            account: "000000000000".to_owned(),
            region: REGION.to_owned(),
        },
        sources: Some(Sources {
            callers,
            trust_domain: None,
            tokens: Some(Tokens {
                issuer: ISSUER.to_owned(),
                audience: "proton".to_owned(),
                keys: Some(keys),
            }),
            proxied: proxy.map(|proxy| Proxied {
                proxy,
                header: FORWARDED_CERTIFICATE,
            }),
        }),
    };
    let (identities, _) = Identities::open(settings, Arc::new(now)).unwrap();
    let bound = any_port();
    let address = format!("http://{}", bound.listen());
    let server = serve(&stack, &identities, bound);
    World {
        stack,
        identities,
        issuer,
        channel: Channel::from_shared(address).unwrap().connect_lazy(),
        _server: server,
    }
}

/// A server of gRPC, with the control plane behind it.
fn serve(stack: &Stack, identities: &Identities, bound: Bound) -> Server {
    let plane = stack.plane.clone();
    let facade = move || {
        let upstream = Upstream::embedded(Arc::new(Behind(plane.clone())), REGION);
        let ambient = Ambient {
            request_id: Arc::new(|| "id".to_owned()),
            jitter: Arc::new(|longest| longest),
        };
        Facade::new(upstream, FacadeSettings::default(), ambient)
    };
    let health = Health::default();
    health.set_serving(true);
    let services = move || proton(facade()).and(reflection::services());
    Server::start(
        bound,
        health,
        identities.clone(),
        Telemetry::default(),
        services,
    )
    .unwrap()
}

fn any_port() -> Bound {
    Bound::to(&"127.0.0.1:0".parse().unwrap(), 0o600, 1).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(START_MS.cast_unsigned())
}

impl World {
    async fn call(
        &self,
        operation: &str,
        message: DynamicMessage,
        headers: &[(&'static str, &str)],
    ) -> Result<Json, Status> {
        unary(&self.channel, operation, message, headers).await
    }

    async fn preview(&self, environment: Json, who: &str) -> Result<(), Status> {
        let method = streaming_method("PreviewDeployment");
        let body = json!({ "call": { "createEnvironment": environment } });
        let headers = [("authorization", &*self.bearer(who))];
        let request = asking(message(&method.input(), &body), &headers);
        let path = "/proton.v1.ProtonStreamingService/PreviewDeployment";
        let mut grpc = grpc(&self.channel).await;
        let answer = grpc.unary(request, path.parse().unwrap(), Dynamic(method.output()));
        answer.await.map(|_| ())
    }

    async fn stream(
        &self,
        method: &str,
        message: DynamicMessage,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<Json>, Status> {
        streamed(&self.channel, method, message, headers).await
    }

    fn bearer(&self, subject: &str) -> String {
        format!("Bearer {}", self.issuer.good(subject))
    }

    async fn as_(&self, who: &str, operation: &str, body: Json) -> Result<Json, Status> {
        let message = message(&descriptors::request(operation), &body);
        self.call(operation, message, &[("authorization", &self.bearer(who))])
            .await
    }

    /// An AWS-JSON request from a socket.
    async fn aws_json(&self, request: http::Request<Bytes>) -> (u16, Json) {
        let client = Client {
            certificate: None,
            machine: Machine::Loopback,
        };
        let response = wire::handle_from(client, &self.stack.plane, &self.identities, request);
        let (head, body) = response.await.into_parts();
        (head.status.as_u16(), serde_json::from_slice(&body).unwrap())
    }
}

async fn unary(
    channel: &Channel,
    operation: &str,
    message: DynamicMessage,
    headers: &[(&'static str, &str)],
) -> Result<Json, Status> {
    let path = format!("/proton.v1.ProtonService/{operation}");
    let codec = Dynamic(descriptors::response(operation));
    let request = asking(message, headers);
    let mut grpc = grpc(channel).await;
    let answer = grpc.unary(request, path.parse().unwrap(), codec);
    Ok(json::write(answer.await?.get_ref()))
}

/// All that a stream sends.
async fn streamed(
    channel: &Channel,
    method: &str,
    message: DynamicMessage,
    headers: &[(&'static str, &str)],
) -> Result<Vec<Json>, Status> {
    let codec = Dynamic(streaming_method(method).output());
    let path = format!("/proton.v1.ProtonStreamingService/{method}");
    let mut grpc = grpc(channel).await;
    let answer = grpc
        .server_streaming(asking(message, headers), path.parse().unwrap(), codec)
        .await?;
    let (mut stream, mut sent) = (answer.into_inner(), Vec::new());
    while let Some(message) = stream.message().await? {
        sent.push(json::write(&message));
    }
    Ok(sent)
}

async fn grpc(channel: &Channel) -> Grpc<Channel> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    grpc
}

fn streaming_method(name: &str) -> prost_reflect::MethodDescriptor {
    let service = descriptors::service("ProtonStreamingService");
    let found = service.methods().find(|found| found.name() == name);
    found.unwrap()
}

fn asking(message: DynamicMessage, headers: &[(&'static str, &str)]) -> Request<DynamicMessage> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// A message from its JSON.
fn message(descriptor: &prost_reflect::MessageDescriptor, body: &Json) -> DynamicMessage {
    DynamicMessage::deserialize(descriptor.clone(), body).unwrap()
}

/// A request as an SDK sends it.
struct Signing {
    key_id: &'static str,
    secret: &'static str,
    region: &'static str,
    at: SystemTime,
}

const ALICE: Signing = Signing {
    key_id: "AKIDALICE",
    secret: "the secret of alice",
    region: REGION,
    at: UNIX_EPOCH,
};
const BOB: Signing = Signing {
    key_id: "AKIDBOB",
    secret: "the secret of bob",
    region: "eu-west-1",
    at: UNIX_EPOCH,
};

impl Signing {
    fn now(self) -> Self {
        Self { at: now(), ..self }
    }

    fn sign(&self, operation: &str, body: &Json) -> http::Request<Bytes> {
        let credentials = Credentials::new(self.key_id, self.secret, None, None, "test");
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("proton")
            .time(self.at)
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let mut request = unsigned(operation, body);
        let headers = request.headers().iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let headers = headers.iter().map(|(name, value)| (&**name, &**value));
        let signable = SignableRequest::new(
            "POST",
            "http://127.0.0.1:8787/",
            headers,
            SignableBody::Bytes(request.body()),
        );
        let output = sign(signable.unwrap(), &SigningParams::V4(params)).unwrap();
        let (instructions, _) = output.into_parts();
        for (name, value) in instructions.headers() {
            request.headers_mut().insert(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        request
    }
}

fn unsigned(operation: &str, body: &Json) -> http::Request<Bytes> {
    http::Request::post("/")
        .header("host", "127.0.0.1:8787")
        .header("x-amz-target", format!("AwsProton20200720.{operation}"))
        .body(Bytes::from(body.to_string()))
        .unwrap()
}

/// The reason of an error that the server itself said.
fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    match &*info.domain {
        "proton-grpc" => {
            assert_eq!(info.metadata["outcome"], "not_executed");
            info.reason.clone()
        }
        _ => "said by the service".to_owned(),
    }
}

#[tokio::test]
async fn every_operation_over_grpc_asks_who_calls() {
    let world = world().await;
    let token = |subject, audience, lifetime| world.issuer.token(subject, audience, lifetime);
    let refused = [
        (None, Code::Unauthenticated, "IDENTITY_MISSING"),
        (
            Some(token("alice", "proton", -61)),
            Code::Unauthenticated,
            "IDENTITY_EXPIRED",
        ),
        (
            Some(token("alice", "photon", 300)),
            Code::Unauthenticated,
            "IDENTITY_UNRECOGNIZED",
        ),
        (
            Some(token("mallory", "proton", 300)),
            Code::PermissionDenied,
            "IDENTITY_UNMAPPED",
        ),
    ];
    let refused = refused
        .map(|(token, code, reason)| (token.map(|token| format!("Bearer {token}")), code, reason));
    let alice = world.bearer("alice");
    for operation in operations() {
        for (token, code, why) in &refused {
            let headers: Vec<_> = token
                .iter()
                .map(|token| ("authorization", &**token))
                .collect();
            let answer = world.call(&operation, minimal(&operation), &headers).await;
            let status = answer.unwrap_err();
            assert_eq!(
                (status.code(), &*reason(&status)),
                (*code, *why),
                "{operation}"
            );
        }
        let headers = [("authorization", &*alice)];
        let answer = world.call(&operation, minimal(&operation), &headers).await;
        if let Err(status) = answer {
            assert!(
                !reason(&status).starts_with("IDENTITY"),
                "{operation} {status:?}"
            );
        }
    }
}

#[tokio::test]
async fn every_stream_asks_who_calls() {
    let world = world().await;
    for method in descriptors::service("ProtonStreamingService").methods() {
        let message = DynamicMessage::new(method.input());
        let status = world.stream(method.name(), message, &[]).await.unwrap_err();
        assert_eq!(reason(&status), "IDENTITY_MISSING", "{}", method.name());
    }
}

#[tokio::test]
async fn every_operation_over_aws_json_asks_who_calls() {
    let world = world().await;
    let (late, early) = (Duration::from_secs(301), Duration::from_secs(300));
    for operation in operations() {
        let body = json::write(&minimal(&operation));
        let sign = |signing: Signing| signing.sign(&operation, &body);
        let mut changed = sign(ALICE.now());
        *changed.body_mut() = Bytes::from_static(b"{ }");
        for (request, name) in [
            (
                unsigned(&operation, &body),
                "MissingAuthenticationTokenException",
            ),
            (
                sign(Signing {
                    at: now() - late,
                    ..ALICE
                }),
                "InvalidSignatureException",
            ),
            (
                sign(Signing {
                    at: now() + late,
                    ..ALICE
                }),
                "InvalidSignatureException",
            ),
            (
                sign(Signing {
                    secret: "another",
                    ..ALICE.now()
                }),
                "InvalidSignatureException",
            ),
            (
                sign(Signing {
                    key_id: "AKIDEVE",
                    ..ALICE.now()
                }),
                "UnrecognizedClientException",
            ),
            (
                sign(Signing {
                    region: "eu-west-1",
                    ..ALICE.now()
                }),
                "InvalidSignatureException",
            ),
            (changed, "InvalidSignatureException"),
        ] {
            let (status, answer) = world.aws_json(request).await;
            assert_eq!(
                (status, answer["__type"].as_str()),
                (400, Some(name)),
                "{operation}"
            );
        }
        let (_, answer) = world
            .aws_json(sign(Signing {
                at: now() - early,
                ..ALICE
            }))
            .await;
        let name = answer["__type"].as_str().unwrap_or_default();
        assert!(
            !name.contains("Signature") && !name.contains("Client"),
            "{operation} {name}"
        );
    }
}

#[tokio::test]
async fn a_token_is_an_identity_over_aws_json_too() {
    let world = world().await;
    let mut request = unsigned("GetAccountSettings", &json!({}));
    let token = HeaderValue::try_from(world.bearer("alice")).unwrap();
    request.headers_mut().insert("authorization", token);
    assert_eq!(world.aws_json(request).await.0, 200);
}

#[tokio::test]
async fn a_change_that_is_sent_again_is_refused() {
    let world = world().await;
    let update = json!({ "name": "web", "displayName": "Web" });
    let request = ALICE.now().sign("UpdateEnvironmentTemplate", &update);
    let again = request.clone();
    let first = world.aws_json(request).await.1;
    assert_eq!(first["__type"], "ResourceNotFoundException");
    let second = world.aws_json(again).await.1;
    assert_eq!(second["__type"], "InvalidSignatureException");
}

#[tokio::test]
async fn accounts_never_see_each_others_resources() {
    let world = world().await;
    let web = json!({ "name": "web" });
    let created = world
        .as_("alice", "CreateEnvironmentTemplate", web.clone())
        .await
        .unwrap();
    let arn = created["environmentTemplate"]["arn"].as_str().unwrap();
    assert_eq!(
        arn,
        "arn:aws:proton:us-east-1:111111111111:environment-template/web"
    );

    // One by one.
    let seen = world
        .as_("alice", "GetEnvironmentTemplate", web.clone())
        .await;
    assert_eq!(seen.unwrap(), created);
    let unseen = world
        .as_("bob", "GetEnvironmentTemplate", web.clone())
        .await
        .unwrap_err();
    assert_eq!(unseen.code(), Code::NotFound);
    let tags = world
        .as_("bob", "ListTagsForResource", json!({ "resourceArn": arn }))
        .await;
    assert!(tags.is_err());

    // With their keys, over AWS-JSON.
    let (_, seen) = world
        .aws_json(ALICE.now().sign("GetEnvironmentTemplate", &web))
        .await;
    assert_eq!(seen["environmentTemplate"]["arn"], arn);
    let (_, unseen) = world
        .aws_json(BOB.now().sign("GetEnvironmentTemplate", &web))
        .await;
    assert_eq!(unseen["__type"], "ResourceNotFoundException");

    // The same name is free in the other account.
    let others = world
        .as_("bob", "CreateEnvironmentTemplate", web)
        .await
        .unwrap();
    let arn = &others["environmentTemplate"]["arn"];
    assert_eq!(
        arn,
        "arn:aws:proton:eu-west-1:222222222222:environment-template/web"
    );
}

#[tokio::test]
async fn streams_and_waits_and_previews_are_their_callers() {
    let world = world().await;
    let (alice, bob) = (world.bearer("alice"), world.bearer("bob"));
    let web = json!({ "name": "web" });
    world
        .as_("alice", "CreateEnvironmentTemplate", web)
        .await
        .unwrap();
    world.stack.upload("web.tar.gz", &environment_bundle(""));
    let source = json!({ "s3": { "bucket": "templates", "key": "web.tar.gz" } });
    let version = json!({ "templateName": "web", "source": source });
    world
        .as_("alice", "CreateEnvironmentTemplateVersion", version)
        .await
        .unwrap();

    let lists = async |who: &str| {
        let request = DynamicMessage::new(descriptors::request("ListEnvironmentTemplates"));
        let headers = [("authorization", who)];
        let pages = world
            .stream("ListEnvironmentTemplates", request, &headers)
            .await;
        pages.unwrap()[0]["templates"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!((lists(&alice).await, lists(&bob).await), (1, 0));

    let waits = async |who: &str| {
        let body = json!({ "templateName": "web", "majorVersion": "1", "minorVersion": "0" });
        let request = message(
            &descriptors::request("GetEnvironmentTemplateVersion"),
            &body,
        );
        let headers = [("authorization", who)];
        let wait = "WaitUntilEnvironmentTemplateVersionRegistered";
        world.stream(wait, request, &headers).await
    };
    let states = waits(&alice).await.unwrap();
    assert_eq!(
        states.last().unwrap()["environmentTemplateVersion"]["status"],
        "DRAFT"
    );
    assert_eq!(waits(&bob).await.unwrap_err().code(), Code::NotFound);

    let publish = json!({ "templateName": "web", "majorVersion": "1", "minorVersion": "0", "status": "TEMPLATE_VERSION_STATUS_PUBLISHED" });
    world
        .as_("alice", "UpdateEnvironmentTemplateVersion", publish)
        .await
        .unwrap();
    let environment = json!({
        "name": "prod", "templateName": "web", "templateMajorVersion": "1",
        "spec": "proton: EnvironmentSpec\nspec: {}\n",
        "protonServiceRoleArn": "arn:aws:iam::111111111111:role/proton",
    });
    world.preview(environment.clone(), "alice").await.unwrap();
    let unseen = world.preview(environment, "bob").await.unwrap_err();
    assert_eq!(unseen.code(), Code::NotFound);
}

/// What a caller might send to pass for somebody else.
const FORGED: [(&str, &str); 7] = [
    ("x-amz-security-token", "alice"),
    ("x-amzn-account-id", "111111111111"),
    ("x-forwarded-client-cert", "URI=spiffe://prod.example/alice"),
    ("x-forwarded-user", "alice"),
    ("x-principal", "jwt:https://issuer.example#alice"),
    ("x-proton-account", "111111111111"),
    (
        "x-amz-target",
        "AwsProton20200720.DeleteEnvironmentTemplate",
    ),
];

#[tokio::test]
async fn no_header_makes_a_caller_somebody_else() {
    let world = world_trusting(Some(TrustedProxy::Unix)).await;
    let web = json!({ "name": "web" });
    world
        .as_("alice", "CreateEnvironmentTemplate", web.clone())
        .await
        .unwrap();
    let get = || message(&descriptors::request("GetEnvironmentTemplate"), &web);

    let scope = "Credential=AKIDALICE/20231114/us-east-1/proton/aws4_request";
    let signature = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
    let forged = FORGED.into_iter().chain([("authorization", &*signature)]);
    let answer = world
        .call("GetEnvironmentTemplate", get(), &forged.collect::<Vec<_>>())
        .await;
    assert_eq!(reason(&answer.unwrap_err()), "IDENTITY_MISSING");

    let bob = world.bearer("bob");
    let forged = FORGED.into_iter().chain([("authorization", &*bob)]);
    let answer = world
        .call("GetEnvironmentTemplate", get(), &forged.collect::<Vec<_>>())
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn health_is_everybodys_and_reflection_is_not() {
    let world = world().await;
    let answer = async |path: &str| {
        let request = Request::new(DynamicMessage::new(descriptors::request(
            "GetAccountSettings",
        )));
        // An empty message takes any answer.
        let codec = Dynamic(descriptors::response("TagResource"));
        let mut grpc = grpc(&world.channel).await;
        grpc.unary(request, path.parse().unwrap(), codec)
            .await
            .map(|_| ())
    };
    let health = answer("/grpc.health.v1.Health/Check").await;
    assert!(health.is_ok(), "{health:?}");
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        assert_eq!(
            reason(&answer(&path).await.unwrap_err()),
            "IDENTITY_MISSING"
        );
    }
}
