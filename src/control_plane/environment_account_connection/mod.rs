//! Environment account connections: one account, the environment account, lets another one, the management account, provision one
//! environment in it.
//!
//! ```text
//! (create) ─► PENDING ─┬─ accept ─► CONNECTED ─┐
//!                      └─ reject ──────────────┴─ reject, unless in use ─► REJECTED
//! ```
//! A connection is one record, the environment account's; the management account finds it by an index. Who of the two may do what
//! is decided here. An undecided one holds the name of its environment, so that the same is not asked for twice.

mod list;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::events::{Subject, name};
use super::idempotency::Fingerprint;
use super::resource::{self, Envelope, Loaded, Resource};
use super::store::{Change, CommitError, Expect, Index, Key, Kind, Order, Put, Record};
use super::{Caller, ControlPlane, tags};
use crate::api::{Error, operation, pb};

pub(super) use self::list::list_environment_account_connections;

/// From the id of a connection to the environments that are provisioned by it.
pub(super) const USED: Index = Index::new("environment_account_connection");

/// From its id to a connection, in whose scope soever.
const BY_ID: Index = Index::new("environment_account_connection_by_id");

/// From the scope of a management account to the connections that it was asked to accept.
const ADDRESSED: Index = Index::new("environment_account_connection_to");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Connection {
    envelope: Envelope,
    id: String,
    environment_name: String,
    /// The owner, who asks.
    environment_account: Party,
    /// Who is asked.
    management_account: Party,
    roles: Roles,
    status: Status,
}

impl Resource for Connection {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn index(&self, put: Put, _owner: &Caller) -> Put {
        put.indexed(BY_ID, self.id.as_str())
            .indexed(ADDRESSED, self.management_account.caller().scope())
    }

    fn told(&self, _key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::Connection(&self.id);
        Some((
            subject,
            name(pb::EnvironmentAccountConnectionStatus::from(self.status)),
        ))
    }
}

impl Connection {
    fn arn(&self) -> String {
        Subject::Connection(&self.id).arn(&self.environment_account.caller())
    }
}

/// One of the two accounts; both are in the same Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Party {
    account: String,
    region: String,
}

impl Party {
    fn caller(&self) -> Caller {
        Caller::new(self.account.as_str(), self.region.as_str())
    }
}

/// What is assumed in the environment account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Roles {
    cloudformation: Option<String>,
    codebuild: Option<String>,
    component: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Status {
    Pending,
    Connected,
    Rejected,
}

impl From<Status> for pb::EnvironmentAccountConnectionStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Connected => Self::Connected,
            Status::Rejected => Self::Rejected,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Accept,
    Reject,
}

/// Where a decision leads; none if it changes nothing.
fn decide(status: Status, decision: Decision) -> Result<Option<Status>, Error> {
    match (status, decision) {
        (Status::Pending, Decision::Accept) => Ok(Some(Status::Connected)),
        (Status::Connected, Decision::Accept) => Ok(None),
        (Status::Rejected, Decision::Accept) => Err(Error::conflict(
            "the connection was rejected: a new one must be asked for",
        )),
        (Status::Pending | Status::Connected, Decision::Reject) => Ok(Some(Status::Rejected)),
        (Status::Rejected, Decision::Reject) => Ok(None),
    }
}

fn not_found(id: &str) -> Error {
    Error::not_found(format!(
        "environment account connection {id} does not exist"
    ))
}

/// What a connection gives the environment that is provisioned by it.
pub(super) struct Connected {
    pub(super) account: String,
    pub(super) role_arn: Option<String>,
    pub(super) codebuild_role_arn: Option<String>,
    pub(super) component_role_arn: Option<String>,
    /// What must still be so when the environment is written.
    pub(super) unchanged: Expect,
}

/// The connection by which the management account may provision the environment, or why it is none.
pub(super) async fn connected(
    plane: &ControlPlane,
    management: &Caller,
    id: &str,
    environment: &str,
) -> Result<Result<Connected, String>, Error> {
    let found = plane
        .store()
        .list_by(BY_ID, id, None, 1, Order::Ascending)
        .await?
        .pop();
    let connection = found.map(Loaded::<Connection>::of).transpose()?;
    let own = connection.filter(|found| found.value.management_account.caller() == *management);
    let Some(Loaded {
        key, rev, value, ..
    }) = own
    else {
        return Ok(Err(format!("connection {id} does not exist")));
    };
    if value.status != Status::Connected {
        return Ok(Err(format!("connection {id} is not CONNECTED")));
    }
    if value.environment_name != environment {
        return Ok(Err(format!(
            "connection {id} is for environment {:?}",
            value.environment_name
        )));
    }
    Ok(Ok(Connected {
        account: value.environment_account.account,
        role_arn: value.roles.cloudformation,
        codebuild_role_arn: value.roles.codebuild,
        component_role_arn: value.roles.component,
        unchanged: Expect::Rev(key, rev),
    }))
}

/// Where the open request for an environment keeps its name taken.
fn request_key(caller: &Caller, management_account: &str, environment: &str) -> Key {
    caller.key(
        Kind::EnvironmentAccountConnectionRequest,
        format!("{management_account}/{environment}"),
    )
}

pub(super) async fn create_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateEnvironmentAccountConnectionRequest,
) -> Result<pb::CreateEnvironmentAccountConnectionResponse, Error> {
    tags::sort(&mut request.tags);
    let fingerprint =
        Fingerprint::take::<operation::CreateEnvironmentAccountConnection>(&mut request);
    let connection = make(plane, caller, request, &fingerprint)?;
    let created = insert(plane, caller, &fingerprint, connection).await?;
    Ok(pb::CreateEnvironmentAccountConnectionResponse {
        environment_account_connection: Some(view(created)),
    })
}

fn make(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::CreateEnvironmentAccountConnectionRequest,
    fingerprint: &Fingerprint,
) -> Result<Connection, Error> {
    let now_ms = plane.now_ms();
    let party = |account: &str| Party {
        account: account.to_owned(),
        region: caller.region().to_owned(),
    };
    Ok(Connection {
        envelope: Envelope {
            created_at_ms: now_ms,
            last_modified_at_ms: now_ms,
            request: fingerprint.request.clone(),
            client_token: fingerprint.client_token.clone(),
            modified: false,
            tags: tags::from_request(request.tags)?,
            managed_tags: Default::default(),
        },
        id: plane.ambient().uuid(),
        environment_name: request.environment_name,
        environment_account: party(caller.account()),
        management_account: party(&request.management_account_id),
        roles: Roles {
            cloudformation: request.role_arn,
            codebuild: request.codebuild_role_arn,
            component: request.component_role_arn,
        },
        status: Status::Pending,
    })
}

/// Writes the connection, or answers with the one that an earlier call with the same client token made.
async fn insert(
    plane: &ControlPlane,
    caller: &Caller,
    fingerprint: &Fingerprint,
    connection: Connection,
) -> Result<Connection, Error> {
    let token_key = fingerprint.token_key(caller);
    let limit = plane.limits().connections_per_environment_account;
    let key = caller.key(Kind::EnvironmentAccountConnection, connection.id.as_str());
    let (management_account, environment) = (
        connection.management_account.account.as_str(),
        connection.environment_name.as_str(),
    );
    let request_key = request_key(caller, management_account, environment);
    let mut attempts = Attempts::default();
    loop {
        let used = match &token_key {
            Some(key) => plane.store().get(key).await?,
            None => None,
        };
        if let Some(original) = original(plane, caller, fingerprint, used.as_ref()).await? {
            return Ok(original);
        }
        let mut change = Change::new()
            .and(resource::create(plane, key.clone(), &connection))
            .put(Put::create(request_key.clone(), &connection.id))
            .expect(Expect::AtMost {
                scope: caller.scope(),
                kinds: vec![Kind::EnvironmentAccountConnection],
                parent: None,
                limit,
            });
        if let Some(token_key) = token_key.clone() {
            let now_ms = connection.envelope.created_at_ms;
            change =
                change.put(fingerprint.remember(token_key, used.as_ref(), &connection.id, now_ms));
        }
        match plane.store().commit(change).await {
            Ok(_) => return Ok(connection),
            Err(CommitError::Exists(taken)) if taken == request_key => {
                return Err(Error::conflict(format!(
                    "account {management_account} was asked already to accept a connection for environment {environment:?}"
                )));
            }
            Err(CommitError::Full { .. }) => {
                return Err(Error::quota_exceeded(format!(
                    "the account holds {limit} environment account connections, as many as it may"
                )));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

async fn original(
    plane: &ControlPlane,
    caller: &Caller,
    fingerprint: &Fingerprint,
    used: Option<&Record>,
) -> Result<Option<Connection>, Error> {
    let Some(id) = fingerprint.made(used, plane.now_ms())? else {
        return Ok(None);
    };
    let key = caller.key(Kind::EnvironmentAccountConnection, id);
    let Some(Loaded { value, .. }) = plane.load::<Connection>(&key).await? else {
        return Ok(None);
    };
    let is_original = fingerprint.is_original(&value.envelope)?;
    Ok(is_original.then_some(value))
}

/// The connection of this id, if the caller is one of its two accounts.
async fn find(
    plane: &ControlPlane,
    caller: &Caller,
    id: &str,
) -> Result<Option<Loaded<Connection>>, Error> {
    let found = plane
        .store()
        .list_by(BY_ID, id, None, 1, Order::Ascending)
        .await?;
    let Some(record) = found.into_iter().next() else {
        return Ok(None);
    };
    let found = Loaded::<Connection>::of(record)?;
    let parties = [
        &found.value.environment_account,
        &found.value.management_account,
    ];
    let is_party = parties.iter().any(|party| party.caller() == *caller);
    Ok(is_party.then_some(found))
}

pub(super) async fn get_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetEnvironmentAccountConnectionRequest,
) -> Result<pb::GetEnvironmentAccountConnectionResponse, Error> {
    let found = find(plane, caller, &request.id).await?;
    let found = found.ok_or_else(|| not_found(&request.id))?;
    Ok(pb::GetEnvironmentAccountConnectionResponse {
        environment_account_connection: Some(view(found.value)),
    })
}

pub(super) async fn update_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UpdateEnvironmentAccountConnectionRequest,
) -> Result<pb::UpdateEnvironmentAccountConnectionResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let found = find(plane, caller, &request.id).await?;
        let mut found = found.ok_or_else(|| not_found(&request.id))?;
        check_is(&found.value.environment_account, caller, "environment")?;
        let roles = &mut found.value.roles;
        for (role, given) in [
            (&mut roles.cloudformation, &request.role_arn),
            (&mut roles.codebuild, &request.codebuild_role_arn),
            (&mut roles.component, &request.component_role_arn),
        ] {
            if given.is_some() {
                role.clone_from(given);
            }
        }
        found.value.envelope.edit(plane.now_ms());
        match plane.store().commit(found.write(plane)).await {
            Ok(_) => {
                return Ok(pb::UpdateEnvironmentAccountConnectionResponse {
                    environment_account_connection: Some(view(found.value)),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// A party that may know of the connection but not do this is told who may.
fn check_is(party: &Party, caller: &Caller, role: &str) -> Result<(), Error> {
    match party.caller() == *caller {
        true => Ok(()),
        false => Err(Error::access_denied(format!(
            "only account {}, the {role} account of the connection, may do this",
            party.account
        ))),
    }
}

/// Deletes a connection, whatever its status. Of one that is not there nothing is known, which is no error.
pub(super) async fn delete_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteEnvironmentAccountConnectionRequest,
) -> Result<pb::DeleteEnvironmentAccountConnectionResponse, Error> {
    let mut attempts = Attempts::default();
    loop {
        let Some(found) = find(plane, caller, &request.id).await? else {
            return Ok(pb::DeleteEnvironmentAccountConnectionResponse::default());
        };
        check_is(&found.value.environment_account, caller, "environment")?;
        let change = close(plane, &found.value, found.delete(plane)).await?;
        match plane.store().commit(change).await {
            Ok(_) => {
                return Ok(pb::DeleteEnvironmentAccountConnectionResponse {
                    environment_account_connection: Some(view(found.value)),
                });
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// An undecided connection lets go of its environment's name.
async fn close(
    plane: &ControlPlane,
    connection: &Connection,
    change: Change,
) -> Result<Change, Error> {
    if connection.status != Status::Pending {
        return Ok(change);
    }
    let owner = connection.environment_account.caller();
    let (management_account, environment) = (
        &connection.management_account.account,
        &connection.environment_name,
    );
    let request = plane
        .store()
        .get(&request_key(&owner, management_account, environment))
        .await?;
    Ok(match request {
        Some(request) => change.delete(request.key, request.rev),
        // Somebody else has just decided; then the connection is not as it was read either.
        None => change,
    })
}

pub(super) async fn accept_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::AcceptEnvironmentAccountConnectionRequest,
) -> Result<pb::AcceptEnvironmentAccountConnectionResponse, Error> {
    let decided = conclude(plane, caller, &request.id, Decision::Accept).await?;
    Ok(pb::AcceptEnvironmentAccountConnectionResponse {
        environment_account_connection: Some(view(decided)),
    })
}

pub(super) async fn reject_environment_account_connection(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::RejectEnvironmentAccountConnectionRequest,
) -> Result<pb::RejectEnvironmentAccountConnectionResponse, Error> {
    let decided = conclude(plane, caller, &request.id, Decision::Reject).await?;
    Ok(pb::RejectEnvironmentAccountConnectionResponse {
        environment_account_connection: Some(view(decided)),
    })
}

async fn conclude(
    plane: &ControlPlane,
    caller: &Caller,
    id: &str,
    decision: Decision,
) -> Result<Connection, Error> {
    let mut attempts = Attempts::default();
    loop {
        let found = find(plane, caller, id).await?;
        let mut found = found.ok_or_else(|| not_found(id))?;
        check_is(&found.value.management_account, caller, "management")?;
        let Some(next) = decide(found.value.status, decision)? else {
            return Ok(found.value);
        };
        let mut change = close(plane, &found.value, Change::new()).await?;
        if decision == Decision::Reject {
            change = change.expect(Expect::Unreferenced {
                index: USED,
                value: id.to_owned(),
            });
        }
        found.value.status = next;
        found.value.envelope.edit(plane.now_ms());
        match plane.store().commit(change.and(found.write(plane))).await {
            Ok(_) => return Ok(found.value),
            Err(CommitError::Referenced { .. }) => {
                return Err(Error::conflict(
                    "an environment uses the connection: it must be deleted first",
                ));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The members that connections show, in full and in lists. The API requires a role for CloudFormation even where none is set.
macro_rules! members {
    ($message:ident, $connection:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: $connection.arn(),
            component_role_arn: $connection.roles.component,
            environment_account_id: $connection.environment_account.account,
            environment_name: $connection.environment_name,
            id: $connection.id,
            last_modified_at: $connection.envelope.last_modified_at(),
            management_account_id: $connection.management_account.account,
            requested_at: $connection.envelope.created_at(),
            role_arn: $connection.roles.cloudformation.unwrap_or_default(),
            status: pb::EnvironmentAccountConnectionStatus::from($connection.status).into(),
            $($more: $value,)*
        }
    };
}

use members;

fn view(connection: Connection) -> pb::EnvironmentAccountConnection {
    members!(EnvironmentAccountConnection, connection, codebuild_role_arn: connection.roles.codebuild)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;

    #[test]
    fn a_decision_may_be_repeated_and_a_rejection_is_final() {
        let decide = |status, decision| decide(status, decision).map_err(|error| error.code);
        let (accept, reject) = (Decision::Accept, Decision::Reject);
        assert_eq!(decide(Status::Pending, accept), Ok(Some(Status::Connected)));
        assert_eq!(decide(Status::Pending, reject), Ok(Some(Status::Rejected)));
        assert_eq!(decide(Status::Connected, accept), Ok(None));
        assert_eq!(
            decide(Status::Connected, reject),
            Ok(Some(Status::Rejected))
        );
        assert_eq!(decide(Status::Rejected, accept), Err(Code::Conflict));
        assert_eq!(decide(Status::Rejected, reject), Ok(None));
    }
}
