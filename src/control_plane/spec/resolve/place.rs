//! Where in a spec a value stands; spelled out only for a message.

use std::fmt;

#[derive(Clone, Copy)]
pub(in super::super) enum Place<'a> {
    /// Under this key of an entry, as in `spec.port`.
    Root(&'a str),
    /// In a section that the message names already.
    Section,
    Key(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(in super::super) fn key(&'a self, name: &'a str) -> Place<'a> {
        Place::Key(self, name)
    }

    pub(in super::super) fn item(&'a self, index: usize) -> Place<'a> {
        Place::Item(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Section => f.write_str("inputs"),
            Self::Key(parent, name) => {
                if !matches!(parent, Self::Section) {
                    write!(f, "{parent}.")?;
                }
                // Names may be hostile: long, or with line breaks.
                name.chars()
                    .take(60)
                    .try_for_each(|char| write!(f, "{}", char.escape_debug()))
            }
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
