use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Templates that together use what real ones use, and what they evaluate to.
const FIXTURES: &[(&str, &str, &str)] = &[
    (
        "network",
        include_str!("fixtures/network.yaml"),
        include_str!("fixtures/network.outputs"),
    ),
    (
        "pipeline",
        include_str!("fixtures/pipeline.json"),
        include_str!("fixtures/pipeline.outputs"),
    ),
    (
        "functions",
        include_str!("fixtures/functions.yaml"),
        include_str!("fixtures/functions.outputs"),
    ),
    (
        "fleet",
        include_str!("fixtures/fleet.yaml"),
        include_str!("fixtures/fleet.outputs"),
    ),
];

fn stack() -> Stack<'static> {
    Stack::new("123456789012", "us-east-1", "prod".to_owned())
}

fn outputs(template: &str) -> Result<Vec<(String, String)>, String> {
    evaluate(template.as_bytes(), &stack()).map_err(|refusal| refusal.to_string())
}

fn refused(template: &str) -> String {
    outputs(template).unwrap_err()
}

/// The value of one output, with a few things around it to refer to.
fn value(expression: &str) -> Result<String, String> {
    let template = format!(
        "Parameters:\n  List: {{Type: CommaDelimitedList, Default: 'x,y'}}\n\
         Mappings:\n  M: {{a: {{b: c, l: [1, 2]}}}}\n\
         Conditions:\n  Never: !Equals [a, b]\n\
         Resources:\n  Topic: {{Type: AWS::SNS::Topic, Properties: {{TopicName: news}}}}\n  \
         Zone: {{Type: AWS::Route53::HostedZone}}\n  \
         Absent: {{Type: AWS::SNS::Topic, Condition: Never}}\n\
         Outputs:\n  V:\n    Value: {expression}\n"
    );
    outputs(&template).map(|outputs| outputs[0].1.clone())
}

#[test]
fn templates_evaluate_to_their_outputs() {
    for (name, template, expected) in FIXTURES {
        let outputs = outputs(template).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let listed: String = (outputs.iter())
            .map(|(key, value)| format!("{key}: {value:?}\n"))
            .collect();
        assert_eq!(listed, *expected, "{name}");
    }
}

#[test]
fn ids_belong_to_one_stack() {
    let template = "Resources:\n  A: {Type: AWS::EC2::VPC}\n  B: {Type: AWS::EC2::VPC}\nOutputs:\n  A: {Value: !Ref A}\n  B: {Value: !Ref B}\n";
    let first = outputs(template).unwrap();
    assert_eq!(first, outputs(template).unwrap());
    assert_ne!(first[0].1, first[1].1);
    let other = Stack::new("123456789012", "us-east-1", "test".to_owned());
    assert_ne!(first, evaluate(template.as_bytes(), &other).unwrap());
}

#[test]
fn functions_compute_what_cloudformation_does() {
    for (expression, expected) in [
        ("!Ref Topic", "arn:aws:sns:us-east-1:123456789012:news"),
        ("!Ref AWS::Region", "us-east-1"),
        (
            "!Sub '${AWS::Partition}/${AWS::URLSuffix}'",
            "aws/amazonaws.com",
        ),
        (
            "!Sub ['${A}-${AWS::AccountId}', {A: !GetAtt Topic.TopicName}]",
            "news-123456789012",
        ),
        ("!Sub '${Topic.TopicName}'", "news"),
        ("!Join ['', [a, !Ref AWS::NoValue, b]]", "ab"),
        (
            "!Join [',', !GetAZs eu-west-1]",
            "eu-west-1a,eu-west-1b,eu-west-1c",
        ),
        ("!Join [',', !FindInMap [M, a, l]]", "1,2"),
        ("!FindInMap [M, !Join ['', [a]], b]", "c"),
        ("!Select ['1', !Ref List]", "y"),
        ("!Select [2, !Split ['|', 'a|b|c']]", "c"),
        ("!If [Never, !Ref Absent, other]", "other"),
        ("!Base64 hello", "aGVsbG8="),
        (
            "!Select [0, !GetAtt Zone.NameServers]",
            "ns-1.awsdns-00.com",
        ),
        ("012", "012"),
        ("''", ""),
    ] {
        assert_eq!(value(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_a_function_cannot_compute_is_refused() {
    for (expression, message) in [
        (
            "!Ref Nowhere",
            "Template format error: Unresolved resource dependencies [Nowhere] in the Outputs block of the template",
        ),
        (
            "!Ref AWS::Nothing",
            "Unresolved resource dependencies [AWS::Nothing]",
        ),
        (
            "!Ref Absent",
            "Unresolved resource dependencies [Absent] in the Outputs block",
        ),
        (
            "!Ref [a]",
            "every Ref object must have a single String value.",
        ),
        (
            "!GetAtt Nowhere.Arn",
            "Template error: instance of Fn::GetAtt references undefined resource Nowhere",
        ),
        (
            "!GetAtt Topic",
            "every Fn::GetAtt object requires two non-empty parameters",
        ),
        (
            "!Sub '${Nowhere.Arn}'",
            "instance of Fn::Sub references invalid resource attribute Nowhere.Arn",
        ),
        (
            "!Sub '${Nowhere}'",
            "Unresolved resource dependencies [Nowhere]",
        ),
        ("!Sub '${a b}'", "variable names in Fn::Sub syntax"),
        (
            "!Sub '${List}'",
            "Fn::Sub expression does not resolve to a string",
        ),
        ("!Sub [a, b]", "One or more Fn::Sub intrinsic functions"),
        (
            "!Select [3, !GetAZs eu-west-1]",
            "Template error: Fn::Select cannot select nonexistent value at index 3",
        ),
        ("!Select [-1, [a]]", "nonexistent value at index -1"),
        (
            "!Select [x, [a]]",
            "Fn::Select requires a list argument with two elements",
        ),
        (
            "!Select [0, a]",
            "Fn::Select requires a list argument with two elements",
        ),
        (
            "!Join [',', a]",
            "every Fn::Join object requires two parameters",
        ),
        (
            "!Join [',', [[a]]]",
            "every Fn::Join object requires two parameters",
        ),
        (
            "!Split ['', a]",
            "every Fn::Split object requires two parameters",
        ),
        (
            "!FindInMap [N, a, b]",
            "Mapping named 'N' is not present in the 'Mappings' section of template.",
        ),
        (
            "!FindInMap [M, a, z]",
            "Template error: Unable to get mapping for M::a::z",
        ),
        (
            "!FindInMap [M, a]",
            "every Fn::FindInMap object requires three parameters",
        ),
        (
            "!If [Unknown, a, b]",
            "unresolved condition dependency Unknown in the Outputs block of the template",
        ),
        (
            "!If [Never, a]",
            "Fn::If requires a list argument with three elements",
        ),
        (
            "!Cidr [10.0.0.0/24, 300, 8]",
            "Fn::Cidr cannot cut 10.0.0.0/24",
        ),
        ("!ImportValue other", "the local engine knows no exports"),
        ("!Transform {Name: x}", "the local engine runs no macros"),
        ("{'Fn::Length': [a]}", "Fn::Length is no function"),
        ("!Equals [a, b]", "every Fn::Equals object requires"),
        ("!Ref List", "must evaluate to a String and not a List."),
        (
            "!GetAtt Zone.NameServers",
            "must evaluate to a String and not a List.",
        ),
        ("{a: b}", "must evaluate to a String and not a Map."),
        (
            "!Ref AWS::NoValue",
            "Template format error: The Value field of every Outputs member must evaluate to a String.",
        ),
    ] {
        let refusal = value(expression).unwrap_err();
        assert!(refusal.contains(message), "{expression}: {refusal}");
    }
}

#[test]
fn the_structure_is_that_of_a_template() {
    let with = |text: &str| format!("Resources:\n  A: {{Type: AWS::SNS::Topic}}\n{text}\n");
    for (template, message) in [
        ("Outputs: {}".to_owned(), "At least one Resources member must be defined."),
        ("Resources: {}".to_owned(), "At least one Resources member must be defined."),
        ("Resources: [a]".to_owned(), "The Resources section must be an object."),
        (with("Resource: {}\nVariables: {}"), "Invalid template property or properties [Resource, Variables]"),
        (with("Globals: {}"), "Invalid template property or properties [Globals]"),
        (with("AWSTemplateFormatVersion: 2011-09-09"), "AWSTemplateFormatVersion must be 2010-09-09"),
        (with("Description: [a]"), "every Description member must be a string."),
        (with(&format!("Description: {}", "x".repeat(1025))), "'Description' length is greater than 1024."),
        (with("  B: {}"), "[/Resources/B] Every Resources object must contain a Type member."),
        (with("  B: text"), "[/Resources/B] Any Resources member must be an object."),
        (with("  B-C: {Type: AWS::SNS::Topic}"), "Resources name 'B-C' is non alphanumeric."),
        (with("  A.B: {Type: AWS::SNS::Topic}"), "Resources name 'A.B' is non alphanumeric."),
        (with("  B: {Type: Topic}"), "Unrecognized resource types: [Topic]"),
        (with("  B: {Type: AWS::Serverless::Function}"), "Unrecognized resource types: [AWS::Serverless::Function]"),
        (with("  B: {Type: AWS::SNS::Topic, Propertys: {}}"), "Invalid template resource property 'Propertys'"),
        (with("  B: {Type: AWS::SNS::Topic, Properties: []}"), "'Properties' must be an object."),
        (with("  B: {Type: AWS::SNS::Topic, DeletionPolicy: Keep}"), "Unrecognized DeletionPolicy for resource B"),
        (with("  B: {Type: AWS::SNS::Topic, DependsOn: C}"), "Unresolved resource dependencies [C] in the Resources block"),
        (with("  B: {Type: AWS::SNS::Topic, DependsOn: {a: b}}"), "DependsOn must be a string or a list of strings."),
        (with("  B: {Type: AWS::SNS::Topic, Condition: C}"), "unresolved condition dependency C in the Resources block"),
        (with("  B: {Type: AWS::SNS::Topic, Properties: {X: }}"), "[/Resources/B/Type/X] 'null' values are not allowed in templates"),
        (with("  A: {Type: AWS::SNS::Topic}"), "the key \"A\" is given twice"),
        (with("Outputs:\n  X: {}"), "Every Outputs member must contain a Value object"),
        (with("Outputs:\n  X: text"), "Output X is malformed."),
        (with("Outputs:\n  X: {Value: a, Export: {}}"), "Output X is malformed. The Name field"),
        (with("Outputs:\n  X: {Value: a, Type: b}"), "Invalid template output property 'Type'"),
        (with("Outputs:\n  X_Y: {Value: a}"), "Outputs name 'X_Y' is non alphanumeric."),
        (with(&format!("Outputs:\n  X: {{Value: {}}}", "x".repeat(1025))), "output X has 1025 characters, the limit is 1024"),
        (with("Mappings: {M: a}"), "Every Mappings member M must be a map of maps"),
        (with("Mappings: {M: {a: {b: {c: d}}}}"), "must be a String or a List: M::a::b"),
        (with("Conditions: {C: true}"), "Every Conditions member must be a function of conditions"),
        (with("Conditions: {C: !Equals [!Ref A, b]}"), "Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template"),
        (with("Conditions: {C: !And [!Condition D]}"), "every Fn::And object requires a list of at least 2 and at most 10"),
        (with("Conditions: {C: !Not [!Condition D], D: !Not [!Condition C]}"), "circular condition dependency between C and D"),
        (with("Conditions: {C: !Condition D}"), "unresolved condition dependency D in the Conditions block"),
        (with("Transform: AWS::Include"), "cannot run the transform AWS::Include"),
        (with("Transform: {Name: AWS::Include}"), "runs no macros"),
        (with("Transform: AWS::Serverless-2016-10-31\nGlobals: {Functions: {}}"), "'Globals' section is invalid. 'Functions' is not supported"),
        ("Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {Type: AWS::Serverless::Thing}".to_owned(), "AWS::Serverless::Thing is unknown"),
    ] {
        let refusal = refused(&template);
        assert!(refusal.contains(message), "{template}: {refusal}");
    }
}

#[test]
fn a_section_has_only_so_many_members() {
    let many = |count: usize, member: &str| {
        (0..count).fold(String::new(), |text, index| {
            text + &member.replace('#', &index.to_string())
        })
    };
    let resources = many(501, "  R#: {Type: AWS::SNS::Topic}\n");
    assert!(
        refused(&format!("Resources:\n{resources}"))
            .contains("Number of resources, 501, is greater than maximum allowed, 500")
    );
    let outputs = many(201, "  O#: {Value: a}\n");
    assert!(
        refused(&format!(
            "Resources:\n  A: {{Type: AWS::SNS::Topic}}\nOutputs:\n{outputs}"
        ))
        .contains("Number of outputs, 201, is greater than maximum allowed, 200")
    );
}

#[test]
fn circular_dependencies_are_named() {
    let cycle = "Resources:\n\
         \x20 A: {Type: AWS::SNS::Topic, Properties: {X: !Ref B}}\n\
         \x20 B: {Type: AWS::SNS::Topic, DependsOn: [C]}\n\
         \x20 C: {Type: AWS::SNS::Topic, Properties: {X: !Sub '${A.TopicName}'}}\n\
         \x20 D: {Type: AWS::SNS::Topic, DependsOn: A}\n";
    assert_eq!(
        refused(cycle),
        "Circular dependency between resources: [A, B, C]"
    );
}

#[test]
fn a_branch_that_is_not_taken_makes_no_dependency() {
    let template = "Conditions:\n  C: !Equals [a, b]\nResources:\n\
         \x20 A: {Type: AWS::SNS::Topic, Properties: {X: !If [C, !Ref B, none]}}\n\
         \x20 B: {Type: AWS::SNS::Topic, Condition: C, Properties: {X: !Ref A}}\n\
         \x20 E: {Type: AWS::SNS::Topic, DependsOn: B}\n";
    assert_eq!(outputs(template), Ok(vec![]));
}

#[test]
fn parameters_have_their_defaults() {
    let with = |parameter: &str| {
        outputs(&format!(
            "Parameters:\n  P: {parameter}\nResources:\n  A: {{Type: AWS::SNS::Topic}}\nOutputs:\n  V: {{Value: !Join ['|', [!Ref P]]}}\n"
        ))
        .map(|outputs| outputs[0].1.clone())
    };
    for (parameter, expected) in [
        ("{Type: String, Default: a}", Ok("a")),
        ("{Type: Number, Default: 1.50}", Ok("1.50")),
        ("{Type: AWS::EC2::VPC::Id, Default: vpc-1}", Ok("vpc-1")),
        (
            "{Type: AWS::SSM::Parameter::Name, Default: /a/b}",
            Ok("/a/b"),
        ),
        (
            "{Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b}",
            Ok("value-of-a-b"),
        ),
        ("{Type: String}", Err("Parameters: [P] must have values")),
        (
            "{Default: a}",
            Err(
                "Template format error: Every Parameters object must contain a Type member. [/Parameters/P]",
            ),
        ),
        (
            "{Type: Text, Default: a}",
            Err("Template format error: Unrecognized parameter type: Text"),
        ),
        (
            "{Type: Number, Default: a}",
            Err("Parameter 'P' must be a number"),
        ),
        (
            "{Type: String, Default: a, AllowedValues: [b, c]}",
            Err("Parameter 'P' must be one of AllowedValues"),
        ),
    ] {
        assert_eq!(
            with(parameter).as_deref().map_err(String::as_str),
            expected,
            "{parameter}"
        );
    }
}

#[test]
fn an_unlisted_type_has_plausible_attributes() {
    let template = "Resources:\n  A: {Type: AWS::Panorama::Package, Properties: {Size: 3}}\nOutputs:\n\
         \x20 Size: {Value: !GetAtt A.Size}\n\
         \x20 Arn: {Value: !GetAtt A.Arn}\n\
         \x20 Url: {Value: !GetAtt A.Console.Url}\n\
         \x20 Port: {Value: !GetAtt A.Endpoint.Port}\n";
    let outputs = outputs(template).unwrap();
    assert_eq!(outputs[0].1, "3");
    assert!(
        outputs[1]
            .1
            .starts_with("arn:aws:panorama:us-east-1:123456789012:package/prod-A-"),
        "{outputs:?}"
    );
    assert!(outputs[2].1.starts_with("https://"), "{outputs:?}");
    assert_eq!(outputs[3].1, "443");
}

#[test]
fn growth_is_bounded() {
    let doubling = (1..400).fold(
        "Resources:\n  A0: {Type: AWS::SNS::Topic, Properties: {TopicName: xxxxxxxx}}\n".to_owned(),
        |text, index| {
            let before = index - 1;
            text + &format!("  A{index}: {{Type: AWS::SNS::Topic, Properties: {{TopicName: !Sub '${{A{before}}}${{A{before}}}'}}}}\n")
        },
    );
    let splits = "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties:\n      X: &\n"
        .replace("&", &format!("!Split [x, '{}']", "x".repeat(900_000)));
    let lists = (0..490).fold("Resources:\n".to_owned(), |text, index| {
        let properties = match index {
            0 => format!("{{L: !Split [x, '{}']}}", "x".repeat(9_000)),
            _ => format!("{{L: [!GetAtt A{0}.L, !GetAtt A{0}.L]}}", index - 1),
        };
        text + &format!("  A{index}: {{Type: Custom::T, Properties: {properties}}}\n")
    });
    let events = (0..30_000).fold(String::new(), |text, index| {
        text + &format!("E{index}: {{Type: SQS}}, ")
    });
    let events = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {{Type: AWS::Serverless::Function, Properties: {{Events: {{{events}}}}}}}\n"
    );
    let variables = (0..30_000).fold(String::new(), |text, index| {
        text + &format!("v{index}: a, ")
    });
    let variables = format!(
        "Resources:\n  A: {{Type: Custom::T, Properties: {{X: !Sub ['{}', {{{variables}}}]}}}}\n",
        "${v7}".repeat(30_000)
    );
    for template in [doubling, splits, lists, events, variables] {
        let start = Instant::now();
        let evaluated = outputs(&template);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        if let Err(refusal) = evaluated {
            assert!(
                refusal.starts_with("the template evaluates to more text")
                    || refusal.contains("greater than maximum allowed, 500"),
                "{refusal}"
            );
        }
    }
}

#[test]
fn nesting_fits_the_stack_of_a_worker_thread() {
    let nested = |inner: &str, depth: usize| {
        let (open, close) = ("!Join ['', [".repeat(depth), "]]".repeat(depth));
        format!(
            "Resources:\n  A:\n    Type: Custom::T\n    Properties:\n      X: {open}{inner}{close}\n"
        )
    };
    let (fits, deeper) = (nested("a", 45), nested("a", 60));
    let evaluate_both = move || (outputs(&fits), outputs(&deeper));
    let thread = std::thread::Builder::new().stack_size(1024 * 1024);
    let (fits, deeper) = thread.spawn(evaluate_both).unwrap().join().unwrap();
    assert_eq!(fits, Ok(vec![]));
    assert!(deeper.unwrap_err().contains("nested more than"));
}

/// A fixture with a few characters changed, or pieces of it put elsewhere.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..24usize,
        0..3u8,
        "[\\[\\]{}!&*:,'\"|>#% \nA-Za-z0-9$.-]{0,6}",
    );
    let fixture = prop::sample::select(FIXTURES);
    (fixture, prop::collection::vec(edit, 1..6)).prop_map(|((_, text, _), edits)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, to, length, how, insert) in edits {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            let cut: Vec<char> = match how {
                0 => text.splice(at..end, insert.chars()).collect(),
                1 => text[at..end].to_vec(),
                _ => text.splice(at..end, []).collect(),
            };
            if how > 0 && !text.is_empty() {
                let to = to.index(text.len());
                text.splice(to..to, cut);
            }
            if text.is_empty() {
                text.push('a');
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_evaluated_or_refused(text in "(\\PC|[\n\t\\[\\]{}!&*:,'\"|>#%-]){0,200}") {
        let _ = outputs(&text);
    }

    #[test]
    fn any_body_of_a_template_is_evaluated_or_refused(
        kind in "[A-Z]{1,3}(::[A-Za-z]{1,5}){0,3}",
        body in "(!(Ref|Sub|Join|Select|GetAtt|If|Cidr|Split)|[\\[\\]{}:, '\"$A.0-9-]){0,60}",
    ) {
        let _ = outputs(&format!("Resources:\n  A:\n    Type: {kind}\n    Properties:\n      X: {body}\nOutputs:\n  V: {{Value: {body}}}\n"));
    }

    #[test]
    fn any_change_to_a_template_is_evaluated_or_refused(text in mutated()) {
        let _ = outputs(&text);
    }
}
