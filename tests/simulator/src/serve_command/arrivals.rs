//! What arrived at the cloud since the last time, in a few lines.

use std::collections::BTreeMap;

use azure_core::time::to_rfc3339;
use simulator::{Cloud, LostValue};

/// How much was printed already.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    requests: usize,
    posts: usize,
    rejected: usize,
    lost: usize,
    lost_in_all: u64,
}

impl Arrivals {
    /// One line for each post, one for each kind of other request, and one for each kind of lost value.
    pub(crate) fn since_last(&mut self, cloud: &Cloud) -> Vec<String> {
        let (requests, posts, rejected) = (cloud.requests(), cloud.received(), cloud.rejected());
        let mut kinds = BTreeMap::new();
        for seen in &requests[self.requests..] {
            let status = seen.status.map_or("no reply".to_owned(), |status| status.to_string());
            let path = seen.path_and_query.split('?').next().unwrap_or_default();
            let first_words: Vec<_> = path.split('/').take(3).collect();
            let kind = format!("{:?} {} {} {status}", seen.service, seen.method, first_words.join("/"));
            *kinds.entry(kind).or_insert(0) += 1;
        }
        let mut lines: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{kind} x {count}")).collect();
        lines.extend(posts[self.posts..].iter().map(|post| {
            let (at, records) = (to_rfc3339(&post.at), post.records.len());
            format!("{at} {} took {records} records, {} bytes", post.log_type_or_stream, post.body_bytes)
        }));
        lines.extend(rejected[self.rejected..].iter().map(|post| {
            format!(
                "{} {:?} rejected a post: {} {}",
                to_rfc3339(&post.at),
                post.service,
                post.status,
                post.reason
            )
        }));
        lines.extend(self.losses(cloud));
        (self.requests, self.posts, self.rejected) = (requests.len(), posts.len(), rejected.len());
        lines
    }

    /// What the deployed rule kept from the table.
    fn losses(&mut self, cloud: &Cloud) -> Vec<String> {
        let (lost, in_all) = (cloud.lost_values(), cloud.counts().values_lost);
        let new = &lost[self.lost..];
        let mut kinds = BTreeMap::new();
        for LostValue { stream, column, why, .. } in new {
            *kinds.entry(format!("{stream}: {column} {why}")).or_insert(0) += 1;
        }
        let mut lines: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{kind} x {count}")).collect();
        let others = in_all - self.lost_in_all - new.len() as u64;
        if others > 0 {
            lines.push(format!("{others} more values lost"));
        }
        (self.lost, self.lost_in_all) = (lost.len(), in_all);
        lines
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;
    use http::Method;
    use simulator::{Outcome, Request, Service, tenant};

    use super::*;

    #[test]
    fn everything_is_told_once_and_like_goes_with_like() {
        let cloud = Cloud::new(1);
        let mut arrivals = Arrivals::default();
        for id in ["a", "b"] {
            let request = Request::new(Method::GET, &format!("/api/machines/{id}?x=y"));
            cloud.react(Service::Defender, &request, OffsetDateTime::UNIX_EPOCH);
        }
        assert_eq!(arrivals.since_last(&cloud), ["Defender GET /api/machines 401 x 2"]);
        assert_eq!(arrivals.since_last(&cloud), Vec::<String>::new());
    }

    #[test]
    fn what_a_rule_keeps_from_the_table_is_told_by_column() {
        let cloud = Cloud::new(1);
        cloud.deploy_rule(RULE).expect("a good rule");
        let mut arrivals = Arrivals::default();
        let body = r#"[{"Text":7},{"Text":8},{"New":1}]"#;
        let identity =
            Request::new(Method::GET, "/msi/token?resource=https://monitor.azure.com&api-version=2019-08-01");
        let identity = identity.with_header("x-identity-header", tenant::IDENTITY_HEADER);
        let Outcome::Response(token) =
            cloud.react(Service::Identity, &identity, OffsetDateTime::UNIX_EPOCH).outcome
        else {
            panic!("no token");
        };
        let token: serde_json::Value = serde_json::from_slice(&token.body).expect("JSON");
        let token = token["access_token"].as_str().expect("a text");
        let target =
            format!("/dataCollectionRules/{}/streams/Custom-A?api-version=2023-01-01", tenant::DCR_ID);
        let post = Request::new(Method::POST, &target)
            .with_header("authorization", &format!("Bearer {token}"))
            .with_header("content-type", "application/json")
            .with_body(body);
        let told = |arrivals: &mut Arrivals| {
            let lines = arrivals.since_last(&cloud).into_iter();
            lines.filter(|line| line.starts_with("Custom-A: ")).collect::<Vec<_>>()
        };
        let expected = [
            "Custom-A: New dropped, since it is not declared x 1",
            "Custom-A: Text nulled, since it does not fit the column's type x 2",
        ];
        for _ in 0..2 {
            cloud.react(Service::LogsIngestion, &post, OffsetDateTime::UNIX_EPOCH);
            assert_eq!(told(&mut arrivals), expected);
        }
        for _ in 0..400 {
            cloud.react(Service::LogsIngestion, &post, OffsetDateTime::UNIX_EPOCH);
        }
        let lines = arrivals.since_last(&cloud);
        assert_eq!(lines.last().map(String::as_str), Some("206 more values lost"));
        assert_eq!(arrivals.since_last(&cloud), Vec::<String>::new());
    }

    const RULE: &str = r#"{
        "kind": "Direct",
        "streamDeclarations": {"Custom-A": {"columns": [
            {"name": "TimeGenerated", "type": "datetime"}, {"name": "Text", "type": "string"}
        ]}},
        "destinations": {"logAnalytics": [{"name": "w", "workspaceResourceId": "/subscriptions/s/w"}]},
        "dataFlows": [{"streams": ["Custom-A"], "destinations": ["w"], "outputStream": "Custom-A_CL"}]
    }"#;
}
