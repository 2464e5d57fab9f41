//! Metrics, as they are told.

use std::collections::{BTreeMap, BTreeSet};

use proton_grpc::api::pb;
use regex::Regex;
use tonic::{Code, client::Grpc};
use tonic_prost::ProstCodec;

use super::{World, address, exchange};

const GET: &str = r#"grpc_method="proton.v1.ProtonService/GetEnvironment""#;

/// Every number by its name and labels.
type Told = BTreeMap<String, f64>;

impl World {
    async fn ask(&self, path: &str) -> (u16, String) {
        let listener = address(self.serving.metrics().unwrap());
        exchange(
            listener,
            &format!("GET {path} HTTP/1.1\r\nhost: proton\r\n\r\n"),
        )
        .await
    }

    async fn metrics(&self) -> Told {
        let (status, text) = self.ask("/metrics").await;
        assert_eq!(status, 200);
        assert!(text.ends_with("# EOF\n"));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// The numbers as soon as this one is among them: a worker counts what it did when others may have
    /// seen it already.
    async fn metrics_with(&self, name: &str) -> Told {
        for _ in 0..1000 {
            let told = self.metrics().await;
            if told.contains_key(name) {
                return told;
            }
        }
        panic!("{name} is never told");
    }

    async fn get(&self, name: &str) -> Code {
        let name = name.to_owned();
        let got = self
            .client()
            .get_environment(pb::GetEnvironmentRequest { name })
            .await;
        got.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    async fn call_unknown(&self, path: &'static str) -> Code {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<pb::GetEnvironmentRequest, pb::GetEnvironmentResponse>::default();
        let request = tonic::Request::new(pb::GetEnvironmentRequest::default());
        grpc.unary(request, path.parse().unwrap(), codec)
            .await
            .unwrap_err()
            .code()
    }
}

fn value(told: &Told, name: &str) -> f64 {
    *told
        .get(name)
        .unwrap_or_else(|| panic!("{name} is not told: {told:#?}"))
}

#[tokio::test]
async fn calls_on_both_fronts_are_counted_by_method_and_outcome() {
    let world = World::with(&["--metrics=127.0.0.1:0"]).await;
    for _ in 0..3 {
        assert_eq!(world.get("nowhere").await, Code::NotFound);
    }
    assert_eq!(world.get("").await, Code::InvalidArgument);
    let settings = pb::GetAccountSettingsRequest::default();
    world.client().get_account_settings(settings).await.unwrap();
    for path in [
        "/proton.v1.ProtonService/GetNothing",
        "/no.such.Service/Method",
    ] {
        assert_eq!(world.call_unknown(path).await, Code::Unimplemented);
    }
    for (operation, status) in [("GetAccountSettings", 200), ("GetNothing", 400)] {
        assert_eq!(world.aws_json(operation, "", "{}").await, status);
    }
    let missing = world
        .aws_json("GetEnvironment", "", r#"{"name":"nowhere"}"#)
        .await;
    assert_eq!(missing, 400);

    let told = world.metrics().await;
    let duration = "grpc_server_call_duration_seconds_count";
    let settings = r#"grpc_method="proton.v1.ProtonService/GetAccountSettings""#;
    for (name, count) in [
        (format!("grpc_server_call_started_total{{{GET}}}"), 4.0),
        (format!(r#"{duration}{{{GET},grpc_status="NOT_FOUND"}}"#), 3.0),
        (format!(r#"{duration}{{{GET},grpc_status="INVALID_ARGUMENT"}}"#), 1.0),
        (format!(r#"{duration}{{{settings},grpc_status="OK"}}"#), 1.0),
        (format!(r#"{duration}{{grpc_method="other",grpc_status="UNIMPLEMENTED"}}"#), 2.0),
        // `nowhere` with its tag and length, three times.
        (
            format!(r#"grpc_server_call_rcvd_total_compressed_message_size_bytes_sum{{{GET},grpc_status="NOT_FOUND"}}"#),
            27.0,
        ),
        (r#"proton_grpc_refusals_total{reason="VALIDATION_EXCEPTION"}"#.to_owned(), 1.0),
        (r#"proton_grpc_refusals_total{reason="UNKNOWN_METHOD"}"#.to_owned(), 2.0),
        (r#"proton_grpc_aws_json_request_started_total{operation="other"}"#.to_owned(), 1.0),
        (
            r#"proton_grpc_aws_json_request_duration_seconds_count{operation="GetAccountSettings",code="OK"}"#.to_owned(),
            1.0,
        ),
        (
            r#"proton_grpc_aws_json_request_duration_seconds_count{operation="other",code="UnknownOperationException"}"#.to_owned(),
            1.0,
        ),
        (
            r#"proton_grpc_aws_json_request_duration_seconds_count{operation="GetEnvironment",code="ResourceNotFoundException"}"#
                .to_owned(),
            1.0,
        ),
        (
            r#"proton_grpc_upstream_call_duration_seconds_count{operation="GetEnvironment",outcome="refused"}"#.to_owned(),
            3.0,
        ),
        (r#"proton_grpc_upstream_attempts_total{operation="GetEnvironment"}"#.to_owned(), 3.0),
        (r#"proton_grpc_connections{front="grpc"}"#.to_owned(), 1.0),
    ] {
        assert_eq!(value(&told, &name), count, "{name}");
    }
    // What the upstream refused is not refused here.
    assert!(!told.keys().any(|name| name.contains("RESOURCE_NOT_FOUND")));
    world.stop().await;
}

#[tokio::test]
async fn labels_are_names_that_the_program_knows() {
    let world = World::with(&["--metrics=127.0.0.1:0"]).await;
    world.get("a-name-of-somebody").await;
    world.call_unknown("/a.strange/Method").await;
    world
        .aws_json("AStrangeOperation", "x-request-id: strange\r\n", "{}")
        .await;

    let (_, text) = world.ask("/metrics").await;
    for strange in ["somebody", "strange", "Strange"] {
        assert!(!text.contains(strange), "{text}");
    }
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    let labels: BTreeSet<_> = label
        .captures_iter(&text)
        .map(|found| found.extract::<1>().1[0])
        .collect();
    let known = [
        "code",
        "front",
        "grpc_method",
        "grpc_status",
        "kind",
        "le",
        "operation",
        "outcome",
        "reason",
        "state",
        "version",
    ];
    assert!(labels.is_subset(&known.into()), "{labels:?}");
    world.stop().await;
}

#[tokio::test]
async fn the_store_and_its_work_are_counted() {
    let world = World::with(&["--metrics=127.0.0.1:0"]).await;
    let before = world.metrics().await;
    assert!(
        !before
            .keys()
            .any(|name| name.starts_with("proton_grpc_work_attempts"))
    );

    let template = pb::CreateEnvironmentTemplateRequest {
        name: "vpc".to_owned(),
        ..Default::default()
    };
    world
        .client()
        .create_environment_template(template)
        .await
        .unwrap();
    let source = pb::S3ObjectSource {
        bucket: "nowhere".to_owned(),
        key: "vpc.tar.gz".to_owned(),
    };
    let version = pb::CreateEnvironmentTemplateVersionRequest {
        template_name: "vpc".to_owned(),
        source: Some(pb::TemplateVersionSourceInput {
            kind: Some(pb::template_version_source_input::Kind::S3(source)),
        }),
        ..Default::default()
    };
    world
        .client()
        .create_environment_template_version(version)
        .await
        .unwrap();
    let wait = pb::GetEnvironmentTemplateVersionRequest {
        template_name: "vpc".to_owned(),
        major_version: "1".to_owned(),
        minor_version: "0".to_owned(),
    };
    let states = world
        .streaming()
        .wait_until_environment_template_version_registered(wait)
        .await;
    let mut states = states.unwrap().into_inner();
    while let Ok(Some(_)) = states.message().await {}

    let done = r#"proton_grpc_work_attempts_total{kind="registration",outcome="done"}"#;
    let told = world.metrics_with(done).await;
    let commits = r#"proton_grpc_store_duration_seconds_count{operation="commit",outcome="ok"}"#;
    assert_eq!(value(&told, done), 1.0);
    assert_eq!(value(&told, commits), 3.0);
    assert!(
        value(
            &told,
            r#"proton_grpc_store_duration_seconds_count{operation="get",outcome="ok"}"#
        ) >= 1.0
    );
    assert!(value(&told, "process_resident_memory_bytes") > 1e6);
    world.stop().await;
}

#[tokio::test]
async fn probes_that_know_no_grpc_are_answered() {
    let world = World::with(&["--metrics=127.0.0.1:0"]).await;
    assert_eq!(world.ask("/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(world.ask("/readyz").await, (200, "serving\n".to_owned()));
    assert_eq!(world.ask("/").await.0, 404);
    let listener = address(world.serving.metrics().unwrap());
    let posted = exchange(
        listener,
        "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    );
    assert_eq!(posted.await.0, 405);
    let junk = exchange(listener, "\u{1}\u{2} junk\r\n\r\n").await;
    assert_eq!(junk.0, 400);
    world.stop().await;
}
