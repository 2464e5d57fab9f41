//! Makes the calls of the story and shows them.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::super::{bundle, call::Call, config::Settings, serve::say};

const BUCKET: &str = "quickstart";
/// Longer lines of answers are cut: a schema is one of them.
const WIDTH: usize = 120;

pub(super) struct Teller<'a> {
    pub(super) address: String,
    pub(super) settings: &'a Settings,
}

impl Teller<'_> {
    /// Registers a version, waits until it is, and publishes it. Answers the version.
    pub(super) async fn register(
        &self,
        template: &str,
        member: &str,
        request: Value,
    ) -> Result<Value> {
        let created = self
            .call(&format!("Create{template}Version"), &request)
            .await?;
        let created = &created[member];
        let mut version = json!({
            "templateName": created["templateName"],
            "majorVersion": created["majorVersion"],
            "minorVersion": created["minorVersion"],
        });
        self.wait(&format!("{template}VersionRegistered"), &version)
            .await?;
        version["status"] = "TEMPLATE_VERSION_STATUS_PUBLISHED".into();
        let published = self
            .call(&format!("Update{template}Version"), &version)
            .await?;
        Ok(published[member].clone())
    }

    /// Lays an example bundle out in the data directory and pushes it from there.
    pub(super) async fn push(&self, example: &[(&str, &[u8])], name: &str) -> Result<Value> {
        let directory = self.settings.data_dir.join("quickstart").join(name);
        for (path, contents) in example {
            let path = directory.join(path);
            let folder = path.parent().context("a bundle's files lie in folders")?;
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, contents))?;
        }
        let key = format!("{name}.tar.gz");
        let bundles = self.settings.bundles();
        say(&format!(
            "\n$ proton-grpc bundle push {} {BUCKET} {key} --bundles {bundles}",
            directory.display()
        ));
        let size = bundle::push(&directory, &bundles, &self.settings.region, BUCKET, &key).await?;
        say(&format!("pushed {size} bytes"));
        Ok(json!({"s3": {"bucket": BUCKET, "key": key}}))
    }

    /// Waits as a stream of states does, and shows each.
    pub(super) async fn wait(&self, until: &str, request: &Value) -> Result<Value> {
        self.call(&format!("ProtonStreamingService/WaitUntil{until}"), request)
            .await
    }

    /// The ARN of a role. Nobody assumes it: the built-in engine touches nothing outside.
    pub(super) fn role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.settings.account_id)
    }

    /// Makes a call that must succeed. Answers its last response.
    pub(super) async fn call(&self, method: &str, request: &Value) -> Result<Value> {
        let mut last = Value::Null;
        let call = self.show(method, request);
        let answered = call
            .make(|response| {
                show(response);
                last = serde_json::from_str(response).unwrap_or_default();
            })
            .await?;
        match answered {
            Ok(()) => Ok(last),
            Err(status) => bail!("{method} failed: {}", call.describe(&status)),
        }
    }

    /// Makes a call that must fail.
    pub(super) async fn fail(&self, method: &str, request: &Value) -> Result<()> {
        let call = self.show(method, request);
        let status = call
            .make(show)
            .await?
            .err()
            .with_context(|| format!("{method} did not fail"))?;
        show(&call.describe(&status));
        Ok(())
    }

    fn show(&self, method: &str, request: &Value) -> Call {
        let text = request.to_string();
        let shown = match text.char_indices().nth(4 * WIDTH) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.clone(),
        };
        say(&format!("\n$ proton-grpc call {method} '{shown}'"));
        Call::new(&self.address, method, &text)
    }
}

fn show(answer: &str) {
    for line in answer.lines() {
        match line.char_indices().nth(WIDTH) {
            Some((cut, _)) => say(&format!("{}…", &line[..cut])),
            None => say(line),
        }
    }
}
