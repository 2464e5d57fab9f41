//! Which access key a request is signed with.

use http::{HeaderMap, header};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The id of the access key, which begins the credential scope:
///
/// ```text
/// AWS4-HMAC-SHA256 Credential=<key id>/<date>/<region>/proton/aws4_request, SignedHeaders=…, Signature=…
/// ```
pub(super) fn access_key_id(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let parts = authorization.strip_prefix(ALGORITHM)?;
    let credential = parts
        .split(',')
        .find_map(|part| part.trim().strip_prefix("Credential="))?;
    let (id, _) = credential.split_once('/')?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn found(authorization: &'static str) -> Option<String> {
        let headers = [(
            header::AUTHORIZATION,
            HeaderValue::from_static(authorization),
        )];
        access_key_id(&HeaderMap::from_iter(headers)).map(str::to_owned)
    }

    #[test]
    fn the_credential_scope_begins_with_the_key_id() {
        let scope = "Credential=AKIDEXAMPLE/20250101/us-east-1/proton/aws4_request";
        for authorization in [
            format!("{ALGORITHM} {scope}, SignedHeaders=host, Signature=0"),
            format!("{ALGORITHM} {scope},SignedHeaders=host,Signature=0"),
            format!("{ALGORITHM} SignedHeaders=host, {scope}, Signature=0"),
        ] {
            assert_eq!(found(authorization.leak()).as_deref(), Some("AKIDEXAMPLE"));
        }
    }

    #[test]
    fn requests_without_such_a_signature_have_none() {
        assert_eq!(access_key_id(&HeaderMap::new()), None);
        for authorization in [
            "Bearer Credential=a/b",
            ALGORITHM,
            "AWS4-HMAC-SHA256 Credential=",
        ] {
            assert_eq!(found(authorization), None, "{authorization}");
        }
    }
}
