//! With which means environments are provisioned: roles, a connection to another account, a repository. The bundle's manifest
//! decides which of them are needed; others may be given for services to come.

use serde::{Deserialize, Serialize};

use super::super::deployable::{Place, Trouble};
use super::super::render::Method;
use super::super::store::{Change, Expect, Put};
use super::super::{
    Caller, ControlPlane, environment_account_connection as connections,
    repository::{self, Branch},
};
use crate::api::{Error, pb};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Means {
    pub(in super::super) proton_service_role_arn: Option<String>,
    pub(in super::super) codebuild_role_arn: Option<String>,
    pub(in super::super) component_role_arn: Option<String>,
    pub(in super::super) connection: Option<Connection>,
    pub(in super::super) repository: Option<Branch>,
}

/// An environment account connection that is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Connection {
    pub(in super::super) id: String,
    pub(in super::super) account: String,
}

/// The means that a request gives.
pub(super) struct Given<'a> {
    pub(super) proton_service_role_arn: Option<&'a String>,
    pub(super) codebuild_role_arn: Option<&'a String>,
    pub(super) component_role_arn: Option<&'a String>,
    pub(super) connection_id: Option<&'a String>,
    pub(super) repository: Option<&'a pb::RepositoryBranchInput>,
}

impl Given<'_> {
    fn check_one_account(&self) -> Result<(), Error> {
        match (self.connection_id, self.proton_service_role_arn) {
            (Some(_), Some(_)) => Err(Error::validation(
                "protonServiceRoleArn: must not be given together with environmentAccountConnectionId",
            )),
            _ => Ok(()),
        }
    }
}

impl Means {
    /// The means of a new environment, and what must hold when they are written.
    pub(super) async fn first(
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        given: &Given<'_>,
    ) -> Result<(Self, Change), Error> {
        given.check_one_account()?;
        let mut means = Self::default();
        let held = means.take(plane, caller, environment, given).await?;
        Ok((means, held))
    }

    /// Replaces what is given, and says what must hold when that is written. An environment keeps to the account it was made in.
    pub(super) async fn change(
        &mut self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        given: &Given<'_>,
    ) -> Result<Change, Error> {
        given.check_one_account()?;
        let account = self.account().map(str::to_owned);
        match &account {
            None if given.connection_id.is_some() => {
                return Err(Error::validation(
                    "environmentAccountConnectionId: the environment was made without a connection and cannot get one",
                ));
            }
            Some(_) if given.proton_service_role_arn.is_some() => {
                return Err(Error::validation(
                    "protonServiceRoleArn: the environment is provisioned through a connection, which has the role",
                ));
            }
            Some(_) if given.repository.is_some() => {
                return Err(Error::validation(
                    "provisioningRepository: must not be given for an environment with a connection",
                ));
            }
            _ => {}
        }
        let held = self.take(plane, caller, environment, given).await?;
        match account == self.account().map(str::to_owned) {
            true => Ok(held),
            false => Err(Error::validation(
                "environmentAccountConnectionId: the connection is to another account than the environment's",
            )),
        }
    }

    async fn take(
        &mut self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        given: &Given<'_>,
    ) -> Result<Change, Error> {
        let mut held = Change::new();
        let replace = |member: &mut Option<String>, given: Option<&String>| {
            if given.is_some() {
                *member = given.cloned();
            }
        };
        replace(
            &mut self.proton_service_role_arn,
            given.proton_service_role_arn,
        );
        replace(&mut self.codebuild_role_arn, given.codebuild_role_arn);
        replace(&mut self.component_role_arn, given.component_role_arn);
        if let Some(id) = given.connection_id {
            let connected = connections::connected(plane, caller, id, environment)
                .await?
                .map_err(|why| {
                    Error::validation(format!("environmentAccountConnectionId: {why}"))
                })?;
            held = held.expect(connected.unchanged);
            self.connection = Some(Connection {
                id: id.clone(),
                account: connected.account,
            });
        }
        if let Some(given) = given.repository {
            let repository = Branch::of(given)?;
            let linked = repository.repository.check_linked(plane, caller).await;
            linked.map_err(|error| error.under("provisioningRepository"))?;
            held = held.expect(Expect::Present(repository.repository.key(caller)));
            self.repository = Some(repository);
        }
        Ok(held)
    }

    /// Whether the means are those that the method of provisioning needs.
    pub(super) async fn check(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        method: Option<Method>,
    ) -> Result<(), Error> {
        let refused = |rule: &str| Err(Error::validation(rule));
        match method {
            Some(Method::CloudFormation) => {
                if self.repository.is_some() {
                    return refused(
                        "provisioningRepository: must not be given for a template that CloudFormation provisions",
                    );
                }
                if self.proton_service_role_arn.is_none() && self.connection.is_none() {
                    return refused(
                        "protonServiceRoleArn: must be given, or environmentAccountConnectionId, for a template that CloudFormation provisions",
                    );
                }
            }
            Some(Method::Terraform) => {
                if self.proton_service_role_arn.is_some() {
                    return refused(
                        "protonServiceRoleArn: must not be given for a template that Terraform provisions",
                    );
                }
                if self.connection.is_some() {
                    return refused(
                        "environmentAccountConnectionId: must not be given for a template that Terraform provisions",
                    );
                }
                if self.repository.is_none() {
                    return refused(
                        "provisioningRepository: must be given for a template that Terraform provisions",
                    );
                }
            }
            Some(Method::CodeBuild) => {
                let method = Method::CodeBuild;
                let role = self.role(plane, caller, environment, method).await?;
                if role.is_none() {
                    return refused(
                        "codebuildRoleArn: must be given, or a connection that has one, for a template that CodeBuild provisions",
                    );
                }
            }
            None => {}
        }
        Ok(())
    }

    /// What holds on to the connection and the repository.
    pub(super) fn index(&self, put: Put, owner: &Caller) -> Put {
        let put = match &self.connection {
            Some(connection) => put.indexed(connections::USED, connection.id.clone()),
            None => put,
        };
        match &self.repository {
            Some(used) => put.indexed(repository::USED, used.repository.arn(owner)),
            None => put,
        }
    }

    /// The account of the connection, if there is one.
    pub(in super::super) fn account(&self) -> Option<&str> {
        self.connection
            .as_ref()
            .map(|connection| &*connection.account)
    }

    pub(super) fn connection_id(&self) -> Option<String> {
        self.connection
            .as_ref()
            .map(|connection| connection.id.clone())
    }

    /// The role for a method, the environment's own or that of its connection as it now is.
    async fn role(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        method: Method,
    ) -> Result<Option<String>, Error> {
        let own = match method {
            Method::CloudFormation => &self.proton_service_role_arn,
            Method::CodeBuild => &self.codebuild_role_arn,
            Method::Terraform => return Ok(None),
        };
        let Some(connection) = &self.connection else {
            return Ok(own.clone());
        };
        let connected = connections::connected(plane, caller, &connection.id, environment)
            .await?
            .map_err(Error::validation)?;
        Ok(match method {
            Method::CloudFormation => connected.role_arn,
            _ => own.clone().or(connected.codebuild_role_arn),
        })
    }

    /// The role for components that are defined directly.
    pub(in super::super) async fn component_role(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
    ) -> Result<Option<String>, Error> {
        let Some(connection) = &self.connection else {
            return Ok(self.component_role_arn.clone());
        };
        let connected = connections::connected(plane, caller, &connection.id, environment)
            .await?
            .map_err(Error::validation)?;
        Ok(self
            .component_role_arn
            .clone()
            .or(connected.component_role_arn))
    }

    /// Whether services of this method can be deployed here.
    pub(in super::super) async fn check_service(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        method: Method,
    ) -> Result<(), Error> {
        let has = match method {
            Method::Terraform => self.repository.is_some(),
            _ => self
                .role(plane, caller, environment, method)
                .await?
                .is_some(),
        };
        let what = match method {
            Method::CloudFormation => "protonServiceRoleArn",
            Method::Terraform => "provisioningRepository",
            Method::CodeBuild => "codebuildRoleArn",
        };
        match has {
            true => Ok(()),
            false => Err(Error::validation(format!(
                "environment {environment:?} has no {what}, with which the template is provisioned"
            ))),
        }
    }

    /// Where a deployment by this method goes, in the environment of this name.
    pub(in super::super) async fn place(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
        environment: &str,
        method: Method,
        tags: Vec<(String, String)>,
    ) -> Result<Place, Trouble> {
        Ok(Place {
            account_id: self.account().unwrap_or(caller.account()).to_owned(),
            role_arn: self.role(plane, caller, environment, method).await?,
            tags,
        })
    }
}
