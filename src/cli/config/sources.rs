//! The names of a setting as a flag, as a variable and in the file, and the file.

use std::{ffi::OsString, path::Path};

use clap::{Arg, ArgAction};

const PREFIX: &str = "PROTON_GRPC_";

/// A setting by its names.
pub(super) struct Setting {
    flag: String,
    /// In variables and the file.
    name: String,
    many: bool,
}

impl Setting {
    pub(super) fn of(arg: &Arg) -> Option<Self> {
        let flag = arg.get_long()?.to_owned();
        let many = matches!(arg.get_action(), ArgAction::Append);
        let name = if many {
            format!("{flag}s")
        } else {
            flag.clone()
        };
        Some(Self { flag, name, many })
    }

    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase().replace('-', "_"))
    }

    pub(super) fn given(&self, value: OsString) -> OsString {
        let mut flag = OsString::from(format!("--{}=", self.flag));
        flag.push(value);
        flag
    }
}

/// The file's settings as flags.
pub(super) fn from_file(file: &Path, known: &[Setting]) -> Result<Vec<OsString>, String> {
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
