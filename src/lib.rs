//! AWS Proton over gRPC, and a Proton to put behind it.

pub mod api;
pub mod facade;
