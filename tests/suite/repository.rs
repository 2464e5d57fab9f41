#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{Repository, RepositoryProvider, Tag};

use super::stack::{Stack, arn, code, refused};

const CONNECTION: &str = "arn:aws:codestar-connections:us-east-1:123456789012:connection/c";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/k";

impl Stack {
    /// Links a repository on GitHub.
    pub(crate) async fn link(&self, name: &str) -> Repository {
        let create = self.client.create_repository().connection_arn(CONNECTION);
        let create = create.name(name).provider(RepositoryProvider::Github);
        create.send().await.unwrap().repository.unwrap()
    }

    pub(crate) async fn unlink(&self, name: &str) -> Result<Repository, String> {
        let delete = self.client.delete_repository().name(name);
        match delete.provider(RepositoryProvider::Github).send().await {
            Ok(answer) => Ok(answer.repository.unwrap()),
            refusal => Err(code(refusal)),
        }
    }
}

#[tokio::test]
async fn a_repository_is_linked_at_once_and_reads_back() {
    let stack = Stack::idle();
    let create = stack.client.create_repository().connection_arn(CONNECTION);
    let create = create.encryption_key(KEY).name("me/infra");
    let create = create.provider(RepositoryProvider::GithubEnterprise);
    let created = create.send().await.unwrap().repository.unwrap();
    assert_eq!(
        created.arn,
        arn("repository/github_enterprise:me/infra"),
        "the provider stands in lower case"
    );
    assert_eq!(created.connection_arn, CONNECTION);
    assert_eq!(created.encryption_key.as_deref(), Some(KEY));
    assert_eq!(created.provider, RepositoryProvider::GithubEnterprise);
    let get = stack.client.get_repository().name("me/infra");
    let get = get.provider(RepositoryProvider::GithubEnterprise);
    assert_eq!(get.send().await.unwrap().repository.unwrap(), created);
}

#[tokio::test]
async fn a_provider_and_name_are_linked_once() {
    let stack = Stack::idle();
    stack.link("me/infra").await;
    let create = |provider| {
        let create = stack.client.create_repository().connection_arn(CONNECTION);
        create.name("me/infra").provider(provider).send()
    };
    let again = refused(create(RepositoryProvider::Github).await);
    let message = "repository \"github:me/infra\" is linked already".to_owned();
    assert_eq!(again, ("ConflictException".to_owned(), message));
    create(RepositoryProvider::Bitbucket).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_is_not_linked_is_not_found() {
    let stack = Stack::idle();
    stack.link("me/infra").await;
    let get = stack.client.get_repository().name("me/infra");
    let get = get.provider(RepositoryProvider::Bitbucket).send().await;
    assert_eq!(code(get), "ResourceNotFoundException");
    let delete = stack.unlink("me/other").await;
    assert_eq!(delete.unwrap_err(), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_name_that_no_git_host_has_is_refused() {
    let stack = Stack::idle();
    let create = stack.client.create_repository().connection_arn(CONNECTION);
    let create = create
        .name("me/in fra")
        .provider(RepositoryProvider::Github);
    assert_eq!(code(create.send().await), "ValidationException");
}

#[tokio::test]
async fn repositories_are_listed_by_provider_and_name_without_their_keys() {
    let stack = Stack::idle();
    for name in ["me/b", "me/a", "me/c"] {
        stack.link(name).await;
    }
    let create = stack.client.create_repository().connection_arn(CONNECTION);
    let create = create.name("me/z").provider(RepositoryProvider::Bitbucket);
    create.send().await.unwrap();
    let pages = stack.client.list_repositories().into_paginator();
    let pages = pages.page_size(3).send().collect::<Result<Vec<_>, _>>();
    let pages = pages.await.unwrap();
    let names: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.repositories)
        .map(|repository| repository.name.as_str())
        .collect();
    assert_eq!(
        (pages.len(), names),
        (2, vec!["me/z", "me/a", "me/b", "me/c"])
    );
}

#[tokio::test]
async fn a_deleted_repository_is_shown_once_more_and_may_be_linked_again() {
    let stack = Stack::idle();
    let created = stack.link("me/infra").await;
    assert_eq!(stack.unlink("me/infra").await.unwrap(), created);
    let again = stack.unlink("me/infra").await;
    assert_eq!(again.unwrap_err(), "ResourceNotFoundException");
    stack.link("me/infra").await;
}

#[tokio::test]
async fn a_repository_is_tagged_by_its_arn() {
    let stack = Stack::idle();
    let repository = stack.link("me/infra").await;
    let tag = Tag::builder().key("team").value("a").build().unwrap();
    let set = stack.client.tag_resource().resource_arn(&repository.arn);
    set.tags(tag.clone()).send().await.unwrap();
    let list = stack.client.list_tags_for_resource();
    let listed = list.resource_arn(&repository.arn).send().await.unwrap();
    assert!(listed.tags.contains(&tag), "{:?}", listed.tags);
}
