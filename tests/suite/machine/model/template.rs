//! Templates of both types.

use super::version::Version;
use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Environment,
    Service,
}

impl Of {
    pub(super) fn named(type_: &str) -> Self {
        match type_ {
            "SERVICE" => Self::Service,
            _ => Self::Environment,
        }
    }

    pub(super) fn arn(self, id: &str) -> String {
        match self {
            Self::Environment => arn(&format!("environment-template/{id}")),
            Self::Service => arn(&format!("service-template/{id}")),
        }
    }

    /// The member that holds a template, or with `Version` a version.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Environment => "environmentTemplate",
            Self::Service => "serviceTemplate",
        }
    }

    pub(super) fn create_version(self) -> &'static str {
        match self {
            Self::Environment => "CreateEnvironmentTemplateVersion",
            Self::Service => "CreateServiceTemplateVersion",
        }
    }

    /// Where a template says that the customer provisions.
    fn provisioning(self) -> &'static str {
        match self {
            Self::Environment => "provisioning",
            Self::Service => "pipelineProvisioning",
        }
    }
}

pub(super) type Number = (u32, u32);

#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) meta: Meta,
    display: String,
    description: Option<String>,
    encryption_key: Option<String>,
    pub(super) is_customers: bool,
    /// The highest numbers there ever were.
    pub(super) last_major: u32,
    pub(super) last_minors: BTreeMap<u32, u32>,
    pub(super) versions: BTreeMap<Number, Version>,
}

impl Template {
    pub(super) fn has_major(&self, major: u32) -> bool {
        self.versions.keys().any(|number| number.0 == major)
    }

    /// The highest published minor version of a major one.
    pub(super) fn recommended_minor(&self, major: u32) -> Option<u32> {
        let published = self.versions.iter().rev();
        let mut published = published.filter(|(_, version)| version.status == "PUBLISHED");
        published
            .find(|(number, _)| number.0 == major)
            .map(|(number, _)| number.1)
    }

    pub(super) fn recommended(&self) -> Option<Number> {
        let published = self.versions.iter().rev();
        let mut published = published.filter(|(_, version)| version.status == "PUBLISHED");
        published.next().map(|(number, _)| *number)
    }

    fn view(&self, of: Of, name: &str, is_full: bool) -> Value {
        let mut view = json!({
            "arn": of.arn(name),
            "createdAt": time(self.meta.created),
            "description": self.description,
            "displayName": self.display,
            "lastModifiedAt": time(self.meta.changed),
            "name": name,
            "recommendedVersion": self.recommended().map(|(major, minor)| format!("{major}.{minor}")),
        });
        view[of.provisioning()] = json!(self.is_customers.then_some("CUSTOMER_MANAGED"));
        if is_full {
            view["encryptionKey"] = json!(self.encryption_key);
        }
        view
    }
}

impl Model {
    pub(super) fn template(&self, of: Of, name: &str) -> Result<&Template, Refusal> {
        let found = self.templates.get(&(of, name.to_owned()));
        found.map_or_else(|| refuse(NOT_FOUND), Ok)
    }

    fn template_answer(&self, of: Of, name: &str) -> Answer {
        let view = self.template(of, name)?.view(of, name, true);
        Ok(json!({of.member(): view}))
    }

    pub(super) fn create_template(&mut self, of: Of, r: &Value) -> Answer {
        let name = need(r, "name");
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        if let Ok(known) = self.template(of, name) {
            known.meta.check_repeat(r)?;
            return self.template_answer(of, name);
        }
        rules.must(self.templates.len() < quota::TEMPLATES, QUOTA);
        rules.end()?;
        let managed = [("account", ACCOUNT.to_owned()), ("template", of.arn(name))];
        let template = Template {
            meta: self.meta(r, tags.unwrap_or_default(), &managed),
            display: owned(r, "displayName").unwrap_or_else(|| name.to_owned()),
            description: owned(r, "description"),
            encryption_key: owned(r, "encryptionKey"),
            is_customers: text(r, of.provisioning()).is_some(),
            last_major: 0,
            last_minors: BTreeMap::new(),
            versions: BTreeMap::new(),
        };
        self.templates.insert((of, name.to_owned()), template);
        self.template_answer(of, name)
    }

    pub(super) fn get_template(&self, of: Of, r: &Value) -> Answer {
        self.template_answer(of, need(r, "name"))
    }

    pub(super) fn list_templates(&self, of: Of) -> Answer {
        let own = self.templates.iter().filter(|((its, _), _)| *its == of);
        let views = own.map(|((of, name), template)| template.view(*of, name, false));
        Ok(json!({"templates": views.collect::<Vec<_>>()}))
    }

    pub(super) fn update_template(&mut self, of: Of, r: &Value) -> Answer {
        let (name, now) = (need(r, "name"), self.now);
        self.template(of, name)?;
        let template = self.templates.get_mut(&(of, name.to_owned())).unwrap();
        if let Some(display) = owned(r, "displayName") {
            template.display = display;
        }
        template.description = owned(r, "description").or(template.description.take());
        template.meta.edit(now);
        self.template_answer(of, name)
    }

    pub(super) fn delete_template(&mut self, of: Of, r: &Value) -> Answer {
        let key = (of, need(r, "name").to_owned());
        let Some(template) = self.templates.get(&key) else {
            return Ok(json!({}));
        };
        let mut rules = Rules::default();
        rules.must(template.versions.is_empty(), CONFLICT);
        rules.must(
            !self.syncs.contains_key(&(Some(of), key.1.clone())),
            CONFLICT,
        );
        rules.end()?;
        let answer = self.template_answer(of, &key.1);
        self.templates.remove(&key);
        answer
    }
}
