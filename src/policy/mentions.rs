//! What policies go by that only the keeper of the resources can tell.

use cedar_policy::Policy;
use serde_json::{Value as Json, json};

use super::{schema::SCHEMA, table::ACTIONS};

/// What a policy, or one of many, goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// The tags of resources.
    pub(super) tags: bool,
    /// The templates that resources are made from.
    pub(super) templates: bool,
}

impl Mentions {
    pub(super) fn of(policy: &Policy) -> Self {
        let mut mentions = Self::default();
        let tree = policy.to_json().expect("a policy from a text has a tree");
        mentions.search(&tree);
        mentions
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self {
            tags: self.tags || other.tags,
            templates: self.templates || other.templates,
        }
    }

    /// Whether the policy goes by them for resources that are there: a creation names its template itself.
    pub(super) fn needs_kept(self, policy: &Policy) -> bool {
        let kept = |name: &str| {
            let mut actions = ACTIONS.iter();
            actions.any(|action| action.facts.name == name && action.keys.are_kept())
        };
        let mut applies = policy.get_valid_request_envs(&SCHEMA);
        self.tags || self.templates && applies.any(|env| kept(env.action().id().unescaped()))
    }

    fn search(&mut self, tree: &Json) {
        match tree {
            Json::Array(items) => items.iter().for_each(|item| self.search(item)),
            Json::Object(members) => {
                for (name, inner) in members {
                    match name.as_str() {
                        "hasTag" | "getTag" => self.tags |= !are_told(&inner["left"]),
                        "attr" => self.templates |= is_template(inner),
                        _ => {}
                    }
                    self.search(inner);
                }
            }
            _ => {}
        }
    }
}

/// Whether the tags of this come with each call: the claims of the principal, and the tags in the request.
fn are_told(of: &Json) -> bool {
    let request_tags = json!({ ".": { "left": { "Var": "context" }, "attr": "requestTags" } });
    *of == json!({ "Var": "principal" }) || *of == request_tags
}

fn is_template(attribute: &Json) -> bool {
    let is = |name: &Json| name == "environmentTemplate" || name == "serviceTemplate";
    // `has` takes a path, too.
    attribute
        .as_array()
        .map_or_else(|| is(attribute), |path| path.iter().any(is))
}
