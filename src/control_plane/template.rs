//! What environment templates and service templates share, which is nearly all: a template is a name with a few properties, under
//! which versions are registered. The record also keeps the versions' numbers, so that giving one out, recommending one and
//! taking one away are decided in one place and change at one moment.

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::bundle::TemplateKind;
use super::events::{Subject, name};
use super::idempotency::Fingerprint;
use super::pagination::Page;
use super::resource::{self, Envelope, Resource, Tags};
use super::store::{Change, CommitError, Expect, Key, Kind, Order, Range};
use super::version_numbers::{Number, Numbers};
use super::{Caller, ControlPlane, template_sync};
use crate::api::{Error, pb};

/// Which of the two. They have separate name spaces and one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Environment,
    Service,
}

impl Type {
    /// Of the template or version that has the key.
    pub(super) fn of(key: &Key) -> Self {
        match key.kind {
            Kind::ServiceTemplate | Kind::ServiceTemplateVersion => Self::Service,
            _ => Self::Environment,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Environment => Kind::EnvironmentTemplate,
            Self::Service => Kind::ServiceTemplate,
        }
    }

    pub(super) fn version_kind(self) -> Kind {
        match self {
            Self::Environment => Kind::EnvironmentTemplateVersion,
            Self::Service => Kind::ServiceTemplateVersion,
        }
    }

    /// What a bundle for such a template has to contain.
    pub(super) fn bundle(self, customer_managed: bool) -> TemplateKind {
        match self {
            Self::Environment => TemplateKind::Environment { customer_managed },
            Self::Service => TemplateKind::Service {
                customer_managed_pipeline: customer_managed,
            },
        }
    }

    /// The ARN of a template (`web`) or of a version (`web:1.0`).
    pub(super) fn arn(self, caller: &Caller, id: &str) -> String {
        match self {
            Self::Environment => caller.arn(format_args!("environment-template/{id}")),
            Self::Service => caller.arn(format_args!("service-template/{id}")),
        }
    }

    /// A template as messages to callers name it.
    pub(super) fn named(self, name: &str) -> String {
        match self {
            Self::Environment => format!("environment template {name:?}"),
            Self::Service => format!("service template {name:?}"),
        }
    }

    pub(super) fn key(self, caller: &Caller, name: &str) -> Key {
        caller.key(self.kind(), name)
    }

    pub(super) fn version_key(self, caller: &Caller, name: &str, number: Number) -> Key {
        caller.key(self.version_kind(), format!("{name}:{number}"))
    }

    pub(super) fn not_found(self, name: &str) -> Error {
        Error::not_found(format!("{} does not exist", self.named(name)))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Template {
    pub(super) envelope: Envelope,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) description: Option<String>,
    pub(super) encryption_key: Option<String>,
    /// The customer brings the environment, or the pipeline.
    pub(super) customer_managed: bool,
    pub(super) numbers: Numbers,
}

impl Resource for Template {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    /// The API knows no status of templates, but events do.
    fn told(&self, key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let status = match self.numbers.recommended() {
            None => pb::TemplateVersionStatus::Draft,
            Some(_) => pb::TemplateVersionStatus::Published,
        };
        Some((Subject::Template(Type::of(key), &self.name), name(status)))
    }
}

/// What a template is made from.
pub(super) struct New {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) encryption_key: Option<String>,
    pub(super) customer_managed: bool,
    pub(super) tags: Tags,
    pub(super) fingerprint: Fingerprint,
}

/// What can be changed of a template.
pub(super) struct Edit {
    pub(super) name: String,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
}

pub(super) async fn create(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    new: New,
) -> Result<Template, Error> {
    let key = of.key(caller, &new.name);
    let limit = plane.limits().templates;
    let mut attempts = Attempts::default();
    loop {
        if let Some(existing) = plane.load::<Template>(&key).await? {
            new.fingerprint
                .check_repeat(&of.named(&new.name), &existing.value.envelope)?;
            return Ok(existing.value);
        }
        let template = make(caller, of, &new, plane.now_ms());
        let change = Change::new()
            .and(resource::create(plane, key.clone(), &template))
            .expect(Expect::AtMost {
                scope: caller.scope(),
                kinds: vec![Kind::EnvironmentTemplate, Kind::ServiceTemplate],
                parent: None,
                limit,
            });
        match plane.store().commit(change).await {
            Ok(_) => return Ok(template),
            Err(CommitError::Full { .. }) => {
                return Err(Error::quota_exceeded(format!(
                    "the account holds {limit} templates, as many as it may"
                )));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn make(caller: &Caller, of: Type, new: &New, now_ms: i64) -> Template {
    let managed_tags = [
        ("aws:proton:account".to_owned(), caller.account().to_owned()),
        ("aws:proton:template".to_owned(), of.arn(caller, &new.name)),
    ];
    Template {
        envelope: Envelope {
            created_at_ms: now_ms,
            last_modified_at_ms: now_ms,
            request: new.fingerprint.request.clone(),
            client_token: None,
            modified: false,
            tags: new.tags.clone(),
            managed_tags: managed_tags.into(),
        },
        name: new.name.clone(),
        display_name: new.display_name.clone().unwrap_or_else(|| new.name.clone()),
        description: new.description.clone(),
        encryption_key: new.encryption_key.clone(),
        customer_managed: new.customer_managed,
        numbers: Numbers::default(),
    }
}

pub(super) async fn get(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &str,
) -> Result<Template, Error> {
    let found = plane.load::<Template>(&of.key(caller, name)).await?;
    found
        .map(|found| found.value)
        .ok_or_else(|| of.not_found(name))
}

/// A page of templates, by name.
pub(super) async fn list(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    page: &Page,
) -> Result<(Vec<Template>, Option<String>), Error> {
    let scope = caller.scope();
    let records = plane.store().list(Range {
        scope: &scope,
        kind: of.kind(),
        prefix: "",
        after: page.after(),
        limit: u32::try_from(page.look_for()).expect("pages are small"),
        order: Order::Ascending,
    });
    let (records, next) = page.cut(records.await?, |record| record.key.id.clone());
    let templates = records.iter().map(|record| record.read());
    Ok((templates.collect::<Result<_, _>>()?, next))
}

pub(super) async fn update(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    edit: Edit,
) -> Result<Template, Error> {
    let key = of.key(caller, &edit.name);
    let mut attempts = Attempts::default();
    loop {
        let mut template = plane
            .load::<Template>(&key)
            .await?
            .ok_or_else(|| of.not_found(&edit.name))?;
        apply(&mut template.value, &edit, plane.now_ms());
        match plane.store().commit(template.write(plane)).await {
            Ok(_) => return Ok(template.value),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn apply(template: &mut Template, edit: &Edit, now_ms: i64) {
    if let Some(display_name) = &edit.display_name {
        template.display_name.clone_from(display_name);
    }
    if edit.description.is_some() {
        template.description.clone_from(&edit.description);
    }
    template.envelope.edit(now_ms);
}

/// Deletes a template that has no versions and is not synced. Of one that is not there nothing is known, which is no error.
pub(super) async fn delete(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &str,
) -> Result<Option<Template>, Error> {
    let key = of.key(caller, name);
    let sync = template_sync::synced(caller, of, name).config;
    let mut attempts = Attempts::default();
    loop {
        let Some(template) = plane.load::<Template>(&key).await? else {
            return Ok(None);
        };
        if !template.value.numbers.is_empty() {
            return Err(Error::conflict(format!(
                "{} still has versions",
                of.named(name)
            )));
        }
        let change = Change::new()
            .and(template.delete(plane))
            .expect(Expect::Absent(sync.clone()));
        match plane.store().commit(change).await {
            Ok(_) => return Ok(Some(template.value)),
            Err(CommitError::Exists(_)) => {
                let rule = format!("{} has a sync configuration", of.named(name));
                return Err(Error::conflict(rule));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The members that templates of either type show, in full and in lists.
macro_rules! view {
    ($message:ident, $of:expr, $caller:expr, $template:expr, $provisioning:ident $(, $more:ident)*) => {
        pb::$message {
            arn: $of.arn($caller, &$template.name),
            created_at: $template.envelope.created_at(),
            display_name: Some($template.display_name.clone()),
            last_modified_at: $template.envelope.last_modified_at(),
            recommended_version: $template.numbers.recommended().map(|number| number.to_string()),
            $provisioning: $template.customer_managed.then_some(pb::Provisioning::CustomerManaged.into()),
            description: $template.description.clone(),
            name: $template.name.clone(),
            $($more: $template.$more.clone(),)*
        }
    };
}
pub(super) use view;
