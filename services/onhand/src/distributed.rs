//! The distributed form: each service in processes of its own, over one PostgreSQL database and one broker.

mod checks;
mod migrate;
mod open;
mod serve;
mod settings;

pub(crate) use migrate::Migrate;
pub use open::ServeError;
pub(crate) use serve::Serve;
pub use settings::GROUP;
