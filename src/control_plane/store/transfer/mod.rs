//! A whole store as lines of JSON, to move it to another engine or to keep it elsewhere.
//!
//! ```text
//!  {"header":{"format":1,"revision":…,"work":…}}     the numbers given last
//!  {"record":{…}} {"blob":{…}} {"work":{…}} {"event":{…}}
//!  {"end":{"records":…,"blobs":…,"work":…,"events":…}}
//! ```
//! An export is of one moment; counters are left out, because the records tell them. Claims are left out too: what is under way
//! then is due in the store that imports. An import happens whole or not at all, and only into an empty store; a file without its
//! last line has been cut short. Both hold one line in memory at a time, or a few.

mod line;

use std::io::{self, BufRead, Write};

use tokio::sync::mpsc;

use super::{CommitError, Error, Key, Store};

pub use self::line::Totals;
pub(super) use self::line::{Item, KeyLine};

/// How the lines are to be understood.
const FORMAT: u32 = 1;
/// Lines between the file and the database: few, because one may hold a bundle.
const AHEAD: usize = 4;

/// Why an export came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("the store cannot be read")]
    Store(#[from] Error),
    #[error("the export cannot be written")]
    Write(#[source] io::Error),
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the store is not empty")]
    NotEmpty,
    #[error("line {number}: {why}")]
    Line { number: u64, why: String },
    /// The last line is missing.
    #[error("the export has been cut short")]
    CutShort,
    #[error("{0} is there twice")]
    Twice(Key),
    #[error("the export cannot be read")]
    Read(#[source] io::Error),
    #[error("the store cannot be written")]
    Store(#[from] CommitError),
}

impl Store {
    /// Writes everything that is there now, blocking on the writer; tells the progress line by line.
    pub async fn export(
        &self,
        mut to: impl Write,
        mut progress: impl FnMut(&Totals),
    ) -> Result<Totals, ExportError> {
        let (items, mut exported) = mpsc::channel(AHEAD);
        self.start_export(items);
        let mut totals = Totals::default();
        let mut write = |item: &Item| {
            serde_json::to_writer(&mut to, item)?;
            to.write_all(b"\n")
        };
        let mut complete = false;
        while let Some(item) = exported.recv().await {
            let item = item?;
            complete = matches!(item, Item::End(_));
            totals = totals.and(&item);
            write(&item).map_err(ExportError::Write)?;
            progress(&totals);
        }
        if !complete {
            return Err(Error::closed().into());
        }
        to.flush().map_err(ExportError::Write)?;
        Ok(totals)
    }

    /// Fills the store, which must be empty, with what an export has written. Blocks on the reader; tells the progress line by
    /// line.
    pub async fn import(
        &self,
        from: impl BufRead,
        progress: impl FnMut(&Totals),
    ) -> Result<Totals, ImportError> {
        let (items, imported) = mpsc::channel(AHEAD);
        let (done, fed) = tokio::join!(self.import_items(imported), feed(from, items, progress));
        // A store that gave up took no more lines, so its reason comes first unless the lines ended by themselves.
        match (done, fed) {
            (Err(ImportError::CutShort), Err(why)) => Err(why),
            (Err(why), _) | (Ok(()), Err(why)) => Err(why),
            (Ok(()), Ok(totals)) => Ok(totals),
        }
    }
}

/// Reads lines and hands them on, the last one only when all are as they should be.
async fn feed(
    mut from: impl BufRead,
    items: mpsc::Sender<Item>,
    mut progress: impl FnMut(&Totals),
) -> Result<Totals, ImportError> {
    let mut reading = line::Reading::default();
    let mut text = String::new();
    loop {
        text.clear();
        if from.read_line(&mut text).map_err(ImportError::Read)? == 0 {
            return Err(ImportError::CutShort);
        }
        let item = reading.read(&text)?;
        let ends = matches!(item, Item::End(_));
        progress(reading.totals());
        if items.send(item).await.is_err() || ends {
            return Ok(reading.into_totals());
        }
    }
}
