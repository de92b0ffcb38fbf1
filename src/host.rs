//! The triggers: the Functions host's custom-handler protocol. The host starts this program, posts an invocation to it
//! each time its timer fires or its HTTP trigger is called, and waits for the reply. Uses [`app`](crate::app); only `main`
//! uses it.

pub mod invocation;
pub mod nudge;
pub mod server;
