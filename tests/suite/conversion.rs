//! AWS-JSON: what each side reads and writes is what the contract says.

use proptest::{
    prop_assert_eq,
    test_runner::{Config, TestCaseResult, TestError, TestRunner},
};
use prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _,
};
use proton_grpc::api::{Code, Error, aws_json, pb};
use serde_json::{Value as Json, json};

use crate::{
    descriptors::{
        self, is_optional_list, is_timestamp, is_union, items, json, pool, request, response,
        rules::Rules, samples,
    },
    operations::{self, Typed},
};

/// Arbitrary messages of each operation.
const CASES: u32 = 12;

fn for_arbitrary(message: &MessageDescriptor, property: impl Fn(DynamicMessage) -> TestCaseResult) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    match TestRunner::new(config).run(&samples::arbitrary(message), property) {
        Ok(()) => {}
        // The property says it in the message's own form; that of the descriptors is endless.
        Err(TestError::Fail(reason, _)) => panic!("{}: {reason}", message.name()),
        Err(TestError::Abort(reason)) => panic!("{}: no samples: {reason}", message.name()),
    }
}

fn read(operation: &Typed, body: &Json) -> Result<DynamicMessage, Error> {
    let bytes = (operation.read)(&serde_json::to_vec(body).unwrap())?;
    Ok(DynamicMessage::decode(request(operation.facts.name), bytes.as_slice()).unwrap())
}

#[test]
fn any_valid_request_is_read_as_it_was_meant() {
    for operation in operations::ALL {
        for_arbitrary(&request(operation.facts.name), |sample| {
            let found = read(operation, &json::write(&sample)).unwrap();
            prop_assert_eq!(found.to_string(), samples::travelled(&sample).to_string());
            Ok(())
        });
    }
}

#[test]
fn any_response_is_written_as_aws_would() {
    for operation in operations::ALL {
        for_arbitrary(&response(operation.facts.name), |sample| {
            let written = (operation.write)(&sample.encode_to_vec());
            prop_assert_eq!(written, json::write(&sample).to_string());
            Ok(())
        });
    }
}

#[test]
fn every_enum_value_and_union_case_survives() {
    let most = pool()
        .all_enums()
        .filter(|found| found.package_name() == descriptors::PACKAGE);
    let most = most.map(|found| descriptors::values(&found).len()).max();
    assert_eq!(
        most,
        Some(samples::VARIANTS),
        "the samples go through all values of the largest enum"
    );
    for operation in operations::ALL {
        let name = operation.facts.name;
        for variant in 0..samples::VARIANTS {
            let sample = samples::full(&request(name), variant);
            assert_eq!(
                read(operation, &json::write(&sample)).unwrap().to_string(),
                samples::travelled(&sample).to_string(),
                "{name}"
            );
            let sample = samples::full(&response(name), variant);
            assert_eq!(
                (operation.write)(&sample.encode_to_vec()),
                json::write(&sample).to_string()
            );
        }
    }
}

#[test]
fn times_are_cut_to_the_millisecond() {
    let operation = operations::ALL
        .iter()
        .find(|operation| operation.facts.name == "GetService")
        .unwrap();
    let descriptor = response("GetService");
    for (seconds, nanos, written) in [
        (1_595_203_200, 0, "1595203200.0"),
        (1_595_203_200, 123_999_999, "1595203200.123"),
        (1_595_203_200, 7_000_000, "1595203200.007"),
        (-1, 500_000_000, "-0.5"),
    ] {
        let mut sample = samples::full(&descriptor, 0);
        let service = sample
            .get_field_by_name_mut("service")
            .unwrap()
            .as_message_mut()
            .unwrap();
        let kind = service
            .descriptor()
            .get_field_by_name("created_at")
            .unwrap()
            .kind();
        service.set_field_by_name("created_at", samples::timestamp(&kind, seconds, nanos));
        let text = (operation.write)(&sample.encode_to_vec());
        assert!(
            text.contains(&format!("\"createdAt\":{written},")),
            "{text}"
        );
    }
}

#[test]
fn the_three_lists_keep_empty_apart_from_absent() {
    for (operation, member) in [
        ("NotifyResourceDeploymentStatusChange", "outputs"),
        (
            "UpdateServiceTemplateVersion",
            "compatibleEnvironmentTemplates",
        ),
        ("UpdateServiceTemplateVersion", "supportedComponentSources"),
    ] {
        let typed = operations::ALL
            .iter()
            .find(|typed| typed.facts.name == operation)
            .unwrap();
        let field = request(operation).get_field_by_json_name(member).unwrap();
        let mut body = json::write(&samples::full(&request(operation), 0));
        body[member] = json!([]);
        let empty = read(typed, &body).unwrap();
        assert!(
            empty.has_field(&field),
            "{operation}.{member}: empty reads as absent"
        );
        assert_eq!(json::write(&empty)[member], json!([]));
        for absent in [Some(Json::Null), None] {
            set(&mut body, member, absent);
            assert!(
                !read(typed, &body).unwrap().has_field(&field),
                "{operation}.{member}: absent reads as empty"
            );
        }
    }
}

#[test]
fn unknown_members_are_ignored() {
    for operation in operations::ALL {
        let sample = samples::full(&request(operation.facts.name), 0);
        for place in places(&sample)
            .into_iter()
            .filter(|place| !is_union(place.field.parent_message()))
        {
            let mut body = json::write(&sample);
            set(
                place.holder(&mut body),
                "aMemberNewerThanTheContract",
                Some(json!({"x": [1]})),
            );
            assert_eq!(
                read(operation, &body).unwrap().to_string(),
                samples::travelled(&sample).to_string(),
                "beside {}",
                place.path
            );
        }
    }
}

#[test]
fn null_is_absent() {
    for operation in operations::ALL {
        let sample = samples::full(&request(operation.facts.name), 0);
        for place in places(&sample)
            .into_iter()
            .filter(|place| !is_union(place.field.parent_message()))
        {
            let [null, absent] = [Some(Json::Null), None].map(|value| {
                let mut body = json::write(&sample);
                set(place.holder(&mut body), place.field.json_name(), value);
                read(operation, &body)
            });
            assert_eq!(null, absent, "{} {}", operation.facts.name, place.path);
        }
    }
}

#[test]
fn a_missing_required_member_is_named_by_its_path() {
    for operation in operations::ALL {
        let sample = samples::full(&request(operation.facts.name), 0);
        for place in places(&sample).into_iter().filter(Place::is_required) {
            let mut body = json::write(&sample);
            set(place.holder(&mut body), place.field.json_name(), None);
            let Place {
                path, field_path, ..
            } = &place;
            match read(operation, &body) {
                Err(error) => {
                    assert_eq!(error.code, Code::Validation, "{path}");
                    assert!(
                        error.message.contains(&format!("'{path}'")),
                        "{path} is not in: {}",
                        error.message
                    );
                    assert!(
                        error.message.starts_with("1 validation error "),
                        "{}",
                        error.message
                    );
                }
                // Where absence can be read, validation refuses it.
                Ok(request) => {
                    let found = (operation.violations)(&request.encode_to_vec());
                    assert_eq!(
                        found,
                        [(field_path.clone(), "required".to_owned())],
                        "{path}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_flood_of_missing_members_gets_a_short_answer() {
    let tags = vec!["{}"; 100_000].join(",");
    let body = format!(r#"{{"resourceArn": "a", "tags": [{tags}]}}"#);
    let error = aws_json::read::<pb::TagResourceRequest>(body.as_bytes()).unwrap_err();
    assert!(error.message.len() < 10_000);
    assert!(error.message.starts_with("200000 validation errors"));
    assert!(error.message.ends_with("; and 199900 more"));
}

#[test]
fn a_member_of_the_wrong_type_is_a_serialization_error() {
    for operation in operations::ALL {
        let sample = samples::full(&request(operation.facts.name), 0);
        for place in places(&sample) {
            let mut body = json::write(&sample);
            let wrong = match place.field.kind() {
                Kind::String | Kind::Enum(_) if !place.field.is_list() => json!(7),
                Kind::Message(_) if place.field.is_list() => json!([7]),
                _ => json!("wrong"),
            };
            set(
                place.holder(&mut body),
                place.field.json_name(),
                Some(wrong),
            );
            let error = read(operation, &body).expect_err("the member has the wrong type");
            assert_eq!(
                error.code,
                Code::Serialization,
                "{} {}: {error}",
                operation.facts.name,
                place.path
            );
        }
        for body in ["[]", "7", "{", "\u{0}", "{\"name\":\"a\"} x"] {
            let error = (operation.read)(body.as_bytes()).expect_err("no JSON object");
            assert_eq!(
                error.code,
                Code::Serialization,
                "{} {body}",
                operation.facts.name
            );
        }
    }
}

#[test]
fn an_enum_value_newer_than_the_contract_is_read_and_refused_by_validation() {
    for operation in operations::ALL {
        let sample = samples::full(&request(operation.facts.name), 0);
        for place in places(&sample)
            .into_iter()
            .filter(|place| place.field.kind().as_enum().is_some())
        {
            let mut body = json::write(&sample);
            let newer = json!("NEWER_THAN_THE_CONTRACT");
            let (value, at) = match place.field.is_list() {
                true => (json!([newer]), format!("{}[0]", place.field_path)),
                false => (newer, place.field_path.clone()),
            };
            set(
                place.holder(&mut body),
                place.field.json_name(),
                Some(value),
            );
            let request = read(operation, &body).expect("a newer value is no error yet");
            let found = (operation.violations)(&request.encode_to_vec());
            assert_eq!(found, [(at, "enum.defined_only".to_owned())]);
        }
    }
}

/// A member somewhere in a request.
struct Place {
    field: FieldDescriptor,
    /// Where the object is that holds the member, as a JSON pointer.
    holder: String,
    /// Such as `tags[0].key`, in AWS's names and in the contract's.
    path: String,
    field_path: String,
}

impl Place {
    fn holder<'a>(&self, body: &'a mut Json) -> &'a mut Json {
        body.pointer_mut(&self.holder)
            .expect("the sample has the object")
    }

    fn is_required(&self) -> bool {
        let in_union = self.field.containing_oneof().is_some();
        match self.field.kind() {
            _ if in_union => false,
            _ if self.field.is_list() => !is_optional_list(&self.field),
            Kind::Message(_) => Rules::of(&self.field).is_set("required"),
            _ => !self.field.supports_presence(),
        }
    }
}

/// Every member that the message has.
fn places(message: &DynamicMessage) -> Vec<Place> {
    let mut found = Vec::new();
    find_places(message, "", "", "", &mut found);
    found
}

fn find_places(
    message: &DynamicMessage,
    holder: &str,
    path: &str,
    field_path: &str,
    found: &mut Vec<Place>,
) {
    for (field, value) in message.fields() {
        let mut pointer = format!("{holder}/{}", field.json_name());
        let mut path = format!("{path}{}", field.json_name());
        let mut field_path = format!("{field_path}{}", field.name());
        found.push(Place {
            field: field.clone(),
            holder: holder.to_owned(),
            path: path.clone(),
            field_path: field_path.clone(),
        });
        let list = match (value.as_message(), items(&field.kind())) {
            // The message around the items is not in the JSON.
            (Some(wrapper), Some(items)) => {
                field_path += ".items";
                Some(wrapper.get_field(&items).into_owned())
            }
            _ => None,
        };
        let inner = match list.as_ref().unwrap_or(value) {
            prost_reflect::Value::List(list) => {
                pointer += "/0";
                path += "[0]";
                field_path += "[0]";
                list[0].as_message().cloned()
            }
            value => value.as_message().cloned(),
        };
        if let Some(inner) = inner.filter(|_| !is_timestamp(&field.kind())) {
            find_places(
                &inner,
                &pointer,
                &format!("{path}."),
                &format!("{field_path}."),
                found,
            );
        }
    }
}

fn set(holder: &mut Json, member: &str, value: Option<Json>) {
    let members = holder.as_object_mut().expect("members are held by objects");
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.shift_remove(member),
    };
}
