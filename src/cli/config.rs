//! Every setting, once: its flag, its default and what it means.
//!
//! The same name works as a flag (`--data-dir`), as a variable (`PROTON_GRPC_DATA_DIR`) and in the
//! file that `--config` names (`data-dir = "…"`). A flag beats the variable, the variable beats the
//! file: the three are read as one command line on which the last one wins.
//!
//! A setting with many entries is given once an entry as a flag (`--account A=1 --account B=2`), and
//! in the plural elsewhere: the variable has all of them (`PROTON_GRPC_ACCOUNTS=A=1,B=2`), the file
//! a table (`[accounts]`). There the last one wins entry by entry.

use std::{
    convert::Infallible,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Arg, ArgAction, Args, Command, FromArgMatches, error::ErrorKind};
use http::HeaderName;

use crate::{
    control_plane::{Limits, store::Database},
    identity::{self, Place, Proxied, Sources, Tokens, TrustDomain, TrustedProxy},
    server::{Listen, tls},
};

const PREFIX: &str = "PROTON_GRPC_";

/// What `serve` and `quickstart` can be told.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Each setting is also read from the variable PROTON_GRPC_<NAME> and from the --config file. \
                  What may be given more than once is in the plural there: PROTON_GRPC_ACCOUNTS=A=1,B=2, [accounts]."
)]
pub struct Settings {
    /// A TOML file with any of these settings, named as here without the dashes in front
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where gRPC clients connect
    #[arg(long, value_name = "ADDR|unix:PATH", default_value = "127.0.0.1:50051")]
    pub listen: Listen,

    /// Who answers: the built-in control plane, AWS, or any endpoint that speaks Proton's AWS-JSON
    #[arg(long, value_name = "embedded|aws|URL", default_value = "embedded")]
    pub upstream: Upstream,

    /// The AWS region, and the one in the ARNs of the built-in control plane
    #[arg(long, default_value = "us-east-1")]
    pub region: String,

    /// The account of the built-in control plane
    #[arg(long, value_name = "DIGITS", default_value = "000000000000", value_parser = account)]
    pub account_id: String,

    /// Whose account calls are made for that are signed with this access key, instead of --account-id; may be
    /// given more than once
    #[arg(long = "account", value_name = "KEY_ID=DIGITS", value_parser = account_of_key, value_delimiter = ',')]
    pub accounts: Vec<(String, String)>,

    #[arg(long = "quota", value_name = "NAME=MOST", value_parser = quota, value_delimiter = ',')]
    #[arg(help = quota_help())]
    pub quotas: Vec<(&'static str, i64)>,

    /// Where AWS CLIs and SDKs reach the built-in control plane
    #[arg(
        long,
        value_name = "ADDR|unix:PATH|off",
        default_value = "127.0.0.1:8787"
    )]
    pub aws_json: AwsJson,

    /// Who may connect to the files of unix:PATH, as chmod has it
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = mode)]
    pub socket_mode: u32,

    /// Speak TLS on addresses, with this certificate (PEM, with its chain); a new one is taken up as it comes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of --tls-cert
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Who vouches for clients, which then need a certificate
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// What the built-in control plane keeps
    #[arg(long, value_name = "DIR", default_value = "proton-data")]
    pub data_dir: PathBuf,

    /// A PostgreSQL database for what the built-in control plane keeps, shared by many of these processes
    #[arg(long, value_name = "postgres://URL")]
    pub store: Option<StoreUrl>,

    /// Where template bundles come from: a directory of buckets, or S3 [default: bundles in the data dir]
    #[arg(long, value_name = "dir:PATH|s3")]
    pub bundles: Option<Bundles>,

    /// Who provisions CloudFormation templates: the engine that is built in and touches nothing outside, or AWS
    #[arg(long, value_enum, value_name = "WHO", default_value = "local")]
    pub cloudformation: CloudFormation,

    /// A bucket for templates that are too large to be sent to CloudFormation by themselves
    #[arg(long, value_name = "NAME")]
    pub template_bucket: Option<String>,

    /// What ends deployments of Terraform and CodeBuild, which somebody else carries out: a notification
    /// (NotifyResourceDeploymentStatusChange), or nobody, then they succeed by themselves
    #[arg(long, value_enum, value_name = "WHAT", default_value = "notify")]
    pub handover: HandOver,

    /// Seconds that a deployment takes that the built-in control plane carries out by itself
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub pace: Duration,

    /// Where the built-in control plane tells of every status that changes: a file, a line of JSON an event, or a URL
    /// that takes each as a POST. Processes that share a --store should all have it
    #[arg(long, value_name = "FILE|URL")]
    pub events: Option<Events>,

    /// Which one layer repeats failed calls
    #[arg(long, value_enum, value_name = "WHO", default_value = "facade")]
    pub retry_owner: RetryOwner,

    /// Take x-request-id for the name of a logical call, which a proxy gives: it then stands for a
    /// missing idempotency token
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub trust_request_id: bool,

    /// What to log: a level, or tracing directives such as `info,proton_grpc=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,

    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        help = "How to log it"
    )]
    pub log_format: LogFormat,

    /// Seconds between saying "not serving" and closing the listeners, for balancers to notice [default: 5, or 0 if
    /// nobody else's machine can connect]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub drain_wait: Option<Duration>,

    /// Whether gRPC clients may ask for the contract [default: on, unless --listen is public and callers are not
    /// authenticated]
    #[arg(long, value_enum, value_name = "WHETHER")]
    pub reflection: Option<Switch>,

    /// Threads that serve gRPC [default: one a CPU]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// A TOML file that says which caller acts in which account. With it every call needs an identity: an access key
    /// of the file (AWS-JSON), or one of the sources below
    #[arg(long, value_name = "FILE")]
    pub callers: Option<PathBuf>,

    /// Take a client certificate's SPIFFE id for its caller, if it is of this trust domain
    #[arg(long, value_name = "NAME")]
    pub trust_domain: Option<TrustDomain>,

    /// Take bearer tokens (JWT) of this issuer, whose keys are discovered (OpenID Connect)
    #[arg(long, value_name = "URL")]
    pub jwt_issuer: Option<String>,

    /// The audience that bearer tokens must be for
    #[arg(long, value_name = "NAME")]
    pub jwt_audience: Option<String>,

    /// The issuer's keys (JWKS), instead of discovering them
    #[arg(long, value_name = "FILE")]
    pub jwt_keys: Option<PathBuf>,

    /// Believe this proxy whom it calls for: a SPIFFE id, or whoever connects over the Unix socket or from this machine
    #[arg(long, value_name = "spiffe://…|unix|loopback")]
    pub trusted_proxy: Option<TrustedProxy>,

    /// Where the trusted proxy says it: Envoy's header with a SPIFFE id, or any other with a name
    /// [default: x-forwarded-client-cert]
    #[arg(long, value_name = "HEADER")]
    pub identity_header: Option<HeaderName>,

    /// Listen beyond this machine although callers are not authenticated
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_unauthenticated_public: bool,
}

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
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Settings {
    /// Reads the command line `given` to the subcommand, the variables, and the file if one is named.
    pub fn read(
        given: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, clap::Error> {
        let command = Self::augment_args(
            Command::new("proton-grpc serve")
                .about("Serve gRPC and AWS-JSON until told to stop")
                .args_override_self(true),
        );
        let known: Vec<Setting> = command.get_arguments().filter_map(Setting::of).collect();

        let mut line = vec![OsString::from(command.get_name())];
        for setting in &known {
            if let Some(value) = variable(&setting.variable()) {
                line.push(setting.given(value));
            }
        }
        line.extend(given);
        if let Some(file) = Self::parse(&command, &line)?.config {
            let settings = from_file(&file, &known)
                .map_err(|why| invalid(format!("{}: {why}", file.display())))?;
            line.splice(1..1, settings);
        }
        let settings = Self::parse(&command, &line)?;
        settings.check().map_err(invalid)?;
        Ok(settings)
    }

    fn parse(command: &Command, line: &[OsString]) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&command.clone().try_get_matches_from(line)?)
    }

    /// What no single setting can tell.
    fn check(&self) -> Result<(), String> {
        if let Some(store) = &self.store {
            store.database()?;
        }
        self.identities()?;
        for (name, listen) in self.listeners() {
            if !listen.is_local() && !self.authenticates() && !self.allow_unauthenticated_public {
                return Err(format!(
                    "--{name} {listen} is reachable from other machines and callers are not authenticated: \
                     name --callers, give --tls-client-ca, use a loopback address or unix:PATH, \
                     or say --allow-unauthenticated-public"
                ));
            }
        }
        let tls = [
            ("tls-cert", &self.tls_cert, "tls-key", &self.tls_key),
            ("tls-key", &self.tls_key, "tls-cert", &self.tls_cert),
            (
                "tls-client-ca",
                &self.tls_client_ca,
                "tls-cert",
                &self.tls_cert,
            ),
        ];
        for (name, given, other, needed) in tls {
            if given.is_some() && needed.is_none() {
                return Err(format!("--{name} needs --{other}"));
            }
        }
        let on_files = |(_, listen): (_, &Listen)| matches!(listen, Listen::Unix(_));
        if self.tls_cert.is_some() && self.listeners().all(on_files) {
            return Err("--tls-cert: TLS is spoken on addresses, and there is none".into());
        }
        Ok(())
    }

    /// Whether callers from other machines have to show who they are: with each call, or to connect.
    fn authenticates(&self) -> bool {
        self.callers.is_some() || self.tls_client_ca.is_some()
    }

    /// Where identities come from. Settings that miss their other half are told.
    pub fn identities(&self) -> Result<identity::Settings, String> {
        let tokens = self.tokens()?;
        let proxied = self.proxied()?;
        let source = [
            ("trust-domain", self.trust_domain.is_some()),
            ("jwt-issuer", tokens.is_some()),
            ("trusted-proxy", proxied.is_some()),
        ];
        let named = source.iter().find(|(_, given)| *given);
        let sources = match (&self.callers, named) {
            (Some(callers), _) => Some(Sources {
                callers: callers.clone(),
                trust_domain: self.trust_domain.clone(),
                tokens,
                proxied,
            }),
            (None, Some((name, _))) => {
                return Err(format!(
                    "--{name} needs --callers, which says whose account callers act in"
                ));
            }
            (None, None) => None,
        };
        let nobody_vouches = self.tls_client_ca.is_none() && self.trusted_proxy.is_none();
        if self.trust_domain.is_some() && nobody_vouches {
            return Err(
                "--trust-domain needs --tls-client-ca or --trusted-proxy, which vouch for clients"
                    .to_owned(),
            );
        }
        if sources.is_some() && !self.accounts.is_empty() {
            return Err(
                "--account believes any access key and does not go with --callers".to_owned(),
            );
        }
        Ok(identity::Settings {
            local: Place {
                account: self.account_id.clone(),
                region: self.region.clone(),
            },
            sources,
        })
    }

    fn tokens(&self) -> Result<Option<Tokens>, String> {
        match (&self.jwt_issuer, &self.jwt_audience) {
            (Some(issuer), Some(audience)) => Ok(Some(Tokens {
                issuer: issuer.clone(),
                audience: audience.clone(),
                keys: self.jwt_keys.clone(),
            })),
            (Some(_), None) => Err("--jwt-issuer needs --jwt-audience".to_owned()),
            (None, None) if self.jwt_keys.is_none() => Ok(None),
            (None, _) => Err("--jwt-audience and --jwt-keys need --jwt-issuer".to_owned()),
        }
    }

    fn proxied(&self) -> Result<Option<Proxied>, String> {
        let header = self.identity_header.clone();
        match (&self.trusted_proxy, header) {
            (Some(TrustedProxy::Spiffe(_)), _) if self.trust_domain.is_none() => {
                Err("--trusted-proxy with a SPIFFE id needs --trust-domain".to_owned())
            }
            (Some(proxy), header) => Ok(Some(Proxied {
                proxy: proxy.clone(),
                header: header.unwrap_or(identity::FORWARDED_CERTIFICATE),
            })),
            (None, Some(_)) => Err("--identity-header needs --trusted-proxy".to_owned()),
            (None, None) => Ok(None),
        }
    }

    /// Where clients connect, by the names of the settings.
    fn listeners(&self) -> impl Iterator<Item = (&'static str, &Listen)> {
        let aws_json = match &self.aws_json {
            AwsJson::At(listen) => Some(("aws-json", listen)),
            AwsJson::Off => None,
        };
        std::iter::once(("listen", &self.listen)).chain(aws_json)
    }

    /// What to speak TLS with, if it is spoken.
    pub fn tls(&self) -> Option<tls::Files> {
        Some(tls::Files {
            certificate: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    pub fn drain_wait(&self) -> Duration {
        self.drain_wait.unwrap_or_else(|| {
            match self.listeners().all(|(_, listen)| listen.is_local()) {
                true => Duration::ZERO,
                false => Duration::from_secs(5),
            }
        })
    }

    pub fn workers(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or_else(cpus, usize::from)
    }

    pub fn bundles(&self) -> Bundles {
        self.bundles
            .clone()
            .unwrap_or_else(|| Bundles::Directory(self.data_dir.join("bundles")))
    }

    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, most) in &self.quotas {
            *limits.quota_mut(name).expect("quotas are read by name") = *most;
        }
        limits
    }

    pub fn reflection(&self) -> bool {
        match self.reflection {
            Some(switch) => switch == Switch::On,
            None => self.listen.is_local() || self.authenticates(),
        }
    }
}

/// A setting by its names.
struct Setting {
    flag: String,
    /// In variables and the file.
    name: String,
    many: bool,
}

impl Setting {
    fn of(arg: &Arg) -> Option<Self> {
        let flag = arg.get_long()?.to_owned();
        let many = matches!(arg.get_action(), ArgAction::Append);
        let name = if many {
            format!("{flag}s")
        } else {
            flag.clone()
        };
        Some(Self { flag, name, many })
    }

    fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase().replace('-', "_"))
    }

    fn given(&self, value: OsString) -> OsString {
        let mut flag = OsString::from(format!("--{}=", self.flag));
        flag.push(value);
        flag
    }
}

/// The file's settings as flags.
fn from_file(file: &Path, known: &[Setting]) -> Result<Vec<OsString>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut flags = Vec::new();
    for (name, value) in table {
        let setting = known.iter().find(|setting| setting.name == name);
        let setting = setting
            .filter(|_| name != "config")
            .ok_or_else(|| format!("{name} is not a setting"))?;
        match value {
            toml::Value::Table(entries) if setting.many => {
                for (key, value) in entries {
                    let value = scalar(&format!("{name}.{key}"), value)?;
                    flags.push(setting.given(format!("{key}={value}").into()));
                }
            }
            _ if setting.many => return Err(format!("{name} must be a table")),
            value => flags.push(setting.given(scalar(&name, value)?.into())),
        }
    }
    Ok(flags)
}

fn scalar(name: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(value) => Ok(value),
        toml::Value::Integer(value) => Ok(value.to_string()),
        toml::Value::Boolean(value) => Ok(value.to_string()),
        other => Err(format!(
            "{name} must be a string, a number or a boolean, not {}",
            other.type_str()
        )),
    }
}

fn invalid(why: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, why)
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

fn account(text: &str) -> Result<String, String> {
    let twelve_digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if twelve_digits {
        Ok(text.to_owned())
    } else {
        Err("an account has twelve digits".into())
    }
}

fn account_of_key(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, digits)) if !id.is_empty() => Ok((id.to_owned(), account(digits)?)),
        _ => Err("not the id of an access key, = and an account".into()),
    }
}

fn quota(text: &str) -> Result<(&'static str, i64), String> {
    let (name, most) = text
        .split_once('=')
        .ok_or("not the name of a quota, = and a number")?;
    let known = Limits::QUOTAS.iter().find(|(known, _)| *known == name);
    let (name, _) = known.ok_or_else(|| format!("{name} is not a quota"))?;
    let most = most.parse::<u32>().map_err(|error| error.to_string())?;
    Ok((name, most.into()))
}

fn quota_help() -> String {
    let defaults = Limits::QUOTAS
        .iter()
        .map(|(name, most)| format!("{name}={most}"));
    format!(
        "How much the built-in control plane lets an account have; may be given more than once [defaults: {}]",
        defaults.collect::<Vec<_>>().join(", ")
    )
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse::<u16>()
        .map(|seconds| Duration::from_secs(seconds.into()))
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not three octal digits".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write};

    use super::*;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        };
        Settings::read(flags.iter().map(OsString::from), variable)
            .map_err(|error| error.to_string())
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, String) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let flag = format!("--config={}", file.path().display());
        (file, flag)
    }

    #[test]
    fn nothing_given_is_the_safe_default() {
        let settings = read(&[], &[]).unwrap();
        assert!(settings.listen.is_local());
        assert_eq!(settings.drain_wait(), Duration::ZERO);
        assert_eq!(settings.socket_mode, 0o600);
        assert_eq!(settings.upstream, Upstream::Embedded);
        assert_eq!(
            settings.bundles(),
            Bundles::Directory("proton-data/bundles".into())
        );
        assert!(settings.reflection());
        assert!(settings.workers() >= 1);
    }

    #[test]
    fn a_flag_beats_the_variable_and_the_variable_beats_the_file() {
        let (_file, config) = file("region = 'file'\naccount-id = '111111111111'\nworkers = 7\n");
        let variables = [
            ("PROTON_GRPC_REGION", "variable"),
            ("PROTON_GRPC_ACCOUNT_ID", "222222222222"),
        ];
        let settings = read(&[&config, "--region", "flag"], &variables).unwrap();
        assert_eq!(settings.region, "flag");
        assert_eq!(settings.account_id, "222222222222");
        assert_eq!(settings.workers(), 7);
    }

    #[test]
    fn entries_of_all_sources_add_up_and_the_last_of_each_wins() {
        let (_file, config) = file("[accounts]\nA = '111111111111'\nB = '111111111111'\n");
        let variables = [(
            "PROTON_GRPC_ACCOUNTS",
            "B=222222222222,C=222222222222,D=222222222222",
        )];
        let flags = [
            config.as_str(),
            "--account=C=333333333333",
            "--account",
            "D=444444444444",
        ];
        let accounts = read(&flags, &variables).unwrap().accounts;
        let accounts: BTreeMap<_, _> = accounts.into_iter().collect();
        let entry = |key: &str, digit: &str| (key.to_owned(), digit.repeat(12));
        let expected = [
            entry("A", "1"),
            entry("B", "2"),
            entry("C", "3"),
            entry("D", "4"),
        ];
        assert_eq!(accounts, BTreeMap::from(expected));
    }

    #[test]
    fn a_quota_that_is_not_given_is_protons_own() {
        let (_file, config) = file("[quotas]\nenvironments = 7\nservices = 7\n");
        let settings = read(&[&config, "--quota=services=8"], &[]).unwrap();
        let expected = Limits {
            environments: 7,
            services: 8,
            ..Limits::default()
        };
        assert_eq!(settings.limits(), expected);
    }

    #[test]
    fn the_file_may_be_named_by_a_variable() {
        let (file, _) = file("upstream = 'aws'");
        let settings = read(
            &[],
            &[("PROTON_GRPC_CONFIG", file.path().to_str().unwrap())],
        )
        .unwrap();
        assert_eq!(settings.upstream, Upstream::Aws);
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_the_setting() {
        for (flag, name) in [
            ("--listen=nowhere", "--listen"),
            ("--upstream=ftp://x", "--upstream"),
            ("--aws-json=8787", "--aws-json"),
            ("--listen=unix:", "--listen"),
            ("--socket-mode=888", "--socket-mode"),
            ("--tls-cert=file", "--tls-key"),
            ("--tls-key=file", "--tls-cert"),
            ("--tls-client-ca=file", "--tls-cert"),
            ("--account-id=1234", "--account-id"),
            ("--account=111111111111", "--account"),
            ("--account=A=1", "--account"),
            ("--quota=environments", "--quota"),
            ("--quota=environments=-1", "--quota"),
            ("--quota=households=1", "--quota"),
            ("--bundles=dir:", "--bundles"),
            ("--store=mysql://db/proton", "--store"),
            ("--drain-wait=-1", "--drain-wait"),
            ("--workers=0", "--workers"),
            ("--retry-owner=nobody", "--retry-owner"),
            ("--events=", "--events"),
            ("--events=http://", "--events"),
        ] {
            let error = read(&[flag], &[]).unwrap_err();
            assert!(error.contains(name), "{flag}: {error}");
        }
        let error = read(&[], &[("PROTON_GRPC_LISTEN", "nowhere")]).unwrap_err();
        assert!(error.contains("--listen"), "{error}");
    }

    #[test]
    fn the_password_of_the_store_is_never_shown() {
        let url = "postgres://proton:secret@db.example/proton";
        let settings = read(&["--store", url], &[]).unwrap();
        assert!(settings.store.is_some());
        assert!(!format!("{settings:?}").contains("secret"));
        let error = read(
            &[],
            &[("PROTON_GRPC_STORE", &format!("{url}?sslmode=allow"))],
        );
        let error = error.unwrap_err();
        assert!(error.contains("--store: sslmode"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn events_go_to_a_file_or_to_a_url_that_is_never_shown() {
        let settings = read(&["--events", "told/events.jsonl"], &[]).unwrap();
        let file = Events::File("told/events.jsonl".into());
        assert_eq!(settings.events, Some(file));
        let url = "https://hooks.example/secret";
        let settings = read(&["--events", url], &[]).unwrap();
        let webhook = Events::Webhook(url.parse().unwrap());
        assert_eq!(settings.events, Some(webhook));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn a_file_may_hold_settings_only() {
        for (text, said) in [
            ("lsiten = ''", "lsiten is not a setting"),
            ("config = ''", "config is not a setting"),
            ("listen = []", "listen must be"),
            ("account = 'A=111111111111'", "account is not a setting"),
            ("accounts = 'A=111111111111'", "accounts must be a table"),
            ("[quotas]\nservices = []", "quotas.services must be"),
            ("listen =", ""),
        ] {
            let (_file, config) = file(text);
            let error = read(&[&config], &[]).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(
            read(&["--config=/nowhere"], &[])
                .unwrap_err()
                .contains("/nowhere")
        );
    }

    #[test]
    fn a_public_listener_is_fine_where_callers_are_authenticated() {
        let settings = read(&["--listen=0.0.0.0:1", "--callers=callers.toml"], &[]).unwrap();
        assert!(settings.reflection());
    }

    #[test]
    fn settings_that_belong_together_may_be_given_in_different_places() {
        let (_file, config) = file("tls-key = 'key'");
        let settings = read(&[&config, "--tls-cert=cert"], &[]).unwrap();
        assert!(settings.tls().is_some());
    }

    #[test]
    fn settings_that_belong_together_come_together() {
        let proxy = "--trusted-proxy=spiffe://td/edge";
        for (flags, said) in [
            (&["--trust-domain=td"][..], "--trust-domain needs --callers"),
            (
                &["--jwt-issuer=https://i"],
                "--jwt-issuer needs --jwt-audience",
            ),
            (&["--jwt-audience=a"], "need --jwt-issuer"),
            (&["--jwt-keys=a"], "need --jwt-issuer"),
            (
                &["--jwt-issuer=https://i", "--jwt-audience=a"],
                "--jwt-issuer needs --callers",
            ),
            (&["--trusted-proxy=unix"], "--trusted-proxy needs --callers"),
            (&[proxy, "--callers=a"], "needs --trust-domain"),
            (
                &["--trust-domain=td", "--callers=a"],
                "--trust-domain needs --tls-client-ca",
            ),
            (
                &["--identity-header=x-user", "--callers=a"],
                "--identity-header needs",
            ),
            (
                &["--callers=a", "--account=A=111111111111"],
                "--account believes",
            ),
            (&["--trust-domain=TD"], "--trust-domain"),
            (&["--tls-cert=a"], "--tls-cert needs --tls-key"),
            (&["--tls-key=a"], "--tls-key needs --tls-cert"),
            (&["--tls-client-ca=a"], "--tls-client-ca needs --tls-cert"),
            (&["--trusted-proxy=anybody"], "--trusted-proxy"),
            (&["--identity-header=x user"], "--identity-header"),
        ] {
            let error = read(flags, &[]).unwrap_err();
            assert!(error.contains(said), "{flags:?}: {error}");
        }
        let all = [
            proxy,
            "--trust-domain=td",
            "--tls-cert=cert",
            "--tls-key=key",
            "--tls-client-ca=ca",
            "--callers=a",
            "--jwt-issuer=https://i",
            "--jwt-audience=a",
        ];
        let sources = read(&all, &[])
            .unwrap()
            .identities()
            .unwrap()
            .sources
            .unwrap();
        assert_eq!(sources.proxied.unwrap().header, "x-forwarded-client-cert");
        assert_eq!(sources.tokens.unwrap().audience, "a");
    }

    #[test]
    fn a_public_listener_needs_to_be_asked_for() {
        for flag in ["--listen=0.0.0.0:1", "--aws-json=[::]:1"] {
            let error = read(&[flag], &[]).unwrap_err();
            assert!(error.contains("allow-unauthenticated-public"), "{error}");
            let settings = read(&[flag, "--allow-unauthenticated-public"], &[]).unwrap();
            assert_eq!(settings.reflection(), flag.starts_with("--aws-json"));
            assert_eq!(settings.drain_wait().as_secs(), 5);
            assert!(
                read(
                    &[flag],
                    &[("PROTON_GRPC_ALLOW_UNAUTHENTICATED_PUBLIC", "true")]
                )
                .is_ok()
            );
        }
    }

    #[test]
    fn a_public_listener_may_be_there_for_clients_with_certificates() {
        let tls = ["--tls-cert=cert", "--tls-key=key"];
        let public = "--listen=0.0.0.0:1";
        assert!(read(&[public, tls[0], tls[1]], &[]).is_err());
        let settings = read(&[public, tls[0], tls[1], "--tls-client-ca=ca"], &[]).unwrap();
        assert!(settings.reflection());
        assert!(settings.tls().unwrap().client_ca.is_some());
    }

    #[test]
    fn files_are_local_and_do_without_tls() {
        let files = ["--listen=unix:/run/a", "--aws-json=unix:/run/b"];
        assert!(read(&files, &[]).unwrap().reflection());
        let tls = ["--tls-cert=cert", "--tls-key=key"];
        let error = read(&[&files[..], &tls[..]].concat(), &[]).unwrap_err();
        assert!(error.contains("--tls-cert"), "{error}");
        assert!(read(&[files[0], tls[0], tls[1]], &[]).is_ok());
    }
}
