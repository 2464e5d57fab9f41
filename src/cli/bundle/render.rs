//! `bundle render`: what deployments of a bundle would send, without a server.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use aws_smithy_types::base64;
use clap::Args;
use serde_json::{Value, json};

use super::{kind, title};
use crate::{
    api::{aws_json, pb},
    control_plane::{
        Caller,
        bundle::{Files, Limits, PartKind, TemplateKind, check_files, directory},
        offline::{self, Deployment, Scene, What},
    },
};
use pb::deployment_file_content::Kind;

/// Only ARNs tell the Region.
const REGION: &str = "us-east-1";

#[derive(Debug, Args)]
pub struct Render {
    /// The bundle's directory, or that of a component: its manifest.yaml and its file
    directory: PathBuf,
    /// The spec; with a component that of the service it is attached to, if it is
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// The name of the environment, the service or the component [default: just that word]
    #[arg(long)]
    name: Option<String>,
    /// The one instance of the spec to render, or to attach the component to
    #[arg(long)]
    instance: Option<String>,
    /// An output of all environments, any number of times; one that is used and not given reads
    /// <ENVIRONMENT.outputs.KEY>
    #[arg(long, value_name = "KEY=VALUE", value_parser = output)]
    environment_output: Vec<(String, String)>,
    /// The account of everything
    #[arg(long, default_value = "000000000000")]
    account_id: String,
    /// Write the files below this directory, which is new or empty, and print none
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn output(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("an output is KEY=VALUE".to_owned()),
    }
}

impl Render {
    /// Renders and shows, or says all that is wrong with the templates.
    pub(super) fn run(self, to: &mut impl Write) -> Result<()> {
        let (mut sent, mut problems) = (Vec::new(), Vec::new());
        for (what, content) in self.deployments()? {
            match content {
                Ok(content) => sent.push((what, content)),
                Err(problem) => problems.push(format!("{}: {problem}", named(&what))),
            }
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("\nerror: "));
        }
        match &self.out {
            Some(directory) => {
                let count = write(directory, &sent)?;
                writeln!(to, "wrote {count} files below {}", directory.display())?;
            }
            None if self.json => writeln!(to, "{}", describe(&sent))?,
            None => print(to, &sent)?,
        }
        Ok(())
    }

    fn deployments(&self) -> Result<Vec<Deployment>> {
        let limits = Limits::default();
        let files = directory::read(&self.directory, &limits)?;
        let instance = self.instance.as_deref();
        if is_component(&files) {
            let text = self.spec.as_deref().map(text).transpose()?;
            let scene = self.scene("component");
            return offline::component(&files, text.as_deref(), instance, &scene)
                .map_err(|error| self.in_spec(&error));
        }
        let kind = kind(&files);
        let bundle = check_files(kind, &files, &limits)?;
        let path = self.spec.as_deref();
        let text = text(path.context("--spec must be given for a bundle")?)?;
        let deployments = match kind {
            TemplateKind::Environment { .. } if instance.is_some() => {
                bail!("--instance is for services and components, not for environments")
            }
            TemplateKind::Environment { .. } => {
                offline::environment(&bundle, &text, &self.scene("environment"))
            }
            TemplateKind::Service { .. } => {
                offline::service(&bundle, &text, instance, &self.scene("service"))
            }
        };
        deployments.map_err(|error| self.in_spec(&error))
    }

    fn scene(&self, name: &str) -> Scene {
        Scene {
            owner: Caller::new(&self.account_id, REGION),
            name: self.name.as_deref().unwrap_or(name).to_owned(),
            environment_outputs: self.environment_output.clone(),
        }
    }

    fn in_spec(&self, error: &crate::api::Error) -> anyhow::Error {
        match &self.spec {
            Some(path) => anyhow!("{}: {}", path.display(), error.message),
            None => anyhow!("{}", error.message),
        }
    }
}

/// A component has its manifest at the top, and no schema.
fn is_component(files: &Files) -> bool {
    files.get("manifest.yaml").is_some() && files.get("schema/schema.yaml").is_none()
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

type Sent = [(What, pb::DeploymentContent)];

fn part(what: &What) -> &'static str {
    match what {
        What::Environment => title(PartKind::Environment),
        What::ServiceInstance(_) => title(PartKind::ServiceInstance),
        What::Pipeline => title(PartKind::Pipeline),
        What::Component => "component",
    }
}

fn named(what: &What) -> String {
    match what {
        What::ServiceInstance(name) => format!("{} {name:?}", part(what)),
        _ => part(what).to_owned(),
    }
}

fn print(to: &mut impl Write, sent: &Sent) -> Result<()> {
    if sent.is_empty() {
        writeln!(to, "nothing is sent")?;
    }
    for (what, content) in sent {
        let named = named(what);
        for file in &content.files {
            writeln!(to, "==> {named}: {} <==", file.path)?;
            let bytes = bytes(file)?;
            match str::from_utf8(&bytes) {
                Ok(text) => writeln!(to, "{}", text.strip_suffix('\n').unwrap_or(text))?,
                Err(_) => writeln!(to, "({} bytes that are no text)", bytes.len())?,
            }
        }
        if let Some(build) = &content.build {
            writeln!(to, "==> {named}: the build <==")?;
            writeln!(to, "{:#}", value(build))?;
        }
    }
    Ok(())
}

fn describe(sent: &Sent) -> Value {
    let deployments = sent.iter().map(|(what, content)| {
        let mut deployment = json!({"part": part(what)});
        if let What::ServiceInstance(name) = what {
            deployment["name"] = json!(name);
        }
        deployment["content"] = value(content);
        deployment
    });
    json!({"deployments": deployments.collect::<Vec<_>>()})
}

/// As the API shows it.
fn value(message: &impl serde::Serialize) -> Value {
    serde_json::from_slice(&aws_json::write(message)).expect("what was written is JSON")
}

fn bytes(file: &pb::DeploymentFile) -> Result<Vec<u8>> {
    let content = file.content.as_ref();
    match content.and_then(|content| content.kind.as_ref()) {
        Some(Kind::Text(text)) => Ok(text.clone().into_bytes()),
        Some(Kind::Base64(encoded)) => Ok(base64::decode(encoded)?),
        None => Ok(Vec::new()),
    }
}

/// Writes the files of each deployment to a folder of its own, and the settings of a build beside that. Answers how many there are.
fn write(directory: &Path, sent: &Sent) -> Result<usize> {
    let failed = |path: &Path| format!("cannot write {}", path.display());
    fs::create_dir_all(directory).with_context(|| failed(directory))?;
    let mut entries = fs::read_dir(directory).with_context(|| failed(directory))?;
    if entries.next().is_some() {
        bail!("{} is not empty", directory.display());
    }
    let mut count = 0;
    for (what, content) in sent {
        let folder = match what {
            What::Environment => "environment".to_owned(),
            What::ServiceInstance(name) => format!("instances/{name}"),
            What::Pipeline => "pipeline".to_owned(),
            What::Component => "component".to_owned(),
        };
        let mut put = |path: String, bytes: Vec<u8>, executable: bool| {
            let path = directory.join(path);
            let parent = path.parent().expect("a file is in a directory");
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, bytes))
                .and_then(|()| allow(&path, executable))
                .with_context(|| failed(&path))?;
            count += 1;
            Ok::<_, anyhow::Error>(())
        };
        for file in &content.files {
            let path = format!("{folder}/{}", file.path);
            put(path, bytes(file)?, file.executable)?;
        }
        if let Some(build) = &content.build {
            let text = format!("{:#}\n", value(build));
            put(format!("{folder}.build.json"), text.into_bytes(), false)?;
        }
    }
    Ok(count)
}

#[cfg(unix)]
fn allow(path: &Path, executable: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match executable {
        true => fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
fn allow(_: &Path, _: bool) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        render: Render,
    }

    fn examples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bundles")
    }

    /// What the command prints for an example with its own spec.
    fn rendered(bundle: &str, spec: bool, more: &[&str]) -> Result<String> {
        let directory = examples().join(bundle);
        let mut line = vec!["render".to_owned(), directory.display().to_string()];
        if spec {
            let path = directory.join("spec/spec.yaml");
            line.extend(["--spec".to_owned(), path.display().to_string()]);
        }
        line.extend(more.iter().map(|word| (*word).to_owned()));
        let mut printed = Vec::new();
        Line::parse_from(line).render.run(&mut printed)?;
        Ok(String::from_utf8(printed).unwrap())
    }

    /// The headers of what is printed.
    fn headers(printed: &str) -> Vec<&str> {
        let lines = printed.lines();
        lines
            .filter_map(|line| line.strip_prefix("==> ")?.strip_suffix(" <=="))
            .collect()
    }

    #[test]
    fn a_service_is_rendered_with_all_instances_and_its_pipeline() {
        let printed = rendered("cloudformation/service", true, &["--name", "worker"]).unwrap();
        let expected = [
            "service instance \"staging\": cloudformation.yaml",
            "service instance \"production\": cloudformation.yaml",
            "pipeline: cloudformation.yaml",
        ];
        assert_eq!(headers(&printed), expected);
    }

    #[test]
    fn one_instance_is_rendered_alone() {
        let printed = rendered("terraform/service", true, &["--instance", "production"]).unwrap();
        let all_its = |header: &&str| header.starts_with("service instance \"production\": ");
        assert!(headers(&printed).iter().all(all_its), "{printed}");
        let missing = rendered("terraform/service", true, &["--instance", "none"]);
        let message = missing.unwrap_err().to_string();
        assert!(message.ends_with("the spec has no instance \"none\" under instances"));
    }

    #[test]
    fn outputs_of_environments_are_those_given_or_stand_ins() {
        let stood_in = rendered("terraform/service", true, &[]).unwrap();
        assert!(stood_in.contains("\"<network.outputs."), "{stood_in}");
        let component = rendered("cloudformation/component", false, &[]).unwrap();
        assert_eq!(headers(&component), ["component: cloudformation.yaml"]);
        let given = ["--environment-output", "cluster_arn=arn:of:cluster"];
        let given = rendered("terraform/service", true, &given).unwrap();
        assert!(
            given.contains("\"cluster_arn\" : \"arn:of:cluster\""),
            "{given}"
        );
    }

    #[test]
    fn json_has_the_form_of_the_api() {
        let printed = rendered("terraform/environment", true, &["--json"]).unwrap();
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let [deployment] = &printed["deployments"].as_array().unwrap()[..] else {
            panic!("one deployment, not {printed}");
        };
        assert_eq!(deployment["part"], "environment");
        assert_eq!(deployment["content"]["method"], "TERRAFORM");
    }

    #[test]
    fn files_are_written_to_a_directory_that_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let out = ["--out", out.to_str().unwrap()];
        let printed = rendered("cloudformation/service", true, &out).unwrap();
        assert!(printed.starts_with("wrote 3 files below "));
        let written = directory
            .path()
            .join("out/instances/staging/cloudformation.yaml");
        assert!(written.is_file());
        let again = rendered("cloudformation/service", true, &out);
        assert!(again.unwrap_err().to_string().ends_with("is not empty"));
    }

    #[test]
    fn every_template_that_fails_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "schema/schema.yaml",
                "schema:\n  format: { openapi: \"3.0.0\" }\n  service_input_type: In\n  types: { In: { type: object, properties: { size: { type: string } } } }\n",
            ),
            (
                "instance_infrastructure/manifest.yaml",
                "infrastructure:\n  templates:\n    - { file: a.yaml, rendering_engine: jinja, template_language: cloudformation }\n",
            ),
            (
                "instance_infrastructure/a.yaml",
                "Resources:\n  {{ nothing }}\n",
            ),
            (
                "spec.yaml",
                "proton: ServiceSpec\ninstances:\n  - { name: a, environment: e }\n  - { name: b, environment: e }\n",
            ),
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let spec = directory.path().join("spec.yaml");
        let (bundle, spec) = (directory.path().to_str().unwrap(), spec.to_str().unwrap());
        let line = Line::parse_from(["render", bundle, "--spec", spec]);
        let message = line.render.run(&mut Vec::new()).unwrap_err().to_string();
        let expected: Vec<_> = ["a", "b"]
            .map(|name| {
                format!("service instance {name:?}: instance_infrastructure/a.yaml line 2: ")
            })
            .into();
        let lines: Vec<_> = message.split("\nerror: ").collect();
        for (line, expected) in lines.iter().zip(&expected) {
            assert!(line.starts_with(expected), "{message}");
        }
        assert_eq!(lines.len(), 2, "{message}");
    }
}
