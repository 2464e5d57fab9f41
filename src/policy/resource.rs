//! What an operation is about, as policies name it: a type, an ARN, and what it belongs to.

use crate::{api::arn, identity::Place};

/// A type of resources. What concerns no resource in particular is about the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Account,
    Component,
    Deployment,
    Environment,
    EnvironmentAccountConnection,
    EnvironmentTemplate,
    EnvironmentTemplateVersion,
    Repository,
    Service,
    ServiceInstance,
    ServicePipeline,
    ServiceTemplate,
    ServiceTemplateVersion,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Account,
        Self::Component,
        Self::Deployment,
        Self::Environment,
        Self::EnvironmentAccountConnection,
        Self::EnvironmentTemplate,
        Self::EnvironmentTemplateVersion,
        Self::Repository,
        Self::Service,
        Self::ServiceInstance,
        Self::ServicePipeline,
        Self::ServiceTemplate,
        Self::ServiceTemplateVersion,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Component => "Component",
            Self::Deployment => "Deployment",
            Self::Environment => "Environment",
            Self::EnvironmentAccountConnection => "EnvironmentAccountConnection",
            Self::EnvironmentTemplate => "EnvironmentTemplate",
            Self::EnvironmentTemplateVersion => "EnvironmentTemplateVersion",
            Self::Repository => "Repository",
            Self::Service => "Service",
            Self::ServiceInstance => "ServiceInstance",
            Self::ServicePipeline => "ServicePipeline",
            Self::ServiceTemplate => "ServiceTemplate",
            Self::ServiceTemplateVersion => "ServiceTemplateVersion",
        }
    }

    /// The type of what a resource of this type is a part of, inside its account.
    pub(super) fn whole(self) -> Option<Self> {
        match self {
            Self::EnvironmentTemplateVersion => Some(Self::EnvironmentTemplate),
            Self::ServiceTemplateVersion => Some(Self::ServiceTemplate),
            Self::ServiceInstance | Self::ServicePipeline => Some(Self::Service),
            _ => None,
        }
    }

    /// The type that the part of an ARN behind the account names.
    fn of(path: &str) -> Option<Self> {
        if path == WHOLE_ACCOUNT {
            return Some(Self::Account);
        }
        let (family, id) = path.split_once('/')?;
        let parts: Vec<_> = id.split('/').collect();
        Some(match (family, parts.as_slice(), id.contains(':')) {
            ("component", [_], _) => Self::Component,
            ("deployment", [_], _) => Self::Deployment,
            ("environment", [_], _) => Self::Environment,
            ("environment-account-connection", [_], _) => Self::EnvironmentAccountConnection,
            ("environment-template", [_], false) => Self::EnvironmentTemplate,
            ("environment-template", [_], true) => Self::EnvironmentTemplateVersion,
            ("repository", _, _) => Self::Repository,
            ("service", [_], _) => Self::Service,
            ("service", [_, "service-instance", _], _) => Self::ServiceInstance,
            ("service", [_, "pipeline"], _) => Self::ServicePipeline,
            ("service-template", [_], false) => Self::ServiceTemplate,
            ("service-template", [_], true) => Self::ServiceTemplateVersion,
            _ => return None,
        })
    }
}

/// What stands behind the account in the ARN of the account itself.
const WHOLE_ACCOUNT: &str = "*";

/// What a request is about, as far as the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The asker's own: its type, and the part of its ARN behind the account.
    Own(Kind, String),
    /// Whatever has this ARN.
    Named(String),
}

impl Resource {
    pub(super) fn account() -> Self {
        Self::Own(Kind::Account, WHOLE_ACCOUNT.to_owned())
    }

    pub(super) fn of(kind: Kind, path: impl Into<String>) -> Self {
        Self::Own(kind, path.into())
    }

    /// As somebody in this place means it. An ARN that is none of Proton's is about the account.
    pub(super) fn within(self, place: &Place) -> Located {
        let own = |kind, path: &str| Located {
            kind,
            arn: arn::arn(&place.region, &place.account, path),
            account: place.account.clone(),
        };
        match self {
            Self::Own(kind, path) => own(kind, &path),
            Self::Named(arn) => {
                Located::parse(arn).unwrap_or_else(|_| own(Kind::Account, WHOLE_ACCOUNT))
            }
        }
    }
}

/// A resource, wherever it is. It need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    pub kind: Kind,
    pub arn: String,
    pub account: String,
}

impl Located {
    /// The account itself.
    pub fn account(place: &Place) -> Self {
        Resource::account().within(place)
    }

    /// What has this ARN, which is given back if it is none of Proton's.
    pub fn parse(arn: String) -> Result<Self, String> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let found = match parts.as_slice() {
            ["arn", _, "proton", _, account, path] => {
                Kind::of(path).map(|kind| (kind, (*account).to_owned()))
            }
            _ => None,
        };
        match found {
            Some((kind, account)) => Ok(Self { kind, arn, account }),
            None => Err(arn),
        }
    }

    /// The Region in the ARN.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }

    /// What it is a part of, inside its account.
    pub(super) fn whole(&self) -> Option<(Kind, &str)> {
        let whole = self.kind.whole()?;
        let arn = match self.kind {
            Kind::ServiceInstance => self.arn.rsplitn(3, '/').nth(2),
            Kind::ServicePipeline => self.arn.rsplit_once('/').map(|(service, _)| service),
            _ => self.arn.rsplit_once(':').map(|(template, _)| template),
        };
        Some((whole, arn.unwrap_or(&self.arn)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
        }
    }

    #[test]
    fn an_arn_tells_the_type_and_what_it_is_a_part_of() {
        for (path, kind, whole) in [
            ("*", Kind::Account, None),
            ("component/c", Kind::Component, None),
            ("deployment/d", Kind::Deployment, None),
            ("environment/e", Kind::Environment, None),
            (
                "environment-account-connection/x",
                Kind::EnvironmentAccountConnection,
                None,
            ),
            ("environment-template/t", Kind::EnvironmentTemplate, None),
            (
                "environment-template/t:1.0",
                Kind::EnvironmentTemplateVersion,
                Some((Kind::EnvironmentTemplate, "environment-template/t")),
            ),
            ("repository/github:me/infra", Kind::Repository, None),
            ("service/s", Kind::Service, None),
            (
                "service/s/service-instance/i",
                Kind::ServiceInstance,
                Some((Kind::Service, "service/s")),
            ),
            (
                "service/s/pipeline",
                Kind::ServicePipeline,
                Some((Kind::Service, "service/s")),
            ),
            ("service-template/t", Kind::ServiceTemplate, None),
            (
                "service-template/t:1.0",
                Kind::ServiceTemplateVersion,
                Some((Kind::ServiceTemplate, "service-template/t")),
            ),
        ] {
            let arn = |path: &str| format!("arn:aws:proton:us-east-1:222222222222:{path}");
            let found = Resource::Named(arn(path)).within(&place());
            assert_eq!((found.kind, &*found.account), (kind, "222222222222"));
            assert_eq!(found.arn, arn(path));
            let whole = whole.map(|(kind, path)| (kind, arn(path)));
            assert_eq!(
                found.whole().map(|(kind, arn)| (kind, arn.to_owned())),
                whole
            );
        }
    }

    #[test]
    fn what_is_no_arn_of_proton_is_about_the_askers_account() {
        for text in [
            "",
            "environment/e",
            "arn:aws:s3:::bucket",
            "arn:aws:proton:us-east-1:222222222222:environment",
            "arn:aws:proton:us-east-1:222222222222:environment/a/b",
            "arn:aws:proton:us-east-1:222222222222:service/s/other",
        ] {
            let found = Resource::Named(text.to_owned()).within(&place());
            assert_eq!(found, Resource::account().within(&place()), "{text}");
            assert_eq!(found.arn, "arn:aws:proton:eu-west-1:111111111111:*");
        }
    }
}
