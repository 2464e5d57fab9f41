//! Tells the other processes what is announced here, and hears what is announced there.
//!
//! An announcement is part of the transaction of its change (NOTIFY), so it is made exactly when the change is. Each process hears
//! (LISTEN) on a connection of its own; while that is lost nothing is heard, so whenever it is found lost, and again once there is
//! another, all watches are woken. A database that knows no NOTIFY is one whose connection is always lost: then processes look
//! whenever [`Member::look_every`](super::Member::look_every) has passed.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, NoTls, Socket};

use super::address::Database;
use super::failure::Failure;
use crate::control_plane::store::signals::Signals;

const LISTEN: &str = "LISTEN proton_grpc";

/// Names go one by one: what NOTIFY carries is limited to 8000 bytes, many times the longest ARN. In front is who says it.
pub(super) const ANNOUNCE: &str = "
    SELECT pg_notify('proton_grpc', $1::text || ' ' || name) FROM unnest($2::text[]) AS name";

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Whether the database can pass on announcements.
pub(super) async fn can_announce(conn: &Client) -> Result<bool, Failure> {
    match conn.batch_execute(LISTEN).await {
        Ok(()) => {
            conn.batch_execute("UNLISTEN proton_grpc").await?;
            Ok(true)
        }
        Err(error) => match Failure::from(error) {
            lost if lost.is_lost() => Err(lost),
            _ => Ok(false),
        },
    }
}

pub(super) struct Listener {
    pub(super) database: Database,
    /// Whose own announcements are not news.
    pub(super) process: String,
    pub(super) signals: Arc<Signals>,
    pub(super) look_every: Duration,
}

impl Listener {
    /// Listens for as long as it is polled.
    pub(super) async fn run(self) -> Infallible {
        loop {
            let Err(lost) = self.listen().await;
            tracing::debug!(error = &*lost as &dyn std::error::Error, database = %self.database, "nothing is heard of other processes");
            self.signals.watched.wake_all();
            tokio::time::sleep(self.look_every).await;
        }
    }

    async fn listen(&self) -> Result<Infallible, Cause> {
        match self.database.tls()? {
            Some(tls) => self.listen_over(tls).await,
            None => self.listen_over(NoTls).await,
        }
    }

    async fn listen_over<T>(&self, tls: T) -> Result<Infallible, Cause>
    where
        T: MakeTlsConnect<Socket>,
    {
        let (client, mut connection) = self.database.config().connect(tls).await?;
        let mut listening = pin!(client.batch_execute(LISTEN));
        let mut listens = false;
        loop {
            tokio::select! {
                begun = &mut listening, if !listens => {
                    begun?;
                    listens = true;
                    self.signals.watched.wake_all();
                }
                message = poll_fn(|context| connection.poll_message(context)) => match message {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        self.hear(notification.payload());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(lost)) => return Err(lost.into()),
                    None => return Err("the connection was closed".into()),
                },
            }
        }
    }

    fn hear(&self, payload: &str) {
        match payload.split_once(' ') {
            Some((process, name)) if process != self.process => self.signals.watched.wake(name),
            _ => {}
        }
    }
}
