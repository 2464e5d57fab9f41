//! What identical reads share: one for the process, whichever threads they come in on.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{cli::config::Settings, facade::Reads};

pub(super) fn reads(settings: &Settings) -> Option<Reads> {
    let reads = &settings.reads;
    let shared = reads.are_shared(&settings.upstream);
    shared.then(|| Reads::new(reads.kept(), Arc::new(Instant::now)))
}
