//! Repositories: links to Git repositories that environments and pipelines are provisioned through and templates and services
//! synced from. A link is registration only; the Git host hears nothing of it.

use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use super::idempotency::Fingerprint;
use super::pagination::Page;
use super::resource::{Envelope, Resource};
use super::store::{Change, CommitError, Expect, Index, Key, Kind, Order, Put, Range};
use super::{Caller, ControlPlane, tags};
use crate::api::{Error, operation, pb};

/// From the ARN of a repository to whatever uses it: environments, account settings, sync configurations.
pub(super) const USED: Index = Index::new("repository");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Provider {
    Github,
    GithubEnterprise,
    Bitbucket,
}

impl Provider {
    /// In keys and ARNs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::GithubEnterprise => "github_enterprise",
            Self::Bitbucket => "bitbucket",
        }
    }
}

impl From<pb::RepositoryProvider> for Provider {
    fn from(provider: pb::RepositoryProvider) -> Self {
        match provider {
            pb::RepositoryProvider::Github => Self::Github,
            pb::RepositoryProvider::GithubEnterprise => Self::GithubEnterprise,
            pb::RepositoryProvider::Bitbucket => Self::Bitbucket,
            pb::RepositoryProvider::Unspecified => {
                unreachable!("validation insists on a provider")
            }
        }
    }
}

impl From<Provider> for pb::RepositoryProvider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Github => Self::Github,
            Provider::GithubEnterprise => Self::GithubEnterprise,
            Provider::Bitbucket => Self::Bitbucket,
        }
    }
}

/// Names a repository: what its link is kept under, and what whoever uses it holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) provider: Provider,
    /// `owner/repository`
    pub(super) name: String,
}

impl Name {
    /// The API's pattern lets any text stand around the slash; what Git hosts allow is visible ASCII.
    pub(super) fn of(provider: pb::RepositoryProvider, name: &str) -> Result<Self, Error> {
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::validation(
                "name: the name of a repository is owner/repository without spaces, in ASCII",
            ));
        }
        Ok(Self {
            provider: provider.into(),
            name: name.to_owned(),
        })
    }

    fn id(&self) -> String {
        format!("{}:{}", self.provider.as_str(), self.name)
    }

    pub(super) fn key(&self, caller: &Caller) -> Key {
        caller.key(Kind::Repository, self.id())
    }

    pub(super) fn arn(&self, caller: &Caller) -> String {
        caller.arn(format_args!("repository/{}", self.id()))
    }

    /// The repository as messages to callers name it.
    pub(super) fn named(&self) -> String {
        format!("repository {:?}", self.id())
    }

    fn not_found(&self) -> Error {
        Error::not_found(format!("{} is not linked", self.named()))
    }

    /// For operations whose subject is another resource, to which a missing repository is a bad parameter. A change that relies
    /// on it expects the key to be present.
    pub(super) async fn check_linked(
        &self,
        plane: &ControlPlane,
        caller: &Caller,
    ) -> Result<(), Error> {
        match plane.store().get(&self.key(caller)).await? {
            Some(_) => Ok(()),
            None => Err(Error::validation(format!("{} is not linked", self.named()))),
        }
    }
}

/// A branch that something is provisioned through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Branch {
    pub(super) repository: Name,
    pub(super) branch: String,
}

impl Branch {
    pub(super) fn of(given: &pb::RepositoryBranchInput) -> Result<Self, Error> {
        Ok(Self {
            repository: Name::of(given.provider(), &given.name)?,
            branch: given.branch.clone(),
        })
    }

    pub(super) fn view(self, caller: &Caller) -> pb::RepositoryBranch {
        pb::RepositoryBranch {
            arn: self.repository.arn(caller),
            branch: self.branch,
            provider: pb::RepositoryProvider::from(self.repository.provider).into(),
            name: self.repository.name,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Repository {
    envelope: Envelope,
    name: Name,
    connection_arn: String,
    encryption_key: Option<String>,
}

impl Resource for Repository {
    fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }
}

pub(super) async fn create_repository(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::CreateRepositoryRequest,
) -> Result<pb::CreateRepositoryResponse, Error> {
    tags::sort(&mut request.tags);
    let request_hash = Fingerprint::take::<operation::CreateRepository>(&mut request).request;
    let name = Name::of(request.provider(), &request.name)?;
    let now_ms = plane.now_ms();
    let account = ("aws:proton:account".to_owned(), caller.account().to_owned());
    let repository = Repository {
        envelope: Envelope {
            created_at_ms: now_ms,
            last_modified_at_ms: now_ms,
            request: request_hash,
            client_token: None,
            modified: false,
            tags: tags::from_request(request.tags)?,
            managed_tags: [account].into(),
        },
        name,
        connection_arn: request.connection_arn,
        encryption_key: request.encryption_key,
    };
    let create = Put::create(repository.name.key(caller), &repository);
    match plane.store().commit(Change::new().put(create)).await {
        Ok(_) => Ok(pb::CreateRepositoryResponse {
            repository: Some(view(caller, repository)),
        }),
        Err(CommitError::Exists(_)) => Err(Error::conflict(format!(
            "{} is linked already",
            repository.name.named()
        ))),
        Err(refusal) => Err(Attempts::default()
            .again(refusal)
            .expect_err("only a taken name can be run into")),
    }
}

pub(super) async fn get_repository(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::GetRepositoryRequest,
) -> Result<pb::GetRepositoryResponse, Error> {
    let name = Name::of(request.provider(), &request.name)?;
    let found = plane.load::<Repository>(&name.key(caller)).await?;
    let repository = found.ok_or_else(|| name.not_found())?.value;
    Ok(pb::GetRepositoryResponse {
        repository: Some(view(caller, repository)),
    })
}

pub(super) async fn list_repositories(
    plane: &ControlPlane,
    caller: &Caller,
    mut request: pb::ListRepositoriesRequest,
) -> Result<pb::ListRepositoriesResponse, Error> {
    let (most, token) = (request.max_results.take(), request.next_token.take());
    let page = Page::of::<operation::ListRepositories>(caller, &request, most, token)?;
    let scope = caller.scope();
    let records = plane.store().list(Range {
        scope: &scope,
        kind: Kind::Repository,
        prefix: "",
        after: page.after(),
        limit: u32::try_from(page.look_for()).expect("pages are small"),
        order: Order::Ascending,
    });
    let (records, next_token) = page.cut(records.await?, |record| record.key.id.clone());
    let repositories = records
        .iter()
        .map(|record| Ok(summary(caller, record.read()?)));
    Ok(pb::ListRepositoriesResponse {
        next_token,
        repositories: repositories.collect::<Result<_, Error>>()?,
    })
}

pub(super) async fn delete_repository(
    plane: &ControlPlane,
    caller: &Caller,
    request: pb::DeleteRepositoryRequest,
) -> Result<pb::DeleteRepositoryResponse, Error> {
    let name = Name::of(request.provider(), &request.name)?;
    let key = name.key(caller);
    let mut attempts = Attempts::default();
    loop {
        let found = plane.load::<Repository>(&key).await?;
        let found = found.ok_or_else(|| name.not_found())?;
        let change = Change::new()
            .delete(key.clone(), found.rev)
            .expect(Expect::Unreferenced {
                index: USED,
                value: name.arn(caller),
            });
        match plane.store().commit(change).await {
            Ok(_) => {
                return Ok(pb::DeleteRepositoryResponse {
                    repository: Some(view(caller, found.value)),
                });
            }
            Err(CommitError::Referenced { .. }) => {
                return Err(Error::conflict(format!(
                    "{} is used by an environment, the account settings or a sync configuration",
                    name.named()
                )));
            }
            Err(refusal) => attempts.again(refusal)?,
        }
    }
}

fn view(caller: &Caller, repository: Repository) -> pb::Repository {
    pb::Repository {
        arn: repository.name.arn(caller),
        connection_arn: repository.connection_arn,
        encryption_key: repository.encryption_key,
        provider: pb::RepositoryProvider::from(repository.name.provider).into(),
        name: repository.name.name,
    }
}

fn summary(caller: &Caller, repository: Repository) -> pb::RepositorySummary {
    pb::RepositorySummary {
        arn: repository.name.arn(caller),
        connection_arn: repository.connection_arn,
        provider: pb::RepositoryProvider::from(repository.name.provider).into(),
        name: repository.name.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_git_host_has_is_refused() {
        let name = |text| Name::of(pb::RepositoryProvider::Github, text);
        assert!(name("me/infra-1.x_y").is_ok());
        for text in [
            "me/in fra",
            "me/infr\u{e4}",
            "me/\0infra",
            "me/infra\u{10FFFF}",
        ] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }
}
