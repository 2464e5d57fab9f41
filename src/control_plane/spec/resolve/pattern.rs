//! Patterns are ECMA 262's, searched for in linear time. Their `\d` and `\w` are ASCII, and in their classes `[`, `&&` and `~~` are just characters.

use regex::{Regex, RegexBuilder};

/// Bytes of memory that the patterns in common use need at most.
pub(super) const SMALL: usize = 64 * 1024;
/// Bytes of memory that one pattern may need.
pub(super) const LARGE: usize = 2 * 1024 * 1024;

/// The pattern compiled; `None` if it is none, needs more memory, or looks around or back, which takes more than linear time.
pub(super) fn compile(pattern: &str, bytes: usize) -> Option<Regex> {
    RegexBuilder::new(&translate(pattern))
        .size_limit(bytes)
        .dfa_size_limit(LARGE)
        .build()
        .ok()
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('d') => out += "[0-9]",
                Some('D') => out += "[^0-9]",
                Some('w') => out += "[0-9A-Za-z_]",
                Some('W') => out += "[^0-9A-Za-z_]",
                Some('b') if !in_class => out += r"(?-u:\b)",
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
            }
            '[' | '&' | '~' if in_class => out.extend(['\\', char]),
            ']' => {
                in_class = false;
                out.push(']');
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        compile(pattern, LARGE).unwrap().is_match(text)
    }

    #[test]
    fn patterns_are_searched_for() {
        assert!(finds("b+", "abc"));
        assert!(!finds("^b+$", "abc"));
        assert!(finds(r"^.{1,1024}$", "abc"));
        assert!(finds(r"^[\w+=,.@-]{1,2048}$", "abc"));
        assert!(finds(r"^$|^\d{12}(,\d{12})*$", "123456789012,210987654321"));
        assert!(!finds(r"^$|^\d{12}(,\d{12})*$", "12345678901"));
    }

    #[test]
    fn patterns_in_common_use_are_small() {
        for pattern in [
            r"^\d{12}(,\d{12})*$",
            r"([0-9]{1,3}\.){3}[0-9]{1,3}($|/(1[6-9]|2[0-8]))",
            r"^(([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])\.){3}([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])(\/([0-9]|[1-2][0-9]|3[0-2]))?$",
            r"^[0-9A-Za-z]+[0-9A-Za-z_\-]{0,99}$",
        ] {
            assert!(compile(pattern, SMALL).is_some(), "{pattern}");
        }
    }

    #[test]
    fn classes_are_those_of_ecma() {
        assert!(!finds(r"^\d$", "٣"));
        assert!(!finds(r"^\w$", "ä"));
        assert!(finds(r"^[\w.-]+$", "a_b.c-d"));
        assert!(finds(r"^[[&&~~]+$", "[&~"));
        assert!(finds(r"^a\/b$", "a/b"));
        assert!(finds(r"^[^\d]$", "x"));
    }

    #[test]
    fn what_is_not_linear_or_too_large_is_refused() {
        for pattern in ["(?=a)", r"(a)\1", "(", "((a{100}){100}){100}"] {
            assert!(compile(pattern, LARGE).is_none(), "{pattern}");
        }
    }
}
