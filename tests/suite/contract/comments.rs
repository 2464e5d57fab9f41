//! Everything in the contract is explained where it stands.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use proton_grpc::api;

use crate::descriptors::PACKAGE;

// The numbers of fields in descriptor.proto, of which source locations are made.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const EXTENSIONS: i32 = 7;
const FIELDS_OR_METHODS_OR_VALUES: i32 = 2;

#[test]
fn everything_has_a_comment() {
    let files = FileDescriptorSet::decode(api::DESCRIPTORS).unwrap();
    let ours: Vec<_> = files
        .file
        .iter()
        .filter(|file| file.package() == PACKAGE)
        .collect();
    assert!(
        ours.iter().all(|file| file.source_code_info.is_some()),
        "the descriptors keep no comments"
    );
    let silent: Vec<_> = ours.iter().flat_map(|file| without_comment(file)).collect();
    assert!(
        silent.is_empty(),
        "{} have no comment:\n{}",
        silent.len(),
        silent.join("\n")
    );
}

fn without_comment(file: &FileDescriptorProto) -> Vec<String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let commented: BTreeSet<&[i32]> = locations
        .filter(|location| !location.leading_comments().trim().is_empty())
        .map(|location| location.path.as_slice())
        .collect();
    let mut silent = everything(file);
    silent.retain(|(path, _)| !commented.contains(path.as_slice()));
    silent
        .into_iter()
        .map(|(_, name)| format!("{}: {name}", file.name()))
        .collect()
}

/// The place and name of everything that a reader may want explained.
fn everything(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut out = Vec::new();
    let mut add = |kind: i32, index: usize, name: &str, members: Vec<&str>| {
        let index = i32::try_from(index).unwrap();
        out.push((vec![kind, index], name.to_owned()));
        out.extend((0..).zip(members).map(|(member, inner)| {
            (
                vec![kind, index, FIELDS_OR_METHODS_OR_VALUES, member],
                format!("{name}.{inner}"),
            )
        }));
    };
    for (index, message) in file.message_type.iter().enumerate() {
        add(
            MESSAGES,
            index,
            message.name(),
            message.field.iter().map(|field| field.name()).collect(),
        );
    }
    for (index, found) in file.enum_type.iter().enumerate() {
        add(
            ENUMS,
            index,
            found.name(),
            found.value.iter().map(|value| value.name()).collect(),
        );
    }
    for (index, service) in file.service.iter().enumerate() {
        add(
            SERVICES,
            index,
            service.name(),
            service.method.iter().map(|method| method.name()).collect(),
        );
    }
    for (index, option) in file.extension.iter().enumerate() {
        add(EXTENSIONS, index, option.name(), Vec::new());
    }
    out
}
