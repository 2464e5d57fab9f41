//! The contract as the generator sees it: messages with their fields' kinds and rules, enums,
//! operations. Everything here is read from the descriptors; nothing is known by name.

use std::collections::BTreeSet;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor,
    MessageDescriptor, MethodDescriptor, Value,
};

use crate::Result;

pub const PACKAGE: &str = "proton.v1";
const TIMESTAMP: &str = "google.protobuf.Timestamp";

pub struct Contract {
    pool: DescriptorPool,
    /// Every message of the API (the option messages of the contract itself left out).
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
    pub operations: Vec<Operation>,
    /// What only our own control plane knows: operations without a counterpart in the SDK.
    pub inventions: Vec<Operation>,
    pub pages: Vec<Operation>,
    pub waits: Vec<Wait>,
}

pub struct Message {
    pub name: String,
    pub fields: Vec<Field>,
    pub role: Role,
    /// Reachable from a request, from a response.
    pub sent: bool,
    pub answered: bool,
    /// Whether the SDK has a type for it.
    pub in_sdk: bool,
    /// Whether the facade itself writes and reads its AWS-JSON.
    pub forwarded: bool,
}

#[derive(Clone, PartialEq)]
pub enum Role {
    /// The operation's name.
    Request(String),
    Response(String),
    Structure,
    /// A message that is only a oneof.
    Union,
    /// A message that is only a repeated `items`: a list that can be absent.
    List,
}

pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub repeated: bool,
    /// Whether the API always has this member.
    pub required: bool,
    pub redacted: bool,
    /// The field's `buf.validate` rules.
    pub rules: Option<DynamicMessage>,
}

#[derive(Clone, PartialEq)]
pub enum Kind {
    String,
    Int32,
    Bool,
    Timestamp,
    Enum(String),
    Structure(String),
    Union(String),
    List(String),
}

pub struct Enum {
    pub name: String,
    pub values: Vec<EnumValue>,
    pub sent: bool,
    pub answered: bool,
}

pub struct EnumValue {
    /// The Rust variant, the same in prost's type and in the SDK's.
    pub variant: String,
    /// The value as AWS-JSON writes it.
    pub wire: String,
}

pub struct Operation {
    pub name: String,
    pub class: Class,
    /// Modelled exceptions beside the four that every operation has.
    pub errors: Vec<String>,
    /// Request fields that name the resource, outermost first.
    pub identity: Vec<String>,
}

#[derive(Clone, Copy)]
pub enum Class {
    Read,
    Token,
    Idempotent,
    Unsafe,
}

pub struct Wait {
    pub name: String,
    /// The operation that reads the resource.
    pub reads: String,
    /// Fields from the response down to the status.
    pub path: Vec<String>,
    pub status: Enum,
    pub message: String,
    pub success: Vec<String>,
    pub failure: Vec<String>,
    pub succeeds_when_gone: bool,
    pub poll_seconds: u32,
}

impl Contract {
    pub fn new(pool: DescriptorPool) -> Result<Self> {
        let service = |name: &str| {
            pool.get_service_by_name(&format!("{PACKAGE}.{name}"))
                .ok_or_else(|| format!("the contract has no {name}"))
        };
        let (unary, streaming) = (
            service("ProtonService")?,
            service("ProtonStreamingService")?,
        );
        let mut contract = Self {
            messages: Vec::new(),
            enums: Vec::new(),
            operations: Vec::new(),
            inventions: Vec::new(),
            pages: Vec::new(),
            waits: Vec::new(),
            pool: pool.clone(),
        };
        let (mut sent, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for method in unary.methods() {
            reach(&method.input(), &mut sent);
            reach(&method.output(), &mut answered);
            contract.operations.push(contract.operation(&method));
        }
        let in_sdk = &sent | &answered;
        let mut forwarded = BTreeSet::new();
        for method in streaming.methods() {
            if !method.is_server_streaming() {
                for (message, found) in [
                    (method.input(), &mut sent),
                    (method.output(), &mut answered),
                ] {
                    reach(&message, found);
                    reach(&message, &mut forwarded);
                }
                contract.inventions.push(contract.operation(&method));
                continue;
            }
            match contract.wait(&method)? {
                Some(wait) => contract.waits.push(wait),
                None => contract.pages.push(contract.operation(&method)),
            }
        }
        for descriptor in pool.all_messages() {
            let is_in = |set: &BTreeSet<String>| set.contains(descriptor.full_name());
            if descriptor.package_name() == PACKAGE && (is_in(&sent) || is_in(&answered)) {
                let mut message = contract.message(&descriptor, is_in(&sent), is_in(&answered));
                message.in_sdk = is_in(&in_sdk);
                message.forwarded = is_in(&forwarded);
                contract.messages.push(message);
            }
        }
        for descriptor in pool
            .all_enums()
            .filter(|found| found.package_name() == PACKAGE)
        {
            let mut found = contract.enumeration(&descriptor);
            let in_sdk = in_sdk.contains(descriptor.full_name());
            found.sent = in_sdk && sent.contains(descriptor.full_name());
            found.answered = in_sdk && answered.contains(descriptor.full_name());
            contract.enums.push(found);
        }
        Ok(contract)
    }

    pub fn find(&self, name: &str) -> &Message {
        self.messages
            .iter()
            .find(|message| message.name == name)
            .expect("fields name messages of the contract")
    }

    fn extension(&self, name: &str) -> ExtensionDescriptor {
        self.pool
            .get_extension_by_name(name)
            .expect("the contract declares its own options")
    }

    fn operation(&self, method: &MethodDescriptor) -> Operation {
        let options = method.options();
        let errors = options.get_extension(&self.extension("proton.v1.aws_errors"));
        let level = options
            .get_field_by_name("idempotency_level")
            .and_then(|level| level.as_enum_number());
        let input = method.input();
        let class = match level {
            Some(1) => Class::Read,
            Some(2) if input.get_field_by_name("client_token").is_some() => Class::Token,
            Some(2) => Class::Idempotent,
            _ => Class::Unsafe,
        };
        Operation {
            name: method.name().to_owned(),
            class,
            errors: texts(&errors),
            identity: identity(&input),
        }
    }

    fn wait(&self, method: &MethodDescriptor) -> Result<Option<Wait>> {
        let extension = self.extension("proton.v1.waiter");
        let options = method.options();
        if !options.has_extension(&extension) {
            return Ok(None);
        }
        let waiter = options.get_extension(&extension);
        let waiter = waiter.as_message().expect("the waiter option is a message");
        let get = |name: &str| {
            waiter
                .get_field_by_name(name)
                .expect("the waiter option has this field")
        };
        let path: Vec<String> = get("status")
            .as_str()
            .expect("a path")
            .split('.')
            .map(str::to_owned)
            .collect();
        let (status, parents) = path.split_last().expect("a path has a last part");
        let mut holder = method.output();
        for part in parents {
            holder = match holder.get_field_by_name(part).map(|field| field.kind()) {
                Some(prost_reflect::Kind::Message(message)) => message,
                _ => return Err(format!("{}: no message {part}", method.name()).into()),
            };
        }
        let field = holder
            .get_field_by_name(status)
            .ok_or("the status field is missing")?;
        let prost_reflect::Kind::Enum(states) = field.kind() else {
            return Err(format!("{}: {status} is no enum", method.name()).into());
        };
        let message = format!("{status}_message");
        holder
            .get_field_by_name(&message)
            .ok_or("a status has a message beside it")?;
        Ok(Some(Wait {
            name: method.name().to_owned(),
            reads: method.input().name().trim_end_matches("Request").to_owned(),
            status: self.enumeration(&states),
            message,
            success: texts(&get("success")),
            failure: texts(&get("failure")),
            succeeds_when_gone: get("succeeds_when_gone").as_bool().unwrap_or_default(),
            poll_seconds: get("poll_seconds").as_u32().unwrap_or_default(),
            path,
        }))
    }

    fn message(&self, message: &MessageDescriptor, sent: bool, answered: bool) -> Message {
        let name = message.name().to_owned();
        let operation = |suffix| name.strip_suffix(suffix).map(str::to_owned);
        let role = match (operation("Request"), operation("Response")) {
            (Some(operation), _) => Role::Request(operation),
            (_, Some(operation)) => Role::Response(operation),
            _ => shape(message),
        };
        let fields = message
            .fields()
            .map(|field| self.field(&field, &role))
            .collect();
        Message {
            name,
            fields,
            role,
            sent,
            answered,
            in_sdk: true,
            forwarded: false,
        }
    }

    fn field(&self, field: &FieldDescriptor, role: &Role) -> Field {
        let options = field.options();
        let rules = self.extension("buf.validate.field");
        let rules = options.has_extension(&rules).then(|| {
            options
                .get_extension(&rules)
                .as_message()
                .expect("rules are a message")
                .clone()
        });
        let optional_list = options.get_extension(&self.extension("proton.v1.optional_list"));
        let kind = kind(field);
        let required = match kind {
            _ if *role == Role::Union => false,
            _ if field.is_list() => optional_list.as_bool() != Some(true),
            Kind::Structure(_) | Kind::Union(_) | Kind::List(_) | Kind::Timestamp => rules
                .as_ref()
                .and_then(|rules| rules.get_field_by_name("required")?.as_bool())
                .unwrap_or_default(),
            _ => !field.supports_presence(),
        };
        Field {
            name: field.name().to_owned(),
            repeated: field.is_list(),
            redacted: options
                .get_field_by_name("debug_redact")
                .and_then(|redact| redact.as_bool())
                .unwrap_or_default(),
            kind,
            required,
            rules,
        }
    }

    fn enumeration(&self, descriptor: &EnumDescriptor) -> Enum {
        let wire_name = self.extension("proton.v1.wire_name");
        let unspecified = descriptor.default_value();
        let prefix = unspecified
            .name()
            .strip_suffix("UNSPECIFIED")
            .expect("the zero value ends in UNSPECIFIED")
            .to_owned();
        let values = descriptor
            .values()
            .filter(|value| value.number() != 0)
            .map(|value| {
                let bare = value
                    .name()
                    .strip_prefix(&prefix)
                    .expect("values carry the enum's name");
                let options = value.options();
                let wire = match options.has_extension(&wire_name) {
                    true => options
                        .get_extension(&wire_name)
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                    false => bare.to_owned(),
                };
                EnumValue {
                    variant: crate::emit::camel(bare),
                    wire,
                }
            });
        Enum {
            name: descriptor.name().to_owned(),
            values: values.collect(),
            sent: false,
            answered: false,
        }
    }
}

/// Collects the names of everything that `message` can hold.
fn reach(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    if !found.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        match field.kind() {
            prost_reflect::Kind::Message(inner) => reach(&inner, found),
            prost_reflect::Kind::Enum(inner) => {
                found.insert(inner.full_name().to_owned());
            }
            _ => {}
        }
    }
}

fn shape(message: &MessageDescriptor) -> Role {
    let mut fields = message.fields();
    if message.oneofs().any(|oneof| !oneof.is_synthetic()) {
        Role::Union
    } else if let (Some(only), None) = (fields.next(), fields.next())
        && only.is_list()
        && only.name() == "items"
    {
        Role::List
    } else {
        Role::Structure
    }
}

fn kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        prost_reflect::Kind::String => Kind::String,
        prost_reflect::Kind::Int32 => Kind::Int32,
        prost_reflect::Kind::Bool => Kind::Bool,
        prost_reflect::Kind::Enum(inner) => Kind::Enum(inner.name().to_owned()),
        prost_reflect::Kind::Message(inner) if inner.full_name() == TIMESTAMP => Kind::Timestamp,
        prost_reflect::Kind::Message(inner) => match shape(&inner) {
            Role::Union => Kind::Union(inner.name().to_owned()),
            Role::List => Kind::List(inner.name().to_owned()),
            _ => Kind::Structure(inner.name().to_owned()),
        },
        other => panic!(
            "{}: the contract has no {other:?} fields",
            field.full_name()
        ),
    }
}

/// The request fields that name the resource: its own `name` below its service, or else every
/// required name, id, version or ARN.
fn identity(request: &MessageDescriptor) -> Vec<String> {
    let given = |name: &str| {
        request
            .get_field_by_name(name)
            .is_some_and(|field| !field.supports_presence() && !field.is_list())
    };
    let names: &[&str] = match given("name") {
        true => &["service_name", "name"],
        false => &[
            "id",
            "resource_arn",
            "component_name",
            "environment_name",
            "service_name",
            "service_instance_name",
            "repository_name",
            "template_name",
            "major_version",
            "minor_version",
        ],
    };
    names
        .iter()
        .filter(|name| given(name))
        .map(|name| (*name).to_owned())
        .collect()
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_list().unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
