//! Nobody is ever answered with another's credentials: a server with workers, and calls of many callers at once, mixed, the same
//! message from each. `scripts/isolation` makes many more of them.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use proton_grpc::{
    api::pb::{GetEnvironmentTemplateRequest, proton_service_client::ProtonServiceClient},
    facade::{Facade, Reads, Settings, upstream::Remote},
    server::{Bound, Health, Server, proton},
};
use tonic::{Request, transport::Channel};

use super::{
    CALLER, ambient,
    aws::{self, Aws},
    callers, role,
};

const CALLERS: usize = 200;
const AT_ONCE: usize = 64;
const CONNECTIONS: usize = 8;
/// How many calls there are to be, if it matters.
const CALLS: &str = "PROTON_GRPC_ISOLATION_CALLS";

struct Front {
    aws: Arc<Aws>,
    channels: Vec<Channel>,
    _server: Server,
}

fn front(reads: Option<Reads>) -> Front {
    let entries: Vec<_> = (0..CALLERS).map(|number| role(&name(number))).collect();
    let identities = callers(&entries);
    let aws = Arc::new(Aws::new());
    let remote = Remote::new(aws::sdk(aws.listen(), &aws.clock), None);
    let facade = move || {
        let settings = Settings {
            reads: reads.clone(),
            ..Settings::default()
        };
        Facade::new(remote.upstream(), settings, ambient())
    };
    let bound = Bound::to(&"127.0.0.1:0".parse().unwrap(), 0o600, 2).unwrap();
    let address = format!("http://{}", bound.listen());
    let services = move || proton(facade());
    let server = Server::start(bound, Health::default(), identities, services).unwrap();
    let endpoint = Channel::from_shared(address).unwrap();
    Front {
        aws,
        channels: (0..CONNECTIONS).map(|_| endpoint.connect_lazy()).collect(),
        _server: server,
    }
}

fn name(number: usize) -> String {
    format!("caller-{number}")
}

impl Front {
    /// Makes the calls and tells how many were answered as somebody else's.
    async fn mixed(&self, calls: usize) -> usize {
        let (begun, mixed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let start = Instant::now();
        let worker = |worker: usize| {
            let (begun, mixed) = (&begun, &mixed);
            let mut client = ProtonServiceClient::new(self.channels[worker % CONNECTIONS].clone());
            async move {
                loop {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return;
                    }
                    if number > 0 && number.is_multiple_of(50_000) {
                        eprintln!("{number} calls, {:.0?}", start.elapsed());
                    }
                    // Neighbours in time are strangers, and each meets all others.
                    let caller = name((number * 7919 + number / CALLERS) % CALLERS);
                    let mut request =
                        Request::new(GetEnvironmentTemplateRequest { name: "a".into() });
                    request
                        .metadata_mut()
                        .insert(CALLER, caller.parse().unwrap());
                    request.set_timeout(Duration::from_secs(60));
                    let answer = client.get_environment_template(request).await.unwrap();
                    let seen = answer.into_inner().environment_template.unwrap().name;
                    mixed.fetch_add(usize::from(seen != caller), Ordering::Relaxed);
                }
            }
        };
        join_all((0..AT_ONCE).map(worker)).await;
        eprintln!(
            "{calls} calls of {CALLERS} callers, {:.0?}",
            start.elapsed()
        );
        mixed.into_inner()
    }
}

#[tokio::test]
async fn no_call_is_made_with_anothers_credentials() {
    let calls = env::var(CALLS).map_or(4_000, |calls| calls.parse().unwrap());
    let front = front(None);
    assert_eq!(front.mixed(calls).await, 0);
    assert_eq!(front.aws.calls(), (calls, 0));
    assert_eq!(front.aws.asked().len(), CALLERS);
}

#[tokio::test]
async fn no_read_is_shared_with_another_caller() {
    let calls = 4_000;
    let reads = Reads::new(
        Some(Duration::from_secs(60)),
        Arc::new(tokio::time::Instant::now),
    );
    let front = front(Some(reads));
    assert_eq!(front.mixed(calls).await, 0);
    let (asked, forged) = front.aws.calls();
    assert!(asked < calls, "{asked}");
    assert_eq!(forged, 0);
}
