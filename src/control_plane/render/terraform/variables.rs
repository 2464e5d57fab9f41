//! The declarations of the variables that Proton gives values to.

use super::Namespace;

/// The text of `proton.<kind>.variables.tf`.
pub(super) fn declarations(namespace: &Namespace) -> String {
    let variables = match namespace {
        Namespace::Environment(_) => &[ENVIRONMENT][..],
        Namespace::ServiceInstance(_) => &[ENVIRONMENT_OF, SERVICE, SERVICE_INSTANCE],
        Namespace::Pipeline(_) => &[SERVICE_INSTANCES, SERVICE_OR_NULL, PIPELINE],
        Namespace::Component(_) => &[
            COMPONENT,
            COMPONENT_ENVIRONMENT,
            COMPONENT_SERVICE,
            COMPONENT_INSTANCE,
        ],
    };
    let mut text: String = variables
        .iter()
        .flat_map(|variable| [*variable, "\n"])
        .collect();
    text.push_str(PROTON_TAGS);
    text
}

const ENVIRONMENT: &str = r#"variable "environment" {
  type = object({
    inputs = any
    name   = string
  })
  default = null
}
"#;

const ENVIRONMENT_OF: &str = r#"variable "environment" {
  type = object({
    account_id = string
    name       = string
    outputs    = map(string)
  })
  default = null
}
"#;

const SERVICE: &str = r#"variable "service" {
  type = object({
    name                      = string
    branch_name               = string
    repository_connection_arn = string
    repository_id             = string
  })
}
"#;

const SERVICE_OR_NULL: &str = r#"variable "service" {
  type = object({
    name                      = string
    branch_name               = string
    repository_connection_arn = string
    repository_id             = string
  })
  default = null
}
"#;

const SERVICE_INSTANCE: &str = r#"variable "service_instance" {
  type = object({
    name       = string
    inputs     = any
    components = map(any)
  })
  default = null
}
"#;

const SERVICE_INSTANCES: &str = r#"variable "service_instances" {
  type = list(
    object({
      name    = string
      inputs  = any
      outputs = map(string)
      environment = object({
        account_id = string
        name       = string
        outputs    = map(string)
      })
    })
  )
}
"#;

const PIPELINE: &str = r#"variable "pipeline" {
  type = object({
    inputs = any
  })
  default = null
}
"#;

const COMPONENT: &str = r#"variable "component" {
  type = object({
    name = string
  })
}
"#;

const COMPONENT_ENVIRONMENT: &str = r#"variable "environment" {
  type = object({
    account_id = string
    name       = string
    outputs    = map(string)
  })
}
"#;

/// Indented as Proton does.
const COMPONENT_SERVICE: &str = r#"variable "service" {
   type = object({
     name = string
   })
   default = null
}
"#;

/// Folders of 2022 say `map(string)` here, as they did for every kind; for the others Proton came to `any`, which lists need.
const COMPONENT_INSTANCE: &str = r#"variable "service_instance" {
  type = object({
    name   = string
    inputs = any
  })
  default = null
}
"#;

const PROTON_TAGS: &str = r#"variable "proton_tags" {
  type    = map(string)
  default = null
}
"#;
