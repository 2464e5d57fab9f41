//! Names of stacks, by which roles and people recognise what Proton made.

use aws_lc_rs::digest::{SHA256, digest};

use super::{Target, TargetKind};

/// How much of each name fits.
const PART: usize = 15;
const LETTERS: usize = 15;

/// `AWSProton-<names>-cloudformation--<15 capital letters>`. The letters follow from the target and its time of creation, so
/// that nothing has to be remembered and a resource made anew never meets the stack of its predecessor.
pub fn stack_name(target: &Target) -> String {
    let letters = letters(&[&target.arn, &target.created_at_ms.to_string()]);
    let names = names(&target.kind);
    format!("AWSProton-{names}-cloudformation--{letters}")
}

/// The name that the commands of a build may give to a stack of their own: `AWSProton-<names>-codebuild--<15 capital letters>`.
/// It follows from the target's names alone, since a tool like the CDK takes over the stack that it finds.
pub fn build_stack_name(kind: &TargetKind, arn: &str) -> String {
    let (names, letters) = (names(kind), letters(&[arn]));
    format!("AWSProton-{names}-codebuild--{letters}")
}

fn names(kind: &TargetKind) -> String {
    let names = match kind {
        TargetKind::Environment { name } | TargetKind::Component { name, .. } => cut(name).into(),
        TargetKind::ServiceInstance { service, name, .. } => {
            format!("{}-{}", cut(service), cut(name))
        }
        TargetKind::Pipeline { service } => format!("{}-pipeline", cut(service)),
    };
    // A stack's name has letters, digits and hyphens; Proton's names may have underscores too.
    names.replace('_', "-")
}

/// Fifteen capital letters that stand for these words.
pub(super) fn letters(of: &[&str]) -> String {
    let digest = digest(&SHA256, of.join("|").as_bytes());
    let letter = |byte: &u8| char::from(b'A' + byte % 26);
    digest.as_ref().iter().take(LETTERS).map(letter).collect()
}

fn cut(name: &str) -> &str {
    name.char_indices()
        .nth(PART)
        .map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(kind: TargetKind) -> String {
        stack_name(&Target {
            arn: "arn:aws:proton:us-east-1:123456789012:environment/prod".to_owned(),
            kind,
            created_at_ms: 1,
        })
    }

    fn parts(name: &str) -> (&str, &str) {
        name.rsplit_once("--").unwrap()
    }

    #[test]
    fn each_kind_of_target_is_named_in_its_way() {
        let long = || "a-name-that-is-too-long".to_owned();
        for (kind, expected) in [
            (
                TargetKind::Environment {
                    name: "prod_1".to_owned(),
                },
                "AWSProton-prod-1-cloudformation",
            ),
            (
                TargetKind::ServiceInstance {
                    environment: "prod".to_owned(),
                    service: long(),
                    name: long(),
                },
                "AWSProton-a-name-that-is--a-name-that-is--cloudformation",
            ),
            (
                TargetKind::Pipeline { service: long() },
                "AWSProton-a-name-that-is--pipeline-cloudformation",
            ),
            (
                TargetKind::Component {
                    environment: "prod".to_owned(),
                    name: "queue".to_owned(),
                },
                "AWSProton-queue-cloudformation",
            ),
        ] {
            let name = name_of(kind);
            let (lead, letters) = parts(&name);
            assert_eq!(lead, expected);
            assert!(
                letters.len() == 15 && letters.chars().all(|c| c.is_ascii_uppercase()),
                "{letters}"
            );
            assert!(name.len() <= 128);
        }
    }

    #[test]
    fn a_build_keeps_the_name_of_its_stack() {
        let kind = TargetKind::ServiceInstance {
            environment: "prod".to_owned(),
            service: "web_shop".to_owned(),
            name: "dev".to_owned(),
        };
        let name = build_stack_name(&kind, "a");
        assert_eq!(parts(&name).0, "AWSProton-web-shop-dev-codebuild");
        assert_eq!(name, build_stack_name(&kind, "a"));
        assert_ne!(name, build_stack_name(&kind, "b"));
    }

    #[test]
    fn the_letters_are_those_of_one_life() {
        let kind = || TargetKind::Environment {
            name: "prod".to_owned(),
        };
        let target = |arn: &str, created_at_ms| Target {
            arn: arn.to_owned(),
            kind: kind(),
            created_at_ms,
        };
        let first = stack_name(&target("a", 1));
        assert_eq!(first, stack_name(&target("a", 1)));
        assert_ne!(first, stack_name(&target("a", 2)));
        assert_ne!(first, stack_name(&target("b", 1)));
    }
}
