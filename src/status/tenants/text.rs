//! The status of many tenants for a terminal.

use std::fmt;

use azure_core::time::OffsetDateTime;

use super::{TenantStatus, TenantsStatus};
use crate::{
    count::Count,
    error_chain::one_line,
    status::{ago, span},
};

/// The most characters of a tenant's name.
const MAX_NAME: usize = 40;

/// The most characters of a tenant's problem. `status --tenant` shows all of it.
const MAX_PROBLEM: usize = 200;

impl fmt::Display for TenantsStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "problem       {problem}")?;
        }
        writeln!(f, "list          {}", self.place)?;
        let [well, late, disabled] = self.counts();
        let all = Count(self.tenants.len() as u64, "tenant");
        write!(f, "tenants       {all}: {well} ok, {late} with problems, {disabled} disabled")?;
        if let Some(messages) = self.poison_messages {
            write!(f, "\npoison queue  {}", Count(messages, "message"))?;
        }
        if self.tenants.is_empty() {
            return Ok(());
        }
        let now = self.now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let width = self.tenants.iter().map(|tenant| name(tenant).chars().count()).max().unwrap_or_default();
        let width = width.max("name".len());
        write!(
            f,
            "\n\n{:36}  {:width$}  {:>12}  {:18}  {:10}  {:>6}  {:>9}  problem",
            "tenant", "name", "lag", "last run", "result", "failed", "set aside"
        )?;
        for tenant in &self.tenants {
            write!(f, "\n{}", line(tenant, width, now).trim_end())?;
        }
        Ok(())
    }
}

fn line(tenant: &TenantStatus, width: usize, now: OffsetDateTime) -> String {
    let result = match (tenant.enabled, tenant.result) {
        (false, _) => "disabled".to_owned(),
        (true, Some(result)) => result.to_string(),
        (true, None) => "no run yet".to_owned(),
    };
    format!(
        "{:36}  {:width$}  {:>12}  {:18}  {result:10}  {:>6}  {:>9}  {}",
        tenant.id,
        name(tenant),
        tenant.lag_seconds.map_or_else(String::new, span),
        tenant.last_run.map_or_else(String::new, |time| ago(time, now)),
        tenant.failed_runs,
        tenant.set_aside,
        one_line(&tenant.problems.join("; "), MAX_PROBLEM)
    )
}

fn name(tenant: &TenantStatus) -> String {
    one_line(&tenant.name, MAX_NAME)
}
