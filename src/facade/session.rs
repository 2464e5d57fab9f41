//! How AWS is told who acts in a role: the session's name, its source identity and its tags are the caller's.

use aws_lc_rs::digest::{SHA256, digest};

use super::hex;
use crate::identity::Who;

/// What AWS takes.
const LONGEST_NAME: usize = 64;
const LONGEST_TAG: usize = 256;
/// Digits that tell callers apart whose readable parts are the same.
const DIGITS: usize = 20;

/// The keys of the tags. What they say is what an entry of the callers file says.
const KIND: &str = "proton-grpc:kind";
const CALLER: &str = "proton-grpc:caller";

/// A name for the sessions of this caller and of no other: the end of its id, which tells most, and a hash of all of it.
pub(super) fn name(who: &Who) -> String {
    let (_, caller) = parts(who);
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '=' | ',' | '.' | '@' => letter,
        _ => '-',
    };
    let readable: Vec<char> = caller
        .trim_start_matches("spiffe://")
        .chars()
        .map(letter)
        .collect();
    let room = LONGEST_NAME - DIGITS - 1;
    let end = &readable[readable.len().saturating_sub(room)..];
    let hash = hex(digest(&SHA256, who.to_string().as_bytes()).as_ref());
    format!("{}-{}", String::from_iter(end), &hash[..DIGITS])
}

/// Keys and values. An id that no tag can hold is left out, rather than changed into what may be another's.
pub(super) fn tags(who: &Who) -> Vec<(&'static str, &str)> {
    let (kind, caller) = parts(who);
    let fits = |letter: char| letter.is_alphanumeric() || " _.:/=+-@".contains(letter);
    let mut tags = vec![(KIND, kind)];
    if caller.chars().count() <= LONGEST_TAG && caller.chars().all(fits) {
        tags.push((CALLER, caller));
    }
    tags
}

/// The caller as the callers file has it: of which kind, and its name there.
fn parts(who: &Who) -> (&'static str, &str) {
    match who {
        Who::Local => ("local", "local"),
        Who::Spiffe(id) => ("spiffe", id),
        Who::Token { subject, .. } => ("subject", subject),
        Who::AccessKey(id) => ("access-key", id),
        Who::Proxied(name) => ("proxied", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spiffe(id: &str) -> Who {
        Who::Spiffe(id.to_owned())
    }

    fn proxied(name: &str) -> Who {
        Who::Proxied(name.to_owned())
    }

    fn token(issuer: &str, subject: &str) -> Who {
        Who::Token {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        }
    }

    #[test]
    fn a_session_is_named_after_its_caller() {
        let named = |who: Who, begins: &str| {
            let name = name(&who);
            assert!(name.starts_with(begins), "{name}");
            assert_eq!(name.len(), begins.len() + DIGITS, "{name}");
        };
        named(
            spiffe("spiffe://prod.example/ns/shop"),
            "prod.example-ns-shop-",
        );
        named(proxied("alice@example.com"), "alice@example.com-");
        named(token("https://i", "ci:deployer"), "ci-deployer-");
    }

    #[test]
    fn every_caller_has_a_name_of_its_own_that_aws_takes() {
        let long = "spiffe://prod.example/".to_owned() + &"a".repeat(2000);
        let callers = [
            spiffe(&long),
            spiffe(&(long + "a")),
            spiffe("spiffe://td/a/b"),
            spiffe("spiffe://td/a-b"),
            proxied("td/a/b"),
            proxied(""),
            proxied("ä ö\nü"),
            proxied("ä ö\nu"),
            token("https://i", "a"),
            token("https://j", "a"),
        ];
        let names = callers
            .iter()
            .map(name)
            .collect::<std::collections::HashSet<_>>();
        assert_eq!(names.len(), callers.len());
        for name in names {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "_=,.@-".contains(letter);
            assert!((2..=LONGEST_NAME).contains(&name.len()), "{name}");
            assert!(name.chars().all(fits), "{name}");
        }
    }

    #[test]
    fn tags_hold_the_caller_or_no_caller() {
        let id = "spiffe://td/a";
        assert_eq!(tags(&spiffe(id)), [(KIND, "spiffe"), (CALLER, id)]);
        let subject = token("https://i", "auth0|123");
        assert_eq!(tags(&subject), [(KIND, "subject")]);
        assert_eq!(tags(&proxied(&"a".repeat(257))), [(KIND, "proxied")]);
    }
}
