//! The text of the file, read and checked.

use std::{
    collections::HashSet,
    fmt, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Callers, Name};
use crate::identity::{Place, SpiffeId, sigv4::AccessKey};

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
        for (index, entry) in parse(&self.text.0)?.caller.into_iter().enumerate() {
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
        if is_pattern {
            callers.patterns.push((name, place));
            return Ok(());
        }
        let text = name.text().to_owned();
        match callers.exact.insert(name, place) {
            None => Ok(()),
            Some(_) => Err(format!("{text} is there twice")),
        }
    }
}

const PUBLIC: &str =
    "everybody on this machine can read or write it: chmod o= it, it holds a secret";
const ONE_OF: &str = "an entry has exactly one of spiffe, subject, proxied and access-key";

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
