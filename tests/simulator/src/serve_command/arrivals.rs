//! What arrived at the cloud since the last look, in a few lines.

use std::collections::BTreeMap;

use azure_core::time::to_rfc3339;
use simulator::Cloud;

/// How much was told already.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    requests: usize,
    posts: usize,
    refused: usize,
}

impl Arrivals {
    /// One line for each post, and one for each kind of other request.
    pub(crate) fn since_last(&mut self, cloud: &Cloud) -> Vec<String> {
        let (requests, posts, refused) = (cloud.requests(), cloud.received(), cloud.refused());
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
        lines.extend(refused[self.refused..].iter().map(|post| {
            format!(
                "{} {:?} refused a post: {} {}",
                to_rfc3339(&post.at),
                post.service,
                post.status,
                post.reason
            )
        }));
        *self = Self { requests: requests.len(), posts: posts.len(), refused: refused.len() };
        lines
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;
    use http::Method;
    use simulator::{Request, Service};

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
}
