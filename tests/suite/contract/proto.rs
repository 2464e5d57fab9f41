//! What the contract says.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use proton_grpc::api::operation;

use super::{COMMON_ERRORS, Field};
use crate::descriptors::{
    PACKAGE, extension, is_invented, is_optional_list, is_redacted, is_timestamp, is_union, items,
    option, pool, rules::Rules, service, values, wire_name,
};

/// What the contract adds to Protobuf's own options.
const OPTIONS: [&str; 4] = ["aws_errors", "optional_list", "waiter", "wire_name"];

pub(super) fn facts() -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for method in service("ProtonService").methods() {
        facts.extend(operation_facts(&method));
    }
    let streams = service("ProtonStreamingService");
    for method in streams.methods().filter(is_of_the_api) {
        facts.extend(stream(&method));
    }
    for message in pool()
        .all_messages()
        .filter(|message| message.package_name() == PACKAGE && !is_invented(&message.parent_file()))
    {
        // The shape of an option, and lists that can be absent, are not the API's.
        if message.name() != "Waiter" && items(&Kind::Message(message.clone())).is_none() {
            facts.extend(message_facts(&message));
        }
    }
    for found in pool()
        .all_enums()
        .filter(|found| found.package_name() == PACKAGE && !is_invented(&found.parent_file()))
    {
        let values = values(&found);
        facts.extend(
            values
                .iter()
                .map(|value| format!("enum {} has {}", found.name(), wire_name(value))),
        );
    }
    facts
}

/// Whether the method is one of the API's, or makes a stream of one.
fn is_of_the_api(method: &MethodDescriptor) -> bool {
    !is_invented(&method.input().parent_file())
}

fn operation_facts(method: &MethodDescriptor) -> Vec<String> {
    let name = method.name();
    let table = operation::find(name)
        .map(|facts| format!("{:?}", facts.class))
        .unwrap_or_default();
    let mut facts = vec![
        format!(
            "{name} takes {} and answers {}",
            method.input().name(),
            method.output().name()
        ),
        format!("{name} is {}, class {table}", level(method)),
    ];
    let special = method
        .options()
        .get_extension(&extension("proton.v1.aws_errors"))
        .into_owned();
    let errors = COMMON_ERRORS.into_iter().chain(texts(&special));
    facts.extend(errors.map(|error| format!("{name} may fail with {error}")));
    if method.is_server_streaming() || method.is_client_streaming() {
        facts.push(format!("{name} is a stream"));
    }
    facts
}

fn level(method: &MethodDescriptor) -> String {
    let options = method.options();
    let field = options.get_field_by_name("idempotency_level");
    let number = field
        .and_then(|level| level.as_enum_number())
        .unwrap_or_default();
    let levels = pool()
        .get_enum_by_name("google.protobuf.MethodOptions.IdempotencyLevel")
        .unwrap();
    levels.get_value(number).unwrap().name().to_owned()
}

fn stream(method: &MethodDescriptor) -> Vec<String> {
    let name = method.name();
    let mut facts = match option(&method.options(), "proton.v1.waiter") {
        Some(waiter) => wait(
            method,
            waiter.as_message().expect("the waiter option is a message"),
        ),
        None => vec![pages(method)],
    };
    let shape = (method.is_client_streaming(), method.is_server_streaming());
    if shape != (false, true) || level(method) != "NO_SIDE_EFFECTS" {
        facts.push(format!("{name} is not a read that answers with a stream"));
    }
    facts
}

fn pages(method: &MethodDescriptor) -> String {
    let (name, input, output) = (method.name(), method.input(), method.output());
    let json_name = |message: &MessageDescriptor, name: &str| {
        message
            .get_field_by_name(name)
            .map(|field| field.json_name().to_owned())
    };
    let lists: Vec<_> = output
        .fields()
        .filter(|field| field.is_list())
        .map(|field| field.json_name().to_owned())
        .collect();
    format!(
        "{} pages {} by {}, {} and {:?}",
        if input.name() == format!("{name}Request") {
            name
        } else {
            input.name()
        },
        lists.join(" and "),
        json_name(&input, "next_token").unwrap_or_default(),
        json_name(&output, "next_token").unwrap_or_default(),
        json_name(&input, "max_results"),
    )
}

fn wait(method: &MethodDescriptor, waiter: &DynamicMessage) -> Vec<String> {
    let name = method.name();
    let get = |name: &str| {
        waiter
            .get_field_by_name(name)
            .expect("the option has this field")
            .into_owned()
    };
    let path = json_path(&method.output(), get("status").as_str().expect("a path"));
    let input = method.input();
    let reads = input
        .name()
        .strip_suffix("Request")
        .expect("requests are named so");
    let mut facts = vec![format!(
        "{name} reads {reads} every {} seconds",
        get("poll_seconds").as_u32().expect("a number")
    )];
    for state in ["success", "failure"] {
        let names = get(state);
        facts.extend(
            texts(&names).map(|status| format!("{name} has {state} when {path} is {status}")),
        );
    }
    if get("succeeds_when_gone") == Value::Bool(true) {
        facts.push(format!("{name} has success on ResourceNotFoundException"));
    }
    facts
}

fn json_path(message: &MessageDescriptor, path: &str) -> String {
    let mut message = Some(message.clone());
    let names = path.split('.').map(|name| {
        let field = message.as_ref()?.get_field_by_name(name)?;
        message = field.kind().as_message().cloned();
        Some(field.json_name().to_owned())
    });
    names
        .map(|name| name.expect("the path leads through fields"))
        .collect::<Vec<_>>()
        .join(".")
}

fn message_facts(message: &MessageDescriptor) -> Vec<String> {
    let union = is_union(message);
    let mut facts = vec![format!(
        "{} {}",
        if union { "union" } else { "message" },
        message.name()
    )];
    facts.extend(message.fields().map(|found| field(&found).fact()));
    facts.extend(
        message
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .filter_map(|oneof| {
                let rules = option(&oneof.options(), "buf.validate.oneof")?;
                let required = rules
                    .as_message()?
                    .get_field_by_name("required")?
                    .into_owned();
                let whole = oneof.fields().len() == message.fields().len();
                (required != Value::Bool(true) || !whole)
                    .then(|| format!("{} may be unset", oneof.full_name()))
            }),
    );
    facts
}

fn field(found: &FieldDescriptor) -> Field {
    let wrapped = items(&found.kind());
    let list = wrapped.as_ref().unwrap_or(found);
    let mut rules = Rules::of(found).facts();
    let required = rules.iter().any(|rule| rule == "required=true");
    let in_union = found
        .containing_oneof()
        .is_some_and(|oneof| !oneof.is_synthetic());
    let presence = match found.kind() {
        _ if in_union => "one of the union",
        _ if wrapped.is_some() => "optional even when empty",
        _ if found.is_list() && is_optional_list(found) => "optional",
        _ if found.is_list() => "required",
        Kind::Message(_) if required => "required",
        _ if found.supports_presence() => "optional",
        _ => "required",
    };
    let mut sensitive = is_redacted(found);
    if let Some(items) = &wrapped {
        rules.extend(Rules::of(items).facts());
        sensitive &= is_redacted(items);
    }
    let kind = kind(&list.kind());
    Field {
        name: format!("{}.{}", found.parent_message().name(), found.json_name()),
        kind: if list.is_list() {
            format!("a list of {kind}")
        } else {
            kind
        },
        presence,
        sensitive,
        rules,
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::String => "a string".to_owned(),
        Kind::Int32 => "a number".to_owned(),
        Kind::Bool => "a truth".to_owned(),
        Kind::Enum(found) => found.name().to_owned(),
        kind if is_timestamp(kind) => "a time".to_owned(),
        Kind::Message(found) => found.name().to_owned(),
        other => panic!("the contract has no {other:?} fields"),
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_list()
        .unwrap_or_default()
        .iter()
        .map(|text| text.as_str().expect("a list of texts"))
}

/// What the design adds to the API is this and no more.
#[test]
fn the_contract_invents_only_streams_previews_absent_lists_and_its_options() {
    let ours = |name: &str| name.starts_with(&format!("{PACKAGE}."));
    let mut services: Vec<_> = pool()
        .services()
        .map(|service| service.name().to_owned())
        .collect();
    services.sort();
    assert_eq!(services, ["ProtonService", "ProtonStreamingService"]);

    for method in service("ProtonStreamingService").methods() {
        let invented = [method.input(), method.output()];
        let invented = invented.map(|message| is_invented(&message.parent_file()));
        assert_eq!(
            invented,
            [!method.is_server_streaming(); 2],
            "{}",
            method.name()
        );
        assert_eq!(level(&method), "NO_SIDE_EFFECTS", "{}", method.name());
    }

    let mut options: Vec<_> = pool()
        .all_extensions()
        .filter(|option| ours(option.full_name()))
        .map(|option| option.name().to_owned())
        .collect();
    options.sort();
    assert_eq!(options, OPTIONS);

    let mut lists: BTreeMap<String, usize> = BTreeMap::new();
    for message in pool()
        .all_messages()
        .filter(|message| ours(message.full_name()))
    {
        for field in message
            .fields()
            .filter(|field| items(&field.kind()).is_some())
        {
            *lists
                .entry(field.kind().as_message().unwrap().name().to_owned())
                .or_default() += 1;
        }
    }
    let all: Vec<_> = lists.into_iter().collect();
    let once = |name: &str| (name.to_owned(), 1);
    assert_eq!(
        all,
        [
            once("CompatibleEnvironmentTemplateInputList"),
            once("OutputList"),
            once("SupportedComponentSourceList"),
        ]
    );
}
