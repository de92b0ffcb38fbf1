//! A deployment template evaluated as Resource Manager does it, with names that lead nowhere as errors.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    mem,
};

use serde_json::{Map, Value, json};

use super::{
    expression::{self, Expression},
    reader,
};

const GROUP: &str = "/subscriptions/5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10/resourceGroups/security";

const DEPLOYMENT: &str = "Microsoft.Resources/deployments";

/// The longest name of a deployment.
const DEPLOYMENT_NAME: usize = 64;

/// A template with values for its parameters.
pub struct Template<'a> {
    document: &'a Value,
    parameters: BTreeMap<String, Value>,
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
    /// Those of them that were asked for their state.
    asked: BTreeSet<String>,
}

/// When an expression is evaluated. `reference()` and `listKeys()` ask a resource for its state, which is possible only
/// in a resource's `properties` and in outputs: names, scopes, conditions, variables and defaults are known before (Azure
/// Resource Manager's documentation, "Resource functions for ARM templates", reference and list).
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    Deploying,
}

/// A resource as it is deployed.
#[derive(Debug)]
pub struct Resource {
    pub kind: String,
    pub api_version: String,
    pub id: String,
    pub deployed: bool,
    pub body: Value,
    /// The ids of what it waits for.
    pub depends_on: BTreeSet<String>,
    /// The id of the nested deployment that it is part of.
    pub within: Option<String>,
    needs: BTreeSet<String>,
    asks: BTreeSet<String>,
}

/// The resources of one template, and what they name that is not among them: by whom, and its id.
#[derive(Default)]
struct Listed {
    resources: Vec<Resource>,
    outside: Vec<(String, String)>,
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
        let parameters: BTreeMap<String, _> =
            given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let Some(name) = parameters.keys().find(|name| !declared.contains_key(*name)) {
            return Err(format!("there is no parameter {name}"));
        }
        Ok(Self { document, parameters, existing, deployed, seen: RefCell::default() })
    }

    /// All resources, those of nested deployments and those whose condition is false among them, in order.
    pub fn resources(&self) -> Result<Vec<Resource>, String> {
        let Listed { resources, outside } = self.list(&self.document["resources"], When::Before)?;
        if let Some((who, id)) = outside.into_iter().find(|(_, id)| !self.exists(id)) {
            return Err(format!("{who} names {id}, which is not declared"));
        }
        let ids: BTreeSet<_> = resources.iter().map(|resource| &resource.id).collect();
        if ids.len() == resources.len() {
            Ok(resources)
        } else {
            Err("a resource is declared twice".to_owned())
        }
    }

    fn list(&self, declared: &Value, when: When) -> Result<Listed, String> {
        let mut listed = Listed::default();
        let mut nested = Listed::default();
        for resource in declared.as_array().ok_or("no resources")? {
            let problem = |problem| format!("{}: {problem}", resource["type"]);
            let mut outer = self.resource(resource, when).map_err(problem)?;
            if outer.kind == DEPLOYMENT {
                let inner = self.nested(resource, &outer).map_err(problem)?;
                // What it names outside is for the deployment to wait for.
                outer.needs.extend(inner.outside.into_iter().map(|(_, id)| id));
                nested.resources.extend(inner.resources);
            }
            listed.resources.push(outer);
        }
        let ids: BTreeMap<_, _> =
            listed.resources.iter().map(|resource| (&resource.id, resource.deployed)).collect();
        if ids.len() < listed.resources.len() {
            return Err("a resource is declared twice".to_owned());
        }
        for Resource { id: own, depends_on, needs, asks, deployed, .. } in &listed.resources {
            if let Some(nowhere) = depends_on.iter().find(|id| !ids.contains_key(id)) {
                return Err(format!("{own} depends on {nowhere}, which is not declared"));
            }
            for id in needs.iter().filter(|id| *id != own) {
                match ids.get(id) {
                    None => listed.outside.push((own.clone(), id.clone())),
                    Some(_) if !depends_on.contains(id) => {
                        return Err(format!("{own} does not depend on {id}, which it names"));
                    }
                    Some(is_there) if asks.contains(id) && *deployed && !is_there => {
                        return Err(format!("{own} asks for the state of {id}, which is not deployed"));
                    }
                    Some(_) => {}
                }
            }
        }
        listed.resources.extend(nested.resources);
        Ok(listed)
    }

    /// The resources of a nested deployment. Its expressions are those of the template around it, or with
    /// `expressionEvaluationOptions` its own (Azure Resource Manager's documentation, "Using linked and nested
    /// templates", expression evaluation scope).
    fn nested(&self, resource: &Value, deployment: &Resource) -> Result<Listed, String> {
        if deployment.name().len() > DEPLOYMENT_NAME {
            return Err(format!("the name {} is too long", deployment.name()));
        }
        let properties = &resource["properties"];
        let template = &properties["template"];
        let mut listed = match properties["expressionEvaluationOptions"]["scope"].as_str() {
            Some("inner") => {
                let given = deployment.properties()["parameters"].as_object().into_iter().flatten();
                let given: Vec<_> =
                    given.map(|(name, given)| (name.as_str(), given["value"].clone())).collect();
                let inner = Template::new(template, &given, self.existing, self.deployed.clone())?;
                let listed = inner.list(&template["resources"], When::Before)?;
                match &inner.unused()[..] {
                    [] => listed,
                    unused => return Err(format!("{unused:?} is not used")),
                }
            }
            None | Some("outer") => self.list(&template["resources"], When::Deploying)?,
            Some(scope) => return Err(format!("{scope} is no scope")),
        };
        for inner in &mut listed.resources {
            inner.deployed &= deployment.deployed;
            inner.within = Some(deployment.id.clone());
        }
        Ok(listed)
    }

    pub fn outputs(&self, resources: &[Resource]) -> Result<Value, String> {
        self.take_seen();
        let outputs = self.value(&self.document["outputs"], When::Deploying)?;
        let (_, asked) = self.take_seen();
        match resources.iter().find(|resource| asked.contains(&resource.id) && !resource.deployed) {
            Some(Resource { id, .. }) => {
                Err(format!("the outputs ask for the state of {id}, which is not deployed"))
            }
            None => Ok(outputs),
        }
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

    fn resource(&self, resource: &Value, when: When) -> Result<Resource, String> {
        let text = |name: &str| resource[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        let (kind, api_version) = (text("type")?, text("apiVersion")?);
        let depends_on = resource.get("dependsOn").map_or(Ok(json!([])), |list| self.value(list, when))?;
        let depends_on = serde_json::from_value(depends_on).map_err(|error| error.to_string())?;

        // What the resource itself names it has to wait for.
        self.take_seen();
        let mut body = Map::new();
        for (name, value) in resource.as_object().into_iter().flatten() {
            let value = match name.as_str() {
                "dependsOn" => continue,
                "properties" if kind == DEPLOYMENT => {
                    let parameters = self.value(&value["parameters"], When::Deploying)?;
                    json!({"mode": value["mode"], "parameters": parameters})
                }
                "properties" => self.value(value, When::Deploying)?,
                _ => self.value(value, when)?,
            };
            body.insert(name.clone(), value);
        }
        let body = Value::Object(body);
        let (mut needs, asks) = self.take_seen();
        let name = body["name"].as_str().ok_or("no name")?;
        let scope = body["scope"].as_str();
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
        let id = id(scope.unwrap_or(GROUP), &kind, name)?;
        let deployed = body.get("condition").map_or(Some(true), Value::as_bool);
        let deployed = deployed.ok_or("the condition is neither true nor false")?;
        Ok(Resource { kind, api_version, id, deployed, body, depends_on, within: None, needs, asks })
    }

    /// The ids that were named, and asked for their state, since this was called last.
    fn take_seen(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut seen = self.seen.borrow_mut();
        (mem::take(&mut seen.ids), mem::take(&mut seen.asked))
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
    fn value(&self, value: &Value, when: When) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match expression::read(text) {
                Some(expression) => self.evaluate(&expression?, when)?,
                None => json!(text.strip_prefix('[').filter(|rest| rest.starts_with('[')).unwrap_or(text)),
            },
            Value::Array(values) => {
                values.iter().map(|value| self.value(value, when)).collect::<Result<_, _>>()?
            }
            Value::Object(members) => {
                let members =
                    members.iter().map(|(name, value)| Ok((name.clone(), self.value(value, when)?)));
                Value::Object(members.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn evaluate(&self, expression: &Expression, when: When) -> Result<Value, String> {
        match expression {
            Expression::Text(text) => Ok(json!(text)),
            Expression::Number(number) => Ok(json!(number)),
            Expression::Member { of, name } => {
                let (of, name) = (self.evaluate(of, when)?, self.evaluate(name, when)?);
                let name = name.as_str().ok_or("a member's name is no text")?;
                of.get(name).cloned().ok_or(format!("there is no {name} in {of}"))
            }
            // Only what is chosen is evaluated.
            Expression::Call { function, arguments } if function == "if" => {
                let [condition, yes, no] = &arguments[..] else {
                    return Err("if() has three arguments".to_owned());
                };
                match self.evaluate(condition, when)? {
                    Value::Bool(true) => self.evaluate(yes, when),
                    Value::Bool(false) => self.evaluate(no, when),
                    other => Err(format!("if(): {other} is neither true nor false")),
                }
            }
            Expression::Call { function, arguments } => {
                let arguments: Vec<_> = arguments
                    .iter()
                    .map(|argument| self.evaluate(argument, when))
                    .collect::<Result<_, _>>()?;
                self.call(function, &arguments, when).map_err(|problem| format!("{function}(): {problem}"))
            }
        }
    }

    fn call(&self, function: &str, arguments: &[Value], when: When) -> Result<Value, String> {
        Ok(match (function, arguments) {
            ("parameters", [Value::String(name)]) => self.parameter(name)?,
            ("variables", [Value::String(name)]) => {
                let variable =
                    self.document["variables"].get(name).ok_or(format!("there is no variable {name}"))?;
                self.seen.borrow_mut().variables.insert(name.clone());
                self.value(variable, When::Before)?
            }
            ("reference" | "listKeys", _) if when == When::Before => {
                return Err("only in properties and outputs".to_owned());
            }
            ("reference", [Value::String(id), options @ ..]) => self.reference(id, options)?,
            ("listKeys", [Value::String(id), Value::String(_)]) => self.answer(id)?["keys"].clone(),
            ("resourceId", [Value::String(kind), names @ ..]) => {
                let names: Vec<_> = names.iter().map(text).collect::<Result<_, _>>()?;
                let id = id(GROUP, kind, &names.join("/"))?;
                self.seen.borrow_mut().ids.insert(id.clone());
                json!(id)
            }
            ("subscriptionResourceId", [Value::String(kind), names @ ..]) => {
                let subscription = GROUP.split("/resourceGroups").next().unwrap_or_default();
                let names: Vec<_> = names.iter().map(text).collect::<Result<_, _>>()?;
                json!(id(subscription, kind, &names.join("/"))?)
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
            ("empty", [Value::String(text)]) => json!(text.is_empty()),
            ("not", [Value::Bool(value)]) => json!(!value),
            ("equals", [one, other]) => json!(one == other),
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
        let default = declared.get("defaultValue").ok_or(format!("{name} has no value"));
        let default = || self.value(default?, When::Before);
        let value = self.parameters.get(name).cloned().map_or_else(default, Ok)?;
        let fits = match declared["type"].as_str().map(str::to_lowercase).as_deref() {
            Some("string" | "securestring") => value.is_string(),
            Some("int") => value.is_i64(),
            Some("bool") => value.is_boolean(),
            Some("object") => value.is_object(),
            _ => false,
        };
        let allowed = declared["allowedValues"].as_array().is_none_or(|values| values.contains(&value));
        let size = value.as_i64().or(value.as_str().and_then(|text| text.len().try_into().ok()));
        let bound = |names: [&str; 2]| names.iter().find_map(|name| declared[*name].as_i64());
        let within = bound(["minValue", "minLength"]).is_none_or(|least| size >= Some(least))
            && bound(["maxValue", "maxLength"]).is_none_or(|most| size <= Some(most));
        if fits && allowed && within { Ok(value) } else { Err(format!("{name} cannot be {value}")) }
    }

    /// What a resource says when it is asked for its state or its keys.
    fn answer(&self, id: &str) -> Result<&Value, String> {
        let kind = self
            .deployed
            .as_object()
            .into_iter()
            .flatten()
            .find(|(kind, _)| id.contains(&format!("/providers/{kind}/")));
        let (_, answer) = kind.ok_or(format!("{id} has nothing to be asked for"))?;
        self.seen.borrow_mut().asked.insert(id.to_owned());
        Ok(answer)
    }

    /// What a resource says of itself; only its whole has an identity.
    fn reference(&self, id: &str, options: &[Value]) -> Result<Value, String> {
        let answer = self.answer(id)?;
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
