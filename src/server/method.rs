//! What the path of a call says.

use std::fmt;

/// A method as it is called: `/proton.v1.ProtonService/GetEnvironment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method<'a> {
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
}

/// How many messages go which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One message there, one back.
    Unary,
    /// One message there, any number back.
    ServerStream,
    /// A conversation.
    Bidirectional,
}

impl<'a> Method<'a> {
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        (!service.is_empty() && !name.is_empty() && !name.contains('/'))
            .then_some(Self { service, name })
    }

    /// Whether a drain waits for it. Watching and reflecting go on for as long as they are let.
    pub(crate) fn is_work(self) -> bool {
        self.shape() == Shape::Unary || self.service.starts_with("proton.")
    }

    /// Whether anybody may call it: balancers and probes ask for health, and are nobody.
    pub(crate) fn is_open(self) -> bool {
        self.service == "grpc.health.v1.Health"
    }

    pub(crate) fn shape(self) -> Shape {
        match (self.service, self.name) {
            (_, "GetDeploymentContent" | "PreviewDeployment") => Shape::Unary,
            ("proton.v1.ProtonStreamingService", _) | ("grpc.health.v1.Health", "Watch") => {
                Shape::ServerStream
            }
            (service, _) if service.starts_with("grpc.reflection.") => Shape::Bidirectional,
            _ => Shape::Unary,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.service, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_service_and_a_method() {
        assert_eq!(
            Method::of("/a.B/C"),
            Some(Method {
                service: "a.B",
                name: "C"
            })
        );
        for path in ["", "/", "/a.B", "/a.B/", "//C", "a.B/C", "/a.B/C/D"] {
            assert_eq!(Method::of(path), None, "{path}");
        }
    }

    #[test]
    fn the_contract_agrees_with_the_shapes() {
        for method in crate::api::descriptor_pool()
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let shape = if method.is_server_streaming() {
                Shape::ServerStream
            } else {
                Shape::Unary
            };
            assert_eq!(Method::of(&path).unwrap().shape(), shape, "{path}");
        }
    }
}
