//! What is asked of policies: an action on a resource, and what goes with it.

use super::resource::{Kind, Resource};
use crate::api::{Operation, operation::Facts, pb};

/// An operation that policies decide on.
pub trait Governed: Operation {
    const ACTION: &'static Action;

    /// What a request asks to be allowed.
    fn question(request: &Self::Request) -> Question<'_>;
}

/// What there is to know of an action without its request.
#[derive(Debug)]
pub struct Action {
    pub facts: &'static Facts,
    /// The types of resources that it may be about.
    pub kinds: &'static [Kind],
    pub(super) keys: Keys,
}

/// The condition keys that go with an action.
#[derive(Debug)]
pub(super) struct Keys {
    /// `aws:RequestTag` and `aws:TagKeys`.
    pub(super) tags: bool,
    /// `aws:TagKeys` alone.
    pub(super) tag_keys: bool,
    /// `proton:EnvironmentTemplate`, as the request names it.
    pub(super) environment_template: bool,
    /// `proton:ServiceTemplate`, as the request names it.
    pub(super) service_template: bool,
    /// `proton:EnvironmentTemplate`, of an environment that is there.
    pub(super) template_of_environment: bool,
    /// `proton:ServiceTemplate`, of a service that is there.
    pub(super) template_of_service: bool,
}

impl Keys {
    pub(super) const NONE: Self = Self {
        tags: false,
        tag_keys: false,
        environment_template: false,
        service_template: false,
        template_of_environment: false,
        template_of_service: false,
    };

    /// Whether some of them can only be told by who keeps the resources.
    pub(super) fn are_kept(&self) -> bool {
        self.template_of_environment || self.template_of_service
    }
}

/// What a request asks to be allowed.
#[derive(Debug)]
pub struct Question<'a> {
    pub(super) resource: Resource,
    pub(super) tags: &'a [pb::Tag],
    /// Keys that are named without values.
    pub(super) tag_keys: &'a [String],
    pub(super) template: Option<Template<'a>>,
}

/// The template that a resource is made from.
#[derive(Debug)]
pub(super) enum Template<'a> {
    /// An environment template of this name.
    Environment(&'a str),
    /// A service template of this name.
    Service(&'a str),
    /// That of the environment or service, which is there already.
    Existing,
}

impl Question<'_> {
    pub(super) fn about(resource: Resource) -> Self {
        Self {
            resource,
            tags: &[],
            tag_keys: &[],
            template: None,
        }
    }
}
