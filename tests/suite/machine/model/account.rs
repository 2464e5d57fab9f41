//! What belongs to the account as a whole: settings, repositories, tags and the summary.

use super::*;

impl Model {
    fn settings_answer(&self) -> Answer {
        Ok(json!({"accountSettings": self.settings}))
    }

    pub(super) fn get_account_settings(&self) -> Answer {
        self.settings_answer()
    }

    pub(super) fn update_account_settings(&mut self, r: &Value) -> Answer {
        const REPOSITORY: &str = "pipelineProvisioningRepository";
        let deletes = r["deletePipelineProvisioningRepository"] == true;
        let given = self.branch(&r[REPOSITORY]);
        let mut rules = Rules::default();
        rules.must(given.is_none() || !deletes, VALIDATION);
        let given = given.and_then(|given| rules.take(given));
        rules.end()?;
        if deletes {
            self.settings.remove(REPOSITORY);
        }
        if let Some(branch) = given {
            self.settings.insert(REPOSITORY, branch);
        }
        for role in ["pipelineServiceRoleArn", "pipelineCodebuildRoleArn"] {
            match text(r, role) {
                None => {}
                Some("") => drop(self.settings.remove(role)),
                Some(arn) => drop(self.settings.insert(role, arn.into())),
            }
        }
        self.settings_answer()
    }

    /// A branch as it is shown, if it is given; it must be of a linked repository.
    pub(super) fn branch(&self, given: &Value) -> Option<Result<Value, &'static str>> {
        let (provider, name) = (text(given, "provider")?, need(given, "name"));
        let id = repository_id(provider, name);
        Some(match self.repositories.contains_key(&id) {
            false => Err(VALIDATION),
            true => Ok(json!({
                "arn": arn(&format!("repository/{id}")),
                "branch": given["branch"],
                "name": name,
                "provider": provider,
            })),
        })
    }

    pub(super) fn create_repository(&mut self, r: &Value) -> Answer {
        let id = repository_id(need(r, "provider"), need(r, "name"));
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        rules.must(!self.repositories.contains_key(&id), CONFLICT);
        rules.end()?;
        let meta = self.meta(
            r,
            tags.unwrap_or_default(),
            &[("account", ACCOUNT.to_owned())],
        );
        let view = json!({
            "arn": arn(&format!("repository/{id}")),
            "connectionArn": r["connectionArn"],
            "encryptionKey": r["encryptionKey"],
            "name": r["name"],
            "provider": r["provider"],
        });
        self.repositories.insert(id, (meta, view.clone()));
        Ok(json!({"repository": view}))
    }

    pub(super) fn get_repository(&self, r: &Value) -> Answer {
        match self
            .repositories
            .get(&repository_id(need(r, "provider"), need(r, "name")))
        {
            Some((_, view)) => Ok(json!({"repository": view})),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_repositories(&self) -> Answer {
        let summary = |(_, view): &(Meta, Value)| {
            let mut view = view.clone();
            view.as_object_mut().unwrap().remove("encryptionKey");
            view
        };
        let summaries = self.repositories.values().map(summary);
        Ok(json!({"repositories": summaries.collect::<Vec<_>>()}))
    }

    pub(super) fn delete_repository(&mut self, r: &Value) -> Answer {
        let id = repository_id(need(r, "provider"), need(r, "name"));
        let answer = self.get_repository(r)?;
        let repository = arn(&format!("repository/{id}"));
        let branches = self
            .environments
            .values()
            .map(|environment| &environment.repository);
        let mut branches = branches.chain(self.settings.values());
        let mut syncs = self.syncs.values().map(|config| {
            repository_id(
                need(config, "repositoryProvider"),
                need(config, "repositoryName"),
            )
        });
        if branches.any(|branch| branch["arn"] == *repository) || syncs.any(|used| used == id) {
            return refuse(CONFLICT);
        }
        self.repositories.remove(&id);
        Ok(answer)
    }

    /// The envelope of what has the ARN.
    fn tagged(&mut self, by: By, resource: &str) -> Option<&mut Meta> {
        let own = resource.strip_prefix(&arn_of(by, ""))?;
        let (family, id) = own.split_once('/')?;
        if family == "environment-account-connection" {
            let mut connections = self.connections.iter_mut();
            let found = connections
                .find(|connection| connection.id == id && connection.environment_account == by);
            return found.map(|connection| &mut connection.meta);
        }
        if by == By::Other {
            return None;
        }
        match family {
            "environment-template" | "service-template" => {
                let of = if family == "service-template" {
                    Of::Service
                } else {
                    Of::Environment
                };
                let (name, number) = id
                    .split_once(':')
                    .map_or((id, None), |(name, number)| (name, Some(number)));
                let template = self.templates.get_mut(&(of, name.to_owned()))?;
                let Some(number) = number else {
                    return Some(&mut template.meta);
                };
                let (major, minor) = number.split_once('.')?;
                let version = template
                    .versions
                    .get_mut(&(major.parse().ok()?, minor.parse().ok()?));
                version.map(|version| &mut version.meta)
            }
            "repository" => self.repositories.get_mut(id).map(|(meta, _)| meta),
            "environment" => self
                .environments
                .get_mut(id)
                .map(|environment| &mut environment.meta),
            "component" => self
                .components
                .get_mut(id)
                .map(|component| &mut component.meta),
            "deployment" => {
                let mut deployments = self.deployments.iter_mut();
                deployments
                    .find(|deployment| deployment.id == id)
                    .map(|deployment| &mut deployment.meta)
            }
            "service" => {
                let mut parts = id.split('/');
                let service = self.services.get_mut(parts.next()?)?;
                match (parts.next(), parts.next()) {
                    (None, _) => Some(&mut service.meta),
                    (Some("pipeline"), None) => {
                        service.pipeline.as_mut().map(|pipeline| &mut pipeline.meta)
                    }
                    (Some("service-instance"), Some(name)) => {
                        let instance = service
                            .instances
                            .get_mut(name)
                            .filter(|instance| instance.is_visible());
                        instance.map(|instance| &mut instance.meta)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    pub(super) fn list_tags(&mut self, by: By, r: &Value) -> Answer {
        let Some(meta) = self.tagged(by, need(r, "resourceArn")) else {
            return refuse(NOT_FOUND);
        };
        let mut all = meta.tags.clone();
        all.extend(meta.managed.clone());
        let tags = all
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}));
        Ok(json!({"tags": tags.collect::<Vec<_>>()}))
    }

    pub(super) fn tag(&mut self, by: By, r: &Value) -> Answer {
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        let meta = self.tagged(by, need(r, "resourceArn"));
        rules.must(meta.is_some(), NOT_FOUND);
        rules.end()?;
        let (Some(meta), Some(tags)) = (meta, tags) else {
            unreachable!("else a rule is broken")
        };
        meta.tags.extend(tags);
        meta.edited = true;
        Ok(json!({}))
    }

    pub(super) fn untag(&mut self, by: By, r: &Value) -> Answer {
        let keys: Vec<&str> = r["tagKeys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut rules = Rules::default();
        rules.must(!keys.iter().any(|key| is_reserved(key)), VALIDATION);
        let meta = self.tagged(by, need(r, "resourceArn"));
        rules.must(meta.is_some(), NOT_FOUND);
        rules.end()?;
        let meta = meta.expect("else a rule is broken");
        meta.tags.retain(|key, _| !keys.contains(&&**key));
        meta.edited = true;
        Ok(json!({}))
    }

    /// How far something is behind its template: nothing, a minor or a major version.
    pub(super) fn staleness(&self, of: Of, state: &deployment::State) -> usize {
        let Some(template) = self.templates.get(&(of, state.template.clone())) else {
            return 0;
        };
        let (major, minor) = state.number;
        match (template.recommended(), template.recommended_minor(major)) {
            (Some((newest, _)), _) if major < newest => 2,
            (_, Some(newest)) if minor < newest => 1,
            _ => 0,
        }
    }

    pub(super) fn get_resources_summary(&self) -> Answer {
        let full = |all: &[(bool, usize)]| {
            let count = |stale| all.iter().filter(|one| one.1 == stale).count();
            json!({
                "total": all.len(),
                "failed": all.iter().filter(|one| one.0).count(),
                "upToDate": count(0),
                "behindMinor": count(1),
                "behindMajor": count(2),
            })
        };
        let condition = |of, deployed: &Deployable| {
            (
                deployed.status == "FAILED",
                self.staleness(of, &deployed.current),
            )
        };
        let environments = self
            .environments
            .values()
            .map(|environment| condition(Of::Environment, &environment.deployed));
        let (mut services, mut instances, mut pipelines) = (Vec::new(), Vec::new(), Vec::new());
        for service in self.services.values() {
            let of_instances = service
                .visible()
                .map(|(_, instance)| condition(Of::Service, &instance.deployed));
            let of_instances: Vec<_> = of_instances.collect();
            let of_pipeline = service
                .pipeline
                .as_ref()
                .map(|pipeline| condition(Of::Service, &pipeline.deployed));
            let stalest = of_instances
                .iter()
                .chain(&of_pipeline)
                .map(|part| part.1)
                .max();
            services.push((service.status.contains("FAILED"), stalest.unwrap_or(0)));
            instances.extend(of_instances);
            pipelines.extend(of_pipeline);
        }
        let failed = self
            .components
            .values()
            .filter(|component| component.deployed.status == "FAILED");
        let templates = |of| self.templates.keys().filter(|key| key.0 == of).count();
        Ok(json!({"counts": {
            "components": {"total": self.components.len(), "failed": failed.count()},
            "environmentTemplates": {"total": templates(Of::Environment)},
            "environments": full(&environments.collect::<Vec<_>>()),
            "pipelines": full(&pipelines),
            "serviceInstances": full(&instances),
            "serviceTemplates": {"total": templates(Of::Service)},
            "services": full(&services),
        }}))
    }
}

pub(super) fn repository_id(provider: &str, name: &str) -> String {
    format!("{}:{name}", provider.to_lowercase())
}
