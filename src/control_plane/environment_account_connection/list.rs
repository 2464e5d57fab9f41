//! Lists of connections. No order of the store's is that of time, so all connections of the caller's are read for a page: its own
//! are bounded by the quota, those addressed to it by how many accounts it manages.

use super::{ADDRESSED, Connection, members};
use crate::api::{Error, operation, pb};
use crate::control_plane::pagination::Page;
use crate::control_plane::store::{Kind, Order, Range, Record};
use crate::control_plane::{Caller, ControlPlane};

/// How many records are read at a time.
const AT_ONCE: u32 = 500;

pub(in crate::control_plane) async fn list_environment_account_connections(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListEnvironmentAccountConnectionsRequest,
) -> Result<pb::ListEnvironmentAccountConnectionsResponse, Error> {
    use pb::EnvironmentAccountConnectionRequesterAccountType as Side;

    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page =
        Page::of::<operation::ListEnvironmentAccountConnections>(caller, &request, most, token)?;
    let records = match request.requested_by() {
        Side::ManagementAccount => addressed(plane, caller).await?,
        Side::EnvironmentAccount => own(plane, caller).await?,
        Side::Unspecified => unreachable!("validation insists on a side"),
    };
    let mut connections = Vec::with_capacity(records.len());
    for record in &records {
        let connection: Connection = record.read()?;
        if is_asked_for(&request, &connection) {
            connections.push((position(&connection), connection));
        }
    }
    connections.sort_by(|(one, _), (other, _)| other.cmp(one));
    let behind = connections
        .into_iter()
        .filter(|(position, _)| page.after().is_none_or(|after| position.as_str() < after));
    let (found, next_token) = page.cut(behind.take(page.look_for()).collect(), |(position, _)| {
        position.clone()
    });
    let found = found.into_iter().map(|(_, connection)| summary(connection));
    Ok(pb::ListEnvironmentAccountConnectionsResponse {
        environment_account_connections: found.collect(),
        next_token,
    })
}

async fn own(plane: &ControlPlane, caller: &Caller) -> Result<Vec<Record>, Error> {
    let (scope, mut records) = (caller.scope(), Vec::<Record>::new());
    loop {
        let more = plane.store().list(Range {
            scope: &scope,
            kind: Kind::EnvironmentAccountConnection,
            prefix: "",
            after: records.last().map(|record| record.key.id.as_str()),
            limit: AT_ONCE,
            order: Order::Ascending,
        });
        let more = more.await?;
        let was_last = more.len() < AT_ONCE as usize;
        records.extend(more);
        if was_last {
            return Ok(records);
        }
    }
}

async fn addressed(plane: &ControlPlane, caller: &Caller) -> Result<Vec<Record>, Error> {
    let (scope, mut records) = (caller.scope(), Vec::<Record>::new());
    loop {
        let after = records.last().map(|record| &record.key);
        let more = plane
            .store()
            .list_by(ADDRESSED, &scope, after, AT_ONCE, Order::Ascending)
            .await?;
        let was_last = more.len() < AT_ONCE as usize;
        records.extend(more);
        if was_last {
            return Ok(records);
        }
    }
}

fn is_asked_for(
    request: &pb::ListEnvironmentAccountConnectionsRequest,
    connection: &Connection,
) -> bool {
    let environment = request.environment_name.as_ref();
    let mut statuses = request.statuses().peekable();
    let status = pb::EnvironmentAccountConnectionStatus::from(connection.status);
    environment.is_none_or(|name| *name == connection.environment_name)
        && (statuses.peek().is_none() || statuses.any(|asked| asked == status))
}

/// Orders by time, and tells apart what was asked for at the same time.
fn position(connection: &Connection) -> String {
    format!(
        "{:015}/{}",
        connection.envelope.created_at_ms, connection.id
    )
}

fn summary(connection: Connection) -> pb::EnvironmentAccountConnectionSummary {
    members!(EnvironmentAccountConnectionSummary, connection)
}
