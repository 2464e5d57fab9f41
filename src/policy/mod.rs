//! What callers may do: policies in Cedar, over who asks, the operation, the resource and its tags.
//!
//! ```text
//!  a typed request ──► table ──► question ──► case ──► policies in force ──► allowed, or not
//!                      (what it is about)      │            ▲
//!                principal, claims ────────────┤            └── files, watched; checked against the schema
//!                tags, template (keeper) ──────┘
//! ```
//!
//! Where there are policies, nothing is allowed that none of them permits, and nothing that one of them forbids. Both fronts
//! ask here, with the same request in its one typed form, before they look whether it is valid: somebody who may not ask
//! learns nothing from the answer, neither why nor whether the resource exists. Without policies nothing is asked.
//!
//! What a policy goes by is there when it is asked. Tags and templates of resources are looked up where a policy mentions them;
//! a process that cannot look them up refuses such policies, and a look-up or an evaluation that fails allows nothing.

mod case;
mod files;
mod mentions;
mod question;
mod resource;
mod schema;
mod set;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, path::Path, pin::Pin, sync::Arc};

pub use case::Case;
pub use question::{Action, Governed, Question};
pub use resource::{Kind, Located};
pub use set::{Set, Verdict};

use crate::{
    api::arn,
    identity::{Place, Principal},
    watched::Watched,
};
use files::Files;
use question::Template;

/// The action of this name, of those that policies can name.
pub fn action(name: &str) -> Option<&'static Action> {
    let mut actions = table::ACTIONS.iter().copied();
    actions.find(|action| action.facts.name == name)
}

/// What decides, or that nothing does. Cheap to clone.
#[derive(Clone, Default)]
pub struct Policies(Option<Arc<InForce>>);

struct InForce {
    files: Arc<Watched<Files>>,
    keeper: Option<Arc<dyn Keeper>>,
}

/// Who keeps the resources.
pub trait Keeper: Send + Sync {
    /// What is known of the resource with this ARN, of those that a place has.
    fn find<'a>(&'a self, place: &'a Place, arn: &'a str) -> Find<'a>;
}

/// What a keeper finds: nothing, if it has no such resource.
pub type Find<'a> = Pin<Box<dyn Future<Output = Result<Kept, Unknown>> + Send + 'a>>;

/// The keeper cannot tell now; why is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// What is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The tags that customers gave it.
    pub tags: BTreeMap<String, String>,
    /// The ARN of the template that it is made from.
    pub template: Option<String>,
}

/// Why a call goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody may not do that on this; not why.
    Denied {
        who: String,
        action: &'static str,
        arn: String,
    },
    /// Nobody can tell now.
    Undecided,
}

/// Policies that were read, and are kept current by [`Loaded::keep`].
#[derive(Clone)]
pub struct Loaded(Arc<Watched<Files>>);

impl Loaded {
    /// Reads a file, or the files of a directory. With a keeper they may go by what only that can tell.
    pub fn open(path: &Path, with_keeper: bool) -> Result<Self, String> {
        let files = Watched::new(Files::new(path, with_keeper));
        let files = files.map_err(|problem| format!("{}: {problem}", path.display()))?;
        Ok(Self(Arc::new(files)))
    }

    /// Those in force.
    pub fn now(&self) -> Arc<Set> {
        self.0.now()
    }

    /// Takes up changed files, for ever.
    pub async fn keep(self) {
        self.0.keep().await;
    }
}

impl Policies {
    pub fn new(loaded: &Loaded, keeper: Option<Arc<dyn Keeper>>) -> Self {
        let files = Arc::clone(&loaded.0);
        Self(Some(Arc::new(InForce { files, keeper })))
    }

    /// Whether there is anything to ask.
    pub fn are_given(&self) -> bool {
        self.0.is_some()
    }

    /// Whether somebody who acts in a place may make this request. Where policies are given, nobody may make any.
    pub async fn decide<O: Governed>(
        &self,
        asker: Option<(&Principal, &Place)>,
        request: &O::Request,
    ) -> Result<(), Refusal> {
        match &self.0 {
            None => Ok(()),
            Some(policies) => {
                policies
                    .decide(asker, O::ACTION, O::question(request))
                    .await
            }
        }
    }
}

impl InForce {
    async fn decide(
        &self,
        asker: Option<(&Principal, &Place)>,
        action: &'static Action,
        question: Question<'_>,
    ) -> Result<(), Refusal> {
        let Some((principal, place)) = asker else {
            return Err(Refusal::denied("nobody", action, "*"));
        };
        let set = self.files.now();
        let resource = question.resource.within(place);
        let mut case = Case::new(principal.who(), place, principal.claims(), action, resource);
        case.request_tags = question
            .tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone()))
            .collect();
        case.tag_keys = question.tag_keys.to_vec();
        if set.mentions.tags && case.resource.kind != Kind::Account {
            case.tags = self.find(place, &case.resource.arn).await?.tags;
        }
        if let Some(template) = &question.template
            && set.mentions.templates
        {
            case.template = self.template(template, place, &case.resource).await?;
        }
        let verdict = set.judge(&case);
        for error in &verdict.errors {
            tracing::error!(
                error,
                "a policy cannot be evaluated: nothing that it may apply to is allowed"
            );
        }
        if verdict.allowed {
            return Ok(());
        }
        let Case { who, resource, .. } = case;
        let (name, arn) = (action.facts.name, &resource.arn);
        tracing::debug!(%who, action = name, ?arn, policies = ?verdict.policies, "denied");
        Err(Refusal::denied(who, action, arn))
    }

    /// The template that a resource is made from, as far as it has one.
    async fn template(
        &self,
        template: &Template<'_>,
        place: &Place,
        resource: &Located,
    ) -> Result<Option<Located>, Refusal> {
        let whole = resource.whole().map_or(&*resource.arn, |(_, arn)| arn);
        let arn = match template {
            Template::Environment(name) => Some(own(place, "environment-template", name)),
            Template::Service(name) => Some(own(place, "service-template", name)),
            Template::Existing => self.find(place, whole).await?.template,
        };
        Ok(arn.and_then(|arn| Located::parse(arn).ok()))
    }

    async fn find(&self, place: &Place, arn: &str) -> Result<Kept, Refusal> {
        match &self.keeper {
            // Policies that would need one are not taken up.
            None => Ok(Kept::default()),
            Some(keeper) => keeper
                .find(place, arn)
                .await
                .map_err(|Unknown| Refusal::Undecided),
        }
    }
}

fn own(place: &Place, family: &str, name: &str) -> String {
    arn::arn(
        &place.region,
        &place.account,
        format_args!("{family}/{name}"),
    )
}

impl Refusal {
    /// No ARN of a resource is longer; a request that has not been validated may hold any text.
    const LONGEST_ARN: usize = 512;

    fn denied(who: impl ToString, action: &Action, arn: &str) -> Self {
        let arn = arn.chars().take(Self::LONGEST_ARN).collect();
        Self::Denied {
            who: who.to_string(),
            action: action.facts.name,
            arn,
        }
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("given", &self.are_given())
            .finish_non_exhaustive()
    }
}
