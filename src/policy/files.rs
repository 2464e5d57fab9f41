//! The files of policies: read, checked against the schema, and put together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator, ffi::DetailedError};

use super::{mentions::Mentions, schema::SCHEMA, set::Set};
use crate::watched::Source;

/// All files together are not larger.
const LARGEST: u64 = 4 << 20;
const EXTENSION: &str = "cedar";

/// Where policies are, and what the process can tell them.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    /// Whether it can tell the tags and templates of resources that are there.
    keeps: bool,
}

/// Names and texts, in the order of the names.
type Texts = Vec<(String, String)>;

impl Files {
    pub(super) fn new(path: &Path, keeps: bool) -> Self {
        let path = path.to_owned();
        Self { path, keeps }
    }
}

impl Source for Files {
    type Snapshot = Texts;
    type Value = Set;
    const WHAT: &'static str = "policies";

    fn path(&self) -> &Path {
        &self.path
    }

    fn take(&self) -> Result<Texts, String> {
        let mut left = LARGEST;
        let mut texts = Vec::new();
        for path in paths(&self.path).map_err(|cause| cause.to_string())? {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = name.to_string_lossy().into_owned();
            let text = read(&path, &mut left).map_err(|cause| format!("{name}: {cause}"))?;
            texts.push((name, text));
        }
        match texts.is_empty() {
            true => Err(format!("no file there ends in .{EXTENSION}")),
            false => Ok(texts),
        }
    }

    fn read(&self, texts: &Texts) -> Result<Set, String> {
        let mut set = Set::default();
        for (name, text) in texts {
            let policies = File { name, text }.policies()?;
            for (line, policy) in policies {
                let at = |problem: String| format!("{name}:{line}: {problem}");
                let mentions = Mentions::of(&policy);
                if !self.keeps && mentions.needs_kept(&policy) {
                    return Err(at(NOT_KEPT.to_owned()));
                }
                set.add(policy, mentions).map_err(at)?;
            }
        }
        Ok(set)
    }
}

const NOT_KEPT: &str = "it goes by the tags or the template of resources that are there, \
                        which only --upstream embedded can tell";

/// The file itself, or what is in the directory.
fn paths(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == EXTENSION));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path, left: &mut u64) -> io::Result<String> {
    let rest = left.checked_sub(fs::metadata(path)?.len());
    let too_large = || io::Error::other(format!("the policies are larger than {LARGEST} bytes"));
    *left = rest.ok_or_else(too_large)?;
    fs::read_to_string(path)
}

/// One file.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    /// Its policies under the names that they are known by, and the lines where they begin.
    fn policies(&self) -> Result<Vec<(usize, Policy)>, String> {
        let set = self.text.parse::<PolicySet>();
        let set = set.map_err(|problems| self.at(&DetailedError::from(&problems)))?;
        if set.num_of_templates() > 0 {
            let name = self.name;
            return Err(format!(
                "{name}: templates (?principal, ?resource) are not policies yet"
            ));
        }
        self.check(&set)?;
        let mut policies: Vec<_> = set.policies().collect();
        policies.sort_by_key(|policy| ordinal(policy.id()));
        let mut from = 0;
        let named = |policy: &Policy| {
            let text = policy.to_cedar().unwrap_or_default();
            let start = self.text[from..]
                .find(&text)
                .map_or(from, |found| from + found);
            from = start + text.len();
            let line = self.line(start);
            let name = policy.annotation("id").filter(|name| !name.is_empty());
            let name = name.map_or_else(|| format!("{}:{line}", self.name), str::to_owned);
            (line, policy.new_id(PolicyId::new(name)))
        };
        Ok(policies.into_iter().map(named).collect())
    }

    /// Refuses what the schema knows nothing of. Cedar only warns of policies that can never apply; but a forbid that asks for
    /// a misspelt attribute is one of them, and would forbid nothing.
    fn check(&self, set: &PolicySet) -> Result<(), String> {
        let found = Validator::new(SCHEMA.clone()).validate(set, ValidationMode::Strict);
        let errors = found.validation_errors().map(DetailedError::from);
        let warnings = found.validation_warnings().map(DetailedError::from);
        let first = |problem: &DetailedError| start(problem);
        match errors
            .min_by_key(first)
            .or_else(|| warnings.min_by_key(first))
        {
            None => Ok(()),
            Some(problem) => Err(self.at(&problem)),
        }
    }

    /// Says where a problem is, in one line.
    fn at(&self, problem: &DetailedError) -> String {
        let line = self.line(start(problem).unwrap_or(0));
        let help = problem.help.iter().map(|help| format!(" ({help})"));
        let said = format!("{}{}", problem.message, help.collect::<String>());
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}:{line}: {said}", self.name)
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Where a problem begins.
fn start(problem: &DetailedError) -> Option<usize> {
    let places = problem.source_locations.iter();
    places.map(|place| place.loc.start).min()
}

/// Cedar numbers the policies of a text.
fn ordinal(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    let digits = id.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().unwrap_or(0)
}
