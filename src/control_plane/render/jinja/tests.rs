use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn templates<'a>(variables: &serde_json::Value, limits: &'a Limits) -> Templates<'a> {
    let variables = variables.as_object().unwrap();
    Templates {
        variables: variables
            .iter()
            .map(|(name, value)| (name.clone(), from_json(value)))
            .collect(),
        dashed: Dashed::from(["max-size".to_owned(), "a-1".to_owned()]),
        limits,
    }
}

fn variables() -> serde_json::Value {
    json!({
        "environment": {
            "name": "prod",
            "inputs": { "max-size": 7, "count": 5, "a-1": "x", "zones": ["a", "b"] },
            "outputs": {
                "my-output": "o", "subnet-1a": "s", "Simple": "hello", "Number": "0755",
                "Text": "it's: so", "Lines": "a\nb", "Policy": "arn:aws:iam::123456789012:policy/p",
                "Role": "arn:aws:iam::123456789012:role/r",
            },
        },
    })
}

fn render(template: &str) -> Result<String, String> {
    let limits = Limits::default();
    let rendered = templates(&variables(), &limits).render("t.yaml", template);
    rendered.map_err(|error| error.to_string())
}

fn refused(template: &str) -> String {
    render(template).unwrap_err()
}

#[test]
fn templates_render_as_jinja2_renders_them() {
    let fixture = include_str!("../../../../tests/fixtures/render/jinja2.json");
    let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let limits = Limits::default();
    let templates = templates(&fixture["variables"], &limits);
    let mut differences = Vec::new();
    for case in fixture["cases"].as_array().unwrap() {
        let template = case["template"].as_str().unwrap();
        let rendered = templates.render("t", template);
        // Jinja2 turns CRLF into LF.
        let rendered = rendered.map(|text| text.replace("\r\n", "\n"));
        if rendered.as_deref().ok() != case["gives"].as_str() {
            differences.push(format!("{case}\n  gave {rendered:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn line_ends_stay_as_they_are() {
    assert_eq!(
        render("a: {{ 1 }}\r\nb:\r\n{%- if true %}\r\n  - x\r\n{%- endif %}\r\n").unwrap(),
        "a: 1\r\nb:\r\n  - x"
    );
    assert_eq!(render("a\r\n\r\n").unwrap(), "a\r\n");
}

#[test]
fn names_of_inputs_and_outputs_may_contain_dashes() {
    let value = |expression: &str| render(&format!("{{{{ {expression} }}}}"));
    assert_eq!(value("environment.outputs.my-output").unwrap(), "o");
    assert_eq!(value("environment.outputs.subnet-1a|upper").unwrap(), "S");
    assert_eq!(value("environment.inputs.max-size").unwrap(), "7");
    assert_eq!(value("environment.inputs.a-1").unwrap(), "x");
    assert!(
        value("environment.outputs.no-output")
            .unwrap_err()
            .contains("does not exist")
    );
    assert_eq!(
        value("environment.outputs.no-output|default('d')").unwrap(),
        "d"
    );
    // Everywhere else a dash is a minus.
    assert_eq!(value("environment.inputs.count-1").unwrap(), "4");
    assert_eq!(value("environment.inputs.max-size-1").unwrap(), "6");
    assert_eq!(
        value("environment.inputs.count -environment.inputs.max-size").unwrap(),
        "-2"
    );
    assert_eq!(
        render("{{ environment.outputs.my-output-}}  x").unwrap(),
        "ox"
    );
    assert_eq!(
        render("environment.outputs.my-output").unwrap(),
        "environment.outputs.my-output"
    );
    assert_eq!(
        value("'environment.outputs.my-output'").unwrap(),
        "environment.outputs.my-output"
    );
    assert_eq!(
        render("{% for i in [3] %}{{ loop.index-1 }}{{ i-1 }}{% endfor %}").unwrap(),
        "02"
    );
}

#[test]
fn filters_for_yaml_keep_the_column_of_their_expression() {
    let template = "Env:\n  {{ environment.outputs\n     | proton_cfn_ecs_task_definition_formatted_env_vars }}\nEnd: 1";
    insta::assert_snapshot!("ecs", render(template).unwrap());
    let template = "Env:\n    {{ environment.outputs | proton_cfn_lambda_function_formatted_env_vars(raw=True) }}\n";
    insta::assert_snapshot!("lambda", render(template).unwrap());
    let template = "Arns:\n  - !Ref A\n  {{ environment.outputs | proton_cfn_iam_policy_arns }}\n";
    insta::assert_snapshot!("policies", render(template).unwrap());
    assert_eq!(
        render("[{{ {} | proton_cfn_iam_policy_arns }}]").unwrap(),
        "[]"
    );
    assert_eq!(
        render("{{ {'a': 'b', 'c': 'd'} | proton_cfn_lambda_function_formatted_env_vars(False) }}")
            .unwrap(),
        "a: b\nc: d"
    );
}

#[test]
fn values_are_checked_where_the_author_asks_for_it() {
    let message = refused(
        "\n{{ environment.outputs | proton_cfn_lambda_function_formatted_env_vars(raw=False) }}",
    );
    assert!(
        message.starts_with("t.yaml line 2: illegal characters in \"it's: so\": it must match the regex ^[a-zA-Z0-9_-]*$"),
        "{message}"
    );
    let sanitize = |text: &str| render(&format!("{{{{ '{text}' | proton_cfn_sanitize }}}}"));
    for fine in [
        "",
        "This-is_valid_37",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:policy/a/b",
    ] {
        assert_eq!(sanitize(fine).unwrap(), fine);
    }
    for wrong in [
        "this::is::incorrect",
        "a b",
        "arn:aws",
        "arn:aws:s3:::",
        "arn:aws:s3:::a b",
        "ä",
    ] {
        let message = sanitize(wrong).unwrap_err();
        assert!(
            message.contains(wrong) && message.contains("be an ARN"),
            "{message}"
        );
    }
}

#[test]
fn a_failure_names_file_line_and_expression() {
    assert_eq!(
        refused("a: 1\nb: {{ environment.inputs.vpc }}\n"),
        "t.yaml line 2: a value is used that does not exist, in {{ environment.inputs.vpc }}"
    );
    assert_eq!(
        refused("a\r\n\r\n{{ 1 +\r\n }}"),
        "t.yaml line 3: expected an expression, found the end of the tag"
    );
    assert_eq!(
        refused("\n{% frobnicate %}"),
        "t.yaml line 2: \"frobnicate\" is no statement of Jinja"
    );
    assert_eq!(
        refused("{# x\n y #}{% raw %}\n{% endraw %}{{ 'a'|nope }}"),
        "t.yaml line 3: filter nope is unknown, in {{ 'a'|nope }}"
    );
    assert!(refused("{% include '/etc/passwd' %}").contains("a template stands alone"));
    assert!(
        refused("{% if true %}\nx").contains("t.yaml"),
        "{}",
        refused("{% if true %}\nx")
    );
}

#[test]
fn bombs_are_refused_quickly_and_in_little_memory() {
    let doubling = |body: &str| {
        format!(
            "{{% set x = 'aaaaaaaa' %}}{}{{{{ x|length }}}}",
            body.repeat(50)
        )
    };
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{{{{ {}{} }}}}", open.repeat(depth), close.repeat(depth))
    };
    let bombs = [
        "{% for i in range(10**9) %}x{% endfor %}".to_owned(),
        "{{ range(10**9)|list|length }}".to_owned(),
        "{% for i in range(90000) %}{% for j in range(90000) %}{{ i * j }}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}".to_owned(),
        "{{ 'x' * 10**9 }}".to_owned(),
        "{{ ('x' * 10**7) * 10**7 }}".to_owned(),
        "{{ [1] * 10**9 }}".to_owned(),
        "{{ [[]] * 10**18 }}".to_owned(),
        "{{ 10 ** 10 ** 10 }}".to_owned(),
        doubling("{% set x = x ~ x %}"),
        doubling("{% set x = x + x %}"),
        doubling("{% set x = [x, x] %}"),
        doubling("{% set x = {'a': x, 'b': x} %}"),
        doubling("{% set x = (x, x) %}"),
        doubling("{% set x = dict(a=x, b=x) %}"),
        doubling("{% set x = namespace(a=x) %}"),
        doubling("{% set x = '%s%s' % (x, x) %}"),
        doubling("{% set x = '{}{}'.format(x, x) %}"),
        doubling("{% set x = x.join([x, x]) %}"),
        doubling("{% set x = [x, x]|join %}"),
        doubling("{% set x = x|replace('a', 'aa') %}"),
        doubling("{% set x = x.replace('a', 'aa') %}"),
        doubling("{% set x %}{{ x }}{{ x }}{% endset %}"),
        doubling("{% set x = x|e|replace('a', '&&') %}"),
        "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('a') }}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}".to_owned(),
        "{% set n = namespace(a=[]) %}{% for i in range(90000) %}{% set n.a = [n.a] %}{% endfor %}".to_owned(),
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}".to_owned(),
        "{% set n = namespace() %}{% set n.n = [n] %}{{ n }}".to_owned(),
        "{% set n = namespace() %}{% set n.n = {'n': n} %}{{ n|tojson }}".to_owned(),
        "{% set n = namespace() %}{% macro m() %}{{ n }}{% endmacro %}{% set n.m = m %}".to_owned(),
        "{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}".to_owned(),
        "{{ 'x'|indent(10**9) }}".to_owned(),
        "{{ 'x'|center(10**9) }}".to_owned(),
        "{{ 'x'.ljust(10**9) }}".to_owned(),
        "{{ '%1000000000d' % 1 }}".to_owned(),
        "{{ '%*d' % (1000000000, 1) }}".to_owned(),
        "{{ '%.999999999f'|format(1.0) }}".to_owned(),
        "{{ '{:>1000000000}'.format(1) }}".to_owned(),
        "{{ [1]|batch(10**9, 'x')|list }}".to_owned(),
        "{{ [1]|slice(10**9)|list }}".to_owned(),
        "{{ [1]|tojson(indent=10**9) }}".to_owned(),
        format!("{}{}", "{{ 'a' * 1000000 }}".repeat(3), "x"),
        nested("[", "]", 100),
        nested("[", "]", 100_000),
        nested("(", ")", 100_000),
        nested("{'a':", "1}", 100_000),
        nested("-", "1", 100_000),
        nested("not ", "1", 100_000) + "{{ x }}",
        nested("x(", ")", 100_000),
        nested("x[", "]", 100_000),
        nested("1 if 1 else ", "1", 100_000),
        "{% if true %}".repeat(100_000),
        format!("{}{}", "{% if true %}".repeat(1000), "{% endif %}".repeat(1000)) + "{{ x }}",
        "{% for i in [1] %}".repeat(1000),
        format!("{{{{ x{} }}}}", "|upper".repeat(100_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " + 1 - 1".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " * 2".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " and x".repeat(100_000)),
        format!("{{{{ 'a'{} }}}}", " ~ x".repeat(100_000)),
        "{{ '".repeat(100_000),
        "{#".repeat(100_000),
        "{% raw %}".repeat(100_000),
        "{%".repeat(100_000),
    ];
    // As deep as a worker thread is.
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let all = move || {
        for bomb in bombs {
            let start = Instant::now();
            let message = render(&bomb).expect_err(&bomb[..bomb.len().min(90)]);
            let shown = &bomb[..bomb.len().min(90)];
            assert!(message.starts_with("t.yaml"), "{message}");
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{shown} took {:?}",
                start.elapsed()
            );
        }
    };
    thread.spawn(all).unwrap().join().unwrap();
}

#[test]
fn what_honest_templates_do_fits_the_limits() {
    let text = "x".repeat(100_000);
    assert_eq!(render(&text).unwrap().len(), 100_000);
    let loops = "{% for i in range(100) %}{% for j in range(100) %}{{ i ~ '-' ~ j }},{% endfor %}{% endfor %}";
    assert_eq!(render(loops).unwrap().split(',').count(), 10_001);
}

#[test]
fn a_lone_expression_keeps_its_type() {
    let limits = Limits::default();
    let value = |text: &str| templates(&variables(), &limits).evaluate("manifest.yaml", text);
    assert_eq!(
        value("{{ environment.inputs.zones }}").unwrap(),
        json!(["a", "b"])
    );
    assert_eq!(
        value("{{ environment.inputs.count + 1 }}").unwrap(),
        json!(6)
    );
    assert_eq!(
        value("{{ environment.outputs }}").unwrap()["my-output"],
        "o"
    );
    assert_eq!(
        value("{{ [{'a': 1.5}, none, true] }}").unwrap(),
        json!([{"a": 1.5}, null, true])
    );
    assert_eq!(
        value("n={{ environment.inputs.count }}").unwrap(),
        json!("n=5")
    );
    assert_eq!(value("{{ 1 }}{{ 2 }}").unwrap(), json!("12"));
    assert_eq!(value("plain").unwrap(), json!("plain"));
    assert_eq!(
        value("{{ environment.inputs.nope }}")
            .unwrap_err()
            .to_string(),
        "manifest.yaml line 1: a value is used that does not exist, in {{ environment.inputs.nope }}"
    );
    assert!(value("{{ range(10**9) }}").is_err());
    assert!(value("{{ namespace }}").is_err());
}
