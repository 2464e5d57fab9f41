//! From gRPC through the facade and the SDK to the wire and back: nothing is lost or added.

use std::{
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use proton_grpc::{
    api::pb::proton_service_server::ProtonServiceServer,
    facade::{
        Ambient, Facade, Settings, Upstream,
        upstream::{Answer, Endpoint},
    },
};
use serde_json::{Value as Json, json};
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{
    descriptors::{json, request, response, samples},
    operations,
};

/// Arbitrary messages of each operation, beside those with every member.
const ARBITRARY: usize = 6;

#[tokio::test]
async fn every_request_arrives_as_it_was_meant() {
    let wire = Wire::new();
    for operation in operations::ALL {
        let name = operation.facts.name;
        let answer = json::write(&samples::full(&response(name), 0));
        for sample in samples_of(&request(name)) {
            let mut expected = json::write(&sample);
            wire.call(name, &sample, &answer).await.unwrap();
            let (target, body) = wire.received();
            // The SDK makes a token where there is none.
            if let (None, Some(token)) = (expected.get("clientToken"), body.get("clientToken")) {
                expected["clientToken"] = token.clone();
            }
            assert_eq!(target, format!("AwsProton20200720.{name}"));
            assert_eq!(body, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn every_response_arrives_as_it_was_meant() {
    let wire = Wire::new();
    for operation in operations::ALL {
        let name = operation.facts.name;
        let asked = samples::full(&request(name), 0);
        for sample in samples_of(&response(name)) {
            let found = wire
                .call(name, &asked, &json::write(&sample))
                .await
                .unwrap();
            assert_eq!(
                found.to_string(),
                samples::travelled(&sample).to_string(),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn an_empty_list_that_is_kept_apart_reaches_the_wire() {
    let wire = Wire::new();
    for (operation, field) in [
        ("NotifyResourceDeploymentStatusChange", "outputs"),
        (
            "UpdateServiceTemplateVersion",
            "supported_component_sources",
        ),
    ] {
        let field = request(operation).get_field_by_name(field).unwrap();
        let mut sample = samples::full(&request(operation), 0);
        let list = field.kind().as_message().unwrap().clone();
        sample.set_field(&field, Value::Message(DynamicMessage::new(list)));
        let answer = json::write(&samples::full(&response(operation), 0));
        wire.call(operation, &sample, &answer).await.unwrap();
        assert_eq!(
            wire.received().1[field.json_name()],
            json!([]),
            "{operation}"
        );
        sample.clear_field(&field);
        wire.call(operation, &sample, &answer).await.unwrap();
        assert_eq!(
            wire.received().1.get(field.json_name()),
            None,
            "{operation}"
        );
    }
}

#[tokio::test]
async fn a_value_newer_than_the_contract_comes_back_as_unspecified() {
    let wire = Wire::new();
    let mut answer = json::write(&samples::full(&response("GetService"), 0));
    answer["service"]["status"] = json!("NEWER_THAN_THE_CONTRACT");
    let found = wire
        .call(
            "GetService",
            &samples::full(&request("GetService"), 0),
            &answer,
        )
        .await
        .unwrap();
    let service = found.get_field_by_name("service").unwrap().into_owned();
    let status = service
        .as_message()
        .unwrap()
        .get_field_by_name("status")
        .unwrap()
        .into_owned();
    assert_eq!(status, Value::EnumNumber(0));
}

fn samples_of(message: &MessageDescriptor) -> Vec<DynamicMessage> {
    let mut runner = TestRunner::default();
    let strategy = samples::arbitrary(message);
    let full = (0..samples::VARIANTS).map(|variant| samples::full(message, variant));
    let arbitrary = (0..ARBITRARY).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    full.chain(arbitrary).collect()
}

/// The facade with an upstream that keeps what it was asked and answers what it was told.
struct Wire {
    upstream: Arc<Canned>,
    service: ProtonServiceServer<Facade>,
}

impl Wire {
    fn new() -> Self {
        let upstream = Arc::new(Canned::default());
        let ambient = Ambient {
            request_id: Arc::new(|| "a-request".to_owned()),
            jitter: Arc::new(|limit| limit),
        };
        let facade = Facade::new(
            Upstream::embedded(upstream.clone(), "us-east-1"),
            Settings::default(),
            ambient,
        );
        Self {
            upstream,
            service: ProtonServiceServer::new(facade),
        }
    }

    /// Calls the operation over gRPC while the upstream answers with this.
    async fn call(
        &self,
        operation: &str,
        request: &DynamicMessage,
        answer: &Json,
    ) -> Result<DynamicMessage, Status> {
        *self.upstream.answer.lock().unwrap() = answer.to_string();
        let path = format!("/proton.v1.ProtonService/{operation}")
            .parse()
            .unwrap();
        let mut client = Grpc::new(self.service.clone());
        let bytes = client
            .unary(tonic::Request::new(request.encode_to_vec()), path, Raw)
            .await?;
        Ok(DynamicMessage::decode(response(operation), bytes.into_inner().as_slice()).unwrap())
    }

    /// The target and the body of the last request.
    fn received(&self) -> (String, Json) {
        let received = self
            .upstream
            .received
            .lock()
            .unwrap()
            .take()
            .expect("a call reached the upstream");
        let target = received.headers()["x-amz-target"]
            .to_str()
            .unwrap()
            .to_owned();
        (target, serde_json::from_slice(received.body()).unwrap())
    }
}

#[derive(Default)]
struct Canned {
    answer: Mutex<String>,
    received: Mutex<Option<http::Request<Bytes>>>,
}

impl Endpoint for Canned {
    fn answer(&self, request: http::Request<Bytes>) -> Answer {
        *self.received.lock().unwrap() = Some(request);
        let body = Bytes::from(self.answer.lock().unwrap().clone());
        Box::pin(ready(http::Response::new(body)))
    }
}

/// Messages as the bytes that they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
