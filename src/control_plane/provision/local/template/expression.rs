//! Values with their intrinsic functions recognised, and the shape of every call checked.

use std::collections::HashSet;

use super::refusal::Refusal;
use super::sub::Piece;
use super::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Text(String),
    List(Vec<Expression>),
    Map(Vec<(String, Expression)>),
    Ref(String),
    GetAtt {
        resource: String,
        attribute: Box<Expression>,
    },
    Sub {
        pieces: Vec<Piece>,
        variables: Vec<(String, Expression)>,
    },
    Join {
        delimiter: String,
        items: Box<Expression>,
    },
    Split {
        delimiter: String,
        text: Box<Expression>,
    },
    Select {
        index: Box<Expression>,
        items: Box<Expression>,
    },
    FindInMap {
        map: Box<Expression>,
        top: Box<Expression>,
        second: Box<Expression>,
    },
    Cidr(Vec<Expression>),
    GetAZs(Box<Expression>),
    Base64(Box<Expression>),
    If {
        condition: String,
        then: Box<Expression>,
        otherwise: Box<Expression>,
    },
}

/// What an expression names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    /// A parameter, a pseudo parameter or a resource.
    Ref(&'a str),
    /// A resource, from the attribute `DependsOn`.
    DependsOn(&'a str),
    /// A resource.
    GetAtt(&'a str),
    /// A resource, inside the text of `Fn::Sub`.
    SubGetAtt(&'a str, &'a str),
    Condition(&'a str),
}

impl Expression {
    pub(super) fn read(value: &Value) -> Result<Self, Refusal> {
        match value {
            Value::Text(text) => Ok(Self::Text(text.clone())),
            Value::List(items) => Ok(Self::List(
                items.iter().map(Self::read).collect::<Result<_, _>>()?,
            )),
            Value::Map(entries) => match &entries[..] {
                [(name, argument)] if name == "Ref" || name.starts_with("Fn::") => {
                    Self::call(name, argument)
                }
                _ => Ok(Self::Map(Self::read_entries(entries)?)),
            },
        }
    }

    fn read_entries(entries: &[(String, Value)]) -> Result<Vec<(String, Self)>, Refusal> {
        let read = |(name, value): &(String, Value)| Ok((name.clone(), Self::read(value)?));
        entries.iter().map(read).collect()
    }

    fn boxed(value: &Value) -> Result<Box<Self>, Refusal> {
        Self::read(value).map(Box::new)
    }

    fn call(name: &str, argument: &Value) -> Result<Self, Refusal> {
        let arguments = argument.as_list().unwrap_or_default();
        match (name, arguments) {
            ("Ref", _) => match argument {
                // A folded scalar brings its line end along.
                Value::Text(name) => Ok(Self::Ref(name.trim().to_owned())),
                _ => Err(Refusal::format(
                    "every Ref object must have a single String value.",
                )),
            },
            ("Fn::GetAtt", _) => Self::get_att(argument),
            ("Fn::Sub", _) => Self::sub(argument),
            ("Fn::Join", [Value::Text(delimiter), items]) => Ok(Self::Join {
                delimiter: delimiter.clone(),
                items: Self::boxed(items)?,
            }),
            ("Fn::Split", [Value::Text(delimiter), text]) if !delimiter.is_empty() => {
                Ok(Self::Split {
                    delimiter: delimiter.clone(),
                    text: Self::boxed(text)?,
                })
            }
            ("Fn::Select", [index, items]) => Ok(Self::Select {
                index: Self::boxed(index)?,
                items: Self::boxed(items)?,
            }),
            ("Fn::FindInMap", [map, top, second]) => Ok(Self::FindInMap {
                map: Self::boxed(map)?,
                top: Self::boxed(top)?,
                second: Self::boxed(second)?,
            }),
            ("Fn::Cidr", [_, _] | [_, _, _]) => Ok(Self::Cidr(
                arguments.iter().map(Self::read).collect::<Result<_, _>>()?,
            )),
            ("Fn::GetAZs", _) => Ok(Self::GetAZs(Self::boxed(argument)?)),
            ("Fn::Base64", _) => Ok(Self::Base64(Self::boxed(argument)?)),
            ("Fn::If", [Value::Text(condition), then, otherwise]) => Ok(Self::If {
                condition: condition.clone(),
                then: Self::boxed(then)?,
                otherwise: Self::boxed(otherwise)?,
            }),
            _ => Err(misused(name)),
        }
    }

    fn get_att(argument: &Value) -> Result<Self, Refusal> {
        let (resource, attribute) = match argument {
            Value::Text(dotted) => {
                let (resource, attribute) = dotted.split_once('.').unwrap_or((dotted, ""));
                (resource, Self::Text(attribute.to_owned()))
            }
            Value::List(arguments) => match &arguments[..] {
                [Value::Text(resource), attribute] => (resource.as_str(), Self::read(attribute)?),
                // The short form takes a list with the attribute in pieces, too.
                [Value::Text(resource), path @ ..] if path.len() > 1 => {
                    let path: Option<Vec<_>> = path.iter().map(Value::as_text).collect();
                    let path = path.ok_or_else(|| misused("Fn::GetAtt"))?;
                    (resource.as_str(), Self::Text(path.join(".")))
                }
                _ => return Err(misused("Fn::GetAtt")),
            },
            Value::Map(_) => return Err(misused("Fn::GetAtt")),
        };
        let attribute_is_given = match &attribute {
            Self::Text(text) => !text.trim().is_empty(),
            Self::Ref(_) => true,
            _ => false,
        };
        if resource.is_empty() || !attribute_is_given {
            return Err(misused("Fn::GetAtt"));
        }
        Ok(Self::GetAtt {
            resource: resource.to_owned(),
            attribute: Box::new(attribute),
        })
    }

    fn sub(argument: &Value) -> Result<Self, Refusal> {
        let (text, variables) = match argument {
            Value::Text(text) => (text, &[][..]),
            Value::List(arguments) => match &arguments[..] {
                [Value::Text(text)] => (text, &[][..]),
                [Value::Text(text), Value::Map(variables)] => (text, &variables[..]),
                _ => return Err(misused("Fn::Sub")),
            },
            Value::Map(_) => return Err(misused("Fn::Sub")),
        };
        Ok(Self::Sub {
            pieces: Piece::read_all(text)?,
            variables: Self::read_entries(variables)?,
        })
    }

    /// Visits everything that is named in here; of a conditional, only the branch that `taken` picks, or both if it does not know.
    pub(super) fn visit<'a>(
        &'a self,
        taken: &dyn Fn(&str) -> Option<bool>,
        see: &mut dyn FnMut(Reference<'a>),
    ) {
        match self {
            Self::Text(_) => {}
            Self::Ref(name) => see(Reference::Ref(name)),
            Self::List(items) | Self::Cidr(items) => {
                items.iter().for_each(|item| item.visit(taken, see));
            }
            Self::Map(entries) => entries
                .iter()
                .for_each(|(_, value)| value.visit(taken, see)),
            Self::GetAtt {
                resource,
                attribute,
            } => {
                see(Reference::GetAtt(resource));
                attribute.visit(taken, see);
            }
            Self::Sub { pieces, variables } => {
                variables
                    .iter()
                    .for_each(|(_, value)| value.visit(taken, see));
                let local: HashSet<_> = variables.iter().map(|(name, _)| name).collect();
                for piece in pieces {
                    match piece {
                        Piece::Variable(name) if !local.contains(name) => {
                            match name.split_once('.') {
                                None => see(Reference::Ref(name)),
                                Some((resource, attribute)) => {
                                    see(Reference::SubGetAtt(resource, attribute));
                                }
                            }
                        }
                        Piece::Variable(_) | Piece::Literal(_) => {}
                    }
                }
            }
            Self::Join { items: inner, .. }
            | Self::Split { text: inner, .. }
            | Self::GetAZs(inner)
            | Self::Base64(inner) => inner.visit(taken, see),
            Self::Select { index, items } => {
                index.visit(taken, see);
                items.visit(taken, see);
            }
            Self::FindInMap { map, top, second } => {
                [map, top, second]
                    .into_iter()
                    .for_each(|part| part.visit(taken, see));
            }
            Self::If {
                condition,
                then,
                otherwise,
            } => {
                see(Reference::Condition(condition));
                let holds = taken(condition);
                if holds != Some(false) {
                    then.visit(taken, see);
                }
                if holds != Some(true) {
                    otherwise.visit(taken, see);
                }
            }
        }
    }
}

/// What CloudFormation says of a function whose arguments are not as they have to be, or that has no place here.
pub(super) fn misused(function: &str) -> Refusal {
    let rule = match function {
        "Fn::GetAtt" => {
            "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
        }
        "Fn::Sub" => {
            "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, \
             and an optional second argument to specify a mapping of values to replace in the string"
        }
        "Fn::Join" => {
            "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined \
             or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
        }
        "Fn::Split" => {
            "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a \
             function that returns a string to be split."
        }
        "Fn::Select" => {
            "Fn::Select requires a list argument with two elements: an integer index and a list"
        }
        "Fn::FindInMap" => {
            "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
        }
        "Fn::Cidr" => {
            "every Fn::Cidr object requires two or three parameters: an IP block, a count of 1 to 256 and the number of subnet bits"
        }
        "Fn::GetAZs" => "every Fn::GetAZs object requires one parameter, the name of a region",
        "Fn::Base64" => "every Fn::Base64 object must have a String-typed value.",
        "Fn::If" => {
            "Fn::If requires a list argument with three elements: a condition name, the value if it is true and the value if it is false"
        }
        "Fn::And" | "Fn::Or" => {
            return Refusal::error(format_args!(
                "every {function} object requires a list of at least 2 and at most 10 boolean parameters."
            ));
        }
        "Fn::Not" => "every Fn::Not object requires one boolean parameter.",
        "Fn::Equals" => "every Fn::Equals object requires a list of 2 string parameters.",
        "Fn::ImportValue" => {
            "Fn::ImportValue cannot be resolved: the local engine knows no exports of other stacks"
        }
        "Fn::Transform" => "Fn::Transform cannot be resolved: the local engine runs no macros",
        _ => return Refusal::error(format_args!("{function} is no function that is known here")),
    };
    Refusal::error(rule)
}
