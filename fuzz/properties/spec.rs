use proton_grpc::control_plane::{
    bundle::{PartKind, Schema, TemplateKind},
    spec::{EnvironmentSpec, Inputs, ServiceSpec, SpecError, resolve},
};
use serde_json::Value;

const ENVIRONMENT: TemplateKind = TemplateKind::Environment {
    customer_managed: false,
};
const SERVICE: TemplateKind = TemplateKind::Service {
    customer_managed_pipeline: false,
};
/// Ends the schema that a spec is held against.
const END: &str = "\n...\n";
/// What stands for a secret in a spec.
const SECRET: &str = "hunter2";

/// A spec survives being written, and what is said of it holds no value of it. Before `END` stands a schema.
pub fn spec(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (schema, text) = text.split_once(END).unwrap_or(("", text));
    if let Ok(spec) = ServiceSpec::parse(text) {
        let again = ServiceSpec::parse(&spec.to_yaml());
        assert!(again == Ok(spec.clone()) || is_too_long(&spec.to_yaml()));
        if let Ok(schema) = Schema::parse(SERVICE, schema) {
            for instance in &spec.instances {
                let resolved = spec.instance_inputs(&schema, &instance.name);
                if !instance.name.contains(SECRET) {
                    keeps_secrets(&resolved, &schema, &instance.inputs);
                }
            }
        }
    } else if let Ok(spec) = EnvironmentSpec::parse(text) {
        let again = EnvironmentSpec::parse(&spec.to_yaml());
        assert!(again == Ok(spec.clone()) || is_too_long(&spec.to_yaml()));
        if let Ok(schema) = Schema::parse(ENVIRONMENT, schema) {
            let resolved = resolve(&schema, PartKind::Environment, &spec.inputs, "environment");
            keeps_secrets(&resolved, &schema, &spec.inputs);
        }
    }
}

/// Quotes and escapes may lengthen a spec over its limit.
fn is_too_long(text: &str) -> bool {
    text.chars().count() > proton_grpc::control_plane::spec::MAX_CHARS
}

/// Names, and all that the schema says, may be told.
fn keeps_secrets(resolved: &Result<Inputs, SpecError>, schema: &Schema, inputs: &Inputs) {
    if let Err(error) = resolved
        && !schema.text().contains(SECRET)
        && !names(inputs).any(|name| name.contains(SECRET))
    {
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

fn names(inputs: &Inputs) -> Box<dyn Iterator<Item = &str> + '_> {
    Box::new(
        inputs
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.as_str()).chain(names_inside(value))),
    )
}

fn names_inside(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Object(members) => names(members),
        Value::Array(items) => Box::new(items.iter().flat_map(names_inside)),
        _ => Box::new(std::iter::empty()),
    }
}
