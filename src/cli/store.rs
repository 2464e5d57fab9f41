//! `store`: writes everything that the control plane keeps as lines of JSON, and fills an empty store with them.

use std::{
    ffi::OsString,
    io::{self, BufWriter},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::{config::StoreUrl, serve};
use crate::control_plane::store::{Store, Totals};

/// How many lines are worth a word.
const WORD_EVERY: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write everything of one moment to standard output
    ///
    /// A data directory must not be in use; a database may be. The lines hold all there is, also what is sensitive.
    Export(Kept),
    /// Read an export from standard input into an empty store, whole or not at all
    Import(Kept),
}

/// Which store; as for serve, also by its variables.
#[derive(Args, Debug)]
pub struct Kept {
    /// The data directory of the built-in control plane [default: proton-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The PostgreSQL database of the built-in control plane
    #[arg(long, value_name = "postgres://URL", conflicts_with = "data_dir")]
    store: Option<StoreUrl>,
}

impl Kept {
    async fn open(self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Store> {
        let url = match (self.store, &self.data_dir) {
            (None, None) => variable("PROTON_GRPC_STORE")
                .map(|url| url.to_string_lossy().parse())
                .transpose()?,
            (store, _) => store,
        };
        match url {
            Some(url) => serve::connect(&url).await,
            None => {
                let named = self.data_dir;
                let directory =
                    named.or_else(|| variable("PROTON_GRPC_DATA_DIR").map(PathBuf::from));
                serve::open_directory(&directory.unwrap_or_else(|| "proton-data".into()))
            }
        }
    }
}

pub async fn run(command: Command, variable: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    let (store, totals) = match command {
        Command::Export(kept) => {
            let store = kept.open(variable).await?;
            let out = BufWriter::new(io::stdout().lock());
            let totals = store.export(out, |totals| say("exported", totals)).await;
            (store, totals.context("the export is not complete")?)
        }
        Command::Import(kept) => {
            let store = kept.open(variable).await?;
            let lines = io::stdin().lock();
            let totals = store.import(lines, |totals| say("read", totals)).await;
            (store, totals.context("nothing was imported")?)
        }
    };
    store.close().await;
    eprintln!("done: {}", describe(&totals));
    Ok(())
}

fn say(done: &str, totals: &Totals) {
    if totals.all() > 0 && totals.all().is_multiple_of(WORD_EVERY) {
        eprintln!("{done} {}", describe(totals));
    }
}

fn describe(totals: &Totals) -> String {
    let Totals {
        records,
        blobs,
        work,
        events,
    } = totals;
    format!("{records} records, {blobs} blobs, {work} work items, {events} events")
}
