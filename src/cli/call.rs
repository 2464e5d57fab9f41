//! One call by name, JSON in and out: the contract's descriptors stand in for generated code.

use std::{fmt::Write as _, str::FromStr};

use anyhow::{Context, Result, bail};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::{Value, json};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::Endpoint,
};

use crate::{
    api,
    server::{health, refusal},
};

/// The package that a bare service name is looked for in, and the service of a bare method name.
const PACKAGE: &str = "proton.v1";
const SERVICE: &str = "ProtonService";

/// What `call` can be told.
#[derive(clap::Args, Debug)]
pub struct Call {
    /// A method: GetEnvironment, or ProtonStreamingService/ListEnvironments
    method: String,

    /// The request as JSON, @FILE to read it from a file, or - for standard input
    #[arg(default_value = "{}")]
    json: String,

    /// Where the server listens: a URL, or unix: and the path of a socket
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    address: String,

    /// Metadata to send along, as NAME:VALUE
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<Header>,

    /// Print errors as JSON, too
    #[arg(long = "json", id = "machine")]
    machine: bool,
}

impl Call {
    /// A call to this address, as the command line would have made it.
    pub(super) fn new(address: &str, method: &str, json: &str) -> Self {
        Self {
            method: method.to_owned(),
            json: json.to_owned(),
            address: address.to_owned(),
            headers: Vec::new(),
            machine: false,
        }
    }

    /// Makes the call and gives each response to `print`. `Ok(Err(..))` is what the server said.
    pub async fn make(&self, mut print: impl FnMut(&str)) -> Result<Result<(), Status>> {
        let method = find(&self.method)?;
        let mut request = Request::new(read(&self.json, method.input())?);
        for Header(name, value) in &self.headers {
            request.metadata_mut().append(name.clone(), value.clone());
        }
        let channel = Endpoint::from_shared(self.address.clone())
            .with_context(|| format!("--address {} is not a URL", self.address))?
            .connect()
            .await
            .with_context(|| format!("cannot connect to {}", self.address))?;
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name()).parse()?;
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await?;
        // On the wire a single response is a stream of one.
        let mut responses = match client
            .server_streaming(request, path, Dynamic(method.output()))
            .await
        {
            Ok(responses) => responses.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        loop {
            match responses.message().await {
                Ok(Some(response)) => print(&pretty(&response)?),
                Ok(None) => return Ok(Ok(())),
                Err(status) => return Ok(Err(status)),
            }
        }
    }

    /// An error as it is printed.
    pub fn describe(&self, status: &Status) -> String {
        let details = details(status);
        if self.machine {
            let error = json!({"code": refusal::name(status.code()), "message": status.message(), "details": details});
            return error.to_string();
        }
        let mut text = format!("{}: {}", refusal::name(status.code()), status.message());
        for detail in details {
            let _ = write!(text, "\n{detail:#}");
        }
        text
    }
}

/// The exit code that tells which error it was.
pub fn exit_code(status: &Status) -> u8 {
    64 + u8::try_from(i32::from(status.code())).expect("codes end at 16")
}

#[derive(Clone, Debug)]
struct Header(AsciiMetadataKey, AsciiMetadataValue);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("a header is NAME:VALUE")?;
        let name = name
            .trim()
            .to_lowercase()
            .parse()
            .map_err(|_| format!("{name:?} is not a header's name"))?;
        let value = value
            .trim()
            .parse()
            .map_err(|_| format!("{value:?} is not a header's value"))?;
        Ok(Self(name, value))
    }
}

/// All that a server of ours can be asked, and what its errors hold.
fn descriptors() -> DescriptorPool {
    let mut pool = api::descriptor_pool().clone();
    for set in [health::DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET] {
        pool.decode_file_descriptor_set(set)
            .expect("the build wrote valid descriptors");
    }
    pool
}

fn find(method: &str) -> Result<MethodDescriptor> {
    let (service, name) = method
        .trim_start_matches('/')
        .rsplit_once('/')
        .unwrap_or((SERVICE, method));
    let service = match service.contains('.') {
        true => service.to_owned(),
        false => format!("{PACKAGE}.{service}"),
    };
    let service = descriptors()
        .get_service_by_name(&service)
        .with_context(|| format!("there is no service {service}"))?;
    let found = service.methods().find(|method| method.name() == name);
    found.with_context(|| format!("{} has no method {name}", service.full_name()))
}

fn read(source: &str, of: MessageDescriptor) -> Result<DynamicMessage> {
    let text = match source.strip_prefix('@') {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?
        }
        None if source == "-" => {
            std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
        }
        None => source.to_owned(),
    };
    let name = of.name().to_owned();
    let mut json = serde_json::Deserializer::from_str(&text);
    let message = DynamicMessage::deserialize(of, &mut json)
        .with_context(|| format!("the request is not a {name}"))?;
    if json.end().is_err() {
        bail!("there is more after the request");
    }
    Ok(message)
}

fn pretty(message: &DynamicMessage) -> Result<String> {
    Ok(serde_json::to_string_pretty(&value(message)?)?)
}

fn value(message: &DynamicMessage) -> Result<Value> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// The status's details; those of types that we do not know are left out.
fn details(status: &Status) -> Vec<Value> {
    let decoded = tonic_types::pb::Status::decode(status.details()).unwrap_or_default();
    let pool = descriptors();
    let detail = |any: prost_types::Any| {
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        let message =
            DynamicMessage::decode(pool.get_message_by_name(name)?, any.value.as_slice()).ok()?;
        let mut fields = serde_json::Map::from_iter([("@type".to_owned(), json!(any.type_url))]);
        if let Value::Object(own) = value(&message).ok()? {
            fields.extend(own);
        }
        Some(Value::Object(fields))
    };
    decoded.details.into_iter().filter_map(detail).collect()
}

/// A codec for messages that are known by their descriptors only.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = Dynamic;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> Dynamic {
        Dynamic(self.0.clone())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, bytes: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message
            .encode(bytes)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use clap::{FromArgMatches as _, error::ErrorKind};

    use super::*;
    use crate::{
        identity::{Identities, Place},
        server::{Bound, Health, Listen, Server, Services},
        telemetry::Telemetry,
    };

    fn parse(line: &[&str]) -> Result<Call, clap::Error> {
        let command = <Call as clap::Args>::augment_args(clap::Command::new("call"));
        let line = std::iter::once("call").chain(line.iter().copied());
        Call::from_arg_matches(&command.try_get_matches_from(line)?)
    }

    /// What is printed, or what the server said instead.
    async fn call(method: &str, json: &str) -> Result<Result<Vec<Value>, (Call, Status)>> {
        let listen = Listen::Tcp("127.0.0.1:0".parse()?);
        let bound = Bound::to(&listen, 0o600, 1)?;
        let address = format!("http://{}", bound.listen());
        let place = Place {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let _server = Server::start(
            bound,
            Health::default(),
            Identities::nobody_asks(place),
            Telemetry::default(),
            Services::default,
        )?;
        let call = parse(&[
            method,
            json,
            "--address",
            &address,
            "--json",
            "--header",
            "x-request-id: 7",
        ])?;
        let mut printed = Vec::new();
        let said = call
            .make(|response| printed.push(serde_json::from_str(response).unwrap()))
            .await?;
        Ok(match said {
            Ok(()) => Ok(printed),
            Err(status) => Err((call, status)),
        })
    }

    #[tokio::test]
    async fn a_response_is_json() {
        let printed = call("grpc.health.v1.Health/Check", "{}")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(printed, [json!({"status": "NOT_SERVING"})]);
    }

    #[tokio::test]
    async fn a_bare_method_is_one_of_the_proton_service_and_errors_tell_all() {
        let (call, status) = call("GetEnvironment", r#"{"name": "prod"}"#)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(exit_code(&status), 76);
        let told: Value = serde_json::from_str(&call.describe(&status)).unwrap();
        assert_eq!(told["code"], "UNIMPLEMENTED");
        assert_eq!(
            told["details"][0]["metadata"]["operation"],
            "GetEnvironment"
        );
        assert_eq!(told["details"][1]["requestId"], "7");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_an_error_that_says_why() {
        for (method, json, said) in [
            ("Nope", "{}", "no method Nope"),
            (
                "proton.v2.ProtonService/GetEnvironment",
                "{}",
                "no service proton.v2.ProtonService",
            ),
            (
                "GetEnvironment",
                r#"{"nme": ""}"#,
                "not a GetEnvironmentRequest",
            ),
            ("GetEnvironment", "{} {}", "more after the request"),
            ("GetEnvironment", "@/nowhere", "cannot read /nowhere"),
        ] {
            let error = call(method, json).await.unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }

    #[test]
    fn a_header_needs_a_name_and_a_value() {
        for header in ["x-request-id", "sp ace: x", "x-y: \u{7}"] {
            assert_eq!(
                parse(&["M", "--header", header]).unwrap_err().kind(),
                ErrorKind::ValueValidation,
                "{header}"
            );
        }
    }
}
