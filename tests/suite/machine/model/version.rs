//! Versions of templates: their numbers, their registration, and which one a deployment uses.

use super::super::bundles::{Bundle, Kind, Zone};
use super::template::Number;
use super::*;

#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) meta: Meta,
    pub(super) status: &'static str,
    description: Option<String>,
    key: String,
    /// Once registered.
    pub(super) bundle: Option<Bundle>,
    /// Of service templates: the major versions of environment templates that it goes with.
    pub(super) goes_with: Vec<(String, String)>,
    pub(super) takes_components: bool,
}

/// Whether a schema can follow another one in the same major version.
fn follows(earlier: Zone, zone: Zone) -> bool {
    match (earlier, zone) {
        (Zone::Unknown, Zone::Optional) => true,
        (Zone::Required, Zone::Optional) => true,
        (one, other) => one == other,
    }
}

fn compatible(r: &Value) -> Vec<(String, String)> {
    let given = r["compatibleEnvironmentTemplates"].as_array();
    let given = given.into_iter().flatten();
    given
        .map(|one| {
            (
                need(one, "templateName").to_owned(),
                need(one, "majorVersion").to_owned(),
            )
        })
        .collect()
}

impl Model {
    fn view_version(&self, of: Of, name: &str, (major, minor): Number, is_full: bool) -> Value {
        let template = &self.templates[&(of, name.to_owned())];
        let version = &template.versions[&(major, minor)];
        let mut view = json!({
            "arn": of.arn(&format!("{name}:{major}.{minor}")),
            "createdAt": time(version.meta.created),
            "description": version.description,
            "lastModifiedAt": time(version.meta.changed),
            "majorVersion": major.to_string(),
            "minorVersion": minor.to_string(),
            "recommendedMinorVersion": template.recommended_minor(major).map(|minor| minor.to_string()),
            "status": version.status,
            "statusMessage": match version.status {
                "REGISTRATION_IN_PROGRESS" => Value::Null,
                "REGISTRATION_FAILED" => json!(ANY),
                _ => json!(""),
            },
            "templateName": name,
        });
        if is_full {
            view["schema"] = json!(version.bundle.map(|bundle| bundle.schema()));
        }
        if is_full && of == Of::Service {
            let pair = |(template, major): &(String, String)| json!({"templateName": template, "majorVersion": major});
            view["compatibleEnvironmentTemplates"] = version.goes_with.iter().map(pair).collect();
            view["supportedComponentSources"] = match version.takes_components {
                true => json!(["DIRECTLY_DEFINED"]),
                false => json!([]),
            };
        }
        view
    }

    fn version_answer(&self, of: Of, name: &str, number: Number) -> Answer {
        let view = self.view_version(of, name, number, true);
        Ok(json!({format!("{}Version", of.member()): view}))
    }

    /// The number of a version that is there.
    fn named_version(&self, of: Of, r: &Value) -> Option<(String, Number)> {
        let name = need(r, "templateName");
        let number = (
            need(r, "majorVersion").parse().ok()?,
            need(r, "minorVersion").parse().ok()?,
        );
        let template = self.template(of, name).ok()?;
        template
            .versions
            .contains_key(&number)
            .then(|| (name.to_owned(), number))
    }

    fn are_known(&self, majors: &[(String, String)]) -> bool {
        majors.iter().all(|(name, major)| {
            let template = self.template(Of::Environment, name);
            template
                .is_ok_and(|template| major.parse().is_ok_and(|major| template.has_major(major)))
        })
    }

    pub(super) fn create_version(&mut self, of: Of, r: &Value) -> Answer {
        let (name, operation) = (need(r, "templateName"), of.create_version());
        let key = (of, name.to_owned());
        let token = owned(r, "clientToken");
        let made = |used: &Used| {
            let (name, number) = used.made.split_once(':').unwrap();
            let (major, minor) = number.split_once('.').unwrap();
            let template = self.template(of, name);
            let number = (major.parse().unwrap(), minor.parse().unwrap());
            template.is_ok_and(|template| {
                template
                    .versions
                    .get(&number)
                    .is_some_and(|version| version.meta.token == token)
            })
        };
        if let Some(made) = self.used(By::Management, operation, r, made)? {
            let (name, number) = made.split_once(':').unwrap();
            let (major, minor) = number.split_once('.').unwrap();
            return self.version_answer(of, name, (major.parse().unwrap(), minor.parse().unwrap()));
        }
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        let goes_with = compatible(r);
        rules.must(self.are_known(&goes_with), VALIDATION);
        let Some(template) = self.templates.get(&key) else {
            rules.must(false, NOT_FOUND);
            return rules.end().map(|()| Value::Null);
        };
        rules.must(template.versions.len() < quota::VERSIONS, QUOTA);
        let major: Option<u32> = text(r, "majorVersion").map(|major| major.parse().unwrap_or(0));
        rules.must(
            major.is_none_or(|major| template.has_major(major)),
            NOT_FOUND,
        );
        rules.end()?;

        let inherited = template.meta.tags.clone();
        let managed = template.meta.managed.clone();
        let mut meta = self.meta(r, inherited, &[]);
        meta.tags.extend(tags.unwrap_or_default());
        meta.managed = managed;
        let template = self.templates.get_mut(&key).unwrap();
        let number = match major {
            None => (template.last_major + 1, 0),
            Some(major) => (major, template.last_minors[&major] + 1),
        };
        template.last_major = template.last_major.max(number.0);
        template.last_minors.insert(number.0, number.1);
        let version = Version {
            meta,
            status: "REGISTRATION_IN_PROGRESS",
            description: owned(r, "description"),
            key: need(&r["source"]["s3"], "key").to_owned(),
            bundle: None,
            goes_with,
            takes_components: r["supportedComponentSources"]
                .as_array()
                .is_some_and(|some| !some.is_empty()),
        };
        template.versions.insert(number, version);
        let made = format!("{name}:{}.{}", number.0, number.1);
        self.remember(By::Management, operation, r, &made, self.now);
        self.version_answer(of, name, number)
    }

    pub(super) fn get_version(&self, of: Of, r: &Value) -> Answer {
        match self.named_version(of, r) {
            Some((name, number)) => self.version_answer(of, &name, number),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_versions(&self, of: Of, r: &Value) -> Answer {
        let name = need(r, "templateName");
        let template = self.template(of, name)?;
        let mut numbers: Vec<Number> = template.versions.keys().rev().copied().collect();
        match text(r, "majorVersion") {
            Some(major) => numbers.retain(|number| major.parse() == Ok(number.0)),
            None => {
                let stands_for = |number: &Number| {
                    let highest = template
                        .versions
                        .keys()
                        .filter(|other| other.0 == number.0)
                        .max();
                    let recommended = template.recommended_minor(number.0);
                    recommended.or(highest.map(|highest| highest.1)) == Some(number.1)
                };
                numbers.retain(stands_for);
            }
        }
        let views = numbers
            .into_iter()
            .map(|number| self.view_version(of, name, number, false));
        Ok(json!({"templateVersions": views.collect::<Vec<_>>()}))
    }

    pub(super) fn update_version(&mut self, of: Of, r: &Value) -> Answer {
        let Some((name, number)) = self.named_version(of, r) else {
            return refuse(NOT_FOUND);
        };
        let goes_with = compatible(r);
        let status = self.templates[&(of, name.clone())].versions[&number].status;
        let mut rules = Rules::default();
        rules.must(self.are_known(&goes_with), VALIDATION);
        rules.must(status != "REGISTRATION_FAILED", VALIDATION);
        let is_fine = match text(r, "status") {
            None | Some("PUBLISHED") => true,
            Some("DRAFT") => status != "PUBLISHED",
            Some(_) => false,
        };
        rules.must(is_fine, VALIDATION);
        rules.end()?;
        let now = self.now;
        let template = self.templates.get_mut(&(of, name.clone())).unwrap();
        let version = template.versions.get_mut(&number).unwrap();
        if text(r, "status") == Some("PUBLISHED") {
            version.status = "PUBLISHED";
        }
        version.description = owned(r, "description").or(version.description.take());
        if !goes_with.is_empty() {
            version.goes_with = goes_with;
        }
        if let Some(sources) = r["supportedComponentSources"].as_array() {
            version.takes_components = !sources.is_empty();
        }
        version.meta.edit(now);
        self.version_answer(of, &name, number)
    }

    pub(super) fn delete_version(&mut self, of: Of, r: &Value) -> Answer {
        let Some((name, number)) = self.named_version(of, r) else {
            return Ok(json!({}));
        };
        let template = &self.templates[&(of, name.clone())];
        let others = || template.versions.keys().filter(|other| **other != number);
        let mut rules = Rules::default();
        let recommended = template.recommended_minor(number.0) == Some(number.1);
        rules.must(
            !recommended || !others().any(|other| other.0 == number.0),
            CONFLICT,
        );
        rules.must(
            template.recommended() != Some(number) || others().next().is_none(),
            CONFLICT,
        );
        rules.must(!self.is_deployed(of, &name, number), CONFLICT);
        rules.end()?;
        let answer = self.version_answer(of, &name, number);
        let template = self.templates.get_mut(&(of, name)).unwrap();
        template.versions.remove(&number);
        answer
    }

    fn is_deployed(&self, of: Of, name: &str, number: Number) -> bool {
        let environments = self
            .environments
            .values()
            .map(|environment| &environment.deployed);
        let parts = self.services.values().flat_map(Service::deployed);
        let of_environments = environments.filter(|_| of == Of::Environment);
        let of_services = parts.filter(|_| of == Of::Service);
        let mut states = of_environments
            .chain(of_services)
            .flat_map(Deployable::states);
        states.any(|state| state.template == name && state.number == number)
    }

    pub(super) fn register_versions(&mut self) {
        let now = self.now;
        for ((of, _), template) in &mut self.templates {
            let numbers: Vec<Number> = template.versions.keys().copied().collect();
            for number in numbers {
                let version = &template.versions[&number];
                if version.status != "REGISTRATION_IN_PROGRESS" {
                    continue;
                }
                let wanted = match (of, template.is_customers) {
                    (Of::Environment, false) => Kind::Environment,
                    (Of::Environment, true) => Kind::Described,
                    (Of::Service, false) => Kind::Service,
                    (Of::Service, true) => Kind::Lone,
                };
                let earlier = template.versions.range((number.0, 0)..number).rev();
                let earlier = earlier.filter_map(|(_, version)| version.bundle).next();
                let bundle = Bundle::named(&version.key).filter(|bundle| {
                    bundle.kind == wanted
                        && earlier.is_none_or(|earlier| follows(earlier.zone, bundle.zone))
                });
                let version = template.versions.get_mut(&number).unwrap();
                version.bundle = bundle;
                version.status = if bundle.is_some() {
                    "DRAFT"
                } else {
                    "REGISTRATION_FAILED"
                };
                version.meta.changed = now;
            }
        }
    }

    pub(super) fn bundle(&self, of: Of, name: &str, number: Number) -> Bundle {
        let version = &self.templates[&(of, name.to_owned())].versions[&number];
        version.bundle.expect("only what is registered is deployed")
    }

    /// A version that can be deployed.
    fn deployable(&self, of: Of, name: &str, number: Number) -> Result<Number, &'static str> {
        match self
            .template(of, name)
            .ok()
            .and_then(|template| template.versions.get(&number))
        {
            None => Err(NOT_FOUND),
            Some(version) if version.bundle.is_none() => Err(VALIDATION),
            Some(_) => Ok(number),
        }
    }

    /// The version for something new.
    pub(super) fn version_for_create(
        &self,
        of: Of,
        name: &str,
        r: &Value,
    ) -> Result<Number, &'static str> {
        let template = self.template(of, name).map_err(|_| NOT_FOUND)?;
        let part = |member| text(r, member).map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
        match (part("templateMajorVersion"), part("templateMinorVersion")) {
            (None, None) => template.recommended().ok_or(VALIDATION),
            (None, Some(_)) => Err(VALIDATION),
            (Some(major), None) if !template.has_major(major) => Err(NOT_FOUND),
            (Some(major), None) => {
                let minor = template.recommended_minor(major).ok_or(VALIDATION)?;
                Ok((major, minor))
            }
            (Some(major), Some(minor)) => self.deployable(of, name, (major, minor)),
        }
    }

    /// The version for what is deployed at another one.
    pub(super) fn version_for_update(
        &self,
        of: Of,
        name: &str,
        now: Number,
        r: &Value,
    ) -> Result<Number, &'static str> {
        let template = &self.templates[&(of, name.to_owned())];
        let part = |member| text(r, member).map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
        let (major, minor) = (part("templateMajorVersion"), part("templateMinorVersion"));
        let recommended = |major| {
            template
                .recommended_minor(major)
                .map(|minor| (major, minor))
                .ok_or(VALIDATION)
        };
        match (need(r, "deploymentType"), major, minor) {
            ("NONE" | "CURRENT_VERSION", None, None) => Ok(now),
            ("MINOR_VERSION", major, _) if major.is_some_and(|major| major != now.0) => {
                Err(VALIDATION)
            }
            ("MINOR_VERSION", _, None) => recommended(now.0),
            ("MINOR_VERSION", _, Some(minor)) => self.deployable(of, name, (now.0, minor)),
            ("MAJOR_VERSION", None, None) => {
                let next = template.recommended().ok_or(VALIDATION)?;
                if next.0 > now.0 {
                    Ok(next)
                } else {
                    Err(VALIDATION)
                }
            }
            ("MAJOR_VERSION", Some(major), _) if !template.has_major(major) => {
                if major > now.0 {
                    Err(NOT_FOUND)
                } else {
                    Err(VALIDATION)
                }
            }
            ("MAJOR_VERSION", Some(major), _) if major <= now.0 => Err(VALIDATION),
            ("MAJOR_VERSION", Some(major), None) => recommended(major),
            ("MAJOR_VERSION", Some(major), Some(minor)) => {
                self.deployable(of, name, (major, minor))
            }
            _ => Err(VALIDATION),
        }
    }
}
