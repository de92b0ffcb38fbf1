//! What Entra keeps about tenants: the app registrations with a service principal in them, and whom these trust.

use std::sync::Arc;

use crate::customer::Customer;
use crate::tenant;
use crate::token::exchange_issuer;

/// The audience of the assertions that Entra takes.
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// An app registration.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub client: String,
    pub secret: String,
    /// The tenant it is registered in.
    pub home: Arc<str>,
    /// The tenants in which it has a service principal: its own, and those that gave it consent.
    pub tenants: Vec<Arc<str>>,
    /// Whose tokens it takes in place of a secret.
    pub federated: Vec<FederatedCredential>,
}

/// A federated identity credential of an app registration: the assertions it takes, by three of their claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedCredential {
    /// Who issues them.
    pub issuer: String,
    /// Whom they are about; a managed identity's object id.
    pub subject: String,
    /// Whom they are for.
    pub audience: String,
}

impl FederatedCredential {
    /// That of the user-assigned identity, as it has to be.
    pub fn of_the_managed_identity() -> Self {
        Self {
            issuer: exchange_issuer(tenant::TENANT_ID),
            subject: tenant::IDENTITY_OBJECT_ID.to_owned(),
            audience: EXCHANGE.to_owned(),
        }
    }

    /// That of [`tenant::FEDERATED_ASSERTION`].
    pub fn of_the_workload() -> Self {
        Self {
            issuer: "https://cluster.example/".to_owned(),
            subject: "system:serviceaccount:default:mdatp-forward".to_owned(),
            audience: EXCHANGE.to_owned(),
        }
    }
}

/// The tenants that a token endpoint knows, and the app registrations in them.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub tenants: Vec<Arc<str>>,
    pub registrations: Vec<Registration>,
}

impl Directory {
    /// The app's own tenant, and one other.
    pub fn of_the_app() -> Self {
        let (own, other): (Arc<str>, Arc<str>) = (tenant::TENANT_ID.into(), tenant::OTHER_TENANT_ID.into());
        let tenants = vec![own.clone(), other.clone()];
        let registrations = vec![
            Registration {
                client: tenant::CLIENT_ID.to_owned(),
                secret: tenant::CLIENT_SECRET.to_owned(),
                home: own.clone(),
                tenants: vec![own],
                federated: vec![FederatedCredential::of_the_workload()],
            },
            shared(tenants.clone()),
            Registration {
                client: tenant::OTHER_CLIENT_ID.to_owned(),
                secret: tenant::OTHER_CLIENT_SECRET.to_owned(),
                home: other.clone(),
                tenants: vec![other],
                federated: vec![FederatedCredential::of_the_managed_identity()],
            },
        ];
        Self { tenants, registrations }
    }

    /// A customer's tenant, which gave the multi-tenant app registration consent and has one of its own.
    pub fn of(customer: &Customer) -> Self {
        let id: Arc<str> = customer.id.as_str().into();
        let own = Registration {
            client: customer.client.clone(),
            secret: customer.secret.clone(),
            home: id.clone(),
            tenants: vec![id.clone()],
            federated: Vec::new(),
        };
        Self { tenants: vec![id.clone()], registrations: vec![shared(vec![id]), own] }
    }

    /// The multi-tenant app registration.
    pub fn shared(&mut self) -> &mut Registration {
        let mut registrations = self.registrations.iter_mut();
        let shared = registrations.find(|known| known.client == tenant::SHARED_CLIENT_ID);
        shared.expect("every directory knows it")
    }
}

/// The multi-tenant app registration of the app's own tenant, with consent in `tenants`.
fn shared(tenants: Vec<Arc<str>>) -> Registration {
    Registration {
        client: tenant::SHARED_CLIENT_ID.to_owned(),
        secret: tenant::SHARED_CLIENT_SECRET.to_owned(),
        home: tenant::TENANT_ID.into(),
        tenants,
        federated: vec![
            FederatedCredential::of_the_managed_identity(),
            FederatedCredential::of_the_workload(),
        ],
    }
}
