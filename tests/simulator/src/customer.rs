//! A customer of a provider that forwards the alerts of many tenants.

use fastrand::Rng;

use crate::guid::guid;

/// A tenant with a Defender, an app registration and a data collection rule of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The tenant's id.
    pub id: String,
    /// The client id of its own app registration, for those that give no consent to the multi-tenant one.
    pub client: String,
    /// That registration's secret.
    pub secret: String,
    /// The immutable id of its data collection rule.
    pub rule: String,
}

impl Customer {
    /// The customer of this number, always the same.
    pub(crate) fn numbered(number: usize) -> Self {
        let mut rng = Rng::with_seed(u64::try_from(number).unwrap_or(u64::MAX) ^ 0x7e5a_0c1d_93b4_2f86);
        Self {
            id: guid(&mut rng),
            client: guid(&mut rng),
            secret: format!("simulated~customer-secret-{number}_that.opens/one+tenant=="),
            rule: format!("dcr-{:032x}", rng.u128(..)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_customers_share_anything() {
        let all: Vec<_> = (0..2_000).map(Customer::numbered).collect();
        let members: [fn(&Customer) -> String; 3] =
            [|one| one.id.clone(), |one| one.client.clone(), |one| one.rule.clone()];
        for member in members {
            assert_eq!(all.iter().map(member).collect::<BTreeSet<_>>().len(), all.len());
        }
        assert_eq!(all[7], Customer::numbered(7));
    }
}
