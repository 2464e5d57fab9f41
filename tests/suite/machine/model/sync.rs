//! Configurations of syncs, and what blocks them. Nothing is synced from Git here.

use super::account::repository_id;
use super::*;

/// A configuration as it is shown.
pub(super) type Config = Value;

#[derive(Clone, Debug)]
pub(super) struct Blocker {
    pub(super) id: String,
    instance: Option<String>,
    cause: String,
    created: i64,
    resolved: Option<(i64, String)>,
}

impl Blocker {
    /// Which instance is blocked, if not all are.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    fn view(&self) -> Value {
        json!({
            "contexts": [{"key": ANY, "value": self.cause}],
            "createdAt": time(self.created),
            "createdReason": ANY,
            "id": self.id,
            "resolvedAt": self.resolved.as_ref().map(|resolved| time(resolved.0)),
            "resolvedReason": self.resolved.as_ref().map(|resolved| &resolved.1),
            "status": if self.resolved.is_some() { "RESOLVED" } else { "ACTIVE" },
            "type": "AUTOMATED",
        })
    }
}

/// What is synced: a template of a type, or a service.
pub(super) type Synced = (Option<Of>, String);

fn synced(r: &Value) -> Synced {
    match text(r, "templateType") {
        Some(type_) => (Some(Of::named(type_)), need(r, "templateName").to_owned()),
        None => (None, need(r, "serviceName").to_owned()),
    }
}

/// A request that is its configuration.
fn as_asked(r: &Value) -> Answer {
    Ok(match r["templateType"].is_null() {
        false => json!({"templateSyncConfig": r}),
        true => json!({"serviceSyncConfig": r}),
    })
}

impl Model {
    fn is_linked(&self, r: &Value) -> bool {
        self.repositories.contains_key(&repository_id(
            need(r, "repositoryProvider"),
            need(r, "repositoryName"),
        ))
    }

    pub(super) fn create_sync(&mut self, r: &Value) -> Answer {
        let key = synced(r);
        let is_there = match key.0 {
            Some(of) => self.template(of, &key.1).is_ok(),
            None => self.services.contains_key(&key.1),
        };
        let mut rules = Rules::default();
        rules.must(is_there && self.is_linked(r), VALIDATION);
        rules.must(!self.syncs.contains_key(&key), CONFLICT);
        rules.end()?;
        self.syncs.insert(key, r.clone());
        as_asked(r)
    }

    pub(super) fn get_sync(&self, r: &Value) -> Answer {
        match self.syncs.get(&synced(r)) {
            Some(config) => as_asked(config),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn update_sync(&mut self, r: &Value) -> Answer {
        let key = synced(r);
        let mut rules = Rules::default();
        rules.must(self.syncs.contains_key(&key), NOT_FOUND);
        rules.must(self.is_linked(r), VALIDATION);
        rules.end()?;
        self.syncs.insert(key, r.clone());
        as_asked(r)
    }

    pub(super) fn delete_sync(&mut self, r: &Value) -> Answer {
        let key = synced(r);
        if key.0.is_none() {
            self.blockers.remove(&key.1);
        }
        match self.syncs.remove(&key) {
            Some(config) => as_asked(&config),
            None => refuse(NOT_FOUND),
        }
    }

    /// What is done by hand blocks the sync of an instance, or, where one is deleted, of the service.
    pub(super) fn block(&mut self, service: &str, instance: Option<&str>, cause: &str) {
        if !self.syncs.contains_key(&(None, service.to_owned())) {
            return;
        }
        let (id, created) = (self.id('b'), self.now);
        let blockers = self.blockers.entry(service.to_owned()).or_default();
        if instance.is_none() {
            // What blocked the instance goes with it.
            blockers.retain(|blocker| blocker.instance.as_deref() != Some(cause));
        }
        if blockers
            .iter()
            .any(|blocker| blocker.instance.as_deref() == instance && blocker.resolved.is_none())
        {
            return;
        }
        blockers.push(Blocker {
            id,
            instance: instance.map(str::to_owned),
            cause: cause.to_owned(),
            created,
            resolved: None,
        });
    }

    pub(super) fn get_blockers(&self, r: &Value) -> Answer {
        let (service, instance) = (need(r, "serviceName"), text(r, "serviceInstanceName"));
        match instance {
            Some(_) => drop(self.named_target(r)?),
            None if self.services.contains_key(service) => {}
            None => return refuse(NOT_FOUND),
        }
        let blockers = self
            .blockers
            .get(service)
            .map_or(&[][..], |blockers| blockers);
        let own = blockers
            .iter()
            .rev()
            .filter(|blocker| blocker.instance.as_deref() == instance);
        Ok(json!({"serviceSyncBlockerSummary": {
            "latestBlockers": own.map(Blocker::view).collect::<Vec<_>>(),
            "serviceInstanceName": instance,
            "serviceName": service,
        }}))
    }

    pub(super) fn resolve_blocker(&mut self, r: &Value) -> Answer {
        let now = self.now;
        let mut all = self.blockers.iter_mut().flat_map(|(service, blockers)| {
            blockers.iter_mut().map(move |blocker| (service, blocker))
        });
        let Some((service, blocker)) = all.find(|(_, blocker)| blocker.id == need(r, "id")) else {
            return refuse(NOT_FOUND);
        };
        if blocker.resolved.is_some() {
            return refuse(CONFLICT);
        }
        blocker.resolved = Some((now, need(r, "resolvedReason").to_owned()));
        Ok(json!({
            "serviceInstanceName": blocker.instance,
            "serviceName": service,
            "serviceSyncBlocker": blocker.view(),
        }))
    }
}
