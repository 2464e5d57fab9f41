//! The audit trail of the process: opened before anything is served, followed by health, closed last.

use std::{sync::Arc, time::SystemTime};

use anyhow::{Context as _, Result};
use tokio::signal::unix::SignalKind;
use tokio_util::task::AbortOnDropHandle;

use super::Signals;
use crate::{
    audit::{Settings, Trail},
    cli::config::Audit,
    server::Health,
};

/// Opens the trail that the settings name.
pub(super) fn open(settings: &Audit) -> Result<Option<Trail>> {
    let Some(settings) = settings.settings().map_err(anyhow::Error::msg)? else {
        return Ok(None);
    };
    let Settings { file, .. } = &settings;
    let context = format!("cannot write the audit trail {}", file.display());
    let trail = Trail::open(settings, Arc::new(SystemTime::now)).context(context)?;
    Ok(Some(trail))
}

/// Takes calls only while they can be recorded, and goes over to a new file on SIGHUP.
pub(super) fn follow(trail: Trail, health: Health) -> Result<AbortOnDropHandle<()>> {
    let mut hangup = Signals::on(SignalKind::hangup())?;
    let mut writable = trail.writable();
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => trail.reopen(),
                changed = writable.changed() => {
                    health.set_serving(changed.is_ok() && *writable.borrow_and_update());
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    })))
}
