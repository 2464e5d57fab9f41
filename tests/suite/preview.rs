//! What deployments send, asked for over gRPC, through the facade, of the control plane behind it.

#![allow(
    deprecated,
    reason = "AWS marks every operation of a service that it closed"
)]

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use proton_grpc::api::pb::{
    self, previewed_call::Kind as Call,
    proton_streaming_service_server::ProtonStreamingService as _,
};
use proton_grpc::control_plane::wire;
use proton_grpc::control_plane::{ControlPlane, Limits};
use proton_grpc::facade::{
    Ambient, Facade, Settings, Upstream,
    upstream::{Answer, Endpoint},
};
use tonic::{Code, Request, Status};

use super::facade_world;
use super::stack::Stack;

/// The control plane as the facade's upstream.
struct Behind(ControlPlane);

impl Endpoint for Behind {
    fn answer(&self, request: http::Request<Bytes>) -> Answer {
        let plane = self.0.clone();
        Box::pin(async move { wire::handle(&plane, request).await })
    }
}

pub(crate) fn facade(stack: &Stack) -> Facade {
    let upstream = Upstream::embedded(Arc::new(Behind(stack.plane.clone())), super::stack::REGION);
    let ambient = Ambient {
        request_id: Arc::new(|| "id".to_owned()),
        jitter: Arc::new(|longest| longest),
    };
    Facade::new(upstream, Settings::default(), ambient)
}

fn environment(spec: &str) -> pb::CreateEnvironmentRequest {
    pb::CreateEnvironmentRequest {
        name: "prod".to_owned(),
        spec: spec.to_owned(),
        template_name: "net".to_owned(),
        template_major_version: "1".to_owned(),
        template_minor_version: Some("0".to_owned()),
        proton_service_role_arn: Some("arn:aws:iam::123456789012:role/proton".to_owned()),
        ..Default::default()
    }
}

/// The deployments that a call would make.
pub(crate) async fn previews(
    stack: &Stack,
    call: Call,
) -> Result<Vec<pb::PreviewedDeployment>, Status> {
    let call = Some(pb::PreviewedCall { kind: Some(call) });
    let request = Request::new(pb::PreviewDeploymentRequest { call });
    let answer = facade(stack)
        .preview_deployment(request)
        .await?
        .into_inner();
    assert_eq!(answer.content, answer.deployments[0].content, "the first");
    Ok(answer.deployments)
}

/// What the one deployment of a call would send.
async fn preview(stack: &Stack, call: Call) -> Result<pb::DeploymentContent, Status> {
    let previews = previews(stack, call).await?;
    let [only] = &previews[..] else {
        panic!("one deployment, not {}", previews.len());
    };
    Ok(only.content.clone().unwrap())
}

pub(crate) async fn content(stack: &Stack, id: &str) -> Result<pb::DeploymentContent, Status> {
    let request = pb::GetDeploymentContentRequest { id: id.to_owned() };
    let facade = facade(stack);
    let answer = facade.get_deployment_content(Request::new(request)).await?;
    Ok(answer.into_inner().content.unwrap())
}

/// The one file that CloudFormation gets.
fn template(content: &pb::DeploymentContent) -> &str {
    use pb::deployment_file_content::Kind;
    assert_eq!(content.method(), pb::ProvisioningMethod::Cloudformation);
    let [file] = &content.files[..] else {
        panic!("one file, not {}", content.files.len());
    };
    match file
        .content
        .as_ref()
        .and_then(|content| content.kind.as_ref())
    {
        Some(Kind::Text(text)) => text,
        _ => panic!("a template is text"),
    }
}

const SMALL: &str = "proton: EnvironmentSpec\nspec: {}\n";
const LARGE: &str = "proton: EnvironmentSpec\nspec: { size: large }\n";
const TEMPLATE: &str = "Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: \"{{ environment.name }}-{{ environment.inputs.size }}\"
";

impl Stack {
    /// An environment template `net` whose files say what they were rendered with.
    async fn with_previewed(self, template: &str) -> Self {
        self.create_environment_template("net").await;
        let mut files = super::stack::environment_bundle("");
        for (path, text) in &mut files {
            if *path == "infrastructure/cloudformation.yaml" {
                *text = template.to_owned().leak();
            }
        }
        self.upload("net.tar.gz", &files);
        let create = self.client.create_environment_template_version();
        let create = create.template_name("net");
        let create = create.source(super::stack::source("net.tar.gz"));
        create.send().await.unwrap();
        self.registered("net", "1", "0").await.unwrap();
        self
    }
}

#[tokio::test]
async fn a_preview_shows_what_a_call_would_send_and_sends_nothing() {
    let stack = Stack::new().with_previewed(TEMPLATE).await;
    let call = Call::CreateEnvironment(environment(LARGE));
    let content = preview(&stack, call).await.unwrap();
    assert!(template(&content).contains("TopicName: \"prod-large\""));
    let list = stack.client.list_environments().send().await.unwrap();
    assert_eq!(list.environments.len(), 0);
    let list = stack.client.list_deployments().send().await.unwrap();
    assert_eq!(list.deployments.len(), 0);
}

#[tokio::test]
async fn what_the_call_would_be_refused_for_the_preview_is_refused_for() {
    let stack = Stack::new().with_previewed(TEMPLATE).await;
    let refused = async |request| {
        let call = Call::CreateEnvironment(request);
        preview(&stack, call).await.unwrap_err().code()
    };
    let wrong = environment("proton: EnvironmentSpec\nspec: { size: 3 }\n");
    assert_eq!(refused(wrong).await, Code::InvalidArgument);
    let taken = stack.deployed().await;
    assert!(content(&stack, &taken).await.is_ok());
    assert_eq!(
        refused(environment(LARGE)).await,
        Code::InvalidArgument,
        "the name is taken"
    );
    let mut missing = environment(SMALL);
    missing.name = "other".to_owned();
    missing.template_name = "nothing".to_owned();
    assert_eq!(refused(missing).await, Code::NotFound);
    let mut unnamed = environment(SMALL);
    unnamed.name = "-".to_owned();
    assert_eq!(refused(unnamed).await, Code::InvalidArgument);
}

#[tokio::test]
async fn a_full_quota_refuses_the_preview_too() {
    let limits = Limits {
        environments: 0,
        ..Limits::default()
    };
    let stack = Stack::with(limits).working().with_previewed(TEMPLATE).await;
    let call = Call::CreateEnvironment(environment(SMALL));
    let status = preview(&stack, call).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

/// A facade in front of what answers over loopback.
fn facade_before(address: std::net::SocketAddr) -> Facade {
    let upstream = Upstream::from_config(&facade_world::sdk(&format!("http://{address}")));
    let ambient = Ambient {
        request_id: Arc::new(|| "id".to_owned()),
        jitter: Arc::new(|longest| longest),
    };
    Facade::new(upstream, Settings::default(), ambient)
}

#[tokio::test]
async fn an_upstream_of_our_own_answers_previews_from_afar() {
    let stack = Stack::new().with_previewed(TEMPLATE).await;
    let facade = facade_before(stack.listen().await);
    let call = Some(pb::PreviewedCall {
        kind: Some(Call::CreateEnvironment(environment(LARGE))),
    });
    let asked = || Request::new(pb::PreviewDeploymentRequest { call: call.clone() });
    let answer = facade.preview_deployment(asked()).await.unwrap();
    let content = answer.into_inner().deployments[0].content.clone().unwrap();
    assert!(template(&content).contains("prod-large"));

    let id = stack.deployed().await;
    let status = facade.preview_deployment(asked()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("exists with other parameters"));
    let asked = Request::new(pb::GetDeploymentContentRequest { id });
    let answer = facade.get_deployment_content(asked).await.unwrap();
    assert!(template(&answer.into_inner().content.unwrap()).contains("prod-small"));
}

#[tokio::test]
async fn an_upstream_that_knows_no_previews_is_unimplemented() {
    let stub = Arc::new(facade_world::Stub::default());
    stub.answers(facade_world::error(404, "UnknownOperationException"));
    let facade = facade_before(stub.listen().await);
    let call = Some(pb::PreviewedCall {
        kind: Some(Call::CreateEnvironment(environment(SMALL))),
    });
    let asked = Request::new(pb::PreviewDeploymentRequest { call });
    let status = facade.preview_deployment(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let id = "00000000-0000-4000-8000-000000000000".to_owned();
    let asked = Request::new(pb::GetDeploymentContentRequest { id });
    let status = facade.get_deployment_content(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_template_that_cannot_be_rendered_is_an_invalid_argument_with_its_message() {
    let broken = "Resources: {{ environment.inputs.nothing }}\n";
    let stack = Stack::new().with_previewed(broken).await;
    let call = Call::CreateEnvironment(environment(SMALL));
    let status = preview(&stack, call).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("cloudformation.yaml"), "{status}");
}

#[tokio::test]
async fn a_call_that_deploys_nothing_has_no_preview() {
    let stack = Stack::new().with_previewed(TEMPLATE).await;
    let id = stack.deployed().await;
    assert!(content(&stack, &id).await.is_ok());
    let update = |how: pb::DeploymentUpdateType| {
        Call::UpdateEnvironment(pb::UpdateEnvironmentRequest {
            name: "prod".to_owned(),
            deployment_type: how.into(),
            ..Default::default()
        })
    };
    let none = preview(&stack, update(pb::DeploymentUpdateType::None)).await;
    assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);
    let current = preview(&stack, update(pb::DeploymentUpdateType::CurrentVersion)).await;
    assert!(template(&current.unwrap()).contains("prod-small"));
}

#[tokio::test]
async fn what_a_deployment_sent_can_be_read_afterwards() {
    let stack = Stack::new().with_previewed(TEMPLATE).await;
    let id = stack.deployed().await;
    let sent = content(&stack, &id).await.unwrap();
    assert!(template(&sent).contains("TopicName: \"prod-small\""));
    let unknown = content(&stack, "00000000-0000-4000-8000-000000000000").await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    let nonsense = content(&stack, "nonsense").await;
    assert_eq!(nonsense.unwrap_err().code(), Code::InvalidArgument);
}

impl Stack {
    /// Serves AWS-JSON on loopback.
    async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plane = self.plane.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let plane = plane.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let answer = wire::handle(&plane, http::Request::from_parts(head, body)).await;
                Ok::<_, hyper::Error>(answer.map(Full::new))
            }
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
            }
        });
        address
    }

    /// Deploys `prod`, and says which deployment that was.
    async fn deployed(&self) -> String {
        use aws_sdk_proton::client::Waiters as _;
        let create = self.client.create_environment().name("prod").spec(SMALL);
        let create = create.template_name("net").template_major_version("1");
        let create = create.template_minor_version("0");
        let create = create.proton_service_role_arn("arn:aws:iam::123456789012:role/proton");
        create.send().await.unwrap();
        let waiter = self.client.wait_until_environment_deployed().name("prod");
        waiter
            .wait(std::time::Duration::from_secs(60))
            .await
            .unwrap();
        let got = self.client.get_environment().name("prod").send().await;
        let environment = got.unwrap().environment.unwrap();
        environment.last_attempted_deployment_id.unwrap()
    }
}
