//! The command line: its subcommands, and the settings of those that serve.

pub mod audit;
pub mod bundle;
pub mod call;
pub mod config;
pub mod policy;
pub mod quickstart;
pub mod serve;
pub mod store;
