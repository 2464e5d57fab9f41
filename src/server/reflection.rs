//! The contract for those who bring none: both versions of the reflection service.

use tonic_reflection::server::Builder;

use super::{Services, health};
use crate::api;

/// Both versions. The descriptors are read when somebody asks for the first time: few ever do, and
/// they are megabytes.
pub fn services() -> Services {
    Services::default()
        .with_lazy(|| builder().build_v1().expect(VALID))
        .with_lazy(|| builder().build_v1alpha().expect(VALID))
}

const VALID: &str = "the build wrote valid descriptors";

fn builder() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(api::DESCRIPTORS)
        .register_encoded_file_descriptor_set(health::DESCRIPTORS)
        // Not called, but packed into errors: without them a client prints base64.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        // Each version would name only itself.
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}
