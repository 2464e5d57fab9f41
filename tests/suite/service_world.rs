//! What services need before there can be one: environments to run in, a template, and settings for pipelines.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::time::{Duration, Instant};

use aws_sdk_proton::operation::create_service::builders::CreateServiceFluentBuilder;
use aws_sdk_proton::types::{
    Deployment, Output, Service, ServiceInstance, ServicePipeline, ServiceStatus,
};

use super::stack::{Stack, compatible, source};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/proton";
const CONNECTION: &str = "arn:aws:codestar-connections:us-east-1:123456789012:connection/0f3ecc3c-0000-4000-8000-000000000000";

const MANIFEST: &str = "infrastructure:
  templates:
    - file: cloudformation.yaml
      rendering_engine: jinja
      template_language: cloudformation
";
const TERRAFORM: &str = "infrastructure:
  templates:
    - file: \"*\"
      rendering_engine: hcl
      template_language: terraform
";
const ENVIRONMENT: &str =
    "Resources: {}\nSaid: \"{{ environment.name }} is {{ environment.inputs.size }}\"\n";
const INSTANCE: &str = "Resources: {}
Said: \"{{ service.name }} {{ service_instance.name }} {{ service_instance.inputs.size }}, {{ environment.outputs.said }}\"
";
const PIPELINE: &str = "Resources: {}
Said: \"{{ pipeline.inputs.tests }} of {{ service.repository_id }}{% for one in service_instances %}; {{ one.name }} {{ one.inputs.size }} ({{ one.outputs.said }}) in {{ one.environment.name }}{% endfor %}\"
";

const ENVIRONMENT_SCHEMA: &str = r#"
schema:
  format: { openapi: "3.0.0" }
  environment_input_type: In
  types:
    In: { type: object, properties: { size: { type: string, default: small } } }
"#;
pub(crate) const SERVICE_SCHEMA: &str = r#"
schema:
  format: { openapi: "3.0.0" }
  service_input_type: In
  pipeline_input_type: Build
  types:
    In: { type: object, properties: { size: { type: string, default: small } } }
    Build: { type: object, properties: { tests: { type: string, default: all } } }
"#;
const LONE_SCHEMA: &str = r#"
schema:
  format: { openapi: "3.0.0" }
  service_input_type: In
  types:
    In: { type: object, properties: { size: { type: string, default: small } } }
"#;

/// A service whose only instance `dev` is in the environment `prod`.
pub(crate) const DEV_IN_PROD: &str = "proton: ServiceSpec
pipeline: { tests: some }
instances:
  - { name: dev, environment: prod, spec: {} }
";

/// A spec with a pipeline and these instances: name, environment, size.
pub(crate) fn spec(instances: &[(&str, &str, &str)]) -> String {
    format!(
        "proton: ServiceSpec\npipeline:\n  tests: some\n{}",
        sections(instances)
    )
}

/// A spec without a pipeline.
pub(crate) fn lone_spec(instances: &[(&str, &str, &str)]) -> String {
    format!("proton: ServiceSpec\n{}", sections(instances))
}

fn sections(instances: &[(&str, &str, &str)]) -> String {
    if instances.is_empty() {
        return "instances: []\n".to_owned();
    }
    let section = |(name, environment, size): &(&str, &str, &str)| {
        format!("  - name: {name}\n    environment: {environment}\n    spec:\n      size: {size}\n")
    };
    format!(
        "instances:\n{}",
        instances.iter().map(section).collect::<String>()
    )
}

/// `dev` and `prod`, each in the environment of its name.
pub(crate) fn both() -> String {
    spec(&[("dev", "dev", "small"), ("prod", "prod", "large")])
}

impl Stack {
    /// The environments `dev` and `prod` of the template `net`, and the service template `web` with the published version 1.0.
    pub(crate) async fn with_web(self) -> Self {
        self.create_environment_template("net").await;
        self.net_version(None).await;
        for name in ["dev", "prod"] {
            self.create_environment(name).await;
        }
        self.create_service_template("web").await;
        assert_eq!(self.web_version(None, &["1"]).await, "1.0");
        let settings = self.client.update_account_settings();
        settings
            .pipeline_service_role_arn(ROLE)
            .send()
            .await
            .unwrap();
        self.engine.begun();
        self
    }

    pub(crate) async fn net_version(&self, major: Option<&str>) {
        let files = [
            ("schema/schema.yaml", ENVIRONMENT_SCHEMA),
            ("infrastructure/manifest.yaml", MANIFEST),
            ("infrastructure/cloudformation.yaml", ENVIRONMENT),
        ];
        self.upload("net.tar.gz", &files);
        let create = self.client.create_environment_template_version();
        let create = create.template_name("net").source(source("net.tar.gz"));
        let made = create.set_major_version(major.map(str::to_owned)).send();
        let made = made.await.unwrap().environment_template_version.unwrap();
        let (major, minor) = (made.major_version, made.minor_version);
        self.registered("net", &major, &minor).await.unwrap();
        self.publish("net", &major, &minor).await;
    }

    /// An environment of the first major version of `net`, deployed to the end.
    pub(crate) async fn create_environment(&self, name: &str) {
        self.begin_environment(name).await;
        self.until("the environment ends", async || {
            let got = self.client.get_environment().name(name).send().await;
            let status = got.unwrap().environment.unwrap().deployment_status;
            (!status.as_str().ends_with("IN_PROGRESS")).then_some(())
        })
        .await;
    }

    pub(crate) async fn begin_environment(&self, name: &str) {
        let create = self.client.create_environment().name(name);
        let create = create.template_name("net").template_major_version("1");
        let create = create.spec("proton: EnvironmentSpec\nspec: {}\n");
        create.proton_service_role_arn(ROLE).send().await.unwrap();
    }

    /// Registers and publishes the next version of `web`, for these major versions of `net`.
    pub(crate) async fn web_version(&self, major: Option<&str>, nets: &[&str]) -> String {
        let files = [
            ("schema/schema.yaml", SERVICE_SCHEMA),
            ("instance_infrastructure/manifest.yaml", MANIFEST),
            ("instance_infrastructure/cloudformation.yaml", INSTANCE),
            ("pipeline_infrastructure/manifest.yaml", MANIFEST),
            ("pipeline_infrastructure/cloudformation.yaml", PIPELINE),
        ];
        self.service_bundle_version("web", major, nets, &files)
            .await
    }

    /// The service template `lone`, whose services have no pipeline.
    pub(crate) async fn with_lone(self) -> Self {
        let create = self.client.create_service_template().name("lone");
        let create = create.pipeline_provisioning("CUSTOMER_MANAGED".into());
        create.send().await.unwrap();
        let files = [
            ("schema/schema.yaml", LONE_SCHEMA),
            ("instance_infrastructure/manifest.yaml", MANIFEST),
            ("instance_infrastructure/cloudformation.yaml", INSTANCE),
        ];
        self.service_bundle_version("lone", None, &["1"], &files)
            .await;
        self
    }

    /// A version of `lone` that Terraform provisions.
    pub(crate) async fn lone_terraform(&self) {
        let files = [
            ("schema/schema.yaml", LONE_SCHEMA),
            ("instance_infrastructure/manifest.yaml", TERRAFORM),
            ("instance_infrastructure/main.tf", "# nothing\n"),
        ];
        self.service_bundle_version("lone", None, &["1"], &files)
            .await;
    }

    pub(crate) async fn service_bundle_version(
        &self,
        template: &str,
        major: Option<&str>,
        nets: &[&str],
        files: &[(&str, &str)],
    ) -> String {
        self.upload("service.tar.gz", files);
        let fits = nets.iter().map(|major| compatible("net", major)).collect();
        let create = self.client.create_service_template_version();
        let create = create
            .template_name(template)
            .set_major_version(major.map(str::to_owned));
        let create = create.source(source("service.tar.gz"));
        let made = create
            .set_compatible_environment_templates(Some(fits))
            .send()
            .await;
        let made = made.unwrap().service_template_version.unwrap();
        let (major, minor) = (made.major_version, made.minor_version);
        self.until("the version is registered", async || {
            let get = self
                .client
                .get_service_template_version()
                .template_name(template);
            let got = get.major_version(&major).minor_version(&minor).send().await;
            let version = got.unwrap().service_template_version.unwrap();
            assert_ne!(
                version.status.as_str(),
                "REGISTRATION_FAILED",
                "{:?}",
                version.status_message
            );
            (version.status.as_str() == "DRAFT").then_some(())
        })
        .await;
        let publish = self
            .client
            .update_service_template_version()
            .template_name(template);
        let publish = publish.major_version(&major).minor_version(&minor);
        publish.status("PUBLISHED".into()).send().await.unwrap();
        format!("{major}.{minor}")
    }

    pub(crate) fn creating_service(&self, name: &str, spec: &str) -> CreateServiceFluentBuilder {
        let create = self.client.create_service().name(name).spec(spec);
        let create = create.template_name("web").template_major_version("1");
        let create = create.repository_connection_arn(CONNECTION);
        create.repository_id("me/web").branch_name("main")
    }

    pub(crate) fn creating_lone(&self, name: &str, spec: &str) -> CreateServiceFluentBuilder {
        let create = self.client.create_service().name(name).spec(spec);
        create.template_name("lone").template_major_version("1")
    }

    /// Creates a service, up to the end.
    pub(crate) async fn created_service(&self, name: &str, spec: &str) -> Service {
        self.creating_service(name, spec).send().await.unwrap();
        self.settled_service(name).await
    }

    /// Edits the spec of a service, up to the end.
    pub(crate) async fn edited_service(&self, name: &str, spec: &str) -> Service {
        let edit = self.client.update_service().name(name).spec(spec);
        edit.send().await.unwrap();
        self.settled_service(name).await
    }

    pub(crate) async fn service(&self, name: &str) -> Service {
        let got = self.client.get_service().name(name).send().await;
        got.unwrap().service.unwrap()
    }

    pub(crate) async fn pipeline(&self, service: &str) -> ServicePipeline {
        self.service(service).await.pipeline.unwrap()
    }

    /// The service once nothing is done to it.
    pub(crate) async fn settled_service(&self, name: &str) -> Service {
        self.until("the operation on the service ends", async || {
            let service = self.service(name).await;
            (!service.status.as_str().ends_with("IN_PROGRESS")).then_some(service)
        })
        .await
    }

    pub(crate) async fn service_reaches(&self, name: &str, status: ServiceStatus) -> Service {
        self.until(status.as_str(), async || {
            let service = self.service(name).await;
            (service.status == status).then_some(service)
        })
        .await
    }

    pub(crate) async fn instance(&self, service: &str, name: &str) -> ServiceInstance {
        let get = self.client.get_service_instance().service_name(service);
        let got = get.name(name).send().await;
        got.unwrap().service_instance.unwrap()
    }

    /// The instance once no deployment of it is under way.
    pub(crate) async fn settled_instance(&self, service: &str, name: &str) -> ServiceInstance {
        self.until("the deployment of the instance ends", async || {
            let instance = self.instance(service, name).await;
            let status = instance.deployment_status.as_str();
            let busy = status.ends_with("IN_PROGRESS") || status == "CANCELLING";
            (!busy).then_some(instance)
        })
        .await
    }

    /// The pipeline once no deployment of it is under way.
    pub(crate) async fn settled_pipeline(&self, service: &str) -> ServicePipeline {
        self.until("the deployment of the pipeline ends", async || {
            let pipeline = self.pipeline(service).await;
            let status = pipeline.deployment_status.as_str();
            let busy = status.ends_with("IN_PROGRESS") || status == "CANCELLING";
            (!busy).then_some(pipeline)
        })
        .await
    }

    /// The names of the instances of a service.
    pub(crate) async fn instances(&self, service: &str) -> Vec<String> {
        let list = self.client.list_service_instances().service_name(service);
        let listed = list.send().await.unwrap().service_instances;
        listed.into_iter().map(|instance| instance.name).collect()
    }

    pub(crate) async fn deployment_record(&self, id: &str) -> Deployment {
        let got = self.client.get_deployment().id(id).send().await;
        got.unwrap().deployment.unwrap()
    }

    /// Waits until so many deployments have begun, which are these, in whatever order.
    pub(crate) async fn have_begun(&self, steps: &[&str]) {
        let seen = std::cell::RefCell::new(Vec::new());
        self.until("the deployments begin", async || {
            seen.borrow_mut().extend(self.engine.begun());
            (seen.borrow().len() >= steps.len()).then_some(())
        })
        .await;
        let mut seen = seen.into_inner();
        seen.sort();
        assert_eq!(seen, steps);
    }

    pub(crate) async fn service_goes(&self, name: &str) {
        self.until("the service is gone", async || {
            let got = self.client.get_service().name(name).send().await;
            got.err().map(drop)
        })
        .await;
    }

    /// What was held goes on.
    pub(crate) fn go_on(&self) {
        self.engine.let_go();
        self.clock.advance(Duration::from_secs(1));
    }

    /// The first answer, which work that is under way will bring about.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
            tokio::task::yield_now().await;
        }
    }
}

/// What the template said.
pub(crate) fn said(outputs: Vec<Output>) -> String {
    let said = outputs
        .into_iter()
        .find(|output| output.key.as_deref() == Some("said"));
    said.and_then(|output| output.value_string)
        .unwrap_or_default()
}
