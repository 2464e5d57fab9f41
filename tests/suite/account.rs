#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{AccountSettings, RepositoryBranchInput, RepositoryProvider};

use super::stack::{Stack, arn, code};

const BUILDER: &str = "arn:aws:iam::123456789012:role/builder";
const SERVICE: &str = "arn:aws:iam::123456789012:role/service";

impl Stack {
    async fn settings(&self) -> AccountSettings {
        self.client
            .get_account_settings()
            .send()
            .await
            .unwrap()
            .account_settings
            .unwrap()
    }
}

fn repository() -> RepositoryBranchInput {
    let repository = RepositoryBranchInput::builder()
        .name("me/repo")
        .branch("main");
    repository
        .provider(RepositoryProvider::Github)
        .build()
        .unwrap()
}

#[tokio::test]
async fn settings_never_written_are_empty() {
    let stack = Stack::idle();
    assert_eq!(stack.settings().await, AccountSettings::builder().build());
}

#[tokio::test]
async fn an_update_merges_into_the_settings_and_answers_all_of_them() {
    let stack = Stack::idle();
    stack
        .client
        .update_account_settings()
        .pipeline_codebuild_role_arn(BUILDER)
        .send()
        .await
        .unwrap();
    let updated = stack
        .client
        .update_account_settings()
        .pipeline_service_role_arn(SERVICE)
        .send()
        .await
        .unwrap();
    let settings = updated.account_settings.unwrap();
    assert_eq!(
        settings.pipeline_codebuild_role_arn.as_deref(),
        Some(BUILDER)
    );
    assert_eq!(settings.pipeline_service_role_arn.as_deref(), Some(SERVICE));
    assert_eq!(stack.settings().await, settings);
}

#[tokio::test]
async fn an_empty_role_takes_the_role_away() {
    let stack = Stack::idle();
    stack
        .client
        .update_account_settings()
        .pipeline_codebuild_role_arn(BUILDER)
        .send()
        .await
        .unwrap();
    stack
        .client
        .update_account_settings()
        .pipeline_codebuild_role_arn("")
        .send()
        .await
        .unwrap();
    assert_eq!(stack.settings().await.pipeline_codebuild_role_arn, None);
}

#[tokio::test]
async fn a_repository_must_be_linked() {
    let stack = Stack::idle();
    let update = stack
        .client
        .update_account_settings()
        .pipeline_provisioning_repository(repository());
    assert_eq!(code(update.send().await), "ValidationException");
}

#[tokio::test]
async fn a_linked_repository_stays_until_it_is_taken_away() {
    let stack = Stack::idle();
    stack.link("me/repo").await;
    let update = || stack.client.update_account_settings();
    let set = update().pipeline_provisioning_repository(repository());
    set.send().await.unwrap();
    let role = update().pipeline_service_role_arn(SERVICE);
    role.send().await.unwrap();
    let shown = stack.settings().await.pipeline_provisioning_repository;
    let shown = shown.unwrap();
    assert_eq!(shown.arn, arn("repository/github:me/repo"));
    assert_eq!(
        (shown.name.as_str(), shown.branch.as_str()),
        ("me/repo", "main")
    );

    let take = update().delete_pipeline_provisioning_repository(true);
    take.send().await.unwrap();
    let left = stack.settings().await;
    assert_eq!(left.pipeline_provisioning_repository, None);
    assert_eq!(left.pipeline_service_role_arn.as_deref(), Some(SERVICE));
}

#[tokio::test]
async fn a_repository_in_the_settings_cannot_be_deleted() {
    let stack = Stack::idle();
    stack.link("me/repo").await;
    let update = || stack.client.update_account_settings();
    let set = update().pipeline_provisioning_repository(repository());
    set.send().await.unwrap();
    assert_eq!(
        stack.unlink("me/repo").await.unwrap_err(),
        "ConflictException"
    );
    let take = update().delete_pipeline_provisioning_repository(true);
    take.send().await.unwrap();
    stack.unlink("me/repo").await.unwrap();
}

#[tokio::test]
async fn a_repository_is_not_given_and_deleted_at_once() {
    let stack = Stack::idle();
    let delete = || {
        stack
            .client
            .update_account_settings()
            .delete_pipeline_provisioning_repository(true)
    };
    delete().send().await.unwrap();
    let both = delete().pipeline_provisioning_repository(repository());
    assert_eq!(code(both.send().await), "ValidationException");
}
