//! Who asks: an account in a Region. All its resources live in one scope of the store and under one prefix of ARNs.

use std::fmt::Display;

use super::store::{Key, Kind};
use crate::{api::arn, identity::Place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    account: String,
    region: String,
}

impl Caller {
    pub fn new(account: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            region: region.into(),
        }
    }

    /// The caller as policies place it.
    pub(super) fn place(&self) -> Place {
        Place {
            account: self.account.clone(),
            region: self.region.clone(),
        }
    }

    /// On whose behalf a record is worked on: its owner's.
    pub(super) fn of(key: &Key) -> Self {
        let (account, region) = key
            .scope
            .split_once('/')
            .expect("scopes are made by `scope`");
        Self::new(account, region)
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where the store keeps what the caller owns.
    pub(super) fn scope(&self) -> String {
        format!("{}/{}", self.account, self.region)
    }

    pub(super) fn key(&self, kind: Kind, id: impl Into<String>) -> Key {
        Key::new(self.scope(), kind, id)
    }

    /// The ARN of one of the caller's resources, such as `environment-template/web`.
    pub(super) fn arn(&self, resource: impl Display) -> String {
        arn::arn(&self.region, &self.account, resource)
    }

    /// The resource part of an ARN of the caller's own.
    pub(super) fn own<'a>(&self, arn: &'a str) -> Option<&'a str> {
        arn.strip_prefix(&self.arn(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_leads_back_to_its_owner() {
        let caller = Caller::new("123456789012", "us-east-1");
        assert_eq!(Caller::of(&caller.key(Kind::Environment, "a/b")), caller);
    }

    #[test]
    fn only_arns_of_the_same_account_and_region_are_own() {
        let caller = Caller::new("123456789012", "us-east-1");
        assert_eq!(
            caller.own("arn:aws:proton:us-east-1:123456789012:service/s"),
            Some("service/s")
        );
        assert_eq!(
            caller.own("arn:aws:proton:us-east-2:123456789012:service/s"),
            None
        );
        assert_eq!(
            caller.own("arn:aws:proton:us-east-1:210987654321:service/s"),
            None
        );
        assert_eq!(
            caller.own("arn:aws:s3:us-east-1:123456789012:service/s"),
            None
        );
    }
}
