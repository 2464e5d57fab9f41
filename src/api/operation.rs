//! An operation is a type: its name, request, response, and what may happen when it is repeated.

use prost::{Message, Name};
use serde::{Serialize, de::DeserializeOwned};

use super::{Validate, pb};

/// What a repeat of the same call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It only reads.
    Read,
    /// It changes things once for each client token.
    Token,
    /// A repeat leaves the same state, though it may be answered differently.
    Idempotent,
    /// A repeat may do the work again.
    Unsafe,
}

/// What there is to know of an operation without its types.
#[derive(Debug)]
pub struct Facts {
    /// The name in the Proton API and in `ProtonService`.
    pub name: &'static str,
    pub class: Class,
    /// The modelled exceptions beside the four that every operation has.
    pub declared: &'static [&'static str],
    /// What the operation is about, such as `EnvironmentTemplate`.
    pub resource: &'static str,
}

/// An operation of the Proton API.
pub trait Operation: Send + Sync + 'static {
    type Request: Message + Name + Default + Validate + DeserializeOwned + 'static;
    type Response: Message + Default + Serialize + 'static;
    const FACTS: &'static Facts;

    /// Which resource the request is about: its name, ARN or id, below its parents, joined by `/`.
    fn resource_name(request: &Self::Request) -> String;

    /// Where the request keeps its idempotency token, if the operation has one.
    fn client_token(_request: &mut Self::Request) -> Option<&mut Option<String>> {
        None
    }
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// The facts of the operation of this name.
pub fn find(name: &str) -> Option<&'static Facts> {
    // The contract's order is not alphabetical; a call looks an operation up at most once.
    ALL.into_iter().find(|facts| facts.name == name)
}
