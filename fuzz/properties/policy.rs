//! What policies are asked about requests that nobody has validated.

use std::sync::LazyLock;

use futures_util::FutureExt as _;
use http::HeaderMap;
use prost::Message as _;
use proton_grpc::{
    api::{Operation, operation},
    identity::{Client, Identities, Machine, Place, Principal},
    policy::{Governed, Loaded, Policies, Refusal},
};

use super::calls::every_operation;

/// More than is said of a refused request.
const LONGEST: usize = 512;

macro_rules! asked {
    ($($name:ident $method:ident)*) => {
        const ALL: &[fn(&[u8])] = &[$(asked::<operation::$name>),*];
    };
}

every_operation::for_every_operation!(asked);

/// A request: the first byte chooses the operation, the rest is its Protobuf message. Every request is decided, and what is
/// forbidden is not allowed by any of them.
pub fn policy(bytes: &[u8]) {
    if let Some((choice, bytes)) = super::choice(bytes) {
        ALL[choice % ALL.len()](bytes);
    }
}

fn asked<O: Governed>(bytes: &[u8]) {
    let Ok(request) = <O as Operation>::Request::decode(bytes) else {
        return;
    };
    let decide = |policies: &Policies| {
        let asker = Some((&*PRINCIPAL, &*PLACE));
        let decided = policies.decide::<O>(asker, &request).now_or_never();
        decided.expect("nothing has to be looked up")
    };
    match decide(&SOME) {
        Ok(()) => {}
        Err(Refusal::Denied { arn, .. }) => assert!(arn.chars().count() <= LONGEST),
        Err(Refusal::Undecided) => panic!("{} is not decided", O::FACTS.name),
    }
    assert!(decide(&NONE).is_err(), "{} is allowed", O::FACTS.name);
}

static PLACE: LazyLock<Place> = LazyLock::new(|| Place {
    account: "111111111111".to_owned(),
    region: "us-east-1".to_owned(),
});

static PRINCIPAL: LazyLock<Principal> = LazyLock::new(|| {
    let client = Client {
        certificate: None,
        machine: Machine::Loopback,
    };
    let headers = HeaderMap::new();
    let identities = Identities::nobody_asks(PLACE.clone());
    let who = identities.of_call(&headers, client).now_or_never();
    who.expect("nothing is looked up")
        .expect("everybody may call")
});

static SOME: LazyLock<Policies> = LazyLock::new(|| open("permit (principal, action, resource);"));
static NONE: LazyLock<Policies> = LazyLock::new(|| {
    open("permit (principal, action, resource);\nforbid (principal, action, resource);")
});

fn open(text: &str) -> Policies {
    let file = std::env::temp_dir().join(format!("proton-grpc-fuzz-{}.cedar", std::process::id()));
    std::fs::write(&file, text).expect("the temporary directory takes a file");
    let loaded = Loaded::open(&file, false).expect("the policies are right");
    std::fs::remove_file(file).expect("it was just written");
    Policies::new(&loaded, None)
}
