//! The layering of the source tree, and where time and randomness come from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// What each module may not name. `api` knows nobody, the wings do not know each other, and only
/// `cli` knows all.
const STRANGERS: [(&str, &str); 6] = [
    ("api", "facade|control_plane|identity|telemetry|server|cli"),
    ("facade", "control_plane|server|cli"),
    ("control_plane", "facade|server|cli"),
    ("identity", "facade|control_plane|telemetry|server|cli"),
    // Everybody tells it what they do; so it names what it tells of by itself, and the contract.
    ("telemetry", "facade|control_plane|server|cli"),
    ("server", "cli"),
];

/// The modules that are given time and randomness. What drives sockets has to read the clock itself.
const GIVEN_TIME: [&str; 4] = ["api", "facade", "control_plane", "identity"];

/// What reads a clock or randomness.
const AMBIENT: &str = r"\b(SystemTime::now|Instant::now|Utc::now|now_utc|Uuid::(new_v\d|now_v\d)|rand::|getrandom|SystemRandom|thread_rng)\b";

/// The one file of a module that may, because it is where they are injected.
const INJECTS: &str = "ambient.rs";

/// Unit tests that have a file of their own, and may measure themselves.
const UNIT_TESTS: &str = "tests.rs";

/// What may name all of the above.
const KNOWS_ALL: &str = "cli";

#[test]
fn every_module_has_its_place() {
    let modules = fs::read_dir(source_root())
        .unwrap()
        .map(|entry| entry.unwrap());
    let modules = modules.filter(|entry| entry.path().is_dir());
    let names = modules.map(|entry| entry.file_name().into_string().unwrap());
    let placed =
        |name: &String| name == KNOWS_ALL || STRANGERS.iter().any(|(module, _)| module == name);
    let unknown: Vec<_> = names.filter(|name| !placed(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} may name what?");
}

#[test]
fn the_wings_know_the_contract_and_not_each_other() {
    let mut trespasses = Vec::new();
    for (module, strangers) in STRANGERS {
        // Also inside of braces: `use crate::{api, facade::Facade}`.
        let names =
            Regex::new(&format!(r"\b(crate|super)::(\{{[^;]*?\b)?({strangers})\b")).unwrap();
        for (path, code) in sources(module) {
            let found = names.find_iter(&code);
            trespasses
                .extend(found.map(|found| format!("{} names {}", path.display(), found.as_str())));
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn time_and_randomness_are_given_from_outside() {
    let ambient = Regex::new(AMBIENT).unwrap();
    let mut reads = Vec::new();
    for module in GIVEN_TIME {
        let files = sources(module)
            .into_iter()
            .filter(|(path, _)| !path.ends_with(INJECTS));
        for (path, code) in files {
            let found = ambient.find_iter(&code);
            reads.extend(found.map(|found| format!("{} has {}", path.display(), found.as_str())));
        }
    }
    assert!(reads.is_empty(), "{}", reads.join("\n"));
}

/// The code of every file of a module, without comments and tests.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let root = source_root();
    let mut files = Vec::new();
    let mut left: Vec<_> = Some(root.join(module))
        .filter(|path| path.is_dir())
        .into_iter()
        .collect();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with(UNIT_TESTS)
            {
                files.push((path.strip_prefix(&root).unwrap().to_owned(), code(&path)));
            }
        }
    }
    files
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    // Unit tests stand last in their file.
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = text.lines().map(|line| {
        if line.trim_start().starts_with("//") {
            ""
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
