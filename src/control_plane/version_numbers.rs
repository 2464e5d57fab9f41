//! Which version numbers a template has, which it has ever had, and which are recommended.
//!
//! Numbers go up and never come again, so the highest ever given is kept after the version is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of a template version, such as `1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Number {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Number {
    /// The number of these parts. Parts that are too high for any template are no number.
    pub(super) fn of(major: &str, minor: &str) -> Option<Self> {
        Some(Self {
            major: u32::from_str(major).ok()?,
            minor: u32::from_str(minor).ok()?,
        })
    }
}

/// The numbers of one template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    highest_major: u32,
    majors: BTreeMap<u32, Major>,
}

/// A major version that has minor versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Major {
    highest_minor: u32,
    minors: BTreeSet<u32>,
    /// The highest published minor version.
    recommended: Option<u32>,
}

/// Why a version has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    RecommendedMinor,
    RecommendedVersion,
}

/// How far what is deployed is behind its template, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Staleness {
    #[default]
    UpToDate,
    BehindMinor,
    BehindMajor,
}

impl Staleness {
    /// As filters name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UP_TO_DATE",
            Self::BehindMinor => "MINOR_VERSION_BEHIND",
            Self::BehindMajor => "MAJOR_VERSION_BEHIND",
        }
    }
}

impl Numbers {
    /// Gives out the next number: a new major version, or a minor one of a major version that exists.
    pub(super) fn next(&mut self, major: Option<u32>) -> Option<Number> {
        let Some(major) = major else {
            self.highest_major += 1;
            self.majors.insert(
                self.highest_major,
                Major {
                    minors: [0].into(),
                    ..Major::default()
                },
            );
            return Some(Number {
                major: self.highest_major,
                minor: 0,
            });
        };
        let entry = self.majors.get_mut(&major)?;
        entry.highest_minor += 1;
        entry.minors.insert(entry.highest_minor);
        Some(Number {
            major,
            minor: entry.highest_minor,
        })
    }

    pub(super) fn publish(&mut self, number: Number) {
        let major = self
            .majors
            .get_mut(&number.major)
            .expect("a version that exists has its number here");
        major.recommended = major.recommended.max(Some(number.minor));
    }

    /// Takes out a version that is deleted. The recommended one goes last, in its major version and in the template.
    pub(super) fn remove(&mut self, number: Number) -> Result<(), Kept> {
        let recommended = self.recommended() == Some(number);
        let last_major = self.majors.len() == 1;
        let major = self
            .majors
            .get_mut(&number.major)
            .expect("a version that exists has its number here");
        let last_minor = major.minors.len() == 1;
        if major.recommended == Some(number.minor) && !last_minor {
            return Err(Kept::RecommendedMinor);
        }
        if recommended && !last_major {
            return Err(Kept::RecommendedVersion);
        }
        major.minors.remove(&number.minor);
        if last_minor {
            self.majors.remove(&number.major);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.majors.is_empty()
    }

    pub(super) fn has_major(&self, major: u32) -> bool {
        self.majors.contains_key(&major)
    }

    /// The version that the template offers: of its highest major version with a published one.
    pub(super) fn recommended(&self) -> Option<Number> {
        let of = |(&major, entry): (&u32, &Major)| {
            Some(Number {
                major,
                minor: entry.recommended?,
            })
        };
        self.majors.iter().rev().find_map(of)
    }

    pub(super) fn recommended_minor(&self, major: u32) -> Option<u32> {
        self.majors.get(&major)?.recommended
    }

    /// How far a version is behind what the template recommends.
    pub(super) fn staleness(&self, number: Number) -> Staleness {
        let recommended = self.recommended();
        if recommended.is_some_and(|recommended| number.major < recommended.major) {
            return Staleness::BehindMajor;
        }
        match self.recommended_minor(number.major) {
            Some(minor) if number.minor < minor => Staleness::BehindMinor,
            _ => Staleness::UpToDate,
        }
    }

    /// One version for each major version, highest first: its recommended one, else its highest.
    pub(super) fn majors(&self) -> impl Iterator<Item = Number> {
        self.majors.iter().rev().filter_map(|(&major, entry)| {
            let minor = entry.recommended.or_else(|| entry.minors.last().copied())?;
            Some(Number { major, minor })
        })
    }

    /// The minor versions of a major version, highest first.
    pub(super) fn minors(&self, major: u32) -> impl Iterator<Item = Number> {
        let minors = self.majors.get(&major).map(|entry| &entry.minors);
        minors
            .into_iter()
            .flatten()
            .rev()
            .map(move |&minor| Number { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        let (major, minor) = text.split_once('.').unwrap();
        Number::of(major, minor).unwrap()
    }

    /// Numbers with versions made in this order: none for a new major version.
    fn made(majors: &[Option<u32>]) -> Numbers {
        let mut numbers = Numbers::default();
        for major in majors {
            numbers.next(*major).unwrap();
        }
        numbers
    }

    fn texts(numbers: impl Iterator<Item = Number>) -> Vec<String> {
        numbers.map(|number| number.to_string()).collect()
    }

    #[test]
    fn the_first_version_is_1_0_and_each_new_major_version_begins_at_0() {
        let mut numbers = Numbers::default();
        let next =
            |numbers: &mut Numbers, major| numbers.next(major).map(|number| number.to_string());
        assert_eq!(next(&mut numbers, None).as_deref(), Some("1.0"));
        assert_eq!(next(&mut numbers, Some(1)).as_deref(), Some("1.1"));
        assert_eq!(next(&mut numbers, None).as_deref(), Some("2.0"));
        assert_eq!(next(&mut numbers, Some(3)), None);
        assert_eq!(next(&mut numbers, Some(0)), None);
    }

    #[test]
    fn the_highest_published_version_is_recommended() {
        let mut numbers = made(&[None, Some(1), None, Some(2)]);
        assert_eq!(numbers.recommended(), None);
        numbers.publish(number("2.0"));
        numbers.publish(number("1.1"));
        assert_eq!(numbers.recommended(), Some(number("2.0")));
        assert_eq!(numbers.recommended_minor(1), Some(1));
        numbers.publish(number("1.0"));
        assert_eq!(numbers.recommended_minor(1), Some(1));
        numbers.publish(number("2.1"));
        assert_eq!(numbers.recommended(), Some(number("2.1")));
    }

    #[test]
    fn a_recommended_version_goes_last() {
        let mut numbers = made(&[None, Some(1), None]);
        numbers.publish(number("1.1"));
        assert_eq!(numbers.remove(number("1.1")), Err(Kept::RecommendedMinor));
        assert_eq!(numbers.remove(number("1.0")), Ok(()));
        assert_eq!(numbers.remove(number("1.1")), Err(Kept::RecommendedVersion));
        assert_eq!(numbers.remove(number("2.0")), Ok(()));
        assert_eq!(numbers.remove(number("1.1")), Ok(()));
        assert!(numbers.is_empty());
        assert_eq!(numbers.next(None), Some(number("3.0")));
    }

    #[test]
    fn a_lower_major_version_whose_last_minor_is_recommended_there_can_go() {
        let mut numbers = made(&[None, None]);
        numbers.publish(number("1.0"));
        numbers.publish(number("2.0"));
        assert_eq!(numbers.remove(number("1.0")), Ok(()));
        assert!(!numbers.has_major(1));
    }

    #[test]
    fn lists_go_from_the_highest_down() {
        let mut numbers = made(&[None, Some(1), Some(1), None, Some(2)]);
        numbers.publish(number("1.1"));
        assert_eq!(texts(numbers.majors()), ["2.1", "1.1"]);
        assert_eq!(texts(numbers.minors(1)), ["1.2", "1.1", "1.0"]);
        assert_eq!(texts(numbers.minors(7)), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_number_is_given_twice(steps in proptest::collection::vec((0..4u8, 0..4u32), 1..60)) {
            let mut numbers = Numbers::default();
            let mut given = BTreeSet::new();
            let mut alive = Vec::new();
            for (step, pick) in steps {
                match step {
                    0 => {
                        let number = numbers.next(None).unwrap();
                        prop_assert!(given.insert(number));
                        alive.push(number);
                    }
                    1 => if let Some(number) = numbers.next(Some(pick)) {
                        prop_assert!(given.insert(number));
                        alive.push(number);
                    },
                    2 => if let Some(number) = alive.get(pick as usize) { numbers.publish(*number) },
                    _ => if let Some(&number) = alive.get(pick as usize) && numbers.remove(number).is_ok() {
                        alive.retain(|kept| *kept != number);
                    },
                }
                prop_assert_eq!(numbers.is_empty(), alive.is_empty());
                prop_assert!(numbers.recommended().is_none_or(|number| alive.contains(&number)));
            }
        }
    }
}
