//! deploy/onboard-tenant.sh: nothing is added before an administrator of the tenant has consented.

use std::{collections::BTreeSet, process::Output};

use super::scripts::{Tenant, text};

const RULE: &str = "/subscriptions/tenant-subscription/resourceGroups/siem/providers/Microsoft.Insights/dataCollectionRules/alerts";
const ADDRESS: &str = "https://login.microsoftonline.us/tenant-1/adminconsent?client_id=client-1";

fn onboard(tenant: &Tenant, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let environment: Vec<_> = environment.iter().copied().chain([("TENANT_RULE", RULE)]).collect();
    tenant.run("deploy/onboard-tenant.sh", arguments, &environment)
}

#[test]
fn a_tenant_that_has_consented_is_added_and_its_first_run_is_waited_for() {
    for (given, subscription, added) in [
        (&[][..], "tenant-1", "--token-from home"),
        (&["tenant-2"], "tenant-2", "--token-from home"),
        (
            &[RULE],
            "tenant-subscription",
            "--token-from tenant --dcr dcr-2 --endpoint https://rule-2.ingest.monitor.azure.com",
        ),
    ] {
        let tenant = Tenant::new();
        let arguments = [&["client-1", "tenant-1", "Contoso"], given].concat();
        // A second time nothing is granted twice.
        for told in ["granted on the rule", "already granted on the rule"] {
            let environment = [("WARN", "yes"), ("RETURN", "\r")];
            let output = onboard(&tenant, &arguments, &environment);
            assert!(output.status.success(), "{output:?}");
            let stdout = text(&output.stdout);
            assert!(stdout.contains(ADDRESS) && stdout.contains("Contoso has consented"), "{stdout}");
            assert_eq!(stdout.contains(told), given == [RULE], "{stdout}");
        }
        let commands = format!(
            "tenants add tenant-1 --name Contoso --client-id client-1 {added}\n\
             tenants check tenant-1 --wait 30m\n"
        );
        assert_eq!(tenant.ran(), commands.repeat(2));
        let granted = format!("3913510d-42f4-4e42-8a64-420c390055eb {RULE} principal-2\n");
        assert_eq!(tenant.assigned(), if given == [RULE] { granted } else { String::new() });
        assert_eq!(tenant.slept(), 0);
        assert_eq!(tenant.subscriptions(), BTreeSet::from([subscription.to_owned()]));
    }
}

#[test]
fn the_consent_and_the_directory_are_waited_for() {
    for trouble in ["no-consent", "no-role", "no-principal", "throttled", "no-consent no-role no-principal"] {
        let tenant = Tenant::new();
        let environment = [("TROUBLE", trouble), ("TIMES", "3")];
        let output = onboard(&tenant, &["client-1", "tenant-1", "Contoso", RULE], &environment);
        assert!(output.status.success(), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains("trying again for up to 30 minutes"), "{trouble}: {output:?}");
        assert_eq!(tenant.slept(), 45 * u32::try_from(trouble.split(' ').count()).expect("few"), "{trouble}");
        assert_eq!(tenant.ran().lines().count(), 2, "{trouble}");
    }
}

#[test]
fn what_keeps_a_tenant_out_is_told_with_its_fix_and_nothing_is_added() {
    let whole = &["client-1", "tenant-1", "Contoso", RULE][..];
    for (arguments, trouble, code, told, waited) in [
        (&whole[..2], "", 64, "usage: ", 0),
        (&["client-1", "tenant-1", "Contoso", "/subscriptions/s"], "", 64, "not the resource id", 0),
        (&whole[..3], "signed-out", 1, "az login --tenant tenant-1 --allow-no-subscriptions", 0),
        (whole, "signed-out", 1, "Fix: sign in with az login --tenant tenant-1, and check the rule", 0),
        (whole, "no-endpoint", 1, "the rule has no endpoint of its own", 0),
        (whole, "no-consent", 75, "nobody has consented after 30 minutes", 1_800),
        (whole, "no-role", 75, "does not have Alert.Read.All and Machine.Read.All after 30 minutes", 1_800),
        (whole, "denied", 1, "ask an Owner of the rule's resource group", 0),
    ] {
        let tenant = Tenant::new();
        let output = onboard(&tenant, arguments, &[("TROUBLE", trouble)]);
        assert_eq!(output.status.code(), Some(code), "{trouble}: {output:?}");
        assert!(text(&output.stderr).contains(told), "{trouble}: {output:?}");
        assert_eq!((tenant.ran(), tenant.slept()), (String::new(), waited), "{trouble}");
    }
}
