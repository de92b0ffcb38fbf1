//! The two tenants of this cloud: their ids, and secrets that open nothing else. They are constants, so that a
//! committed settings file can name them. Defender belongs to the first tenant, unless it is moved to the second
//! ([`crate::Cloud::move_defender`]).

/// The app's own tenant: of its identities, the data collection rule and the storage account.
pub const TENANT_ID: &str = "7d0c1b5e-52a4-4c8e-9f0b-3a6f1e2d4c5b";
/// The app registration of that tenant alone, and the user-assigned identity of the same rights.
pub const CLIENT_ID: &str = "c3b1f7a2-08d4-4f6e-b8a9-5e2d7c6f1a90";
/// The object id of the user-assigned identity.
pub const IDENTITY_OBJECT_ID: &str = "0b6f5d3e-9a27-4c41-8e5d-71f2c80a64b3";
/// The object id of the system-assigned identity.
pub const SYSTEM_OBJECT_ID: &str = "e4d2a9c8-3f15-47b6-90ad-2c8b6e17f5d0";
/// Another tenant, with an own Defender once that is moved there.
pub const OTHER_TENANT_ID: &str = "2f9e4a61-c7d3-4b58-a1e0-6d95b3f7c812";
/// A multi-tenant app registration of [`TENANT_ID`], with consent in [`OTHER_TENANT_ID`] too. It trusts the
/// user-assigned identity and the workload identity.
pub const SHARED_CLIENT_ID: &str = "84c0e7d5-1b69-4f32-9d8a-b5f6a2c3e417";
/// Its secret.
pub const SHARED_CLIENT_SECRET: &str = "simulated~shared-secret_that.opens/nothing+either==";
/// An app registration of [`OTHER_TENANT_ID`] alone, which is configured to trust the user-assigned identity.
pub const OTHER_CLIENT_ID: &str = "f17a3c92-6e04-4d8b-8c25-90d4e6b1a7f8";
/// Its secret.
pub const OTHER_CLIENT_SECRET: &str = "simulated~other-secret_that.opens/as-little+as==";
/// The app registration's secret.
pub const CLIENT_SECRET: &str = "simulated~client-secret_that.opens/nothing+else==";
/// The assertion that Entra takes in place of the secret (workload identity): of the issuer
/// `https://cluster.example/`, the subject `system:serviceaccount:default:mdatp-forward` and the audience
/// `api://AzureADTokenExchange`, good until 2100.
pub const FEDERATED_ASSERTION: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2NsdXN0ZXIuZXhhbXBsZS8iLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6ZGVmYXVsdDptZGF0cC1mb3J3YXJkIiwiYXVkIjpbImFwaTovL0F6dXJlQURUb2tlbkV4Y2hhbmdlIl0sImV4cCI6NDEwMjQ0NDgwMH0.c2ltdWxhdGVkLXNpZ25hdHVyZQ";
/// What the managed-identity endpoint expects in X-IDENTITY-HEADER.
pub const IDENTITY_HEADER: &str = "simulated-identity-header-5f1c";
/// The Log Analytics workspace.
pub const WORKSPACE_ID: &str = "97ce69d9-b4be-4241-8dbd-d265edcf06c4";
/// The workspace's shared key; decoded, it says that it opens nothing.
pub const WORKSPACE_KEY: &str =
    "VGhpcyBrZXkgb3BlbnMgbm90aGluZyBidXQgdGhlIHNpbXVsYXRlZCB3b3Jrc3BhY2U6IGtlZXAgaXQgaGVyZQ==";
/// The immutable id of the data collection rule.
pub const DCR_ID: &str = "dcr-0f5c27d1a9e84b63b1d07c4e92a85f36";
/// The stream the data collection rule declares from the start.
pub const STREAM: &str = "Custom-MDATPAlerts_CL";
