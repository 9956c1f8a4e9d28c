//! Ingress against fake shops over HTTP, with a real spool and a real database.

mod http;
mod polls;
mod settles;
mod tasks;
mod trouble;
mod webhooks;
mod world;
