//! What is recorded of who does what.

use std::path::PathBuf;

use clap::Args;

use crate::audit::{self, Seal};

#[derive(Args, Clone, Debug)]
pub struct Audit {
    /// Record every change and every refused caller in this file, before the answer; without it changes are refused
    #[arg(long = "audit", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// A secret to seal the records of --audit with, so that nobody else can make them
    #[arg(long = "audit-key", value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Record reads, too
    #[arg(long = "audit-reads", value_name = "true|false", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub reads: bool,
}

impl Audit {
    pub(super) fn check(&self) -> Result<(), String> {
        let named = [
            ("audit-key", self.key.is_some()),
            ("audit-reads", self.reads),
        ];
        match named.iter().find(|(_, given)| *given) {
            Some((name, _)) if self.file.is_none() => Err(format!("--{name} needs --audit")),
            _ => Ok(()),
        }
    }

    /// What the trail is opened with, if there is one.
    pub fn settings(&self) -> Result<Option<audit::Settings>, String> {
        let Some(file) = self.file.clone() else {
            return Ok(None);
        };
        let seal = match &self.key {
            Some(key) => Seal::from_file(key)?,
            None => Seal::Plain,
        };
        Ok(Some(audit::Settings {
            file,
            seal,
            reads: self.reads,
        }))
    }
}
