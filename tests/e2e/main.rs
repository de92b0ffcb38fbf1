//! The real binary, started as the Functions host starts it, against the simulated cloud over real
//! HTTP. Each module tells one kind of story.

mod backfill;
mod blob_identity;
mod blob_rejections;
mod blob_state;
mod browser;
mod check;
mod command_line;
mod connections;
mod deploy;
mod fault;
mod golden;
mod happy_path;
mod health;
mod host_contract;
mod machines;
mod nothing_lost;
mod odd_pages;
mod paging;
mod proxy;
mod queries;
mod readme;
mod rejections;
mod repository;
mod resume;
mod schema;
mod secrets;
mod set_aside;
mod settings;
mod setup_mistakes;
mod shell;
mod source_identity;
mod stage;
mod state_command;
mod status_page;
mod transport;
