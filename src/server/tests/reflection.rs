use super::*;

#[tokio::test]
async fn both_versions_know_our_services_and_what_errors_hold() {
    let mut client = client().await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        for symbol in [
            "proton.v1.ProtonService",
            "proton.v1.ProtonStreamingService",
            "grpc.health.v1.Health",
            "google.rpc.ErrorInfo",
            "buf.validate.FieldRules",
        ] {
            let answer = client.call(&path, &[], containing(symbol)).await;
            assert_eq!(answer.code(), Code::Ok);
            let found =
                tonic_reflection::pb::v1::ServerReflectionResponse::decode(&answer.data[5..])
                    .unwrap();
            let found = format!("{:?}", found.message_response);
            assert!(
                found.starts_with("Some(FileDescriptorResponse"),
                "{version} {symbol}: {found:.200}"
            );
        }
    }
}

fn containing(symbol: &str) -> Vec<u8> {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_request::MessageRequest,
    };
    let message_request = Some(MessageRequest::FileContainingSymbol(symbol.into()));
    framed(
        0,
        &ServerReflectionRequest {
            host: String::new(),
            message_request,
        }
        .encode_to_vec(),
    )
}
