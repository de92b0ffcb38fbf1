//! The one tenant this cloud serves: its names and its harmless secrets. They are constants, so that
//! a committed settings file can name them.

/// The tenant's id.
pub const TENANT_ID: &str = "7d0c1b5e-52a4-4c8e-9f0b-3a6f1e2d4c5b";
/// The app registration, and the user-assigned identity of the same rights.
pub const CLIENT_ID: &str = "c3b1f7a2-08d4-4f6e-b8a9-5e2d7c6f1a90";
/// The app registration's secret.
pub const CLIENT_SECRET: &str = "simulated~client-secret_that.opens/nothing+else==";
/// The assertion that Entra takes in place of the secret (workload identity).
pub const FEDERATED_ASSERTION: &str = "simulated-header.simulated-federated-assertion.simulated-signature";
/// What the managed-identity endpoint expects in X-IDENTITY-HEADER.
pub const IDENTITY_HEADER: &str = "simulated-identity-header-5f1c";
/// The Log Analytics workspace.
pub const WORKSPACE_ID: &str = "97ce69d9-b4be-4241-8dbd-d265edcf06c4";
/// The workspace's shared key; decoded, it says that it is harmless.
pub const WORKSPACE_KEY: &str =
    "VGhpcyBrZXkgb3BlbnMgbm90aGluZyBidXQgdGhlIHNpbXVsYXRlZCB3b3Jrc3BhY2U6IGtlZXAgaXQgaGVyZQ==";
/// The immutable id of the data collection rule.
pub const DCR_ID: &str = "dcr-0f5c27d1a9e84b63b1d07c4e92a85f36";
/// The stream the data collection rule declares from the start.
pub const STREAM: &str = "Custom-MDATPAlerts_CL";
