#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::Tag;

use super::stack::{ACCOUNT, Stack, arn, code, source};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

fn many(count: usize) -> Option<Vec<Tag>> {
    Some(
        (0..count)
            .map(|number| tag(&number.to_string(), ""))
            .collect(),
    )
}

impl Stack {
    async fn tags(&self, arn: &str) -> Vec<(String, String)> {
        let listed = self
            .client
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await
            .unwrap();
        listed
            .tags
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect()
    }

    /// The tags that customers set.
    async fn customer_tags(&self, arn: &str) -> Vec<(String, String)> {
        let mut tags = self.tags(arn).await;
        tags.retain(|(key, _)| !key.starts_with("aws:"));
        tags
    }
}

fn pairs<const N: usize>(tags: [(&str, &str); N]) -> Vec<(String, String)> {
    tags.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn tags_of_the_service_are_listed_with_those_of_the_customer() {
    let stack = Stack::idle();
    stack
        .client
        .create_environment_template()
        .name("web")
        .tags(tag("team", "a"))
        .send()
        .await
        .unwrap();
    let web = arn("environment-template/web");
    let expected = [
        ("aws:proton:account", ACCOUNT),
        ("aws:proton:template", web.as_str()),
        ("team", "a"),
    ];
    assert_eq!(stack.tags(&web).await, pairs(expected));
}

#[tokio::test]
async fn a_tag_that_is_set_again_gets_the_new_value() {
    let stack = Stack::idle();
    stack.create_service_template("api").await;
    let api = arn("service-template/api");
    let set = |value: &str| {
        stack
            .client
            .tag_resource()
            .resource_arn(&api)
            .tags(tag("team", value))
            .send()
    };
    set("a").await.unwrap();
    set("b").await.unwrap();
    assert_eq!(stack.customer_tags(&api).await, pairs([("team", "b")]));
}

#[tokio::test]
async fn untagging_takes_the_keys_away_and_absent_ones_are_fine() {
    let stack = Stack::idle();
    let create = stack
        .client
        .create_service_template()
        .name("api")
        .tags(tag("a", "1"))
        .tags(tag("b", "2"));
    create.send().await.unwrap();
    let api = arn("service-template/api");
    stack
        .client
        .untag_resource()
        .resource_arn(&api)
        .tag_keys("a")
        .tag_keys("x")
        .send()
        .await
        .unwrap();
    assert_eq!(stack.customer_tags(&api).await, pairs([("b", "2")]));
}

#[tokio::test]
async fn reserved_keys_can_neither_be_set_nor_removed() {
    let stack = Stack::idle();
    stack.create_service_template("api").await;
    let api = arn("service-template/api");
    let set = stack
        .client
        .tag_resource()
        .resource_arn(&api)
        .tags(tag("aws:proton:account", "1"))
        .send()
        .await;
    assert_eq!(code(set), "ValidationException");
    let remove = stack
        .client
        .untag_resource()
        .resource_arn(&api)
        .tag_keys("aws:proton:account")
        .send()
        .await;
    assert_eq!(code(remove), "ValidationException");
    let create = stack
        .client
        .create_service_template()
        .name("b")
        .tags(tag("aws:x", "1"))
        .send()
        .await;
    assert_eq!(code(create), "ValidationException");
}

#[tokio::test]
async fn a_resource_holds_fifty_tags_of_the_customer() {
    let stack = Stack::idle();
    stack
        .client
        .create_service_template()
        .name("api")
        .set_tags(many(50))
        .send()
        .await
        .unwrap();
    let api = arn("service-template/api");
    let set = |key: &str| {
        stack
            .client
            .tag_resource()
            .resource_arn(&api)
            .tags(tag(key, "new"))
            .send()
    };
    assert_eq!(code(set("one more").await), "ValidationException");
    set("0").await.unwrap();
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let stack = Stack::idle();
    stack
        .client
        .create_service_template()
        .name("api")
        .set_tags(many(3))
        .send()
        .await
        .unwrap();
    let list = stack
        .client
        .list_tags_for_resource()
        .resource_arn(arn("service-template/api"));
    let pages = list.into_paginator().page_size(2).send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let keys: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.tags)
        .map(|tag| tag.key.as_str())
        .collect();
    assert_eq!(pages.len(), 3);
    assert_eq!(
        keys,
        ["0", "1", "2", "aws:proton:account", "aws:proton:template"]
    );
}

#[tokio::test]
async fn a_version_copies_the_tags_of_its_template_once() {
    let stack = Stack::idle();
    let create = stack
        .client
        .create_environment_template()
        .name("web")
        .tags(tag("a", "1"))
        .tags(tag("b", "1"));
    create.send().await.unwrap();
    let create = stack
        .client
        .create_environment_template_version()
        .template_name("web")
        .source(source("k"));
    create
        .tags(tag("b", "2"))
        .tags(tag("c", "2"))
        .send()
        .await
        .unwrap();
    let (web, version) = (
        arn("environment-template/web"),
        arn("environment-template/web:1.0"),
    );
    stack
        .client
        .tag_resource()
        .resource_arn(&web)
        .tags(tag("late", "1"))
        .send()
        .await
        .unwrap();

    assert_eq!(
        stack.customer_tags(&version).await,
        pairs([("a", "1"), ("b", "2"), ("c", "2")])
    );
    assert!(
        stack
            .tags(&version)
            .await
            .contains(&("aws:proton:template".to_owned(), web))
    );
}

#[tokio::test]
async fn resources_that_are_not_there_or_not_ours_are_not_found() {
    let stack = Stack::idle();
    stack.create_service_template("api").await;
    let elsewhere = arn("service-template/api").replace("us-east-1", "us-east-2");
    for arn in [
        arn("service-template/web"),
        arn("service-template/api:1.0"),
        arn("what/api"),
        elsewhere,
    ] {
        let list = stack
            .client
            .list_tags_for_resource()
            .resource_arn(&arn)
            .send()
            .await;
        assert_eq!(code(list), "ResourceNotFoundException", "{arn}");
        let set = stack
            .client
            .tag_resource()
            .resource_arn(&arn)
            .tags(tag("a", "1"))
            .send()
            .await;
        assert_eq!(code(set), "ResourceNotFoundException", "{arn}");
    }
}
