//! The integration tests, one binary, a file a theme.
//!
//! `descriptors` and `operations` are the tests' own reading of the contract: slow, by reflection,
//! and independent of the code that the generator emits. `stack` is a control plane behind the
//! real SDK, in memory of this process.

mod account;
mod contract;
mod conversion;
mod descriptors;
mod environment_account_connection;
mod environment_template;
mod facade_deadlines;
mod facade_errors;
mod facade_lossless;
mod facade_retries;
mod facade_signing;
mod facade_streaming;
mod facade_tokens;
mod facade_transport;
mod facade_world;
mod golden;
mod house;
mod operations;
mod redaction;
mod registration;
mod repository;
mod sdk;
mod service_config;
mod service_sync;
mod service_template;
mod stack;
mod tags;
mod template_sync;
mod validation;
mod wire;
