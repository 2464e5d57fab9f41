//! A preview tells the truth: the call that follows sends what was shown, to the byte; and a preview leaves no trace.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use aws_sdk_proton::types::{
    RepositoryBranchInput, RepositoryProvider, ServiceTemplateSupportedComponentSourceType,
};
use proton_grpc::api::pb::{
    self, previewed_call::Kind as Call, proton_service_server::ProtonService as _,
};
use proton_grpc::control_plane::Limits;
use tonic::{Code, Request};

use super::preview::{content, facade, previews};
use super::service_world::ROLE;
use super::stack::{Stack, compatible, source};

const CONNECTION: &str = "arn:aws:codestar-connections:us-east-1:123456789012:connection/0f3ecc3c-0000-4000-8000-000000000000";
/// The deployments of previews have ids of their own.
const ANY_ID: &str = "ID";

/// How the templates of a story are provisioned: the files of a part, whose code says what it sees.
struct Method {
    manifest: &'static str,
    file: &'static str,
    environment: &'static str,
    instance: &'static str,
    pipeline: &'static str,
}

const CLOUDFORMATION: Method = Method {
    manifest: "infrastructure:
  templates:
    - { file: code, rendering_engine: jinja, template_language: cloudformation }
",
    file: "code",
    environment: "Resources: { T: { Type: AWS::SNS::Topic } }
Outputs:
  Zone: { Value: \"{{ environment.inputs.size }}\" }
",
    instance: "Resources: { T: { Type: AWS::SNS::Topic } }
Outputs:
  Size: { Value: \"{{ service_instance.inputs.size }} in {{ environment.outputs.Zone }}\" }
",
    pipeline: "Resources: { T: { Type: AWS::SNS::Topic } }
Metadata:
  Of: {{ pipeline.inputs.tests }} {{ service.branch_name }}
{% for one in service_instances %}
  {{ one.name }}: \"{{ one.outputs.Size }} at {{ one.environment.outputs.Zone }}\"
{% endfor %}
",
};
const TERRAFORM: Method = Method {
    manifest: "infrastructure:
  templates:
    - { file: \"*\", rendering_engine: hcl, template_language: terraform }
",
    file: "main.tf",
    environment: "# environment\n",
    instance: "# instance\n",
    pipeline: "# pipeline\n",
};
const CODEBUILD: Method = Method {
    manifest: "infrastructure:
  templates:
    - rendering_engine: codebuild
      settings:
        image: img
        runtimes: { nodejs: 16 }
        provision: [deploy]
        deprovision: [destroy]
        project_properties: { Description: built }
",
    file: "deploy.sh",
    environment: "# environment\n",
    instance: "# instance\n",
    pipeline: "# pipeline\n",
};

const ENVIRONMENT_SCHEMA: &str = "schema:
  format: { openapi: \"3.0.0\" }
  environment_input_type: In
  types: { In: { type: object, properties: { size: { type: string, default: small } } } }
";
const SERVICE_SCHEMA: &str = "schema:
  format: { openapi: \"3.0.0\" }
  service_input_type: In
  pipeline_input_type: Build
  types:
    In: { type: object, properties: { size: { type: string, default: small } } }
    Build: { type: object, properties: { tests: { type: string, default: all } } }
";

/// A spec of these instances: name and size.
fn spec(instances: &[(&str, &str)]) -> String {
    let section = |(name, size): &(&str, &str)| {
        format!("  - {{ name: {name}, environment: prod, spec: {{ size: {size} }} }}\n")
    };
    let sections: String = instances.iter().map(section).collect();
    format!("proton: ServiceSpec\npipeline: {{ tests: some }}\ninstances:\n{sections}")
}

fn arn(resource: &str) -> String {
    super::stack::arn(resource)
}

#[tokio::test]
async fn cloudformation_is_sent_what_was_shown() {
    story(Stack::new(), &CLOUDFORMATION).await;
}

#[tokio::test]
async fn terraform_is_sent_what_was_shown() {
    story(Stack::scripted(Limits::default()), &TERRAFORM).await;
}

#[tokio::test]
async fn codebuild_is_sent_what_was_shown() {
    story(Stack::scripted(Limits::default()), &CODEBUILD).await;
}

/// Every call that deploys, each after its preview.
async fn story(stack: Stack, method: &Method) {
    stack.prepare(method).await;

    let repository = || pb::RepositoryBranchInput {
        branch: "main".to_owned(),
        name: "me/repo".to_owned(),
        provider: pb::RepositoryProvider::Github.into(),
    };
    let is_terraform = method.file == TERRAFORM.file;
    let create = pb::CreateEnvironmentRequest {
        name: "prod".to_owned(),
        spec: "proton: EnvironmentSpec\nspec: { size: large }\n".to_owned(),
        template_name: "net".to_owned(),
        template_major_version: "1".to_owned(),
        proton_service_role_arn: (!is_terraform).then(|| ROLE.to_owned()),
        codebuild_role_arn: Some(ROLE.to_owned()),
        component_role_arn: Some(ROLE.to_owned()),
        provisioning_repository: is_terraform.then(repository),
        ..Default::default()
    };
    stack
        .live("environment", Call::CreateEnvironment(create))
        .await;

    let create = pb::CreateServiceRequest {
        name: "web".to_owned(),
        spec: spec(&[("dev", "small"), ("live", "large")]),
        template_name: "web".to_owned(),
        template_major_version: "1".to_owned(),
        repository_connection_arn: Some(CONNECTION.to_owned()),
        repository_id: Some("me/web".to_owned()),
        branch_name: Some("main".to_owned()),
        ..Default::default()
    };
    let shown = stack.live("service", Call::CreateService(create)).await;
    let targets: Vec<_> = shown.iter().map(|one| one.target_arn.clone()).collect();
    let expected = [
        arn("service/web/service-instance/dev"),
        arn("service/web/service-instance/live"),
        arn("service/web/pipeline"),
    ];
    assert_eq!(targets, expected);

    let update = pb::UpdateServiceInstanceRequest {
        service_name: "web".to_owned(),
        name: "dev".to_owned(),
        deployment_type: pb::DeploymentUpdateType::CurrentVersion.into(),
        spec: Some(spec(&[("dev", "medium"), ("live", "large")])),
        ..Default::default()
    };
    stack
        .live("service instance", Call::UpdateServiceInstance(update))
        .await;

    let update = pb::UpdateServicePipelineRequest {
        service_name: "web".to_owned(),
        deployment_type: pb::DeploymentUpdateType::CurrentVersion.into(),
        spec: spec(&[("dev", "medium"), ("live", "large")]).replace("some", "few"),
        ..Default::default()
    };
    stack
        .live("pipeline", Call::UpdateServicePipeline(update))
        .await;

    let instances = [("dev", "medium"), ("live", "large"), ("new", "huge")];
    let create = pb::CreateServiceInstanceRequest {
        service_name: "web".to_owned(),
        name: "new".to_owned(),
        spec: spec(&instances).replace("some", "few"),
        ..Default::default()
    };
    stack
        .live("service instance", Call::CreateServiceInstance(create))
        .await;

    // One comes, one goes, and the pipeline follows.
    let instances = [("next", "tiny"), ("live", "large"), ("new", "huge")];
    let update = pb::UpdateServiceRequest {
        name: "web".to_owned(),
        spec: Some(spec(&instances).replace("some", "few")),
        ..Default::default()
    };
    let shown = stack.live("service", Call::UpdateService(update)).await;
    let steps: Vec<_> = shown
        .iter()
        .map(|one| (one.deletes, one.target_arn.clone()))
        .collect();
    let expected = [
        (false, arn("service/web/service-instance/next")),
        (true, arn("service/web/service-instance/dev")),
        (false, arn("service/web/pipeline")),
    ];
    assert_eq!(steps, expected);

    let update = pb::UpdateEnvironmentRequest {
        name: "prod".to_owned(),
        deployment_type: pb::DeploymentUpdateType::CurrentVersion.into(),
        spec: Some("proton: EnvironmentSpec\nspec: { size: huge }\n".to_owned()),
        ..Default::default()
    };
    stack
        .live("environment", Call::UpdateEnvironment(update))
        .await;

    if method.file != CODEBUILD.file {
        let create = pb::CreateComponentRequest {
            name: "table".to_owned(),
            manifest: method.manifest.to_owned(),
            template_file: method
                .environment
                .replace("environment.inputs.size", "component.name"),
            service_name: Some("web".to_owned()),
            service_instance_name: Some("live".to_owned()),
            ..Default::default()
        };
        stack.live("component", Call::CreateComponent(create)).await;
        let update = pb::UpdateComponentRequest {
            name: "table".to_owned(),
            deployment_type: pb::ComponentDeploymentUpdateType::CurrentVersion.into(),
            service_name: Some(String::new()),
            service_instance_name: Some(String::new()),
            ..Default::default()
        };
        stack.live("component", Call::UpdateComponent(update)).await;
    }
}

impl Stack {
    /// The templates `net` and `web`, and what their parts are provisioned with.
    async fn prepare(&self, method: &Method) {
        self.link("me/repo").await;
        let repository = RepositoryBranchInput::builder().name("me/repo");
        let repository = repository
            .branch("main")
            .provider(RepositoryProvider::Github);
        let settings = self.client.update_account_settings();
        settings
            .pipeline_service_role_arn(ROLE)
            .pipeline_codebuild_role_arn(ROLE)
            .pipeline_provisioning_repository(repository.build().unwrap())
            .send()
            .await
            .unwrap();

        self.create_environment_template("net").await;
        let code = |folder: &str| format!("{folder}/{}", method.file);
        self.upload(
            "net.tar.gz",
            &[
                ("schema/schema.yaml", ENVIRONMENT_SCHEMA),
                ("infrastructure/manifest.yaml", method.manifest),
                (&code("infrastructure"), method.environment),
            ],
        );
        let create = self.client.create_environment_template_version();
        let create = create.template_name("net").source(source("net.tar.gz"));
        create.send().await.unwrap();
        self.registered("net", "1", "0").await.unwrap();
        self.publish("net", "1", "0").await;

        self.create_service_template("web").await;
        self.upload(
            "web.tar.gz",
            &[
                ("schema/schema.yaml", SERVICE_SCHEMA),
                ("instance_infrastructure/manifest.yaml", method.manifest),
                (&code("instance_infrastructure"), method.instance),
                ("pipeline_infrastructure/manifest.yaml", method.manifest),
                (&code("pipeline_infrastructure"), method.pipeline),
            ],
        );
        let create = self.client.create_service_template_version();
        let create = create.template_name("web").source(source("web.tar.gz"));
        let create = create.compatible_environment_templates(compatible("net", "1"));
        let create = create.supported_component_sources(
            ServiceTemplateSupportedComponentSourceType::DirectlyDefined,
        );
        create.send().await.unwrap();
        let version = || {
            let get = self.client.get_service_template_version();
            get.template_name("web")
                .major_version("1")
                .minor_version("0")
        };
        self.until("the version is registered", async || {
            let got = version().send().await.unwrap();
            let version = got.service_template_version.unwrap();
            assert_ne!(
                version.status.as_str(),
                "REGISTRATION_FAILED",
                "{:?}",
                version.status_message
            );
            (version.status.as_str() == "DRAFT").then_some(())
        })
        .await;
        let publish = self.client.update_service_template_version();
        let publish = publish.template_name("web").major_version("1");
        let publish = publish.minor_version("0").status("PUBLISHED".into());
        publish.send().await.unwrap();
    }

    /// Makes a call after its preview, and compares what was shown with what was sent, at the end of all that follows.
    async fn live(&self, what: &str, call: Call) -> Vec<pb::PreviewedDeployment> {
        self.quiet(what).await;
        let before = self.kept();
        let shown = previews(self, call.clone()).await.unwrap();
        assert!(before == self.kept(), "the preview of {what} left a trace");
        self.make(call).await;
        self.quiet(what).await;
        for one in &shown {
            let deployed = self.latest(&one.target_arn).await;
            assert_eq!(
                deployed.deployment_status.as_str(),
                if one.deletes {
                    "DELETE_COMPLETE"
                } else {
                    "SUCCEEDED"
                },
                "{}",
                one.target_arn
            );
            let sent = content(self, &deployed.id).await.unwrap();
            let seen = plain(one.content.clone().unwrap());
            assert_eq!(seen, plain(sent), "{}", one.target_arn);
        }
        shown
    }

    async fn make(&self, call: Call) {
        let facade = facade(self);
        let made = match call {
            Call::CreateComponent(call) => {
                facade.create_component(Request::new(call)).await.map(drop)
            }
            Call::CreateEnvironment(call) => facade
                .create_environment(Request::new(call))
                .await
                .map(drop),
            Call::CreateService(call) => facade.create_service(Request::new(call)).await.map(drop),
            Call::CreateServiceInstance(call) => facade
                .create_service_instance(Request::new(call))
                .await
                .map(drop),
            Call::UpdateComponent(call) => {
                facade.update_component(Request::new(call)).await.map(drop)
            }
            Call::UpdateEnvironment(call) => facade
                .update_environment(Request::new(call))
                .await
                .map(drop),
            Call::UpdateService(call) => facade.update_service(Request::new(call)).await.map(drop),
            Call::UpdateServiceInstance(call) => facade
                .update_service_instance(Request::new(call))
                .await
                .map(drop),
            Call::UpdateServicePipeline(call) => facade
                .update_service_pipeline(Request::new(call))
                .await
                .map(drop),
        };
        made.unwrap();
    }

    /// Waits until nothing is under way.
    async fn quiet(&self, what: &str) {
        self.until(what, async || (!self.has_work()).then_some(()))
            .await;
    }

    /// The last deployment of a resource.
    async fn latest(&self, target: &str) -> aws_sdk_proton::types::DeploymentSummary {
        let list = self.client.list_deployments().max_results(100).send().await;
        let mut all = list.unwrap().deployments.into_iter();
        all.find(|one| one.target_arn == target).unwrap()
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data_directory().join("proton.db")).unwrap()
    }

    fn has_work(&self) -> bool {
        let count = self
            .database()
            .query_row("SELECT count(*) FROM work", [], |row| row.get::<_, i64>(0));
        count.unwrap() > 0
    }

    /// Everything that is in the store.
    fn kept(&self) -> Vec<String> {
        let database = self.database();
        let mut kept = Vec::new();
        for table in [
            "records",
            "counters",
            "index_entries",
            "blobs",
            "work",
            "revision",
            "events",
        ] {
            let mut all = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = all.column_count();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<_> = (0..columns).map(|i| row.get_ref(i).unwrap()).collect();
                kept.push(format!("{table} {values:?}"));
            }
        }
        kept
    }
}

/// Without the deployment's id, which is not the same in a preview.
fn plain(mut content: pb::DeploymentContent) -> pb::DeploymentContent {
    use pb::deployment_file_content::Kind;
    let id = regex::Regex::new(r#""deploymentId" : "[0-9a-f-]{36}""#).unwrap();
    for file in &mut content.files {
        let kind = file
            .content
            .as_mut()
            .and_then(|content| content.kind.as_mut());
        if let (".proton/deployment-metadata.json", Some(Kind::Text(text))) = (&*file.path, kind) {
            *text = id.replace(text, ANY_ID).into_owned();
        }
    }
    content
}

#[tokio::test]
async fn outputs_that_only_a_deployment_tells_are_stood_in_for() {
    let stack = Stack::scripted(Limits::default()).with_web().await;
    let create = pb::CreateServiceRequest {
        name: "shop".to_owned(),
        spec: super::service_world::both(),
        template_name: "web".to_owned(),
        template_major_version: "1".to_owned(),
        repository_connection_arn: Some(CONNECTION.to_owned()),
        repository_id: Some("me/web".to_owned()),
        branch_name: Some("main".to_owned()),
        ..Default::default()
    };
    let shown = previews(&stack, Call::CreateService(create)).await.unwrap();
    let pipeline = format!("{:?}", shown.last().unwrap().content);
    let file = shown.last().unwrap().content.as_ref().unwrap().files[0].clone();
    let Some(pb::deployment_file_content::Kind::Text(text)) =
        file.content.and_then(|content| content.kind)
    else {
        panic!("{pipeline}");
    };
    assert!(
        text.contains("dev small (<dev.outputs.said>) in dev"),
        "{text}"
    );
    assert!(
        text.contains("prod large (<prod.outputs.said>) in prod"),
        "{text}"
    );
}

#[tokio::test]
async fn previews_of_services_are_refused_as_the_calls_are() {
    let stack = Stack::scripted(Limits {
        services: 1,
        instances_per_service: 2,
        ..Limits::default()
    });
    let stack = stack.with_web().await;
    let create = |name: &str, spec: String| {
        Call::CreateService(pb::CreateServiceRequest {
            name: name.to_owned(),
            spec,
            template_name: "web".to_owned(),
            template_major_version: "1".to_owned(),
            repository_connection_arn: Some(CONNECTION.to_owned()),
            repository_id: Some("me/web".to_owned()),
            branch_name: Some("main".to_owned()),
            ..Default::default()
        })
    };
    let refused = async |call| previews(&stack, call).await.unwrap_err().code();
    stack
        .created_service("shop", &super::service_world::both())
        .await;
    let both = super::service_world::both;
    assert_eq!(
        refused(create("other", both())).await,
        Code::ResourceExhausted
    );
    let changed = both().replace("tests: some", "tests: none");
    assert_eq!(
        refused(create("shop", changed)).await,
        Code::InvalidArgument
    );
    let edit = |spec: Option<String>| {
        Call::UpdateService(pb::UpdateServiceRequest {
            name: "shop".to_owned(),
            spec,
            description: Some("described".to_owned()),
        })
    };
    assert_eq!(refused(edit(None)).await, Code::InvalidArgument);
    let third = format!("{}  - {{ name: more, environment: dev }}\n", both());
    assert_eq!(
        refused(edit(Some(third.clone()))).await,
        Code::ResourceExhausted
    );
    let more = Call::CreateServiceInstance(pb::CreateServiceInstanceRequest {
        service_name: "shop".to_owned(),
        name: "more".to_owned(),
        spec: third,
        ..Default::default()
    });
    assert_eq!(refused(more).await, Code::InvalidArgument);
    let nothing = Call::UpdateServicePipeline(pb::UpdateServicePipelineRequest {
        service_name: "shop".to_owned(),
        deployment_type: pb::DeploymentUpdateType::None.into(),
        spec: both(),
        ..Default::default()
    });
    assert_eq!(refused(nothing).await, Code::InvalidArgument);
}
