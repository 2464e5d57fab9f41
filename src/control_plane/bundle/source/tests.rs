use std::fs;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;

use super::*;

const LIMIT: usize = 100;

/// A bucket `bundles` with an object `svc/v1.tar.gz`, and a root beside it.
fn directory() -> (tempfile::TempDir, Source) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("bundles/svc")).unwrap();
    fs::write(root.join("bundles/svc/v1.tar.gz"), b"bundle").unwrap();
    fs::write(root.join("bundles/large"), [0; LIMIT + 1]).unwrap();
    fs::write(outer.path().join("secret"), b"secret").unwrap();
    let source = Source::Directory(root);
    (outer, source)
}

async fn problem(source: &Source, bucket: &str, key: &str) -> String {
    match source.fetch(bucket, key, LIMIT).await {
        Err(FetchError::Problem(problem)) => problem.message().to_owned(),
        other => panic!("{bucket}/{key}: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_below_the_bucket_is_fetched() {
    let (_outer, source) = directory();
    assert_eq!(
        source
            .fetch("bundles", "svc/v1.tar.gz", LIMIT)
            .await
            .unwrap(),
        "bundle"
    );
    assert_eq!(
        source
            .fetch("bundles", "large", LIMIT + 1)
            .await
            .unwrap()
            .len(),
        LIMIT + 1
    );
}

#[tokio::test]
async fn what_is_missing_or_too_large_is_said_without_the_server_path() {
    let (outer, source) = directory();
    let messages = [
        problem(&source, "nope", "x").await,
        problem(&source, "bundles", "svc/v2.tar.gz").await,
        problem(&source, "bundles", "svc").await,
        problem(&source, "bundles", "large/below-a-file").await,
        problem(&source, "bundles", &"k".repeat(1024)).await,
        problem(&source, "bundles", "large").await,
    ];
    assert_eq!(messages[0], "there is no bucket \"nope\"");
    assert_eq!(
        messages[1],
        "there is no object \"svc/v2.tar.gz\" in bucket \"bundles\""
    );
    assert!(messages[5].contains("more than 100 bytes"));
    let outer = outer.path().to_str().unwrap();
    assert!(
        messages.iter().all(|message| !message.contains(outer)),
        "{messages:?}"
    );
}

#[tokio::test]
async fn nothing_outside_the_root_is_reached() {
    let (outer, source) = directory();
    let absolute = outer.path().join("secret");
    for (bucket, key) in [
        ("..", "secret"),
        (".", "secret"),
        ("", "secret"),
        ("bundles/svc", "v1.tar.gz"),
        ("bundles", "../../secret"),
        ("bundles", "svc/../../../secret"),
        ("bundles", absolute.to_str().unwrap()),
        ("bundles", "svc//v1.tar.gz"),
        ("bundles", "./svc/v1.tar.gz"),
        ("bundles", "svc/v1.tar.gz/"),
        ("bundles", "a\0b"),
    ] {
        assert!(
            problem(&source, bucket, key)
                .await
                .starts_with("there is no"),
            "{bucket} {key}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed_below_the_root() {
    use std::os::unix::fs::symlink;
    let (outer, source) = directory();
    let root = outer.path().join("root");
    symlink(outer.path(), root.join("linked-bucket")).unwrap();
    symlink(outer.path(), root.join("bundles/linked-folder")).unwrap();
    symlink(
        outer.path().join("secret"),
        root.join("bundles/linked-file"),
    )
    .unwrap();
    symlink(root.join("bundles/svc"), root.join("bundles/inner-link")).unwrap();
    for (bucket, key) in [
        ("linked-bucket", "secret"),
        ("bundles", "linked-folder/secret"),
        ("bundles", "linked-file"),
        ("bundles", "inner-link/v1.tar.gz"),
    ] {
        assert!(
            problem(&source, bucket, key)
                .await
                .starts_with("there is no"),
            "{bucket} {key}"
        );
    }

    let alias = outer.path().join("alias");
    symlink(&root, &alias).unwrap();
    let through_alias = Source::Directory(alias);
    assert_eq!(
        through_alias
            .fetch("bundles", "svc/v1.tar.gz", LIMIT)
            .await
            .unwrap(),
        "bundle"
    );
}

/// An S3 endpoint that gives every request the same answer.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    body: &'static str,
}

impl HttpConnector for Answer {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut response =
            HttpResponse::new(self.status.try_into().unwrap(), SdkBody::from(self.body));
        response
            .headers_mut()
            .insert("content-type", "application/xml");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Answer {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn s3(status: u16, body: &'static str) -> Source {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(Answer { status, body });
    Source::S3(Client::from_conf(config.build()))
}

fn error_body(code: &str) -> &'static str {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>").leak()
}

#[tokio::test]
async fn an_object_is_fetched_up_to_the_limit() {
    assert_eq!(
        s3(200, "bundle").fetch("b", "k", LIMIT).await.unwrap(),
        "bundle"
    );
    assert_eq!(s3(200, "12345").fetch("b", "k", 5).await.unwrap(), "12345");
    assert!(
        problem(&s3(200, "x".repeat(LIMIT + 1).leak()), "b", "k")
            .await
            .contains("more than 100 bytes")
    );
}

#[tokio::test]
async fn what_the_author_has_to_mend_is_a_problem() {
    for (status, code, says) in [
        (404, "NoSuchBucket", "no bucket \"b\""),
        (404, "NoSuchKey", "no object \"k\""),
        (403, "AccessDenied", "is denied"),
        (403, "InvalidObjectState", "archived"),
        (301, "PermanentRedirect", "another Region"),
    ] {
        let message = problem(&s3(status, error_body(code)), "b", "k").await;
        assert!(message.contains(says), "{code}: {message}");
    }
    assert!(problem(&s3(404, ""), "b", "k").await.contains("no object"));
    assert!(problem(&s3(403, ""), "b", "k").await.contains("is denied"));
}

#[tokio::test]
async fn what_may_pass_is_unavailable() {
    for (status, code) in [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "ExpiredToken"),
        (403, "RequestTimeTooSkewed"),
        (400, "Unheard"),
    ] {
        let error = s3(status, error_body(code))
            .fetch("b", "k", LIMIT)
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::Unavailable(_)),
            "{code}: {error:?}"
        );
    }
}
