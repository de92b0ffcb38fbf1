//! How the app registration signs in to each tenant, without a secret, and what a tenant's run says when it cannot.

use std::sync::Arc;

use simulator::{Cloud, FederatedCredential, functions_host::Invocation, queue::MemoryQueues};

use crate::provider::Provider;

/// What becomes of the app registration in a tenant, and what the error of that tenant's run says then.
type Mistake = (fn(&Cloud, FederatedCredential), &'static [&'static str]);

const MISTAKES: [Mistake; 4] = [
    (
        |cloud, good| cloud.trust_only(FederatedCredential { audience: "api://other".into(), ..good }),
        &["AADSTS700212", "MDATP_CLIENT_ID has this audience", "audience api://AzureADTokenExchange"],
    ),
    (
        |cloud, good| cloud.trust_only(FederatedCredential { issuer: "https://other/".into(), ..good }),
        &["AADSTS700211", "MDATP_CLIENT_ID has this issuer", "MDATP_MANAGED_IDENTITY_CLIENT_ID names"],
    ),
    (
        |cloud, good| cloud.trust_only(FederatedCredential { subject: "other".into(), ..good }),
        &["AADSTS700213", "MDATP_CLIENT_ID has this subject", "the identity's object id"],
    ),
    (
        |cloud, _| cloud.withdraw_consent(),
        &["AADSTS700016", "MDATP_CLIENT_ID is not an app of the tenant", "admin consent"],
    ),
];

#[tokio::test]
async fn an_assertion_that_a_tenant_does_not_take_is_told_with_the_fix_and_fails_that_tenant_only() {
    for (make, parts) in MISTAKES {
        let provider = Provider::new(2, Arc::new(MemoryQueues::default())).await;
        provider.generate(3, 1);
        make(provider.first(), FederatedCredential::of_the_managed_identity());
        let (timer, worker) = (provider.timer().await, provider.worker().await);
        provider.tick(&timer).await;
        provider.drained().await;
        let runs = worker.take_triggered();
        assert!(runs.len() == 2 && runs.iter().all(Invocation::succeeded), "{runs:#?}");
        let errors: Vec<_> = runs.iter().filter_map(|run| run.report["error"].as_str()).collect();
        let [error] = errors[..] else { panic!("{errors:?}") };
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
        provider.assert_all_sent_once(&provider.fleet.customers()[1]);
        assert_eq!(provider.first().counts().records, 0);
    }
}
