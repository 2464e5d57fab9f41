//! Template versions: bundles that are registered, numbered, and in time published. Environment and service templates have the
//! same, but that a service template's version also says which environments and components it goes with.
//!
//! ```text
//! (create) ─► REGISTRATION_IN_PROGRESS ─┬─► DRAFT ─► PUBLISHED
//!                                       └─► REGISTRATION_FAILED
//! ```
//! The bundle and its schema are blobs beside the record, since lists need neither.

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::bundle::{self, Bundle};
use super::events::{Subject, name};
use super::idempotency::Fingerprint;
use super::pagination::Page;
use super::reconcile::registration;
use super::resource::{self, Envelope, Loaded, Resource, Tags};
use super::store::{CommitError, Expect, Index, Key, Record};
use super::tags;
use super::template::{Template, Type};
use super::version_numbers::{Kept, Number};
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// From the ARN of a version to what is deployed, or being deployed, on it.
pub(super) const DEPLOYED: Index = Index::new("deployed");

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) envelope: Envelope,
    pub(super) template: String,
    pub(super) number: Number,
    pub(super) description: Option<String>,
    pub(super) status: Status,
    pub(super) status_message: Option<String>,
    pub(super) source: Source,
    /// On versions of service templates.
    pub(super) fit: Option<Fit>,
}

impl Resource for Version {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    fn told(&self, key: &Key) -> Option<(Subject<'_>, &'static str)> {
        let subject = Subject::TemplateVersion(Type::of(key), &self.template, self.number);
        Some((subject, name(pb::TemplateVersionStatus::from(self.status))))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    RegistrationInProgress,
    RegistrationFailed,
    Draft,
    Published,
}

impl From<Status> for pb::TemplateVersionStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::RegistrationInProgress => Self::RegistrationInProgress,
            Status::RegistrationFailed => Self::RegistrationFailed,
            Status::Draft => Self::Draft,
            Status::Published => Self::Published,
        }
    }
}

/// Where the bundle lies until it is copied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
}

impl From<Option<pb::TemplateVersionSourceInput>> for Source {
    fn from(source: Option<pb::TemplateVersionSourceInput>) -> Self {
        let Some(pb::template_version_source_input::Kind::S3(s3)) =
            source.and_then(|source| source.kind)
        else {
            unreachable!("validation insists on a source");
        };
        Self {
            bucket: s3.bucket,
            key: s3.key,
        }
    }
}

/// What a service template's version goes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fit {
    pub(super) environments: Vec<MajorVersion>,
    /// Whether components may be attached to its instances.
    pub(super) components: bool,
}

/// A major version of an environment template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MajorVersion {
    pub(super) template: String,
    pub(super) major: String,
}

/// Where the bytes of the bundle are kept.
pub(super) fn bundle_blob(version: &Key) -> String {
    format!(
        "{}/{}/{}/bundle",
        version.scope,
        version.kind.as_str(),
        version.id
    )
}

/// Where the text of the schema is kept.
pub(super) fn schema_blob(version: &Key) -> String {
    format!(
        "{}/{}/{}/schema",
        version.scope,
        version.kind.as_str(),
        version.id
    )
}

/// The bundle of a registered version.
pub(super) async fn bundle(
    plane: &ControlPlane,
    of: Type,
    customer_managed: bool,
    version: &Key,
) -> Result<Bundle, Error> {
    let archive = plane.store().blob(&bundle_blob(version)).await?;
    let archive = archive.ok_or_else(|| {
        tracing::error!(%version, "a registered version has no bundle");
        Error::internal()
    })?;
    let limits = plane.limits().bundle.clone();
    let kind = of.bundle(customer_managed);
    let checked = tokio::task::spawn_blocking(move || bundle::check(kind, &archive, &limits));
    let checked = checked.await.map_err(|_| Error::internal())?;
    // What was registered under other limits than today's may fail them.
    checked.map_err(|problem| Error::validation(problem.message()))
}

/// What a version is made from.
pub(super) struct New {
    pub(super) template: String,
    pub(super) major: Option<String>,
    pub(super) description: Option<String>,
    pub(super) source: Source,
    pub(super) tags: Tags,
    pub(super) fit: Option<Fit>,
    pub(super) fingerprint: Fingerprint,
}

/// Names a version as requests do.
pub(super) struct Name {
    pub(super) template: String,
    pub(super) major: String,
    pub(super) minor: String,
}

impl Name {
    fn key(&self, caller: &Caller, of: Type) -> Option<Key> {
        Some(of.version_key(
            caller,
            &self.template,
            Number::of(&self.major, &self.minor)?,
        ))
    }

    fn not_found(&self, of: Type) -> Error {
        let Self {
            template,
            major,
            minor,
        } = self;
        Error::not_found(format!(
            "version {major}.{minor} of {} does not exist",
            of.named(template)
        ))
    }
}

/// What can be changed of a version.
pub(super) struct Edit {
    pub(super) description: Option<String>,
    pub(super) status: Option<pb::TemplateVersionStatus>,
    pub(super) environments: Option<Vec<MajorVersion>>,
    pub(super) components: Option<bool>,
}

/// A version with what its views take from elsewhere.
pub(super) struct Shown {
    pub(super) version: Version,
    pub(super) recommended_minor: Option<u32>,
    pub(super) schema: Option<String>,
}

impl Shown {
    fn new(template: &Template, version: Version) -> Self {
        let recommended_minor = template.numbers.recommended_minor(version.number.major);
        Self {
            version,
            recommended_minor,
            schema: None,
        }
    }

    async fn with_schema(mut self, plane: &ControlPlane, key: &Key) -> Result<Self, Error> {
        let text = plane.store().blob(&schema_blob(key)).await?;
        self.schema =
            text.map(|text| String::from_utf8(text).expect("only text is kept as a schema"));
        Ok(self)
    }
}

pub(super) async fn create(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    new: New,
) -> Result<Shown, Error> {
    let token_key = new.fingerprint.token_key(caller);
    let limit = plane.limits().versions_per_template;
    let mut attempts = Attempts::default();
    loop {
        let used = match &token_key {
            Some(key) => plane.store().get(key).await?,
            None => None,
        };
        if let Some(original) = original(plane, caller, of, &new, used.as_ref()).await? {
            return Ok(original);
        }
        let template = plane
            .load::<Template>(&of.key(caller, &new.template))
            .await?;
        let mut template = template.ok_or_else(|| of.not_found(&new.template))?;
        check_environments(
            plane,
            caller,
            new.fit.as_ref().map_or(&[], |fit| &fit.environments),
        )
        .await?;

        let now_ms = plane.now_ms();
        let version = make(of, &mut template.value, &new, now_ms)?;
        let key = of.version_key(caller, &new.template, version.number);
        let mut change = template
            .write(plane)
            .and(resource::create_under(
                plane,
                &new.template,
                key.clone(),
                &version,
            ))
            .enqueue(registration::work(key.clone(), now_ms))
            .expect(Expect::AtMost {
                scope: caller.scope(),
                kinds: vec![of.version_kind()],
                parent: Some(new.template.clone()),
                limit,
            });
        if let Some(token_key) = token_key.clone() {
            change =
                change.put(
                    new.fingerprint
                        .remember(token_key, used.as_ref(), &key.id, now_ms),
                );
        }
        match plane.store().commit(change).await {
            Ok(_) => return Ok(Shown::new(&template.value, version)),
            Err(CommitError::Full { .. }) => {
                let named = of.named(&new.template);
                return Err(Error::quota_exceeded(format!(
                    "{named} holds {limit} versions, as many as it may"
                )));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// The version that an earlier call with the same client token made.
async fn original(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    new: &New,
    used: Option<&Record>,
) -> Result<Option<Shown>, Error> {
    let Some(id) = new.fingerprint.made(used, plane.now_ms())? else {
        return Ok(None);
    };
    let key = caller.key(of.version_kind(), id);
    let Some(version) = plane.load::<Version>(&key).await? else {
        return Ok(None);
    };
    if !new.fingerprint.is_original(&version.value.envelope)? {
        return Ok(None);
    }
    let template = plane
        .load::<Template>(&of.key(caller, &version.value.template))
        .await?;
    let Some(template) = template else {
        return Ok(None);
    };
    Ok(Some(
        Shown::new(&template.value, version.value)
            .with_schema(plane, &key)
            .await?,
    ))
}

fn make(of: Type, template: &mut Template, new: &New, now_ms: i64) -> Result<Version, Error> {
    let number = match &new.major {
        None => template.numbers.next(None),
        Some(major) => major
            .parse()
            .ok()
            .and_then(|major| template.numbers.next(Some(major))),
    };
    let number = number.ok_or_else(|| {
        let major = new.major.as_deref().unwrap_or_default();
        Error::not_found(format!(
            "{} has no major version {major}",
            of.named(&new.template)
        ))
    })?;
    Ok(Version {
        envelope: Envelope {
            created_at_ms: now_ms,
            last_modified_at_ms: now_ms,
            request: new.fingerprint.request.clone(),
            client_token: new.fingerprint.client_token.clone(),
            modified: false,
            tags: tags::inherit(&template.envelope.tags, new.tags.clone())?,
            managed_tags: template.envelope.managed_tags.clone(),
        },
        template: new.template.clone(),
        number,
        description: new.description.clone(),
        status: Status::RegistrationInProgress,
        status_message: None,
        source: new.source.clone(),
        fit: new.fit.clone(),
    })
}

/// Every major version that a service template's version names must be there.
async fn check_environments(
    plane: &ControlPlane,
    caller: &Caller,
    environments: &[MajorVersion],
) -> Result<(), Error> {
    for MajorVersion { template, major } in environments {
        let known = plane
            .load::<Template>(&Type::Environment.key(caller, template))
            .await?;
        let number = major.parse().ok();
        if !known
            .zip(number)
            .is_some_and(|(known, major)| known.value.numbers.has_major(major))
        {
            let named = Type::Environment.named(template);
            let rule =
                format!("compatibleEnvironmentTemplates: {named} has no major version {major}");
            return Err(Error::validation(rule));
        }
    }
    Ok(())
}

pub(super) async fn get(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &Name,
) -> Result<Shown, Error> {
    let not_found = || name.not_found(of);
    let key = name.key(caller, of).ok_or_else(not_found)?;
    let (template, version) = load(plane, caller, of, name, &key)
        .await?
        .ok_or_else(not_found)?;
    Shown::new(&template.value, version.value)
        .with_schema(plane, &key)
        .await
}

/// A version and its template, as they are at one moment.
async fn load(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &Name,
    key: &Key,
) -> Result<Option<(Loaded<Template>, Loaded<Version>)>, Error> {
    let mut records = plane
        .store()
        .get_many(&[of.key(caller, &name.template), key.clone()])
        .await?;
    let (version, template) = (records.pop().flatten(), records.pop().flatten());
    let Some((template, version)) = template.zip(version) else {
        return Ok(None);
    };
    Ok(Some((Loaded::of(template)?, Loaded::of(version)?)))
}

/// A page of versions, highest first: the minor versions of a major one, else one for each major version.
pub(super) async fn list(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &str,
    major: Option<&str>,
    page: &Page,
) -> Result<(Vec<Shown>, Option<String>), Error> {
    let template = plane
        .load::<Template>(&of.key(caller, name))
        .await?
        .ok_or_else(|| of.not_found(name))?
        .value;
    // The part that tells the entries of the list apart.
    let part = |number: &Number| {
        if major.is_some() {
            number.minor
        } else {
            number.major
        }
    };
    let numbers: Vec<Number> = match major {
        None => template.numbers.majors().collect(),
        Some(major) => major.parse().map_or_else(
            |_| Vec::new(),
            |major| template.numbers.minors(major).collect(),
        ),
    };
    let after: Option<u32> = page.after().and_then(|after| after.parse().ok());
    let behind = numbers
        .into_iter()
        .filter(|number| after.is_none_or(|after| part(number) < after));
    let (numbers, next) = page.cut(behind.take(page.look_for()).collect(), |number| {
        part(number).to_string()
    });

    let keys: Vec<Key> = numbers
        .iter()
        .map(|number| of.version_key(caller, name, *number))
        .collect();
    let records = plane.store().get_many(&keys).await?;
    let shown = records
        .into_iter()
        .flatten()
        .map(|record| Ok(Shown::new(&template, record.read()?)));
    Ok((shown.collect::<Result<_, Error>>()?, next))
}

pub(super) async fn update(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &Name,
    edit: &Edit,
) -> Result<Shown, Error> {
    let not_found = || name.not_found(of);
    let key = name.key(caller, of).ok_or_else(not_found)?;
    let mut attempts = Attempts::default();
    loop {
        let (mut template, mut version) = load(plane, caller, of, name, &key)
            .await?
            .ok_or_else(not_found)?;
        check_environments(
            plane,
            caller,
            edit.environments.as_deref().unwrap_or_default(),
        )
        .await?;
        let published = apply(&mut version.value, edit, plane.now_ms())?;
        let mut change = version.write(plane);
        if published {
            template.value.numbers.publish(version.value.number);
            change = change.and(template.write(plane));
        }
        match plane.store().commit(change).await {
            Ok(_) => {
                return Shown::new(&template.value, version.value)
                    .with_schema(plane, &key)
                    .await;
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// Changes the version, and says whether it is published thereby.
fn apply(version: &mut Version, edit: &Edit, now_ms: i64) -> Result<bool, Error> {
    let status = next_status(version.status, edit.status)?;
    let published = status != version.status;
    version.status = status;
    if edit.description.is_some() {
        version.description.clone_from(&edit.description);
    }
    if let Some(fit) = &mut version.fit {
        if let Some(environments) = &edit.environments {
            fit.environments.clone_from(environments);
        }
        fit.components = edit.components.unwrap_or(fit.components);
    }
    version.envelope.edit(now_ms);
    Ok(published)
}

/// The status after an update that asks for one, or for none.
fn next_status(now: Status, asked: Option<pb::TemplateVersionStatus>) -> Result<Status, Error> {
    use pb::TemplateVersionStatus as Asked;
    match (now, asked) {
        (Status::RegistrationInProgress, _) => {
            Err(Error::conflict("the version is still being registered"))
        }
        (Status::RegistrationFailed, _) => Err(Error::validation(
            "the registration of the version failed: it can only be deleted",
        )),
        (Status::Draft, None | Some(Asked::Draft)) => Ok(Status::Draft),
        (Status::Draft | Status::Published, Some(Asked::Published)) => Ok(Status::Published),
        (Status::Published, None) => Ok(Status::Published),
        (Status::Published, Some(Asked::Draft)) => Err(Error::validation(
            "status: a published version cannot become a draft again",
        )),
        (
            _,
            Some(Asked::Unspecified | Asked::RegistrationInProgress | Asked::RegistrationFailed),
        ) => Err(Error::validation("status: only PUBLISHED can be asked for")),
    }
}

/// Deletes a version. Of one that is not there nothing is known, which is no error.
pub(super) async fn delete(
    plane: &ControlPlane,
    caller: &Caller,
    of: Type,
    name: &Name,
) -> Result<Option<Shown>, Error> {
    let Some(key) = name.key(caller, of) else {
        return Ok(None);
    };
    let mut attempts = Attempts::default();
    loop {
        let Some((mut template, version)) = load(plane, caller, of, name, &key).await? else {
            return Ok(None);
        };
        let deleted = version.delete(plane);
        let shown = Shown::new(&template.value, version.value)
            .with_schema(plane, &key)
            .await?;
        withdraw(&mut template.value, &shown.version)?;
        let change = deleted
            .and(template.write(plane))
            .delete_blob(bundle_blob(&key))
            .delete_blob(schema_blob(&key))
            .expect(Expect::Unreferenced {
                index: DEPLOYED,
                value: of.arn(caller, &key.id),
            });
        match plane.store().commit(change).await {
            Ok(_) => return Ok(Some(shown)),
            Err(CommitError::Referenced { .. }) => {
                return Err(Error::conflict(
                    "the version is deployed, or being deployed",
                ));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

/// Takes a version out of its template, if it may go.
fn withdraw(template: &mut Template, version: &Version) -> Result<(), Error> {
    if version.status == Status::RegistrationInProgress {
        return Err(Error::conflict("the version is still being registered"));
    }
    template
        .numbers
        .remove(version.number)
        .map_err(|kept| match kept {
            Kept::RecommendedMinor => Error::conflict(
                "the version is the recommended minor version of a major version that has others",
            ),
            Kept::RecommendedVersion => Error::conflict(
                "the version is the recommended version of a template that has others",
            ),
        })
}

/// The members that versions of either type show, in full and in lists.
macro_rules! view {
    ($message:ident, $of:expr, $caller:expr, $shown:expr $(, $more:ident: $value:expr)*) => {
        pb::$message {
            arn: $of.arn($caller, &format!("{}:{}", $shown.version.template, $shown.version.number)),
            created_at: $shown.version.envelope.created_at(),
            description: $shown.version.description.clone(),
            last_modified_at: $shown.version.envelope.last_modified_at(),
            major_version: $shown.version.number.major.to_string(),
            minor_version: $shown.version.number.minor.to_string(),
            recommended_minor_version: $shown.recommended_minor.map(|minor| minor.to_string()),
            status: pb::TemplateVersionStatus::from($shown.version.status).into(),
            status_message: $shown.version.status_message.clone(),
            template_name: $shown.version.template.clone(),
            $($more: $value,)*
        }
    };
}
pub(super) use view;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;
    use pb::TemplateVersionStatus as Asked;

    fn answer(now: Status, asked: Asked) -> Result<Status, Code> {
        next_status(now, Some(asked)).map_err(|error| error.code)
    }

    #[test]
    fn only_a_draft_can_be_published() {
        assert_eq!(
            answer(Status::Draft, Asked::Published),
            Ok(Status::Published)
        );
        assert_eq!(
            answer(Status::RegistrationFailed, Asked::Published),
            Err(Code::Validation)
        );
        assert_eq!(
            answer(Status::RegistrationInProgress, Asked::Published),
            Err(Code::Conflict)
        );
    }

    #[test]
    fn asking_for_the_status_it_has_changes_nothing() {
        assert_eq!(
            answer(Status::Published, Asked::Published),
            Ok(Status::Published)
        );
        assert_eq!(answer(Status::Draft, Asked::Draft), Ok(Status::Draft));
    }

    #[test]
    fn there_is_no_way_back() {
        assert_eq!(
            answer(Status::Published, Asked::Draft),
            Err(Code::Validation)
        );
        for asked in [Asked::RegistrationInProgress, Asked::RegistrationFailed] {
            assert_eq!(answer(Status::Draft, asked), Err(Code::Validation));
            assert_eq!(answer(Status::Published, asked), Err(Code::Validation));
        }
    }
}
