//! The transform of the Serverless Application Model, as far as other parts of a template can see it.
//!
//! A serverless resource becomes the plain resource that bears its name, and beside it those that SAM generates: roles, versions,
//! implicit APIs, sources of events. Their names and types are SAM's; their properties are only those that their identity needs.

use aws_lc_rs::digest::{SHA256, digest};

use super::refusal::Refusal;
use super::sections::MAX_RESOURCES;
use super::value::Value;

const TRANSFORM: &str = "AWS::Serverless-2016-10-31";
const GLOBALS: &[&str] = &[
    "Api",
    "CapacityProvider",
    "Function",
    "HttpApi",
    "LayerVersion",
    "SimpleTable",
    "StateMachine",
    "WebSocketApi",
];

/// Whether the template wants this transform; any other is refused.
pub(super) fn is_asked_for(root: &Value) -> Result<bool, Refusal> {
    let Some(transform) = root.get("Transform") else {
        return Ok(false);
    };
    let names = transform.as_texts().ok_or_else(|| {
        Refusal::format(
            "the Transform section must name transforms; the local engine runs no macros",
        )
    })?;
    match names.iter().find(|name| **name != TRANSFORM) {
        Some(name) => Err(Refusal::new(format!(
            "the local engine cannot run the transform {name}, only {TRANSFORM}"
        ))),
        None => Ok(!names.is_empty()),
    }
}

/// Replaces serverless resources by plain ones.
pub(super) fn expand(root: &mut Value) -> Result<(), Refusal> {
    if !is_asked_for(root)? {
        return Ok(());
    }
    let globals = root.get("Globals").cloned();
    if let Some(globals) = &globals {
        let kinds = globals.as_map().unwrap_or_default();
        if let Some((name, _)) = kinds
            .iter()
            .find(|(name, _)| !GLOBALS.contains(&name.as_str()))
        {
            return Err(invalid(&format!(
                "'Globals' section is invalid. '{name}' is not supported. Must be one of the following values - {GLOBALS:?}"
            )));
        }
    }
    let Value::Map(sections) = root else {
        return Ok(());
    };
    let resources = sections.iter_mut().find(|(name, _)| name == "Resources");
    let Some((_, Value::Map(resources))) = resources else {
        return Ok(());
    };
    let mut expansion = Expansion::default();
    for (name, resource) in resources.iter_mut() {
        let kind = resource.get("Type").and_then(Value::as_text);
        let Some(kind) = kind.and_then(|kind| kind.strip_prefix("AWS::Serverless::")) else {
            continue;
        };
        let given = Given {
            own: resource.get("Properties"),
            globals: globals.as_ref().and_then(|globals| globals.get(kind)),
        };
        expansion.condition = resource.get("Condition").cloned();
        let plain = expansion.resource(name, kind, &given)?;
        if let Value::Map(members) = resource
            && let Some((_, kind)) = members.iter_mut().find(|(member, _)| member == "Type")
        {
            *kind = Value::text(plain);
        }
    }
    for (name, resource) in expansion.generated {
        if !resources.iter().any(|(taken, _)| *taken == name) {
            resources.push((name, resource));
        }
    }
    Ok(())
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(format!("Transform {TRANSFORM} failed with: {why}"))
}

/// What is said of a resource, by itself or for all of its kind.
struct Given<'a> {
    own: Option<&'a Value>,
    globals: Option<&'a Value>,
}

impl<'a> Given<'a> {
    fn get(&self, property: &str) -> Option<&'a Value> {
        let own = self.own.and_then(|own| own.get(property));
        own.or_else(|| self.globals.and_then(|globals| globals.get(property)))
    }

    fn text(&self, property: &str) -> Option<&'a str> {
        self.get(property).and_then(Value::as_text)
    }

    /// Ten digits that change with what the resource says of itself.
    fn fingerprint(&self) -> String {
        let digest = digest(&SHA256, format!("{:?}", self.own).as_bytes());
        let hex = |byte: &u8| format!("{byte:02x}");
        digest.as_ref().iter().take(5).map(hex).collect()
    }
}

#[derive(Default)]
struct Expansion {
    generated: Vec<(String, Value)>,
    /// What is generated is there only where its cause is.
    condition: Option<Value>,
}

impl Expansion {
    /// Generates what comes with a resource, and answers its plain type.
    fn resource(
        &mut self,
        name: &str,
        kind: &str,
        given: &Given<'_>,
    ) -> Result<&'static str, Refusal> {
        match kind {
            "Function" => {
                self.function(name, given);
                Ok("AWS::Lambda::Function")
            }
            "Api" => {
                self.api(name, given);
                Ok("AWS::ApiGateway::RestApi")
            }
            "HttpApi" => {
                self.http_api(name, given);
                Ok("AWS::ApiGatewayV2::Api")
            }
            "StateMachine" => {
                self.role(name, given);
                self.events(name, given);
                Ok("AWS::StepFunctions::StateMachine")
            }
            "SimpleTable" => Ok("AWS::DynamoDB::Table"),
            "LayerVersion" => Ok("AWS::Lambda::LayerVersion"),
            "Application" => Ok("AWS::CloudFormation::Stack"),
            "Connector" => Ok("AWS::IAM::ManagedPolicy"),
            "GraphQLApi" => Ok("AWS::AppSync::GraphQLApi"),
            "WebSocketApi" => Ok("AWS::ApiGatewayV2::Api"),
            _ => Err(invalid(&format!(
                "Resource with id [{name}] is invalid. AWS::Serverless::{kind} is unknown"
            ))),
        }
    }

    fn function(&mut self, name: &str, given: &Given<'_>) {
        self.role(name, given);
        if let Some(alias) = given.get("AutoPublishAlias") {
            let alias = alias.as_text().unwrap_or("live");
            let version = format!("{name}Version{}", given.fingerprint());
            for id in [&version, &format!("{name}.Version")] {
                self.add_of(name, id, "AWS::Lambda::Version", &[]);
            }
            for id in [
                format!("{name}Alias{}", alphanumeric(alias)),
                format!("{name}.Alias"),
            ] {
                self.add_of(name, &id, "AWS::Lambda::Alias", &[("Name", alias)]);
            }
        }
        if given.get("DeploymentPreference").is_some() {
            let application = "AWS::CodeDeploy::Application";
            self.add("ServerlessDeploymentApplication", application, &[]);
            self.add("CodeDeployServiceRole", "AWS::IAM::Role", &[]);
            let group = "AWS::CodeDeploy::DeploymentGroup";
            self.add(&format!("{name}DeploymentGroup"), group, &[]);
        }
        if given.get("FunctionUrlConfig").is_some() {
            self.add_of(name, &format!("{name}Url"), "AWS::Lambda::Url", &[]);
        }
        self.events(name, given);
    }

    fn role(&mut self, name: &str, given: &Given<'_>) {
        if given.get("Role").is_none() {
            self.add(&format!("{name}Role"), "AWS::IAM::Role", &[]);
        }
    }

    fn events(&mut self, name: &str, given: &Given<'_>) {
        let events = given.get("Events").and_then(Value::as_map);
        for (event, body) in events.unwrap_or_default() {
            let settings = body.get("Properties");
            let asks_for = |member: &str| settings.and_then(|given| given.get(member)).is_some();
            let id = format!("{name}{event}");
            match body.get("Type").and_then(Value::as_text) {
                Some("Api") if !asks_for("RestApiId") => self.implicit_api(),
                Some("HttpApi") if !asks_for("ApiId") => self.implicit_http_api(),
                Some("Schedule" | "CloudWatchEvent" | "EventBridgeRule" | "IoTRule") => {
                    self.add(&id, "AWS::Events::Rule", &[]);
                }
                Some("ScheduleV2") => self.add(&id, "AWS::Scheduler::Schedule", &[]),
                Some("SNS") => self.add(&id, "AWS::SNS::Subscription", &[]),
                Some(
                    "SQS" | "Kinesis" | "DynamoDB" | "MSK" | "MQ" | "SelfManagedKafka"
                    | "DocumentDB",
                ) => {
                    self.add(&id, "AWS::Lambda::EventSourceMapping", &[]);
                }
                _ => {}
            }
        }
    }

    /// The API of functions that name none. It belongs to all of them, so it is there without a condition.
    fn implicit_api(&mut self) {
        let condition = self.condition.take();
        self.add("ServerlessRestApi", "AWS::ApiGateway::RestApi", &[]);
        let stage = [("StageName", "Prod")];
        self.add(
            "ServerlessRestApiProdStage",
            "AWS::ApiGateway::Stage",
            &stage,
        );
        self.condition = condition;
    }

    fn implicit_http_api(&mut self) {
        let condition = self.condition.take();
        self.add("ServerlessHttpApi", "AWS::ApiGatewayV2::Api", &[]);
        let stage = [("StageName", "$default")];
        let name = "ServerlessHttpApiApiGatewayDefaultStage";
        self.add(name, "AWS::ApiGatewayV2::Stage", &stage);
        self.condition = condition;
    }

    fn api(&mut self, name: &str, given: &Given<'_>) {
        let stage = given.text("StageName");
        let id = stage.map_or_else(
            || format!("{name}Stage"),
            |stage| format!("{name}{}Stage", alphanumeric(stage)),
        );
        let named = [("StageName", stage.unwrap_or("stage"))];
        self.add(&id, "AWS::ApiGateway::Stage", &named);
        self.add(&format!("{name}.Stage"), "AWS::ApiGateway::Stage", &named);
        let deployment = "AWS::ApiGateway::Deployment";
        let id = format!("{name}Deployment{}", given.fingerprint());
        self.add(&id, deployment, &[]);
        self.add(&format!("{name}.Deployment"), deployment, &[]);
    }

    fn http_api(&mut self, name: &str, given: &Given<'_>) {
        let stage = given.text("StageName");
        let stage = stage.unwrap_or("$default");
        let id = match stage {
            "$default" => format!("{name}ApiGatewayDefaultStage"),
            stage => format!("{name}{}Stage", alphanumeric(stage)),
        };
        let named = [("StageName", stage)];
        self.add(&id, "AWS::ApiGatewayV2::Stage", &named);
        self.add(&format!("{name}.Stage"), "AWS::ApiGatewayV2::Stage", &named);
    }

    fn add(&mut self, name: &str, kind: &str, properties: &[(&str, &str)]) {
        let properties = (properties.iter())
            .map(|(name, value)| ((*name).to_owned(), Value::text(*value)))
            .collect();
        self.add_with(name, kind, properties);
    }

    /// Something that belongs to a function, and bears its name.
    fn add_of(&mut self, function: &str, name: &str, kind: &str, properties: &[(&str, &str)]) {
        let reference = Value::Map(vec![("Ref".to_owned(), Value::text(function))]);
        let mut all = vec![("FunctionName".to_owned(), reference)];
        all.extend(
            (properties.iter()).map(|(name, value)| ((*name).to_owned(), Value::text(*value))),
        );
        self.add_with(name, kind, all);
    }

    fn add_with(&mut self, name: &str, kind: &str, properties: Vec<(String, Value)>) {
        let is_known = self.generated.iter().any(|(taken, _)| taken == name);
        // Past the limit it makes no difference how many there are.
        if is_known || self.generated.len() > MAX_RESOURCES {
            return;
        }
        let mut members = vec![
            ("Type".to_owned(), Value::text(kind)),
            ("Properties".to_owned(), Value::Map(properties)),
        ];
        if let Some(condition) = &self.condition {
            members.push(("Condition".to_owned(), condition.clone()));
        }
        self.generated.push((name.to_owned(), Value::Map(members)));
    }
}

fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}
