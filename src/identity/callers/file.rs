//! The text of the file, read and checked.

use std::{
    collections::HashSet,
    fmt, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{Callers, Name, Seat};
use crate::identity::{Place, Role, SpiffeId, sigv4::AccessKey};

/// No file of callers is larger.
const LARGEST: u64 = 4 << 20;

/// What the settings say that the file goes by.
#[derive(Clone, Debug)]
pub(in crate::identity) struct Known {
    pub(in crate::identity) region: String,
    /// The sources that are configured; an entry for another would never match.
    pub(in crate::identity) ids: bool,
    pub(in crate::identity) issuers: Issuers,
    /// A header of bare names.
    pub(in crate::identity) names: bool,
    /// An upstream that callers can have roles for.
    pub(in crate::identity) roles: bool,
}

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub(in crate::identity) enum Issuers {
    None,
    Only(String),
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    caller: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    spiffe: Option<String>,
    subject: Option<String>,
    issuer: Option<String>,
    proxied: Option<String>,
    access_key: Option<KeyEntry>,
    account: String,
    region: Option<String>,
    role: Option<String>,
    external_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeyEntry {
    id: String,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
}

/// Cannot be shown by accident.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A file and those that it names, as they were read: to see whether anything changed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::identity) struct Snapshot {
    text: Secret,
    is_private: bool,
    /// In the order of the entries.
    secrets: Vec<Secret>,
}

impl Snapshot {
    pub(in crate::identity) fn take(path: &Path) -> Result<Self, String> {
        let (text, is_private) = read(path).map_err(|cause| cause.to_string())?;
        let mut secrets = Vec::new();
        for file in parse(&text)?.caller.iter().filter_map(Entry::secret_file) {
            let file = path.parent().unwrap_or(Path::new("")).join(file);
            let at = |problem: String| format!("{}: {problem}", file.display());
            let (secret, is_private) = read(&file).map_err(|cause| at(cause.to_string()))?;
            if !is_private {
                return Err(at(PUBLIC.to_owned()));
            }
            secrets.push(Secret(secret.trim_end_matches(['\n', '\r']).to_owned()));
        }
        Ok(Self {
            text: Secret(text),
            is_private,
            secrets,
        })
    }

    /// The callers, or the first thing that is wrong with them.
    pub(in crate::identity) fn read(&self, known: &Known) -> Result<Callers, String> {
        let mut callers = Callers::default();
        let mut secrets = self.secrets.iter();
        let entries = parse(&self.text.0)?.caller;
        check_roles(&entries)?;
        for (index, entry) in entries.into_iter().enumerate() {
            self.add(&mut callers, entry, &mut secrets, known)
                .map_err(|problem| format!("caller {}: {problem}", index + 1))?;
        }
        let mut seen = HashSet::new();
        if let Some((twice, _)) = (callers.patterns.iter()).find(|(name, _)| !seen.insert(name)) {
            return Err(format!("{}* is there twice", twice.text()));
        }
        callers
            .patterns
            .sort_by_key(|(name, _)| std::cmp::Reverse(name.text().len()));
        Ok(callers)
    }

    fn add<'a>(
        &self,
        callers: &mut Callers,
        entry: Entry,
        secrets: &mut impl Iterator<Item = &'a Secret>,
        known: &Known,
    ) -> Result<(), String> {
        let place = entry.place(known)?;
        if let Some(key) = &entry.access_key {
            if entry.name(known)?.is_some() {
                return Err(ONE_OF.to_owned());
            }
            if entry.role.is_some() || entry.external_id.is_some() {
                return Err(
                    "access keys are for the built-in control plane, which has no roles".to_owned(),
                );
            }
            let secret = match (&key.secret, &key.secret_file) {
                (Some(_), None) if !self.is_private => return Err(PUBLIC.to_owned()),
                (Some(secret), None) => secret,
                (None, Some(_)) => secrets.next().expect("each file was read"),
                _ => return Err("access-key has one of secret and secret-file".to_owned()),
            };
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if key.id.is_empty() || !key.id.bytes().all(fits) {
                return Err("access-key.id has letters, digits and '_'".to_owned());
            }
            if secret.0.is_empty() {
                return Err("access-key: the secret is empty".to_owned());
            }
            let made = (AccessKey::new(&secret.0), place);
            return match callers.keys.insert(key.id.clone(), made) {
                None => Ok(()),
                Some(_) => Err(format!("access key {} is there twice", key.id)),
            };
        }
        let (name, is_pattern) = entry.name(known)?.ok_or(ONE_OF)?;
        let role = entry.role(known)?.map(Arc::new);
        let seat = Seat { place, role };
        if is_pattern {
            callers.patterns.push((name, seat));
            return Ok(());
        }
        let text = name.text().to_owned();
        match callers.exact.insert(name, seat) {
            None => Ok(()),
            Some(_) => Err(format!("{text} is there twice")),
        }
    }
}

const PUBLIC: &str =
    "everybody on this machine can read or write it: chmod o= it, it holds a secret";
const ONE_OF: &str = "an entry has exactly one of spiffe, subject, proxied and access-key";
/// The role of callers for whom this process acts as itself.
const OWN: &str = "own";

/// Either all callers who can reach AWS have a role, or none.
fn check_roles(entries: &[Entry]) -> Result<(), String> {
    if entries.iter().all(|entry| entry.role.is_none()) {
        return Ok(());
    }
    let lacks = |entry: &Entry| entry.role.is_none() && entry.access_key.is_none();
    match entries.iter().position(lacks) {
        None => Ok(()),
        Some(index) => Err(format!(
            "caller {} has no role although others have: role = \"{OWN}\" makes calls with the credentials of this process",
            index + 1
        )),
    }
}

fn check_role(arn: &str, account: &str) -> Result<(), String> {
    let mut parts = arn.splitn(6, ':');
    let [scheme, _partition, service, region, owner, name] =
        std::array::from_fn(|_| parts.next().unwrap_or_default());
    let name = name.strip_prefix("role/").unwrap_or_default();
    if [scheme, service, region] != ["arn", "iam", ""] || name.is_empty() {
        return Err(format!("role is the ARN of one, or \"{OWN}\""));
    }
    // Where the caller is said to act is where it acts.
    match owner == account {
        true => Ok(()),
        false => Err("role is of another account than this entry".to_owned()),
    }
}

impl Entry {
    fn secret_file(&self) -> Option<&PathBuf> {
        self.access_key.as_ref()?.secret_file.as_ref()
    }

    fn place(&self, known: &Known) -> Result<Place, String> {
        let digits = self.account.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || self.account.len() != 12 {
            return Err("account has twelve digits".to_owned());
        }
        let region = self.region.as_ref().unwrap_or(&known.region);
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || !region.bytes().all(letter) {
            return Err("region has lower-case letters, digits and '-'".to_owned());
        }
        Ok(Place {
            account: self.account.clone(),
            region: region.clone(),
        })
    }

    /// The role in AWS; none to act as this process.
    fn role(&self, known: &Known) -> Result<Option<Role>, String> {
        match (&self.role, &self.external_id) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err("external-id belongs to a role".to_owned()),
            (Some(_), _) if !known.roles => Err("role needs --upstream aws or a URL".to_owned()),
            (Some(role), None) if role == OWN => Ok(None),
            (Some(role), Some(_)) if role == OWN => {
                Err(format!("external-id does not go with role = \"{OWN}\""))
            }
            (Some(arn), external_id) => {
                check_role(arn, &self.account)?;
                Ok(Some(Role {
                    arn: arn.clone(),
                    external_id: external_id.clone(),
                }))
            }
        }
    }

    /// What it matches besides access keys, and whether as a pattern.
    fn name(&self, known: &Known) -> Result<Option<(Name, bool)>, String> {
        if self.issuer.is_some() && self.subject.is_none() {
            return Err("issuer belongs to a subject".to_owned());
        }
        match (&self.spiffe, &self.subject, &self.proxied) {
            (Some(id), None, None) if known.ids => {
                let (id, is_pattern) = pattern(id);
                // What a pattern begins is checked as what it may become.
                let whole = if is_pattern {
                    format!("{id}x")
                } else {
                    id.clone()
                };
                whole.parse::<SpiffeId>()?;
                if is_pattern && !id.ends_with('/') {
                    return Err("the * of a spiffe pattern follows a /".to_owned());
                }
                Ok(Some((Name::Spiffe(id), is_pattern)))
            }
            (Some(_), None, None) => {
                Err("spiffe needs --trust-domain, or --trusted-proxy".to_owned())
            }
            (None, Some(subject), None) => {
                match (&known.issuers, &self.issuer) {
                    (Issuers::None, _) => return Err("subject needs --jwt-issuer".to_owned()),
                    (Issuers::Only(taken), Some(issuer)) if issuer != taken => {
                        return Err("issuer is not --jwt-issuer".to_owned());
                    }
                    _ => {}
                }
                let (subject, is_pattern) = pattern(subject);
                let issuer = self.issuer.clone();
                Ok(Some((Name::Subject { issuer, subject }, is_pattern)))
            }
            (None, None, Some(name)) if known.names => {
                let (name, is_pattern) = pattern(name);
                Ok(Some((Name::Proxied(name), is_pattern)))
            }
            (None, None, Some(_)) => {
                Err("proxied needs --trusted-proxy and --identity-header".to_owned())
            }
            (None, None, None) => Ok(None),
            _ => Err(ONE_OF.to_owned()),
        }
    }
}

fn pattern(text: &str) -> (String, bool) {
    match text.strip_suffix('*') {
        Some(beginning) => (beginning.to_owned(), true),
        None => (text.to_owned(), false),
    }
}

/// Parse errors tell the place, never the text: a secret may stand there.
fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        format!("line {line} is no entry of callers")
    })
}

/// A file's text, and whether only its owner and group can reach it.
fn read(path: &Path) -> io::Result<(String, bool)> {
    let facts = fs::metadata(path)?;
    if facts.len() > LARGEST {
        return Err(io::Error::other(format!(
            "it is larger than {LARGEST} bytes"
        )));
    }
    let is_private = facts.permissions().mode() & 0o006 == 0;
    Ok((fs::read_to_string(path)?, is_private))
}
