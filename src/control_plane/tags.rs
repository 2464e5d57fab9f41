//! Tags: labels that customers set on any resource, beside those that the control plane sets itself.
//!
//! Both live in the resource's envelope. A resource copies the tags of the one it is made from; after that each goes its own way.

use std::ops::Bound;

use serde::Deserialize;

use super::attempts::Attempts;
use super::component::Component;
use super::deployment::Deployment;
use super::environment::Environment;
use super::environment_account_connection::Connection;
use super::pagination::Page;
use super::repository::Repository;
use super::resource::{Envelope, Resource, Tags};
use super::service::Service;
use super::service_instance::{self, ServiceInstance};
use super::service_pipeline::{self, Pipeline};
use super::store::{Key, Kind};
use super::template::Template;
use super::template_version::Version;
use super::{Caller, ControlPlane};
use crate::api::{Error, operation, pb};
use crate::policy::Kept;

/// Customer tags on one resource.
const MOST: usize = 50;

/// The part of a resource's record that all families share.
#[derive(Deserialize)]
struct Tagged {
    envelope: Envelope,
}

/// The template that a resource is made from, among its managed tags.
const TEMPLATE: &str = "aws:proton:template";

impl ControlPlane {
    /// What policies may go by of the resource with this ARN, of those that the caller has.
    pub async fn known_of(&self, caller: &Caller, arn: &str) -> Result<Option<Kept>, Error> {
        let Some(key) = locate(caller, arn) else {
            return Ok(None);
        };
        let Some(record) = self.store().get(&key).await? else {
            return Ok(None);
        };
        let mut envelope = record.read::<Tagged>()?.envelope;
        Ok(Some(Kept {
            tags: envelope.tags,
            template: envelope.managed_tags.remove(TEMPLATE),
        }))
    }
}

pub(super) async fn list_tags_for_resource(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListTagsForResourceRequest,
) -> Result<pb::ListTagsForResourceResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListTagsForResource>(caller, &request, most, token)?;
    let arn = &request.resource_arn;
    let key = find(plane, caller, arn).await?;
    let record = plane
        .store()
        .get(&key)
        .await?
        .ok_or_else(|| not_found(arn))?;
    let Envelope {
        mut tags,
        mut managed_tags,
        ..
    } = record.read::<Tagged>()?.envelope;
    tags.append(&mut managed_tags);

    let behind = page.after().map_or(Bound::Unbounded, Bound::Excluded);
    let found = tags
        .range::<str, _>((behind, Bound::Unbounded))
        .take(page.look_for());
    let (tags, next_token) = page.cut(found.collect(), |(key, _)| (*key).clone());
    let tags = tags.into_iter().map(|(key, value)| pb::Tag {
        key: key.clone(),
        value: value.clone(),
    });
    Ok(pb::ListTagsForResourceResponse {
        next_token,
        tags: tags.collect(),
    })
}

pub(super) async fn tag_resource(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::TagResourceRequest,
) -> Result<pb::TagResourceResponse, Error> {
    let added = from_request(request.tags)?;
    edit(plane, caller, &request.resource_arn, |tags| {
        tags.extend(added.clone())
    })
    .await?;
    Ok(pb::TagResourceResponse {})
}

pub(super) async fn untag_resource(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::UntagResourceRequest,
) -> Result<pb::UntagResourceResponse, Error> {
    request.tag_keys.iter().try_for_each(|key| check_key(key))?;
    edit(plane, caller, &request.resource_arn, |tags| {
        tags.retain(|key, _| !request.tag_keys.contains(key))
    })
    .await?;
    Ok(pb::UntagResourceResponse {})
}

/// Which record an ARN names, unless it is one that users do not know of.
async fn find(plane: &ControlPlane, caller: &Caller, arn: &str) -> Result<Key, Error> {
    let key = locate(caller, arn).ok_or_else(|| not_found(arn))?;
    let instance = (key.kind == Kind::ServiceInstance)
        .then(|| key.id.split_once(' '))
        .flatten();
    if let Some((service, name)) = instance
        && !service_instance::is_known(plane, caller, service, name).await?
    {
        return Err(not_found(arn));
    }
    Ok(key)
}

/// Which record an ARN names.
fn locate(caller: &Caller, arn: &str) -> Option<Key> {
    let (family, id) = caller.own(arn)?.split_once('/')?;
    if let ("service", Some((service, part))) = (family, id.split_once('/')) {
        return match part.split_once('/') {
            None if part == "pipeline" => Some(service_pipeline::key(caller, service)),
            Some(("service-instance", name)) => Some(service_instance::key(caller, service, name)),
            _ => None,
        };
    }
    let kind = match (family, id.contains(':')) {
        ("environment-template", false) => Kind::EnvironmentTemplate,
        ("environment-template", true) => Kind::EnvironmentTemplateVersion,
        ("service-template", false) => Kind::ServiceTemplate,
        ("service-template", true) => Kind::ServiceTemplateVersion,
        ("environment", false) => Kind::Environment,
        ("service", false) => Kind::Service,
        ("component", false) => Kind::Component,
        ("deployment", false) => Kind::Deployment,
        ("repository", _) => Kind::Repository,
        ("environment-account-connection", _) => Kind::EnvironmentAccountConnection,
        _ => return None,
    };
    Some(caller.key(kind, id))
}

/// Changes the customer tags of whatever has the ARN. A line a record type.
async fn edit(
    plane: &ControlPlane,
    caller: &Caller,
    arn: &str,
    change: impl Fn(&mut Tags),
) -> Result<(), Error> {
    let key = find(plane, caller, arn).await?;
    match key.kind {
        Kind::EnvironmentTemplate | Kind::ServiceTemplate => {
            edit_record::<Template>(plane, &key, arn, change).await
        }
        Kind::EnvironmentTemplateVersion | Kind::ServiceTemplateVersion => {
            edit_record::<Version>(plane, &key, arn, change).await
        }
        Kind::Environment => edit_record::<Environment>(plane, &key, arn, change).await,
        Kind::Component => edit_record::<Component>(plane, &key, arn, change).await,
        Kind::Deployment => edit_record::<Deployment>(plane, &key, arn, change).await,
        Kind::EnvironmentAccountConnection => {
            edit_record::<Connection>(plane, &key, arn, change).await
        }
        Kind::Repository => edit_record::<Repository>(plane, &key, arn, change).await,
        Kind::Service => edit_record::<Service>(plane, &key, arn, change).await,
        Kind::ServiceInstance => edit_record::<ServiceInstance>(plane, &key, arn, change).await,
        Kind::ServicePipeline => edit_record::<Pipeline>(plane, &key, arn, change).await,
        _ => Err(not_found(arn)),
    }
}

async fn edit_record<R: Resource>(
    plane: &ControlPlane,
    key: &Key,
    arn: &str,
    change: impl Fn(&mut Tags),
) -> Result<(), Error> {
    let mut attempts = Attempts::default();
    loop {
        let mut resource = plane.load::<R>(key).await?.ok_or_else(|| not_found(arn))?;
        let envelope = resource.value.envelope_mut();
        change(&mut envelope.tags);
        envelope.modified = true;
        check_count(&envelope.tags)?;
        match plane.store().commit(resource.write(plane)).await {
            Ok(_) => return Ok(()),
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn not_found(arn: &str) -> Error {
    Error::not_found(format!("there is no resource {arn}"))
}

/// The tags of a request, if they are such as a customer may set.
pub(super) fn from_request(tags: Vec<pb::Tag>) -> Result<Tags, Error> {
    let count = tags.len();
    for tag in &tags {
        check_key(&tag.key)?;
        check_text("value", &tag.value)?;
    }
    let tags: Tags = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    match tags.len() == count {
        true => Ok(tags),
        false => Err(Error::validation("tags: a key is given more than once")),
    }
}

/// Puts the tags of a request in order, so that requests which differ only in that are the same.
pub(super) fn sort(tags: &mut [pb::Tag]) {
    tags.sort_by(|one, other| one.key.cmp(&other.key));
}

/// The customer tags of a resource that is made from another one: those it copies, and its own in their place or beside them.
pub(super) fn inherit(parent: &Tags, own: Tags) -> Result<Tags, Error> {
    let mut tags = parent.clone();
    tags.extend(own);
    check_count(&tags)?;
    Ok(tags)
}

/// The labels for what an engine provisions: the managed tags, outermost resource first.
pub(super) fn propagated(managed: &Tags) -> Vec<(String, String)> {
    const ORDER: [&str; 6] = [
        "proton:account",
        "proton:template",
        "proton:service",
        "proton:environment",
        "proton:service-instance",
        "proton:component",
    ];
    let tag = |key: &&str| {
        Some((
            (*key).to_owned(),
            managed.get(&format!("aws:{key}"))?.clone(),
        ))
    };
    ORDER.iter().filter_map(tag).collect()
}

fn check_count(tags: &Tags) -> Result<(), Error> {
    match tags.len() <= MOST {
        true => Ok(()),
        false => Err(Error::validation(format!(
            "tags: a resource holds at most {MOST}, this one would have {}",
            tags.len()
        ))),
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    if key
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
    {
        return Err(Error::validation(
            "tags: keys that begin with aws: are reserved",
        ));
    }
    check_text("key", key)
}

fn check_text(what: &str, text: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@*".contains(c);
    match text.chars().all(allowed) {
        true => Ok(()),
        false => Err(Error::validation(format!(
            "tags: a {what} may hold letters, digits, spaces and _.:/=+-@* only"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> pb::Tag {
        pb::Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn keys_and_values_keep_to_their_characters() {
        assert!(from_request(vec![tag("Größe _.:/=+-@*", "é 1")]).is_ok());
        assert!(from_request(vec![tag("a;b", "")]).is_err());
        assert!(from_request(vec![tag("a", "tab\t")]).is_err());
    }

    #[test]
    fn reserved_and_repeated_keys_are_refused() {
        assert!(from_request(vec![tag("aws:proton:account", "1")]).is_err());
        assert!(from_request(vec![tag("AWS:x", "1")]).is_err());
        assert!(from_request(vec![tag("awsome", "1")]).is_ok());
        assert!(from_request(vec![tag("a", "1"), tag("a", "2")]).is_err());
        assert!(from_request(vec![tag("a", "1"), tag("A", "2")]).is_ok());
    }

    #[test]
    fn a_child_overrides_what_it_inherits_within_the_limit() {
        let parent = |count: usize| {
            (0..count)
                .map(|n| (n.to_string(), "parent".to_owned()))
                .collect::<Tags>()
        };
        let own = || Tags::from([("0".to_owned(), "own".to_owned())]);
        assert_eq!(inherit(&parent(50), own()).unwrap()["0"], "own");
        assert!(inherit(&parent(50), Tags::from([("new".to_owned(), String::new())])).is_err());
    }

    #[test]
    fn an_arn_leads_to_the_record() {
        let caller = Caller::new("1", "r");
        let found =
            |resource: &str| locate(&caller, &caller.arn(resource)).map(|key| (key.kind, key.id));
        assert_eq!(
            found("environment-template/t"),
            Some((Kind::EnvironmentTemplate, "t".to_owned()))
        );
        assert_eq!(
            found("service-template/t:1.0"),
            Some((Kind::ServiceTemplateVersion, "t:1.0".to_owned()))
        );
        assert_eq!(
            found("repository/github:me/infra"),
            Some((Kind::Repository, "github:me/infra".to_owned()))
        );
        assert_eq!(
            found("service/web"),
            Some((Kind::Service, "web".to_owned()))
        );
        assert_eq!(
            found("service/web/service-instance/dev"),
            Some((Kind::ServiceInstance, "web dev".to_owned()))
        );
        assert_eq!(
            found("service/web/pipeline"),
            Some((Kind::ServicePipeline, "web".to_owned()))
        );
        assert_eq!(found("service/web/nothing"), None);
        assert_eq!(found("nothing/t"), None);
    }
}
