//! Terraform: the folder that is committed for the customer's own automation.
//!
//! The author's `*.tf` files stay as they are. Beside them Proton puts the declarations of its variables, their values, and who deployed what. Each
//! `*.tf` file begins with a comment that names the resource; formats are Proton's to the byte, because automation and reviewers compare them.

use serde_json::{Map, Value, json};

use super::{File, Files, Namespace, Origin, file, jackson};

mod variables;

const VALUES: &str = "proton.auto.tfvars.json";
const METADATA: &str = ".proton/deployment-metadata.json";

/// Where the comment ends that [`files`] puts before a file.
const COMMENT_END: &[u8] = b"\n*/\n\n";
const DELETED: &str = "/*\nThis file is no longer managed by AWS Proton. The associated resource has been deleted in Proton.\n*/\n\n";

pub(super) fn files(files: &Files, namespace: &Namespace, origin: &Origin) -> Files {
    let header = header(&origin.arn);
    let declarations = file(variables::declarations(namespace));
    let own = files
        .iter()
        .map(|(path, file)| (path.to_owned(), file.clone()));
    let generated = format!("proton.{}.variables.tf", namespace.kind());
    own.chain([(generated, declarations)])
        .map(|(path, file)| (path, prefixed(&header, &file)))
        .chain([
            (
                VALUES.to_owned(),
                file(jackson::print(&values(namespace, origin))),
            ),
            (
                METADATA.to_owned(),
                file(jackson::print(&metadata(namespace, origin))),
            ),
        ])
        .collect()
}

fn header(arn: &str) -> String {
    format!(
        "/*\n\
         This file is managed by AWS Proton. Any changes made directly to this file will be overwritten the next time AWS Proton performs an update.\n\
         \n\
         To manage this resource, see AWS Proton Resource: {arn}\n\
         \n\
         If the resource is no longer accessible within AWS Proton, it may have been deleted and may require manual cleanup.\n\
         */\n\n"
    )
}

/// A byte order mark is none behind a comment.
fn prefixed(header: &str, file: &File) -> File {
    let contents = &file.contents[..];
    let contents = contents
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(contents);
    File {
        contents: [header.as_bytes(), contents].concat().into(),
        executable: file.executable,
    }
}

fn values(namespace: &Namespace, origin: &Origin) -> Value {
    let mut values = namespace.values();
    if let Namespace::ServiceInstance(_) = namespace {
        values["service_instance"]["components"] = Value::Object(namespace.components());
    }
    if let Namespace::Component(component) = namespace
        && component.attached.is_some()
    {
        let name = values["service"]["name"].take();
        values["service"] = json!({ "name": name });
    }
    if !origin.tags.is_empty() {
        let tags = origin
            .tags
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()));
        values.insert("proton_tags".to_owned(), Value::Object(tags.collect()));
    }
    values.insert("//".to_owned(), origin.arn.as_str().into());
    Value::Object(values)
}

fn metadata(namespace: &Namespace, origin: &Origin) -> Value {
    let mut resource = Map::new();
    let mut insert = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            resource.insert(name.to_owned(), value.into());
        }
    };
    insert("arn", Some(&origin.arn));
    if let Some(template) = &origin.template {
        insert("templateArn", Some(&template.arn));
        insert("templateMajorVersion", Some(&template.major));
        insert("templateMinorVersion", Some(&template.minor));
    }
    insert("environmentArn", origin.environment_arn.as_deref());
    let mut metadata = json!({ "deploymentId": origin.deployment_id, "isResourceDeleted": false });
    if let Namespace::Component(_) = namespace {
        insert("serviceArn", origin.service_arn.as_deref());
        insert("serviceInstanceArn", origin.service_instance_arn.as_deref());
        insert("componentType", Some("default"));
        metadata["componentMetadata"] = Value::Object(resource);
    } else {
        metadata["resourceMetadata"] = Value::Object(resource);
    }
    metadata
}

/// The folder of a resource that is gone: all files stay, the comments and the metadata say so.
pub(super) fn deleted(files: &Files) -> Files {
    let files = files.iter().map(|(path, file)| {
        let contents = &file.contents[..];
        let contents = match path {
            METADATA => deleted_metadata(contents).into_bytes(),
            _ if path.ends_with(".tf") => {
                let end = contents
                    .windows(COMMENT_END.len())
                    .position(|at| at == COMMENT_END);
                let code = end.map_or(contents, |end| &contents[end + COMMENT_END.len()..]);
                [DELETED.as_bytes(), code].concat()
            }
            _ => contents.to_vec(),
        };
        let file = File {
            contents: contents.into(),
            executable: file.executable,
        };
        (path.to_owned(), file)
    });
    files.collect()
}

fn deleted_metadata(contents: &[u8]) -> String {
    let mut metadata: Value =
        serde_json::from_slice(contents).expect("the metadata was rendered as JSON");
    metadata["deploymentId"] = "<proton-resource-deleted>".into();
    metadata["isResourceDeleted"] = true.into();
    jackson::print(&metadata)
}
