//! The cloud as tests use it: methods to set it up, and what it received.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azure_core::time::{Duration, OffsetDateTime};
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::azurite::{self, StorageRejection};
use crate::counts::Counts;
use crate::customer::Customer;
use crate::entra::FederatedCredential;
use crate::fault::Fault;
use crate::generate::Volume;
use crate::journal::{Received, Rejected, Seen};
use crate::quirk::Quirk;
use crate::reaction::Reaction;
use crate::request::Request;
use crate::response::Response;
use crate::role::Role;
use crate::rule::{self, LostValue};
use crate::service::Service;
use crate::tenant;
use crate::token::{Principal, Resource, Tokens};
use crate::world::World;

/// All six services. Clones are handles to the same cloud.
#[derive(Clone)]
pub struct Cloud {
    world: Arc<Mutex<World>>,
}

impl Cloud {
    /// An empty cloud; generated data, tokens and correlation ids follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self::around(World::of_the_app(seed))
    }

    /// A customer's, with the tokens of the cloud that is the provider's own.
    pub(crate) fn of(customer: &Customer, home: &Cloud, seed: u64) -> Self {
        Self::around(World::of(customer, home.tokens(), seed))
    }

    fn around(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    pub(crate) fn tokens(&self) -> Tokens {
        self.world().tokens.clone()
    }

    /// What a service does with a request at this time. Time must not run backwards.
    pub fn react(&self, service: Service, request: &Request, now: OffsetDateTime) -> Reaction {
        self.world().react(service, request, now)
    }

    /// The storage account's response if it rejects the bearer token of this request; `None` for a signature with the
    /// key, which Azurite checks.
    pub(crate) fn reject_for_storage(&self, head: &Parts, now: OffsetDateTime) -> Option<Response> {
        let text = head.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let Ok(token) = self.tokens().check(Some(text), now) else {
            return Some(azurite::of_token("Lifetime validation failed. The token is expired."));
        };
        if *token.holder.tenant != *tenant::TENANT_ID {
            Some(azurite::of_token("Issuer validation failed. Issuer did not match."))
        } else if token.resource != Resource::Storage {
            Some(azurite::of_token("Audience validation failed. Audience did not match."))
        } else if !Principal::the_apps_own().contains(&token.holder) {
            let rejection = StorageRejection::of("", 403, "AuthorizationPermissionMismatch");
            Some(rejection.response())
        } else {
            None
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panic in one test thread must not hide behind panics in the others.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What Defender holds.
impl Cloud {
    /// Generates machines, and alerts on all machines generated so far.
    pub fn generate(&self, volume: &Volume) {
        let mut world = self.world();
        let World { catalogue, generator, .. } = &mut *world;
        for _ in 0..volume.machines {
            catalogue.add_machine(generator.machine(volume.until));
        }
        for generated in generator.alerts(volume) {
            catalogue.add_alert(generated.text, Some(generated.created));
        }
    }

    /// Adds an alert, or replaces the one with its id; the text is kept byte for byte.
    ///
    /// # Panics
    ///
    /// When the text is not a JSON object with an `id`.
    pub fn add_alert(&self, raw_json: &str) {
        let mut world = self.world();
        world.catalogue.add_alert(raw_json.to_owned(), None);
    }

    /// Adds an alert that is not visible before this time.
    ///
    /// # Panics
    ///
    /// When the text is not a JSON object with an `id`.
    pub fn add_alert_visible_from(&self, raw_json: &str, at: OffsetDateTime) {
        let mut world = self.world();
        world.catalogue.add_alert(raw_json.to_owned(), Some(at));
    }

    /// Updates an alert: its `lastUpdateTime` and its `status` change.
    ///
    /// # Panics
    ///
    /// When there is no such alert.
    pub fn update_alert(&self, id: &str, last_update_time: &str) {
        self.world().catalogue.update_alert(id, last_update_time);
    }

    /// Adds a machine, or replaces the one with its id; the text is kept byte for byte.
    ///
    /// # Panics
    ///
    /// When the text is not a JSON object with an `id`.
    pub fn add_machine(&self, raw_json: &str) {
        self.world().catalogue.add_machine(raw_json.to_owned());
    }

    /// Forgets a machine, as Defender does after the retention period.
    pub fn remove_machine(&self, id: &str) {
        self.world().catalogue.machines.remove(id);
    }

    /// The ids of all alerts, hidden ones too, in order.
    pub fn alert_ids(&self) -> Vec<String> {
        self.world().catalogue.alert_ids()
    }

    /// The ids of all machines, in order.
    pub fn machine_ids(&self) -> Vec<String> {
        self.world().catalogue.machines.keys().cloned().collect()
    }

    /// The text of an alert, evidence included.
    pub fn alert_json(&self, id: &str) -> Option<String> {
        let world = self.world();
        world.catalogue.alert_text(id).map(str::to_owned)
    }

    /// The text of a machine.
    pub fn machine_json(&self, id: &str) -> Option<String> {
        let world = self.world();
        Some(world.catalogue.machines.get(id)?.text().to_owned())
    }
}

/// How the services behave.
impl Cloud {
    /// Sets a fault.
    pub fn fault(&self, fault: Fault) {
        self.world().faults.set(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Has Defender enforce 100 calls a minute and 1,500 an hour, on each of its APIs, and Graph 150 calls a minute for
    /// alerts and 45 for hunting queries.
    pub fn enforce_rate_limits(&self, on: bool) {
        let mut world = self.world();
        world.limits = on.then(BTreeMap::new);
        world.graph_limits = on.then(BTreeMap::new);
    }

    /// Switches a quirk on or off.
    pub fn set_quirk(&self, quirk: Quirk, on: bool) {
        let mut world = self.world();
        if on {
            world.quirks.insert(quirk);
        } else {
            world.quirks.remove(&quirk);
        }
        if quirk == Quirk::RepeatPage {
            world.catalogue.repeated = None;
        }
    }

    /// Has Defender return at most this many alerts per page, whatever `$top` asks for, without a link to the rest, as
    /// other services do (Microsoft Graph's alerts: elastic/integrations#20348; EUDAT-B2SHARE/b2share#757).
    /// `None`: as many as the documents say.
    pub fn cap_pages(&self, alerts: Option<usize>) {
        self.world().page_cap = alerts;
    }

    /// Has Defender belong to [`tenant::OTHER_TENANT_ID`]: from now on it takes that tenant's tokens only, and the
    /// other services those of [`tenant::TENANT_ID`].
    pub fn move_defender(&self) {
        self.world().defender_tenant = tenant::OTHER_TENANT_ID.into();
    }

    /// Removes a role from the identity. Defender's roles are claims of the tokens: those issued before keep them until
    /// they are revoked.
    pub fn deny_role(&self, role: Role) {
        self.world().held.retain(|held| *held != role);
    }

    /// Grants a role again.
    pub fn grant_role(&self, role: Role) {
        self.deny_role(role);
        self.world().held.push(role);
    }

    /// Deploys a data collection rule: a `dataCollectionRules` resource of kind Direct, as a template or
    /// the API has it, with or without `properties` around. From then on its streams are the only ones, and of each
    /// record the table gets what the rule declares; the response to a post does not say so. Until then there is
    /// [`tenant::STREAM`], which takes any column.
    ///
    /// # Errors
    ///
    /// The service's message, for a document that the service would reject, also for the types of a table that was made
    /// with [`Cloud::create_table`], and for a transformation with functions that are not simulated. The rule that was
    /// deployed before stays then.
    pub fn deploy_rule(&self, document: &str) -> Result<(), String> {
        let mut world = self.world();
        let streams = rule::streams(document, &world.tables)?;
        let streams = streams.into_iter().map(|(name, stream)| (name, Some(Arc::new(stream))));
        world.streams = streams.collect();
        Ok(())
    }

    /// Creates or replaces a table, from a document of the Tables API, or as `az monitor log-analytics workspace table
    /// show` prints it. Rules that are deployed from then on are checked against its columns, and rows have no others.
    ///
    /// # Errors
    ///
    /// The document does not describe a table.
    pub fn create_table(&self, document: &str) -> Result<(), String> {
        let (name, table) = rule::Table::parse(document)?;
        self.world().tables.insert(name, Arc::new(table));
        Ok(())
    }

    /// Adds a stream that takes any column.
    pub fn declare_stream(&self, name: &str) {
        self.world().streams.insert(name.to_owned(), None);
    }

    /// Takes away the consent for [`tenant::SHARED_CLIENT_ID`]: it has no service principal in this cloud's tenants any
    /// more. Tokens issued before stay good.
    pub fn withdraw_consent(&self) {
        self.world().directory.shared().tenants.clear();
    }

    /// Replaces the federated credentials of [`tenant::SHARED_CLIENT_ID`] by this one, as this cloud's token endpoint
    /// sees them.
    pub fn trust_only(&self, credential: FederatedCredential) {
        self.world().directory.shared().federated = vec![credential];
    }

    /// Revokes the tokens issued so far in this cloud's tenants.
    pub fn revoke_tokens(&self) {
        let world = self.world();
        world.tokens.revoke(&world.directory.tenants);
    }

    /// Sets the clocks of all services ahead, or back, which looks as if this machine's clock were wrong.
    pub fn set_clocks_ahead(&self, ahead: Duration) {
        self.world().ahead = ahead;
    }

    /// Sets the lifetime of tokens issued from now on, which is 3,599 seconds at first.
    pub fn token_lifetime(&self, lifetime: Duration) {
        self.tokens().set_lifetime(lifetime);
    }
}

/// What the services received.
impl Cloud {
    /// The accepted posts, in order.
    pub fn received(&self) -> Vec<Arc<Received>> {
        self.world().journal.received.clone()
    }

    /// The records of the accepted posts, in order.
    ///
    /// # Panics
    ///
    /// Never: only JSON is accepted.
    pub fn records(&self) -> Vec<Value> {
        let received = self.received();
        let records = received.iter().flat_map(|post| &post.records);
        let parse = |record: &String| serde_json::from_str(record).expect("accepted JSON parses");
        records.map(parse).collect()
    }

    /// The rows of the tables behind a deployed rule, in order, without the columns that are null: values that were not
    /// declared or of another type are not in them, and values that were too long are truncated. Where the rule's
    /// transformation fills `TimeGenerated`, each row has one. Records that came before a rule was deployed are in no
    /// row.
    pub fn rows(&self) -> Vec<Map<String, Value>> {
        self.world().journal.rows()
    }

    /// The first 1,000 values that the deployed rule dropped or truncated, in order. [`Counts::values_lost`] counts
    /// them all.
    pub fn lost_values(&self) -> Vec<LostValue> {
        self.world().journal.lost_values.clone()
    }

    /// The posts that the sinks rejected.
    pub fn rejected(&self) -> Vec<Rejected> {
        self.world().journal.rejected.clone()
    }

    /// All requests, in order.
    pub fn requests(&self) -> Vec<Seen> {
        self.world().journal.seen.clone()
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.world().journal.counts.clone()
    }

    /// Every secret of this cloud, to search logs and replies for.
    pub fn secrets(&self) -> Vec<String> {
        let world = self.world();
        let constants = [tenant::FEDERATED_ASSERTION, tenant::IDENTITY_HEADER, tenant::WORKSPACE_KEY];
        let registrations = world.directory.registrations.iter().map(|known| known.secret.clone());
        let mut secrets: Vec<_> = constants.map(str::to_owned).into_iter().chain(registrations).collect();
        secrets.extend(world.tokens.texts(&world.directory.tenants));
        secrets
    }
}

#[cfg(test)]
mod tests;
