//! The integration tests, one binary, a file a theme.
//!
//! `descriptors` and `operations` are the tests' own reading of the contract: slow, by reflection,
//! and independent of the code that the generator emits. `stack` is a control plane behind the
//! real SDK, in memory of this process.

mod account;
mod audit;
mod canary;
mod component;
mod contract;
mod conversion;
mod descriptors;
mod engine;
mod environment;
mod environment_account_connection;
mod environment_template;
mod events;
mod every_operation;
mod facade_deadlines;
mod facade_errors;
mod facade_lossless;
mod facade_retries;
mod facade_signing;
mod facade_streaming;
mod facade_tokens;
mod facade_transport;
mod facade_world;
mod fuzzing;
mod golden;
mod house;
mod identity;
mod machine;
mod notify;
mod operations;
mod postgres;
mod preview;
mod preview_truth;
mod reads;
mod redaction;
mod registration;
mod repository;
mod roles;
mod sdk;
mod service;
mod service_config;
mod service_instance;
mod service_pipeline;
mod service_sync;
mod service_template;
mod service_world;
mod stack;
mod summary;
mod tags;
mod telemetry;
mod template_sync;
mod validation;
mod waits;
mod webhook;
mod wire;
