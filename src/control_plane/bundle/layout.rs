//! Where things lie in a bundle.
//!
//! Authors pack the bundle's folder as often as its contents, with other files beside it, so the root is searched for: at the top and up to two
//! folders down. What lies beside the folders that have a meaning is ignored.

use std::collections::BTreeSet;

use super::files::Files;
use super::problem::{Problem, quoted};
use super::{PartKind, TemplateKind};

pub(super) const SCHEMA: &str = "schema/schema.yaml";
pub(super) const MANIFEST: &str = "manifest.yaml";
const MAX_ROOT_DEPTH: usize = 2;

/// The folder of the bundle's root, `""` at the top.
pub(super) fn find_root(files: &Files) -> Result<String, Problem> {
    let candidates: BTreeSet<_> = files
        .paths()
        .filter_map(|path| root_by(path, SCHEMA))
        .collect();
    // What lies inside a root is part of it, whatever it looks like: the sources that CodeBuild gets may hold anything.
    let inside_another = |folder: &str| {
        let above = folder.match_indices('/').map(|(at, _)| &folder[..at]);
        (!folder.is_empty() && candidates.contains(""))
            || above.into_iter().any(|above| candidates.contains(above))
    };
    let roots: Vec<_> = candidates
        .iter()
        .filter(|folder| !inside_another(folder))
        .collect();
    match roots[..] {
        [] => Err(schema_missing(files)),
        [root] => Ok((*root).to_owned()),
        _ => {
            let names: Vec<_> = roots.iter().take(5).map(|root| quoted(root)).collect();
            Err(Problem::new(format!(
                "the bundle holds {} roots ({}), each with a {SCHEMA}; pack exactly one",
                roots.len(),
                names.join(", ")
            )))
        }
    }
}

fn root_by<'a>(path: &'a str, marker: &str) -> Option<&'a str> {
    let root = path.strip_suffix(marker)?;
    if root.is_empty() {
        return Some(root);
    }
    let root = root.strip_suffix('/')?;
    (root.split('/').count() <= MAX_ROOT_DEPTH).then_some(root)
}

fn schema_missing(files: &Files) -> Problem {
    let named = |name: &str| {
        files
            .paths()
            .find(|path| path.rsplit('/').next() == Some(name))
    };
    let hint = if let Some(path) = named("schema.yaml") {
        format!("; {} is not where it belongs", quoted(path))
    } else if let Some(path) = named("schema.yml").or_else(|| named("schema.json")) {
        format!("; rename {} to schema.yaml", quoted(path))
    } else {
        String::new()
    };
    Problem::new(format!(
        "the bundle holds no {SCHEMA}, neither at the top nor up to {MAX_ROOT_DEPTH} folders down{hint}"
    ))
}

/// Checks that the kind's parts are there, and none that would be ignored in silence.
pub(super) fn check(kind: TemplateKind, files: &Files) -> Result<(), Problem> {
    if let Some((folder, why)) = forbidden(kind)
        && files.has_folder(folder)
    {
        return Err(Problem::new(format!(
            "{folder}/ must not be in this bundle: {why}"
        )));
    }
    for part in kind.parts() {
        let folder = part.folder();
        if files.has_folder(folder) {
            if files.get(&format!("{folder}/{MANIFEST}")).is_none() {
                return Err(Problem::new(format!(
                    "{folder}/{MANIFEST} is missing{}",
                    misnamed(folder, files)
                )));
            }
        } else {
            return Err(Problem::new(format!(
                "{folder}/{MANIFEST} is missing{}",
                hint(*part, files)
            )));
        }
    }
    Ok(())
}

fn forbidden(kind: TemplateKind) -> Option<(&'static str, &'static str)> {
    match kind {
        TemplateKind::Environment {
            customer_managed: true,
        } => Some((
            PartKind::Environment.folder(),
            "a customer-managed environment template has a schema only",
        )),
        TemplateKind::Service {
            customer_managed_pipeline: true,
        } => Some((
            PartKind::Pipeline.folder(),
            "the service template has pipelineProvisioning CUSTOMER_MANAGED",
        )),
        _ => None,
    }
}

fn misnamed(folder: &str, files: &Files) -> String {
    let name = ["manifest.yml", "manifest.json"]
        .into_iter()
        .find(|name| files.get(&format!("{folder}/{name}")).is_some());
    name.map_or(String::new(), |name| format!("; rename {folder}/{name}"))
}

/// What the author may have meant by leaving a folder out.
fn hint(part: PartKind, files: &Files) -> &'static str {
    match part {
        PartKind::Environment if files.has_folder(PartKind::ServiceInstance.folder()) => {
            "; instance_infrastructure/ belongs to the bundle of a service template"
        }
        PartKind::ServiceInstance if files.has_folder(PartKind::Environment.folder()) => {
            "; infrastructure/ belongs to an environment template, or to the preview format of services: \
             rename it to instance_infrastructure/"
        }
        PartKind::Pipeline if files.has_folder("pipeline") => {
            "; pipeline/ is the preview format: rename it to pipeline_infrastructure/"
        }
        PartKind::Pipeline => {
            "; a service template without a pipeline is created with pipelineProvisioning CUSTOMER_MANAGED"
        }
        PartKind::Environment | PartKind::ServiceInstance => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: TemplateKind = TemplateKind::Environment {
        customer_managed: false,
    };
    const SERVICE: TemplateKind = TemplateKind::Service {
        customer_managed_pipeline: false,
    };

    fn root(paths: &[&str]) -> Result<String, String> {
        find_root(&files(paths)).map_err(|problem| problem.message().to_owned())
    }

    fn files(paths: &[&str]) -> Files {
        let mut files = Files::default();
        for path in paths {
            let file = super::super::File {
                contents: bytes::Bytes::new(),
                executable: false,
            };
            files.insert((*path).to_owned(), file).unwrap();
        }
        files
    }

    fn refused(kind: TemplateKind, paths: &[&str]) -> String {
        check(kind, &files(paths)).unwrap_err().message().to_owned()
    }

    #[test]
    fn the_root_lies_at_the_top_or_up_to_two_folders_down() {
        assert_eq!(root(&["schema/schema.yaml", "README.md"]).unwrap(), "");
        assert_eq!(
            root(&["v1/schema/schema.yaml", "README.md", "spec/schema.yaml"]).unwrap(),
            "v1"
        );
        assert_eq!(
            root(&["vpc/v1/schema/schema.yaml", "vpc/README.md"]).unwrap(),
            "vpc/v1"
        );
        assert!(
            root(&["a/b/c/schema/schema.yaml"])
                .unwrap_err()
                .contains("not where it belongs")
        );
    }

    #[test]
    fn a_schema_inside_the_root_is_no_second_root() {
        assert_eq!(
            root(&[
                "schema/schema.yaml",
                "instance_infrastructure/app/schema/schema.yaml"
            ])
            .unwrap(),
            ""
        );
        assert_eq!(
            root(&["v1/schema/schema.yaml", "v1/app/schema/schema.yaml"]).unwrap(),
            "v1"
        );
    }

    #[test]
    fn two_roots_are_named() {
        let message = root(&[
            "environment/schema/schema.yaml",
            "svc/v1/schema/schema.yaml",
        ])
        .unwrap_err();
        assert!(message.contains("\"environment\", \"svc/v1\""), "{message}");
    }

    #[test]
    fn folders_whose_names_only_end_alike_are_no_roots() {
        assert!(root(&["myschema/schema.yaml", "schema/schema.yaml.bak"]).is_err());
    }

    #[test]
    fn a_missing_schema_gets_a_hint_at_a_misnamed_one() {
        assert!(
            root(&["schema/schema.yml"])
                .unwrap_err()
                .contains("rename \"schema/schema.yml\"")
        );
    }

    #[test]
    fn each_kind_has_its_parts() {
        let instance = "instance_infrastructure/manifest.yaml";
        let pipeline = "pipeline_infrastructure/manifest.yaml";
        let no_pipeline = TemplateKind::Service {
            customer_managed_pipeline: true,
        };
        let customer_managed = TemplateKind::Environment {
            customer_managed: true,
        };
        check(ENVIRONMENT, &files(&["infrastructure/manifest.yaml"])).unwrap();
        check(SERVICE, &files(&[instance, pipeline])).unwrap();
        check(no_pipeline, &files(&[instance])).unwrap();
        check(customer_managed, &files(&[SCHEMA])).unwrap();

        assert!(
            refused(ENVIRONMENT, &["infrastructure/manifest.yml"])
                .contains("rename infrastructure/manifest.yml")
        );
        assert!(
            refused(ENVIRONMENT, &[instance])
                .contains("belongs to the bundle of a service template")
        );
        assert!(
            refused(
                SERVICE,
                &["infrastructure/manifest.yaml", "pipeline/manifest.yaml"]
            )
            .contains("preview format")
        );
        assert!(
            refused(SERVICE, &[instance, "pipeline/manifest.yaml"])
                .contains("rename it to pipeline_infrastructure/")
        );
        assert!(refused(SERVICE, &[instance]).contains("pipelineProvisioning CUSTOMER_MANAGED"));
        assert!(
            refused(no_pipeline, &[instance, pipeline])
                .starts_with("pipeline_infrastructure/ must not be")
        );
        assert!(
            refused(customer_managed, &["infrastructure/x"])
                .starts_with("infrastructure/ must not be")
        );
    }
}
