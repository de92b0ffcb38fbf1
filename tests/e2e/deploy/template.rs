//! A deployment template evaluated as Resource Manager does it, with names that lead nowhere as errors.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value, json};

use super::{
    expression::{self, Expression},
    reader,
};

const GROUP: &str = "/subscriptions/5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10/resourceGroups/security";

/// A template with values for its parameters.
pub struct Template<'a> {
    document: &'a Value,
    parameters: BTreeMap<&'a str, Value>,
    /// Types of which instances exist beside the template's own.
    existing: &'a [&'a str],
    /// What `reference()` finds, by type.
    deployed: Value,
    seen: RefCell<Seen>,
}

/// What evaluating has come across.
#[derive(Default)]
struct Seen {
    parameters: BTreeSet<String>,
    variables: BTreeSet<String>,
    /// Ids of resources that were named.
    ids: BTreeSet<String>,
}

/// A resource as it is deployed.
#[derive(Debug)]
pub struct Resource {
    pub kind: String,
    pub api_version: String,
    pub id: String,
    pub deployed: bool,
    pub body: Value,
    pub depends_on: BTreeSet<String>,
    needs: BTreeSet<String>,
}

impl Resource {
    pub fn properties(&self) -> &Value {
        &self.body["properties"]
    }

    pub fn name(&self) -> &str {
        self.body["name"].as_str().unwrap_or_default()
    }
}

impl<'a> Template<'a> {
    pub fn new(
        document: &'a Value,
        given: &[(&'a str, Value)],
        existing: &'a [&'a str],
        deployed: Value,
    ) -> Result<Self, String> {
        reader::read(document)?;
        let declared = document["parameters"].as_object().ok_or("no parameters")?;
        let parameters: BTreeMap<_, _> = given.iter().cloned().collect();
        for name in parameters.keys() {
            if !declared.contains_key(*name) {
                return Err(format!("there is no parameter {name}"));
            }
        }
        Ok(Self { document, parameters, existing, deployed, seen: RefCell::default() })
    }

    /// All resources, also those whose condition is false, in order.
    pub fn resources(&self) -> Result<Vec<Resource>, String> {
        let mut resources = Vec::new();
        for resource in self.document["resources"].as_array().ok_or("no resources")? {
            resources
                .push(self.resource(resource).map_err(|problem| format!("{}: {problem}", resource["type"]))?);
        }
        let declared: BTreeSet<_> = resources.iter().map(|resource| &resource.id).collect();
        if declared.len() < resources.len() {
            return Err("a resource is declared twice".to_owned());
        }
        for resource in &resources {
            if let Some(nowhere) = resource.depends_on.iter().find(|id| !declared.contains(id)) {
                return Err(format!("{} depends on {nowhere}, which is not declared", resource.id));
            }
            for id in resource.needs.iter().filter(|id| **id != resource.id) {
                if declared.contains(id) && !resource.depends_on.contains(id) {
                    return Err(format!("{} does not depend on {id}, which it names", resource.id));
                }
                if !declared.contains(id) && !self.exists(id) {
                    return Err(format!("{} names {id}, which is not declared", resource.id));
                }
            }
        }
        Ok(resources)
    }

    pub fn outputs(&self) -> Result<Value, String> {
        self.value(&self.document["outputs"])
    }

    /// Declared parameters and variables that nothing has used.
    pub fn unused(&self) -> Vec<String> {
        let seen = self.seen.borrow();
        let names = |what: &str| {
            self.document[what].as_object().into_iter().flat_map(Map::keys).cloned().collect::<BTreeSet<_>>()
        };
        let parameters = names("parameters");
        let variables = names("variables");
        parameters
            .difference(&seen.parameters)
            .chain(variables.difference(&seen.variables))
            .cloned()
            .collect()
    }

    fn resource(&self, resource: &Value) -> Result<Resource, String> {
        let text = |name: &str| resource[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        let (kind, api_version) = (text("type")?, text("apiVersion")?);
        let Value::String(name) = self.value(&resource["name"])? else { return Err("no name".to_owned()) };
        let deployed =
            resource.get("condition").map_or(Ok(json!(true)), |condition| self.value(condition))?;
        let depends_on = resource.get("dependsOn").map_or(Ok(json!([])), |list| self.value(list))?;
        let depends_on = serde_json::from_value(depends_on).map_err(|error| error.to_string())?;

        // What the resource itself names it has to wait for.
        self.seen.borrow_mut().ids.clear();
        let mut body = resource.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("dependsOn");
        }
        let body = self.value(&body)?;
        let scope = body["scope"].as_str();
        let mut needs = self.seen.borrow().ids.clone();
        if let (None, Some((parent, _)), Some((parent_kind, _))) =
            (scope, name.rsplit_once('/'), kind.rsplit_once('/'))
        {
            // Each blob service is there with its account.
            let (parent, parent_kind) = match parent_kind.strip_suffix("/blobServices") {
                Some(account) => (parent.trim_end_matches("/default"), account),
                None => (parent, parent_kind),
            };
            needs.insert(id(GROUP, parent_kind, parent)?);
        }
        let id = id(scope.unwrap_or(GROUP), &kind, &name)?;
        let deployed = deployed.as_bool().ok_or("the condition is neither true nor false")?;
        Ok(Resource { kind, api_version, id, deployed, body, depends_on, needs })
    }

    fn exists(&self, id: &str) -> bool {
        let Some((provider, rest)) =
            id.strip_prefix(GROUP).and_then(|id| id.strip_prefix("/providers/")?.split_once('/'))
        else {
            return false;
        };
        let kind = rest.split('/').step_by(2).collect::<Vec<_>>().join("/");
        self.existing.iter().any(|existing| *existing == format!("{provider}/{kind}"))
    }

    /// A value of the template with every expression in it evaluated.
    fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match expression::read(text) {
                Some(expression) => self.evaluate(&expression?)?,
                None => json!(text.strip_prefix('[').filter(|rest| rest.starts_with('[')).unwrap_or(text)),
            },
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect::<Result<_, _>>()?,
            Value::Object(members) => Value::Object(
                members.iter().map(|(name, value)| Ok((name.clone(), self.value(value)?))).collect::<Result<
                    _,
                    String,
                >>(
                )?,
            ),
            other => other.clone(),
        })
    }

    fn evaluate(&self, expression: &Expression) -> Result<Value, String> {
        match expression {
            Expression::Text(text) => Ok(json!(text)),
            Expression::Number(number) => Ok(json!(number)),
            Expression::Member { of, name } => {
                let (of, name) = (self.evaluate(of)?, self.evaluate(name)?);
                let name = name.as_str().ok_or("a member's name is no text")?;
                of.get(name).cloned().ok_or(format!("there is no {name} in {of}"))
            }
            Expression::Call { function, arguments } => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect::<Result<_, _>>()?;
                self.call(function, &arguments).map_err(|problem| format!("{function}(): {problem}"))
            }
        }
    }

    fn call(&self, function: &str, arguments: &[Value]) -> Result<Value, String> {
        Ok(match (function, arguments) {
            ("parameters", [Value::String(name)]) => self.parameter(name)?,
            ("variables", [Value::String(name)]) => {
                let variable =
                    self.document["variables"].get(name).ok_or(format!("there is no variable {name}"))?;
                self.seen.borrow_mut().variables.insert(name.clone());
                self.value(variable)?
            }
            ("reference", [Value::String(id), options @ ..]) => self.reference(id, options)?,
            ("resourceId", [Value::String(kind), names @ ..]) => {
                let names: Vec<_> = names.iter().map(text).collect::<Result<_, _>>()?;
                let id = id(GROUP, kind, &names.join("/"))?;
                self.seen.borrow_mut().ids.insert(id.clone());
                json!(id)
            }
            ("subscriptionResourceId", [Value::String(kind), Value::String(name)]) => {
                let subscription = GROUP.split("/resourceGroups").next().unwrap_or_default();
                json!(id(subscription, kind, name)?)
            }
            ("resourceGroup", []) => json!({"id": GROUP, "location": "westeurope"}),
            ("environment", []) => json!({"suffixes": {"storage": "core.windows.net"}}),
            ("format", [Value::String(form), values @ ..]) => {
                let mut text = form.clone();
                for (at, value) in values.iter().enumerate() {
                    let place = format!("{{{at}}}");
                    if !text.contains(&place) {
                        return Err(format!("{form} has no {place}"));
                    }
                    text = text.replace(&place, self::text(value)?);
                }
                if text.contains('{') {
                    return Err(format!("{form} is not filled"));
                }
                json!(text)
            }
            ("concat", texts) => json!(texts.iter().map(text).collect::<Result<String, _>>()?),
            ("guid", texts) => {
                json!(texts.iter().map(text).collect::<Result<Vec<_>, _>>()?.join("-").replace('/', "-"))
            }
            ("string", [value]) => json!(value.to_string()),
            ("uniqueString", [_, ..]) => json!("k3v7q2m5x4b6a"),
            ("empty", [value]) => json!(matches!(value.as_str(), Some(""))),
            ("not", [Value::Bool(value)]) => json!(!value),
            ("equals", [one, other]) => json!(one == other),
            ("if", [Value::Bool(condition), yes, no]) => {
                if *condition {
                    yes.clone()
                } else {
                    no.clone()
                }
            }
            ("null", []) => Value::Null,
            ("createArray", values) => json!(values),
            ("createObject", members) => {
                let (pairs, []) = members.as_chunks::<2>() else {
                    return Err("a value is missing".to_owned());
                };
                pairs
                    .iter()
                    .map(|[name, value]| Ok((text(name)?.to_owned(), value.clone())))
                    .collect::<Result<_, String>>()?
            }
            ("union", objects) => {
                let members =
                    objects.iter().map(|object| object.as_object().ok_or(format!("{object} is no object")));
                let members: Vec<_> = members.collect::<Result<_, _>>()?;
                Value::Object(
                    members
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                )
            }
            _ => return Err(format!("not known with the arguments {arguments:?}")),
        })
    }

    fn parameter(&self, name: &str) -> Result<Value, String> {
        let declared =
            self.document["parameters"].get(name).ok_or(format!("there is no parameter {name}"))?;
        self.seen.borrow_mut().parameters.insert(name.to_owned());
        let default = || self.value(declared.get("defaultValue").ok_or(format!("{name} has no value"))?);
        let value = self.parameters.get(name).cloned().map_or_else(default, Ok)?;
        let fits = match declared["type"].as_str().map(str::to_lowercase).as_deref() {
            Some("string") => value.is_string(),
            Some("int") => value.is_i64(),
            Some("object") => value.is_object(),
            _ => false,
        };
        let allowed = declared["allowedValues"].as_array().is_none_or(|values| values.contains(&value));
        if fits && allowed { Ok(value) } else { Err(format!("{name} cannot be {value}")) }
    }

    /// What a resource says of itself; only its whole has an identity.
    fn reference(&self, id: &str, options: &[Value]) -> Result<Value, String> {
        let kind = self
            .deployed
            .as_object()
            .into_iter()
            .flatten()
            .find(|(kind, _)| id.contains(&format!("/providers/{kind}/")));
        let (_, answer) = kind.ok_or(format!("{id} has nothing to be asked for"))?;
        match options {
            [] | [Value::String(_)] => Ok(answer["properties"].clone()),
            [Value::String(_), Value::String(full)] if full == "full" => Ok(answer.clone()),
            _ => Err(format!("{options:?} are no options")),
        }
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or(format!("{value} is no text"))
}

/// The id of a resource: each part of the type after the provider has its part of the name.
fn id(scope: &str, kind: &str, name: &str) -> Result<String, String> {
    let (provider, kinds) = kind.split_once('/').ok_or(format!("{kind} is no type"))?;
    let (kinds, names): (Vec<_>, Vec<_>) = (kinds.split('/').collect(), name.split('/').collect());
    if kinds.len() != names.len() || names.contains(&"") {
        return Err(format!("{name} is no name of a {kind}"));
    }
    let parts = kinds.iter().zip(names).map(|(kind, name)| format!("/{kind}/{name}"));
    Ok(format!("{scope}/providers/{provider}{}", parts.collect::<String>()))
}
