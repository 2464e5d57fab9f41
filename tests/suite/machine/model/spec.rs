//! Specs, which the generator writes as JSON, a kind of YAML. What the control plane normalises is known by its value only.

use serde_json::{Map, Value, json};

use super::super::bundles::{Kind, Zone};
use super::NORMALISED;

pub(super) type Inputs = Map<String, Value>;

/// The value that is replaced by the one in use.
pub(in super::super) const CURRENT: &str = "${Proton::CURRENT_VAL}";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) environment: String,
    pub(super) inputs: Inputs,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServiceSpec {
    pub(super) pipeline: Option<Inputs>,
    pub(super) instances: Vec<Section>,
}

fn value(text: &str) -> Option<Value> {
    serde_json::from_str(text.strip_prefix(NORMALISED).unwrap_or(text)).ok()
}

/// The inputs of a spec for an environment, if it is one.
pub(super) fn environment(text: &str) -> Option<Inputs> {
    let value = value(text)?;
    if value["proton"] != "EnvironmentSpec" {
        return None;
    }
    Some(value["spec"].as_object().cloned().unwrap_or_default())
}

pub(super) fn of_environment(inputs: Inputs) -> String {
    format!(
        "{NORMALISED}{}",
        json!({"proton": "EnvironmentSpec", "spec": inputs})
    )
}

impl ServiceSpec {
    pub(super) fn read(text: &str) -> Option<Self> {
        let value = value(text)?;
        if value["proton"] != "ServiceSpec" {
            return None;
        }
        let inputs = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let section = |section: &Value| {
            Some(Section {
                name: section["name"].as_str()?.to_owned(),
                environment: section["environment"].as_str()?.to_owned(),
                inputs: inputs(&section["spec"]),
            })
        };
        let instances: Vec<Section> =
            (value["instances"].as_array()?.iter().map(section)).collect::<Option<_>>()?;
        let mut names: Vec<&str> = instances.iter().map(|section| &*section.name).collect();
        names.sort();
        let unique = names.windows(2).all(|pair| pair[0] != pair[1]);
        unique.then(|| Self {
            pipeline: value.get("pipeline").map(inputs),
            instances,
        })
    }

    pub(super) fn instance(&self, name: &str) -> Option<&Section> {
        self.instances.iter().find(|section| section.name == name)
    }

    pub(super) fn put(&mut self, section: Section) {
        match self
            .instances
            .iter_mut()
            .find(|known| known.name == section.name)
        {
            Some(known) => *known = section,
            None => self.instances.push(section),
        }
    }

    pub(super) fn text(&self) -> String {
        format!("{NORMALISED}{}", self.value())
    }

    fn value(&self) -> Value {
        let section = |section: &Section| json!({"name": section.name, "environment": section.environment, "spec": section.inputs});
        let mut value = json!({
            "proton": "ServiceSpec",
            "instances": self.instances.iter().map(section).collect::<Vec<_>>(),
        });
        if let Some(pipeline) = &self.pipeline {
            value["pipeline"] = pipeline.clone().into();
        }
        value
    }

    /// The spec with values in place of placeholders, and its text; nothing if a placeholder has no value.
    pub(super) fn filled(text: &str, current: Option<&Self>) -> Option<(Self, String)> {
        let spec = Self::read(text)?;
        let mut filled = spec.clone();
        if let Some(pipeline) = &mut filled.pipeline {
            *pipeline = fill(
                pipeline,
                current.and_then(|current| current.pipeline.as_ref()),
            )?;
        }
        for section in &mut filled.instances {
            let known = current.and_then(|current| current.instance(&section.name));
            section.inputs = fill(&section.inputs, known.map(|known| &known.inputs))?;
        }
        let text = if filled == spec {
            text.to_owned()
        } else {
            filled.text()
        };
        Some((filled, text))
    }
}

/// The inputs with values in place of placeholders.
pub(super) fn fill(inputs: &Inputs, current: Option<&Inputs>) -> Option<Inputs> {
    let value = |(key, value): (&String, &Value)| match value == CURRENT {
        true => Some((key.clone(), current?.get(key)?.clone())),
        false => Some((key.clone(), value.clone())),
    };
    inputs.iter().map(value).collect()
}

/// Whether the inputs are such as the schema allows.
pub(super) fn fits(inputs: &Inputs, kind: Kind, zone: Zone) -> bool {
    let is_text = |name: &str| inputs.get(name).is_none_or(Value::is_string);
    let known = match kind {
        Kind::Described => "said",
        _ => "size",
    };
    is_text(known)
        && match zone {
            Zone::Unknown => true,
            Zone::Optional => is_text("zone"),
            Zone::Required => is_text("zone") && inputs.contains_key("zone"),
        }
}

/// An input that has a default.
pub(super) fn input<'a>(inputs: &'a Inputs, name: &str, default: &'a str) -> &'a str {
    inputs.get(name).and_then(Value::as_str).unwrap_or(default)
}

/// The value of any spec, in a form in which equal ones are equal.
pub(in super::super) fn normal(value: &Value) -> Value {
    match ServiceSpec::read(&value.to_string()) {
        Some(spec) => spec.value(),
        None => {
            json!({"proton": value["proton"], "spec": value["spec"].as_object().cloned().unwrap_or_default()})
        }
    }
}
