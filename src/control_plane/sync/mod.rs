//! What template sync and service sync share. A configuration ties a template or a service to a place in a linked repository; at
//! its side stands what is known of the syncs so far (`status`), which goes when it goes.

pub(super) mod status;

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::repository::{self, Name};
use super::store::{Change, CommitError, Expect, Key, Put};
use super::{Caller, ControlPlane};
use crate::api::Error;

/// What is synced, by its records.
pub(super) struct Synced {
    /// The template or service, as messages to callers name it.
    pub(super) named: String,
    /// Its own record.
    pub(super) subject: Key,
    pub(super) config: Key,
    pub(super) targets: Key,
    /// Only services can be blocked.
    pub(super) blockers: Option<Key>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Config {
    /// The name of the template or service.
    pub(super) of: String,
    pub(super) repository: Name,
    pub(super) branch: String,
    /// The directory in which templates are looked for, or the ops file.
    pub(super) path: Option<String>,
}

impl Config {
    /// The change that writes it. The repository must be linked, and then is in use.
    fn write(&self, caller: &Caller, put: Put) -> Change {
        Change::new()
            .expect(Expect::Present(self.repository.key(caller)))
            .put(put.indexed(repository::USED, self.repository.arn(caller)))
    }
}

impl Synced {
    fn not_found(&self) -> Error {
        Error::not_found(format!("{} has no sync configuration", self.named))
    }

    pub(super) async fn create(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        config: &Config,
    ) -> Result<(), Error> {
        let mut attempts = Attempts::default();
        loop {
            if plane.store().get(&self.subject).await?.is_none() {
                return Err(Error::validation(format!("{} does not exist", self.named)));
            }
            config.repository.check_linked(plane, caller).await?;
            let change = config
                .write(caller, Put::create(self.config.clone(), config))
                .expect(Expect::Present(self.subject.clone()));
            match plane.store().commit(change).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Exists(_)) => {
                    let rule = format!("{} has a sync configuration already", self.named);
                    return Err(Error::conflict(rule));
                }
                Err(refusal) => attempts.again(refusal)?,
            }
        }
    }

    pub(super) async fn get(&self, plane: &ControlPlane) -> Result<Config, Error> {
        let record = plane.store().get(&self.config).await?;
        Ok(record.ok_or_else(|| self.not_found())?.read()?)
    }

    /// Puts the configuration in place of the former one.
    pub(super) async fn update(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        config: &Config,
    ) -> Result<(), Error> {
        let mut attempts = Attempts::default();
        loop {
            let record = plane.store().get(&self.config).await?;
            let record = record.ok_or_else(|| self.not_found())?;
            config.repository.check_linked(plane, caller).await?;
            let change = config.write(caller, Put::update(&record, config));
            match plane.store().commit(change).await {
                Ok(_) => return Ok(()),
                Err(refusal) => attempts.again(refusal)?,
            }
        }
    }

    pub(super) async fn delete(&self, plane: &ControlPlane) -> Result<Config, Error> {
        let mut attempts = Attempts::default();
        loop {
            let (change, config) = self.forget(plane, Change::new()).await?;
            let config = config.ok_or_else(|| self.not_found())?;
            match plane.store().commit(change).await {
                Ok(_) => return Ok(config),
                Err(refusal) => attempts.again(refusal)?,
            }
        }
    }

    /// Adds the end of all that is kept for sync, if there is any, and says how it was configured.
    pub(super) async fn forget(
        &self,
        plane: &ControlPlane,
        mut change: Change,
    ) -> Result<(Change, Option<Config>), Error> {
        let beside = [Some(&self.targets), self.blockers.as_ref()];
        let beside = beside.into_iter().flatten();
        let keys: Vec<Key> = Some(&self.config)
            .into_iter()
            .chain(beside)
            .cloned()
            .collect();
        let records = plane.store().get_many(&keys).await?;
        let config = records.first().and_then(Option::as_ref);
        let config = config.map(|config| config.read()).transpose()?;
        for (key, record) in keys.into_iter().zip(records) {
            change = match record {
                Some(record) => change.delete(key, record.rev),
                // What comes to be meanwhile must not be left behind.
                None => change.expect(Expect::Absent(key)),
            };
        }
        Ok((change, config))
    }
}
