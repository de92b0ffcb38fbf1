//! Graph's list of alerts, and one alert: Defender's, in Graph's form.

use std::collections::BTreeSet;

use azure_core::time::OffsetDateTime;
use http::header::HOST;

use crate::alert::Alert;
use crate::defender::Catalogue;
use crate::machine::Machine;
use crate::odata::{Kind, Query, Row, Schema, Value};
use crate::quirk::Quirk;
use crate::rejection::Rejection;
use crate::request::Request;

use super::alert::in_graph_form;

/// What the list can be filtered by (documentation page "List alerts"). The simulated alerts are all of one service.
const FIELDS: Schema = Schema(&[
    ("createdDateTime", Kind::Time),
    ("lastUpdateDateTime", Kind::Time),
    ("serviceSource", Kind::Text),
    ("assignedTo", Kind::Text),
    ("classification", Kind::Text),
    ("determination", Kind::Text),
    ("severity", Kind::Text),
    ("status", Kind::Text),
]);

/// The most alerts of a page. More may be asked for, without an error (elastic/integrations#20348).
const MOST: usize = 1_000;

/// The most that `$top` and `$skip` together may be (page "Microsoft Graph security API error codes").
const REACH: usize = 6_000;

const CONTEXT: &str = "https://graph.microsoft.com/v1.0/$metadata#security/alerts_v2";

/// An alert with its values in the order of [`FIELDS`].
struct Listed<'a> {
    alert: &'a Alert,
    values: Vec<Value>,
}

impl Row for Listed<'_> {
    fn value(&self, field: usize) -> &Value {
        &self.values[field]
    }
}

impl<'a> Listed<'a> {
    fn new(alert: &'a Alert) -> Self {
        let value = |name: &str| alert.named(name).clone();
        let word = |name: &str| match alert.named(name) {
            Value::Text(text) if text.is_ascii() && !text.is_empty() => {
                Value::Text(text[..1].to_lowercase() + &text[1..])
            }
            other => other.clone(),
        };
        let values = vec![
            value("alertCreationTime"),
            value("lastUpdateTime"),
            Value::Text("microsoftDefenderForEndpoint".to_owned()),
            value("assignedTo"),
            Value::Null,
            Value::Null,
            word("severity"),
            word("status"),
        ];
        Self { alert, values }
    }
}

/// A page of the list: the newest alerts first, unless another order is asked for.
pub fn list(
    catalogue: &Catalogue,
    request: &Request,
    quirks: &BTreeSet<Quirk>,
    page_cap: Option<usize>,
    now: OffsetDateTime,
) -> Result<String, Rejection> {
    let mut pairs = request.query.clone();
    for (_, top) in pairs.iter_mut().filter(|(name, _)| name == "$top") {
        if let Ok(number) = top.parse::<usize>() {
            *top = number.min(MOST).to_string();
        }
    }
    if let Some((name, _)) = pairs.iter().find(|(name, _)| name == "$expand") {
        return Err(bad_request(&format!("The query option {name} is not supported.")));
    }
    let mut query = Query::parse(&pairs, &FIELDS).map_err(|reason| bad_request(&reason))?;
    if quirks.contains(&Quirk::IgnoreOrderBy) {
        query = query.without_order();
    }
    if quirks.contains(&Quirk::IgnoreSkip) {
        query.skip = 0;
    }
    let top = query.top.unwrap_or(MOST);
    if top + query.skip > REACH {
        return Err(bad_request(&format!("The sum of $top and $skip is more than {REACH}.")));
    }
    let length = page_cap.map_or(top, |cap| cap.min(top));
    // One more shows whether there is a next page.
    query.top = Some(length + 1);
    let mut rows: Vec<_> =
        catalogue.alerts().filter(|alert| alert.is_visible(now)).map(Listed::new).collect();
    rows.sort_by(|one, other| other.values[0].cmp(&one.values[0]));
    let page = match query.order {
        Some(order) => query.page(order.sorted(rows.iter()).into_iter()),
        None => query.page(rows.iter()),
    };
    let mut body = format!(r#"{{"@odata.context":"{CONTEXT}","value":["#);
    for (place, row) in page.rows.iter().take(length).enumerate() {
        if place > 0 {
            body.push(',');
        }
        body.push_str(&text(catalogue, row.alert));
    }
    body.push(']');
    let next = query.skip + length;
    if page.rows.len() > length && next + top <= REACH && page_cap.is_none() {
        body.push_str(r#","@odata.nextLink":"#);
        body.push_str(&serde_json::Value::from(next_link(request, next)).to_string());
    }
    body.push('}');
    Ok(body)
}

/// One alert.
pub fn get(catalogue: &Catalogue, id: &str, now: OffsetDateTime) -> Result<String, Rejection> {
    let alert = catalogue.alerts().find(|alert| alert.id() == Some(id) && alert.is_visible(now));
    let alert = alert.ok_or_else(|| {
        Rejection::new(404, "ResourceNotFound", format!("The resource {id} could not be found."))
    })?;
    let text = text(catalogue, alert);
    Ok(format!(r#"{{"@odata.context":"{CONTEXT}/$entity",{}"#, text.trim_start_matches('{')))
}

fn text(catalogue: &Catalogue, alert: &Alert) -> String {
    let machine = alert.machine_id().and_then(|id| catalogue.machines.get(&id));
    in_graph_form(alert.text(), machine.map(Machine::text))
}

fn next_link(request: &Request, skip: usize) -> String {
    let kept = request.query.iter().filter(|(name, _)| name != "$skip");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("$skip", &skip.to_string())
        .finish();
    let host = request.header(HOST).unwrap_or("graph.microsoft.com");
    format!("https://{host}{}?{query}", request.path)
}

fn bad_request(reason: &str) -> Rejection {
    Rejection::new(400, "BadRequest", reason)
}
