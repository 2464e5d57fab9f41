//! What a stack's resources are called, as if they existed.
//!
//! Ids, names and attributes follow from account, region, stack, logical id and type, so they stay the same through updates and
//! restarts. They look like AWS's where a template is likely to take them apart; the table is in `kinds`. What a template says itself
//! wins: a name in a property is the name.

use aws_lc_rs::digest::{SHA256, digest};

use super::kinds::{self, Kind};
use super::template::Value;

/// A stack on paper.
pub(super) struct Stack<'a> {
    pub(super) account_id: &'a str,
    pub(super) region: &'a str,
    pub(super) name: String,
}

/// A resource of a stack.
#[derive(Clone, Copy)]
pub(super) struct Resource<'a> {
    /// The logical id.
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    /// Evaluated.
    pub(super) properties: &'a Value,
}

impl<'a> Stack<'a> {
    pub(super) fn new(account_id: &'a str, region: &'a str, name: String) -> Self {
        Self {
            account_id,
            region,
            name,
        }
    }

    pub(super) fn id(&self) -> String {
        let (partition, region, account) = (self.partition(), self.region, self.account_id);
        let uuid = self.made(&["stack"]).uuid();
        format!(
            "arn:{partition}:cloudformation:{region}:{account}:stack/{}/{uuid}",
            self.name
        )
    }

    pub(super) fn pseudo_parameter(&self, name: &str) -> Option<Value> {
        let text = match name {
            "AWS::AccountId" => self.account_id.to_owned(),
            "AWS::Region" => self.region.to_owned(),
            "AWS::Partition" => self.partition().to_owned(),
            "AWS::URLSuffix" => self.suffix().to_owned(),
            "AWS::StackName" => self.name.clone(),
            "AWS::StackId" => self.id(),
            "AWS::NotificationARNs" => return Some(Value::List(Vec::new())),
            _ => return None,
        };
        Some(Value::Text(text))
    }

    fn partition(&self) -> &'static str {
        match self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn suffix(&self) -> &'static str {
        match self.partition() {
            "aws-cn" => "amazonaws.com.cn",
            _ => "amazonaws.com",
        }
    }

    /// What is made up for these words, in this stack.
    pub(super) fn made(&self, of: &[&str]) -> Made {
        Made::from(&[&[self.account_id, self.region, &self.name], of].concat())
    }

    /// What `Ref` of the resource is.
    pub(super) fn reference(&self, resource: &Resource<'_>) -> Value {
        let kind = kinds::kind(resource.kind);
        Value::Text(self.identifier(resource, &kind))
    }

    /// What `Fn::GetAtt` of the resource is: what the template itself says, else by the table, else what the attribute's name suggests.
    pub(super) fn attribute(&self, resource: &Resource<'_>, attribute: &str) -> Value {
        if let Some(given) = resource.properties.get(attribute) {
            return given.clone();
        }
        let kind = kinds::kind(resource.kind);
        let known = kind.attributes.iter().find(|(name, _)| *name == attribute);
        let form = known.map_or_else(|| kinds::likely_form(attribute), |(_, form)| form);
        match form.strip_prefix('[') {
            None => Value::Text(self.filled(form, resource, &kind, attribute)),
            Some(list) => {
                let items = list.trim_end_matches(']').split(',').enumerate();
                let items = items.map(|(index, form)| {
                    let salt = format!("{attribute}{index}");
                    Value::Text(self.filled(form, resource, &kind, &salt))
                });
                Value::List(items.collect())
            }
        }
    }

    fn identifier(&self, resource: &Resource<'_>, kind: &Kind) -> String {
        self.filled(kind.reference, resource, kind, "")
    }

    /// The name that the template gives, or one that CloudFormation would make.
    fn name_of(&self, resource: &Resource<'_>, kind: &Kind) -> String {
        let given = resource.properties.get(kind.name).and_then(Value::as_text);
        if let Some(given) = given {
            return given.to_owned();
        }
        let end = self.made(&["name", resource.name, resource.kind]).upper(12);
        let lead = format!("{}-{}", self.name, resource.name);
        let room = kind.longest - end.len() - 1;
        let lead: String = lead.chars().filter(char::is_ascii).take(room).collect();
        let name = format!("{}-{end}", lead.trim_end_matches('-'));
        if kind.lower {
            name.to_lowercase()
        } else {
            name
        }
    }

    /// Fills a form in. What is made up differs by `salt`.
    fn filled(&self, form: &str, resource: &Resource<'_>, kind: &Kind, salt: &str) -> String {
        let made = || self.made(&[resource.name, resource.kind, salt]);
        let mut text = String::new();
        let mut rest = form;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (blank, behind) = after.split_once('}').expect("forms close their blanks");
            rest = behind;
            let (service, thing) = words(resource.kind);
            let (property, default) = blank.split_once('|').unwrap_or((blank, ""));
            match blank {
                "partition" => text.push_str(self.partition()),
                "region" => text.push_str(self.region),
                "account" => text.push_str(self.account_id),
                "suffix" => text.push_str(self.suffix()),
                "stack" => text.push_str(&self.name),
                "logical" => text.push_str(resource.name),
                "name" => text.push_str(&self.name_of(resource, kind)),
                // Of a form that is itself the reference, this would be without end.
                "ref" => text.push_str(&self.identifier(resource, kind)),
                "label" => text.push_str(&label(&self.name_of(resource, kind))),
                "service" => text.push_str(&service),
                "thing" => text.push_str(&thing),
                "attribute" => text.push_str(salt),
                // Shared by all that is said of the resource.
                "own" => text.push_str(&self.made(&[resource.name, resource.kind, "own"]).hex(16)),
                "uuid" => text.push_str(&made().uuid()),
                "ip" => text.push_str(&made().ip()),
                _ if blank.contains('|') => {
                    let given = resource.properties.get(property).and_then(Value::as_text);
                    let given = given.unwrap_or(default);
                    let inside_an_arn = text.starts_with("arn:") && given.starts_with("arn:");
                    text.push_str(if inside_an_arn {
                        last_word(given)
                    } else {
                        given
                    });
                }
                _ => text.push_str(&made().blank(blank)),
            }
        }
        text.push_str(rest);
        text
    }
}

/// The service and the thing of a type, as ARNs write them.
fn words(kind: &str) -> (String, String) {
    let mut words = kind.split("::").skip(1);
    let service = words.next().unwrap_or_default().to_lowercase();
    let thing = words
        .next()
        .map_or_else(|| service.clone(), str::to_lowercase);
    (service, thing)
}

/// The name at the end of an ARN or a path.
fn last_word(text: &str) -> &str {
    text.rsplit(['/', ':']).next().unwrap_or_default()
}

/// A name as part of a host name.
fn label(name: &str) -> String {
    let letters = last_word(name).chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    });
    letters.take(60).collect()
}

/// Letters and digits out of nothing but the words they stand for.
pub(super) struct Made([u8; 32]);

impl Made {
    pub(super) fn from(words: &[&str]) -> Self {
        let digest = digest(&SHA256, words.join("|").as_bytes());
        Self(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }

    pub(super) fn hex(&self, length: usize) -> String {
        self.of(b"0123456789abcdef", length)
    }

    fn upper(&self, length: usize) -> String {
        self.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", length)
    }

    fn of(&self, alphabet: &[u8], length: usize) -> String {
        let letter = |byte: &u8| char::from(alphabet[usize::from(*byte) % alphabet.len()]);
        self.0.iter().cycle().take(length).map(letter).collect()
    }

    pub(super) fn uuid(&self) -> String {
        let hex = self.hex(32);
        let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20]);
        format!("{a}-{b}-4{c}-8{d}-{}", &hex[20..])
    }

    fn ip(&self) -> String {
        let [a, b, c, ..] = self.0;
        format!("10.{a}.{b}.{c}")
    }

    /// A blank such as `hex17`: the alphabet and how many.
    fn blank(&self, blank: &str) -> String {
        let digits = blank.trim_start_matches(|c: char| !c.is_ascii_digit());
        let length = digits.parse().expect("blanks of forms say their length");
        match &blank[..blank.len() - digits.len()] {
            "hex" => self.hex(length),
            "upper" => self.upper(length),
            "lower" => self.of(b"abcdefghijklmnopqrstuvwxyz0123456789", length),
            "digits" => self.of(b"123456789", length),
            other => unreachable!("forms have no blank {other}"),
        }
    }
}
