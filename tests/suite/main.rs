//! The integration tests, one binary, a file a theme.
//!
//! `descriptors` and `operations` are the tests' own reading of the contract: slow, by reflection,
//! and independent of the code that the generator emits.

mod contract;
mod conversion;
mod descriptors;
mod golden;
mod house;
mod operations;
mod redaction;
mod sdk;
mod validation;
