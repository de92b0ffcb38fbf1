//! The page about many tenants.

use std::fmt;

use azure_core::time::OffsetDateTime;

use super::{
    escaped::Escaped,
    frame::{Frame, write_facts},
    grouped, tables,
};
use crate::status::{
    ago, span,
    tenants::{TenantStatus, TenantsStatus},
};

/// The status of many tenants as a page.
pub struct TenantsPage<'a>(pub &'a TenantsStatus);

impl fmt::Display for TenantsPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let now = status.now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let frame = Frame { problems: &status.problems, as_of: None, now };
        frame.open(f)?;
        let [well, late, disabled] = status.counts();
        let lag =
            status.tenants.iter().filter(|tenant| tenant.enabled).filter_map(|tenant| tenant.lag_seconds);
        let unknown = || "unknown".to_owned();
        write_facts(
            f,
            &[
                (
                    "Tenants",
                    grouped(status.tenants.len() as u64),
                    &format!("{} disabled", grouped(disabled as u64)),
                ),
                ("With problems", grouped(late as u64), &format!("{} are well", grouped(well as u64))),
                ("Largest lag", lag.max().map_or_else(unknown, span), "of the tenants that are enabled"),
                (
                    "Poison queue",
                    status.poison_messages.map_or_else(unknown, grouped),
                    "messages that could not be handled",
                ),
            ],
        )?;
        let rows: Vec<_> = status.tenants.iter().map(|tenant| row(tenant, now)).collect();
        let columns = ["Tenant", "Result", "Last run", "#Lag", "#Failed runs", "#Set aside"];
        f.write_str(&tables::table("Tenants", &columns, &rows))?;
        frame.close(f)
    }
}

fn row(tenant: &TenantStatus, now: OffsetDateTime) -> String {
    let (class, result) = match (tenant.enabled, tenant.result) {
        (false, _) => ("other", "disabled"),
        (true, None) => ("bad", "no run yet"),
        (true, Some(result)) => tables::result(result),
    };
    let problems = tenant.problems.join("; ");
    format!(
        "<tr><th scope=\"row\">{} <small>{}</small></th><td class=\"{class}\">{result}</td><td>{}</td><td \
         class=\"number\">{}</td>{}{}</tr>\n{}",
        Escaped(&tenant.name),
        Escaped(&tenant.id),
        tenant.last_run.map_or_else(String::new, |time| ago(time, now)),
        tenant.lag_seconds.map_or_else(String::new, span),
        tables::number(tenant.failed_runs),
        tables::number(tenant.set_aside as u64),
        if problems.is_empty() { String::new() } else { tables::words(&problems, 6) }
    )
}
