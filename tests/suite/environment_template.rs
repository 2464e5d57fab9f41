#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::Duration;

use aws_sdk_proton::types::{Provisioning, Tag, TemplateVersionStatus};
use proton_grpc::control_plane::Limits;

use super::stack::{
    ACCOUNT, REGION, Stack, arn, code, environment_bundle, environment_schema, refused, source,
};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

fn numbers<'a, V: 'a>(
    versions: impl IntoIterator<Item = &'a V>,
    parts: impl Fn(&V) -> (&str, &str),
) -> Vec<String> {
    let text = |version| {
        let (major, minor) = parts(version);
        format!("{major}.{minor}")
    };
    versions.into_iter().map(text).collect()
}

impl Stack {
    async fn environment_versions(&self, template: &str, major: Option<&str>) -> Vec<String> {
        let list = self
            .client
            .list_environment_template_versions()
            .template_name(template);
        let listed = list
            .set_major_version(major.map(str::to_owned))
            .send()
            .await
            .unwrap();
        numbers(&listed.template_versions, |version| {
            (&version.major_version, &version.minor_version)
        })
    }

    async fn recommended(&self, template: &str) -> Option<String> {
        let got = self
            .client
            .get_environment_template()
            .name(template)
            .send()
            .await
            .unwrap();
        got.environment_template.unwrap().recommended_version
    }

    async fn delete_environment_version(
        &self,
        template: &str,
        major: &str,
        minor: &str,
    ) -> Result<bool, String> {
        let delete = self
            .client
            .delete_environment_template_version()
            .template_name(template);
        let deleted = delete
            .major_version(major)
            .minor_version(minor)
            .send()
            .await;
        match deleted {
            Ok(answer) => Ok(answer.environment_template_version.is_some()),
            refusal => Err(code(refusal)),
        }
    }
}

#[tokio::test]
async fn a_template_is_created_at_once_and_reads_back() {
    let stack = Stack::idle();
    let key = "arn:aws:kms:us-east-1:123456789012:key/k";
    let create = stack
        .client
        .create_environment_template()
        .name("web")
        .display_name("Web")
        .description("d");
    let create = create
        .encryption_key(key)
        .provisioning(Provisioning::CustomerManaged);
    let created = create.send().await.unwrap().environment_template.unwrap();
    assert_eq!(created.arn, arn("environment-template/web"));
    assert_eq!(created.display_name.as_deref(), Some("Web"));
    assert_eq!(created.description.as_deref(), Some("d"));
    assert_eq!(created.encryption_key.as_deref(), Some(key));
    assert_eq!(created.provisioning, Some(Provisioning::CustomerManaged));
    assert_eq!(created.recommended_version, None);
    assert_eq!(
        created.created_at.to_millis().unwrap(),
        super::stack::START_MS
    );
    assert_eq!(created.last_modified_at, created.created_at);

    let read = stack
        .client
        .get_environment_template()
        .name("web")
        .send()
        .await
        .unwrap();
    assert_eq!(read.environment_template.unwrap(), created);
}

#[tokio::test]
async fn the_display_name_is_the_name_when_none_is_given() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    let read = stack
        .client
        .get_environment_template()
        .name("web")
        .send()
        .await
        .unwrap();
    assert_eq!(
        read.environment_template.unwrap().display_name.as_deref(),
        Some("web")
    );
}

#[tokio::test]
async fn a_template_that_was_never_made_is_not_found() {
    let stack = Stack::idle();
    let get = stack
        .client
        .get_environment_template()
        .name("web")
        .send()
        .await;
    let message = "environment template \"web\" does not exist".to_owned();
    assert_eq!(
        refused(get),
        ("ResourceNotFoundException".to_owned(), message)
    );
    let update = stack
        .client
        .update_environment_template()
        .name("web")
        .send()
        .await;
    assert_eq!(code(update), "ResourceNotFoundException");
    let list = stack
        .client
        .list_environment_template_versions()
        .template_name("web")
        .send()
        .await;
    assert_eq!(code(list), "ResourceNotFoundException");
    let create = stack
        .client
        .create_environment_template_version()
        .template_name("web")
        .source(source("k"));
    assert_eq!(code(create.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn creating_again_with_the_same_parameters_answers_the_template_as_it_is() {
    let stack = Stack::new();
    let create = || {
        let create = stack
            .client
            .create_environment_template()
            .name("web")
            .description("d");
        create.tags(tag("a", "1")).tags(tag("b", "2"))
    };
    let first = create().send().await.unwrap().environment_template.unwrap();
    stack.clock.advance(Duration::from_secs(60));
    assert_eq!(
        create().send().await.unwrap().environment_template.unwrap(),
        first
    );

    stack.environment_version("web", None).await;
    stack.publish("web", "1", "0").await;
    let now = create().send().await.unwrap().environment_template.unwrap();
    assert_eq!(now.recommended_version.as_deref(), Some("1.0"));
}

#[tokio::test]
async fn the_order_of_tags_is_no_difference() {
    let stack = Stack::idle();
    let create = |tags| {
        stack
            .client
            .create_environment_template()
            .name("web")
            .set_tags(Some(tags))
            .send()
    };
    create(vec![tag("a", "1"), tag("b", "2")]).await.unwrap();
    create(vec![tag("b", "2"), tag("a", "1")]).await.unwrap();
}

#[tokio::test]
async fn creating_again_after_a_change_conflicts_but_other_parameters_are_told_first() {
    let stack = Stack::idle();
    let create = |description: &str| {
        stack
            .client
            .create_environment_template()
            .name("web")
            .description(description)
            .send()
    };
    create("d").await.unwrap();
    let (other, message) = refused(create("other").await);
    assert_eq!(other, "ValidationException");
    assert!(
        message.starts_with("Idempotent parameter mismatch"),
        "{message}"
    );

    stack
        .client
        .update_environment_template()
        .name("web")
        .display_name("Web")
        .send()
        .await
        .unwrap();
    assert_eq!(code(create("d").await), "ConflictException");
    assert_eq!(code(create("other").await), "ValidationException");
}

#[tokio::test]
async fn a_change_of_tags_counts_as_a_change() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    let arn = arn("environment-template/web");
    stack
        .client
        .tag_resource()
        .resource_arn(arn)
        .tags(tag("a", "1"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(
            stack
                .client
                .create_environment_template()
                .name("web")
                .send()
                .await
        ),
        "ConflictException"
    );
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let stack = Stack::idle();
    stack
        .client
        .create_environment_template()
        .name("web")
        .description("d")
        .send()
        .await
        .unwrap();
    stack.clock.advance(Duration::from_secs(5));
    let update = stack
        .client
        .update_environment_template()
        .name("web")
        .display_name("Web")
        .send()
        .await
        .unwrap();
    let updated = update.environment_template.unwrap();
    assert_eq!(updated.display_name.as_deref(), Some("Web"));
    assert_eq!(updated.description.as_deref(), Some("d"));
    assert_eq!(
        updated.last_modified_at.secs() - updated.created_at.secs(),
        5
    );
}

#[tokio::test]
async fn templates_are_listed_by_name_page_by_page() {
    let stack = Stack::idle();
    for name in ["b", "a", "C", "d"] {
        stack.create_environment_template(name).await;
    }
    stack.create_service_template("elsewhere").await;
    let pages = stack
        .client
        .list_environment_templates()
        .into_paginator()
        .page_size(3)
        .send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let names = |page: usize| {
        pages[page]
            .templates
            .iter()
            .map(|found| found.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (pages.len(), names(0), names(1)),
        (2, vec!["C", "a", "b"], vec!["d"])
    );
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let stack = Stack::idle();
    for name in ["a", "b"] {
        stack.create_environment_template(name).await;
        stack.create_service_template(name).await;
    }
    let page = stack
        .client
        .list_environment_templates()
        .max_results(1)
        .send()
        .await
        .unwrap();
    let token = page.next_token.unwrap();
    let elsewhere = stack
        .client
        .list_service_templates()
        .next_token(&token)
        .send()
        .await;
    assert_eq!(code(elsewhere), "ValidationException");
    let made_up = stack
        .client
        .list_environment_templates()
        .next_token("bm9uZQ==")
        .send()
        .await;
    assert_eq!(code(made_up), "ValidationException");
    let next = stack
        .client
        .list_environment_templates()
        .next_token(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (next.templates[0].name.as_str(), next.next_token),
        ("b", None)
    );
}

#[tokio::test]
async fn a_template_with_versions_cannot_be_deleted() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    let delete = || {
        stack
            .client
            .delete_environment_template()
            .name("web")
            .send()
    };
    assert_eq!(code(delete().await), "ConflictException");
    stack
        .delete_environment_version("web", "1", "0")
        .await
        .unwrap();
    assert_eq!(
        delete().await.unwrap().environment_template.unwrap().name,
        "web"
    );
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds_with_nothing() {
    let stack = Stack::idle();
    let deleted = stack
        .client
        .delete_environment_template()
        .name("web")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.environment_template, None);
    assert_eq!(
        stack.delete_environment_version("web", "1", "0").await,
        Ok(false)
    );
    assert_eq!(
        stack
            .delete_environment_version("web", "1", "99999999999999999999")
            .await,
        Ok(false)
    );
}

#[tokio::test]
async fn both_kinds_of_templates_share_one_quota_and_repeats_are_free() {
    let stack = Stack::with(Limits {
        templates: 2,
        ..Limits::default()
    });
    stack.create_environment_template("a").await;
    stack.create_service_template("a").await;
    let third = stack
        .client
        .create_environment_template()
        .name("b")
        .send()
        .await;
    assert_eq!(code(third), "ServiceQuotaExceededException");
    stack.create_environment_template("a").await;
    stack
        .client
        .delete_service_template()
        .name("a")
        .send()
        .await
        .unwrap();
    stack.create_environment_template("b").await;
}

#[tokio::test]
async fn a_template_has_so_many_versions_and_no_more() {
    let stack = Stack::with(Limits {
        versions_per_template: 1,
        ..Limits::default()
    })
    .working();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    let create = || {
        stack
            .client
            .create_environment_template_version()
            .template_name("web")
            .source(source("k"))
    };
    assert_eq!(code(create().send().await), "ServiceQuotaExceededException");
    stack
        .delete_environment_version("web", "1", "0")
        .await
        .unwrap();
    // A refused call has used up no number.
    let next = create()
        .send()
        .await
        .unwrap()
        .environment_template_version
        .unwrap();
    assert_eq!(next.major_version, "2");
}

#[tokio::test]
async fn a_version_registers_as_a_draft_with_its_schema() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle(""));
    let create = stack
        .client
        .create_environment_template_version()
        .template_name("web")
        .source(source("k"));
    let created = create
        .description("d")
        .send()
        .await
        .unwrap()
        .environment_template_version
        .unwrap();
    assert_eq!(
        created.status,
        TemplateVersionStatus::RegistrationInProgress
    );
    assert_eq!(created.arn, arn("environment-template/web:1.0"));
    assert_eq!((created.schema, created.status_message), (None, None));

    let stack = stack.working();
    let version = stack.registered("web", "1", "0").await.unwrap();
    assert_eq!(version.status, TemplateVersionStatus::Draft);
    assert_eq!(version.status_message.as_deref(), Some(""));
    assert_eq!(version.schema.unwrap(), environment_schema(""));
    assert_eq!(version.description.as_deref(), Some("d"));
    assert_eq!(version.recommended_minor_version, None);
}

#[tokio::test]
async fn versions_are_numbered_up_and_no_number_comes_again() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    let mut given = Vec::new();
    for major in [None, Some("1"), None] {
        let version = stack.environment_version("web", major).await;
        given.push(format!(
            "{}.{}",
            version.major_version, version.minor_version
        ));
    }
    assert_eq!(given, ["1.0", "1.1", "2.0"]);
    stack
        .delete_environment_version("web", "1", "1")
        .await
        .unwrap();
    stack
        .delete_environment_version("web", "2", "0")
        .await
        .unwrap();
    assert_eq!(
        stack
            .environment_version("web", Some("1"))
            .await
            .minor_version,
        "2"
    );
    assert_eq!(
        stack.environment_version("web", None).await.major_version,
        "3"
    );
}

#[tokio::test]
async fn a_minor_version_needs_its_major_version() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    for major in ["1", "99999999999999999999"] {
        let create = stack
            .client
            .create_environment_template_version()
            .template_name("web")
            .source(source("k"));
        assert_eq!(
            code(create.major_version(major).send().await),
            "ResourceNotFoundException"
        );
    }
}

#[tokio::test]
async fn lists_show_the_minors_of_a_major_version_or_one_version_of_each() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    for major in [None, Some("1"), Some("1"), None] {
        stack.environment_version("web", major).await;
    }
    assert_eq!(
        stack.environment_versions("web", Some("1")).await,
        ["1.2", "1.1", "1.0"]
    );
    assert_eq!(
        stack.environment_versions("web", None).await,
        ["2.0", "1.2"]
    );
    stack.publish("web", "1", "1").await;
    assert_eq!(
        stack.environment_versions("web", None).await,
        ["2.0", "1.1"]
    );
    assert_eq!(stack.environment_versions("web", Some("9")).await, [""; 0]);
}

#[tokio::test]
async fn versions_are_listed_page_by_page() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    for major in [None, Some("1"), Some("1")] {
        stack.environment_version("web", major).await;
    }
    let list = stack
        .client
        .list_environment_template_versions()
        .template_name("web")
        .major_version("1");
    let pages = list.into_paginator().page_size(2).send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let minors: Vec<Vec<&str>> = pages
        .iter()
        .map(|page| {
            page.template_versions
                .iter()
                .map(|version| version.minor_version.as_str())
                .collect()
        })
        .collect();
    assert_eq!(minors, [vec!["2", "1"], vec!["0"]]);
}

#[tokio::test]
async fn publishing_recommends_the_highest_version() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    for major in [None, Some("1"), None] {
        stack.environment_version("web", major).await;
    }
    assert_eq!(
        stack
            .publish("web", "1", "1")
            .await
            .recommended_minor_version
            .as_deref(),
        Some("1")
    );
    assert_eq!(stack.recommended("web").await.as_deref(), Some("1.1"));
    stack.publish("web", "2", "0").await;
    assert_eq!(stack.recommended("web").await.as_deref(), Some("2.0"));
    assert_eq!(
        stack
            .publish("web", "1", "0")
            .await
            .recommended_minor_version
            .as_deref(),
        Some("1")
    );
    assert_eq!(stack.recommended("web").await.as_deref(), Some("2.0"));
}

#[tokio::test]
async fn a_published_version_stays_published() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    stack.publish("web", "1", "0").await;
    assert_eq!(
        stack.publish("web", "1", "0").await.status,
        TemplateVersionStatus::Published
    );
    for status in [
        TemplateVersionStatus::Draft,
        TemplateVersionStatus::RegistrationInProgress,
        TemplateVersionStatus::RegistrationFailed,
    ] {
        let update = stack
            .client
            .update_environment_template_version()
            .template_name("web");
        let update = update.major_version("1").minor_version("0").status(status);
        assert_eq!(code(update.send().await), "ValidationException");
    }
}

#[tokio::test]
async fn a_version_that_is_registering_cannot_be_changed_or_deleted() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    let create = stack
        .client
        .create_environment_template_version()
        .template_name("web")
        .source(source("k"));
    create.send().await.unwrap();
    let update = stack
        .client
        .update_environment_template_version()
        .template_name("web");
    let update = update
        .major_version("1")
        .minor_version("0")
        .description("d");
    assert_eq!(code(update.send().await), "ConflictException");
    assert_eq!(
        stack.delete_environment_version("web", "1", "0").await,
        Err("ConflictException".to_owned())
    );
}

#[tokio::test]
async fn a_recommended_version_is_deleted_last() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    for major in [None, Some("1"), None] {
        stack.environment_version("web", major).await;
    }
    stack.publish("web", "1", "1").await;
    let conflict = || Err("ConflictException".to_owned());
    assert_eq!(
        stack.delete_environment_version("web", "1", "1").await,
        conflict()
    );
    assert_eq!(
        stack.delete_environment_version("web", "1", "0").await,
        Ok(true)
    );
    assert_eq!(
        stack.delete_environment_version("web", "1", "1").await,
        conflict()
    );
    assert_eq!(
        stack.delete_environment_version("web", "2", "0").await,
        Ok(true)
    );
    assert_eq!(
        stack.delete_environment_version("web", "1", "1").await,
        Ok(true)
    );
    assert_eq!(stack.recommended("web").await, None);
    assert_eq!(
        stack.delete_environment_version("web", "1", "1").await,
        Ok(false)
    );
}

#[tokio::test]
async fn the_same_client_token_answers_the_same_version() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle(""));
    let create = |token: &str, key: &str| {
        let create = stack
            .client
            .create_environment_template_version()
            .template_name("web");
        create.source(source(key)).client_token(token).send()
    };
    create("a", "k").await.unwrap();
    stack.registered("web", "1", "0").await.unwrap();
    let again = create("a", "k")
        .await
        .unwrap()
        .environment_template_version
        .unwrap();
    assert_eq!(
        (again.major_version.as_str(), again.status),
        ("1", TemplateVersionStatus::Draft)
    );

    let (name, message) = refused(create("a", "other").await);
    assert_eq!(name, "ValidationException");
    assert!(message.contains("IdempotentParameterMismatch"), "{message}");
    assert_eq!(
        create("b", "k")
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
            .major_version,
        "2"
    );
}

#[tokio::test]
async fn a_client_token_is_forgotten_after_eight_hours() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    let create = |key: &str| {
        let create = stack
            .client
            .create_environment_template_version()
            .template_name("web");
        create.source(source(key)).client_token("a").send()
    };
    create("k").await.unwrap();
    stack.clock.advance(Duration::from_secs(8 * 3600 - 1));
    assert_eq!(
        create("k")
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
            .major_version,
        "1"
    );
    stack.clock.advance(Duration::from_secs(1));
    assert_eq!(
        create("other")
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
            .major_version,
        "2"
    );
    assert_eq!(
        create("other")
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
            .major_version,
        "2"
    );
}

#[tokio::test]
async fn a_client_token_is_forgotten_with_what_it_made() {
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.upload("k", &environment_bundle(""));
    let create = |key: &str| {
        let create = stack
            .client
            .create_environment_template_version()
            .template_name("web");
        create.source(source(key)).client_token("a").send()
    };
    create("k").await.unwrap();
    stack.registered("web", "1", "0").await.unwrap();
    stack
        .delete_environment_version("web", "1", "0")
        .await
        .unwrap();
    assert_eq!(
        create("other")
            .await
            .unwrap()
            .environment_template_version
            .unwrap()
            .major_version,
        "2"
    );
}

#[tokio::test]
async fn versions_made_at_the_same_time_all_get_a_number_of_their_own() {
    let stack = Stack::idle();
    stack.create_environment_template("web").await;
    let create = || {
        let create = stack
            .client
            .create_environment_template_version()
            .template_name("web")
            .source(source("k"));
        tokio::spawn(create.send())
    };
    let calls: Vec<_> = (0..20).map(|_| create()).collect();
    let mut majors = Vec::new();
    for call in calls {
        majors.push(
            call.await
                .unwrap()
                .unwrap()
                .environment_template_version
                .unwrap()
                .major_version,
        );
    }
    majors.sort_by_key(|major| major.parse::<u32>().unwrap());
    assert_eq!(
        majors,
        (1..=20).map(|major| major.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_version_that_something_is_deployed_on_cannot_be_deleted() {
    use proton_grpc::control_plane::store::{Change, Index, Key, Kind, Put, Store};
    let stack = Stack::new();
    stack.create_environment_template("web").await;
    stack.environment_version("web", None).await;
    let directory = stack.data_directory();
    stack.plane.close().await;
    let store = Store::open(&directory).unwrap();
    let key = Key::new(format!("{ACCOUNT}/{REGION}"), Kind::Environment, "prod");
    let deployed =
        Put::create(key, &()).indexed(Index::new("deployed"), arn("environment-template/web:1.0"));
    store.commit(Change::new().put(deployed)).await.unwrap();
    store.close().await;

    let stack = stack.reopen(Duration::ZERO).await;
    assert_eq!(
        stack.delete_environment_version("web", "1", "0").await,
        Err("ConflictException".to_owned())
    );
}
