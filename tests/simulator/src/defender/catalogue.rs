//! What Defender knows, and how it is read: every text goes out as it was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use azure_core::time::OffsetDateTime;
use http::header::HOST;

use crate::alert::{ALERT_FIELDS, Alert};
use crate::machine::{MACHINE_FIELDS, Machine};
use crate::odata::{Order, Query, Schema};
use crate::quirk::Quirk;
use crate::rejection::Rejection;
use crate::request::Request;

const CONTEXT: &str = "https://api.security.microsoft.com/api/$metadata";

/// The stored alerts and machines, each by id, which is a list's default order.
#[derive(Default)]
pub(crate) struct Catalogue {
    alerts: BTreeMap<String, Arc<Alert>>,
    /// The alerts in each order that has been asked for since they changed last.
    in_order: BTreeMap<Order, Vec<Arc<Alert>>>,
    pub machines: BTreeMap<String, Machine>,
    /// The page that [`Quirk::RepeatPage`] serves again and again.
    pub repeated: Option<String>,
}

impl Catalogue {
    pub fn add_alert(&mut self, text: String, visible_from: Option<OffsetDateTime>) {
        let alert = Alert::new(text, visible_from).unwrap_or_else(|error| panic!("{error}"));
        let id = alert.id().expect("an alert has an id").to_owned();
        self.alerts.insert(id, Arc::new(alert));
        self.in_order.clear();
    }

    /// # Panics
    ///
    /// When there is no such alert.
    pub fn update_alert(&mut self, id: &str, last_update_time: &str) {
        let alert = self.alerts.get_mut(id);
        let alert = alert.unwrap_or_else(|| panic!("there is no alert {id} to update"));
        *alert = Arc::new(alert.updated(last_update_time).expect("an alert stays an object"));
        self.in_order.clear();
    }

    pub fn alert_ids(&self) -> Vec<String> {
        self.alerts.keys().cloned().collect()
    }

    /// All alerts, in the order of their ids.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().map(Arc::as_ref)
    }

    pub fn alert_text(&self, id: &str) -> Option<&str> {
        Some(self.alerts.get(id)?.text())
    }

    pub fn add_machine(&mut self, text: String) {
        let machine = Machine::new(text).unwrap_or_else(|error| panic!("{error}"));
        let id = machine.id().expect("a machine has an id").to_owned();
        self.machines.insert(id, machine);
    }

    pub fn alert_list(
        &mut self,
        request: &Request,
        quirks: &BTreeSet<Quirk>,
        page_cap: Option<usize>,
        now: OffsetDateTime,
    ) -> Result<String, Rejection> {
        let mut query = query(request, &ALERT_FIELDS, quirks)?;
        // Without `$top` there would be a link to the rest.
        query.top = query.top.map(|top| page_cap.map_or(top, |cap| cap.min(top)));
        let expand = match query.expand.as_deref() {
            None => false,
            Some("evidence") => true,
            Some(other) => return Err(bad_query(&format!("cannot expand {other}"))),
        };
        if let Some(repeated) = &self.repeated {
            return Ok(repeated.clone());
        }
        let is_visible = |alert: &Alert| alert.is_visible(now);
        let page = match query.order {
            Some(order) => {
                let sorted = || order.sorted(self.alerts.values().cloned());
                let alerts = query.candidates(self.in_order.entry(order).or_insert_with(sorted));
                query.page(alerts.iter().map(Arc::as_ref).filter(|alert| is_visible(alert)))
            }
            None => query.page(self.alerts.values().map(Arc::as_ref).filter(|alert| is_visible(alert))),
        };
        let write = |alert: &&Alert, body: &mut String| alert.write(body, expand);
        let body = list("Alerts", request, &page.rows, write, page.next_skip);
        if quirks.contains(&Quirk::RepeatPage) {
            self.repeated = Some(body.clone());
        }
        Ok(body)
    }

    pub fn alert(&self, id: &str, now: OffsetDateTime) -> Result<String, Rejection> {
        let alert = self.alerts.get(id).filter(|alert| alert.is_visible(now));
        let alert = alert.ok_or_else(|| not_found("Alert", id))?;
        Ok(entity("Alerts", alert.text()))
    }

    pub fn machines(&self, request: &Request, quirks: &BTreeSet<Quirk>) -> Result<String, Rejection> {
        let query = query(request, &MACHINE_FIELDS, quirks)?;
        if query.expand.is_some() {
            return Err(bad_query("machines have nothing to expand"));
        }
        let page = match query.order {
            Some(order) => query.page(order.sorted(self.machines.values()).into_iter()),
            None => query.page(self.machines.values()),
        };
        let write = |machine: &&Machine, body: &mut String| body.push_str(machine.text());
        Ok(list("Machines", request, &page.rows, write, page.next_skip))
    }

    /// A machine is found by its id or by its name.
    pub fn machine(&self, id: &str) -> Result<String, Rejection> {
        let named = || self.machines.values().find(|machine| machine.is_called(id));
        let machine = self.machines.get(id).or_else(named);
        let machine = machine.ok_or_else(|| not_found("Machine", id))?;
        Ok(entity("Machines", machine.text()))
    }
}

fn query(request: &Request, schema: &Schema, quirks: &BTreeSet<Quirk>) -> Result<Query, Rejection> {
    let mut query = Query::parse(&request.query, schema).map_err(|reason| bad_query(&reason))?;
    if quirks.contains(&Quirk::IgnoreOrderBy) {
        query = query.without_order();
    }
    if quirks.contains(&Quirk::IgnoreTop) {
        query.top = None;
    }
    if quirks.contains(&Quirk::IgnoreSkip) {
        query.skip = 0;
    }
    Ok(query)
}

fn list<R>(
    set: &str,
    request: &Request,
    rows: &[R],
    write: impl Fn(&R, &mut String),
    next_skip: Option<usize>,
) -> String {
    let mut body = format!(r#"{{"@odata.context":"{CONTEXT}#{set}","value":["#);
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        write(row, &mut body);
    }
    body.push(']');
    if let Some(skip) = next_skip {
        body.push_str(r#","@odata.nextLink":"#);
        body.push_str(&serde_json::Value::from(next_link(request, skip)).to_string());
    }
    body.push('}');
    body
}

fn next_link(request: &Request, skip: usize) -> String {
    let kept = request.query.iter().filter(|(name, _)| name != "$skip");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("$skip", &skip.to_string())
        .finish();
    let host = request.header(HOST).unwrap_or("api.security.microsoft.com");
    format!("http://{host}{}?{query}", request.path)
}

/// The stored object with its context as the first member, unless it came with one.
fn entity(set: &str, text: &str) -> String {
    let inner = text.trim_start().strip_prefix('{').unwrap_or(text);
    if inner.contains(r#""@odata.context""#) {
        return text.to_owned();
    }
    let comma = if inner.trim_start().starts_with('}') { "" } else { "," };
    format!(r#"{{"@odata.context":"{CONTEXT}#{set}/$entity"{comma}{inner}"#)
}

fn not_found(what: &str, id: &str) -> Rejection {
    Rejection::new(404, "ResourceNotFound", format!("{what} {id} was not found"))
}

fn bad_query(reason: &str) -> Rejection {
    let message = format!("The query specified in the URI is not valid. {reason}");
    Rejection::new(400, "", message)
}
