//! `policy`: reads policies as `serve` would, and asks them.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::config::BadSetting;
use crate::{
    identity::{self, Place, Who},
    policy::{self, Action, Case, Loaded, Located, Set, Verdict},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the files; with three more words, say whether PRINCIPAL may do ACTION on RESOURCE, and by which policies
    ///
    /// Ends with 0 if it may, with 1 if it may not, and with 64 if the question or a file is wrong.
    Check(Check),
}

#[derive(Args, Debug)]
pub struct Check {
    /// A file, or a directory of *.cedar files
    #[arg(long, value_name = "DIR|FILE")]
    policies: PathBuf,
    /// Its id: spiffe://…, jwt:ISSUER#SUBJECT, access-key:ID, proxied:NAME or local
    #[arg(requires = "action")]
    principal: Option<Who>,
    /// The operation, with or without proton: in front
    #[arg(requires = "resource", value_parser = action)]
    action: Option<&'static Action>,
    /// Its ARN, or * for the account; it need not exist
    resource: Option<String>,
    /// The file that says where the principal acts [default: in the account and the Region of the ARN]
    #[arg(long, value_name = "FILE")]
    callers: Option<PathBuf>,
    /// The Region for what names none
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The account for what names none
    #[arg(long, value_name = "DIGITS", default_value = "000000000000")]
    account_id: String,
    /// A claim of the principal's token; more than once for more of them, or a list
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// A tag that the resource has
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// A tag that the request gives, or with the key alone one that it takes away
    #[arg(long = "request-tag", value_name = "KEY[=VALUE]")]
    request_tags: Vec<String>,
    /// The ARN of the template that the resource is made from
    #[arg(long, value_name = "ARN", value_parser = located)]
    template: Option<Located>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Whether the policies are in order, and allow what is asked.
pub fn run(command: Command) -> Result<bool> {
    let Command::Check(check) = command;
    let set = Loaded::open(&check.policies, true)
        .map_err(BadSetting)?
        .now();
    match (&check.principal, check.action, &check.resource) {
        (Some(who), Some(action), Some(resource)) => {
            Ok(check.ask(&set, who, action, resource).map_err(BadSetting)?)
        }
        _ => {
            check.show_count(&set);
            Ok(true)
        }
    }
}

impl Check {
    fn show_count(&self, set: &Set) {
        let count = set.count();
        match self.json {
            true => println!("{}", json!({ "policies": count })),
            false => println!("policies in order: {count}"),
        }
    }

    fn ask(
        &self,
        set: &Set,
        who: &Who,
        action: &'static Action,
        resource: &str,
    ) -> Result<bool, String> {
        let (place, resource) = self.placed(who, resource)?;
        if !action.kinds.contains(&resource.kind) {
            let name = action.facts.name;
            let kinds: Vec<_> = action.kinds.iter().map(|kind| kind.name()).collect();
            let (kinds, kind) = (kinds.join(" or "), resource.kind.name());
            return Err(format!("proton:{name} is about {kinds}, not {kind}"));
        }
        let verdict = match &place {
            None => Verdict::default(),
            Some(place) => self.judge(set, who, place, action, resource.clone()),
        };
        self.show(who, action, &resource, place.is_some(), &verdict);
        Ok(verdict.allowed)
    }

    /// Where the principal acts, if it acts anywhere, and the resource.
    fn placed(&self, who: &Who, resource: &str) -> Result<(Option<Place>, Located), String> {
        let named = (resource != "*").then(|| located(resource)).transpose()?;
        let default = match &named {
            Some(resource) => Place {
                account: resource.account.clone(),
                region: resource.region().to_owned(),
            },
            None => Place {
                account: self.account_id.clone(),
                region: self.region.clone(),
            },
        };
        let place = match &self.callers {
            None => Some(default.clone()),
            Some(file) => identity::place_in(file, who, &self.region)
                .map_err(|problem| format!("{}: {problem}", file.display()))?,
        };
        let account = || Located::account(place.as_ref().unwrap_or(&default));
        let resource = named.unwrap_or_else(account);
        Ok((place, resource))
    }

    fn judge(
        &self,
        set: &Set,
        who: &Who,
        place: &Place,
        action: &'static Action,
        resource: Located,
    ) -> Verdict {
        let claims = claims(&self.claims);
        let (given, taken): (Vec<_>, Vec<_>) =
            (self.request_tags.iter()).partition(|tag| tag.contains('='));
        let given = given.iter().filter_map(|tag| tag.split_once('='));
        set.judge(&Case {
            tags: self.tags.iter().cloned().collect(),
            request_tags: given
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            tag_keys: taken.into_iter().cloned().collect(),
            template: self.template.clone(),
            ..Case::new(who, place, &claims, action, resource)
        })
    }

    fn show(&self, who: &Who, action: &Action, resource: &Located, acts: bool, verdict: &Verdict) {
        let decision = if verdict.allowed { "ALLOW" } else { "DENY" };
        let (name, arn) = (action.facts.name, &resource.arn);
        let Verdict {
            policies, errors, ..
        } = verdict;
        if self.json {
            let shown = json!({
                "decision": decision, "principal": who.to_string(), "action": format!("proton:{name}"),
                "resource": arn, "policies": policies, "errors": errors,
            });
            println!("{shown}");
            return;
        }
        println!("{decision} {who} proton:{name} {arn}");
        for policy in policies {
            println!("  by {policy}");
        }
        for error in errors {
            println!("  failed: {error}");
        }
        match policies.is_empty() && errors.is_empty() {
            true if !acts => println!("  the caller has no account"),
            true => println!("  no policy permits it"),
            false => {}
        }
    }
}

/// A claim that is given more than once is a list.
fn claims(given: &[(String, String)]) -> Map<String, Value> {
    let mut lists = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in given {
        lists
            .entry(name.clone())
            .or_default()
            .push(Value::from(value.clone()));
    }
    lists
        .into_iter()
        .map(|(name, values)| (name, values.into()))
        .collect()
}

fn action(name: &str) -> Result<&'static Action, String> {
    let found = policy::action(name.strip_prefix("proton:").unwrap_or(name));
    found.ok_or_else(|| "not an operation of Proton".to_owned())
}

fn located(arn: &str) -> Result<Located, String> {
    let found = Located::parse(arn.to_owned());
    found.map_err(|arn| format!("{arn} is no ARN of Proton"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not a name, = and a value".to_owned()),
    }
}
