use std::sync::LazyLock;

use bytes::Bytes;
use proton_grpc::control_plane::{
    bundle::{File, Files, Manifest},
    render::{
        ComponentOf, EnvironmentOf, Limits, Namespace, Origin, ServiceInstance, ServiceOf, render,
    },
};
use serde_json::json;

const LIMITS: Limits = Limits {
    fuel: 20_000,
    memory_bytes: 1 << 20,
    output_bytes: 1 << 16,
    recursion: 60,
};

/// A template renders to the same within its limits, or is refused in few words.
pub fn template(bytes: &[u8]) {
    const NAME: &str = "t.yaml";
    let manifest = Manifest::CloudFormation {
        file: NAME.to_owned(),
    };
    let file = File {
        contents: Bytes::copy_from_slice(bytes),
        executable: false,
    };
    let files = Files::from_iter([(NAME.to_owned(), file)]);
    match render(&manifest, &files, &NAMESPACE, &ORIGIN, &LIMITS) {
        Ok(rendering) => {
            let written: usize = (rendering.files.iter())
                .map(|(_, file)| file.contents.len())
                .sum();
            assert!(written <= LIMITS.output_bytes);
        }
        Err(error) => assert!(error.to_string().chars().count() <= 2000, "{error}"),
    }
}

static NAMESPACE: LazyLock<Namespace> = LazyLock::new(|| {
    let outputs = vec![("VpcId".to_owned(), "vpc-1".to_owned())];
    let inputs = json!({
        "port": 80, "name": "web", "on": true, "ratio": 0.5, "none": null, "my-input": "dashed",
        "list": ["a", "b"], "map": { "k": { "l": [1, 2.5, "x"] } },
    });
    Namespace::ServiceInstance(ServiceInstance {
        environment: EnvironmentOf {
            name: "prod".to_owned(),
            account_id: "111111111111".to_owned(),
            outputs: outputs.clone(),
        },
        service: ServiceOf {
            name: "shop".to_owned(),
            ..ServiceOf::default()
        },
        name: "blue".to_owned(),
        inputs: inputs.as_object().expect("it is one").clone(),
        component: Some(ComponentOf {
            name: "queue".to_owned(),
            outputs,
        }),
    })
});

static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin {
    arn: "arn:aws:proton:us-east-1:111111111111:service/shop/service-instance/blue".to_owned(),
    deployment_id: "00000000-0000-4000-8000-000000000000".to_owned(),
    template: None,
    environment_arn: None,
    service_arn: None,
    service_instance_arn: None,
    tags: Vec::new(),
});
