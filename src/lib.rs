//! AWS Proton over gRPC, and a Proton to put behind it.
//!
//! ```text
//!  gRPC clients ──► server ──► facade ──► aws-sdk-proton ──► any AWS-JSON Proton endpoint, or
//!                                                            └─ in process ─► control plane ──► store
//!  AWS CLI, boto3, every AWS SDK ──► AWS-JSON ──────────────────────────────►     │
//!                                                                                 └──► bundles
//! ```
//!
//! Two wings, [`facade`] and [`control_plane`], on one contract, [`api`]; between the wings is only
//! the wire, even in one process. [`server`] takes gRPC in, [`identity`] says who calls, [`telemetry`] tells
//! what happens, [`cli`] puts everything together.

pub mod api;
pub mod cli;
pub mod control_plane;
pub mod facade;
pub mod identity;
pub mod server;
pub mod telemetry;
