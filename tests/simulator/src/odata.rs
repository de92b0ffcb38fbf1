//! The part of OData that Defender's lists understand: `$filter`, `$orderby`, `$top`, `$skip` and
//! `$expand`. Anything else that starts with a dollar sign is refused, as the real service does.

mod filter;
mod schema;

pub(crate) use self::schema::{Kind, Row, Schema, Value};

use std::sync::Arc;

use self::filter::Filter;

/// The most rows one reply carries.
const MOST: usize = 10_000;

/// A list's query, understood.
#[derive(Debug, Default)]
pub(crate) struct Query {
    filter: Option<Filter>,
    order: Option<Order>,
    pub top: Option<usize>,
    pub skip: usize,
    pub expand: Option<String>,
}

#[derive(Debug)]
struct Order {
    field: usize,
    descending: bool,
}

/// The rows of one reply.
pub(crate) struct Page<'a, R> {
    pub rows: Vec<&'a R>,
    /// Where the next page starts, when the reply names it.
    pub next_skip: Option<usize>,
}

impl Query {
    pub fn parse(pairs: &[(String, String)], schema: &Schema) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, text) in pairs {
            match name.as_str() {
                "$filter" => query.filter = Some(Filter::parse(text, schema)?),
                "$orderby" => query.order = Some(Order::parse(text, schema)?),
                "$top" => query.top = Some(number(name, text, 1..=MOST)?),
                "$skip" => query.skip = number(name, text, 0..=usize::MAX)?,
                "$expand" => query.expand = Some(text.clone()),
                _ if name.starts_with('$') => return Err(format!("unknown option {name}")),
                _ => {}
            }
        }
        Ok(query)
    }

    /// The default order is by id, which is the order the rows are given in. Only a reply to a query
    /// without `$top` tells where the next one starts.
    pub fn page<'a, R: Row>(&self, rows: impl Iterator<Item = &'a R>) -> Page<'a, R> {
        let matches = |row: &&R| self.filter.as_ref().is_none_or(|f| f.matches(*row));
        let mut rows: Vec<_> = rows.filter(matches).collect();
        let found = rows.len();
        let take = self.top.unwrap_or(MOST);
        let end = self.skip.saturating_add(take);
        if let Some(order) = &self.order {
            rows = order.first(rows, end);
        }
        Page {
            rows: rows.into_iter().skip(self.skip).take(take).collect(),
            next_skip: (self.top.is_none() && found > end).then_some(end),
        }
    }

    /// The field whose ascending order is asked for.
    pub fn ascending(&self) -> Option<usize> {
        self.order.as_ref().filter(|order| !order.descending).map(|order| order.field)
    }

    /// The page when the rows are in the ascending order of `field` that is asked for, which takes no longer however
    /// many there are.
    pub fn page_of_sorted<'a, R: Row>(
        &self,
        field: usize,
        rows: &'a [Arc<R>],
        is_visible: impl Fn(&R) -> bool,
    ) -> Page<'a, R> {
        let least = self.filter.as_ref().and_then(|filter| filter.least(field));
        let start = least.map_or(0, |least| rows.partition_point(|row| row.value(field) < least));
        let matches = |row: &&R| is_visible(row) && self.filter.as_ref().is_none_or(|f| f.matches(*row));
        let mut matching = rows[start..].iter().map(Arc::as_ref).filter(matches);
        let end = self.skip.saturating_add(self.top.unwrap_or(MOST));
        let rows = matching.by_ref().take(end).skip(self.skip).collect();
        let is_more = self.top.is_none() && matching.next().is_some();
        Page { rows, next_skip: is_more.then_some(end) }
    }

    /// The same query in the order of ids.
    pub fn without_order(mut self) -> Self {
        self.order = None;
        self
    }
}

impl Order {
    fn parse(text: &str, schema: &Schema) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let name = words.next().ok_or("$orderby is empty")?;
        let (field, _) = schema.field(name)?;
        let descending = match (words.next(), words.next()) {
            (None | Some("asc"), None) => false,
            (Some("desc"), None) => true,
            _ => return Err(format!("$orderby={text} is not one field, asc or desc")),
        };
        Ok(Self { field, descending })
    }

    /// The first rows in this order, those that tie in the order in which they came. A page of a long list is
    /// asked for often, so only what is on it is sorted.
    fn first<'a, R: Row>(&self, rows: Vec<&'a R>, count: usize) -> Vec<&'a R> {
        let mut rows: Vec<_> = rows.into_iter().enumerate().collect();
        let compare = |(a_at, a): &(usize, &R), (b_at, b): &(usize, &R)| {
            let by_field = a.value(self.field).cmp(b.value(self.field));
            let by_field = if self.descending { by_field.reverse() } else { by_field };
            by_field.then(a_at.cmp(b_at))
        };
        if count < rows.len() {
            rows.select_nth_unstable_by(count, compare);
            rows.truncate(count);
        }
        rows.sort_unstable_by(compare);
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

fn number(name: &str, text: &str, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("{name}={text} is not within the limits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema(&[("id", Kind::Text), ("size", Kind::Number)]);

    fn rows() -> Vec<Vec<Value>> {
        [("a", 2), ("b", 1), ("c", 2), ("d", 1)]
            .map(|(id, size)| vec![Value::Text(id.to_owned()), Value::Number(size)])
            .to_vec()
    }

    fn ids(query: &str) -> Result<String, String> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let query = Query::parse(&pairs, &SCHEMA)?;
        let rows = rows();
        let id = |row: &&Vec<Value>| match &row[0] {
            Value::Text(id) => id.clone(),
            other => panic!("{other:?} is no id"),
        };
        Ok(query.page(rows.iter()).rows.iter().map(id).collect())
    }

    #[test]
    fn a_page_of_sorted_rows_is_the_page_of_the_query() {
        for (text, page) in [
            ("$orderby=size", "bdac"),
            ("$orderby=size asc&$skip=1&$top=2", "da"),
            ("$orderby=size&$filter=size ge 2", "ac"),
            ("$orderby=size&$filter=size gt 1 and id ne 'a'", "c"),
            ("$orderby=size&$filter=size gt 1 or id eq 'b'", "bac"),
            ("$orderby=size&$filter=size gt 2&$skip=1", ""),
        ] {
            let pairs: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            let query = Query::parse(&pairs, &SCHEMA).expect(text);
            let mut sorted: Vec<_> = rows().into_iter().map(Arc::new).collect();
            sorted.sort_by(|a, b| a[1].cmp(&b[1]));
            let told: String = query
                .page_of_sorted(query.ascending().expect(text), &sorted, |_| true)
                .rows
                .iter()
                .map(|row| format!("{:?}", row[0]).replace("Text(\"", "").replace("\")", ""))
                .collect();
            assert_eq!((ids(text).as_deref(), told.as_str()), (Ok(page), page), "{text}");
        }
    }

    #[test]
    fn order_is_by_id_unless_asked_and_ties_keep_it() {
        assert_eq!(ids("").as_deref(), Ok("abcd"));
        assert_eq!(ids("$orderby=size").as_deref(), Ok("bdac"));
        assert_eq!(ids("$orderby=size+desc").as_deref(), Ok("acbd"));
        assert_eq!(ids("$orderby=size+asc&$skip=1&$top=2").as_deref(), Ok("da"));
    }

    #[test]
    fn what_the_service_does_not_know_is_refused() {
        for query in [
            "$top=0",
            "$top=10001",
            "$skip=-1",
            "$select=id",
            "$orderby=colour",
            "$orderby=id,size",
            "$orderby=id up",
            "$filter=colour eq 'red'",
        ] {
            assert!(ids(query).is_err(), "{query}");
        }
        assert_eq!(ids("api-version=1").as_deref(), Ok("abcd"));
    }

    #[test]
    fn only_a_query_without_top_is_told_where_to_go_on() {
        let row = vec![Value::Text("x".to_owned()), Value::Number(0)];
        let rows = vec![row; 10_001];
        let page = Query::default().page(rows.iter());
        assert_eq!((page.rows.len(), page.next_skip), (10_000, Some(10_000)));

        let rest = Query { skip: 10_000, ..Query::default() };
        assert_eq!(rest.page(rows.iter()).next_skip, None);

        let top = Query { top: Some(10), ..Query::default() };
        assert_eq!(top.page(rows.iter()).next_skip, None);
    }
}
