//! Evaluates a template: what its conditions decide, its resources would be called, and its outputs say.
//!
//! Order matters in two places, conditions and resources; both are sorted first, so that nothing recurses from name to name. All text and
//! structure that comes into being is paid for from one budget, since `Fn::Sub` of a name that is itself made by `Fn::Sub` doubles with
//! each resource.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use aws_smithy_types::base64;

use super::super::identity::{self, Stack};
use super::conditions::Rule;
use super::expression::{Expression, Reference, misused};
use super::graph;
use super::network;
use super::parameters;
use super::refusal::Refusal;
use super::sections::{Output, Template, unresolved};
use super::sub::Piece;
use super::value::Value;

/// Bytes of text that may come into being, with a charge for each value.
const BUDGET: usize = 64 * 1024 * 1024;
const CHARGE: usize = 64;
/// The longest output that Proton can hand on.
const MAX_OUTPUT_CHARS: usize = 1024;

/// The outputs, in the order of the template.
pub(super) fn outputs(
    template: &Template,
    stack: &Stack<'_>,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut evaluation = Evaluation::new(template, stack)?;
    evaluation.decide()?;
    evaluation.provision()?;
    let outputs = template.outputs.iter().filter(|(_, output)| {
        (output.condition.as_deref()).is_none_or(|name| evaluation.conditions[name])
    });
    outputs
        .map(|(name, output)| Ok((name.clone(), evaluation.output(name, output)?)))
        .collect()
}

struct Evaluation<'t> {
    template: &'t Template,
    stack: &'t Stack<'t>,
    parameters: HashMap<&'t str, Value>,
    conditions: HashMap<&'t str, bool>,
    /// The properties of the resources there are so far.
    resources: HashMap<&'t str, (&'t str, Value)>,
    block: &'static str,
    left: Cell<usize>,
}

impl<'t> Evaluation<'t> {
    fn new(template: &'t Template, stack: &'t Stack<'t>) -> Result<Self, Refusal> {
        let parameters = template.parameters.iter().map(|(name, parameter)| {
            Ok((name.as_str(), parameters::value(name, parameter, stack)?))
        });
        Ok(Self {
            template,
            stack,
            parameters: parameters.collect::<Result<_, _>>()?,
            conditions: HashMap::new(),
            resources: HashMap::new(),
            block: "Conditions",
            left: Cell::new(BUDGET),
        })
    }

    fn decide(&mut self) -> Result<(), Refusal> {
        let conditions = &self.template.conditions;
        let nodes: Vec<_> = (conditions.iter())
            .map(|(name, rule)| {
                let mut needs = BTreeSet::new();
                rule.visit(&mut |reference| {
                    if let Reference::Condition(name) = reference {
                        needs.insert(name);
                    }
                });
                (name.as_str(), needs)
            })
            .collect();
        let order = graph::order(&nodes).map_err(|cycle| {
            Refusal::error(format_args!(
                "Found circular condition dependency between {}",
                cycle.join(" and ")
            ))
        })?;
        for at in order {
            let (name, rule) = &conditions[at];
            let holds = self.holds(rule)?;
            self.conditions.insert(name, holds);
        }
        Ok(())
    }

    fn holds(&self, rule: &Rule) -> Result<bool, Refusal> {
        match rule {
            Rule::Equals(left, right) => Ok(self.value(left)? == self.value(right)?),
            Rule::And(rules) => rules
                .iter()
                .try_fold(true, |all, rule| Ok(self.holds(rule)? && all)),
            Rule::Or(rules) => rules
                .iter()
                .try_fold(false, |any, rule| Ok(self.holds(rule)? || any)),
            Rule::Not(rule) => Ok(!self.holds(rule)?),
            Rule::Named(name) => Ok(self.conditions[name.as_str()]),
        }
    }

    fn provision(&mut self) -> Result<(), Refusal> {
        self.block = "Resources";
        let active: Vec<_> = (self.template.resources.iter())
            .filter(|(_, resource)| {
                (resource.condition.as_deref()).is_none_or(|name| self.conditions[name])
            })
            .collect();
        let nodes: Vec<_> = (active.iter())
            .map(|(name, resource)| {
                let mut needs: BTreeSet<_> =
                    resource.depends_on.iter().map(String::as_str).collect();
                let taken = |name: &str| self.conditions.get(name).copied();
                (resource.properties).visit(&taken, &mut |reference| match reference {
                    Reference::Ref(name)
                    | Reference::GetAtt(name)
                    | Reference::SubGetAtt(name, _) => {
                        needs.insert(name);
                    }
                    Reference::DependsOn(_) | Reference::Condition(_) => {}
                });
                (name.as_str(), needs)
            })
            .collect();
        let order = graph::order(&nodes).map_err(|cycle| {
            Refusal::new(format!(
                "Circular dependency between resources: [{}]",
                cycle.join(", ")
            ))
        })?;
        for at in order {
            let (name, resource) = active[at];
            let properties = self.value(&resource.properties)?;
            let properties = properties.unwrap_or(Value::Map(Vec::new()));
            self.resources.insert(name, (&resource.kind, properties));
        }
        self.block = "Outputs";
        Ok(())
    }

    fn output(&self, name: &str, output: &Output) -> Result<String, Refusal> {
        let refuse = |what: &str| {
            Refusal::format(format_args!(
                "The Value field of every Outputs member must evaluate to a String{what}."
            ))
        };
        let text = match self.value(&output.value)? {
            Some(Value::Text(text)) => text,
            Some(Value::List(_)) => return Err(refuse(" and not a List")),
            Some(Value::Map(_)) => return Err(refuse(" and not a Map")),
            None => return Err(refuse("")),
        };
        let chars = text.chars().count();
        if chars > MAX_OUTPUT_CHARS {
            return Err(Refusal::new(format!(
                "output {name} has {chars} characters, the limit is {MAX_OUTPUT_CHARS}"
            )));
        }
        if let Some(export) = &output.export
            && !matches!(self.value(export)?, Some(Value::Text(_)))
        {
            return Err(Refusal::format(format_args!(
                "Output {name} is malformed. The Name field of every Export member must evaluate to a String."
            )));
        }
        Ok(text)
    }

    fn spend(&self, bytes: usize) -> Result<(), Refusal> {
        let left = self.left.get().checked_sub(bytes + CHARGE);
        self.left.set(left.ok_or_else(|| {
            Refusal::new("the template evaluates to more text than the local engine takes")
        })?);
        Ok(())
    }

    /// The value of an expression, or nothing where it is `AWS::NoValue`.
    fn value(&self, expression: &Expression) -> Result<Option<Value>, Refusal> {
        let value = match expression {
            Expression::Text(text) => {
                self.spend(text.len())?;
                Value::Text(text.clone())
            }
            Expression::List(items) => Value::List(self.values(items)?),
            Expression::Map(entries) => self.map(entries)?,
            Expression::Ref(name) => return self.reference(name),
            Expression::GetAtt {
                resource,
                attribute,
            } => self.attribute(resource, &self.text(attribute, "Fn::GetAtt")?)?,
            Expression::Sub { pieces, variables } => self.sub(pieces, variables)?,
            Expression::Join { delimiter, items } => self.join(delimiter, items)?,
            Expression::Split { delimiter, text } => {
                let text = self.text(text, "Fn::Split")?;
                let items = text.split(delimiter.as_str());
                let items = items.map(|item| self.spend(item.len()).map(|()| Value::text(item)));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Expression::Select { index, items } => return self.select(index, items).map(Some),
            Expression::FindInMap { map, top, second } => {
                self.find(&self.key(map)?, &self.key(top)?, &self.key(second)?)?
            }
            Expression::Cidr(arguments) => {
                let texts = arguments.iter().map(|item| self.text(item, "Fn::Cidr"));
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                let bits = texts.get(2).map(String::as_str);
                texts_of(network::cidr(&texts[0], &texts[1], bits)?)
            }
            Expression::GetAZs(region) => {
                let region = self.text(region, "Fn::GetAZs")?;
                let region = if region.is_empty() {
                    self.stack.region
                } else {
                    &region
                };
                self.spend(6 * region.len())?;
                texts_of(network::zones(region))
            }
            Expression::Base64(text) => {
                let text = self.text(text, "Fn::Base64")?;
                self.spend(text.len() / 3 * 4)?;
                Value::Text(base64::encode(text))
            }
            Expression::If {
                condition,
                then,
                otherwise,
            } => {
                let holds = self.conditions.get(condition.as_str());
                let holds = holds.ok_or_else(|| misused("Fn::If"))?;
                return self.value(if *holds { then } else { otherwise });
            }
        };
        Ok(Some(value))
    }

    fn values(&self, items: &[Expression]) -> Result<Vec<Value>, Refusal> {
        self.spend(0)?;
        let values = items.iter().map(|item| self.value(item));
        values.filter_map(Result::transpose).collect()
    }

    fn map(&self, entries: &[(String, Expression)]) -> Result<Value, Refusal> {
        let mut map = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.spend(key.len())?;
            if let Some(value) = self.value(value)? {
                map.push((key.clone(), value));
            }
        }
        Ok(Value::Map(map))
    }

    /// A value that has to be text for the sake of this function.
    fn text(&self, expression: &Expression, function: &str) -> Result<String, Refusal> {
        match self.value(expression)? {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(misused(function)),
        }
    }

    fn key(&self, expression: &Expression) -> Result<String, Refusal> {
        self.text(expression, "Fn::FindInMap")
    }

    fn reference(&self, name: &str) -> Result<Option<Value>, Refusal> {
        let value = match self.parameters.get(name) {
            Some(value) => value.clone(),
            None if name == "AWS::NoValue" => return Ok(None),
            None if name.starts_with("AWS::") => {
                (self.stack.pseudo_parameter(name)).ok_or_else(|| unresolved(name, self.block))?
            }
            None => self.stack.reference(&self.resource(name)?),
        };
        self.spend_on(&value)?;
        Ok(Some(value))
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<Value, Refusal> {
        let value = self.stack.attribute(&self.resource(resource)?, attribute);
        self.spend_on(&value)?;
        Ok(value)
    }

    /// A resource that is there: it has been evaluated, and no condition has left it out.
    fn resource<'a>(&'a self, name: &'a str) -> Result<identity::Resource<'a>, Refusal> {
        let (kind, properties) =
            (self.resources.get(name)).ok_or_else(|| unresolved(name, self.block))?;
        Ok(identity::Resource {
            name,
            kind,
            properties,
        })
    }

    fn spend_on(&self, value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Text(text) => self.spend(text.len()),
            Value::List(items) => items.iter().try_for_each(|item| self.spend_on(item)),
            Value::Map(entries) => (entries.iter()).try_for_each(|(key, value)| {
                self.spend(key.len()).and_then(|()| self.spend_on(value))
            }),
        }
    }

    fn sub(&self, pieces: &[Piece], variables: &[(String, Expression)]) -> Result<Value, Refusal> {
        let Value::Map(variables) = self.map(variables)? else {
            unreachable!("a map evaluates to a map");
        };
        let variables: HashMap<_, _> = variables.into_iter().collect();
        let mut text = String::new();
        for piece in pieces {
            let name = match piece {
                Piece::Literal(literal) => {
                    self.spend(literal.len())?;
                    text.push_str(literal);
                    continue;
                }
                Piece::Variable(name) => name,
            };
            let value = match (variables.get(name), name.split_once('.')) {
                (Some(value), _) => {
                    self.spend_on(value)?;
                    Some(value.clone())
                }
                // SAM's generated resources have names with a dot.
                (None, Some((resource, attribute)))
                    if !self.resources.contains_key(name.as_str()) =>
                {
                    Some(self.attribute(resource, attribute)?)
                }
                (None, _) => self.reference(name)?,
            };
            match value {
                Some(Value::Text(value)) => text.push_str(&value),
                _ => {
                    return Err(Refusal::error(format_args!(
                        "Fn::Sub expression does not resolve to a string: {name} is no string"
                    )));
                }
            }
        }
        self.spend(0)?;
        Ok(Value::Text(text))
    }

    fn join(&self, delimiter: &str, items: &Expression) -> Result<Value, Refusal> {
        let Some(Value::List(items)) = self.value(items)? else {
            return Err(misused("Fn::Join"));
        };
        let texts: Option<Vec<_>> = items.iter().map(Value::as_text).collect();
        let texts = texts.ok_or_else(|| misused("Fn::Join"))?;
        let length: usize = texts.iter().map(|text| text.len() + delimiter.len()).sum();
        self.spend(length)?;
        Ok(Value::Text(texts.join(delimiter)))
    }

    fn select(&self, index: &Expression, items: &Expression) -> Result<Value, Refusal> {
        let index = self.text(index, "Fn::Select")?;
        let index: i64 = index.trim().parse().map_err(|_| misused("Fn::Select"))?;
        let Some(Value::List(items)) = self.value(items)? else {
            return Err(misused("Fn::Select"));
        };
        usize::try_from(index)
            .ok()
            .and_then(|at| items.into_iter().nth(at))
            .ok_or_else(|| {
                Refusal::error(format_args!(
                    "Fn::Select cannot select nonexistent value at index {index}"
                ))
            })
    }

    fn find(&self, map: &str, top: &str, second: &str) -> Result<Value, Refusal> {
        let found = self.template.mappings.iter().find(|(name, _)| name == map);
        let (_, rows) = found.ok_or_else(|| {
            Refusal::error(format_args!(
                "Mapping named '{map}' is not present in the 'Mappings' section of template."
            ))
        })?;
        // Rows are searched one by one, which is paid for like text.
        self.spend(rows.as_map().map_or(0, <[_]>::len))?;
        let row = rows.get(top);
        self.spend(row.and_then(Value::as_map).map_or(0, <[_]>::len))?;
        let value = row.and_then(|row| row.get(second));
        let value = value.ok_or_else(|| {
            Refusal::error(format_args!(
                "Unable to get mapping for {map}::{top}::{second}"
            ))
        })?;
        self.spend_on(value)?;
        Ok(value.clone())
    }
}

fn texts_of(texts: Vec<String>) -> Value {
    Value::List(texts.into_iter().map(Value::Text).collect())
}
