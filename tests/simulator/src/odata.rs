//! The part of OData that Defender's lists understand: `$filter`, `$orderby`, `$top`, `$skip` and
//! `$expand`. Anything else that starts with a dollar sign is rejected, as the real service does.

mod filter;
mod schema;

use std::ops::Deref;

pub(crate) use self::schema::{Kind, Row, Schema, Value};

use self::filter::Filter;

/// The most rows one reply carries.
const MOST: usize = 10_000;

/// A list's query, understood.
#[derive(Debug, Default)]
pub(crate) struct Query {
    filter: Option<Filter>,
    pub order: Option<Order>,
    pub top: Option<usize>,
    pub skip: usize,
    pub expand: Option<String>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
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

    /// Of `rows` in the order asked for, which by default is that of their ids. Only a reply to a query without
    /// `$top` tells where the next one starts.
    pub fn page<'a, R: Row>(&self, rows: impl Iterator<Item = &'a R>) -> Page<'a, R> {
        let mut matching = rows.filter(|row| self.filter.as_ref().is_none_or(|f| f.matches(*row)));
        let end = self.skip.saturating_add(self.top.unwrap_or(MOST));
        let rows = matching.by_ref().take(end).skip(self.skip).collect();
        let is_more = self.top.is_none() && matching.next().is_some();
        Page { rows, next_skip: is_more.then_some(end) }
    }

    /// `sorted` without rows at its beginning that certainly do not match: they need not be looked at.
    pub fn candidates<'a, T: Deref<Target: Row>>(&self, sorted: &'a [T]) -> &'a [T] {
        let ascending = self.order.filter(|order| !order.descending);
        let least =
            ascending.and_then(|order| Some((order.field, self.filter.as_ref()?.least(order.field)?)));
        let start = least.map_or(0, |(field, least)| sorted.partition_point(|row| row.value(field) < least));
        &sorted[start..]
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

    /// The rows in this order, those that tie in the order in which they came.
    pub fn sorted<T: Deref<Target: Row>>(self, rows: impl Iterator<Item = T>) -> Vec<T> {
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| {
            let by_field = a.value(self.field).cmp(b.value(self.field));
            if self.descending { by_field.reverse() } else { by_field }
        });
        rows
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
        let page = match query.order {
            Some(order) => {
                let sorted = order.sorted(rows.iter());
                query.page(query.candidates(&sorted).iter().copied())
            }
            None => query.page(rows.iter()),
        };
        Ok(page.rows.iter().map(id).collect())
    }

    #[test]
    fn a_filter_by_the_field_that_is_sorted_by_finds_all_that_match() {
        for (text, page) in [
            ("$orderby=size", "bdac"),
            ("$orderby=size asc&$skip=1&$top=2", "da"),
            ("$orderby=size&$filter=size ge 2", "ac"),
            ("$orderby=size&$filter=size gt 1 and id ne 'a'", "c"),
            ("$orderby=size&$filter=size gt 1 or id eq 'b'", "bac"),
            ("$orderby=size&$filter=size gt 2&$skip=1", ""),
            ("$orderby=size desc&$filter=size ge 2", "ac"),
        ] {
            assert_eq!(ids(text).as_deref(), Ok(page), "{text}");
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
    fn what_the_service_does_not_know_is_rejected() {
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
