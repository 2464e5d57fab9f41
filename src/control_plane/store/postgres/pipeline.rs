//! Statements sent one behind the other without waiting, and judged in the same order: the whole costs one round trip.

use deadpool_postgres::Client;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio_postgres::{Row, Statement};

use super::connections::{Param, as_dyn};
use super::failure::Failure;
use crate::control_plane::store::CommitError;

/// Why a change stops half-way.
pub(super) enum Stop {
    /// A rule does not hold.
    Refused(CommitError),
    Failed(Failure),
}

impl Stop {
    /// For statements that no rule can refuse.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Refused(refusal) => unreachable!("nothing was checked, but {refusal}"),
        }
    }
}

impl From<CommitError> for Stop {
    fn from(refusal: CommitError) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(failure: E) -> Self {
        Self::Failed(failure.into())
    }
}

pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How many rows were written.
    pub(super) affected: u64,
}

/// What an answer has to be.
type Check<'a> = Box<dyn FnOnce(Answer) -> Result<(), Stop> + Send + 'a>;

pub(super) struct Pipeline<'a> {
    conn: &'a Client,
    statements: Vec<(Statement, Vec<Param<'a>>, Check<'a>)>,
}

impl<'a> Pipeline<'a> {
    pub(super) fn new(conn: &'a Client) -> Self {
        Self {
            conn,
            statements: Vec::new(),
        }
    }

    /// Adds a statement whose answer does not matter.
    pub(super) async fn push(&mut self, text: &str, params: Vec<Param<'a>>) -> Result<(), Stop> {
        self.push_checked(text, params, |_| Ok(())).await
    }

    /// Adds a statement and what its answer has to be.
    pub(super) async fn push_checked(
        &mut self,
        text: &str,
        params: Vec<Param<'a>>,
        check: impl FnOnce(Answer) -> Result<(), Stop> + Send + 'a,
    ) -> Result<(), Stop> {
        let statement = self.conn.prepare_cached(text).await?;
        self.statements.push((statement, params, Box::new(check)));
        Ok(())
    }

    /// Sends all, and judges the answers until the first that is not as it has to be: behind that one PostgreSQL has done nothing,
    /// or what is to be rolled back.
    pub(super) async fn run(self) -> Result<(), Stop> {
        let conn = self.conn;
        let (sent, checks): (Vec<_>, Vec<_>) = self
            .statements
            .into_iter()
            .map(|(statement, params, check)| ((statement, params), check))
            .unzip();
        // Each is sent when it is polled first, which happens in this order.
        let answers = join_all(
            sent.iter()
                .map(|(statement, params)| ask(conn, statement, params)),
        );
        for (answer, check) in answers.await.into_iter().zip(checks) {
            check(answer?)?;
        }
        Ok(())
    }
}

async fn ask(
    conn: &Client,
    statement: &Statement,
    params: &[Param<'_>],
) -> Result<Answer, tokio_postgres::Error> {
    let mut answered = Box::pin(conn.query_raw(statement, params.iter().map(as_dyn)).await?);
    let mut rows = Vec::new();
    while let Some(row) = answered.try_next().await? {
        rows.push(row);
    }
    let affected = answered.rows_affected().unwrap_or(0);
    Ok(Answer { rows, affected })
}

/// Values for a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$(Box::new($value) as crate::control_plane::store::postgres::connections::Param<'_>),*]
    };
}

pub(super) use values;
