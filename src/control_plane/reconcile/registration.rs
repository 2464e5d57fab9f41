//! Registers template versions: fetches the bundle, checks it, compares it with the minor version before, and keeps it.
//!
//! The bundle is copied into the store with the outcome, so what happens to the original later has no effect.

use bytes::Bytes;

use super::attend::Setback;
use crate::control_plane::bundle::source::FetchError;
use crate::control_plane::bundle::{self, Problem};
use crate::control_plane::resource::Loaded;
use crate::control_plane::store::{self, Change, Key, NewWork, Work};
use crate::control_plane::template::{Template, Type};
use crate::control_plane::template_version::{Status, Version, bundle_blob, schema_blob};
use crate::control_plane::{Caller, ControlPlane};

pub(super) const KIND: &str = "registration";

/// The work to do for a version that was just made.
pub(in crate::control_plane) fn work(version: Key, now_ms: i64) -> NewWork {
    NewWork::new(KIND, version, now_ms, &())
}

/// A version that waits for its registration.
struct Registering {
    of: Type,
    template: Template,
    version: Loaded<Version>,
}

pub(super) async fn perform(plane: &ControlPlane, work: &Work) -> Result<Change, Setback> {
    let Some(registering) = load(plane, &work.subject).await? else {
        return Ok(Change::new());
    };
    let source = &registering.version.value.source;
    let most = plane.limits().bundle.archive_bytes;
    let archive = match plane
        .bundles()
        .fetch(&source.bucket, &source.key, most)
        .await
    {
        Ok(archive) => archive,
        Err(FetchError::Problem(problem)) => {
            return Ok(failed(plane, registering, problem.message()));
        }
        Err(unavailable @ FetchError::Unavailable(_)) => return Err(unavailable.into()),
    };
    let earlier = earlier_bundle(plane, &registering).await?;
    match check(plane, &registering, archive.clone(), earlier).await? {
        Ok(schema) => Ok(registered(plane, registering, archive, schema)),
        Err(problem) => Ok(failed(plane, registering, problem.message())),
    }
}

pub(super) async fn give_up(
    plane: &ControlPlane,
    work: &Work,
    why: &str,
) -> Result<Change, store::Error> {
    let registering = load(plane, &work.subject).await?;
    Ok(registering.map_or_else(Change::new, |registering| failed(plane, registering, why)))
}

/// The version, unless it is gone or registered already.
async fn load(plane: &ControlPlane, key: &Key) -> Result<Option<Registering>, store::Error> {
    let Some(record) = plane.store().get(key).await? else {
        return Ok(None);
    };
    let version = Loaded::<Version>::of(record)?;
    let of = Type::of(key);
    let template = of.key(&Caller::of(key), &version.value.template);
    match plane.store().get(&template).await? {
        Some(template) if version.value.status == Status::RegistrationInProgress => {
            Ok(Some(Registering {
                of,
                template: template.read()?,
                version,
            }))
        }
        _ => Ok(None),
    }
}

/// The bundle of the latest minor version before that was registered.
async fn earlier_bundle(
    plane: &ControlPlane,
    registering: &Registering,
) -> Result<Option<Vec<u8>>, store::Error> {
    let Registering {
        of,
        template,
        version,
    } = registering;
    let (owner, number) = (Caller::of(&version.key), version.value.number);
    for earlier in template
        .numbers
        .minors(number.major)
        .filter(|earlier| earlier.minor < number.minor)
    {
        let key = of.version_key(&owner, &template.name, earlier);
        let Some(record) = plane.store().get(&key).await? else {
            continue;
        };
        if matches!(
            record.read::<Version>()?.status,
            Status::Draft | Status::Published
        ) {
            return plane.store().blob(&bundle_blob(&key)).await;
        }
    }
    Ok(None)
}

/// Checks the bundle, and answers with the text of its schema. Unpacking and parsing take their time, so they go elsewhere.
async fn check(
    plane: &ControlPlane,
    registering: &Registering,
    archive: Bytes,
    earlier: Option<Vec<u8>>,
) -> Result<Result<String, Problem>, Setback> {
    let kind = registering.of.bundle(registering.template.customer_managed);
    let limits = plane.limits().bundle.clone();
    let checking = tokio::task::spawn_blocking(move || {
        let schema = bundle::check(kind, &archive, &limits)?.schema;
        // What was registered under other limits than today's may fail them; then there is nothing to compare with.
        if let Some(earlier) =
            earlier.and_then(|earlier| bundle::check(kind, &earlier, &limits).ok())
        {
            bundle::compat::check(&earlier.schema, &schema)?;
        }
        Ok(schema.text().to_owned())
    });
    checking
        .await
        .map_err(|_| "the bundle could not be checked".into())
}

fn registered(
    plane: &ControlPlane,
    registering: Registering,
    archive: Bytes,
    schema: String,
) -> Change {
    let key = registering.version.key.clone();
    end(plane, registering, Status::Draft, "")
        .put_blob(bundle_blob(&key), archive.into())
        .put_blob(schema_blob(&key), schema.into_bytes())
}

fn failed(plane: &ControlPlane, registering: Registering, why: &str) -> Change {
    end(plane, registering, Status::RegistrationFailed, why)
}

fn end(plane: &ControlPlane, registering: Registering, status: Status, message: &str) -> Change {
    let mut version = registering.version;
    version.value.status = status;
    version.value.status_message = Some(message.to_owned());
    version.value.envelope.last_modified_at_ms = plane.now_ms();
    version.write(plane)
}
