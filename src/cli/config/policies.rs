//! What says what callers may do.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Clone, Debug)]
pub struct Policies {
    /// Cedar policies that say what callers may do: a file, or a directory of *.cedar files. What none of them permits is
    /// refused
    #[arg(long, value_name = "DIR|FILE")]
    pub policies: Option<PathBuf>,
}
