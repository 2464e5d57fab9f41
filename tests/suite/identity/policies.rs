//! What callers may do, on both fronts, over sockets: every operation, for every kind of caller, is answered as the policies say.

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use insta::assert_snapshot;
use proton_grpc::api::operation::{self, Class};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::*;

/// Alice is the administrator; bob, and whoever else has an account, reads.
const ADMIN_AND_READERS: &str = r#"
    @id("admin")
    permit (principal, action, resource)
    when { [Proton::Caller::"jwt:https://issuer.example#alice", Proton::Caller::"access-key:AKIDALICE"].contains(principal) };

    @id("reads")
    permit (principal, action in Proton::Action::"ReadOnly", resource);
"#;
const ALICES_TEAM: &str = r#"
    permit (principal, action, resource)
    when { resource.hasTag("team") && resource.getTag("team") == "a" };

    permit (principal, action in [Proton::Action::"CreateEnvironmentTemplate", Proton::Action::"TagResource"], resource);

    forbid (principal, action, resource)
    when { resource.hasTag("stage") && resource.getTag("stage") == "production" };
"#;
const NOBODY: &str = "forbid (principal, action, resource);";
const BOBS_ACCOUNT: &str = "arn:aws:proton:eu-west-1:222222222222:";

/// A world with policies, and where they are.
async fn under(text: &str) -> (World, TempDir) {
    under_kept_by(text, |plane| Arc::new(Kept(plane))).await
}

async fn under_kept_by(
    text: &str,
    keeper: impl FnOnce(ControlPlane) -> Arc<dyn Keeper>,
) -> (World, TempDir) {
    let (stack, directory) = (Stack::new(), tempfile::tempdir().unwrap());
    fs::write(directory.path().join("all.cedar"), text).unwrap();
    let loaded = Loaded::open(directory.path(), true).unwrap();
    let policies = Policies::new(&loaded, Some(keeper(stack.plane.clone())));
    (world_of(stack, None, governed(policies)).await, directory)
}

/// Both fronts under these policies.
fn governed(policies: Policies) -> impl FnOnce(Identities) -> Gate {
    |identities| Gate {
        policies,
        ..identities.into()
    }
}

impl World {
    /// An AWS-JSON request, over a socket.
    async fn posted(&self, request: http::Request<Bytes>) -> (u16, String, String) {
        let stream = TcpStream::connect(self.aws_json).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request.map(Full::new)).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Json = serde_json::from_slice(&body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status, text("__type"), text("message"))
    }

    async fn signed(
        &self,
        signing: Signing,
        operation: &str,
        body: &Json,
    ) -> (u16, String, String) {
        self.posted(signing.now().sign(operation, body)).await
    }

    async fn refused(&self, who: &str, operation: &str, body: Json) -> String {
        let status = self.as_(who, operation, body).await.unwrap_err();
        assert_eq!(
            denial(&status).as_deref(),
            Some("ACCESS_DENIED"),
            "{status:?}"
        );
        status.message().to_owned()
    }
}

/// The reason, where a call was refused because of who made it.
fn denial(status: &Status) -> Option<String> {
    let reason = reason(status);
    let denied = reason.starts_with("IDENTITY") || reason == "ACCESS_DENIED";
    denied.then_some(reason)
}

fn reads(operation: &str) -> bool {
    operation::find(operation).unwrap().class == Class::Read
}

#[tokio::test]
async fn every_operation_over_grpc_is_decided_for_every_caller() {
    let (world, _policies) = under(ADMIN_AND_READERS).await;
    let bearer = |subject, audience, lifetime| {
        Some(format!(
            "Bearer {}",
            world.issuer.token(subject, audience, lifetime)
        ))
    };
    let callers = [
        ("nobody", None, Some("IDENTITY_MISSING")),
        (
            "expired",
            bearer("alice", "proton", -61),
            Some("IDENTITY_EXPIRED"),
        ),
        (
            "of another audience",
            bearer("alice", "photon", 300),
            Some("IDENTITY_UNRECOGNIZED"),
        ),
        (
            "unmapped",
            bearer("mallory", "proton", 300),
            Some("IDENTITY_UNMAPPED"),
        ),
        ("reader", bearer("bob", "proton", 300), None),
        ("admin", bearer("alice", "proton", 300), None),
    ];
    for operation in operations() {
        for (caller, token, refused) in &callers {
            let headers: Vec<_> = token
                .iter()
                .map(|token| ("authorization", &**token))
                .collect();
            let answer = world.call(&operation, minimal(&operation), &headers).await;
            let told = answer.as_ref().err().and_then(denial);
            let expected = match *caller {
                "reader" if !reads(&operation) => Some("ACCESS_DENIED"),
                _ => *refused,
            };
            assert_eq!(told.as_deref(), expected, "{operation}, {caller}");
            if expected == Some("ACCESS_DENIED") {
                let status = answer.unwrap_err();
                let bob = "jwt:https://issuer.example#bob";
                let said = format!("{bob} may not perform proton:{operation} on {BOBS_ACCOUNT}");
                assert!(status.message().starts_with(&said), "{}", status.message());
                assert_eq!(status.code(), Code::PermissionDenied);
                assert!(status.get_error_details().resource_info().is_some());
            }
        }
    }
}

#[tokio::test]
async fn every_operation_over_aws_json_is_decided_for_every_caller() {
    let (world, _policies) = under(ADMIN_AND_READERS).await;
    let late = Signing {
        at: now() - Duration::from_secs(301),
        ..ALICE
    };
    for operation in operations() {
        let body = json::write(&minimal(&operation));
        let bearing = |subject, audience| {
            let mut request = unsigned(&operation, &body);
            let token = format!("Bearer {}", world.issuer.token(subject, audience, 300));
            request
                .headers_mut()
                .insert("authorization", token.parse().unwrap());
            request
        };
        for (caller, request, refused) in [
            (
                "nobody",
                unsigned(&operation, &body),
                Some("MissingAuthenticationTokenException"),
            ),
            (
                "expired",
                late.sign(&operation, &body),
                Some("InvalidSignatureException"),
            ),
            (
                "of another audience",
                bearing("alice", "photon"),
                Some("UnrecognizedClientException"),
            ),
            (
                "unmapped",
                bearing("mallory", "proton"),
                Some("AccessDeniedException"),
            ),
            ("reader", BOB.now().sign(&operation, &body), None),
            ("admin", ALICE.now().sign(&operation, &body), None),
        ] {
            let (status, name, message) = world.posted(request).await;
            let expected = match caller {
                "reader" if !reads(&operation) => Some("AccessDeniedException"),
                _ => refused,
            };
            if let Some(expected) = expected {
                assert_eq!((status, &*name), (400, expected), "{operation}, {caller}");
            } else {
                assert!(
                    !name.ends_with("Denied") && !name.contains("Signature"),
                    "{operation}, {caller}: {name}"
                );
                assert_ne!(
                    name, "AccessDeniedException",
                    "{operation}, {caller}: {message}"
                );
            }
            if caller == "reader" && !reads(&operation) {
                let begins = format!(
                    "User: access-key:AKIDBOB is not authorized to perform: proton:{operation} on resource: {BOBS_ACCOUNT}"
                );
                assert!(message.starts_with(&begins), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn both_fronts_ask_about_the_same_resource() {
    let (world, _policies) = under(NOBODY).await;
    let mut asked = String::new();
    for operation in operations() {
        let request = minimal(&operation);
        let body = json::write(&request);
        let headers = [("authorization", &*world.bearer("alice"))];
        let status = world.call(&operation, request, &headers).await.unwrap_err();
        let (_, _, message) = world.signed(ALICE, &operation, &body).await;
        let resource = |message: &str| message.rsplit_once(' ').unwrap().1.to_owned();
        assert_eq!(
            resource(status.message()),
            resource(&message),
            "{operation}"
        );
        asked += &format!("{operation} {}\n", resource(&message));
    }
    assert_snapshot!(asked);
}

#[tokio::test]
async fn a_list_that_is_narrowed_is_about_what_it_is_narrowed_to() {
    let (world, _policies) = under(NOBODY).await;
    for (operation, body, resource) in [
        ("ListDeployments", json!({}), "*"),
        (
            "ListDeployments",
            json!({ "componentName": "c" }),
            "component/c",
        ),
        (
            "ListDeployments",
            json!({ "environmentName": "e" }),
            "environment/e",
        ),
        (
            "ListDeployments",
            json!({ "serviceName": "s", "serviceInstanceName": "i" }),
            "service/s/service-instance/i",
        ),
        (
            "ListDeployments",
            json!({ "serviceName": "s", "environmentName": "e" }),
            "*",
        ),
        ("ListComponents", json!({ "serviceName": "s" }), "service/s"),
        (
            "ListServiceInstances",
            json!({ "serviceName": "s" }),
            "service/s",
        ),
        (
            "GetServiceSyncBlockerSummary",
            json!({ "serviceName": "s" }),
            "service/s",
        ),
        (
            "GetServiceSyncBlockerSummary",
            json!({ "serviceName": "s", "serviceInstanceName": "i" }),
            "service/s/service-instance/i",
        ),
    ] {
        let message = world.refused("bob", operation, body.clone()).await;
        assert!(
            message.ends_with(&format!(" on {BOBS_ACCOUNT}{resource}")),
            "{body}: {message}"
        );
    }
}

#[tokio::test]
async fn a_refusal_tells_neither_why_nor_whether_the_resource_is_there() {
    let (world, _policies) = under(ALICES_TEAM).await;
    let create = |name: &str, stage: &str| {
        let tags = json!([{ "key": "team", "value": "a" }, { "key": "stage", "value": stage }]);
        json!({ "name": name, "tags": tags })
    };
    for stage in ["test", "production"] {
        let made = world
            .as_("alice", "CreateEnvironmentTemplate", create(stage, stage))
            .await;
        assert!(made.is_ok(), "{made:?}");
    }
    let get = |name: &str| json!({ "name": name });
    assert!(
        world
            .as_("alice", "GetEnvironmentTemplate", get("test"))
            .await
            .is_ok()
    );
    let forbidden = world
        .refused("alice", "GetEnvironmentTemplate", get("production"))
        .await;
    let missing = world
        .refused("alice", "GetEnvironmentTemplate", get("another"))
        .await;
    assert_eq!(forbidden.replace("production", "another"), missing);
    let (_, name, forbidden) = world
        .signed(ALICE, "GetEnvironmentTemplate", &get("production"))
        .await;
    assert_eq!(name, "AccessDeniedException");
    let (_, name, missing) = world
        .signed(ALICE, "GetEnvironmentTemplate", &get("another"))
        .await;
    assert_eq!(name, "AccessDeniedException");
    assert_eq!(forbidden.replace("production", "another"), missing);
    // What another account has is not looked at.
    world
        .refused("bob", "GetEnvironmentTemplate", get("test"))
        .await;
}

#[tokio::test]
async fn who_may_not_ask_is_not_told_what_is_wrong_with_the_request() {
    let (world, _policies) = under(ADMIN_AND_READERS).await;
    let invalid = json!({ "name": "-".repeat(101) });
    let message = world
        .refused("bob", "DeleteEnvironment", invalid.clone())
        .await;
    assert!(
        message.ends_with(&format!("environment/{}", "-".repeat(101))),
        "{message}"
    );
    let (_, name, _) = world.signed(BOB, "DeleteEnvironment", &invalid).await;
    assert_eq!(name, "AccessDeniedException");
    let (_, name, _) = world.signed(ALICE, "DeleteEnvironment", &invalid).await;
    assert_eq!(name, "ValidationException");
    // However much was sent, the answer is short.
    let message = world
        .refused(
            "bob",
            "DeleteEnvironment",
            json!({ "name": "x".repeat(100_000) }),
        )
        .await;
    assert!(message.len() < 1024, "{}", message.len());
}

#[tokio::test]
async fn tags_are_those_that_the_resource_has_now() {
    let (world, _policies) = under(ALICES_TEAM).await;
    let named = json!({ "name": "web" });
    world
        .as_("alice", "CreateEnvironmentTemplate", named.clone())
        .await
        .unwrap();
    world
        .refused("alice", "GetEnvironmentTemplate", named.clone())
        .await;
    let (_, name, _) = world.signed(ALICE, "GetEnvironmentTemplate", &named).await;
    assert_eq!(name, "AccessDeniedException");
    let arn = "arn:aws:proton:us-east-1:111111111111:environment-template/web";
    let tag = json!({ "resourceArn": arn, "tags": [{ "key": "team", "value": "a" }] });
    world.as_("alice", "TagResource", tag).await.unwrap();
    world
        .as_("alice", "GetEnvironmentTemplate", named.clone())
        .await
        .unwrap();
    let (status, _, _) = world.signed(ALICE, "GetEnvironmentTemplate", &named).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_template_is_the_requests_or_that_of_the_resource_that_is_there() {
    let on = r#"
        permit (principal, action, resource);
        forbid (principal, action in Proton::Action::"Write", resource)
        when { context has environmentTemplate && context.environmentTemplate like "*:environment-template/locked" };
    "#;
    let (world, directory) = under("permit (principal, action, resource);").await;
    world
        .stack
        .upload("environment.tar.gz", &environment_bundle(""));
    let environment = |name: &str, template: &str| {
        json!({
            "name": name, "templateName": template, "templateMajorVersion": "1",
            "spec": "proton: EnvironmentSpec\nspec: {}\n",
            "protonServiceRoleArn": "arn:aws:iam::111111111111:role/proton",
        })
    };
    for template in ["locked", "open"] {
        let bundle = json!({ "s3": { "bucket": "templates", "key": "environment.tar.gz" } });
        let version = json!({ "templateName": template, "majorVersion": "1", "minorVersion": "0" });
        world
            .as_(
                "alice",
                "CreateEnvironmentTemplate",
                json!({ "name": template }),
            )
            .await
            .unwrap();
        let made = world.as_(
            "alice",
            "CreateEnvironmentTemplateVersion",
            json!({ "templateName": template, "source": bundle }),
        );
        made.await.unwrap();
        let headers = [("authorization", &*world.bearer("alice"))];
        let wait = "WaitUntilEnvironmentTemplateVersionRegistered";
        let asked = message(
            &descriptors::request("GetEnvironmentTemplateVersion"),
            &version,
        );
        world.stream(wait, asked, &headers).await.unwrap();
        let mut publish = version;
        publish["status"] = json!("TEMPLATE_VERSION_STATUS_PUBLISHED");
        world
            .as_("alice", "UpdateEnvironmentTemplateVersion", publish)
            .await
            .unwrap();
        world
            .as_(
                "alice",
                "CreateEnvironment",
                environment(template, template),
            )
            .await
            .unwrap();
    }
    let update = |name: &str| json!({ "name": name, "deploymentType": "DEPLOYMENT_UPDATE_TYPE_NONE", "description": "" });
    let policies = directory.path().join("all.cedar");
    fs::write(&policies, on).unwrap();
    let loaded = Loaded::open(&policies, true).unwrap();
    let policies = Policies::new(&loaded, Some(Arc::new(Kept(world.stack.plane.clone()))));
    let world = world_of(world.stack, None, governed(policies)).await;
    // It may still be deployed, which is no refusal.
    let updated = world
        .as_("alice", "UpdateEnvironment", update("open"))
        .await;
    assert_eq!(updated.as_ref().err().and_then(denial), None, "{updated:?}");
    world
        .refused("alice", "UpdateEnvironment", update("locked"))
        .await;
    world
        .refused(
            "alice",
            "CreateEnvironment",
            environment("another", "locked"),
        )
        .await;
    assert!(
        world
            .as_("alice", "GetEnvironment", json!({ "name": "locked" }))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn nothing_is_allowed_while_nobody_can_tell_what_a_policy_goes_by() {
    struct Forgets;

    impl Keeper for Forgets {
        fn find<'a>(&'a self, _: &'a Place, _: &'a str) -> Find<'a> {
            Box::pin(async { Err(Unknown) })
        }
    }

    let (world, _policies) = under_kept_by(ALICES_TEAM, |_| Arc::new(Forgets)).await;
    let named = json!({ "name": "web" });
    let status = world
        .as_("alice", "GetEnvironment", named.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::Unavailable, "POLICY_UNDECIDED")
    );
    let (status, name, _) = world.signed(ALICE, "GetEnvironment", &named).await;
    assert_eq!((status, &*name), (503, "ServiceUnavailable"));
}

#[tokio::test]
async fn a_stream_is_decided_as_what_it_reads() {
    let lists = r#"permit (principal, action in [Proton::Action::"ListServices", Proton::Action::"GetService"], resource);"#;
    let (world, _policies) = under(lists).await;
    let token = world.bearer("alice");
    for method in descriptors::service("ProtonStreamingService").methods() {
        if !method.is_server_streaming() {
            continue;
        }
        let reads = method.input().name().trim_end_matches("Request").to_owned();
        let answer = world
            .stream(method.name(), minimal(&reads), &[("authorization", &token)])
            .await;
        let denied = answer.as_ref().err().and_then(denial);
        let allowed = ["ListServices", "GetService"].contains(&&*reads);
        assert_eq!(denied.is_none(), allowed, "{} {answer:?}", method.name());
        if let Err(status) = answer
            && !allowed
        {
            let said = format!("may not perform proton:{reads} on ");
            assert!(status.message().contains(&said), "{}", status.message());
        }
    }
}

#[tokio::test]
async fn to_preview_is_an_action_of_its_own_on_what_would_be_deployed() {
    let previews = r#"
        permit (principal, action == Proton::Action::"PreviewDeployment", resource)
        when { resource.arn like "*:environment/shop-*" };
    "#;
    let (world, _policies) = under(previews).await;
    let environment = |name: &str| {
        json!({
            "name": name, "templateName": "web", "templateMajorVersion": "1",
            "spec": "proton: EnvironmentSpec\nspec: {}\n",
            "protonServiceRoleArn": "arn:aws:iam::111111111111:role/proton",
        })
    };
    let allowed = world
        .preview(environment("shop-1"), "alice")
        .await
        .unwrap_err();
    assert_eq!(allowed.code(), Code::NotFound);
    let denied = world
        .preview(environment("blog-1"), "alice")
        .await
        .unwrap_err();
    assert!(
        denied.message().ends_with(":environment/blog-1"),
        "{}",
        denied.message()
    );
    assert!(
        denied.message().contains("proton:PreviewDeployment"),
        "{}",
        denied.message()
    );
    world
        .refused("alice", "CreateEnvironment", environment("shop-1"))
        .await;
}
