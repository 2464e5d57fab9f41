//! The typed side of every operation behind one face, for tests that go through all of them.

use std::fmt::Debug;

use prost::Message;
use proton_grpc::api::{
    Error, Operation, Validate as _, aws_json,
    operation::{self, Facts},
};

use crate::{descriptors, every_operation::for_every_operation};

/// An operation whose messages go in and out as Protobuf bytes.
pub(crate) struct Typed {
    pub(crate) facts: &'static Facts,
    /// A request from AWS-JSON.
    pub(crate) read: fn(&[u8]) -> Result<Vec<u8>, Error>,
    /// A response to AWS-JSON.
    pub(crate) write: fn(&[u8]) -> String,
    /// The paths and rule ids that a request breaks.
    pub(crate) violations: fn(&[u8]) -> Vec<(String, String)>,
    /// The resource that a request is about.
    pub(crate) resource_name: fn(&[u8]) -> String,
    pub(crate) debug_request: fn(&[u8]) -> String,
    pub(crate) debug_response: fn(&[u8]) -> String,
}

impl Typed {
    const fn of<O>() -> Self
    where
        O: Operation<Request: Debug, Response: Debug>,
    {
        Self {
            facts: O::FACTS,
            read: |body| Ok(aws_json::read::<O::Request>(body)?.encode_to_vec()),
            write: |bytes| {
                String::from_utf8(aws_json::write(&decode::<O::Response>(bytes))).unwrap()
            },
            violations: |bytes| {
                let found = decode::<O::Request>(bytes).violations();
                found
                    .iter()
                    .map(|found| (found.field.clone(), found.rule.to_owned()))
                    .collect()
            },
            resource_name: |bytes| O::resource_name(&decode::<O::Request>(bytes)),
            debug_request: |bytes| format!("{:?}", decode::<O::Request>(bytes)),
            debug_response: |bytes| format!("{:?}", decode::<O::Response>(bytes)),
        }
    }
}

fn decode<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).expect("bytes of the same message")
}

macro_rules! typed {
    ($($name:ident $method:ident)*) => {
        pub(crate) const ALL: &[Typed] = &[$(Typed::of::<operation::$name>()),*];
    };
}

for_every_operation!(typed);

#[test]
fn every_operation_is_tested() {
    let tested: Vec<_> = ALL.iter().map(|operation| operation.facts.name).collect();
    let table: Vec<_> = operation::ALL.iter().map(|facts| facts.name).collect();
    let contract: Vec<_> = descriptors::service("ProtonService")
        .methods()
        .map(|method| method.name().to_owned())
        .collect();
    assert_eq!(tested, table);
    assert_eq!(table, contract);
}
