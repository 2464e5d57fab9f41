//! The quotas on a template bundle.
//!
//! The first group is Proton's own. The second keeps a hostile archive from costing more memory than an honest one; Proton documents no figure
//! for it. Quotas on resources (templates, versions, environments) belong to their families.

const MIB: usize = 1024 * 1024;

/// How large a bundle and its pieces may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The archive as it lies in the bucket.
    pub archive_bytes: usize,
    pub manifest_bytes: usize,
    pub schema_bytes: usize,
    /// The API's limit on the `schema` member of a template version, which binds before `schema_bytes` does.
    pub schema_chars: usize,
    /// Each file that a manifest names as a template.
    pub template_bytes: usize,
    /// All files of the parts that CodeBuild provisions.
    pub codebuild_files: usize,

    /// All regular files of the archive after decompression, with their headers.
    pub unpacked_bytes: usize,
    /// Members of any type.
    pub entries: usize,
    pub path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: 10 * MIB,
            manifest_bytes: 2 * MIB,
            schema_bytes: 2 * MIB,
            schema_chars: 51_200,
            template_bytes: 2 * MIB,
            codebuild_files: 500,
            unpacked_bytes: 64 * MIB,
            entries: 10_000,
            path_bytes: 1024,
        }
    }
}
