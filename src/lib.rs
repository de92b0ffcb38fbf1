//! Microsoft Defender for Endpoint alerts, merged with their machines, into Azure Log Analytics.
//!
//! The map of the program. Arrows point down: a place uses only places below its own.
//!
//! ```text
//! host  cli          the two doors: the Functions host's invocations, and the command line
//! app                one run at a time, each with a deadline; of many tenants, one for each
//! pipeline           one run, the file to read first: fetch, enrich, merge, send, and the ledger
//! services  status   what a run works with; what the state store says about past runs
//! source             where alerts and machines come from: Defender
//! sink               where records go: Logs Ingestion API, Data Collector API
//! state              what outlives a process: checkpoint, history, what is set aside
//! http               every call: tokens, retries, quotas, errors with advice
//! tenants            the list of tenants, where one process forwards for many
//! config             all settings
//! record  schema     pure: alerts, records, batches; columns, table, rule
//! ```

#![forbid(unsafe_code)]

mod app;
mod buffers;
mod cli;
mod clock;
mod config;
mod count;
mod error_chain;
mod host;
mod http;
mod pipeline;
mod record;
mod report;
mod schema;
mod services;
mod shutdown;
mod sink;
mod source;
mod state;
mod status;
mod telemetry;
mod tenants;

// What `main` is made of.
pub use app::App;
pub use cli::{Cli, Command, EXIT_USAGE, execute as execute_command, warn_of_sink};
pub use clock::Clock;
pub use config::{Config, settings::Settings};
pub use host::server;
pub use shutdown::{ParentProcess, ShutdownMode, ShutdownSignal};
pub use telemetry::{Audience, init as init_telemetry};

/// What the tests, benchmarks and fuzz targets of this repository use. Nobody else can rely on it.
#[doc(hidden)]
pub mod testing {
    pub use crate::{
        app::Outcome,
        clock::Clock,
        config::{
            AlertFetch, AlertSource, Config, Identity, MachineSource, SinkConfig, SourceIdentity,
            StateConfig,
            cloud::Cloud,
            endpoint::Endpoint,
            reference::ReferenceTarget,
            settings::Settings,
            storage::{BlobAccess, BlobAccount},
        },
        host::{invocation, nudge, queue},
        http::{
            Exchange, ExchangeError, Http, Request, Response, advice,
            credential::{Credential, Credentials},
            deadline::Deadline,
            error_detail::ErrorDetail,
            retry, service,
        },
        pipeline::{Plan, Purpose, run},
        record::{
            alert::{Alert, Fingerprint, Mode},
            batch::{Ack, Batch, Packer},
            json::Object,
            machine::Machine,
            merge::merge,
            page::Page,
            truncate,
        },
        report::RunReport,
        schema::{ColumnType, Shape, check::SchemaDocument, columns, extras, rule, table},
        services::Services,
        shutdown::{Shutdown, ShutdownMode},
        sink::shared_key::SigningKey,
        source::graph,
        state::{StateStore, checkpoint::Checkpoint, holder::Holder},
        tenants::{
            TenantCredential, TenantEntry, TenantId, TenantList, TenantMessage, TenantSink, TokenFrom,
        },
    };
}
