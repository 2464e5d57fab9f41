//! AWS's published vectors, and `aws-sigv4` over arbitrary requests.

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use proptest::prelude::*;

use super::*;

const HOST: &str = "example.amazonaws.com";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn signer(region: &str, service: &'static str) -> Signer {
    let clock = SharedTimeSource::new(aws_smithy_async::time::SystemTimeSource::new());
    Signer {
        service,
        ..Signer::new(region, Skew::new(clock))
    }
}

fn signature(
    signer: &Signer,
    method: &str,
    headers: &[(&str, &str)],
    body: &str,
    credentials: &Credentials,
    time: SystemTime,
) -> String {
    let time = stamp(time).unwrap();
    let headers = headers.iter().copied();
    let request = Canonical::new(method, HOST, headers, body.as_bytes(), credentials, &time);
    let authorization = signer.authorization(&request);
    let (_, signature) = authorization.split_once("Signature=").unwrap();
    signature.to_owned()
}

fn example(token: Option<&str>) -> Credentials {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    Credentials::new(
        "AKIDEXAMPLE",
        secret,
        token.map(str::to_owned),
        None,
        "test",
    )
}

/// The vectors of AWS's signature test suite that are about requests to the root.
#[test]
fn signs_as_awss_vectors_do() {
    let form = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let sts_token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
    type Vector<'a> = (
        &'a str,
        &'a str,
        Option<&'a str>,
        &'a [(&'a str, &'a str)],
        &'a str,
        &'a str,
    );
    let vectors: [Vector<'_>; 11] = [
        (
            "get-vanilla",
            "GET",
            None,
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-vanilla-with-session-token",
            "GET",
            Some(token),
            &[],
            "",
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            None,
            &[
                ("my-header1", "value2"),
                ("my-header1", "value2"),
                ("my-header1", "value1"),
            ],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-order",
            "GET",
            None,
            &[
                ("my-header1", "value4"),
                ("my-header1", "value1"),
                ("my-header1", "value3"),
                ("my-header1", "value2"),
            ],
            "",
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
        (
            "get-header-value-trim",
            "GET",
            None,
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "post-vanilla",
            "POST",
            None,
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-header-key-sort",
            "POST",
            None,
            &[("my-header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "post-header-value-case",
            "POST",
            None,
            &[("my-header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "post-sts-header-before",
            "POST",
            Some(sts_token),
            &[],
            "",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
        (
            "post-x-www-form-urlencoded",
            "POST",
            None,
            &[
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "13"),
                ("x-amz-content-sha256", form),
            ],
            "Param1=value1",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
        (
            "post-x-www-form-urlencoded-parameters",
            "POST",
            None,
            &[
                (
                    "content-type",
                    "application/x-www-form-urlencoded; charset=utf-8",
                ),
                ("content-length", "13"),
                ("x-amz-content-sha256", form),
            ],
            "Param1=value1",
            "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
        ),
    ];
    let signer = signer("us-east-1", "service");
    let time = at(1_440_938_160);
    for (name, method, token, headers, body, expected) in vectors {
        let credentials = example(token);
        let signature = signature(&signer, method, headers, body, &credentials, time);
        assert_eq!(signature, expected, "{name}");
    }
}

/// What AWS's own crate makes of it.
fn expected(
    region: &str,
    headers: &[(&str, &str)],
    body: &str,
    credentials: &Credentials,
    time: SystemTime,
) -> String {
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let request = SignableRequest::new(
        "POST",
        format!("https://{HOST}/"),
        headers.iter().copied(),
        SignableBody::Bytes(body.as_bytes()),
    );
    let output = sign(request.unwrap(), &SigningParams::V4(params)).unwrap();
    output.signature().to_owned()
}

proptest! {
    #[test]
    fn signs_as_the_sdk_does(
        region in "[a-z]{2}-[a-z]{4,9}-[1-9]",
        names in proptest::collection::vec("(x-amz-|my-)[a-z0-9]{1,8}", 0..8),
        values in proptest::collection::vec("[ -~]{0,20}", 8),
        body in any::<String>(),
        key in "[A-Z0-9]{16,20}",
        secret in "[ -~]{1,60}",
        token in proptest::option::of("[!-~]{1,200}"),
        seconds in proptest::collection::vec(0_u64..4_102_444_800, 1..4),
    ) {
        let signer = signer(&region, SERVICE);
        let signed = |name: &&String| !UNSIGNED.contains(&name.as_str());
        let headers: Vec<_> = names
            .iter()
            .filter(signed)
            .map(String::as_str)
            .zip(values.iter().map(String::as_str))
            .collect();
        let credentials = Credentials::new(key, secret, token, None, "test");
        // The kept key must follow the day and the credentials.
        for credentials in [credentials, example(None)] {
            for time in seconds.iter().map(|seconds| at(*seconds)) {
                let signature = signature(&signer, "POST", &headers, &body, &credentials, time);
                let expected = expected(&region, &headers, &body, &credentials, time);
                prop_assert_eq!(signature, expected);
            }
        }
    }
}
