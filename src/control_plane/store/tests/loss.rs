//! Servers that restart and connections that break, also at the worst moment.

use std::path::PathBuf;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::cluster::Server;
use super::*;

async fn count(store: &Store) -> Result<i64, Error> {
    store.count(SCOPE, Kind::Environment, None).await
}

#[tokio::test]
async fn a_server_that_restarts_costs_no_answer() {
    let server = Server::start();
    let place = Place::Database(server.new_database().await);
    let store = place.open().await.unwrap();
    for name in ["a", "b"] {
        store.create(&environment(name)).await.unwrap();
        server.crash();
    }
    assert_eq!(count(&store).await.unwrap(), 2);
    server.crash();
    store.create(&environment("c")).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn without_a_server_calls_are_answered_unavailable_until_it_is_back() {
    let server = Server::start();
    let place = Place::Database(server.new_database().await);
    let store = place.open().await.unwrap();
    store.create(&environment("a")).await.unwrap();
    server.stop();
    assert!(matches!(count(&store).await, Err(Error::Unavailable(_))));
    let refused = store.create(&environment("b")).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))));
    let claim = Claim {
        worker: "worker",
        now_ms: 0,
        lease_ms: 1,
        limit: 1,
    };
    assert!(store.claim(claim).await.is_err());
    server.start_again();
    assert_eq!(count(&store).await.unwrap(), 1);
    store.create(&environment("b")).await.unwrap();
    store.close().await;
}

/// Where a connection breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    /// The server never hears of the transaction.
    Begin,
    /// The server has committed, and nobody hears of it.
    Committed,
    /// Instead of taking this statement, the server says that it has waited for one too long.
    TimedOut(&'static str),
}

/// What the server says then: an error of severity FATAL, with its code.
const TIMED_OUT: &[u8] =
    b"SFATAL\0VFATAL\0C25P03\0Mterminating connection due to idle-in-transaction timeout\0\0";

/// Stands between a store and the server, and breaks one connection when it is told to.
struct Wire {
    address: String,
    next_break: Arc<Mutex<Option<Break>>>,
}

impl Wire {
    async fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let next_break = Arc::<Mutex<Option<Break>>>::default();
        let breaks = Arc::clone(&next_break);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&breaks)));
            }
        });
        Self {
            address,
            next_break,
        }
    }

    fn break_at(&self, moment: Break) {
        *self.next_break.lock().unwrap() = Some(moment);
    }

    fn has_broken(&self) -> bool {
        self.next_break.lock().unwrap().is_none()
    }
}

/// Carries bytes both ways until one side ends or the moment has come.
async fn carry(mut client: TcpStream, mut server: UnixStream, breaks: Arc<Mutex<Option<Break>>>) {
    let (mut asked, mut answered) = ([0; 1 << 16], [0; 1 << 16]);
    loop {
        tokio::select! {
            Ok(n) = client.read(&mut asked) => {
                if n == 0 || is_moment(&breaks, Break::Begin, &asked[..n], b"BEGIN") {
                    return;
                }
                let timed_out = |statement: &'static str| {
                    is_moment(&breaks, Break::TimedOut(statement), &asked[..n], statement.as_bytes())
                };
                if timed_out("BEGIN") || timed_out("LISTEN") {
                    let length = u32::try_from(TIMED_OUT.len() + 4).unwrap().to_be_bytes();
                    let message = [b"E", &length[..], TIMED_OUT].concat();
                    client.write_all(&message).await.unwrap();
                    return;
                }
                server.write_all(&asked[..n]).await.unwrap();
            }
            Ok(n) = server.read(&mut answered) => {
                if n == 0 || is_moment(&breaks, Break::Committed, &answered[..n], b"COMMIT\0") {
                    return;
                }
                client.write_all(&answered[..n]).await.unwrap();
            }
            else => return,
        }
    }
}

fn is_moment(breaks: &Mutex<Option<Break>>, of: Break, bytes: &[u8], sign: &[u8]) -> bool {
    let mut next = breaks.lock().unwrap();
    let come = *next == Some(of) && bytes.windows(sign.len()).any(|it| it == sign);
    if come {
        *next = None;
    }
    come
}

/// A store behind a wire.
async fn wired() -> (Store, Wire) {
    let (place, wire) = wire().await;
    (place.open().await.unwrap(), wire)
}

/// A place for a store behind a wire.
async fn wire() -> (Place, Wire) {
    let server = cluster::shared();
    let url = server.new_database().await;
    let wire = Wire::to(server.socket()).await;
    let (start, rest) = url.split_once('@').unwrap();
    let (_, rest) = rest.split_once('/').unwrap();
    let url = format!("{start}@{}/{rest}", wire.address);
    (Place::Database(url), wire)
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_answered_all_the_same() {
    let (store, wire) = wired().await;
    let first = store.create(&environment("a")).await.unwrap();
    wire.break_at(Break::Committed);
    let rev = store.create(&environment("b")).await.unwrap();
    assert!(wire.has_broken());
    // It happened once: anew, the name would have been taken.
    assert_eq!(rev, first + 1);
    assert_eq!(store.found(&environment("b")).await.rev, rev);
    let next = store.create(&environment("c")).await.unwrap();
    assert_eq!(next, rev + 1);
}

#[tokio::test]
async fn a_change_of_which_the_server_never_heard_is_made_again() {
    let (store, wire) = wired().await;
    store.create(&environment("a")).await.unwrap();
    wire.break_at(Break::Begin);
    store.create(&environment("b")).await.unwrap();
    assert!(wire.has_broken());
    assert_eq!(count(&store).await.unwrap(), 2);
}

#[tokio::test]
async fn a_change_whose_transaction_the_server_gave_up_is_made_again() {
    let (store, wire) = wired().await;
    store.create(&environment("a")).await.unwrap();
    wire.break_at(Break::TimedOut("BEGIN"));
    store.create(&environment("b")).await.unwrap();
    assert!(wire.has_broken());
    assert_eq!(count(&store).await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_that_goes_away_at_the_start_is_not_taken_for_one_that_cannot_announce() {
    let (place, wire) = wire().await;
    place.open().await.unwrap().close().await;
    wire.break_at(Break::TimedOut("LISTEN"));
    assert!(place.open().await.is_err());
    assert!(wire.has_broken());
}
