//! The clouds of many tenants behind one set of ports, as Microsoft's services are: what a request names decides whose
//! cloud answers it.

use std::collections::BTreeMap;
use std::sync::Arc;

use azure_core::time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::customer::Customer;
use crate::entra::FederatedCredential;
use crate::reaction::Reaction;
use crate::request::Request;
use crate::service::Service;

/// A provider's own cloud and those of its customers, each with a Defender, quotas, an Entra tenant and a data
/// collection rule of its own. Clones are handles to the same.
///
/// A token opens what its tenant allows, whoever issued it: Entra is one for all.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    home: Cloud,
    customers: Vec<Customer>,
    /// By tenant.
    clouds: BTreeMap<String, Cloud>,
    /// The tenants by their rules.
    rules: BTreeMap<String, String>,
}

impl Fleet {
    /// A provider with so many customers, whose clouds are empty. The customers are the same for every seed.
    pub fn new(seed: u64, customers: usize) -> Self {
        let home = Cloud::new(seed);
        let customers: Vec<_> = (0..customers).map(Customer::numbered).collect();
        let clouds = customers.iter().zip(1..).map(|(customer, number): (_, u64)| {
            let seed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (customer.id.clone(), Cloud::of(customer, &home, seed))
        });
        let clouds = clouds.collect();
        let rules = customers.iter().map(|customer| (customer.rule.clone(), customer.id.clone())).collect();
        Self(Arc::new(Inner { home, customers, clouds, rules }))
    }

    /// The provider's own cloud: its managed identity, the multi-tenant app registration, and a rule of its own.
    pub fn home(&self) -> &Cloud {
        &self.0.home
    }

    /// The customers, in order.
    pub fn customers(&self) -> &[Customer] {
        &self.0.customers
    }

    /// A customer's cloud.
    ///
    /// # Panics
    ///
    /// When no customer has this tenant.
    pub fn cloud(&self, tenant: &str) -> &Cloud {
        self.0.clouds.get(tenant).expect("the tenant of a customer")
    }

    /// All clouds, the provider's own first.
    pub fn clouds(&self) -> impl Iterator<Item = &Cloud> {
        let customers = self.0.customers.iter().map(|customer| self.cloud(&customer.id));
        std::iter::once(&self.0.home).chain(customers)
    }

    /// Replaces the federated credentials of the multi-tenant app registration by this one.
    pub fn trust_only(&self, credential: &FederatedCredential) {
        for cloud in self.clouds() {
            cloud.trust_only(credential.clone());
        }
    }

    /// What a service does with a request at this time.
    pub fn react(&self, service: Service, request: &Request, now: OffsetDateTime) -> Reaction {
        self.asked(service, request).react(service, request, now)
    }

    /// The cloud that a request is for; the provider's own, if it names none that is known.
    fn asked(&self, service: Service, request: &Request) -> &Cloud {
        let Inner { home, clouds, rules, .. } = &*self.0;
        if clouds.is_empty() {
            return home;
        }
        let segments = request.segments();
        let segment = |place: usize| segments.get(place).map_or("", String::as_str);
        let cloud = match service {
            Service::Entra => clouds.get(segment(0)),
            Service::LogsIngestion => rules.get(segment(1)).and_then(|tenant| clouds.get(tenant)),
            Service::Defender | Service::Graph => {
                let token = request.bearer().and_then(|token| home.tokens().issued(token));
                token.and_then(|token| clouds.get(&*token.holder.tenant))
            }
            // One app has the managed identity, and one key opens a workspace.
            Service::Identity | Service::DataCollector => None,
        };
        cloud.unwrap_or(home)
    }
}

impl From<&Cloud> for Fleet {
    /// A provider without customers: its cloud answers everything.
    fn from(home: &Cloud) -> Self {
        let (customers, clouds, rules) = Default::default();
        Self(Arc::new(Inner { home: home.clone(), customers, clouds, rules }))
    }
}

#[cfg(test)]
mod tests;
