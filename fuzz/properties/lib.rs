//! What must hold of every parser that meets strangers' bytes, whatever the bytes are.
//!
//! Each function here takes bytes and panics where the product breaks its word: more than that it does not panic, that is
//! round trips, limits, and texts that hold no secret. libFuzzer looks for such bytes (`fuzz_targets`); what it found
//! worth keeping (`corpus`) is replayed by the ordinary tests, which include this file.

mod archive;
mod bundle;
mod calls;
mod cloudformation;
mod identity;
mod page_token;
mod policy;
mod spec;
mod template;

pub use archive::archive;
pub use bundle::{manifest, schema};
pub use calls::{aws_json, grpc_request};
pub use cloudformation::cloudformation;
pub use identity::{caller, sigv4_header};
pub use page_token::page_token;
pub use policy::policy;
pub use spec::spec;
pub use template::template;

/// The first byte, which chooses, and the rest.
fn choice(bytes: &[u8]) -> Option<(usize, &[u8])> {
    bytes
        .split_first()
        .map(|(first, rest)| (usize::from(*first), rest))
}
