use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::identity::refusal::Why;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW: u64 = 1_440_938_160;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn place() -> Place {
    Place {
        account: "111111111111".to_owned(),
        region: "us-east-1".to_owned(),
    }
}

/// A request that a client signs as AWS's own crate does.
struct Signing {
    host: &'static str,
    secret: &'static str,
    key_id: &'static str,
    region: &'static str,
    service: &'static str,
    at: SystemTime,
    token: Option<&'static str>,
    /// Signed as well as the usual ones.
    headers: Vec<(&'static str, &'static str)>,
    path: &'static str,
    body: &'static [u8],
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            host: "127.0.0.1:8787",
            secret: SECRET,
            key_id: "AKIDEXAMPLE",
            region: "us-east-1",
            service: "proton",
            at: now(),
            token: None,
            headers: vec![("x-amz-target", "AwsProton20200720.UpdateService")],
            path: "/",
            body: b"{}",
        }
    }
}

impl Signing {
    fn request(self) -> Request<Bytes> {
        let credentials = Credentials::new(
            self.key_id,
            self.secret,
            self.token.map(str::to_owned),
            None,
            "test",
        );
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.at)
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let uri = format!("http://{}{}", self.host, self.path);
        let signable = SignableRequest::new(
            "POST",
            uri,
            self.headers.iter().copied(),
            SignableBody::Bytes(self.body),
        );
        let output = sign(signable.unwrap(), &SigningParams::V4(params)).unwrap();
        let (instructions, _) = output.into_parts();
        let mut request = Request::post(self.path)
            .body(Bytes::from_static(self.body))
            .unwrap();
        let given = self.headers.iter().copied().chain([("host", self.host)]);
        for (name, value) in given.chain(instructions.headers()) {
            request.headers_mut().append(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        request
    }
}

struct Gate {
    key: (AccessKey, Place),
    replays: Replays,
}

impl Gate {
    fn new() -> Self {
        Self {
            key: (AccessKey::new(SECRET), place()),
            replays: Replays::default(),
        }
    }

    fn verify(&self, request: &Request<Bytes>) -> Result<String, Refusal> {
        self.verify_at(request, now())
    }

    fn verify_at(&self, request: &Request<Bytes>, at: SystemTime) -> Result<String, Refusal> {
        let key = |id: &str| (id == "AKIDEXAMPLE").then_some(&self.key);
        verify(request, Class::Unsafe, at, key, &self.replays).map(|(id, _)| id)
    }

    fn why(&self, request: &Request<Bytes>) -> Why {
        self.verify(request).unwrap_err().why
    }
}

fn set(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    request.headers_mut().insert(name, value);
}

#[test]
fn what_awss_own_crate_signs_is_let_in() {
    for path in ["/", "/?b=2&a=1&a=%20x&empty=", "/be%20low/it"] {
        let request = Signing {
            path,
            ..Signing::default()
        }
        .request();
        assert_eq!(
            Gate::new().verify(&request).unwrap(),
            "AKIDEXAMPLE",
            "{path}"
        );
    }
    let spaces = Signing {
        headers: vec![("x-note", "  a   b "), ("x-note", "c")],
        ..Signing::default()
    };
    assert!(Gate::new().verify(&spaces.request()).is_ok());
}

#[test]
fn the_address_is_the_host_where_http_2_sends_no_header() {
    let mut request = Signing::default().request();
    request.headers_mut().remove("host");
    assert_eq!(Gate::new().why(&request), Why::BadSignature);
    *request.uri_mut() = "http://127.0.0.1:8787/".parse().unwrap();
    assert!(Gate::new().verify(&request).is_ok());
}

#[test]
fn what_was_changed_on_the_way_is_not_let_in() {
    let changed: [fn(&mut Request<Bytes>); 8] = [
        |request| *request.body_mut() = Bytes::from_static(b"{ }"),
        |request| set(request, "host", "elsewhere"),
        |request| set(request, "x-amz-target", "AwsProton20200720.DeleteService"),
        |request| set(request, "x-amz-date", "20150830T123601Z"),
        |request| *request.uri_mut() = "/?a=b".parse().unwrap(),
        |request| *request.uri_mut() = "/x".parse().unwrap(),
        |request| *request.method_mut() = http::Method::PUT,
        |request| {
            request.headers_mut().remove("x-amz-target");
        },
    ];
    for (index, change) in changed.iter().enumerate() {
        let mut request = Signing::default().request();
        change(&mut request);
        assert_eq!(
            Gate::new().why(&request),
            Why::BadSignature,
            "change {index}"
        );
    }
}

#[test]
fn the_key_the_scope_and_the_clock_must_be_right() {
    let late = Duration::from_secs(WINDOW_SECONDS + 1);
    for (signing, why) in [
        (
            Signing {
                secret: "other",
                ..Signing::default()
            },
            Why::BadSignature,
        ),
        (
            Signing {
                key_id: "AKIDOTHER",
                ..Signing::default()
            },
            Why::Unrecognized,
        ),
        (
            Signing {
                region: "eu-west-1",
                ..Signing::default()
            },
            Why::BadSignature,
        ),
        (
            Signing {
                service: "s3",
                ..Signing::default()
            },
            Why::BadSignature,
        ),
        (
            Signing {
                at: now() - late,
                ..Signing::default()
            },
            Why::BadSignature,
        ),
        (
            Signing {
                at: now() + late,
                ..Signing::default()
            },
            Why::BadSignature,
        ),
        (
            Signing {
                token: Some("session"),
                ..Signing::default()
            },
            Why::Unrecognized,
        ),
    ] {
        assert_eq!(Gate::new().why(&signing.request()), why);
    }
    for skew in [Duration::ZERO, late - Duration::from_secs(1)] {
        for at in [now() - skew, now() + skew] {
            let request = Signing {
                at,
                ..Signing::default()
            }
            .request();
            assert!(Gate::new().verify(&request).is_ok());
        }
    }
}

#[test]
fn the_scopes_day_is_the_dates() {
    let mut request = Signing::default().request();
    let header = request.headers()["authorization"].to_str().unwrap();
    for day in ["20150829", "2015083", "20150830T"] {
        let header = header.replace("/20150830/", &format!("/{day}/"));
        let mut request = Signing::default().request();
        set(&mut request, "authorization", &header);
        assert_eq!(Gate::new().why(&request), Why::BadSignature, "{day}");
    }
    request.headers_mut().remove("x-amz-date");
    assert_eq!(Gate::new().why(&request), Why::Malformed);
}

#[test]
fn what_matters_must_be_signed() {
    let mut unsigned = Signing {
        headers: vec![],
        ..Signing::default()
    }
    .request();
    assert!(Gate::new().verify(&unsigned).is_ok());
    set(&mut unsigned, "x-forwarded-for", "10.0.0.1");
    assert!(Gate::new().verify(&unsigned).is_ok());
    set(
        &mut unsigned,
        "x-amz-target",
        "AwsProton20200720.DeleteService",
    );
    let refusal = Gate::new().verify(&unsigned).unwrap_err();
    assert_eq!(refusal.message, "the header x-amz-target must be signed");
}

#[test]
fn a_header_that_is_no_signature_is_told_by_its_rule() {
    let good = Signing::default().request();
    let good = good.headers()["authorization"].to_str().unwrap();
    let (signature, cut) = (good.rsplit('=').next().unwrap(), good.len() - 1);
    for (header, said) in [
        ("AWS4-HMAC-SHA256".to_owned(), "of AWS4-HMAC-SHA256"),
        (good.replace("SHA256 ", "SHA512 "), "of AWS4-HMAC-SHA256"),
        (
            good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            "of AWS4-HMAC-SHA256",
        ),
        (good.replace("Credential=", "Credentials="), "not known"),
        (
            good.replace("Credential=AKIDEXAMPLE/", "Credential="),
            "Credential is",
        ),
        (
            good.replace("/aws4_request", "/aws5_request"),
            "Credential is",
        ),
        (
            good.replace("/aws4_request", "/aws4_request/x"),
            "Credential is",
        ),
        (format!("{good}, Signature={signature}"), "twice"),
        (
            good.replace(", SignedHeaders=host", ", SignedHeaders=Host"),
            "lower case",
        ),
        (
            good.replace("SignedHeaders=host;", "SignedHeaders=z;host;"),
            "in order",
        ),
        (good.replace(", Signature=", ", "), "a name, ="),
        (good[..cut].to_owned(), "64 hexadecimal digits"),
        (
            good.replace(signature, &signature.to_uppercase()),
            "64 hexadecimal digits",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request".to_owned(),
            "'SignedHeaders'",
        ),
    ] {
        let mut request = Signing::default().request();
        set(&mut request, "authorization", &header);
        let refusal = Gate::new().verify(&request).unwrap_err();
        assert_eq!(refusal.why, Why::Malformed, "{header}");
        assert!(refusal.message.contains(said), "{header}: {refusal}");
    }
    let mut twice = Signing::default().request();
    let again = twice.headers()["authorization"].clone();
    twice.headers_mut().append("authorization", again);
    assert_eq!(Gate::new().why(&twice), Why::Malformed);
}

#[test]
fn a_change_is_not_let_in_twice() {
    let (gate, request) = (Gate::new(), Signing::default().request());
    assert!(gate.verify(&request).is_ok());
    assert_eq!(gate.why(&request), Why::BadSignature);
    let later = Signing {
        at: now() + Duration::from_secs(1),
        ..Signing::default()
    };
    assert!(gate.verify(&later.request()).is_ok());
}

#[test]
fn a_signature_that_does_not_hold_uses_up_no_place() {
    let (gate, good) = (Gate::new(), Signing::default().request());
    let mut forged = Signing::default().request();
    *forged.body_mut() = Bytes::from_static(b"{ }");
    assert!(gate.verify(&forged).is_err());
    assert!(gate.verify(&good).is_ok());
}

#[test]
fn a_new_day_has_a_new_key() {
    let gate = Gate::new();
    for day in [0, 1, 0, 2] {
        let at = now() + Duration::from_secs(day * 86_400 + day);
        let request = Signing {
            at,
            headers: vec![],
            ..Signing::default()
        }
        .request();
        let key = |_: &str| Some(&gate.key);
        assert!(verify(&request, Class::Read, at, key, &gate.replays).is_ok());
    }
}

/// From AWS's own test suite for signatures: key, time and Region as here, service `service`.
#[test]
fn the_signatures_are_those_that_aws_published() {
    type Vector = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    const FORM: &str = "application/x-www-form-urlencoded";
    const UNRESERVED: &str = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const VECTORS: [Vector; 15] = [
        (
            "GET",
            "/",
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "/",
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            UNRESERVED,
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "GET",
            "/?Param1=value1",
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/?%E1%88%B4=bar",
            &[],
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "POST",
            "/?Param1=value1",
            &[],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "GET",
            "/",
            &[
                ("my-header1", "value2"),
                ("my-header1", "value2"),
                ("my-header1", "value1"),
            ],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "GET",
            "/",
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
            "GET",
            "/",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            &[("my-header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "POST",
            "/",
            &[("my-header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "GET",
            "/",
            &[("my-header1", "value1,value2,value3")],
            "",
            "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790",
        ),
        (
            "POST",
            "/",
            &[("content-type", FORM)],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "POST",
            "/",
            &[(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf8",
            )],
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
    ];
    const STAMP: &str = "20150830T123600Z";
    let key = AccessKey::new(SECRET);
    for (method, uri, headers, body, signature) in VECTORS {
        let mut request = Request::builder().method(method).uri(uri);
        let fixed = [("host", "example.amazonaws.com"), ("x-amz-date", STAMP)];
        let mut names = Vec::new();
        for (name, value) in headers.iter().chain(&fixed) {
            names.push(*name);
            request = request.header(*name, *value);
        }
        names.sort_unstable();
        names.dedup();
        let request = request.body(Bytes::from_static(body.as_bytes())).unwrap();
        let scope = Scope {
            day: STAMP[..8].to_owned(),
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
        };
        let header = format!(
            "{ALGORITHM} Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        let headers = HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            HeaderValue::from_str(&header).unwrap(),
        )]);
        let authorization = Authorization::read(&headers).unwrap();
        let text = canonical::string_to_sign(&request, &authorization, STAMP).unwrap();
        let holds = hmac::verify(
            &key.signing_key(&scope),
            text.as_bytes(),
            &authorization.signature,
        );
        assert!(holds.is_ok(), "{method} {uri} {headers:?}");
    }
}

#[test]
fn a_date_has_one_form() {
    assert_eq!(seconds("20150830T123600Z"), Some(NOW));
    for wrong in [
        "",
        "20150830T123600",
        "2015-08-30T12:36:00Z",
        "20151330T123600Z",
        "20150830t123600Z",
        "+0150830T123600Z",
        "ä0150830T12360Z",
    ] {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(header in "AWS4-HMAC-SHA256 .{0,80}", date in ".{0,20}") {
        let mut request = Signing::default().request();
        for (name, value) in [("authorization", header), ("x-amz-date", date)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                request.headers_mut().insert(name, value);
            }
        }
        let _ = Gate::new().verify(&request);
    }
}
