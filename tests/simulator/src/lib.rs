//! The services mdatp-forward talks to, as strict as the real ones, and the Functions host that
//! starts it.
//!
//! The services are one state machine without sockets, [`Cloud`]. It is used in three ways:
//!
//! - in the test's process under virtual time: [`Cloud::react`] takes a request and a time;
//! - over real HTTP: [`Cloud::serve`] puts each service behind a server on this machine, and
//!   [`Served::settings`] are the settings with which the forwarder finds them;
//! - by hand: `cargo simulator` serves it on fixed ports.
//!
//! A [`Fleet`] is many of them behind one set of ports, one for each tenant.
//!
//! What the services accept, reject and return follows recordings and documents of the real ones. A failure is a plain
//! value, a [`Fault`]; where a real service departs from its documents, a [`Quirk`] can be switched on. Afterwards the
//! cloud reports what it received.

#![forbid(unsafe_code)]

mod alert;
pub mod azurite;
mod body_rewrite;
pub mod clock;
mod cloud;
mod connection;
mod console;
mod counts;
mod customer;
mod data_collector;
mod defender;
mod entra;
mod fault;
mod fleet;
pub mod functions_host;
mod generate;
mod graph;
mod guid;
mod identity;
mod journal;
mod logs_ingestion;
mod machine;
mod members;
pub mod npm;
mod odata;
mod post;
mod printed_rule;
mod process;
pub mod queue;
mod quirk;
mod rate_limit;
mod reaction;
mod rejection;
mod request;
mod response;
mod role;
mod rule;
mod serve;
mod service;
mod settings;
pub mod shape;
mod steps;
pub mod tenant;
mod tls;
mod token;
mod world;

pub use cloud::Cloud;
pub use counts::Counts;
pub use customer::Customer;
pub use entra::FederatedCredential;
pub use fault::Fault;
pub use fleet::Fleet;
pub use generate::Volume;
pub use graph::in_graph_form;
pub use journal::{Received, Rejected, Seen};
pub use printed_rule::printed_rule;
pub use quirk::Quirk;
pub use reaction::{Outcome, Reaction};
pub use request::Request;
pub use response::Response;
pub use role::Role;
pub use rule::{LostValue, Why};
pub use rustls::HandshakeKind;
pub use serve::{Ports, Served};
pub use service::Service;
pub use settings::{Endpoints, Route, Sink};
pub use steps::{Event, Step, Steps, Target};
