//! Jinja's tags, told apart from text exactly as Jinja2 does with its default options.
//!
//! Text is everything outside tags: as it stands, but for the whitespace that a `-` next to it strips, and for the one newline at the end of the
//! file, which is never kept. Unlike Jinja2 this does not turn CRLF into LF: what an author wrote stays.

use super::error::Broken;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece<'s> {
    Text(&'s str),
    /// `{{ … }}`
    Output(Tag<'s>),
    /// `{% … %}`
    Statement(Tag<'s>),
}

#[derive(Debug)]
pub(super) struct Tag<'s> {
    pub(super) source: &'s str,
    pub(super) tokens: Vec<Token<'s>>,
    pub(super) line: usize,
    /// Characters before the tag in its line.
    pub(super) column: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    pub(super) text: &'s str,
    /// Whether it follows the token before it without a space.
    pub(super) glued: bool,
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Name,
    Number,
    /// With its escapes resolved.
    String(String),
    Operator,
}

/// Longest first.
const OPERATORS: [&str; 26] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Broken> {
    let source = source
        .strip_suffix("\r\n")
        .or_else(|| source.strip_suffix('\n'))
        .or_else(|| source.strip_suffix('\r'))
        .unwrap_or(source);
    let mut lexer = Lexer {
        source,
        at: 0,
        line: 1,
        column: 0,
        pieces: Vec::new(),
    };
    while lexer.at < source.len() {
        lexer.root()?;
    }
    Ok(lexer.pieces)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    column: usize,
    pieces: Vec<Piece<'s>>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn advance(&mut self, bytes: usize) -> &'s str {
        let passed = &self.rest()[..bytes];
        self.line += newlines(passed);
        self.at += bytes;
        self.column = match passed.rfind('\n') {
            Some(newline) => passed[newline + 1..].chars().count(),
            None => self.column + passed.chars().count(),
        };
        passed
    }

    fn fault(&self, rule: impl Into<String>) -> Broken {
        Broken::new(self.line, rule)
    }

    /// One stretch of text and the tag behind it.
    fn root(&mut self) -> Result<(), Broken> {
        let rest = self.rest();
        let opens = |at: &usize| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#'));
        let Some(begin) = rest.match_indices('{').map(|(at, _)| at).find(opens) else {
            let text = self.advance(rest.len());
            self.pieces.push(Piece::Text(text));
            return Ok(());
        };
        let text = self.advance(begin);
        let tag = self.rest();
        let sign = tag.as_bytes().get(2).copied();
        self.push_text(text, sign == Some(b'-'));
        if let Some(raw) = raw_tag(tag, "raw") {
            return self.raw(raw);
        }
        let opened = 2 + usize::from(matches!(sign, Some(b'-' | b'+')));
        match tag.as_bytes()[1] {
            b'#' => self.comment(opened),
            b'{' => self.tag(opened, "}}", Piece::Output),
            _ => self.tag(opened, "%}", Piece::Statement),
        }
    }

    fn push_text(&mut self, text: &'s str, stripped: bool) {
        let text = if stripped {
            text.trim_end_matches(is_space)
        } else {
            text
        };
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }

    fn strip(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start_matches(is_space).len());
    }

    fn comment(&mut self, opened: usize) -> Result<(), Broken> {
        let Some(end) = self.rest()[opened..].find("#}") else {
            return Err(self.fault("the comment is not closed: #} is missing"));
        };
        let end = opened + end;
        let stripped = end > opened && self.rest().as_bytes()[end - 1] == b'-';
        self.advance(end + 2);
        if stripped {
            self.strip();
        }
        Ok(())
    }

    fn raw(&mut self, raw: RawTag) -> Result<(), Broken> {
        let line = self.line;
        self.advance(raw.length);
        if raw.strips_after {
            self.strip();
        }
        let rest = self.rest();
        let end = rest
            .match_indices("{%")
            .find_map(|(at, _)| Some((at, raw_tag(&rest[at..], "endraw")?)));
        let Some((at, end)) = end else {
            return Err(Broken::new(line, "{% raw %} is not closed by {% endraw %}"));
        };
        let text = self.advance(at);
        self.push_text(text, end.strips_before);
        self.advance(end.length);
        if end.strips_after {
            self.strip();
        }
        Ok(())
    }

    fn tag(
        &mut self,
        opened: usize,
        end: &str,
        piece: fn(Tag<'s>) -> Piece<'s>,
    ) -> Result<(), Broken> {
        let (start, line, column) = (self.at, self.line, self.column);
        self.advance(opened);

        let mut tokens = Vec::new();
        let mut open = Vec::new();
        let mut glued = false;
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                let begin = &self.source[start..start + 2];
                return Err(Broken::new(
                    line,
                    format!("{begin} is not closed: {end} is missing"),
                ));
            }
            if open.is_empty()
                && let Some(length) = end_of_tag(rest, end)
            {
                self.advance(length);
                let source = &self.source[start..self.at];
                if rest.starts_with('-') {
                    self.strip();
                }
                self.pieces.push(piece(Tag {
                    source,
                    tokens,
                    line,
                    column,
                }));
                return Ok(());
            }
            let space = rest.len() - rest.trim_start_matches(is_space).len();
            if space > 0 {
                self.advance(space);
                glued = false;
                continue;
            }
            let token = self.token(glued, tokens.last())?;
            self.balance(&mut open, &token)?;
            tokens.push(token);
            glued = true;
        }
    }

    fn balance(&self, open: &mut Vec<&'static str>, token: &Token<'s>) -> Result<(), Broken> {
        if token.kind != Kind::Operator {
            return Ok(());
        }
        match token.text {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" => match open.pop() {
                Some(expected) if expected == token.text => {}
                Some(expected) => {
                    let found = token.text;
                    return Err(
                        self.fault(format!("unexpected \"{found}\", expected \"{expected}\""))
                    );
                }
                None => return Err(self.fault(format!("unexpected \"{}\"", token.text))),
            },
            _ => {}
        }
        Ok(())
    }

    fn token(&mut self, glued: bool, before: Option<&Token<'s>>) -> Result<Token<'s>, Broken> {
        let rest = self.rest();
        let line = self.line;
        let first = rest.chars().next().expect("the rest is not empty");
        let after_dot = glued && before.is_some_and(|token| token.text == ".");
        let (kind, length) = if first.is_ascii_digit() {
            (Kind::Number, number(rest, after_dot))
        } else if first == '_' || first.is_alphanumeric() {
            let length = rest
                .find(|c: char| !(c == '_' || c.is_alphanumeric()))
                .unwrap_or(rest.len());
            (Kind::Name, length)
        } else if matches!(first, '"' | '\'') {
            let (text, length) = string(rest, first).map_err(|rule| self.fault(rule))?;
            (Kind::String(text), length)
        } else if let Some(operator) = OPERATORS.into_iter().find(|text| rest.starts_with(text)) {
            (Kind::Operator, operator.len())
        } else {
            return Err(self.fault(format!("unexpected character {first:?}")));
        };
        Ok(Token {
            kind,
            text: self.advance(length),
            glued,
            line,
        })
    }
}

fn end_of_tag(rest: &str, end: &str) -> Option<usize> {
    let signed = match rest.as_bytes().first() {
        Some(b'-') => true,
        Some(b'+') => end == "%}",
        _ => false,
    };
    let skipped = usize::from(signed);
    rest[skipped..].starts_with(end).then_some(skipped + 2)
}

/// The length of a number, as Python writes them.
fn number(text: &str, after_dot: bool) -> usize {
    let digits = |from: usize, allowed: fn(u8) -> bool| {
        let bytes = text.as_bytes();
        let mut end = from;
        while end < bytes.len()
            && (allowed(bytes[end])
                || (bytes[end] == b'_'
                    && end > from
                    && bytes.get(end + 1).is_some_and(|next| allowed(*next))))
        {
            end += 1;
        }
        end
    };
    let bytes = text.as_bytes();
    if bytes[0] == b'0' {
        let radix: Option<fn(u8) -> bool> = match bytes.get(1) {
            Some(b'x' | b'X') => Some(|byte| byte.is_ascii_hexdigit()),
            Some(b'o' | b'O') => Some(|byte| matches!(byte, b'0'..=b'7')),
            Some(b'b' | b'B') => Some(|byte| matches!(byte, b'0' | b'1')),
            _ => None,
        };
        if let Some(allowed) = radix {
            let end = digits(2, allowed);
            return if end > 2 { end } else { 1 };
        }
    }
    let decimal: fn(u8) -> bool = |byte| byte.is_ascii_digit();
    let mut end = digits(0, decimal);
    if after_dot {
        return end;
    }
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1, decimal);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        if bytes.get(exponent).is_some_and(u8::is_ascii_digit) {
            end = digits(exponent, decimal);
        }
    }
    end
}

/// A string literal without its quotes and escapes, and its length.
fn string(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((value, at + 1));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let Some((escaped_at, escaped)) = chars.next() else {
            break;
        };
        let after = &text[escaped_at + escaped.len_utf8()..];
        let mut code = |digits: usize| {
            let code = after
                .get(..digits)
                .and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let found = code.and_then(char::from_u32);
            chars.by_ref().take(digits).for_each(|_| {});
            found.ok_or_else(|| {
                format!("\\{escaped} must be followed by {digits} hexadecimal digits")
            })
        };
        match escaped {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            'a' => value.push('\x07'),
            'b' => value.push('\x08'),
            'f' => value.push('\x0c'),
            'v' => value.push('\x0b'),
            '0'..='7' => {
                let more = after
                    .bytes()
                    .take(2)
                    .take_while(|byte| matches!(byte, b'0'..=b'7'));
                let more = more.count();
                let digits = &text[escaped_at..=escaped_at + more];
                let code = u32::from_str_radix(digits, 8).expect("these are octal digits");
                value.push(char::from_u32(code).expect("three octal digits are a character"));
                chars.by_ref().take(more).for_each(|_| {});
            }
            'x' => value.push(code(2)?),
            'u' => value.push(code(4)?),
            'U' => value.push(code(8)?),
            '\\' | '"' | '\'' => value.push(escaped),
            '\n' => {}
            _ => value.extend(['\\', escaped]),
        }
    }
    Err("a string is not closed".to_owned())
}

struct RawTag {
    length: usize,
    strips_before: bool,
    strips_after: bool,
}

/// `{% raw %}` or `{% endraw %}` at the start of the text.
fn raw_tag(text: &str, name: &str) -> Option<RawTag> {
    let inner = text.strip_prefix("{%")?;
    let signed = inner.strip_prefix(['-', '+']);
    let strips_before = inner.starts_with('-');
    let inner = signed.unwrap_or(inner).trim_start_matches(is_space);
    let after = inner.strip_prefix(name)?.trim_start_matches(is_space);
    let strips_after = after.starts_with('-');
    let after = after
        .strip_prefix('-')
        .or_else(|| after.strip_prefix('+').filter(|_| name == "endraw"))
        .unwrap_or(after);
    let rest = after.strip_prefix("%}")?;
    Some(RawTag {
        length: text.len() - rest.len(),
        strips_before,
        strips_after,
    })
}

/// Python's idea of whitespace.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// CRLF is one newline, and so is a lone CR.
fn newlines(text: &str) -> usize {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .filter(|at| match bytes[*at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        })
        .count()
}
