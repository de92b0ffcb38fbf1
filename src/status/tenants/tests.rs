use azure_core::time::{Duration, parse_rfc3339};

use super::*;
use crate::{
    report::{RunReport, Skip},
    state::checkpoint::Checkpoint,
    status::{SetAsideSummary, page::TenantsPage},
};

fn now() -> OffsetDateTime {
    parse_rfc3339("2026-11-24T06:00:00Z").expect("a time")
}

fn ok() -> RunReport {
    RunReport { complete: true, lag_seconds: Some(0), ..RunReport::default() }
}

fn failed(error: &str) -> RunReport {
    RunReport { error: Some(error.to_owned()), ..RunReport::default() }
}

/// A tenant whose watermark is so many minutes old, with its runs, each so many minutes ago.
fn tenant(name: &str, enabled: bool, watermark: i64, runs: &[(i64, RunReport)]) -> TenantStatus {
    let before = |minutes| now() - Duration::minutes(minutes);
    let mut checkpoint = Checkpoint::starting_at(before(watermark));
    for (minutes, report) in runs {
        checkpoint.history.add(HistoryEntry::of(before(*minutes), report));
    }
    let text = checkpoint.to_json();
    let set_aside = SetAsideSummary { count: 2, newest: Vec::new() };
    let status = Status::new("a checkpoint".to_owned(), Some(&text), set_aside, now());
    TenantStatus::new(format!("{name}-id"), name.to_owned(), enabled, status)
}

fn all(tenants: Vec<TenantStatus>, poison: &PoisonQueue) -> TenantsStatus {
    TenantsStatus::new("tenants.json in a folder".to_owned(), tenants, poison, now())
}

#[test]
fn failed_runs_count_since_the_newest_success() {
    let skipped = || RunReport { skipped: Some(Skip::BusyElsewhere), ..RunReport::default() };
    let failures = |runs: &[(i64, RunReport)]| tenant("a", true, 0, runs).failed_runs;
    assert_eq!(failures(&[]), 0);
    assert_eq!(failures(&[(9, failed("x")), (5, ok())]), 0);
    assert_eq!(failures(&[(30, failed("w")), (20, ok()), (9, failed("x")), (5, failed("y"))]), 2);
    // One that did not start says nothing.
    let tenant = tenant("a", true, 0, &[(20, ok()), (9, failed("x")), (5, skipped())]);
    assert_eq!((tenant.failed_runs, tenant.result), (1, Some(RunResult::Failed)));
}

#[test]
fn the_tenants_that_fail_most_come_first_then_the_late_ones_and_the_disabled_last() {
    let tenants = vec![
        tenant("disabled", false, 900, &[(900, failed("x"))]),
        tenant("quick", true, 1, &[(1, ok())]),
        tenant("slow", true, 100, &[(4, RunReport { complete: false, ..ok() })]),
        tenant("failed once", true, 9, &[(9, ok()), (4, failed("a quota"))]),
        tenant("failed twice", true, 9, &[(9, ok()), (6, failed("no consent")), (4, failed("no consent"))]),
    ];
    let status = all(tenants, &PoisonQueue::Messages(0));
    let names: Vec<_> = status.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(names, ["failed twice", "failed once", "slow", "quick", "disabled"]);
    assert_eq!(status.problems, ["2 of 5 tenants need attention"]);
    assert_eq!(status.counts(), [2, 2, 1]);
}

#[test]
fn poison_messages_an_unknown_number_of_them_and_no_enabled_tenant_are_problems() {
    let problems = |poison: &PoisonQueue| all(vec![tenant("a", true, 1, &[(1, ok())])], poison).problems;
    assert_eq!(problems(&PoisonQueue::None), [""; 0]);
    assert_eq!(problems(&PoisonQueue::Messages(0)), [""; 0]);
    let [one] = &problems(&PoisonQueue::Messages(1))[..] else { panic!("one problem") };
    assert!(one.contains("has 1 message that"), "{one}");
    let [unknown] = &problems(&PoisonQueue::Unknown("403".to_owned()))[..] else { panic!("one problem") };
    assert!(unknown.ends_with("is not known: 403"), "{unknown}");
    assert_eq!(all(Vec::new(), &PoisonQueue::None).problems, ["no tenant is enabled"]);
    assert_eq!(all(vec![tenant("a", false, 1, &[])], &PoisonQueue::None).problems, ["no tenant is enabled"]);
}

#[test]
fn the_text_lines_up() {
    let tenants = vec![
        tenant("Contoso", true, 9, &[(9, ok()), (4, failed("no consent"))]),
        tenant("Fabrikam SE", true, 1, &[(1, ok())]),
    ];
    let text = all(tenants, &PoisonQueue::Messages(1)).to_string();
    let wanted = "\
list          tenants.json in a folder
tenants       2 tenants: 1 ok, 1 with problems, 0 disabled
poison queue  1 message

tenant                                name                  lag  last run            result      failed  set aside  problem
Contoso-id                            Contoso                9m  4m ago              failed           1          2  the last run failed: no consent
Fabrikam SE-id                        Fabrikam SE            1m  1m ago              ok               0          2";
    let (problems, rest) = text.split_at(text.find("list  ").expect("the list"));
    assert_eq!((problems.lines().count(), rest), (2, wanted), "{text}");
}

#[test]
fn the_page_has_every_tenant_and_no_markup_of_theirs() {
    let tenants = vec![
        tenant("<b>Contoso</b>", true, 9, &[(9, ok()), (4, failed("<script>"))]),
        tenant("Fabrikam", false, 1, &[(1, ok())]),
    ];
    let status = all(tenants, &PoisonQueue::Messages(3));
    let page = TenantsPage(&status).to_string();
    assert!(page.ends_with("</html>\n") && page.contains("&lt;b&gt;Contoso&lt;/b&gt;"), "{page}");
    assert!(
        page.contains("Fabrikam") && page.contains("disabled") && page.contains("<h1 class=\"bad\">"),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
}
