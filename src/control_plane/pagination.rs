//! Pages of lists. A page token says behind which entry the next page begins; it is good for the same operation with the same
//! filters only, by the same account in the same Region. It holds no secret and needs no memory: a checksum tells foreign and
//! damaged tokens from good ones.

use aws_lc_rs::digest::{SHA256, digest};
use aws_smithy_types::base64;
use prost::Message as _;

use super::Caller;
use crate::api::{Error, Operation};

/// What a list returns at most, and without `maxResults`.
const MOST: usize = 100;

const CHECKSUM: usize = 9;

/// Which part of a list to return.
#[derive(Debug)]
pub struct Page {
    limit: usize,
    after: Option<String>,
    /// What tokens of this list are good for.
    list: Vec<u8>,
}

impl Page {
    /// `request` without its `maxResults` and `nextToken` is what tells one list from another.
    pub fn of<O: Operation>(
        caller: &Caller,
        request: &O::Request,
        max_results: Option<i32>,
        next_token: Option<String>,
    ) -> Result<Self, Error> {
        let mut list = format!("{}\0{}\0", caller.scope(), O::FACTS.name).into_bytes();
        request.encode(&mut list).expect("a vector has room");
        let limit = max_results
            .and_then(|most| usize::try_from(most).ok())
            .map_or(MOST, |most| most.clamp(1, MOST));
        let mut page = Self {
            limit,
            after: None,
            list,
        };
        if let Some(token) = next_token {
            let after = page.open(&token).ok_or_else(|| {
                Error::validation(
                    "nextToken did not come from this operation with these parameters",
                )
            })?;
            page.after = Some(after);
        }
        Ok(page)
    }

    /// The entry that the page begins behind.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// How many entries to look for: one more than the page holds tells whether there is another page.
    pub(super) fn look_for(&self) -> usize {
        self.limit + 1
    }

    /// Cuts what was found to a page, and names the next one.
    pub fn cut<T>(
        &self,
        mut found: Vec<T>,
        position: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| self.seal(&position(last)));
        (found, next)
    }

    fn seal(&self, position: &str) -> String {
        base64::encode([&self.checksum(position)[..], position.as_bytes()].concat())
    }

    fn open(&self, token: &str) -> Option<String> {
        let bytes = base64::decode(token).ok()?;
        let (checksum, position) = bytes.split_at_checked(CHECKSUM)?;
        let position = str::from_utf8(position).ok()?;
        (checksum == self.checksum(position)).then(|| position.to_owned())
    }

    fn checksum(&self, position: &str) -> [u8; CHECKSUM] {
        let sum = digest(
            &SHA256,
            &[&self.list[..], b"\0", position.as_bytes()].concat(),
        );
        sum.as_ref()[..CHECKSUM]
            .try_into()
            .expect("SHA-256 is longer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Code, operation, pb};
    use proptest::prelude::*;

    fn page(region: &str, template: &str, most: i32, token: Option<String>) -> Result<Page, Error> {
        let request = pb::ListEnvironmentTemplateVersionsRequest {
            template_name: template.to_owned(),
            ..Default::default()
        };
        Page::of::<operation::ListEnvironmentTemplateVersions>(
            &Caller::new("1", region),
            &request,
            Some(most),
            token,
        )
    }

    #[test]
    fn a_page_names_the_next_one_only_if_there_is_more() {
        let page = page("r", "t", 2, None).unwrap();
        assert_eq!(page.look_for(), 3);
        assert_eq!(
            page.cut(vec!["a", "b"], |x| (*x).to_owned()),
            (vec!["a", "b"], None)
        );
        let (kept, token) = page.cut(vec!["a", "b", "c"], |x| (*x).to_owned());
        assert_eq!(kept, ["a", "b"]);
        assert_eq!(self::page("r", "t", 50, token).unwrap().after(), Some("b"));
    }

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let (_, token) = page("r", "t", 1, None)
            .unwrap()
            .cut(vec!["a", "b"], |x| (*x).to_owned());
        assert_eq!(
            page("r", "other", 1, token.clone()).unwrap_err().code,
            Code::Validation
        );
        assert_eq!(
            page("elsewhere", "t", 1, token.clone()).unwrap_err().code,
            Code::Validation
        );
        let services = Page::of::<operation::ListServiceTemplates>(
            &Caller::new("1", "r"),
            &Default::default(),
            None,
            token,
        );
        assert_eq!(services.unwrap_err().code, Code::Validation);
    }

    proptest! {
        #[test]
        fn tokens_come_back_as_their_position_and_fit_the_model(position in ".{0,300}") {
            let page = page("r", "t", 1, None).unwrap();
            let token = page.seal(&position);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
            prop_assert_eq!(page.open(&token), Some(position));
        }

        #[test]
        fn made_up_tokens_are_refused(token in "[A-Za-z0-9+/]{0,80}={0,2}") {
            prop_assert_eq!(page("r", "t", 1, Some(token)).unwrap_err().code, Code::Validation);
        }
    }
}
