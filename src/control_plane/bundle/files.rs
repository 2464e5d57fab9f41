//! The regular files of a bundle, in memory.
//!
//! A path here is relative, `/`-separated and clean: no `.` or `..`, no control characters, never both a file and a folder. Whoever writes these
//! files below a directory later needs no further check.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::limits::Limits;
use super::problem::{Problem, quoted};

/// One regular file. The executable bit matters to the shell scripts of CodeBuild bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub contents: Bytes,
    pub executable: bool,
}

impl File {
    /// The contents as text, or a problem that names the file.
    pub(in crate::control_plane) fn as_text(&self, path: &str) -> Result<&str, Problem> {
        str::from_utf8(&self.contents)
            .map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
            .map_err(|_| Problem::new(format!("{} is not UTF-8 text", quoted(path))))
    }
}

/// Files by path, in the order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, File>);

impl Files {
    pub fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any file lies below this folder; `""` is the root.
    pub(super) fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// The files below a folder, by their path inside it.
    pub(super) fn folder(&self, folder: &str) -> Files {
        Files(
            self.below(folder)
                .map(|(path, file)| (path.to_owned(), file.clone()))
                .collect(),
        )
    }

    pub(super) fn only(self, wanted: impl Fn(&str) -> bool) -> Files {
        Files(
            self.0
                .into_iter()
                .filter(|(path, _)| wanted(path))
                .collect(),
        )
    }

    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a File)> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        self.0
            .range(prefix.clone()..)
            .map_while(move |(path, file)| path.strip_prefix(&prefix).map(|inside| (inside, file)))
    }

    pub(super) fn insert(&mut self, path: String, file: File) -> Result<(), Problem> {
        if self.0.contains_key(&path) {
            return Err(Problem::new(format!(
                "the bundle holds {} twice",
                quoted(&path)
            )));
        }
        self.0.insert(path, file);
        Ok(())
    }

    /// Refuses a path that is a file and a folder at once; call it when all files are in.
    pub(super) fn checked(self) -> Result<Files, Problem> {
        if let Some(path) = self.paths().find(|path| self.has_folder(path)) {
            let path = quoted(path);
            return Err(Problem::new(format!(
                "the bundle holds {path} both as a file and as a folder"
            )));
        }
        Ok(self)
    }
}

/// Files under paths that are clean already. Of two with one path the later stays.
impl FromIterator<(String, File)> for Files {
    fn from_iter<I: IntoIterator<Item = (String, File)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

/// Files written out in a test, by paths that are clean as they stand.
#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Files {
    fn from(files: [(&str, &str); N]) -> Self {
        let file = |text: &str| File {
            contents: Bytes::copy_from_slice(text.as_bytes()),
            executable: false,
        };
        Files(
            files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), file(text)))
                .collect(),
        )
    }
}

/// The clean form of a member's path, or `None` when it names the root itself.
pub(super) fn clean_path(raw: &[u8], limits: &Limits) -> Result<Option<String>, Problem> {
    let shown = || quoted(&String::from_utf8_lossy(raw));
    let refuse = |why: &str| Err(Problem::new(format!("the bundle holds {}: {why}", shown())));

    if raw.len() > limits.path_bytes {
        return refuse(&format!("a path has at most {} bytes", limits.path_bytes));
    }
    let Ok(path) = str::from_utf8(raw) else {
        return refuse("a path must be UTF-8");
    };
    if path.chars().any(char::is_control) {
        return refuse("a path must not contain control characters");
    }
    if path.starts_with('/') {
        return refuse("a path must be relative");
    }
    let names: Vec<_> = path
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    if names.contains(&"..") {
        return refuse("a path must not contain \"..\"");
    }
    Ok((!names.is_empty()).then(|| names.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &[u8]) -> Result<Option<String>, Problem> {
        clean_path(raw, &Limits::default())
    }

    #[test]
    fn paths_lose_dots_and_doubled_slashes() {
        assert_eq!(
            clean(b"./schema//./schema.yaml").unwrap().unwrap(),
            "schema/schema.yaml"
        );
        assert_eq!(clean(b"schema/").unwrap().unwrap(), "schema");
        assert_eq!(clean(b"./").unwrap(), None);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for raw in [
            &b"/etc/passwd"[..],
            b"../up",
            b"a/../b",
            b"a/..",
            b"a\0b",
            b"a\nb",
            b"\xff\xfe",
            &[b'x'; 2000],
        ] {
            assert!(clean(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn a_folder_is_cut_out_by_its_whole_name() {
        let files = Files::from([("v1", ""), ("v1/a", ""), ("v1/b/c", ""), ("v10/d", "")]);
        assert_eq!(files.folder("v1").paths().collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(files.folder("").len(), 4);
        assert!(!files.has_folder("v"));
    }

    #[test]
    fn a_path_is_not_both_file_and_folder() {
        assert!(
            Files::from([("a", ""), ("a.b", ""), ("a/b", "")])
                .checked()
                .is_err()
        );
        assert!(Files::from([("a", ""), ("ab/c", "")]).checked().is_ok());
    }
}
