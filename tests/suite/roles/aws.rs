//! STS and a Proton on one loopback port. Proton answers with the role that a request is signed in, and counts what is
//! signed with anything else than what STS gave for that role.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_types::{DateTime, date_time::Format};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    facade_signing::{expected_in, signature},
    facade_world::Seen,
};

/// What the process itself signs with.
pub(super) const OWN: &str = "AKIDOWN";
/// How long credentials of a role last.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);

/// The members of a request to STS.
pub(super) type Asked = BTreeMap<String, String>;

pub(super) struct Aws {
    pub(super) clock: Clock,
    /// Whoever asks STS takes one.
    pub(super) patience: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    given: HashMap<String, Given>,
    /// Names of roles, and with which HTTP status and code.
    refused: HashMap<String, (u16, &'static str)>,
    expired: HashSet<String>,
    calls: usize,
    forged: usize,
    regions: HashSet<String>,
}

#[derive(Clone)]
struct Given {
    role: String,
    credentials: Credentials,
}

/// Stands until it is told to go on.
#[derive(Clone, Debug)]
pub(super) struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    pub(super) fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Aws {
    pub(super) fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let aws = Self {
            clock: Clock(Arc::new(Mutex::new(now))),
            patience: Semaphore::new(Semaphore::MAX_PERMITS),
            state: Mutex::default(),
        };
        let own = Given {
            role: "own".to_owned(),
            credentials: own(),
        };
        aws.state().given.insert(OWN.to_owned(), own);
        aws
    }

    /// What STS was asked since the last time.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// From now on, STS refuses this role.
    pub(super) fn refuse(&self, role: &str, status: u16, code: &'static str) {
        self.state().refused.insert(role.to_owned(), (status, code));
    }

    pub(super) fn relent(&self) {
        self.state().refused.clear();
    }

    /// From now on, Proton takes what this role has been given for expired.
    pub(super) fn expire(&self, role: &str) {
        let mut state = self.state();
        let keys = state.given.iter().filter(|(_, given)| given.role == role);
        let keys: Vec<_> = keys.map(|(key, _)| key.clone()).collect();
        state.expired.extend(keys);
    }

    /// How many calls Proton has had, and how many of them were not signed with what their role was given.
    pub(super) fn calls(&self) -> (usize, usize) {
        let state = self.state();
        (state.calls, state.forged)
    }

    pub(super) fn regions(&self) -> HashSet<String> {
        self.state().regions.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Serves on loopback, on a thread of its own.
    pub(super) fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let aws = Arc::clone(self);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(aws.serve(listener));
        });
        address
    }

    async fn serve(self: Arc<Self>, listener: std::net::TcpListener) {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let aws = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&aws).answer(request));
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let response = match head.headers.contains_key("x-amz-target") {
            true => self.proton(&head, body),
            false => self.sts(&body).await,
        };
        Ok(response)
    }

    async fn sts(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let asked = form(std::str::from_utf8(body).unwrap());
        let (_, role) = asked["RoleArn"].rsplit_once('/').unwrap();
        let role = role.to_owned();
        self.state().asked.push(asked);
        self.patience.acquire().await.unwrap().forget();
        let mut state = self.state();
        if let Some((status, code)) = state.refused.get(&role) {
            let error = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            );
            return response(*status, error);
        }
        let number = state.given.len();
        let key = format!("ASIA{number}");
        let (secret, token) = (format!("secret {number}"), format!("token-{number}"));
        let expiry = DateTime::from(self.clock.now() + LIFETIME);
        let expiry = expiry.fmt(Format::DateTime).unwrap();
        let text = format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
             <Expiration>{expiry}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        );
        let credentials = Credentials::new(key.clone(), secret, Some(token), None, "test");
        state.given.insert(key, Given { role, credentials });
        response(200, text)
    }

    fn proton(&self, head: &http::request::Parts, bytes: Bytes) -> Response<Full<Bytes>> {
        let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap());
        let (_, credential) = header("authorization")
            .unwrap()
            .split_once("Credential=")
            .unwrap();
        let scope: Vec<_> = credential.split_once(',').unwrap().0.split('/').collect();
        let [key, _, region, ..] = scope[..] else {
            panic!("{credential} has a scope")
        };
        let given = self.state().given.get(key).cloned();
        let given = given.expect("nobody has a key that STS did not give");
        let seen = Seen {
            operation: String::new(),
            path: head.uri.path().to_owned(),
            headers: head.headers.clone(),
            body: json!({}),
            bytes,
        };
        let genuine = signature(&seen) == expected_in(&seen, &given.credentials, region)
            && header("x-amz-security-token") == given.credentials.session_token();
        let mut state = self.state();
        state.calls += 1;
        state.forged += usize::from(!genuine);
        state.regions.insert(region.to_owned());
        if state.expired.contains(key) {
            return response(
                400,
                json!({ "__type": "ExpiredTokenException" }).to_string(),
            );
        }
        let template = json!({
            "arn": "arn:aws:proton:us-east-1:111111111111:environment-template/a",
            "createdAt": 1_800_000_000, "lastModifiedAt": 1_800_000_000, "name": given.role,
        });
        response(200, json!({ "environmentTemplate": template }).to_string())
    }
}

/// The configuration of SDKs that call this address, as the process itself.
pub(super) fn sdk(address: SocketAddr, clock: &Clock) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(own()))
        .time_source(SharedTimeSource::new(clock.clone()))
        .build()
}

fn own() -> Credentials {
    Credentials::new(OWN, "own secret", None, None, "test")
}

fn response(status: u16, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status);
    response.body(Full::from(body)).unwrap()
}

fn form(text: &str) -> Asked {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), plain(value)))
        .collect()
}

/// Without the form's escapes.
fn plain(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap().replace('+', " ").into_bytes();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.replace('+', " ").bytes());
    }
    String::from_utf8(bytes).unwrap()
}
