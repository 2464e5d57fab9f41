//! Whose files these are.

/// The resource and the deployment that files are rendered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub arn: String,
    pub deployment_id: String,
    /// None for components, which have no template.
    pub template: Option<TemplateVersion>,
    /// Of instances and components.
    pub environment_arn: Option<String>,
    /// Of attached components.
    pub service_arn: Option<String>,
    /// Of attached components.
    pub service_instance_arn: Option<String>,
    /// The propagated `proton:*` tags, in their order; with none, `proton_tags` is left out of Terraform's values.
    pub tags: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateVersion {
    pub arn: String,
    pub major: String,
    pub minor: String,
}
