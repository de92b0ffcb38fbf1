//! The triggers: the Functions host's custom-handler protocol. The host starts this program, posts an invocation to it
//! each time its timer fires, its HTTP trigger is called or its queue has a message, and waits for the reply. Uses [`app`](crate::app); only `main`
//! uses it.

pub mod invocation;
pub mod nudge;
pub mod queue;
pub mod server;
