use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api;

fn service(text: &str) -> ServiceSpec {
    ServiceSpec::parse(text).unwrap()
}

fn environment(text: &str) -> EnvironmentSpec {
    EnvironmentSpec::parse(text).unwrap()
}

fn refused(text: &str) -> String {
    ServiceSpec::parse(text).unwrap_err().to_string()
}

const MALFORMED: &str = "The provided Service Spec file was not correctly formatted. Please check that it is valid yaml \
                         according to the Spec definition.";

fn malformed(text: &str) -> String {
    let message = refused(text);
    let cause = message
        .strip_prefix(MALFORMED)
        .unwrap_or_else(|| panic!("{message}"));
    cause.trim().trim_matches(['(', ')']).to_owned()
}

#[test]
fn a_service_spec_has_a_pipeline_and_instances() {
    let spec = service(
        "proton: ServiceSpec\npipeline:\n  dir: app\n  tests: 3\ninstances:\n  - name: \"dev\"\n    environment: \"env-1\"\n    \
         spec:\n      port: 80\n  - name: prod\n    environment: env-2\n",
    );
    assert_eq!(json!(spec.pipeline), json!({"dir": "app", "tests": 3}));
    let dev = spec.instance("dev").unwrap();
    assert_eq!(
        (dev.environment.as_str(), json!(dev.inputs)),
        ("env-1", json!({"port": 80}))
    );
    assert_eq!(spec.instance("prod").unwrap().inputs, Inputs::new());
    assert_eq!(spec.instance("test"), None);
}

#[test]
fn an_environment_spec_has_inputs() {
    let spec = environment("proton: EnvironmentSpec\nspec:\n  b: true\n  a: [1, x]\n");
    assert_eq!(
        serde_json::to_string(&spec.inputs).unwrap(),
        r#"{"b":true,"a":[1,"x"]}"#
    );
    assert_eq!(
        environment("proton: EnvironmentSpec\n").inputs,
        Inputs::new()
    );
}

#[test]
fn specs_come_in_the_forms_that_tools_write() {
    let expected = json!({"cidr": "10.0.0.0/16"});
    for text in [
        "---\nproton: EnvironmentSpec\nspec:\n  cidr: 10.0.0.0/16\n",
        "{proton: EnvironmentSpec, spec: {cidr: 10.0.0.0/16}}",
        "{\"proton\":\"EnvironmentSpec\",\"spec\":{\"cidr\":\"10.0.0.0/16\"}}",
        "proton: EnvironmentSpec\r\nspec:\r\n  cidr: 10.0.0.0/16 # the first\r\n",
        "spec: &s\n    cidr: '10.0.0.0/16'\nproton: EnvironmentSpec\n...\n",
    ] {
        assert_eq!(json!(environment(text).inputs), expected, "{text}");
    }
}

#[test]
fn a_service_may_have_no_instances_and_no_pipeline() {
    let spec = service("proton: ServiceSpec\ninstances: []\n");
    assert_eq!(spec, ServiceSpec::default());
    assert_eq!(spec.pipeline, None);
    let spec = service("proton: ServiceSpec\npipeline:\ninstances: []\n");
    assert_eq!(
        spec.pipeline,
        Some(Inputs::new()),
        "a section with nothing in it is there"
    );
}

#[test]
fn values_keep_what_yaml_makes_of_them() {
    let spec = environment(
        "proton: EnvironmentSpec\nspec:\n  date: 2012-10-17\n  mode: 0755\n  account: 012345678901\n  yes: yes\n  n: n\n  \
         quoted: '80'\n  float: 1e3\n  none:\n",
    );
    assert_eq!(
        json!(spec.inputs),
        json!({"date": "2012-10-17", "mode": "0755", "account": "012345678901", "yes": true, "n": "n", "quoted": "80",
               "float": 1000.0, "none": null})
    );
}

#[test]
fn names_that_look_like_other_types_are_names() {
    let spec = service(
        "proton: ServiceSpec\ninstances:\n  - {name: 1, environment: yes}\n  - {name: 0x1F, environment: 007}\n",
    );
    let names: Vec<_> = spec
        .instances
        .iter()
        .map(|instance| (instance.name.as_str(), instance.environment.as_str()))
        .collect();
    assert_eq!(names, [("1", "yes"), ("0x1F", "007")]);
}

#[test]
fn a_text_that_is_no_spec_is_refused_with_the_line_and_the_cause() {
    for (text, cause) in [
        ("", "line 1: a spec must be a mapping, not nothing"),
        ("- a\n", "line 1: a spec must be a mapping, not a list"),
        (
            "instances: []\n",
            "line 1: proton is missing; it must be ServiceSpec",
        ),
        (
            "proton: EnvironmentSpec\nspec: {}\n",
            "line 1: proton must be ServiceSpec",
        ),
        ("proton: ServiceSpec\n", "line 1: instances is missing"),
        (
            "proton: ServiceSpec\ninstances: {}\n",
            "line 2: instances must be a list, not a mapping",
        ),
        (
            "proton: ServiceSpec\ninstances:\n",
            "line 2: instances must be a list, not nothing",
        ),
        (
            "proton: ServiceSpec\npipeline: x\ninstances: []\n",
            "line 2: pipeline must be a mapping of inputs, not text",
        ),
        (
            "proton: ServiceSpec\nspec: {}\ninstances: []\n",
            "line 2: the spec has a key \"spec\" that is none of proton, pipeline, instances",
        ),
        (
            "proton: ServiceSpec\ninstances:\n  - dev\n",
            "line 3: instances[0] must be a mapping, not text",
        ),
        (
            "proton: ServiceSpec\ninstances:\n  - name: dev\n",
            "line 3: instance \"dev\" has no environment",
        ),
        (
            "proton: ServiceSpec\ninstances:\n  - name: dev\n    environment: e\n    specs: {}\n",
            "line 5: instance \"dev\" has a key \"specs\" that is none of name, environment, spec",
        ),
        (
            "proton: ServiceSpec\ninstances:\n  - name: dev\n    environment: e\n    spec: [a]\n",
            "line 5: instance \"dev\": spec must be a mapping of inputs, not a list",
        ),
        (
            "proton: ServiceSpec\ninstances:\n  - {name: a, environment: e}\n  - {name: a, environment: f}\n",
            "line 4: instance \"a\" is listed twice",
        ),
    ] {
        assert_eq!(malformed(text), cause, "{text}");
    }
    assert!(
        malformed("proton: ServiceSpec\nproton: ServiceSpec\n").contains("line 2"),
        "keys written twice"
    );
    assert!(malformed("proton: [\n").contains("spec is not valid YAML"));
    assert!(malformed("proton: ServiceSpec\n---\na: 1\n").contains("not valid YAML"));
    assert!(
        EnvironmentSpec::parse("a")
            .unwrap_err()
            .to_string()
            .starts_with("The provided Environment Spec file was not")
    );
}

#[test]
fn names_are_those_that_resources_may_have() {
    let long = "n".repeat(101);
    for bad in ["-a", "a b", "a.b", "''", "ä", "[a]", &long] {
        for (name, environment) in [(bad, "e"), ("dev", bad)] {
            let message = malformed(&format!(
                "proton: ServiceSpec\ninstances:\n  - name: {name}\n    environment: {environment}\n"
            ));
            assert!(message.contains("must be 1 to 100 letters"), "{message}");
        }
    }
}

#[test]
fn all_problems_are_named_as_far_as_there_is_room() {
    let entries = "  - {name: '?', environment: '?'}\n".repeat(100);
    let message = malformed(&format!("proton: ServiceSpec\nx: 1\ninstances:\n{entries}"));
    assert!(message.contains("line 2: "), "{message}");
    assert!(
        message.contains("line 4: instances[0]: environment must"),
        "{message}"
    );
    assert!(message.ends_with(" more"), "{message}");
    assert!(message.len() < 4000, "{}", message.len());
}

#[test]
fn a_refusal_is_a_validation_exception_without_values() {
    let error = api::Error::from(
        ServiceSpec::parse("proton: ServiceSpec\ninstances: s3cret\n").unwrap_err(),
    );
    assert_eq!(error, api::Error::validation(error.message.clone()));
    assert!(!error.message.contains("s3cret"), "{}", error.message);
    let spec = environment("proton: EnvironmentSpec\nspec: {password: s3cret}\n");
    assert!(!format!("{spec:?}").contains("s3cret"));
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let mut laughs =
        "proton: EnvironmentSpec\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs += &format!("  a{level}: &a{level} [{aliases}]\n");
    }
    let copies = format!(
        "proton: EnvironmentSpec\nspec:\n  a: &x \"{}\"\n  b: [{}]\n",
        "x".repeat(25_000),
        "*x, ".repeat(6_000)
    );
    let value = |text: &str| format!("proton: EnvironmentSpec\nspec:\n  a: {text}\n");
    for text in [
        laughs,
        copies,
        value(&"[".repeat(40_000)),
        value(&format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))),
        value(&"{a: ".repeat(10_000)),
        value(&"- ".repeat(20_000)),
        value("1e400"),
        value("-1e400"),
        value(".nan"),
        value(".inf"),
        value("-.INF"),
        value("!!python/object x"),
        value("&a [*a]"),
        value("*nobody"),
        value("\u{0}"),
        value(&"x".repeat(51_200)),
    ] {
        let start = Instant::now();
        let message = EnvironmentSpec::parse(&text).unwrap_err().to_string();
        assert!(message.len() < 1500, "{message}");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{} took {:?}",
            &text[..60],
            start.elapsed()
        );
    }
}

#[test]
fn the_length_limit_counts_characters() {
    let head = "proton: EnvironmentSpec\nspec:\n  a: ";
    let fits = format!("{head}{}", "ä".repeat(MAX_CHARS - head.len()));
    assert_eq!(fits.chars().count(), MAX_CHARS);
    environment(&fits);
    assert_eq!(
        EnvironmentSpec::parse(&format!("{fits}ä"))
            .unwrap_err()
            .to_string(),
        "spec has 51201 characters, the limit is 51200"
    );
}

#[test]
fn sections_are_compared_value_by_value() {
    let one = service(
        "proton: ServiceSpec\ninstances: [{name: a, environment: e, spec: {x: 1, y: {p: [1], q: 2}}}]",
    );
    let same = service(
        "proton: ServiceSpec\ninstances: [{name: a, environment: e, spec: {y: {q: 2, p: [1]}, x: 1}}]",
    );
    let other = service(
        "proton: ServiceSpec\ninstances: [{name: a, environment: e, spec: {x: '1', y: {p: [1], q: 2}}}]",
    );
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn edits_keep_the_places_of_instances() {
    let mut spec = service(
        "proton: ServiceSpec\ninstances: [{name: a, environment: e}, {name: b, environment: e}]",
    );
    let instance = |name: &str, environment: &str| InstanceSpec {
        name: name.to_owned(),
        environment: environment.to_owned(),
        inputs: Inputs::new(),
    };
    spec.with_instance(instance("a", "f"));
    spec.with_instance(instance("c", "g"));
    spec.without_instance("b");
    spec.without_instance("nobody");
    spec.with_pipeline(Some(Inputs::new()));
    assert_eq!(spec.instances, [instance("a", "f"), instance("c", "g")]);
    assert_eq!(
        spec.to_yaml(),
        "proton: ServiceSpec\npipeline: {}\ninstances:\n  - name: a\n    environment: f\n  - name: c\n    environment: g\n"
    );
}

#[test]
fn without_placeholders_there_is_nothing_to_keep() {
    let spec = environment("proton: EnvironmentSpec\nspec: {a: 'x ${Proton::CURRENT_VAL}'}");
    assert_eq!(spec.keep_current(None), Ok(None));
}

#[test]
fn placeholders_keep_current_values_at_any_depth() {
    let current = service(
        "proton: ServiceSpec\npipeline: {p: 007}\ninstances:\n  - {name: a, environment: e, spec: {x: 80, y: {deep: [1, [2, three]]}}}\n  \
         - {name: b, environment: e, spec: {x: b}}\n",
    );
    let spec = service(
        "proton: ServiceSpec\npipeline: {p: '${Proton::CURRENT_VAL}'}\ninstances:\n  \
         - {name: b, environment: f, spec: {x: '${Proton::CURRENT_VAL}'}}\n  \
         - {name: a, environment: e, spec: {y: {deep: [7, [8, '${Proton::CURRENT_VAL}']]}, x: '${Proton::CURRENT_VAL}'}}\n",
    );
    let kept = spec.keep_current(Some(&current)).unwrap().unwrap();
    assert_eq!(
        kept.to_yaml(),
        "proton: ServiceSpec\npipeline:\n  p: \"007\"\ninstances:\n  - name: b\n    environment: f\n    spec:\n      x: b\n  \
         - name: a\n    environment: e\n    spec:\n      \"y\":\n        deep:\n          - 7\n          -\n            - 8\n            \
         - three\n      x: 80\n"
    );
    let whole = environment("proton: EnvironmentSpec\nspec: {m: '${Proton::CURRENT_VAL}'}");
    let current = environment("proton: EnvironmentSpec\nspec: {m: {k: [v]}}");
    assert_eq!(whole.keep_current(Some(&current)), Ok(Some(current)));
}

#[test]
fn a_placeholder_without_a_current_value_is_refused() {
    let current =
        service("proton: ServiceSpec\ninstances: [{name: a, environment: e, spec: {l: [1]}}]");
    let spec = service(
        "proton: ServiceSpec\npipeline: {p: '${Proton::CURRENT_VAL}'}\ninstances:\n  \
         - {name: a, environment: e, spec: {x: '${Proton::CURRENT_VAL}', l: [2, '${Proton::CURRENT_VAL}']}}\n  \
         - {name: new, environment: e, spec: {x: '${Proton::CURRENT_VAL}'}}\n",
    );
    assert_eq!(
        spec.keep_current(Some(&current)).unwrap_err().to_string(),
        "pipeline: p has no current value to keep; instance \"a\": spec.x has no current value to keep; \
         instance \"a\": spec.l[1] has no current value to keep; instance \"new\": spec.x has no current value to keep"
    );
    let environment = environment("proton: EnvironmentSpec\nspec: {a: '${Proton::CURRENT_VAL}'}");
    assert_eq!(
        environment.keep_current(None).unwrap_err().to_string(),
        "environment: spec.a has no current value to keep"
    );
}

#[test]
fn current_values_may_not_outgrow_the_limit() {
    let current = environment(&format!(
        "proton: EnvironmentSpec\nspec: {{a: {}}}",
        "x".repeat(30_000)
    ));
    let spec = environment(&format!(
        "proton: EnvironmentSpec\nspec: {{a: '${{Proton::CURRENT_VAL}}', b: {}}}",
        "x".repeat(30_000)
    ));
    let message = spec.keep_current(Some(&current)).unwrap_err().to_string();
    assert!(message.ends_with("the limit is 51200"), "{message}");
}

#[test]
fn strings_that_look_like_other_types_are_quoted() {
    let mut spec = EnvironmentSpec::default();
    for text in [
        "80",
        "0755",
        "1e3",
        "true",
        "Yes",
        "n",
        "null",
        "~",
        "",
        "2012-10-17",
        "12:30",
        "<<",
        "=",
        "- a",
        "a: b",
        "a #b",
        ".inf",
        "0x1F",
        "1_000",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "[",
        "{",
        "---",
        "...",
        " a",
        "a ",
        "a\nb\n",
        "\u{85}\u{2028}",
    ] {
        spec.inputs.insert(format!("k {text}"), text.into());
        spec.inputs.insert(text.to_owned(), text.into());
    }
    let read = environment(&spec.to_yaml());
    assert_eq!(read, spec);
    assert!(spec.to_yaml().contains("\"2012-10-17\": \"2012-10-17\"\n"));
}

fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+]?[0-9_.:eExXoO+ -]{0,8}",
        "[-a-zA-Z0-9 :#,&*!|>'\"%@`{}\\[\\]?~=<.\\\\\n\t]{0,12}",
        "(true|false|yes|no|on|off|null|nan|inf|y|n|~){1,2}",
        "[a-z]{900,1500}",
    ]
}

fn inputs() -> impl Strategy<Value = Inputs> {
    prop::collection::vec((texts(), values()), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn a_written_spec_reads_as_it_was(
        pipeline in prop::option::of(inputs()),
        sections in prop::collection::vec(("[0-9a-zA-Z][0-9a-zA-Z_-]{0,9}", inputs()), 0..4),
    ) {
        let mut spec = ServiceSpec { pipeline, instances: Vec::new() };
        for (name, inputs) in sections {
            spec.with_instance(InstanceSpec { environment: name.clone(), name, inputs });
        }
        let text = spec.to_yaml();
        prop_assume!(text.chars().count() <= MAX_CHARS);
        let read = ServiceSpec::parse(&text);
        let read = match read {
            Ok(read) => read,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        prop_assert_eq!(&read, &spec, "{}", text);
        // Equality of inputs does not look at their order; text does.
        prop_assert_eq!(read.to_yaml(), text);
    }

    #[test]
    fn no_text_makes_reading_panic(text in "(proton: (Service|Environment)Spec\n)?((spec|instances|pipeline):[ \n])?.{0,60}") {
        let _ = EnvironmentSpec::parse(&text);
        let _ = ServiceSpec::parse(&text);
    }
}
