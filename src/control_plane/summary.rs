//! `GetResourcesSummary`: how many resources of each kind there are, how many failed, and how many are behind the recommended
//! version of their template.
//!
//! Nobody counts while things change: what is recommended may turn for thousands of resources by one published version. Instead
//! each resource has an index entry that says all that the summary needs of it, and the summary reads the entries, never a record
//! but those of the templates. So it costs about a microsecond a resource: some 30 ms for 10,000 services with an instance and a
//! pipeline each, on a thread for blocking work.

use std::collections::{BTreeMap, HashMap};

use super::store::{Entry, Index, Key, Kind, Put};
use super::template::Template;
use super::version_numbers::{Number, Numbers, Staleness};
use super::{Caller, ControlPlane};
use crate::api::{Error, pb};

/// From `<scope> ok|failed [<template> <version>]` to the resources that are in this condition.
const CONDITION: Index = Index::new("condition");

/// Adds the entry of a resource to its record.
pub(super) fn index(
    put: Put,
    owner: &Caller,
    is_failed: bool,
    version: Option<(&str, Number)>,
) -> Put {
    let scope = owner.scope();
    let condition = if is_failed { "failed" } else { "ok" };
    put.indexed(
        CONDITION,
        match version {
            None => format!("{scope} {condition}"),
            Some((template, number)) => format!("{scope} {condition} {template} {number}"),
        },
    )
}

/// What an entry says.
struct Condition<'a> {
    is_failed: bool,
    version: Option<(&'a str, Number)>,
}

impl<'a> Condition<'a> {
    fn of(entry: &'a Entry) -> Self {
        let mut words = entry.value.split(' ').skip(1);
        let is_failed = words.next() == Some("failed");
        let version = words.next().zip(words.next());
        let version = version.and_then(|(template, number)| {
            let (major, minor) = number.split_once('.')?;
            Some((template, Number::of(major, minor)?))
        });
        Self { is_failed, version }
    }
}

/// The counts of one kind.
#[derive(Clone, Copy, Default)]
struct Counts {
    total: i32,
    failed: i32,
    up_to_date: i32,
    behind_minor: i32,
    behind_major: i32,
}

impl Counts {
    fn add(&mut self, is_failed: bool, staleness: Staleness) {
        self.total += 1;
        self.failed += i32::from(is_failed);
        *match staleness {
            Staleness::UpToDate => &mut self.up_to_date,
            Staleness::BehindMinor => &mut self.behind_minor,
            Staleness::BehindMajor => &mut self.behind_major,
        } += 1;
    }

    fn without_staleness(self) -> pb::ResourceCountsSummary {
        pb::ResourceCountsSummary {
            total: self.total,
            failed: Some(self.failed),
            ..Default::default()
        }
    }

    fn in_full(self) -> pb::ResourceCountsSummary {
        pb::ResourceCountsSummary {
            up_to_date: Some(self.up_to_date),
            behind_minor: Some(self.behind_minor),
            behind_major: Some(self.behind_major),
            ..self.without_staleness()
        }
    }
}

pub(super) async fn get_resources_summary(
    plane: &ControlPlane,
    caller: &Caller,
    _: pb::GetResourcesSummaryRequest,
) -> Result<pb::GetResourcesSummaryResponse, Error> {
    let entries = plane
        .store()
        .entries(CONDITION, &format!("{} ", caller.scope()))
        .await?;
    let templates = templates(plane, &entries).await?;
    let counts = count(&entries, &templates);
    let of = |kind| counts.get(&kind).copied().unwrap_or_default();
    let total = async |kind| -> Result<pb::ResourceCountsSummary, Error> {
        let total = plane.store().count(&caller.scope(), kind, None).await?;
        Ok(pb::ResourceCountsSummary {
            total: i32::try_from(total).unwrap_or(i32::MAX),
            ..Default::default()
        })
    };
    Ok(pb::GetResourcesSummaryResponse {
        counts: Some(pb::CountsSummary {
            components: Some(of(Kind::Component).without_staleness()),
            environment_templates: Some(total(Kind::EnvironmentTemplate).await?),
            environments: Some(of(Kind::Environment).in_full()),
            pipelines: Some(of(Kind::ServicePipeline).in_full()),
            service_instances: Some(of(Kind::ServiceInstance).in_full()),
            service_templates: Some(total(Kind::ServiceTemplate).await?),
            services: Some(of(Kind::Service).in_full()),
        }),
    })
}

/// The template that a resource in this condition is deployed from.
fn template(entry: &Entry) -> Option<Key> {
    let (template, _) = Condition::of(entry).version?;
    let kind = match entry.key.kind {
        Kind::Environment => Kind::EnvironmentTemplate,
        _ => Kind::ServiceTemplate,
    };
    Some(Key::new(entry.key.scope.as_str(), kind, template))
}

/// The version numbers of every template that something is deployed from.
async fn templates(
    plane: &ControlPlane,
    entries: &[Entry],
) -> Result<HashMap<Key, Numbers>, Error> {
    let mut keys: Vec<Key> = entries.iter().filter_map(template).collect();
    keys.sort();
    keys.dedup();
    let records = plane.store().get_many(&keys).await?;
    let mut templates = HashMap::new();
    for record in records.into_iter().flatten() {
        let template: Template = record.read()?;
        templates.insert(record.key, template.numbers);
    }
    Ok(templates)
}

fn count(entries: &[Entry], templates: &HashMap<Key, Numbers>) -> BTreeMap<Kind, Counts> {
    let staleness = |entry: &Entry| {
        let numbers = template(entry).and_then(|key| templates.get(&key));
        let at = Condition::of(entry).version;
        let known = at.zip(numbers);
        known.map_or(Staleness::UpToDate, |((_, at), numbers)| {
            numbers.staleness(at)
        })
    };
    // A service is as stale as the stalest of its parts.
    let mut services = HashMap::<&str, Staleness>::new();
    let mut counts = BTreeMap::<Kind, Counts>::new();
    for entry in entries {
        let stale = staleness(entry);
        if matches!(
            entry.key.kind,
            Kind::ServiceInstance | Kind::ServicePipeline
        ) {
            let service = entry.key.id.split(' ').next().unwrap_or_default();
            let worst = services.entry(service).or_default();
            *worst = stale.max(*worst);
        }
        if entry.key.kind != Kind::Service {
            let counts = counts.entry(entry.key.kind).or_default();
            counts.add(Condition::of(entry).is_failed, stale);
        }
    }
    for entry in entries
        .iter()
        .filter(|entry| entry.key.kind == Kind::Service)
    {
        let stale = services.get(&*entry.key.id).copied().unwrap_or_default();
        let counts = counts.entry(Kind::Service).or_default();
        counts.add(Condition::of(entry).is_failed, stale);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions 1.0, 1.1 and 2.0, published but for those named.
    fn numbers(drafts: &[(u32, u32)]) -> Numbers {
        let mut numbers = Numbers::default();
        for major in [None, Some(1), None] {
            numbers.next(major);
        }
        for (major, minor) in [(1, 0), (1, 1), (2, 0)] {
            if !drafts.contains(&(major, minor)) {
                numbers.publish(Number { major, minor });
            }
        }
        numbers
    }

    #[test]
    fn only_what_is_recommended_makes_a_version_stale() {
        let stale = |major, minor, drafts: &[(u32, u32)]| {
            numbers(drafts).staleness(Number { major, minor })
        };
        assert_eq!(stale(2, 0, &[]), Staleness::UpToDate);
        assert_eq!(stale(1, 1, &[]), Staleness::BehindMajor);
        assert_eq!(stale(1, 1, &[(2, 0)]), Staleness::UpToDate);
        assert_eq!(stale(1, 0, &[(2, 0)]), Staleness::BehindMinor);
        assert_eq!(stale(1, 0, &[(2, 0), (1, 1)]), Staleness::UpToDate);
        assert_eq!(stale(2, 0, &[(2, 0)]), Staleness::UpToDate);
    }

    #[test]
    fn a_service_is_as_stale_as_its_stalest_part() {
        let scope = "1/r";
        let entry = |kind, id: &str, condition: &str| Entry {
            value: format!("{scope} {condition}"),
            key: Key::new(scope, kind, id),
        };
        let entries = [
            entry(Kind::Service, "web", "failed"),
            entry(Kind::ServiceInstance, "web dev", "ok t 2.0"),
            entry(Kind::ServiceInstance, "web prod", "failed t 1.1"),
            entry(Kind::ServicePipeline, "web", "ok t 2.0"),
            entry(Kind::Service, "web2", "ok"),
            entry(Kind::ServiceInstance, "web2 dev", "ok t 2.0"),
        ];
        let template = Key::new(scope, Kind::ServiceTemplate, "t");
        let counts = count(&entries, &HashMap::from([(template, numbers(&[]))]));
        let shown = |kind| {
            let Counts {
                total,
                failed,
                up_to_date,
                behind_minor,
                behind_major,
            } = counts[&kind];
            [total, failed, up_to_date, behind_minor, behind_major]
        };
        assert_eq!(shown(Kind::Service), [2, 1, 1, 0, 1]);
        assert_eq!(shown(Kind::ServiceInstance), [3, 1, 2, 0, 1]);
        assert_eq!(shown(Kind::ServicePipeline), [1, 0, 1, 0, 0]);
    }
}
