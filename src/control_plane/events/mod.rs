//! Tells what happens: each change of a status becomes an event of the form in which Proton told EventBridge.
//!
//! ```text
//!  resource.rs ──► status_changed ──┬─ announce ──► who watches the resource looks again
//!                                   └─ emit ──► the store's events ──► delivery ──► sink
//! ```
//! Both are part of the very change that brings the status about, so neither is without the other. Events are kept only where there
//! is a sink to take them to; it gets them at least once, and those of one resource in order.

mod delivery;
mod sink;

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use self::sink::{Sink, SinkError};

pub(super) use self::delivery::Delivery;
pub(super) use crate::api::aws_json::name;

use super::store::{Body, Change, Event};
use super::template::Type;
use super::version_numbers::Number;
use super::{
    Caller, ControlPlane, component, environment, service, service_instance, service_pipeline,
};

/// The status of what no longer is.
pub(super) const DELETED: &str = "DELETED";

/// Whose status it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    Template(Type, &'a str),
    TemplateVersion(Type, &'a str, Number),
    Environment(&'a str),
    Service(&'a str),
    ServiceInstance { service: &'a str, name: &'a str },
    ServicePipeline(&'a str),
    Component(&'a str),
    Connection(&'a str),
}

impl Subject<'_> {
    pub(super) fn arn(self, owner: &Caller) -> String {
        match self {
            Self::Template(of, name) => of.arn(owner, name),
            Self::TemplateVersion(of, name, number) => of.arn(owner, &format!("{name}:{number}")),
            Self::Environment(name) => environment::arn(owner, name),
            Self::Service(name) => service::arn(owner, name),
            Self::ServiceInstance { service, name } => service_instance::arn(owner, service, name),
            Self::ServicePipeline(service) => service_pipeline::arn(owner, service),
            Self::Component(name) => component::arn(owner, name),
            Self::Connection(id) => owner.arn(format_args!("environment-account-connection/{id}")),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Template(Type::Environment, _) => "Environment Template",
            Self::Template(Type::Service, _) => "Service Template",
            Self::TemplateVersion(Type::Environment, ..) => "Environment Template Version",
            Self::TemplateVersion(Type::Service, ..) => "Service Template Version",
            Self::Environment(_) => "Environment",
            Self::Service(_) => "Service",
            Self::ServiceInstance { .. } => "Service Instance",
            Self::ServicePipeline(_) => "Service Pipeline",
            Self::Component(_) => "Component",
            Self::Connection(_) => "Environment Account Connection",
        }
    }

    /// The members of `detail` that name it.
    fn names(self) -> Map<String, Value> {
        let names = match self {
            Self::Template(_, name)
            | Self::Environment(name)
            | Self::Service(name)
            | Self::Component(name) => json!({ "name": name }),
            Self::TemplateVersion(_, name, number) => json!({
                "name": name,
                "majorVersion": number.major.to_string(),
                "minorVersion": number.minor.to_string(),
            }),
            Self::ServiceInstance { service, name } => {
                json!({ "name": name, "serviceName": service })
            }
            Self::ServicePipeline(service) => json!({ "serviceName": service }),
            Self::Connection(id) => json!({ "id": id }),
        };
        match names {
            Value::Object(names) => names,
            _ => unreachable!("names are objects"),
        }
    }
}

/// An event as EventBridge hands it on.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Envelope<'a> {
    version: &'a str,
    /// The same for each delivery of the event.
    id: String,
    detail_type: String,
    source: &'a str,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: [&'a str; 1],
    detail: Map<String, Value>,
}

/// Tells of a status, with the change that brings it about. What is new had none before.
pub(super) fn status_changed(
    plane: &ControlPlane,
    owner: &Caller,
    subject: Subject<'_>,
    was: Option<&str>,
    is: &str,
) -> Change {
    let resource = subject.arn(owner);
    let change = Change::new().announce(resource.as_str());
    if plane.sink().is_none() {
        return change;
    }
    let at_ms = plane.now_ms();
    let mut detail = subject.names();
    detail.insert("status".to_owned(), is.into());
    if let Some(was) = was {
        detail.insert("previousStatus".to_owned(), was.into());
    }
    let body = Body::of(&Envelope {
        version: "0",
        id: plane.ambient().uuid(),
        detail_type: format!("AWS Proton {} Status Change", subject.title()),
        source: "aws.proton",
        account: owner.account(),
        time: time(at_ms),
        region: owner.region(),
        resources: [&resource],
        detail,
    });
    change.emit(Event {
        resource,
        at_ms,
        body,
    })
}

/// `2026-10-07T12:00:00Z`
fn time(at_ms: i64) -> String {
    aws_smithy_types::DateTime::from_secs(at_ms.div_euclid(1000))
        .fmt(aws_smithy_types::date_time::Format::DateTime)
        .expect("times are within the calendar")
}
