use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::*;

fn known() -> Known {
    Known {
        region: "us-east-1".to_owned(),
        ids: true,
        issuers: Issuers::Only("https://issuer.example".to_owned()),
        names: true,
        roles: true,
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callers.toml");
    write(&path, text, 0o600);
    (directory, path)
}

fn open(text: &str) -> Result<Watched, String> {
    let (_directory, path) = file(text);
    Watched::open(&path, known())
}

fn entry(name: &str, digit: &str) -> String {
    format!("[[caller]]\n{name}\naccount = '{}'\n", digit.repeat(12))
}

fn account(callers: &Watched, who: Who) -> Option<String> {
    let callers = callers.now();
    callers
        .seat(&who)
        .map(|seat| seat.place.account[..1].to_owned())
}

fn spiffe(id: &str) -> Who {
    Who::Spiffe(id.to_owned())
}

fn token(subject: &str) -> Who {
    Who::Token {
        issuer: "https://issuer.example".to_owned(),
        subject: subject.to_owned(),
    }
}

#[test]
fn the_most_exact_entry_wins_wherever_it_stands() {
    let callers = open(
        &[
            entry("spiffe = 'spiffe://td/*'", "1"),
            entry("spiffe = 'spiffe://td/ns/shop/*'", "2"),
            entry("spiffe = 'spiffe://td/ns/shop/web'", "3"),
            entry("spiffe = 'spiffe://td/ns/*'", "4"),
        ]
        .concat(),
    )
    .unwrap();
    let of = |id| account(&callers, spiffe(id));
    assert_eq!(of("spiffe://td/a").as_deref(), Some("1"));
    assert_eq!(of("spiffe://td/ns/shop/cart").as_deref(), Some("2"));
    assert_eq!(of("spiffe://td/ns/shop/web").as_deref(), Some("3"));
    assert_eq!(of("spiffe://td/ns/shop").as_deref(), Some("4"));
    assert_eq!(of("spiffe://td/ns/shop/web/a").as_deref(), Some("2"));
    assert_eq!(of("spiffe://other/ns/shop/web"), None);
}

#[test]
fn an_entry_matches_its_own_kind_only() {
    let callers = open(
        &[
            entry("subject = 'alice'", "1"),
            entry("subject = 'ci:*'\nissuer = 'https://issuer.example'", "2"),
            entry("proxied = 'bob'", "3"),
        ]
        .concat(),
    )
    .unwrap();
    let proxied = |name: &str| Who::Proxied(name.to_owned());
    assert_eq!(account(&callers, token("alice")).as_deref(), Some("1"));
    assert_eq!(
        account(&callers, token("ci:deployer")).as_deref(),
        Some("2")
    );
    assert_eq!(account(&callers, token("ci:")), None);
    assert_eq!(account(&callers, proxied("bob")).as_deref(), Some("3"));
    assert_eq!(account(&callers, token("bob")), None);
    assert_eq!(account(&callers, proxied("alice")), None);
    assert_eq!(account(&callers, spiffe("alice")), None);
    assert_eq!(account(&callers, Who::Local), None);
}

#[test]
fn an_entry_names_its_region_or_has_the_servers() {
    let callers = open(
        &[
            entry("subject = 'alice'\nregion = 'eu-west-1'", "1"),
            entry("subject = 'bob'", "1"),
        ]
        .concat(),
    )
    .unwrap();
    let region = |subject| {
        let callers = callers.now();
        callers.seat(&token(subject)).unwrap().place.region.clone()
    };
    assert_eq!(region("alice"), "eu-west-1");
    assert_eq!(region("bob"), "us-east-1");
}

#[test]
fn a_wrong_entry_is_told_by_its_rule() {
    for (text, said) in [
        (entry("", "1"), "caller 1: an entry has exactly one of"),
        (entry("subject = 'a'\nproxied = 'a'", "1"), "exactly one of"),
        (
            entry(
                "subject = 'a'\naccess-key = { id = 'A', secret = 's' }",
                "1",
            ),
            "exactly one of",
        ),
        (
            entry("subject = 'a'", "1") + &entry("subject = 'a'", "2"),
            "caller 2: a is there twice",
        ),
        (
            entry("subject = 'a*'", "1") + &entry("subject = 'a*'", "2"),
            "a* is there twice",
        ),
        (
            entry("access-key = { id = 'A', secret = 's' }", "1").repeat(2),
            "access key A is there twice",
        ),
        (
            entry("access-key = { id = 'A' }", "1"),
            "one of secret and secret-file",
        ),
        (
            entry("access-key = { id = '', secret = 's' }", "1"),
            "access-key.id has",
        ),
        (
            entry("access-key = { id = 'A', secret = '' }", "1"),
            "the secret is empty",
        ),
        (
            entry("access-key = { id = 'A', secret-file = 'none' }", "1"),
            "none: No such file",
        ),
        (entry("spiffe = 'spiffe://td/a*'", "1"), "follows a /"),
        (entry("spiffe = 'spiffe://TD/a'", "1"), "a trust domain has"),
        (
            entry("subject = 'a'\nissuer = 'https://other'", "1"),
            "issuer is not --jwt-issuer",
        ),
        (
            entry("proxied = 'a'\nissuer = 'https://other'", "1"),
            "issuer belongs to a subject",
        ),
        (entry("subject = 'a'\nregion = 'Mars 1'", "1"), "region has"),
        (
            "[[caller]]\nsubject = 'a'\naccount = '1'\n".to_owned(),
            "account has twelve digits",
        ),
        (
            "[[caller]]\nsubject = 'a'\n".to_owned(),
            "line 1 is no entry",
        ),
        (
            "\n[[caller]]\nsecert = 'canary'\n".to_owned(),
            "line 3 is no entry",
        ),
    ] {
        let problem = open(&text).unwrap_err();
        assert!(problem.contains(said), "{text}: {problem}");
        assert!(!problem.contains("canary"), "{problem}");
    }
}

const ROLE: &str = "role = 'arn:aws:iam::111111111111:role/team/deploy'";

fn role(callers: &Watched, subject: &str) -> Option<Role> {
    let callers = callers.now();
    let seat = callers.seat(&token(subject)).unwrap();
    seat.role.as_deref().cloned()
}

#[test]
fn a_caller_has_the_role_of_its_entry() {
    let callers = open(
        &[
            entry(
                &format!("subject = 'alice'\n{ROLE}\nexternal-id = 'x'"),
                "1",
            ),
            entry(&format!("subject = 'ci:*'\n{ROLE}"), "1"),
            entry("subject = 'ops'\nrole = 'own'", "2"),
            entry("access-key = { id = 'A', secret = 's' }", "1"),
        ]
        .concat(),
    )
    .unwrap();
    let arn = || "arn:aws:iam::111111111111:role/team/deploy".to_owned();
    let with = |external_id: Option<&str>| {
        let external_id = external_id.map(str::to_owned);
        Some(Role {
            arn: arn(),
            external_id,
        })
    };
    assert_eq!(role(&callers, "alice"), with(Some("x")));
    assert_eq!(role(&callers, "ci:deployer"), with(None));
    assert_eq!(role(&callers, "ops"), None);
}

#[test]
fn roles_are_all_callers_or_nobodys() {
    let with = entry(&format!("subject = 'a'\n{ROLE}"), "1");
    let without = entry("subject = 'b'", "1");
    let problem = open(&(with.clone() + &without)).unwrap_err();
    assert!(problem.contains("caller 2 has no role"), "{problem}");

    // Nor does a changed file take the role away from one of them.
    let (_directory, path) = file(&with);
    let callers = Watched::open(&path, known()).unwrap();
    write(&path, &(with + &without), 0o600);
    callers.look();
    assert!(role(&callers, "a").is_some());
    assert_eq!(account(&callers, token("b")), None);
}

#[test]
fn a_wrong_role_is_told_by_its_rule() {
    for (name, said) in [
        ("subject = 'a'\nrole = 'deploy'", "role is the ARN of one"),
        ("subject = 'a'\nrole = ''", "role is the ARN of one"),
        (
            "subject = 'a'\nrole = 'arn:aws:iam::111111111111:user/a'",
            "role is the ARN of one",
        ),
        (
            "subject = 'a'\nrole = 'arn:aws:iam::111111111111:role/'",
            "role is the ARN of one",
        ),
        (
            "subject = 'a'\nrole = 'arn:aws:iam::222222222222:role/a'",
            "role is of another account",
        ),
        ("subject = 'a'\nexternal-id = 'x'", "belongs to a role"),
        (
            "subject = 'a'\nrole = 'own'\nexternal-id = 'x'",
            "does not go with",
        ),
        (
            "access-key = { id = 'A', secret = 's' }\nrole = 'own'",
            "which has no roles",
        ),
    ] {
        let problem = open(&entry(name, "1")).unwrap_err();
        assert!(problem.contains(said), "{name}: {problem}");
    }
    let (_directory, path) = file(&entry("subject = 'a'\nrole = 'own'", "1"));
    let embedded = Known {
        roles: false,
        ..known()
    };
    let problem = Watched::open(&path, embedded).unwrap_err();
    assert!(problem.contains("role needs --upstream"), "{problem}");
}

#[test]
fn an_entry_of_a_source_that_is_off_is_wrong() {
    for name in ["spiffe = 'spiffe://td/a'", "subject = 'a'", "proxied = 'a'"] {
        let (_directory, path) = file(&entry(name, "1"));
        let off = Known {
            ids: false,
            issuers: Issuers::None,
            names: false,
            ..known()
        };
        let problem = Watched::open(&path, off).unwrap_err();
        assert!(problem.contains(" needs --"), "{problem}");
    }
}

#[test]
fn a_file_that_holds_secrets_is_not_everybodys() {
    let inline = entry("access-key = { id = 'A', secret = 's' }", "1");
    let (_directory, path) = file(&inline);
    assert!(Watched::open(&path, known()).is_ok());
    write(&path, &inline, 0o604);
    assert!(Watched::open(&path, known()).unwrap_err().contains("chmod"));

    let named = entry("access-key = { id = 'A', secret-file = 'a.secret' }", "1");
    write(&path, &named, 0o644);
    let secret = path.with_file_name("a.secret");
    write(&secret, "s\n", 0o640);
    assert!(Watched::open(&path, known()).is_ok());
    write(&secret, "s\n", 0o644);
    assert!(
        Watched::open(&path, known())
            .unwrap_err()
            .contains("a.secret: everybody")
    );
    write(&path, &entry("subject = 'a'", "1"), 0o644);
    assert!(Watched::open(&path, known()).is_ok());
}

#[test]
fn a_changed_file_is_taken_up_and_a_broken_one_is_not() {
    let (_directory, path) = file(&entry("subject = 'alice'", "1"));
    let callers = Watched::open(&path, known()).unwrap();
    let alice = || account(&callers, token("alice"));
    write(&path, &entry("subject = 'alice'", "2"), 0o600);
    assert_eq!(alice().as_deref(), Some("1"));
    callers.look();
    assert_eq!(alice().as_deref(), Some("2"));
    for broken in ["[[caller]", "[[caller]]\nsubject = 'alice'\n"] {
        write(&path, broken, 0o600);
        callers.look();
        assert_eq!(alice().as_deref(), Some("2"), "{broken}");
    }
    fs::remove_file(&path).unwrap();
    callers.look();
    assert_eq!(alice().as_deref(), Some("2"));
    write(&path, "", 0o600);
    callers.look();
    assert_eq!(alice(), None);
}

#[test]
fn secrets_are_not_shown() {
    let callers = open(&entry("access-key = { id = 'A', secret = 'canary' }", "1")).unwrap();
    assert!(callers.now().key("A").is_some());
    assert!(!format!("{callers:?}").contains("canary"));
}
