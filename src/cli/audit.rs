//! `audit`: checks the trails that `serve --audit` writes.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::audit::{
    Seal,
    verify::{Report, verify},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that nothing of a trail was changed, taken out or put in; exits with 1 if something was
    Verify(Verify),
}

#[derive(Args, Debug)]
pub struct Verify {
    /// The files of one trail, the oldest first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The key that the records are sealed with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

/// Whether the trail holds.
pub fn run(command: &Command) -> Result<bool> {
    let Command::Verify(asked) = command;
    let seal = match &asked.key {
        Some(file) => Seal::from_file(file).map_err(anyhow::Error::msg)?,
        None => Seal::Plain,
    };
    let report = verify(&asked.files, &seal).context("cannot read the audit trail")?;
    let text = match asked.json {
        true => serde_json::to_string(&report).context("a report is JSON")? + "\n",
        false => told(&report),
    };
    // Whoever closed standard output has the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(report.broken.is_none())
}

fn told(report: &Report) -> String {
    let mut text = format!("{} records", report.records);
    if let (Some(first), Some(last)) = (&report.first, &report.last) {
        let _ = write!(text, ", from {first} to {last}");
    }
    text.push('\n');
    if report.unfinished > 0 {
        let _ = writeln!(text, "{} changes without an outcome", report.unfinished);
    }
    if report.torn > 0 {
        let _ = writeln!(text, "{} writes that were cut off, set aside", report.torn);
    }
    if report.cut_off > 0 {
        let _ = writeln!(
            text,
            "{} bytes of a last line that is not whole",
            report.cut_off
        );
    }
    if let Some(hash) = &report.hash {
        let _ = writeln!(text, "newest hash {hash}");
    }
    if let Some(place) = &report.broken {
        let file = place.file.display();
        let _ = writeln!(text, "broken at {file}:{}: {}", place.line, place.why);
    }
    text
}
