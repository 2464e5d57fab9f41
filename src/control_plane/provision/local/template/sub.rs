//! The text of `Fn::Sub`.

use super::refusal::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    /// `${Name}` or `${Resource.Attribute}`.
    Variable(String),
}

impl Piece {
    /// Cuts the text at its variables; `${!Name}` stands for the literal `${Name}`.
    pub(super) fn read_all(text: &str) -> Result<Vec<Piece>, Refusal> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            literal.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                literal.push_str("${");
                rest = after;
                break;
            };
            rest = behind;
            if let Some(name) = name.strip_prefix('!') {
                literal.push_str(&format!("${{{name}}}"));
                continue;
            }
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
            if name.is_empty() || !name.chars().all(allowed) {
                return Err(Refusal::error(
                    "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons",
                ));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Variable(name.to_owned()));
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_cut_out() {
        let literal = |text: &str| Piece::Literal(text.to_owned());
        let variable = |name: &str| Piece::Variable(name.to_owned());
        for (text, pieces) in [
            ("", vec![]),
            ("plain $5 {x}", vec![literal("plain $5 {x}")]),
            ("${A}", vec![variable("A")]),
            (
                "a${B.Arn}${AWS::Region}/c",
                vec![
                    literal("a"),
                    variable("B.Arn"),
                    variable("AWS::Region"),
                    literal("/c"),
                ],
            ),
            ("${!B}-$${C}", vec![literal("${B}-$"), variable("C")]),
            ("open ${end", vec![literal("open ${end")]),
        ] {
            assert_eq!(Piece::read_all(text).unwrap(), pieces, "{text}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["${}", "${ A }", "${a-b}", "${a/b}", "${é}"] {
            assert!(Piece::read_all(text).is_err(), "{text}");
        }
    }
}
