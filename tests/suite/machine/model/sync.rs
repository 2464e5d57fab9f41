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

fn template_key(r: &Value) -> (Of, String) {
    (
        Of::of(need(r, "templateType")),
        need(r, "templateName").to_owned(),
    )
}

/// A request that is its configuration.
fn as_asked(r: &Value, member: &str) -> Answer {
    Ok(json!({member: r}))
}

impl Model {
    fn is_linked(&self, r: &Value) -> bool {
        self.repositories.contains_key(&repository_id(
            need(r, "repositoryProvider"),
            need(r, "repositoryName"),
        ))
    }

    pub(super) fn create_template_sync(&mut self, r: &Value) -> Answer {
        let key = template_key(r);
        let mut rules = Rules::default();
        rules.must(
            self.templates.contains_key(&key) && self.is_linked(r),
            VALIDATION,
        );
        rules.must(!self.template_syncs.contains_key(&key), CONFLICT);
        rules.end()?;
        self.template_syncs.insert(key, r.clone());
        as_asked(r, "templateSyncConfig")
    }

    pub(super) fn get_template_sync(&self, r: &Value) -> Answer {
        match self.template_syncs.get(&template_key(r)) {
            Some(config) => as_asked(config, "templateSyncConfig"),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn update_template_sync(&mut self, r: &Value) -> Answer {
        let key = template_key(r);
        let mut rules = Rules::default();
        rules.must(self.template_syncs.contains_key(&key), NOT_FOUND);
        rules.must(self.is_linked(r), VALIDATION);
        rules.end()?;
        self.template_syncs.insert(key, r.clone());
        as_asked(r, "templateSyncConfig")
    }

    pub(super) fn delete_template_sync(&mut self, r: &Value) -> Answer {
        match self.template_syncs.remove(&template_key(r)) {
            Some(config) => as_asked(&config, "templateSyncConfig"),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn create_service_sync(&mut self, r: &Value) -> Answer {
        let service = need(r, "serviceName");
        let mut rules = Rules::default();
        rules.must(
            self.services.contains_key(service) && self.is_linked(r),
            VALIDATION,
        );
        rules.must(!self.service_syncs.contains_key(service), CONFLICT);
        rules.end()?;
        self.service_syncs.insert(service.to_owned(), r.clone());
        as_asked(r, "serviceSyncConfig")
    }

    pub(super) fn get_service_sync(&self, r: &Value) -> Answer {
        match self.service_syncs.get(need(r, "serviceName")) {
            Some(config) => as_asked(config, "serviceSyncConfig"),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn update_service_sync(&mut self, r: &Value) -> Answer {
        let service = need(r, "serviceName");
        let mut rules = Rules::default();
        rules.must(self.service_syncs.contains_key(service), NOT_FOUND);
        rules.must(self.is_linked(r), VALIDATION);
        rules.end()?;
        self.service_syncs.insert(service.to_owned(), r.clone());
        as_asked(r, "serviceSyncConfig")
    }

    pub(super) fn delete_service_sync(&mut self, r: &Value) -> Answer {
        let service = need(r, "serviceName");
        self.blockers.remove(service);
        match self.service_syncs.remove(service) {
            Some(config) => as_asked(&config, "serviceSyncConfig"),
            None => refuse(NOT_FOUND),
        }
    }

    /// What is done by hand blocks the sync of an instance, or, where one is deleted, of the service.
    pub(super) fn block(&mut self, service: &str, instance: Option<&str>, cause: &str) {
        if !self.service_syncs.contains_key(service) {
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
