//! What commands about the tenants of an app share: the app's own settings and state store, without the settings that only
//! a run needs.

use clap::Args;

use super::failure::Failure;
use crate::{
    clock::Clock,
    config::{Config, Owner, SharedConfig, settings::Settings},
    http::{Http, credential::Credential},
    services::BuildError,
    state::StateStore,
    tenants::{TenantCredential, TenantEntry, TenantId, TenantList},
};

/// The setting that takes the place of the managed identity's token where there is none.
const SECRET: &str = "MDATP_CLIENT_SECRET";

/// The setting of the app registration that tenants share.
const CLIENT: &str = "MDATP_CLIENT_ID";

/// The settings that say where an app registration's assertion comes from.
const ASSERTIONS: [&str; 2] = ["IDENTITY_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE"];

/// The option that makes a command be about one tenant of an app that forwards for many.
#[derive(Debug, Args)]
pub struct TenantOption {
    /// One tenant of an app that forwards the alerts of many: its id.
    #[arg(long, value_name = "ID", value_parser = TenantId::parse, global = true)]
    pub tenant: Option<TenantId>,
}

/// The app's own settings and state store.
#[derive(Debug)]
pub struct Home<'a> {
    settings: &'a Settings,
    /// The time of day.
    pub clock: Clock,
    /// The store with the list of tenants, and below it the state of each.
    pub store: StateStore,
}

impl<'a> Home<'a> {
    /// Opens the store.
    pub fn open(settings: &'a Settings, clock: Clock) -> Result<Self, Failure> {
        let SharedConfig { identity, authority, state } = SharedConfig::parse(settings)?;
        let http = Http::new().map_err(BuildError::Client)?;
        let credential = Credential::new(identity, Owner::App, authority, http.clone(), clock);
        let store = StateStore::open(&state, &http, &credential.into())?;
        Ok(Self { settings, clock, store })
    }

    /// Loads the list of tenants; an empty one if there is none yet.
    pub async fn list(&self) -> Result<TenantList, Failure> {
        Ok(self.store.load_tenants().await?.map(|(list, _)| list).unwrap_or_default())
    }

    /// Returns a tenant's entry in the list.
    pub async fn entry(&self, id: &TenantId) -> Result<TenantEntry, Failure> {
        let list = self.list().await?;
        list.get(id).cloned().ok_or_else(|| unknown(id, &self.store))
    }

    /// Returns the settings of a tenant's runs.
    ///
    /// In a shell there is no managed identity to sign in with, so a secret of the app registration may take its place.
    pub fn settings_of(&self, entry: &TenantEntry) -> Result<Settings, Failure> {
        let settings = entry.settings(self.settings)?;
        let is_federated = entry.credential == TenantCredential::Federated;
        if !is_federated || ASSERTIONS.iter().any(|name| self.settings.is_set(name)) {
            return Ok(settings);
        }
        let secret = self.settings.get(SECRET);
        Ok(settings.over(secret.map(|secret| (SECRET.to_owned(), secret)).into_iter().collect()))
    }

    /// Reads and checks the settings of a tenant's runs.
    pub fn config_of(&self, entry: &TenantEntry) -> Result<Config, Failure> {
        Ok(Config::parse(&self.settings_of(entry)?)?)
    }

    /// Returns true if a tenant's app registration can sign in here.
    pub fn can_sign_in(&self, entry: &TenantEntry) -> bool {
        match &entry.credential {
            TenantCredential::Secret(setting) => self.settings.is_set(setting),
            TenantCredential::Federated => {
                ASSERTIONS.iter().chain([&SECRET]).any(|name| self.settings.is_set(name))
            }
        }
    }

    /// Returns the settings of an entry as the app has them, with placeholders for what a shell need not have.
    pub fn settings_in_the_app(&self, entry: &TenantEntry) -> Result<Settings, Failure> {
        let proof = match &entry.credential {
            TenantCredential::Secret(setting) => setting,
            TenantCredential::Federated => ASSERTIONS[0],
        };
        let missing = [proof, CLIENT].into_iter().filter(|name| !self.settings.is_set(name));
        let placeholders = missing.map(|name| (name.to_owned(), "placeholder".to_owned())).collect();
        Ok(entry.settings(&self.settings.clone().over(placeholders))?)
    }
}

/// Returns the failure of a command about a tenant that is not in the list.
pub fn unknown(id: &TenantId, store: &StateStore) -> Failure {
    let place = store.tenants_place();
    Failure::usage(format!("there is no tenant {id} in {place}. Fix: see mdatp-forward tenants list"))
}
