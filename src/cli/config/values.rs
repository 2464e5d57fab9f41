//! What settings can be, and how it is read.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::{
    control_plane::{Limits, store::Database},
    server::Listen,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    Embedded,
    Aws,
    Url(http::Uri),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsJson {
    Off,
    At(Listen),
}

/// The database that a URL names, or what is wrong with the URL. That is told later, lest an error show the URL and its password.
#[derive(Clone, Debug)]
pub struct StoreUrl(Result<Database, String>);

impl StoreUrl {
    pub fn database(&self) -> Result<&Database, String> {
        let StoreUrl(read) = self;
        read.as_ref().map_err(|why| format!("--store: {why}"))
    }
}

impl FromStr for StoreUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.parse()))
    }
}

#[derive(Clone, PartialEq, Eq)]
pub enum Events {
    File(PathBuf),
    Webhook(http::Uri),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundles {
    Directory(PathBuf),
    S3,
}

impl fmt::Display for Bundles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::S3 => f.write_str("s3"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CloudFormation {
    Local,
    Aws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HandOver {
    Notify,
    Succeed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RetryOwner {
    Facade,
    Mesh,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "aws" => Ok(Self::Aws),
            url => match url.parse::<http::Uri>() {
                Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => Ok(Self::Url(uri)),
                _ => Err("neither embedded nor aws nor an http URL".into()),
            },
        }
    }
}

impl FromStr for AwsJson {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            listen => listen
                .parse()
                .map(Self::At)
                .map_err(|error| format!("not off, and {error}")),
        }
    }
}

impl FromStr for Events {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        match text.parse() {
            _ if text.is_empty() => Err("no file and no URL".into()),
            _ if !is_url => Ok(Self::File(text.into())),
            Ok(url) => Ok(Self::Webhook(url)),
            Err(_) => Err("not a URL".into()),
        }
    }
}

/// URLs of webhooks hold secrets.
impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Webhook(_) => f.write_str("Webhook"),
        }
    }
}

impl FromStr for Bundles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("dir:") {
            _ if text == "s3" => Ok(Self::S3),
            Some(path) if !path.is_empty() => Ok(Self::Directory(path.into())),
            _ => Err("neither s3 nor dir: and a path".into()),
        }
    }
}

pub(super) fn account(text: &str) -> Result<String, String> {
    let twelve_digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if twelve_digits {
        Ok(text.to_owned())
    } else {
        Err("an account has twelve digits".into())
    }
}

pub(super) fn account_of_key(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, digits)) if !id.is_empty() => Ok((id.to_owned(), account(digits)?)),
        _ => Err("not the id of an access key, = and an account".into()),
    }
}

pub(super) fn quota(text: &str) -> Result<(&'static str, i64), String> {
    let (name, most) = text
        .split_once('=')
        .ok_or("not the name of a quota, = and a number")?;
    let known = Limits::QUOTAS.iter().find(|(known, _)| *known == name);
    let (name, _) = known.ok_or_else(|| format!("{name} is not a quota"))?;
    let most = most.parse::<u32>().map_err(|error| error.to_string())?;
    Ok((name, most.into()))
}

pub(super) fn quota_help() -> String {
    let defaults = Limits::QUOTAS
        .iter()
        .map(|(name, most)| format!("{name}={most}"));
    format!(
        "How much the built-in control plane lets an account have; may be given more than once [defaults: {}]",
        defaults.collect::<Vec<_>>().join(", ")
    )
}

pub(super) fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse::<u16>()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not three octal digits".into()),
    }
}
