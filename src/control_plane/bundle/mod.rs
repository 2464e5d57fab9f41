//! Template bundles: what the author of a template hands in, from the bucket to a checked [`Bundle`].
//!
//! ```text
//!  source ──bytes──► archive ──Files──► layout ──► manifest ─┐
//!  (S3, directory)   (.tar.gz)    ▲     (root,     (engine,  ├──► Bundle ──► spec, render
//!                    directory ───┘      parts)     files)   │       │
//!                    (bundle check)                 schema ──┘       └──► compat, with the minor version before
//! ```
//!
//! A bundle that passes [`check`] has every part its kind of template needs, manifests whose engine is known and whose files exist, and a schema
//! that says what the inputs are. What the templates render to is not looked at: that depends on a spec and shows at deployment.
//!
//! Archives come from strangers, so every step is bounded in memory and time by [`Limits`]. What is wrong is said in a [`Problem`], which is
//! written for the bundle's author. Nothing here writes to the disk.

pub mod archive;
pub mod compat;
pub mod directory;
mod files;
mod layout;
mod limits;
pub mod manifest;
mod problem;
pub mod schema;
pub mod source;
pub(super) mod yaml;

#[cfg(test)]
mod tests;

pub use files::{File, Files};
pub use limits::Limits;
pub use manifest::Manifest;
pub use problem::Problem;
pub use schema::Schema;

use problem::quoted;

/// What a bundle has to contain, as the template it is registered for decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// With `provisioning: CUSTOMER_MANAGED` the environment exists already and the bundle only describes its outputs.
    Environment { customer_managed: bool },
    /// With `pipelineProvisioning: CUSTOMER_MANAGED` the template supplies no pipeline.
    Service { customer_managed_pipeline: bool },
}

impl TemplateKind {
    fn title(self) -> &'static str {
        match self {
            Self::Environment { .. } => "Environment",
            Self::Service { .. } => "Service",
        }
    }

    /// The parts that have inputs.
    fn inputs(self) -> &'static [PartKind] {
        match self {
            Self::Environment { .. } => &[PartKind::Environment],
            Self::Service {
                customer_managed_pipeline: true,
            } => &[PartKind::ServiceInstance],
            Self::Service {
                customer_managed_pipeline: false,
            } => &[PartKind::ServiceInstance, PartKind::Pipeline],
        }
    }

    /// The parts that are provisioned from the bundle.
    fn parts(self) -> &'static [PartKind] {
        match self {
            Self::Environment {
                customer_managed: true,
            } => &[],
            _ => self.inputs(),
        }
    }
}

/// The things a bundle provisions, each from a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartKind {
    Environment,
    ServiceInstance,
    Pipeline,
}

impl PartKind {
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Environment => "infrastructure",
            Self::ServiceInstance => "instance_infrastructure",
            Self::Pipeline => "pipeline_infrastructure",
        }
    }
}

/// A bundle that can be registered.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub schema: Schema,
    pub parts: Vec<Part>,
}

impl Bundle {
    pub fn part(&self, kind: PartKind) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// The part itself, for whoever needs nothing else of the bundle.
    pub fn into_part(self, kind: PartKind) -> Option<Part> {
        self.parts.into_iter().find(|part| part.kind == kind)
    }
}

/// One folder of infrastructure code.
#[derive(Clone, Debug)]
pub struct Part {
    pub kind: PartKind,
    pub manifest: Manifest,
    /// What the engine gets, by path inside the folder: the one template of CloudFormation, the `*.tf` files of Terraform, everything of
    /// CodeBuild, whose commands run in this folder.
    pub files: Files,
}

/// Checks an archive as registration does.
pub fn check(kind: TemplateKind, archive: &[u8], limits: &Limits) -> Result<Bundle, Problem> {
    check_files(kind, &archive::unpack(archive, limits)?, limits)
}

/// Checks files that are already unpacked.
pub fn check_files(kind: TemplateKind, files: &Files, limits: &Limits) -> Result<Bundle, Problem> {
    let root = layout::find_root(files)?;
    let files = files.folder(&root);
    layout::check(kind, &files)?;

    let parts = kind
        .parts()
        .iter()
        .map(|part| check_part(*part, &files, limits))
        .collect::<Result<Vec<_>, _>>()?;
    let builds = parts
        .iter()
        .filter(|part| matches!(part.manifest, Manifest::CodeBuild(_)));
    let build_files: usize = builds.map(|part| part.files.len()).sum();
    if build_files > limits.codebuild_files {
        return Err(Problem::new(format!(
            "the parts that CodeBuild provisions hold {build_files} files, the limit is {}",
            limits.codebuild_files
        )));
    }
    let schema = Schema::read(
        kind,
        files.get(layout::SCHEMA).expect("the layout has a schema"),
        limits,
    )?;
    Ok(Bundle { schema, parts })
}

fn check_part(kind: PartKind, files: &Files, limits: &Limits) -> Result<Part, Problem> {
    let folder = files.folder(kind.folder());
    let path = format!("{}/{}", kind.folder(), layout::MANIFEST);
    let file = folder
        .get(layout::MANIFEST)
        .expect("the layout has a manifest for each part");
    if file.contents.len() > limits.manifest_bytes {
        return Err(Problem::new(format!(
            "{path} has {} bytes, the limit is {}",
            file.contents.len(),
            limits.manifest_bytes
        )));
    }
    let manifest = Manifest::read(&path, file.as_text(&path)?)?;
    let files = manifest.select(kind.folder(), folder)?;
    if !matches!(manifest, Manifest::CodeBuild(_)) {
        check_templates(kind.folder(), &files, limits)?;
    }
    Ok(Part {
        kind,
        manifest,
        files,
    })
}

/// Templates are text of a bounded size; what else lies in the folder is nobody's business.
fn check_templates(folder: &str, files: &Files, limits: &Limits) -> Result<(), Problem> {
    for (path, file) in files.iter() {
        let path = format!("{folder}/{path}");
        if file.contents.len() > limits.template_bytes {
            let bytes = file.contents.len();
            return Err(Problem::new(format!(
                "{} has {bytes} bytes, the limit is {}",
                quoted(&path),
                limits.template_bytes
            )));
        }
        file.as_text(&path)?;
    }
    Ok(())
}
