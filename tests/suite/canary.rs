//! A canary in every sensitive member of every message, and in every secret: the whole process, logging all
//! that it can, must tell it to nobody but the caller.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use aws_smithy_types::base64;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use proton_grpc::audit::{Seal, verify::verify};
use serde_json::json;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::{
    descriptors::{self, is_redacted, json as aws_json, rules::Rules, samples},
    facade_errors::operations,
    facade_world::{Reply, Stub, answer, ok},
    identity::unary,
};

const CANARY: &str = "CanaryThatMustNotSing";

/// The server's process, killed at the end.
struct Process {
    child: Child,
    directory: TempDir,
    grpc: String,
    aws_json: Option<String>,
}

impl Process {
    fn start(directory: TempDir, flags: &[&str]) -> Self {
        let path = |name: &str| directory.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_proton-grpc"))
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--log=trace",
                "--workers=1",
            ])
            .args(["--retry-owner=client", "--audit-reads"])
            .arg(format!("--audit={}", path("audit").display()))
            .arg(format!("--data-dir={}", path("data").display()))
            .args(flags)
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", CANARY)
            .env("AWS_SESSION_TOKEN", CANARY)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = |front: &str| {
            let line = said.next().unwrap().unwrap();
            let address = line.strip_prefix(&format!("{front} listening on "));
            format!("http://{}", address.expect("it says where it listens"))
        };
        let grpc = heard("grpc");
        let has_aws_json = !flags.contains(&"--aws-json=off");
        let aws_json = has_aws_json.then(|| heard("aws-json"));
        Self {
            child,
            directory,
            grpc,
            aws_json,
        }
    }

    fn channel(&self) -> Channel {
        Channel::from_shared(self.grpc.clone())
            .unwrap()
            .connect_lazy()
    }

    /// Ends the process and looks through everything that it has told.
    #[track_caller]
    fn kept_silent(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let file = self.directory.path().join("audit");
        let report = verify(std::slice::from_ref(&file), &Seal::Plain).unwrap();
        assert_eq!(report.broken, None);
        assert!(report.records > 100, "{report:?}");
        for name in ["log", "audit"] {
            let mut told = Vec::new();
            let mut file = fs::File::open(self.directory.path().join(name)).unwrap();
            file.read_to_end(&mut told).unwrap();
            assert!(told.len() > 1 << 14, "{name} has nothing to look through");
            let told = String::from_utf8_lossy(&told);
            for song in songs() {
                let line = told.lines().find(|line| line.contains(&song));
                assert_eq!(line, None, "{name} has {song}");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The canary in the forms that it may be told in: plain, as the bytes of a list, and within any base64.
fn songs() -> Vec<String> {
    let bytes: Vec<String> = CANARY.bytes().map(|byte| byte.to_string()).collect();
    let packed = (0..3).map(|offset| {
        let text = base64::encode(format!("{}{CANARY}", "-".repeat(offset)));
        // The first and the last group hold something else, too.
        text[4..text.len() - 4].to_owned()
    });
    [CANARY.to_owned(), bytes.join(", ")]
        .into_iter()
        .chain(packed)
        .collect()
}

/// A valid message, with the canary in every sensitive member.
fn message(descriptor: &prost_reflect::MessageDescriptor, variant: usize) -> DynamicMessage {
    let text = |field: &FieldDescriptor, rules: &Rules| match is_redacted(field) {
        true => CANARY.to_owned(),
        false => samples::text(field, rules),
    };
    let mut message = samples::full_with(descriptor, variant, &text);
    hide(&mut message, false);
    message
}

/// Puts the canary into every text below a sensitive member that is a message itself.
fn hide(message: &mut DynamicMessage, is_sensitive: bool) {
    for field in message.descriptor().fields().collect::<Vec<_>>() {
        if !message.has_field(&field) {
            continue;
        }
        let below = is_sensitive || is_redacted(&field);
        each(message.get_field_mut(&field), &mut |value| match value {
            Value::String(text) if below && matches!(field.kind(), Kind::String) => {
                CANARY.clone_into(text);
            }
            Value::Message(inner) => hide(inner, below),
            _ => {}
        });
    }
}

fn each(value: &mut Value, then: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::List(list) => list.iter_mut().for_each(then),
        value => then(value),
    }
}

/// The same with members that break rules: texts that are too long, beside the canary.
fn invalid(mut message: DynamicMessage) -> DynamicMessage {
    let texts: Vec<_> = message.descriptor().fields().collect();
    for field in texts {
        if matches!(field.kind(), Kind::String) && !field.is_list() {
            let text = match is_redacted(&field) {
                true => CANARY.repeat(10_000),
                false => "-".repeat(3000),
            };
            message.set_field(&field, Value::String(text));
        }
    }
    message
}

#[tokio::test]
async fn what_an_upstream_and_callers_say_in_confidence_stays_there() {
    let stub = Arc::new(Stub::default());
    let upstream = format!("--upstream=http://{}", stub.listen().await);
    stub.answers(ok(&json!({})));
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory, &[&upstream, "--aws-json=off"]);
    let channel = process.channel();
    let headers = [("authorization", "Bearer CanaryThatMustNotSing")];
    let mut sung = 0;
    for operation in operations() {
        let response = aws_json::write(&message(&descriptors::response(&operation), 0));
        let said = json!({ "__type": "ConflictException", "message": CANARY });
        let refusals = [
            answer(400, said.to_string()),
            answer(500, CANARY),
            answer(200, format!("{{\"{CANARY}")),
        ];
        let replies = [ok(&response)]
            .into_iter()
            .chain(refusals.map(Reply::Answer));
        for (variant, reply) in replies.enumerate() {
            stub.answers(reply);
            let request = message(&descriptors::request(&operation), variant);
            let answer = unary(&channel, &operation, request, &headers).await;
            let told = match answer {
                Ok(response) => response.to_string(),
                Err(status) => status.message().to_owned(),
            };
            sung += usize::from(told.contains(CANARY));
        }
        let request = invalid(message(&descriptors::request(&operation), 0));
        let _ = unary(&channel, &operation, request, &headers).await;
    }
    assert!(sung > 87, "callers are told: {sung}");
    stub.seen();
    process.kept_silent();
}

#[tokio::test]
async fn what_callers_tell_the_control_plane_in_confidence_stays_there() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory, &["--aws-json=127.0.0.1:0"]);
    let channel = process.channel();
    let headers = [("authorization", "Bearer CanaryThatMustNotSing")];
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Full<bytes::Bytes>>();
    let scope = "AWS4-HMAC-SHA256 Credential=AKID/20250101/us-east-1/proton/aws4_request";
    let signature = format!("{scope}, SignedHeaders=host, Signature={CANARY}");
    for operation in operations() {
        let good = message(&descriptors::request(&operation), 0);
        let broken = format!("{{\"{CANARY}\": \"{CANARY}\", ");
        let bodies = [
            aws_json::write(&good).to_string(),
            aws_json::write(&invalid(good.clone())).to_string(),
            broken,
        ];
        for body in bodies {
            let request = http::Request::post(process.aws_json.as_deref().unwrap())
                .header("x-amz-target", format!("AwsProton20200720.{operation}"))
                .header("authorization", &signature)
                .header("x-amz-security-token", CANARY)
                .body(body.into())
                .unwrap();
            http.request(request).await.unwrap();
        }
        for request in [good.clone(), invalid(good)] {
            let _ = unary(&channel, &operation, request, &headers).await;
        }
    }
    process.kept_silent();
}
