use std::{fs, path::PathBuf};

use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::{api::operation, identity::Who};

const ACCOUNT: &str = "111111111111";

fn place() -> Place {
    Place {
        account: ACCOUNT.to_owned(),
        region: "us-east-1".to_owned(),
    }
}

fn own(path: &str) -> Located {
    Located::parse(format!("arn:aws:proton:us-east-1:{ACCOUNT}:{path}")).unwrap()
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("team.cedar");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn open(text: &str) -> Result<Loaded, String> {
    let (_directory, path) = file(text);
    Loaded::open(&path, true)
}

fn problem(text: &str) -> String {
    let problem = open(text)
        .err()
        .unwrap_or_else(|| panic!("{text} is taken"));
    let (_, problem) = problem.split_once("team.cedar: ").unwrap();
    assert!(!problem.contains('\n'), "{problem}");
    problem.to_owned()
}

/// Somebody asks something.
#[derive(Clone)]
struct Ask {
    who: Who,
    place: Place,
    claims: Map<String, Json>,
    action: &'static str,
    resource: Located,
}

impl Ask {
    fn of(who: &str, action: &'static str, path: &str) -> Self {
        Self {
            who: who.parse().unwrap(),
            place: place(),
            claims: Map::new(),
            action,
            resource: own(path),
        }
    }

    fn claiming(self, claims: Json) -> Self {
        let claims = claims.as_object().unwrap().clone();
        Self { claims, ..self }
    }

    fn case(&self) -> Case<'_> {
        let action = action(self.action).unwrap();
        Case::new(
            &self.who,
            &self.place,
            &self.claims,
            action,
            self.resource.clone(),
        )
    }
}

fn tags(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    tags.iter().map(owned).collect()
}

/// Which policies allow it, if it is allowed.
fn allowed(text: &str, case: &Case<'_>) -> bool {
    let verdict = open(text).unwrap().now().judge(case);
    assert_eq!(verdict.errors, Vec::<String>::new());
    verdict.allowed
}

#[test]
fn every_operation_is_an_action() {
    let mut actions: Vec<_> = table::ACTIONS
        .iter()
        .map(|action| action.facts.name)
        .collect();
    let mut operations: Vec<_> = operation::ALL.iter().map(|facts| facts.name).collect();
    operations.extend(["GetDeploymentContent", "PreviewDeployment"]);
    actions.sort_unstable();
    operations.sort_unstable();
    assert_eq!(actions, operations);
    let known = schema::SCHEMA
        .actions()
        .map(|action| action.id().unescaped().to_owned());
    let known: Vec<_> = known
        .filter(|name| name != schema::READ_ONLY && name != schema::WRITE)
        .collect();
    assert_eq!(known.len(), actions.len());
}

#[test]
fn condition_keys_go_with_the_operations_that_aws_names() {
    let with = |has: fn(&question::Keys) -> bool| {
        let actions = table::ACTIONS.iter().filter(|action| has(&action.keys));
        let mut names: Vec<_> = actions.map(|action| action.facts.name).collect();
        names.retain(|name| *name != "PreviewDeployment");
        names.sort_unstable();
        names
    };
    assert_eq!(
        with(|keys| keys.environment_template || keys.template_of_environment),
        [
            "CancelEnvironmentDeployment",
            "CreateEnvironment",
            "DeleteEnvironment",
            "UpdateEnvironment"
        ]
    );
    assert_eq!(
        with(|keys| keys.service_template || keys.template_of_service),
        [
            "CancelServiceInstanceDeployment",
            "CancelServicePipelineDeployment",
            "CreateService",
            "CreateServiceInstance",
            "DeleteService",
            "UpdateService",
            "UpdateServiceInstance",
            "UpdateServicePipeline",
        ]
    );
    assert_eq!(with(|keys| keys.tag_keys), ["UntagResource"]);
    assert_eq!(
        with(|keys| keys.tags),
        [
            "CreateComponent",
            "CreateEnvironment",
            "CreateEnvironmentAccountConnection",
            "CreateEnvironmentTemplate",
            "CreateEnvironmentTemplateVersion",
            "CreateRepository",
            "CreateService",
            "CreateServiceInstance",
            "CreateServiceTemplate",
            "CreateServiceTemplateVersion",
            "TagResource",
        ]
    );
}

#[test]
fn what_no_policy_permits_is_not_allowed() {
    let ask = Ask::of("local", "GetEnvironment", "environment/prod");
    assert!(!allowed("", &ask.case()));
    assert!(!allowed(
        "permit (principal, action == Proton::Action::\"GetService\", resource);",
        &ask.case()
    ));
    assert!(allowed(
        "permit (principal, action, resource);",
        &ask.case()
    ));
}

#[test]
fn a_forbid_beats_every_permit_and_is_named() {
    let text = "
        @id(\"all\") permit (principal, action, resource);
        @id(\"not-prod\") forbid (principal, action, resource == Proton::Environment::\"ARN\");
        forbid (principal, action in Proton::Action::\"Write\", resource);
    ";
    let prod = Ask::of("local", "DeleteEnvironment", "environment/prod");
    let set = open(&text.replace("ARN", &prod.resource.arn))
        .unwrap()
        .now();
    let verdict = set.judge(&prod.case());
    assert!(!verdict.allowed);
    assert_eq!(verdict.policies, ["not-prod", "team.cedar:4"]);
    let test = Ask::of("local", "GetEnvironment", "environment/test");
    let verdict = set.judge(&test.case());
    assert!(verdict.allowed);
    assert_eq!(verdict.policies, ["all"]);
}

#[test]
fn a_policy_may_go_by_what_an_operation_does_and_by_what_a_resource_is_part_of() {
    let reads = "permit (principal, action in Proton::Action::\"ReadOnly\", resource);";
    for (name, is_read) in [("GetService", true), ("DeleteService", false)] {
        let ask = Ask::of("local", name, "service/web");
        assert_eq!(allowed(reads, &ask.case()), is_read, "{name}");
    }
    let web = format!(
        "permit (principal, action, resource in Proton::Service::\"{}\");",
        own("service/web").arn
    );
    for (name, path, is_part) in [
        ("GetService", "service/web", true),
        ("UpdateServicePipeline", "service/web", true),
        (
            "GetServiceInstance",
            "service/web/service-instance/dev",
            true,
        ),
        ("TagResource", "service/web/pipeline", true),
        (
            "GetServiceInstance",
            "service/web2/service-instance/dev",
            false,
        ),
    ] {
        assert_eq!(
            allowed(&web, &Ask::of("local", name, path).case()),
            is_part,
            "{name} {path}"
        );
    }
    let versions = format!(
        "permit (principal, action, resource in Proton::EnvironmentTemplate::\"{}\");",
        own("environment-template/vpc").arn
    );
    let ask = Ask::of(
        "local",
        "GetEnvironmentTemplateVersion",
        "environment-template/vpc:1.0",
    );
    assert!(allowed(&versions, &ask.case()));
    let account = "permit (principal, action, resource in Proton::Account::\"222222222222\");";
    let foreign = Located::parse("arn:aws:proton:us-east-1:222222222222:service/web".to_owned());
    let foreign = Ask {
        resource: foreign.unwrap(),
        ..Ask::of("local", "TagResource", "service/web")
    };
    assert!(allowed(account, &foreign.case()));
    assert!(!allowed(
        account,
        &Ask::of("local", "TagResource", "service/web").case()
    ));
}

#[test]
fn a_policy_may_go_by_who_asks() {
    let get = |who: &str| Ask::of(who, "GetService", "service/web");
    let one = "permit (principal == Proton::Caller::\"access-key:AKIDALICE\", action, resource);";
    assert!(allowed(one, &get("access-key:AKIDALICE").case()));
    assert!(!allowed(one, &get("access-key:AKIDBOB").case()));
    let below = "permit (principal, action, resource) when { principal.id like \"spiffe://prod.example/ns/shop/*\" };";
    assert!(allowed(
        below,
        &get("spiffe://prod.example/ns/shop/web").case()
    ));
    assert!(!allowed(
        below,
        &get("spiffe://prod.example/ns/shopping").case()
    ));
    let place = "permit (principal in Proton::Account::\"111111111111\", action, resource)
        when { principal.kind == \"token\" && principal.region == \"us-east-1\" && principal.account == \"111111111111\" };";
    assert!(allowed(
        place,
        &get("jwt:https://issuer.example#alice").case()
    ));
    assert!(!allowed(place, &get("proxied:alice").case()));
}

#[test]
fn a_claim_is_the_set_of_what_it_says() {
    let claims = json!({ "groups": ["shop", "ops"], "email": "alice@example.com", "admin": true });
    let alice = Ask::of(
        "jwt:https://issuer.example#alice",
        "GetService",
        "service/web",
    )
    .claiming(claims);
    for (name, value, is_said) in [
        ("groups", "ops", true),
        ("groups", "platform", false),
        ("email", "alice@example.com", true),
        ("admin", "true", true),
        ("absent", "true", false),
    ] {
        let text = format!(
            "permit (principal, action, resource)
             when {{ principal.hasTag(\"{name}\") && principal.getTag(\"{name}\").contains(\"{value}\") }};"
        );
        assert_eq!(allowed(&text, &alice.case()), is_said, "{name}");
    }
}

#[test]
fn a_policy_may_go_by_the_condition_keys() {
    let create = Ask::of("local", "CreateEnvironment", "environment/prod");
    let case = Case {
        tags: tags(&[("team", "old")]),
        request_tags: tags(&[("team", "shop")]),
        template: Some(own("environment-template/vpc")),
        ..create.case()
    };
    for (condition, holds) in [
        (
            "context.requestTags.hasTag(\"team\") && context.requestTags.getTag(\"team\") == \"shop\"",
            true,
        ),
        ("context.requestTags.hasTag(\"stage\")", false),
        ("[\"team\", \"stage\"].containsAll(context.tagKeys)", true),
        ("context.tagKeys.contains(\"stage\")", false),
        (
            "resource.hasTag(\"team\") && resource.getTag(\"team\") == \"old\"",
            true,
        ),
        (
            "context has environmentTemplate && context.environmentTemplate like \"*:environment-template/vpc\"",
            true,
        ),
        (
            "context has environmentTemplate && context.environmentTemplate like \"*:environment-template/lan\"",
            false,
        ),
        (
            "resource.arn like \"arn:aws:proton:*:environment/p*\"",
            true,
        ),
    ] {
        let text = format!(
            "permit (principal, action == Proton::Action::\"CreateEnvironment\", resource) when {{ {condition} }};"
        );
        assert_eq!(allowed(&text, &case), holds, "{condition}");
    }
}

#[test]
fn an_evaluation_that_fails_allows_nothing() {
    let text = "
        permit (principal, action, resource);
        forbid (principal, action, resource) when { Proton::Service::\"elsewhere\".arn like \"*\" };
    ";
    let ask = Ask::of("local", "GetService", "service/web");
    let verdict = open(text).unwrap().now().judge(&ask.case());
    assert!(!verdict.allowed);
    assert_eq!(verdict.errors.len(), 1);
}

#[test]
fn what_the_schema_does_not_know_is_refused_with_its_place() {
    for (text, said) in [
        (
            "permit (principal, action, resource)",
            "team.cedar:1: unexpected end of input",
        ),
        (
            "\n\npermit (principal, action == Proton::Action::\"GetServices\", resource);",
            "team.cedar:3: ",
        ),
        (
            "permit (principal, action in Proton::Action::\"Reads\", resource);",
            "Reads",
        ),
        (
            "permit (principal == Proton::User::\"a\", action, resource);",
            "Proton::User",
        ),
        (
            "permit (principal, action, resource) when { principal.name == \"a\" };",
            "name",
        ),
        (
            "permit (principal, action, resource) when { resource.arm like \"*\" };",
            "arm",
        ),
        (
            "permit (principal, action, resource) when { principal.account == 1 };",
            "team.cedar:1: ",
        ),
        (
            "forbid (principal, action, resource) when { context has environmenttemplate };",
            "team.cedar:1: ",
        ),
        (
            "permit (principal, action == Proton::Action::\"GetService\", resource is Proton::Environment);",
            "team.cedar:1: ",
        ),
        (
            "permit (principal, action, resource) when { resource.getTag(\"team\") == \"a\" };",
            "team",
        ),
        (
            "permit (principal == ?principal, action, resource);",
            "template",
        ),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            "team.cedar:2: ",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(said), "{text}: {problem}");
    }
}

#[test]
fn the_files_of_a_directory_are_one_set() {
    let (directory, path) = file("@id(\"a\") permit (principal, action, resource);");
    fs::write(directory.path().join("notes.txt"), "no policy").unwrap();
    fs::write(
        directory.path().join("b.cedar"),
        "// nothing\n\nforbid (principal, action, resource);",
    )
    .unwrap();
    let ask = Ask::of("local", "GetService", "service/web");
    let verdict = Loaded::open(directory.path(), true)
        .unwrap()
        .now()
        .judge(&ask.case());
    assert_eq!(verdict.policies, ["b.cedar:3"]);
    fs::write(directory.path().join("c.cedar"), fs::read(&path).unwrap()).unwrap();
    let problem = Loaded::open(directory.path(), true).err().unwrap();
    assert!(problem.contains("team.cedar:1: "), "{problem}");
    assert!(
        Loaded::open(tempfile::tempdir().unwrap().path(), true)
            .err()
            .unwrap()
            .contains("no file there ends in .cedar")
    );
    assert!(Loaded::open(&directory.path().join("none"), true).is_err());
}

#[test]
fn a_changed_file_is_taken_up_and_a_broken_one_is_not() {
    let (directory, path) = file("permit (principal, action, resource);");
    let loaded = Loaded::open(directory.path(), true).unwrap();
    let ask = Ask::of("local", "GetService", "service/web");
    let is_allowed = || {
        loaded.0.look();
        loaded.now().judge(&ask.case()).allowed
    };
    assert!(is_allowed());
    fs::write(&path, "forbid (principal, action, resource);").unwrap();
    assert!(!is_allowed());
    fs::write(
        &path,
        "permit (principal, action, resource) when { principal.nam == \"\" };",
    )
    .unwrap();
    assert!(!is_allowed());
    fs::remove_file(&path).unwrap();
    assert!(!is_allowed());
    fs::write(&path, "permit (principal, action, resource);").unwrap();
    assert!(is_allowed());
}

#[test]
fn only_with_a_keeper_may_policies_go_by_what_is_kept() {
    let told = [
        "permit (principal, action, resource) when { principal.hasTag(\"groups\") };",
        "permit (principal, action == Proton::Action::\"CreateService\", resource) when { context.requestTags.hasTag(\"team\") };",
        "permit (principal, action == Proton::Action::\"CreateService\", resource)
         when { context has serviceTemplate && context.serviceTemplate like \"*:service-template/web\" };",
    ];
    let kept = [
        "permit (principal, action, resource) when { resource.hasTag(\"team\") };",
        "forbid (principal, action, resource) when { resource.hasTag(\"a\") && resource.getTag(\"a\") == \"\" };",
        "permit (principal, action, resource) when { (if principal.kind == \"local\" then resource else resource).hasTag(\"a\") };",
        "permit (principal, action == Proton::Action::\"UpdateService\", resource) when { context has serviceTemplate };",
        "forbid (principal, action, resource) when { context has environmentTemplate };",
    ];
    for text in told {
        let (_directory, path) = file(text);
        let loaded = Loaded::open(&path, false).unwrap();
        assert!(!loaded.now().mentions.tags, "{text}");
    }
    for text in kept {
        let (_directory, path) = file(text);
        let problem = Loaded::open(&path, false).err().unwrap();
        assert!(problem.contains("only --upstream embedded"), "{problem}");
        let mentions = Loaded::open(&path, true).unwrap().now().mentions;
        assert!(mentions.tags || mentions.templates, "{text}");
    }
}

#[test]
fn the_examples_say_what_they_are_said_to_say() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/policies");
    let set = Loaded::open(&examples, true).unwrap().now();
    let person = |group: &str, name, path: &str| {
        Ask::of("jwt:https://issuer.example#alice", name, path)
            .claiming(json!({ "groups": [group] }))
    };
    let team = tags(&[("team", "shop")]);
    let production = tags(&[("team", "shop"), ("stage", "production")]);
    let none = BTreeMap::new();
    for (ask, tags, allowed) in [
        (
            person("platform", "DeleteService", "service/blog"),
            &production,
            true,
        ),
        (
            person("blog", "GetService", "service/shop-web"),
            &none,
            true,
        ),
        (
            person("blog", "DeleteService", "service/shop-web"),
            &none,
            false,
        ),
        (
            person("shop", "DeleteService", "service/shop-web"),
            &none,
            true,
        ),
        (
            person(
                "shop",
                "UpdateServiceInstance",
                "service/shop-web/service-instance/dev",
            ),
            &none,
            true,
        ),
        (
            person("shop", "DeleteService", "service/blog"),
            &none,
            false,
        ),
        (person("shop", "DeleteService", "service/blog"), &team, true),
        (
            person("shop", "DeleteService", "service/blog"),
            &production,
            false,
        ),
        (
            Ask::of(
                "spiffe://prod.example/ns/shop/ci",
                "CreateEnvironment",
                "environment/shop-1",
            ),
            &none,
            true,
        ),
        (
            Ask::of(
                "spiffe://prod.example/ns/blog/ci",
                "CreateEnvironment",
                "environment/shop-1",
            ),
            &none,
            false,
        ),
    ] {
        let case = Case {
            tags: tags.clone(),
            ..ask.case()
        };
        assert_eq!(set.judge(&case).allowed, allowed, "{case:?}");
    }
    let tag = person("shop", "TagResource", "service/shop-web");
    let case = |key| Case {
        request_tags: self::tags(&[(key, "blog")]),
        ..tag.case()
    };
    assert!(set.judge(&case("colour")).allowed);
    assert!(!set.judge(&case("team")).allowed);
}
