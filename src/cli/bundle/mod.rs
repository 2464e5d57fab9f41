//! `bundle`: checks a template bundle as registration would, renders it as a deployment would, and
//! pushes it to where registration reads from.

mod render;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{config::Bundles, serve};
use crate::control_plane::bundle::{
    Bundle, Files, Limits, Manifest, PartKind, TemplateKind, archive, check_files, directory,
};
use render::Render;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether a bundle would register, and what it holds
    Check {
        /// The bundle's directory
        directory: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what deployments of a bundle would send, with a spec
    Render(Render),
    /// Check a bundle, pack it and put it where a bucket's key is looked for
    Push {
        /// The bundle's directory
        directory: PathBuf,
        /// The bucket, as in the source of a template version
        bucket: String,
        /// The key, as in the source of a template version
        key: String,
        /// Where buckets are, as for serve
        #[arg(
            long,
            value_name = "dir:PATH|s3",
            default_value = "dir:proton-data/bundles"
        )]
        bundles: Bundles,
        /// The AWS region, for s3
        #[arg(long, default_value = "us-east-1")]
        region: String,
    },
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Check { directory, json } => {
            let bundle = read(&directory)?.1;
            match json {
                true => println!("{}", describe(&bundle)),
                false => print(&directory, &bundle),
            }
        }
        Command::Render(render) => {
            let mut shown = Vec::new();
            render.run(&mut shown)?;
            match io::stdout().write_all(&shown) {
                // Whoever closed standard output, as `head` does, has seen enough.
                Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
        }
        Command::Push {
            directory,
            bucket,
            key,
            bundles,
            region,
        } => {
            let size = push(&directory, &bundles, &region, &bucket, &key).await?;
            println!("pushed {size} bytes");
            println!(r#"source: {{"s3": {{"bucket": "{bucket}", "key": "{key}"}}}}"#);
        }
    }
    Ok(())
}

/// Reads and checks a bundle's directory.
fn read(path: &Path) -> Result<(Files, Bundle)> {
    let limits = Limits::default();
    let files = directory::read(path, &limits)?;
    let bundle = check_files(kind(&files), &files, &limits)?;
    Ok((files, bundle))
}

/// The kind of template that the bundle's folders are for.
fn kind(files: &Files) -> TemplateKind {
    let has = |folder: &str| {
        files
            .paths()
            .any(|path| path.split('/').any(|part| part == folder))
    };
    match has("instance_infrastructure") || has("pipeline_infrastructure") {
        true => TemplateKind::Service {
            customer_managed_pipeline: !has("pipeline_infrastructure"),
        },
        false => TemplateKind::Environment {
            customer_managed: !has("infrastructure"),
        },
    }
}

/// Packs a bundle that would register and puts it into the bucket. Answers the archive's size.
pub(super) async fn push(
    directory: &Path,
    to: &Bundles,
    region: &str,
    bucket: &str,
    key: &str,
) -> Result<usize> {
    let packed = archive::pack(&read(directory)?.0);
    let size = packed.len();
    match to {
        Bundles::Directory(root) => write(root, bucket, key, &packed)?,
        Bundles::S3 => {
            let put = serve::s3(region)
                .await
                .put_object()
                .bucket(bucket)
                .key(key)
                .body(packed.into());
            put.send()
                .await
                .with_context(|| format!("cannot put s3://{bucket}/{key}"))?;
        }
    }
    Ok(size)
}

/// Writes a file that is there whole or not at all, whoever reads meanwhile.
fn write(root: &Path, bucket: &str, key: &str, packed: &Bytes) -> Result<()> {
    let inside = |part: &str| !matches!(part, "" | "." | "..");
    if bucket.contains('/') || !inside(bucket) || !key.split('/').all(inside) {
        bail!("{bucket}/{key} is not a path below the bundle directory");
    }
    let path = root.join(bucket).join(key);
    let folder = path.parent().context("a key is below its bucket")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut temporary = path.clone().into_os_string();
    temporary.push(".part");
    fs::write(&temporary, packed)
        .and_then(|()| fs::rename(&temporary, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn print(directory: &Path, bundle: &Bundle) {
    println!("{} would register", directory.display());
    for part in &bundle.parts {
        println!("  {}: {}", title(part.kind), engine(&part.manifest));
        for path in part.files.paths() {
            println!("    {path}");
        }
    }
    for (part, name, required) in inputs(bundle) {
        let must = if required { ", required" } else { "" };
        println!("  input of the {part}: {name}{must}");
    }
}

fn describe(bundle: &Bundle) -> Value {
    let parts: Vec<_> = (bundle.parts.iter())
        .map(|part| {
            let files: Vec<_> = part.files.paths().collect();
            json!({"part": title(part.kind), "engine": engine(&part.manifest), "files": files})
        })
        .collect();
    let inputs: Vec<_> = inputs(bundle)
        .map(|(part, name, required)| json!({"part": part, "name": name, "required": required}))
        .collect();
    json!({"parts": parts, "inputs": inputs})
}

/// Each input: whose it is, its name, and whether a spec must give it.
fn inputs(bundle: &Bundle) -> impl Iterator<Item = (&'static str, &str, bool)> {
    let kinds = [
        PartKind::Environment,
        PartKind::ServiceInstance,
        PartKind::Pipeline,
    ];
    kinds.into_iter().flat_map(|kind| {
        let input = bundle.schema.input(kind);
        let properties = input
            .map(|input| input.properties.as_slice())
            .unwrap_or_default();
        properties.iter().map(move |(name, of)| {
            let required =
                input.is_some_and(|input| input.required.contains(name)) && of.default.is_none();
            (title(kind), name.as_str(), required)
        })
    })
}

fn title(part: PartKind) -> &'static str {
    match part {
        PartKind::Environment => "environment",
        PartKind::ServiceInstance => "service instance",
        PartKind::Pipeline => "pipeline",
    }
}

fn engine(manifest: &Manifest) -> &'static str {
    match manifest {
        Manifest::CloudFormation { .. } => "CloudFormation",
        Manifest::Terraform { .. } => "Terraform",
        Manifest::CodeBuild(_) => "CodeBuild",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_bucket() {
        let root = tempfile::tempdir().unwrap();
        for (bucket, key) in [
            ("..", "k"),
            ("b", "../k"),
            ("b", "a/../../k"),
            ("b/c", "k"),
            ("b", "/k"),
        ] {
            assert!(
                write(root.path(), bucket, key, &Bytes::new()).is_err(),
                "{bucket}/{key}"
            );
        }
    }
}
