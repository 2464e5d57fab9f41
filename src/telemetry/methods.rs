//! The methods that are told apart. All others together are one, so that callers cannot invent
//! labels.

use std::{collections::HashMap, sync::LazyLock};

use crate::api;

/// What the server serves beside the contract.
const STANDARD: [&str; 6] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    OTHER,
];
/// As gRPC names it in metrics.
const OTHER: &str = "other";

/// The known methods, the one that stands for all others last.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let services = api::descriptor_pool().services();
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let names =
        methods.map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()));
    names.chain(STANDARD.map(str::to_owned)).collect()
});

static PLACES: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    let names = NAMES.iter().map(String::as_str);
    names.enumerate().map(|(at, name)| (name, at)).collect()
});

/// A method of gRPC, or the one that stands for all that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(usize);

impl Method {
    /// None of them: for calls that nobody counts, so that these need no looking up.
    pub const UNTOLD: Self = Self(usize::MAX);

    /// The method of a call's path, `/service/method`.
    pub fn of(path: &str) -> Self {
        let known = path.strip_prefix('/').and_then(|name| PLACES.get(name));
        Self(known.copied().unwrap_or(NAMES.len() - 1))
    }

    /// Every method, each at its [`Method::place`].
    pub fn all() -> impl Iterator<Item = Self> {
        (0..NAMES.len()).map(Self)
    }

    pub(super) fn place(self) -> usize {
        self.0
    }

    /// `service/method`, or `other`.
    pub fn name(self) -> &'static str {
        &NAMES[self.0]
    }

    /// The service and the method, of one that is known.
    pub fn parts(self) -> Option<(&'static str, &'static str)> {
        self.name().split_once('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_known_method_or_other() {
        let get = Method::of("/proton.v1.ProtonService/GetEnvironment");
        assert_eq!(get.name(), "proton.v1.ProtonService/GetEnvironment");
        assert_eq!(
            get.parts(),
            Some(("proton.v1.ProtonService", "GetEnvironment"))
        );
        for path in [
            "",
            "/",
            "/other",
            "/a.B/C",
            "proton.v1.ProtonService/GetEnvironment",
        ] {
            assert_eq!(Method::of(path).name(), "other", "{path}");
            assert_eq!(Method::of(path).parts(), None, "{path}");
        }
    }

    #[test]
    fn every_method_is_found_by_its_path() {
        for method in Method::all().filter(|method| method.parts().is_some()) {
            assert_eq!(Method::of(&format!("/{}", method.name())), method);
        }
        assert!(Method::all().count() > 87 + 33);
    }
}
