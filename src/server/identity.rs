//! Who makes a call, and how somebody is told that they may not.

use std::{net::SocketAddr, time::Duration};

use http::{Extensions, HeaderMap};
use tonic::Code;

use super::{Peer, peer::PeerAddress, refusal::Refusal};
use crate::identity::{self, Client, Identities, Machine, Principal, Why};

/// When the keys of an issuer may have been found.
const KEYS_FOUND: Duration = Duration::from_secs(1);

pub(crate) async fn of(
    identities: &Identities,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Principal, Refusal> {
    let principal = identities.of_call(headers, client(extensions.get())).await;
    principal.map_err(refuse)
}

/// What the connection tells about the client.
pub(crate) fn client(peer: Option<&Peer>) -> Client<'_> {
    let certificates = peer.and_then(|peer| peer.certificates.as_deref());
    Client {
        certificate: certificates.and_then(<[_]>::first).map(AsRef::as_ref),
        machine: peer.map_or(Machine::Other, |peer| machine(peer.address)),
    }
}

fn machine(address: PeerAddress) -> Machine {
    match address {
        PeerAddress::Unix(_) => Machine::Unix,
        PeerAddress::Tcp(address) if is_loopback(address) => Machine::Loopback,
        PeerAddress::Tcp(_) => Machine::Other,
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    // A socket for both versions shows those of the older in the newer's form.
    address.ip().to_canonical().is_loopback()
}

fn refuse(refusal: identity::Refusal) -> Refusal {
    let (code, reason) = match refusal.why {
        Why::Missing => (Code::Unauthenticated, "IDENTITY_MISSING"),
        Why::Malformed => (Code::Unauthenticated, "IDENTITY_MALFORMED"),
        Why::Unrecognized => (Code::Unauthenticated, "IDENTITY_UNRECOGNIZED"),
        Why::BadSignature => (Code::Unauthenticated, "IDENTITY_BAD_SIGNATURE"),
        Why::Expired => (Code::Unauthenticated, "IDENTITY_EXPIRED"),
        Why::Unmapped => (Code::PermissionDenied, "IDENTITY_UNMAPPED"),
        Why::NoKeys => (Code::Unavailable, "IDENTITY_KEYS_UNKNOWN"),
        Why::Crowded => (Code::ResourceExhausted, "IDENTITY_CROWDED"),
    };
    let can_wait = matches!(refusal.why, Why::NoKeys | Why::Crowded);
    Refusal {
        retry: can_wait.then_some(KEYS_FOUND),
        ..Refusal::unexecuted(code, reason, refusal.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::peer::Credentials;

    fn peer(address: PeerAddress) -> Peer {
        let chain = [b"leaf".to_vec(), b"issuer".to_vec()].map(Into::into);
        Peer {
            address,
            certificates: Some(chain.into()),
        }
    }

    fn tcp(address: &str) -> PeerAddress {
        PeerAddress::Tcp(address.parse().unwrap())
    }

    #[test]
    fn the_leaf_is_the_client() {
        let peer = peer(tcp("192.0.2.1:1"));
        assert_eq!(client(Some(&peer)).certificate, Some(&b"leaf"[..]));
        assert_eq!(client(None).certificate, None);
    }

    #[test]
    fn a_client_is_here_or_elsewhere() {
        let unix = PeerAddress::Unix(Credentials {
            user: 0,
            group: 0,
            process: None,
        });
        for (address, machine) in [
            (unix, Machine::Unix),
            (tcp("127.0.0.1:1"), Machine::Loopback),
            (tcp("[::1]:1"), Machine::Loopback),
            (tcp("[::ffff:127.0.0.1]:1"), Machine::Loopback),
            (tcp("192.0.2.1:1"), Machine::Other),
        ] {
            assert_eq!(client(Some(&peer(address))).machine, machine);
        }
        assert_eq!(client(None).machine, Machine::Other);
    }

    #[test]
    fn only_what_is_not_the_callers_fault_may_be_tried_again() {
        for why in Why::ALL {
            let refusal = refuse(identity::Refusal {
                why,
                message: "no".into(),
            });
            let again = matches!(refusal.code, Code::Unavailable | Code::ResourceExhausted);
            assert_eq!(refusal.retry.is_some(), again, "{why:?}");
        }
    }
}
