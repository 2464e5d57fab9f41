//! Renderings as bytes, to be kept and sent again.
//!
//! An archive like a bundle: the files below `files/`, everything else in one JSON file. Equal renderings give equal bytes.

use serde::{Deserialize, Serialize};

use super::{Build, Files, Method, Rendering, file};
use crate::control_plane::bundle::{self, Problem, archive};

const SETTINGS: &str = "rendering.json";
const FILES: &str = "files/";

#[derive(Serialize, Deserialize)]
struct Settings {
    method: Method,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build: Option<Build>,
}

impl Rendering {
    pub fn pack(&self) -> Vec<u8> {
        let settings = Settings {
            method: self.method,
            build: self.build.clone(),
        };
        let settings = serde_json::to_vec(&settings).expect("settings have text keys only");
        let files = self.files.iter();
        let files = files.map(|(path, file)| (format!("{FILES}{path}"), file.clone()));
        let all: Files = files
            .chain([(SETTINGS.to_owned(), file(settings))])
            .collect();
        archive::pack(&all).to_vec()
    }

    /// Reads what [`Rendering::pack`] wrote.
    pub fn unpack(bytes: &[u8]) -> Result<Self, Problem> {
        // What was rendered within limits is read without any.
        let limits = bundle::Limits {
            archive_bytes: usize::MAX,
            unpacked_bytes: usize::MAX,
            entries: usize::MAX,
            path_bytes: usize::MAX,
            ..bundle::Limits::default()
        };
        let all = archive::unpack(bytes, &limits)?;
        let settings = all
            .get(SETTINGS)
            .and_then(|file| serde_json::from_slice(&file.contents).ok());
        let Some(Settings { method, build }) = settings else {
            return Err(Problem::new("these bytes are no rendering"));
        };
        let files = all
            .iter()
            .filter_map(|(path, file)| Some((path.strip_prefix(FILES)?.to_owned(), file.clone())));
        Ok(Self {
            method,
            files: files.collect(),
            build,
        })
    }
}
