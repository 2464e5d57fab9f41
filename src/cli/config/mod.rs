//! Every setting, once: its flag, its default and what it means.
//!
//! The same name works as a flag (`--data-dir`), as a variable (`PROTON_GRPC_DATA_DIR`) and in the
//! file that `--config` names (`data-dir = "…"`). A flag beats the variable, the variable beats the
//! file: the three are read as one command line on which the last one wins.
//!
//! A setting with many entries is given once an entry as a flag (`--account A=1 --account B=2`), and
//! in the plural elsewhere: the variable has all of them (`PROTON_GRPC_ACCOUNTS=A=1,B=2`), the file
//! a table (`[accounts]`). There the last one wins entry by entry.

mod sources;
mod telemetry;
#[cfg(test)]
mod tests;
mod values;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Command, FromArgMatches, error::ErrorKind};
use http::HeaderName;

pub use self::telemetry::Telemetry;
pub use self::values::{
    AwsJson, Bundles, CloudFormation, Events, HandOver, RetryOwner, StoreUrl, Switch, Upstream,
};

use self::{
    sources::{Setting, from_file},
    values::{account, account_of_key, mode, quota, quota_help, seconds},
};
use crate::{
    control_plane::Limits,
    identity::{self, Place, Proxied, Sources, Tokens, TrustDomain, TrustedProxy},
    server::{Listen, tls},
    telemetry::logs,
};

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
    pub log_format: logs::Format,

    #[command(flatten)]
    pub telemetry: Telemetry,

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

fn invalid(why: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, why)
}
