//! `ListServiceInstances`: filters, and seven orders.
//!
//! The order by service is that of the store, of which only a page is read. For the others all instances are read and sorted. A
//! page token holds the value that is sorted by and the instance's id, so what comes or goes between two pages moves no other.

use std::collections::HashMap;

use aws_smithy_types::date_time::{DateTime, Format};
use pb::{ListServiceInstancesFilterBy as FilterBy, ListServiceInstancesSortBy as SortBy};

use super::super::pagination::Page;
use super::super::store::{Order, Range};
use super::super::template::Template;
use super::super::version_numbers::{Numbers, Staleness};
use super::*;

/// How many records are read at once when all are.
const BATCH: u32 = 500;

pub(in super::super) async fn list_service_instances(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListServiceInstancesRequest,
) -> Result<pb::ListServiceInstancesResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListServiceInstances>(caller, &request, most, token)?;
    if let Some(service) = &request.service_name {
        service::load(plane, caller, service).await?;
    }
    let filters = request.filters.iter().map(Filter::read);
    let mut list = List {
        plane,
        caller,
        prefix: match &request.service_name {
            Some(service) => format!("{service} "),
            None => String::new(),
        },
        order: match request.sort_order() {
            pb::SortOrder::Descending => Order::Descending,
            _ => Order::Ascending,
        },
        filters: filters.collect::<Result<_, _>>()?,
        templates: HashMap::new(),
    };
    let (found, next_token) = match request.sort_by() {
        SortBy::Unspecified | SortBy::ServiceName => list.by_service(&page).await?,
        by => list.sorted(&page, by).await?,
    };
    Ok(pb::ListServiceInstancesResponse {
        next_token,
        service_instances: found
            .iter()
            .map(|found| summary(caller, &found.value))
            .collect(),
    })
}

struct List<'a> {
    plane: &'a ControlPlane,
    caller: &'a Caller,
    /// Of the ids to look through.
    prefix: String,
    order: Order,
    filters: Vec<Filter>,
    /// The version numbers of the templates that were met.
    templates: HashMap<String, Numbers>,
}

type Found = (Vec<Loaded<ServiceInstance>>, Option<String>);

impl List<'_> {
    async fn by_service(&mut self, page: &Page) -> Result<Found, Error> {
        let limit = u32::try_from(page.look_for()).expect("pages are small");
        let after = page.after().map(str::to_owned);
        let found = self.read(after, self.order, limit, page.look_for()).await?;
        Ok(page.cut(found, |found| found.key.id.clone()))
    }

    async fn sorted(&mut self, page: &Page, by: SortBy) -> Result<Found, Error> {
        let found = self.read(None, Order::Ascending, BATCH, usize::MAX).await?;
        let position =
            |found: &Loaded<ServiceInstance>| (sorted_by(&found.value, by), found.key.id.clone());
        let mut found: Vec<_> = found
            .into_iter()
            .map(|found| (position(&found), found))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        if self.order == Order::Descending {
            found.reverse();
        }
        if let Some((value, id)) = page.after().and_then(|after| after.split_once('\0')) {
            let after = (value.to_owned(), id.to_owned());
            found.retain(|(position, _)| match self.order {
                Order::Ascending => *position > after,
                Order::Descending => *position < after,
            });
        }
        let (found, next) = page.cut(found, |((value, id), _)| format!("{value}\0{id}"));
        Ok((found.into_iter().map(|(_, found)| found).collect(), next))
    }

    /// Up to so many instances that users know of and the filters let through, by id.
    async fn read(
        &mut self,
        mut after: Option<String>,
        order: Order,
        limit: u32,
        most: usize,
    ) -> Result<Vec<Loaded<ServiceInstance>>, Error> {
        let scope = self.caller.scope();
        let mut found = Vec::new();
        loop {
            let range = Range {
                scope: &scope,
                kind: Kind::ServiceInstance,
                prefix: &self.prefix,
                after: after.as_deref(),
                limit,
                order,
            };
            let records = self.plane.store().list(range).await?;
            let full = records.len() == limit as usize;
            after = records.last().map(|record| record.key.id.clone());
            for record in records {
                let instance = Loaded::<ServiceInstance>::of(record)?;
                if instance.value.is_visible() && self.lets_through(&instance.value).await? {
                    found.push(instance);
                }
            }
            if !full || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
    }

    async fn lets_through(&mut self, instance: &ServiceInstance) -> Result<bool, Error> {
        let version = &instance.deployable.current.version;
        let asks = |filter: &Filter| matches!(filter, Filter::Staleness(_));
        if self.filters.iter().any(asks) && !self.templates.contains_key(&version.template) {
            let key = Type::Service.key(self.caller, &version.template);
            let template = self.plane.load::<Template>(&key).await?;
            let numbers = template.map(|template| template.value.numbers);
            self.templates
                .insert(version.template.clone(), numbers.unwrap_or_default());
        }
        let staleness = self
            .templates
            .get(&version.template)
            .map(|numbers| numbers.staleness(version.number));
        Ok(self
            .filters
            .iter()
            .all(|filter| filter.lets_through(instance, staleness)))
    }
}

/// What comes first in the order. Times have a fixed number of digits.
fn sorted_by(instance: &ServiceInstance, by: SortBy) -> String {
    match by {
        SortBy::Unspecified | SortBy::ServiceName => instance.service.clone(),
        SortBy::Name => instance.name.clone(),
        SortBy::DeploymentStatus => status_text(instance.status()),
        SortBy::TemplateName => instance.deployable.current.version.template.clone(),
        SortBy::EnvironmentName => instance.environment.clone(),
        SortBy::LastDeploymentAttemptedAt => format!("{:020}", instance.deployable.attempted_at_ms),
        SortBy::CreatedAt => format!("{:020}", instance.envelope.created_at_ms),
    }
}

/// A status as the API writes it.
fn status_text(status: Status) -> String {
    let name = pb::DeploymentStatus::from(status).as_str_name();
    name.trim_start_matches("DEPLOYMENT_STATUS_").to_owned()
}

#[derive(Debug, PartialEq)]
enum Filter {
    Name(String),
    Status(String),
    Template(String),
    Service(String),
    Staleness(String),
    Environment(String),
    Attempted(When),
    Created(When),
}

/// On which side of a time.
#[derive(Debug, PartialEq)]
enum When {
    Before(DateTime),
    After(DateTime),
}

impl Filter {
    fn read(filter: &pb::ListServiceInstancesFilter) -> Result<Self, Error> {
        let Some(value) = filter.value.clone() else {
            return Err(Error::validation("filters: a filter must have a value"));
        };
        let time = |when: fn(DateTime) -> When| {
            let time = DateTime::from_str(&value, Format::DateTime);
            time.map(when).map_err(|_| {
                Error::validation(format!(
                    "filters: {value:?} is not a time in UTC like 2024-01-31T12:00:00Z"
                ))
            })
        };
        Ok(match filter.key() {
            FilterBy::Unspecified => {
                return Err(Error::validation("filters: a filter must have a key"));
            }
            FilterBy::Name => Self::Name(value),
            FilterBy::DeploymentStatus => Self::Status(value),
            FilterBy::TemplateName => Self::Template(value),
            FilterBy::ServiceName => Self::Service(value),
            FilterBy::DeployedTemplateVersionStatus => Self::Staleness(value),
            FilterBy::EnvironmentName => Self::Environment(value),
            FilterBy::LastDeploymentAttemptedAtBefore => Self::Attempted(time(When::Before)?),
            FilterBy::LastDeploymentAttemptedAtAfter => Self::Attempted(time(When::After)?),
            FilterBy::CreatedAtBefore => Self::Created(time(When::Before)?),
            FilterBy::CreatedAtAfter => Self::Created(time(When::After)?),
        })
    }

    fn lets_through(&self, instance: &ServiceInstance, staleness: Option<Staleness>) -> bool {
        match self {
            Self::Name(name) => instance.name == *name,
            Self::Status(status) => status_text(instance.status()) == *status,
            Self::Template(name) => instance.deployable.current.version.template == *name,
            Self::Service(name) => instance.service == *name,
            Self::Staleness(text) => staleness.is_some_and(|staleness| staleness.as_str() == text),
            Self::Environment(name) => instance.environment == *name,
            Self::Attempted(when) => when.holds(instance.deployable.attempted_at_ms),
            Self::Created(when) => when.holds(instance.envelope.created_at_ms),
        }
    }
}

impl When {
    fn holds(&self, ms: i64) -> bool {
        let time = DateTime::from_millis(ms);
        match self {
            Self::Before(limit) => time < *limit,
            Self::After(limit) => time > *limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: Option<FilterBy>, value: Option<&str>) -> Result<Filter, Error> {
        Filter::read(&pb::ListServiceInstancesFilter {
            key: key.map(Into::into),
            value: value.map(str::to_owned),
        })
    }

    #[test]
    fn times_are_in_utc_with_or_without_a_fraction() {
        let at = |text| read(Some(FilterBy::CreatedAtBefore), Some(text));
        assert!(at("2024-01-31T12:00:00Z").is_ok());
        assert!(at("2024-01-31T12:00:00.125Z").is_ok());
        assert!(at("2024-01-31T12:00:00+01:00").is_err());
        assert!(at("yesterday").is_err());
    }

    #[test]
    fn a_filter_has_a_key_and_a_value() {
        assert!(read(Some(FilterBy::Name), None).is_err());
        assert!(read(None, Some("dev")).is_err());
        assert!(read(Some(FilterBy::Name), Some("dev")).is_ok());
    }

    #[test]
    fn times_bound_without_being_included() {
        let at = |when: fn(DateTime) -> When| when(DateTime::from_millis(1_500)).holds(1_500);
        assert!(!at(When::Before) && !at(When::After));
        assert!(When::Before(DateTime::from_millis(1_500)).holds(1_499));
        assert!(When::After(DateTime::from_millis(1_500)).holds(1_501));
    }
}
