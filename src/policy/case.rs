//! A question with everything that policies may look at, as Cedar takes it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value,
};
use serde_json::{Map, Value as Json};

use super::{
    question::Action,
    resource::{Kind, Located},
    schema,
    table::ACTIONS,
};
use crate::identity::{Place, Who};

pub(super) const NAMESPACE: &str = "Proton";

/// Who wants to do what on what.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub who: &'a Who,
    pub place: &'a Place,
    /// What a token says of who it is for.
    pub claims: &'a Map<String, Json>,
    pub action: &'static Action,
    pub resource: Located,
    /// The tags that the resource has.
    pub tags: BTreeMap<String, String>,
    /// The tags that the request gives it.
    pub request_tags: BTreeMap<String, String>,
    /// The keys of tags that the request names without values.
    pub tag_keys: Vec<String>,
    /// The ARN of the template that the resource is made from.
    pub template: Option<Located>,
}

impl<'a> Case<'a> {
    /// As little as there is to a question.
    pub fn new(
        who: &'a Who,
        place: &'a Place,
        claims: &'a Map<String, Json>,
        action: &'static Action,
        resource: Located,
    ) -> Self {
        Self {
            who,
            place,
            claims,
            action,
            resource,
            tags: BTreeMap::new(),
            request_tags: BTreeMap::new(),
            tag_keys: Vec::new(),
            template: None,
        }
    }
}

impl Case<'_> {
    pub(super) fn to_cedar(&self) -> (Request, Entities) {
        let principal = uid(&CALLER, self.who.to_string());
        let (action, action_entity) = &VERBS[self.action.facts.name];
        let resource = resource_uid(self.resource.kind, &self.resource);
        let mut entities = vec![
            self.principal(principal.clone()),
            action_entity.clone(),
            self.resource(resource.clone()),
        ];
        let context = self.context(&mut entities);
        let request = Request::new(principal, action.clone(), resource, context, None);
        let entities = Entities::from_entities(entities, None);
        (
            request.expect("only a schema refuses a request"),
            entities.expect("each of them is there once, and in nothing that is in it"),
        )
    }

    fn principal(&self, uid: EntityUid) -> Entity {
        let attributes = [
            ("id", self.who.to_string()),
            ("kind", self.who.kind().to_owned()),
            ("account", self.place.account.clone()),
            ("region", self.place.region.clone()),
        ];
        let attributes =
            attributes.map(|(name, value)| (name.to_owned(), Value::new_string(value)));
        let claims = self.claims.iter();
        let claims = claims.map(|(name, value)| (name.clone(), Value::new_set(texts(value))));
        entity(uid, attributes, [account(&self.place.account)], claims)
    }

    fn resource(&self, uid: EntityUid) -> Entity {
        let arn = (
            "arn".to_owned(),
            Value::new_string(self.resource.arn.clone()),
        );
        let mut within = vec![];
        if self.resource.kind != Kind::Account {
            within.push(account(&self.resource.account));
        }
        if let Some((kind, arn)) = self.resource.whole() {
            within.push(self::uid(&TYPES[&kind], arn.to_owned()));
        }
        entity(uid, [arn], within, strings(&self.tags))
    }

    fn context(&self, entities: &mut Vec<Entity>) -> Context {
        let keys = &self.action.keys;
        let mut members = Vec::new();
        let mut put = |name: &str, value| members.push((name.to_owned(), value));
        if keys.tags {
            let uid = uid(&REQUEST_TAGS, String::new());
            put("requestTags", Value::new_entity_uid(uid.clone()));
            entities.push(entity(uid, [], [], strings(&self.request_tags)));
        }
        if keys.tags || keys.tag_keys {
            let named = self.request_tags.keys().chain(&self.tag_keys);
            put(
                "tagKeys",
                Value::new_set(named.cloned().map(Value::new_string)),
            );
        }
        if let Some(template) = &self.template {
            let name = match template.kind {
                Kind::EnvironmentTemplate => "environmentTemplate",
                _ => "serviceTemplate",
            };
            put(name, Value::new_string(template.arn.clone()));
        }
        Context::from_pairs(members).expect("the keys are different")
    }
}

fn resource_uid(kind: Kind, resource: &Located) -> EntityUid {
    match kind {
        Kind::Account => account(&resource.account),
        _ => uid(&TYPES[&kind], resource.arn.clone()),
    }
}

fn account(digits: &str) -> EntityUid {
    uid(&TYPES[&Kind::Account], digits.to_owned())
}

fn uid(name: &EntityTypeName, id: String) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn entity(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (String, Value)>,
    within: impl IntoIterator<Item = EntityUid>,
    tags: impl IntoIterator<Item = (String, Value)>,
) -> Entity {
    Entity::new_with_tags(uid, attributes, within, tags).expect("texts have nothing to evaluate")
}

fn strings(texts: &BTreeMap<String, String>) -> impl Iterator<Item = (String, Value)> {
    let value = |(key, value): (&String, &String)| (key.clone(), Value::new_string(value.clone()));
    texts.iter().map(value)
}

/// A claim as the set of what it says: one text, or each of a list's.
fn texts(claim: &Json) -> Vec<Value> {
    let text = |value: &Json| match value {
        Json::String(text) => Value::new_string(text.clone()),
        other => Value::new_string(other.to_string()),
    };
    match claim {
        Json::Array(items) => items.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

// Names are parsed, which takes longer than a decision.
static CALLER: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("Caller"));
static REQUEST_TAGS: LazyLock<EntityTypeName> = LazyLock::new(|| type_name("RequestTags"));
static TYPES: LazyLock<HashMap<Kind, EntityTypeName>> =
    LazyLock::new(|| Kind::ALL.map(|kind| (kind, type_name(kind.name()))).into());
static VERBS: LazyLock<HashMap<&str, (EntityUid, Entity)>> = LazyLock::new(|| {
    let name = type_name("Action");
    let verb = |action: &&'static Action| {
        let id = uid(&name, action.facts.name.to_owned());
        let group = uid(&name, schema::group(action).to_owned());
        let entity = Entity::new_no_attrs(id.clone(), [group].into());
        (action.facts.name, (id, entity))
    };
    ACTIONS.iter().map(verb).collect()
});

fn type_name(name: &str) -> EntityTypeName {
    let name = format!("{NAMESPACE}::{name}");
    name.parse().expect("it is a name")
}
