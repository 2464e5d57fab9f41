//! AWS Proton over gRPC, and a Proton to put behind it.

pub mod api;
pub mod call;
pub mod config;
pub mod control_plane;
pub mod facade;
pub mod serve;
pub mod server;
pub mod telemetry;
