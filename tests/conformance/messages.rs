//! What this server reads and writes of connectrpc.conformance.v1, by the numbers of the fields. Requests are echoed as they
//! came, so no message has to be whole.

use prost::{Message, Oneof};
use prost_types::Any;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerCompatRequest {
    #[prost(bool, tag = "4")]
    pub(crate) use_tls: bool,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) client_tls_cert: Vec<u8>,
    #[prost(message, optional, tag = "7")]
    pub(crate) server_creds: Option<TlsCreds>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TlsCreds {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cert: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerCompatResponse {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(uint32, tag = "2")]
    pub(crate) port: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) pem_cert: Vec<u8>,
}

/// The first request of a call that is answered with one message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AsksForOne {
    #[prost(message, optional, tag = "1")]
    pub(crate) definition: Option<One>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct One {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<Header>,
    #[prost(oneof = "Response", tags = "2, 3")]
    pub(crate) response: Option<Response>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) trailers: Vec<Header>,
    #[prost(uint32, tag = "6")]
    pub(crate) delay_ms: u32,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Response {
    #[prost(bytes, tag = "2")]
    Data(Vec<u8>),
    #[prost(message, tag = "3")]
    Error(Error),
}

/// The first request of a call that is answered with a stream. Only conversations tell whether they take turns.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AsksForMany {
    #[prost(message, optional, tag = "1")]
    pub(crate) definition: Option<Many>,
    #[prost(bool, tag = "2")]
    pub(crate) full_duplex: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Many {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<Header>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) data: Vec<Vec<u8>>,
    #[prost(uint32, tag = "3")]
    pub(crate) delay_ms: u32,
    #[prost(message, optional, tag = "4")]
    pub(crate) error: Option<Error>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) trailers: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Error {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, optional, tag = "2")]
    pub(crate) message: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) value: Vec<String>,
}

/// Every response is this in its first field.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    #[prost(message, optional, tag = "1")]
    pub(crate) payload: Option<Payload>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Payload {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) data: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(crate) request_info: Option<RequestInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestInfo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<Header>,
    #[prost(int64, optional, tag = "2")]
    pub(crate) timeout_ms: Option<i64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) requests: Vec<Any>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Details {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}
