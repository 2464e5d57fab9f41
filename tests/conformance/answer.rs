//! What the suite's service answers: what the first request of a call defines.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message as _;
use prost_types::Any;
use tokio::{sync::mpsc, time::sleep};
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataMap};

use crate::messages::{
    Answer, AsksForMany, AsksForOne, Details, Error, Header, Many, Payload, RequestInfo,
    Response as Of,
};

const PACKAGE: &str = "type.googleapis.com/connectrpc.conformance.v1";

#[derive(Clone, Copy)]
pub(crate) struct Method {
    request: &'static str,
    /// Whether all requests are read before there is an answer.
    listens: bool,
    /// Whether it is answered with a stream.
    many: bool,
}

impl Method {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (request, listens, many) = match name {
            "Unary" => ("UnaryRequest", false, false),
            "IdempotentUnary" => ("IdempotentUnaryRequest", false, false),
            "ServerStream" => ("ServerStreamRequest", false, true),
            "ClientStream" => ("ClientStreamRequest", true, false),
            "BidiStream" => ("BidiStreamRequest", true, true),
            _ => return None,
        };
        Some(Self {
            request,
            listens,
            many,
        })
    }

    /// What the first request defines, and whether requests and responses take turns.
    fn defined(self, first: &Bytes) -> Result<(Many, bool), Status> {
        let broken = |error: prost::DecodeError| Status::internal(error.to_string());
        if self.many {
            let asked = AsksForMany::decode(first.clone()).map_err(broken)?;
            return Ok((
                asked.definition.unwrap_or_default(),
                self.listens && asked.full_duplex,
            ));
        }
        let one = AsksForOne::decode(first.clone())
            .map_err(broken)?
            .definition;
        let one = one.unwrap_or_default();
        let (data, error) = match one.response {
            Some(Of::Error(error)) => (Vec::new(), Some(error)),
            Some(Of::Data(data)) => (vec![data], None),
            None => (vec![Vec::new()], None),
        };
        let many = Many {
            headers: one.headers,
            data,
            delay_ms: one.delay_ms,
            error,
            trailers: one.trailers,
        };
        Ok((many, false))
    }
}

type Sent = Result<Vec<u8>, Status>;
type Answers = Pin<Box<dyn Stream<Item = Sent> + Send>>;

pub(crate) async fn answer(
    method: Method,
    request: Request<Streaming<Bytes>>,
) -> Result<Response<Answers>, Status> {
    let (metadata, _, mut requests) = request.into_parts();
    let first = requests.message().await?;
    let (definition, in_turns) = match &first {
        Some(first) => method.defined(first)?,
        None if method.many => Default::default(),
        None => method.defined(&Bytes::new())?,
    };
    let headers = map(&definition.headers);
    let mut call = Call {
        method,
        seen: seen(metadata.into_headers()),
        definition,
        sent: 0,
    };
    call.seen
        .requests
        .extend(first.map(|first| call.any(first)));
    let (sender, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let end = match call.converse(requests, in_turns, &sender).await {
            Ok(()) => call.end(),
            Err(status) => status,
        };
        // A status of OK ends a stream as well, and brings its trailers.
        let _ = sender.send(Err(end)).await;
    });
    let answers = stream::unfold(answers, async |mut answers| {
        answers.recv().await.map(|answer| (answer, answers))
    });
    let mut response = Response::new(answers.boxed() as Answers);
    *response.metadata_mut() = MetadataMap::from_headers(headers);
    Ok(response)
}

struct Call {
    method: Method,
    /// What is to be told of the requests since the last answer.
    seen: RequestInfo,
    definition: Many,
    sent: usize,
}

impl Call {
    async fn converse(
        &mut self,
        mut requests: Streaming<Bytes>,
        in_turns: bool,
        sender: &mpsc::Sender<Sent>,
    ) -> Result<(), Status> {
        while in_turns && self.sent < self.definition.data.len() {
            self.say(true, sender).await;
            match requests.message().await? {
                Some(request) => self.seen.requests.push(self.any(request)),
                None => break,
            }
        }
        if !in_turns && self.method.listens {
            while let Some(request) = requests.message().await? {
                self.seen.requests.push(self.any(request));
            }
        }
        while self.sent < self.definition.data.len() {
            self.say(self.sent == 0, sender).await;
        }
        if self.definition.error.is_some() && self.definition.data.is_empty() {
            self.pause().await;
        }
        Ok(())
    }

    async fn say(&mut self, with_requests: bool, sender: &mpsc::Sender<Sent>) {
        self.pause().await;
        let payload = Payload {
            data: std::mem::take(&mut self.definition.data[self.sent]),
            request_info: with_requests.then(|| std::mem::take(&mut self.seen)),
        };
        self.sent += 1;
        let answer = Answer {
            payload: Some(payload),
        };
        // Nobody may listen any more.
        let _ = sender.send(Ok(answer.encode_to_vec())).await;
    }

    async fn pause(&self) {
        sleep(Duration::from_millis(self.definition.delay_ms.into())).await;
    }

    /// The status that the call ends with, and its trailers.
    fn end(&mut self) -> Status {
        let trailers = MetadataMap::from_headers(map(&self.definition.trailers));
        let Some(Error {
            code,
            message,
            mut details,
        }) = self.definition.error.take()
        else {
            return Status::with_metadata(Code::Ok, "", trailers);
        };
        if self.sent == 0 {
            details.push(Any {
                type_url: format!("{PACKAGE}.ConformancePayload.RequestInfo"),
                value: self.seen.encode_to_vec(),
            });
        }
        let message = message.unwrap_or_default();
        let told = Details {
            code,
            message: message.clone(),
            details,
        };
        let told = told.encode_to_vec().into();
        Status::with_details_and_metadata(Code::from_i32(code), message, told, trailers)
    }

    fn any(&self, request: Bytes) -> Any {
        Any {
            type_url: format!("{PACKAGE}.{}", self.method.request),
            value: request.into(),
        }
    }
}

fn seen(headers: HeaderMap) -> RequestInfo {
    let timeout_ms = headers
        .get("grpc-timeout")
        .and_then(|value| milliseconds(value.to_str().ok()?));
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = |name: &HeaderName| Header {
        name: name.to_string(),
        value: headers.get_all(name).iter().map(text).collect(),
    };
    RequestInfo {
        headers: headers.keys().map(header).collect(),
        timeout_ms,
        requests: Vec::new(),
    }
}

fn milliseconds(timeout: &str) -> Option<i64> {
    let (count, unit) = timeout.split_at(timeout.len().checked_sub(1)?);
    let count: i64 = count.parse().ok()?;
    Some(match unit {
        "H" => count * 60 * 60 * 1000,
        "M" => count * 60 * 1000,
        "S" => count * 1000,
        "m" => count,
        "u" => count / 1000,
        _ => count / 1_000_000,
    })
}

fn map(headers: &[Header]) -> HeaderMap {
    let pairs = headers.iter().flat_map(|header| {
        let name: HeaderName = header.name.parse().expect("the suite names headers");
        let value = |value: &String| value.parse().expect("the suite's values are text");
        header
            .value
            .iter()
            .map(move |text| (name.clone(), value(text)))
    });
    let mut map = HeaderMap::new();
    pairs.for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}
