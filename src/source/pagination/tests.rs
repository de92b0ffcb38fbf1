use azure_core::time::{Duration, parse_rfc3339};
use proptest::prelude::*;

use super::*;
use crate::config::LARGEST_PAGE;

/// An alert of the list: its time in seconds from the start, and its number.
type Listed = (i64, u32);

fn time(seconds: i64) -> OffsetDateTime {
    parse_rfc3339("2026-11-24T00:00:00Z").expect("a time") + Duration::seconds(seconds)
}

fn fingerprint(number: u32) -> Fingerprint {
    let mut bytes = [0; Fingerprint::BYTES];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Fingerprint(bytes)
}

/// How a server responds.
#[derive(Debug, Clone, Copy)]
struct Server {
    keeps_order: bool,
    keeps_skip: bool,
    /// The most alerts that it returns on a page.
    most: usize,
    limits: PageLimits,
}

const GOOD: Server =
    Server { keeps_order: true, keeps_skip: true, most: LARGEST_PAGE as usize, limits: PageLimits::DEFENDER };

impl Server {
    fn page(self, list: &[Listed], query: Query) -> Vec<Listed> {
        let mut hits: Vec<Listed> = list
            .iter()
            .copied()
            .filter(|(at, _)| (query.window.from..query.window.to).contains(&time(*at)))
            .collect();
        hits.sort_by_key(|(at, number)| if self.keeps_order { (*at, *number) } else { (0, *number) });
        let skip = if self.keeps_skip { query.skip } else { 0 };
        assert!(self.limits.reach.is_none_or(|reach| query.skip + query.top as usize <= reach), "{query:?}");
        assert!(query.top <= self.limits.top, "{query:?}");
        hits.into_iter().skip(skip).take(self.most.min(query.top as usize)).collect()
    }
}

/// Reads the list to its end: the numbers that were returned, in order, the number of pages, and how it ended.
fn read_all(server: Server, list: &[Listed], page_size: usize) -> (Vec<u32>, usize, Next) {
    let (out, pages, end, _) = read_after(server, list, page_size, &[], PageSizes::default());
    (out, pages, end)
}

/// The same after runs that delivered `earlier` and observed `pages`; and what is known of the server's pages then.
fn read_after(
    server: Server,
    list: &[Listed],
    page_size: usize,
    earlier: &[Listed],
    pages: PageSizes,
) -> (Vec<u32>, usize, Next, PageSizes) {
    let window = Window { from: time(0), to: time(20_000) };
    let fingerprints: HashSet<_> = earlier.iter().map(|(_, number)| fingerprint(*number)).collect();
    let first_minute = earlier.iter().map(|(at, _)| at / 60).min();
    let earliest: Vec<_> = earlier
        .iter()
        .filter(|(at, _)| Some(at / 60) == first_minute)
        .map(|(_, n)| fingerprint(*n))
        .collect();
    let delivered = Delivered {
        fingerprints: &fingerprints,
        count: fingerprints.len(),
        earliest: &earliest,
        are_listed: true,
    };
    let page_size = u32::try_from(page_size).expect("a page size");
    let mut pagination = Pagination::new(window, page_size, server.limits, delivered, pages);
    let mut out = Vec::new();
    for pages in 1..10_000 {
        let page = server.page(list, pagination.query());
        let keys: Vec<_> = page.iter().map(|(at, number)| (Some(time(*at)), fingerprint(*number))).collect();
        let step = pagination.step(&keys, false);
        let fresh = step.fresh.iter().map(|place| page[*place].1);
        out.extend(fresh.filter(|number| !fingerprints.contains(&fingerprint(*number))));
        if step.next != Next::Page {
            return (out, pages, step.next, pagination.pages());
        }
    }
    panic!("the pagination does not end");
}

/// A pagination without earlier runs.
fn first_pagination(window: Window, page_size: u32) -> Pagination<'static> {
    static NOTHING: std::sync::LazyLock<HashSet<Fingerprint>> = std::sync::LazyLock::new(HashSet::new);
    let delivered = Delivered { fingerprints: &NOTHING, count: 0, earliest: &[], are_listed: true };
    Pagination::new(window, page_size, PageLimits::DEFENDER, delivered, PageSizes::default())
}

#[test]
fn a_short_page_does_not_prove_the_end() {
    let mut one = first_pagination(Window { from: time(0), to: time(9) }, 3);
    let page = [(Some(time(1)), fingerprint(1)), (Some(time(2)), fingerprint(2))];
    assert_eq!(one.step(&page, false), Step { fresh: vec![0, 1], left_out: 0, next: Next::Page });
    assert_eq!(
        (one.query().skip, one.query().top),
        (1, 4),
        "the next page begins with the last alert of this one"
    );
    assert_eq!(
        one.step(&page[1..], true),
        Step { fresh: vec![], left_out: 0, next: Next::Page },
        "the server says so"
    );
    assert_eq!(one.step(&page[1..], false), Step { fresh: vec![], left_out: 0, next: Next::End });
}

#[test]
fn a_server_that_silently_caps_its_pages_is_read_to_its_end() {
    let list: Vec<Listed> = (0..1_300).map(|n| (n.into(), n)).collect();
    for most in [1, 2, 3, 7, 499, 500, 650, 1_299, 1_300] {
        let server = Server { most, ..GOOD };
        let (out, _, end, pages) = read_after(server, &list, 1_000, &[], PageSizes::default());
        assert_eq!((out, end), ((0..1_300).collect(), Next::End), "{most}");
        assert_eq!(pages, PageSizes { longest: most.min(1_010), reduced: None });
    }
}

#[test]
fn a_list_with_nothing_new_takes_one_page_even_if_it_is_as_long_as_the_longest_page() {
    for (length, longest) in [(0, 0), (0, 50), (1, 50), (2, 2), (49, 50), (50, 50), (500, 500), (500, 1_010)]
    {
        let list: Vec<Listed> = (0..length).map(|n| (n.into(), n)).collect();
        let pages = PageSizes { longest, reduced: None };
        let server = Server { most: longest.max(1), ..GOOD };
        let (out, count, end, _) = read_after(server, &list, 1_000, &list, pages);
        assert_eq!((out, count, end), (vec![], 1, Next::End), "{length} {longest}");
    }
}

/// Whether it comes after the known alerts, before or among them.
#[test]
fn what_is_new_behind_a_full_page_of_known_alerts_is_found() {
    let known: Vec<Listed> = (1..=50).map(|n| (100 + i64::from(n), n)).collect();
    for new in
        [vec![(500, 900)], vec![(1, 900)], vec![(120, 900)], vec![(101, 0)], vec![(1, 900), (600, 901)]]
    {
        for most in [50, 60, 1_000] {
            let list = [known.clone(), new.clone()].concat();
            let pages = PageSizes { longest: 50, reduced: None };
            let (mut out, _, end, _) = read_after(Server { most, ..GOOD }, &list, 1_000, &known, pages);
            out.sort_unstable();
            assert_eq!((out, end), (new.iter().map(|(_, n)| *n).collect(), Next::End), "{new:?} {most}");
        }
    }
}

#[test]
fn a_server_that_caps_its_pages_lower_than_before_is_read_to_its_end() {
    let list: Vec<Listed> = (0..400).map(|n| (n.into(), n)).collect();
    let pages = PageSizes { longest: 1_010, reduced: None };
    for known in [0, 100, 299, 300, 301, 399] {
        let server = Server { most: 300, ..GOOD };
        let (out, _, end, _) = read_after(server, &list, 1_000, &list[..known], pages);
        let first = u32::try_from(known).expect("small");
        if known == 300 {
            // As many as are known, and nothing else: what follows them is found once some of them are too old.
            assert_eq!(end, Next::End);
        } else {
            assert_eq!((out, end), ((first..400).collect(), Next::End), "{known}");
        }
    }
}

#[test]
fn a_page_that_fails_is_requested_smaller_and_larger_again_after_some_that_worked() {
    let list: Vec<Listed> = (0..6_000).map(|n| (n.into(), n)).collect();
    let window = Window { from: time(0), to: time(20_000) };
    let mut pagination = first_pagination(window, 1_000);
    assert!(pagination.reduce(4) && pagination.pages().reduced == Some(250));
    let mut sizes = Vec::new();
    while sizes.last() != Some(&1_010) {
        sizes.push(pagination.query().top);
        let page = GOOD.page(&list, pagination.query());
        let keys: Vec<_> = page.iter().map(|(at, number)| (Some(time(*at)), fingerprint(*number))).collect();
        pagination.step(&keys, false);
    }
    assert_eq!(sizes, [252, 252, 252, 252, 505, 505, 505, 505, 1_010]);
    assert_eq!(pagination.pages().reduced, None);
    // The next run begins with the size that worked.
    let nothing = HashSet::new();
    let delivered = Delivered { fingerprints: &nothing, count: 0, earliest: &[], are_listed: true };
    let pages = PageSizes { longest: 9, reduced: Some(250) };
    let mut pagination = Pagination::new(window, 1_000, PageLimits::DEFENDER, delivered, pages);
    assert_eq!(pagination.query().top, 252);
    while pagination.reduce(4) {}
    assert_eq!((pagination.query().top, pagination.can_reduce()), (1, false));
    pagination.restore();
    assert_eq!(pagination.query().top, 252, "an outage does not count against the size");
}

#[test]
fn an_alert_that_cannot_be_read_is_skipped_and_those_around_it_are_returned() {
    let list: Vec<Listed> = (0..40).map(|n| (i64::from(n / 3), n)).collect();
    for bad in [0, 1, 19, 39] {
        let mut pagination = first_pagination(Window { from: time(0), to: time(20_000) }, 10);
        let (mut out, mut skipped, mut pages) = (Vec::new(), 0, 0);
        loop {
            pages += 1;
            assert!(pages < 200, "it ends");
            let page = GOOD.page(&list, pagination.query());
            if page.iter().any(|(_, number)| *number == bad) {
                if !pagination.reduce(4) {
                    pagination.skip_unreadable();
                    skipped += 1;
                }
                continue;
            }
            let keys: Vec<_> = page.iter().map(|(at, n)| (Some(time(*at)), fingerprint(*n))).collect();
            let step = pagination.step(&keys, false);
            out.extend(step.fresh.iter().map(|place| page[*place].1));
            if step.next != Next::Page {
                assert_eq!(step.next, Next::End);
                break;
            }
        }
        out.sort_unstable();
        assert_eq!(out, (0..40).filter(|n| *n != bad).collect::<Vec<_>>(), "{bad}");
        assert!((1..4).contains(&skipped), "{bad}: {skipped} times");
    }
}

#[test]
fn ten_thousand_alerts_take_ten_calls() {
    let list = |at: fn(i64) -> i64| (0..10_000).map(|n| (at(n.into()), n)).collect::<Vec<Listed>>();
    assert_eq!(read_all(GOOD, &list(|n| n), 1_000), ((0..10_000).collect(), 10, Next::End));
    // By offset too: a list of a single moment, and one in no order.
    assert_eq!(read_all(GOOD, &list(|_| 5), 1_000), ((0..10_000).collect(), 10, Next::End));
    let unordered = Server { keeps_order: false, ..GOOD };
    assert_eq!(read_all(unordered, &list(|n| 10_000 - n), 1_000), ((0..10_000).collect(), 10, Next::End));
}

#[test]
fn a_hundredth_more_is_requested_and_never_more_than_the_largest_page() {
    for (page_size, first, later) in [
        (1, 1, 2),
        (99, 99, 100),
        (100, 101, 101),
        (1_000, 1_010, 1_010),
        (9_950, 10_000, 10_000),
        (10_000, 10_000, 10_000),
    ] {
        let mut pagination = first_pagination(Window { from: time(0), to: time(9) }, page_size);
        assert_eq!(pagination.query().top, first, "{page_size}");
        let page: Vec<_> = (0..page_size).map(|n| (Some(time(1)), fingerprint(n))).collect();
        assert_eq!(pagination.step(&page, false).next, Next::Page, "{page_size}");
        assert_eq!((pagination.query().skip, pagination.query().top), (page.len() - 1, later), "{page_size}");
    }
}

#[test]
fn a_range_that_is_too_long_for_skip_is_read_in_halves() {
    let graph = Server { most: 1_000, limits: PageLimits::GRAPH, ..GOOD };
    let list = |at: fn(i64) -> i64| (0..15_000).map(|n| (at(n.into()), n)).collect::<Vec<Listed>>();
    // In order there is nothing to split.
    assert_eq!(read_all(graph, &list(|n| n), 1_000), ((0..15_000).collect(), 16, Next::End));
    let unordered = Server { keeps_order: false, ..graph };
    for at in [|n| 15_000 - n, |n| n * 7_919 % 15_000, |n| if n < 9_000 { n / 3 } else { n }] {
        let (mut out, pages, end) = read_all(unordered, &list(at), 1_000);
        out.sort_unstable();
        out.dedup();
        assert_eq!((out.len(), end), (15_000, Next::End));
        assert!(pages < 60, "{pages} pages");
    }
}

/// Whatever the order: the rest is returned, and that these are not all is reported.
#[test]
fn more_alerts_of_one_moment_than_skip_reaches_do_not_block_what_follows_them() {
    for keeps_order in [true, false] {
        let mut list: Vec<Listed> = (0..20).map(|n| (i64::from(n), n)).collect();
        list.extend((20..8_000).map(|n| (30, n)));
        list.extend((8_000..8_030).map(|n| (i64::from(n) - 7_900, n)));
        let graph = Server { keeps_order, most: 1_000, limits: PageLimits::GRAPH, ..GOOD };
        // The server's order is that of the numbers, where it does not keep the one that is asked for.
        list.reverse();
        let (out, _, end) = read_all(graph, &list, 1_000);
        assert_eq!(end, Next::Stalled, "the gap is reported");
        let out: HashSet<u32> = out.into_iter().collect();
        assert!((0..20).chain(8_000..8_030).all(|n| out.contains(&n)), "{keeps_order}");
        assert!(out.len() > 5_000);
    }
}

#[test]
fn pages_of_one_alert_end() {
    let list = [(5, 0), (5, 1), (6, 2)];
    assert_eq!(read_all(GOOD, &list, 1), (vec![0, 1, 2], 4, Next::End));
}

#[test]
fn pages_go_by_time_and_what_was_seen_at_the_boundary_is_not_returned_again() {
    let list: Vec<Listed> = (0..40).map(|n| (i64::from(n / 2), n)).collect();
    let (out, pages, end) = read_all(GOOD, &list, 26);
    assert_eq!((out, pages, end), ((0..40).collect(), 2, Next::End));
}

#[test]
fn more_alerts_with_one_time_than_a_page_holds_are_reached_by_skip() {
    let mut list: Vec<Listed> = (0..30).map(|n| (i64::from(n), n)).collect();
    list.extend((30..60).map(|n| (29, n)));
    list.extend((60..70).map(|n| (i64::from(n), n)));
    let (mut out, _, end) = read_all(GOOD, &list, 13);
    out.sort_unstable();
    assert_eq!((out, end), ((0..70).collect(), Next::End));
}

#[test]
fn larger_pages_are_requested_of_a_server_that_does_not_skip() {
    let mut list: Vec<Listed> = (0..30).map(|n| (5, n)).collect();
    list.extend((30..60).map(|n| (i64::from(n), n)));
    let (mut out, pages, end) = read_all(Server { keeps_skip: false, ..GOOD }, &list, 10);
    out.sort_unstable();
    assert_eq!((out, pages, end), ((0..60).collect(), 6, Next::End));
}

#[test]
fn more_ties_than_the_largest_page_holds_do_not_block_what_follows_them() {
    let mut list: Vec<Listed> = (0..20).map(|n| (i64::from(n), n)).collect();
    list.extend((20..12_000).map(|n| (30, n)));
    list.extend((12_000..12_030).map(|n| (i64::from(n) - 11_900, n)));
    let (out, _, end) = read_all(Server { keeps_skip: false, ..GOOD }, &list, 1_000);
    assert_eq!(end, Next::Stalled, "the gap is reported");
    let out: HashSet<u32> = out.into_iter().collect();
    assert!((12_000..12_030).all(|n| out.contains(&n)));
    assert!(out.len() > 10_000);
}

#[test]
fn a_server_that_repeats_one_page_for_ever_does_not_block_the_pagination() {
    let mut pagination = first_pagination(Window { from: time(0), to: time(1_000) }, 10);
    let page: Vec<_> =
        (0..10).map(|n| (Some(time(n)), fingerprint(u32::try_from(n).expect("small")))).collect();
    assert_eq!(pagination.step(&page, false).fresh.len(), 10);
    let ends: Vec<Next> = (0..6).map(|_| pagination.step(&page, false).next).collect();
    assert!(ends.contains(&Next::Stalled) && !ends.contains(&Next::End), "{ends:?}");
}

#[test]
fn a_page_that_is_too_large_is_requested_in_halves_down_to_one() {
    let mut pagination = first_pagination(Window { from: time(0), to: time(9) }, 5);
    assert!(pagination.reduce(2) && pagination.query().top == 2);
    assert!(pagination.reduce(2) && pagination.query().top == 1);
    assert!(!pagination.reduce(2));
}

#[test]
fn what_is_outside_the_window_is_not_returned() {
    let mut one = first_pagination(Window { from: time(10), to: time(20) }, 9);
    let page =
        [(Some(time(9)), fingerprint(1)), (Some(time(10)), fingerprint(2)), (Some(time(20)), fingerprint(3))];
    assert_eq!(one.step(&page, false).fresh, [1]);
}

#[test]
fn the_order_is_trusted_only_after_enough_rises() {
    let mut one = first_pagination(Window { from: time(0), to: time(99) }, 6);
    // The second page begins with the last alert of the first.
    for times in [1..=6, 6..=12] {
        assert!(!one.is_in_order());
        let keys: Vec<_> =
            times.map(|n| (Some(time(n)), fingerprint(u32::try_from(n).expect("small")))).collect();
        one.step(&keys, false);
    }
    assert!(one.is_in_order());
    assert_eq!(one.query(), Query { window: Window { from: time(12), to: time(99) }, skip: 0, top: 6 });
}

proptest! {
    #[test]
    fn a_server_that_reaches_only_so_far_is_read_to_its_end(
        times in prop::collection::vec(0..20_000_i64, 0..200),
        page_size in 1..40_u32,
        reach in 0..40_usize,
        most in 2..60_usize,
        keeps_order in any::<bool>(),
    ) {
        // Few enough of one moment, and room for a page and the alert that it repeats.
        let mut times = times;
        times.sort_unstable();
        times.dedup();
        let list: Vec<Listed> = times.into_iter().rev().zip(0..).collect();
        let limits = PageLimits { page_size, top: page_size + 1, reach: Some(page_size as usize + 2 + reach) };
        let server = Server { keeps_order, most, limits, ..GOOD };
        let (mut out, _, end) = read_all(server, &list, 1_000);
        out.sort_unstable();
        out.dedup();
        prop_assert_eq!(end, Next::End);
        prop_assert_eq!(out, (0..list.len()).map(|n| u32::try_from(n).expect("small")).collect::<Vec<_>>());
    }

    #[test]
    fn a_server_with_any_cap_is_read_to_its_end(
        times in prop::collection::vec(0..200_i64, 0..700),
        page_size in 2..250_usize,
        most in 1..300_usize,
        keeps_order in any::<bool>(),
    ) {
        let list: Vec<Listed> = times.into_iter().zip(0..).collect();
        let (mut out, _, end) = read_all(Server { keeps_order, most, ..GOOD }, &list, page_size);
        out.sort_unstable();
        out.dedup();
        prop_assert_eq!(end, Next::End);
        prop_assert_eq!(out, (0..list.len()).map(|n| u32::try_from(n).expect("small")).collect::<Vec<_>>());
    }

    #[test]
    fn run_after_run_returns_all_that_is_new_whatever_the_cap(
        batches in prop::collection::vec(prop::collection::vec(0..2_000_i64, 0..120), 1..6),
        page_size in 2..150_usize,
        most in 1..150_usize,
        // By how much the setting is reduced after each run.
        smaller in 0..100_usize,
    ) {
        let server = Server { most, ..GOOD };
        let mut page_size = page_size;
        let (mut list, mut delivered, mut pages): (Vec<Listed>, Vec<Listed>, _) =
            (Vec::new(), Vec::new(), PageSizes::default());
        for batch in batches {
            let next = u32::try_from(list.len()).expect("small");
            list.extend(batch.into_iter().zip(next..));
            let (out, _, end, observed) = read_after(server, &list, page_size, &delivered, pages);
            prop_assert_eq!(end, Next::End);
            let mut out: Vec<u32> = out;
            out.sort_unstable();
            out.dedup();
            prop_assert_eq!(out, list[delivered.len()..].iter().map(|(_, n)| *n).collect::<Vec<_>>());
            (delivered, pages) = (list.clone(), observed);
            // With nothing new, one page is enough, unless the server needs several for the whole list.
            let (out, count, end, _) = read_after(server, &list, page_size, &delivered, pages);
            prop_assert_eq!((out, end), (vec![], Next::End));
            let fits_page = list.len() > 1 && list.len() < most.min(page_size);
            prop_assert!(count == 1 || !fits_page, "{} pages", count);
            page_size = (page_size - smaller.min(page_size - 1)).max(2);
        }
    }

    #[test]
    fn every_alert_is_returned_and_only_once_if_the_order_is_kept(
        times in prop::collection::vec(0..60_i64, 0..120),
        page_size in 1..40_usize,
        keeps_order in any::<bool>(),
    ) {
        let list: Vec<Listed> = times.into_iter().zip(0..).collect();
        let (mut out, _, end) = read_all(Server { keeps_order, ..GOOD }, &list, page_size);
        out.sort_unstable();
        if !keeps_order {
            out.dedup();
        }
        prop_assert_eq!(end, Next::End);
        prop_assert_eq!(out, (0..list.len()).map(|n| u32::try_from(n).expect("small")).collect::<Vec<_>>());
    }

    #[test]
    fn while_the_order_is_trusted_nothing_earlier_is_missing(
        times in prop::collection::vec(0..400_i64, 0..200),
        page_size in 1..40_usize,
    ) {
        let list: Vec<Listed> = times.into_iter().zip(0..).collect();
        let mut pagination = first_pagination(Window { from: time(0), to: time(1_000) }, u32::try_from(page_size).expect("small"));
        let mut out = HashSet::new();
        loop {
            let page = GOOD.page(&list, pagination.query());
            let keys: Vec<_> = page.iter().map(|(at, number)| (Some(time(*at)), fingerprint(*number))).collect();
            let step = pagination.step(&keys, false);
            for place in &step.fresh {
                out.insert(page[*place].1);
                if pagination.is_in_order() {
                    let at = page[*place].0;
                    prop_assert!(list.iter().all(|(t, n)| *t >= at || out.contains(n)));
                }
            }
            if step.next != Next::Page { break }
        }
    }

    #[test]
    fn what_stays_in_a_list_that_changes_is_returned_or_the_pagination_says_that_it_is_not(
        times in prop::collection::vec(0..40_i64, 1..80),
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 0..40_i64), 0..40),
        page_size in 1..20_u32,
        keeps_order in any::<bool>(),
    ) {
        let mut list: Vec<Listed> = times.into_iter().zip(0..).collect();
        let mut staying: HashSet<u32> = list.iter().map(|(_, number)| *number).collect();
        let server = Server { keeps_order, ..GOOD };
        let mut pagination = first_pagination(Window { from: time(0), to: time(1_000) }, page_size);
        let mut out = HashSet::new();
        let mut moves = moves.into_iter();
        let end = loop {
            let page = server.page(&list, pagination.query());
            let keys: Vec<_> = page.iter().map(|(at, number)| (Some(time(*at)), fingerprint(*number))).collect();
            let step = pagination.step(&keys, false);
            out.extend(step.fresh.iter().map(|place| page[*place].1));
            if step.next != Next::Page { break step.next }
            match moves.next() {
                // An update removes an alert from the window; a new one appears anywhere.
                Some((index, true, _)) if !list.is_empty() => {
                    let (_, number) = list.remove(index.index(list.len()));
                    staying.remove(&number);
                }
                Some((_, _, at)) => list.push((at, 1_000 + u32::try_from(list.len()).expect("small"))),
                None => {}
            }
        };
        prop_assert!(end == Next::Stalled || staying.is_subset(&out), "lost {:?}", staying.difference(&out));
    }
}
