//! The critical path of a run: the longest chain of calls that had to follow each other. Pure; the calls' order of
//! arrival says what each depends on:
//!
//! - a page of alerts follows a token and the page before it, which says where the next one begins;
//! - a call for machines follows the page on which they were named; all such calls can be made concurrently;
//! - a post follows the page with the last alert in it, that page's machines, and the post before it, since
//!   delivery is acknowledged in order.

use std::fmt;

use super::workload::{Call, Kind};

/// The number of calls on the path, in all and of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CriticalPath {
    pub(super) calls: u32,
    tokens: u32,
    pages: u32,
    machines: u32,
    posts: u32,
}

impl CriticalPath {
    /// The critical path to the last of these calls.
    pub(super) fn of(calls: &[Call]) -> Self {
        let total: usize = calls.iter().map(|call| records(call.kind)).sum();
        let pages = calls.iter().filter(|call| call.kind == Kind::Page).count().max(1);
        let a_page = total.div_ceil(pages).max(1);
        let token = if calls.iter().any(|call| call.kind == Kind::Token) {
            Self::default().and(Kind::Token)
        } else {
            Self::default()
        };
        // For each page the path to all that is needed of it, including its machines.
        let (mut page, mut read): (Self, Vec<Self>) = (token, Vec::new());
        for call in calls {
            match call.kind {
                Kind::Page => {
                    page = page.and(Kind::Page);
                    let before = read.last().copied().unwrap_or_default();
                    read.push(before.or(page));
                }
                Kind::Machines => {
                    let machines = page.and(Kind::Machines);
                    if let Some(last) = read.last_mut() {
                        *last = last.or(machines);
                    }
                }
                Kind::Token | Kind::Post(_) => {}
            }
        }
        let (mut sent, mut post) = (0, token);
        for call in calls {
            if let Kind::Post(records) = call.kind {
                sent += records;
                let needed = sent.div_ceil(a_page).saturating_sub(1).min(read.len().saturating_sub(1));
                post = post.or(read.get(needed).copied().unwrap_or(token)).and(call.kind);
            }
        }
        post
    }

    fn and(mut self, kind: Kind) -> Self {
        self.calls += 1;
        *match kind {
            Kind::Token => &mut self.tokens,
            Kind::Page => &mut self.pages,
            Kind::Machines => &mut self.machines,
            Kind::Post(_) => &mut self.posts,
        } += 1;
        self
    }

    fn or(self, other: Self) -> Self {
        if other.calls > self.calls { other } else { self }
    }
}

fn records(kind: Kind) -> usize {
    match kind {
        Kind::Post(records) => records,
        _ => 0,
    }
}

impl fmt::Display for CriticalPath {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { calls, tokens, pages, machines, posts } = self;
        write!(formatter, "{calls} (tokens {tokens}, pages {pages}, machines {machines}, posts {posts})")
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;

    use super::*;

    fn path(kinds: &[Kind]) -> CriticalPath {
        let at = OffsetDateTime::UNIX_EPOCH;
        let calls: Vec<_> = kinds.iter().map(|kind| Call { kind: *kind, at }).collect();
        CriticalPath::of(&calls)
    }

    #[test]
    fn machines_of_one_page_count_once_and_posts_hide_behind_pages() {
        use Kind::{Machines, Page, Post, Token};
        // Whoever waits for three pages has not waited for the machines of the first.
        let all_at_the_end = path(&[Token, Page, Machines, Machines, Page, Page, Token, Post(30)]);
        assert_eq!(all_at_the_end, CriticalPath { calls: 5, tokens: 1, pages: 3, machines: 0, posts: 1 });
        // The first post can go while the second page is read; the second one waits for both.
        let one_each = path(&[Token, Page, Machines, Page, Post(10), Post(10)]);
        assert_eq!(one_each, CriticalPath { calls: 5, tokens: 1, pages: 1, machines: 1, posts: 2 });
        // Small posts queue.
        let small = path(&[Token, Page, Post(1), Post(1), Post(1)]);
        assert_eq!(small, CriticalPath { calls: 5, tokens: 1, pages: 1, machines: 0, posts: 3 });
        assert_eq!(path(&[]).calls, 0);
    }

    #[test]
    fn machines_of_the_last_page_are_on_the_way_to_the_last_post() {
        use Kind::{Machines, Page, Post};
        let path = path(&[Page, Page, Machines, Post(20)]);
        assert_eq!(path, CriticalPath { calls: 4, tokens: 0, pages: 2, machines: 1, posts: 1 });
    }
}
