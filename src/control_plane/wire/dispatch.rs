//! From the name of an operation to its handler and back to bytes.

use super::{Audit, audited};
use crate::api::validate::Violations;
use crate::api::{Code, Error, Validate as _, aws_json, operation, pb};
use crate::control_plane::Caller;
use crate::identity::Principal;
use crate::policy::{Governed, Policies, Refusal};
use crate::telemetry::traces;

include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));

/// What stands between a request from a socket and its handler.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) policies: &'a Policies,
    pub(super) principal: &'a Principal,
}

impl Gate<'_> {
    async fn pass<O: Governed>(self, caller: &Caller, request: &O::Request) -> Result<(), Error> {
        let place = caller.place();
        let allowed = self
            .policies
            .decide::<O>(Some((self.principal, &place)), request);
        allowed.await.map_err(|refusal| match refusal {
            // In AWS's words, for whoever reads them with a program.
            Refusal::Denied { who, action, arn } => Error::access_denied(format!(
                "User: {who} is not authorized to perform: proton:{action} on resource: {arn}"
            )),
            Refusal::Undecided => Error::new(
                Code::ServiceUnavailable,
                "nobody can tell now whether the policies allow this",
            ),
        })
    }
}

async fn answer<O, F>(
    gate: Option<Gate<'_>>,
    caller: &Caller,
    body: &[u8],
    audit: &mut Audit,
    handler: impl FnOnce(O::Request) -> F,
) -> Result<Vec<u8>, Error>
where
    O: Governed<Request: prost::Name>,
    F: Future<Output = Result<O::Response, Error>>,
{
    let request: O::Request = aws_json::read(body)?;
    if let Some(audit) = audit {
        audit.concerns(O::FACTS.resource, &O::resource_name(&request));
    }
    traces::about::<O>(&request);
    if let Some(gate) = gate {
        gate.pass::<O>(caller, &request).await?;
    }
    let violations = request.violations();
    if !violations.is_empty() {
        return Err(invalid(violations));
    }
    if let Some(audit) = audit {
        audit.intend().await.map_err(|_| audited::unrecorded())?;
    }
    // Boxed, because all handlers' futures are one in `dispatch`, as large as the largest.
    Ok(aws_json::write(&Box::pin(handler(request)).await?))
}

/// Says what the request breaks, by the names that members have in AWS-JSON.
fn invalid(violations: Violations) -> Error {
    let message = violations
        .summary(|found| format!("value at '{}' {}", member(&found.field), found.message));
    Error {
        message,
        ..Error::invalid(violations)
    }
}

/// The path of a field in AWS-JSON: lowerCamelCase, without the wrapper that lets a list be absent.
fn member(field: &str) -> String {
    let mut path = String::with_capacity(field.len());
    let mut after_underscore = false;
    for c in field
        .replace(".items[", "[")
        .trim_end_matches(".items")
        .chars()
    {
        match c {
            '_' => after_underscore = true,
            _ if after_underscore => {
                path.push(c.to_ascii_uppercase());
                after_underscore = false;
            }
            _ => path.push(c),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_aws_names_them() {
        assert_eq!(member("template_name"), "templateName");
        assert_eq!(member("tags[2].key"), "tags[2].key");
        assert_eq!(member("source.s3.bucket"), "source.s3.bucket");
        assert_eq!(
            member("compatible_environment_templates.items[0].major_version"),
            "compatibleEnvironmentTemplates[0].majorVersion"
        );
        assert_eq!(
            member("compatible_environment_templates.items"),
            "compatibleEnvironmentTemplates"
        );
    }

    #[test]
    fn a_refused_request_keeps_its_violations() {
        let request = pb::GetEnvironmentTemplateRequest {
            name: "-".repeat(101),
        };
        let error = invalid(request.violations());
        assert_eq!(error.violations, request.violations());
        assert!(
            error
                .message
                .starts_with("2 validation errors detected: value at 'name' must be at most 100")
        );
    }
}
