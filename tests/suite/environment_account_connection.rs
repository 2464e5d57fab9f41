#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::Client;
use aws_sdk_proton::types::{
    EnvironmentAccountConnection, EnvironmentAccountConnectionRequesterAccountType as Side,
    EnvironmentAccountConnectionStatus as Status, Tag,
};
use proton_grpc::control_plane::Limits;
use proton_grpc::control_plane::store::{Change, Index, Key, Kind, Put};

use super::stack::{ACCOUNT, OTHER_ACCOUNT, REGION, Stack, arn, code, refused};

const ROLE: &str = "arn:aws:iam::210987654321:role/proton";
const BUILDER: &str = "arn:aws:iam::210987654321:role/builder";

impl Stack {
    /// The other account asks the default one to provision an environment in it.
    async fn request(&self, environment: &str) -> EnvironmentAccountConnection {
        let create = self.other().create_environment_account_connection();
        let create = create.environment_name(environment).role_arn(ROLE);
        let created = create.management_account_id(ACCOUNT).send().await.unwrap();
        created.environment_account_connection.unwrap()
    }
}

async fn accept(client: &Client, id: &str) -> Result<EnvironmentAccountConnection, String> {
    let accept = client.accept_environment_account_connection().id(id);
    match accept.send().await {
        Ok(answer) => Ok(answer.environment_account_connection.unwrap()),
        refusal => Err(code(refusal)),
    }
}

async fn reject(client: &Client, id: &str) -> Result<EnvironmentAccountConnection, String> {
    let reject = client.reject_environment_account_connection().id(id);
    match reject.send().await {
        Ok(answer) => Ok(answer.environment_account_connection.unwrap()),
        refusal => Err(code(refusal)),
    }
}

/// Whether there was something to delete.
async fn delete(client: &Client, id: &str) -> Result<bool, String> {
    let delete = client.delete_environment_account_connection().id(id);
    match delete.send().await {
        Ok(answer) => Ok(answer.environment_account_connection.is_some()),
        refusal => Err(code(refusal)),
    }
}

async fn listed(client: &Client, side: Side) -> Vec<String> {
    let list = client.list_environment_account_connections();
    let listed = list.requested_by(side).send().await.unwrap();
    let listed = listed.environment_account_connections.into_iter();
    listed.map(|found| found.environment_name).collect()
}

#[tokio::test]
async fn a_connection_is_of_the_environment_account_and_waits_for_the_other() {
    let stack = Stack::idle();
    let created = stack.request("prod").await;
    let own = arn(&format!("environment-account-connection/{}", created.id));
    assert_eq!(created.arn, own.replace(ACCOUNT, OTHER_ACCOUNT));
    assert_eq!(created.environment_account_id, OTHER_ACCOUNT);
    assert_eq!(created.management_account_id, ACCOUNT);
    assert_eq!(created.role_arn, ROLE);
    assert_eq!(created.status, Status::Pending);
    assert_eq!(created.last_modified_at, created.requested_at);
    for client in [&stack.client, &stack.other()] {
        let get = client.get_environment_account_connection().id(&created.id);
        let read = get.send().await.unwrap().environment_account_connection;
        assert_eq!(read.unwrap(), created);
    }
}

#[tokio::test]
async fn the_same_token_makes_one_connection() {
    let stack = Stack::idle();
    let create = |environment: &str| {
        let create = stack.client.create_environment_account_connection();
        let create = create.environment_name(environment).client_token("t");
        create.management_account_id(OTHER_ACCOUNT).send()
    };
    let first = create("prod").await.unwrap();
    let second = create("prod").await.unwrap();
    assert_eq!(
        second.environment_account_connection,
        first.environment_account_connection
    );
    let (other, message) = refused(create("test").await);
    assert_eq!(other, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"), "{message}");

    let id = first.environment_account_connection.unwrap().id;
    delete(&stack.client, &id).await.unwrap();
    let third = create("prod").await.unwrap();
    assert_ne!(third.environment_account_connection.unwrap().id, id);
}

#[tokio::test]
async fn an_undecided_connection_is_not_asked_for_twice() {
    let stack = Stack::idle();
    let first = stack.request("prod").await;
    let again = || {
        let create = stack.other().create_environment_account_connection();
        let create = create.environment_name("prod");
        create.management_account_id(ACCOUNT).send()
    };
    assert_eq!(code(again().await), "ConflictException");
    stack.request("test").await;

    accept(&stack.client, &first.id).await.unwrap();
    let second = again().await.unwrap();
    let second = second.environment_account_connection.unwrap();
    assert_eq!(code(again().await), "ConflictException");
    reject(&stack.client, &second.id).await.unwrap();
    let third = again().await.unwrap();
    let third = third.environment_account_connection.unwrap();
    delete(&stack.other(), &third.id).await.unwrap();
    again().await.unwrap();
}

#[tokio::test]
async fn accepting_again_changes_nothing_and_a_rejection_is_final() {
    let stack = Stack::idle();
    let id = stack.request("prod").await.id;
    stack.clock.advance(Duration::from_secs(60));
    let accepted = accept(&stack.client, &id).await.unwrap();
    assert_eq!(accepted.status, Status::Connected);
    assert!(accepted.last_modified_at > accepted.requested_at);
    stack.clock.advance(Duration::from_secs(60));
    assert_eq!(accept(&stack.client, &id).await.unwrap(), accepted);

    let rejected = reject(&stack.client, &id).await.unwrap();
    assert_eq!(rejected.status, Status::Rejected);
    assert_eq!(reject(&stack.client, &id).await.unwrap(), rejected);
    let refused = accept(&stack.client, &id).await.unwrap_err();
    assert_eq!(refused, "ConflictException");
}

#[tokio::test]
async fn a_connection_in_use_can_be_deleted_but_not_rejected() {
    let id = "00000000-0000-4000-8000-000000000001";
    let environment = Key::new(format!("{ACCOUNT}/{REGION}"), Kind::Environment, "prod");
    let used = Index::new("environment_account_connection");
    let put = Put::create(environment, &()).indexed(used, id);
    let stack = Stack::finding(Change::new().put(put)).await;
    assert_eq!(stack.request("prod").await.id, id);
    accept(&stack.client, id).await.unwrap();
    let refused = reject(&stack.client, id).await.unwrap_err();
    assert_eq!(refused, "ConflictException");
    assert_eq!(delete(&stack.other(), id).await, Ok(true));
}

#[tokio::test]
async fn each_account_does_its_own_part() {
    let stack = Stack::idle();
    let id = stack.request("prod").await.id;
    let (management, environment) = (&stack.client, &stack.other());
    let denied = "AccessDeniedException";
    assert_eq!(accept(environment, &id).await.unwrap_err(), denied);
    assert_eq!(reject(environment, &id).await.unwrap_err(), denied);
    assert_eq!(delete(management, &id).await.unwrap_err(), denied);
    let update = management.update_environment_account_connection().id(&id);
    assert_eq!(code(update.send().await), denied);
}

#[tokio::test]
async fn a_third_account_does_not_see_the_connection() {
    let stack = Stack::idle();
    let create = stack.other().create_environment_account_connection();
    let create = create.environment_name("prod");
    let create = create.management_account_id("333333333333");
    let id = create.send().await.unwrap();
    let id = id.environment_account_connection.unwrap().id;
    let get = stack.client.get_environment_account_connection().id(&id);
    assert_eq!(code(get.send().await), "ResourceNotFoundException");
    let refused = accept(&stack.client, &id).await.unwrap_err();
    assert_eq!(refused, "ResourceNotFoundException");
    assert_eq!(delete(&stack.client, &id).await, Ok(false));
    assert!(
        listed(&stack.client, Side::ManagementAccount)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn each_account_lists_its_side_newest_request_first() {
    let stack = Stack::idle();
    for environment in ["b", "a", "c"] {
        stack.request(environment).await;
        stack.clock.advance(Duration::from_secs(1));
    }
    let (management, environment) = (&stack.client, &stack.other());
    let newest_first = ["c", "a", "b"];
    assert_eq!(
        listed(management, Side::ManagementAccount).await,
        newest_first
    );
    assert_eq!(
        listed(environment, Side::EnvironmentAccount).await,
        newest_first
    );
    assert!(
        listed(management, Side::EnvironmentAccount)
            .await
            .is_empty()
    );
    assert!(
        listed(environment, Side::ManagementAccount)
            .await
            .is_empty()
    );

    let list = management.list_environment_account_connections();
    let list = list.requested_by(Side::ManagementAccount).into_paginator();
    let pages = list.page_size(2).send().collect::<Result<Vec<_>, _>>();
    let pages = pages.await.unwrap();
    let names: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.environment_account_connections)
        .map(|found| found.environment_name.as_str())
        .collect();
    assert_eq!((pages.len(), names), (2, newest_first.to_vec()));
}

#[tokio::test]
async fn a_list_may_be_of_some_statuses_or_one_environment() {
    let stack = Stack::idle();
    let rejected = stack.request("a").await.id;
    let connected = stack.request("b").await.id;
    stack.request("c").await;
    reject(&stack.client, &rejected).await.unwrap();
    accept(&stack.client, &connected).await.unwrap();
    let list = || {
        let list = stack.client.list_environment_account_connections();
        list.requested_by(Side::ManagementAccount)
    };
    let some = list().statuses(Status::Pending).statuses(Status::Connected);
    let some = some.send().await.unwrap().environment_account_connections;
    let names: Vec<_> = some.iter().map(|found| &found.environment_name).collect();
    assert_eq!(names, ["c", "b"]);
    let one = list().environment_name("a").send().await.unwrap();
    let one = one.environment_account_connections;
    assert_eq!((one.len(), &one[0].id), (1, &rejected));
}

#[tokio::test]
async fn the_environment_account_changes_the_roles_that_it_gives() {
    let stack = Stack::idle();
    let id = stack.request("prod").await.id;
    stack.clock.advance(Duration::from_secs(60));
    let other = stack.other();
    let update = other.update_environment_account_connection().id(&id);
    let updated = update.codebuild_role_arn(BUILDER).send().await.unwrap();
    let updated = updated.environment_account_connection.unwrap();
    assert_eq!(updated.codebuild_role_arn.as_deref(), Some(BUILDER));
    assert_eq!(updated.role_arn, ROLE);
    assert!(updated.last_modified_at > updated.requested_at);
}

#[tokio::test]
async fn a_deleted_connection_is_gone_and_deleting_it_again_is_no_error() {
    let stack = Stack::idle();
    let id = stack.request("prod").await.id;
    accept(&stack.client, &id).await.unwrap();
    assert_eq!(delete(&stack.other(), &id).await, Ok(true));
    assert_eq!(delete(&stack.other(), &id).await, Ok(false));
    let get = stack.client.get_environment_account_connection().id(&id);
    assert_eq!(code(get.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn an_environment_account_holds_so_many_connections() {
    let stack = Stack::with(Limits {
        connections_per_environment_account: 1,
        ..Limits::default()
    });
    stack.request("a").await;
    let create = stack.other().create_environment_account_connection();
    let create = create.environment_name("b").management_account_id(ACCOUNT);
    let full = code(create.send().await);
    assert_eq!(full, "ServiceQuotaExceededException");
    let create = stack.client.create_environment_account_connection();
    let create = create.environment_name("b");
    let create = create.management_account_id(OTHER_ACCOUNT);
    create.send().await.unwrap();
}

#[tokio::test]
async fn tags_are_the_environment_accounts_and_none_is_the_services() {
    let stack = Stack::idle();
    let arn = stack.request("prod").await.arn;
    let tag = Tag::builder().key("team").value("a").build().unwrap();
    let (management, environment) = (&stack.client, &stack.other());
    let set = |client: &Client| {
        let set = client.tag_resource().resource_arn(&arn);
        set.tags(tag.clone()).send()
    };
    assert_eq!(code(set(management).await), "ResourceNotFoundException");
    set(environment).await.unwrap();
    let list = environment.list_tags_for_resource().resource_arn(&arn);
    assert_eq!(list.send().await.unwrap().tags, std::slice::from_ref(&tag));
    let still_listed = listed(management, Side::ManagementAccount).await;
    assert_eq!(still_listed, ["prod"], "a change of tags keeps the index");
}
