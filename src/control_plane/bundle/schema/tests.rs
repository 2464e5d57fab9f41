use std::time::{Duration, Instant};

use super::*;

const ENVIRONMENT: TemplateKind = TemplateKind::Environment {
    customer_managed: false,
};
const SERVICE: TemplateKind = TemplateKind::Service {
    customer_managed_pipeline: false,
};
const SERVICE_ALONE: TemplateKind = TemplateKind::Service {
    customer_managed_pipeline: true,
};

fn file(text: &str) -> File {
    File {
        contents: bytes::Bytes::copy_from_slice(text.as_bytes()),
        executable: false,
    }
}

fn read(kind: TemplateKind, text: &str) -> Schema {
    let schema = Schema::read(kind, &file(text), &Limits::default()).unwrap();
    assert_eq!(Schema::parse(kind, schema.text()).unwrap(), schema);
    schema
}

fn refused(kind: TemplateKind, text: &str) -> String {
    Schema::read(kind, &file(text), &Limits::default())
        .unwrap_err()
        .message()
        .to_owned()
}

/// An environment's schema whose input type has these properties, in flow or block form at the indentation given.
fn environment(properties: &str) -> String {
    format!(
        "schema:\n  format:\n    openapi: \"3.0.0\"\n  environment_input_type: \"In\"\n  types:\n    In:\n      type: object\n      \
         properties:\n{properties}"
    )
}

fn property(keywords: &str) -> Type {
    read(
        ENVIRONMENT,
        &environment(&format!("        p: {keywords}\n")),
    )
    .input(PartKind::Environment)
    .unwrap()
    .properties[0]
        .1
        .clone()
}

#[test]
fn properties_keep_their_order() {
    let schema = read(
        ENVIRONMENT,
        &environment(
            "        z: {type: string}\n        a: {type: number}\n        m: {type: boolean}\n",
        ),
    );
    let input = schema.input(PartKind::Environment).unwrap();
    assert_eq!(
        input
            .properties
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["z", "a", "m"]
    );
    assert_eq!(input.property("a").unwrap().kind, Some(TypeKind::Number));
    assert_eq!(schema.input(PartKind::Pipeline), None);
    assert!(schema.text().starts_with("schema:\n  format:"));
}

#[test]
fn the_keywords_in_use_are_read() {
    let port = property(
        "{type: integer, minimum: 0, exclusiveMinimum: true, maximum: 65535, default: 80, example: 8080, x-y: 1}",
    );
    assert_eq!(
        (
            port.minimum.unwrap().as_u64(),
            port.exclusive_minimum,
            port.default
        ),
        (Some(0), true, Some(80.into()))
    );
    let name = property(
        "{type: string, title: Ä, minLength: 1, maxLength: 9, pattern: '^$|^\\d{12}(,\\d{12})*$', enum: [a, b], nullable: true}",
    );
    assert_eq!(
        (
            name.min_length,
            name.max_length,
            name.nullable,
            name.enumeration.len()
        ),
        (Some(1), Some(9), true, 2)
    );
    assert_eq!(name.pattern.as_deref(), Some("^$|^\\d{12}(,\\d{12})*$"));
    let list = property(
        "{type: array, items: {type: string}, minItems: 1, minimum: 1, default: [a], uniqueItems: true}",
    );
    assert_eq!(list.items.unwrap().kind, Some(TypeKind::String));
    let object = property(
        "{type: object, properties: {x: {type: string}}, required: [x], additionalProperties: false, minProperties: 1}",
    );
    assert_eq!(
        (object.additional_properties, object.required),
        (Additional::Nothing, vec!["x".to_owned()])
    );
    assert_eq!(property("").kind, None);
    assert_eq!(
        property("{type: string, required: true}").required,
        Vec::<String>::new()
    );
}

#[test]
fn defaults_that_break_their_own_schema_register() {
    assert_eq!(
        property("{type: boolean, default: public}").default,
        Some("public".into())
    );
    assert_eq!(
        property("{type: string, minLength: 12, default: ''}").default,
        Some("".into())
    );
    property("{type: number, enum: [1, 2], default: 3, maximum: 2, minimum: 5}");
}

#[test]
fn references_between_types_are_followed() {
    let schema = read(
        ENVIRONMENT,
        "schema:\n  format: {openapi: 3.0.0}\n  environment_input_type: Alias\n  types:\n    Alias: {$ref: '#/schema/types/In'}\n    \
         In:\n      properties:\n        tree: {$ref: '#/In'}\n        port: {$ref: '#/types/Port'}\n    Port: {type: number}\n",
    );
    let input = schema.input(PartKind::Environment).unwrap();
    assert_eq!(
        schema.resolve(input.property("port").unwrap()).kind,
        Some(TypeKind::Number)
    );
    assert_eq!(schema.resolve(input.property("tree").unwrap()), input);
}

#[test]
fn references_elsewhere_or_in_a_circle_are_refused() {
    for target in [
        "'#/schema/types/Nope'",
        "'other.yaml#/In'",
        "'https://example.com/x'",
        "'In'",
        "3",
        "'#/a/b/In'",
    ] {
        let message = refused(
            ENVIRONMENT,
            &environment(&format!("        p: {{$ref: {target}}}\n")),
        );
        assert!(message.contains("types.In.properties.p.$ref"), "{message}");
    }
    let circle = "schema:\n  environment_input_type: A\n  types:\n    A: {$ref: '#/B'}\n    B: {$ref: '#/A'}\n";
    assert!(refused(ENVIRONMENT, circle).contains("leads nowhere"));
}

#[test]
fn a_missing_head_is_named_as_the_service_named_it() {
    let service = "schema:\n  format: {openapi: '3.0.0'}\n  service_input_type: In\n  types:\n    In: {type: object, properties: {a: {type: string}}}\n";
    assert_eq!(
        refused(SERVICE, service),
        "Service template schema is not valid: Missing property [pipelineInputType]"
    );
    read(SERVICE_ALONE, service);
    assert_eq!(
        refused(ENVIRONMENT, service),
        "Environment template schema is not valid: Missing property [environmentInputType]"
    );
    let misnamed = service.replace("service_input_type", "environment_input_type");
    assert_eq!(
        refused(SERVICE_ALONE, &misnamed),
        "Service template schema is not valid: Missing property [serviceInputType]"
    );
    assert!(refused(ENVIRONMENT, "types: {}").ends_with("Missing property [schema]"));
    assert!(
        refused(ENVIRONMENT, "schema:\n  environment_input_type: In\n")
            .ends_with("Missing property [types]")
    );
}

#[test]
fn an_input_type_of_a_part_that_is_not_there_is_ignored() {
    let schema = "schema:\n  service_input_type: In\n  pipeline_input_type: Gone\n  types:\n    In: {properties: {a: {type: string}}}\n";
    assert_eq!(read(SERVICE_ALONE, schema).input(PartKind::Pipeline), None);
}

#[test]
fn the_format_is_open_api_3_0() {
    let with =
        |version: &str| environment("        a: {type: string}\n").replace("\"3.0.0\"", version);
    for version in ["3.0.0", "'3.0.3'", "3.0"] {
        read(ENVIRONMENT, &with(version));
    }
    assert!(
        refused(ENVIRONMENT, &with("3.1.0"))
            .contains("line 3: format.openapi must be \"3.0.0\", not \"3.1.0\"")
    );
    read(
        ENVIRONMENT,
        &environment("        a: {type: string}\n")
            .replace("  format:\n    openapi: \"3.0.0\"\n", ""),
    );
}

#[test]
fn an_input_type_is_an_object_with_properties() {
    let with =
        |of: &str| format!("schema:\n  environment_input_type: In\n  types:\n    In: {of}\n");
    assert!(refused(ENVIRONMENT, &with("{type: object}")).contains("at least one property"));
    assert!(
        refused(ENVIRONMENT, &with("{type: object, properties: {}}"))
            .contains("at least one property")
    );
    assert!(refused(ENVIRONMENT, &with("{type: string}")).contains("type object"));
    assert!(
        refused(
            ENVIRONMENT,
            &with("{type: object}").replace("In:", "Other:")
        )
        .contains("\"In\", which types does not define")
    );
    read(
        ENVIRONMENT,
        &with("{allOf: [{properties: {a: {type: string}}}]}"),
    );
}

#[test]
fn a_wrong_keyword_is_named_with_its_place_and_line() {
    let says = |keywords: &str| {
        refused(
            ENVIRONMENT,
            &environment(&format!("        p:\n          {keywords}\n")),
        )
    };
    assert_eq!(
        says("type: strng"),
        "Environment template schema is not valid: schema/schema.yaml line 10: types.In.properties.p.type must be string, number, \
         integer, boolean, array or object, not \"strng\""
    );
    for wrong in [
        "minLength: -1",
        "minLength: 'x'",
        "minimum: [1]",
        "exclusiveMinimum: 3",
        "nullable: 1",
        "enum: a",
        "enum: []",
        "items: [a]",
        "properties: [a]",
        "required: a",
        "type: [string, number]",
        "anyOf: {}",
        "additionalProperties: 3",
    ] {
        assert!(says(wrong).contains(".p."), "{wrong}: {}", says(wrong));
    }
    assert!(
        refused(ENVIRONMENT, &environment("        p: text\n"))
            .contains("types.In.properties.p must be a mapping")
    );
}

#[test]
fn a_customer_managed_environment_describes_strings_that_are_given() {
    let kind = TemplateKind::Environment {
        customer_managed: true,
    };
    read(
        kind,
        &environment("        vpc: {type: string, description: which}\n"),
    );
    assert!(
        refused(kind, &environment("        n: {type: number}\n"))
            .contains("\"n\" must have type string")
    );
    assert!(
        refused(
            kind,
            &environment("        v: {type: string, default: x}\n")
        )
        .contains("must not have a default")
    );
}

#[test]
fn the_text_is_bounded_in_characters() {
    let schema = environment("        p: {type: string}\n");
    let padded = |chars: usize| {
        format!(
            "{schema}#{}",
            "ü".repeat(chars - schema.chars().count() - 1)
        )
    };
    read(ENVIRONMENT, &padded(51_200));
    assert!(refused(ENVIRONMENT, &padded(51_201)).contains("51201 characters, the limit is 51200"));
}

#[test]
fn what_is_no_yaml_text_is_refused() {
    let bytes = File {
        contents: bytes::Bytes::from_static(b"\xff\xfe\x00"),
        executable: false,
    };
    let problem = Schema::read(ENVIRONMENT, &bytes, &Limits::default()).unwrap_err();
    assert!(problem.message().contains("not UTF-8"), "{problem}");
    assert!(refused(ENVIRONMENT, "schema: [").contains("not valid YAML"));
    read(
        ENVIRONMENT,
        &format!("\u{feff}{}", environment("        p: {type: string}\n")),
    );
}

#[test]
fn a_schema_at_its_limit_is_read_quickly() {
    let many = (0..2000)
        .map(|n| format!("    T{n}: {{$ref: '#/T{}'}}\n", n + 1))
        .take(1300)
        .collect::<String>();
    let chain = format!(
        "schema:\n  environment_input_type: T0\n  types:\n{many}    T1300: {{properties: {{a: {{type: string}}}}}}\n"
    );
    let wide = environment(
        &(0..2500)
            .map(|n| format!("        p{n}: {{}}\n"))
            .collect::<String>(),
    );
    let start = Instant::now();
    refused(ENVIRONMENT, &chain);
    read(ENVIRONMENT, &wide);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}
