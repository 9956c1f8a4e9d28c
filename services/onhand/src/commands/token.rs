//! `onhand token`: who may use the API, and for what.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Makes a token and prints it; it cannot be shown again.
    Create {
        /// Whose it is or what it is for; the actor of what is done with it.
        name: String,
        /// What it allows; each allows what those before it do.
        #[arg(long, value_enum, default_value_t = Scope::Read)]
        scope: Scope,
    },
    /// All tokens, without their text.
    List,
    /// Revokes a token for good.
    Revoke {
        /// Its number, as `onhand token list` shows it.
        id: u64,
        /// Also if it is the only one that administers. A new one is made by the next start of `onhand up`, or by
        /// `onhand migrate`.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// Look at things.
    Read,
    /// Move stock.
    Operate,
    /// Change shops, warehouses and tokens.
    Admin,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl Token {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Create { name, scope } => {
                let body = json!({ "name": name, "scope": scope.word() });
                let created = api.post(&["tokens"], &body).await?;
                // Bare, so that it can be redirected into a file.
                screen.show(&created, |screen| screen.line(text(&created, "token")))
            }
            Self::List => {
                let items = api.list(&["tokens"], &[], None).await?;
                screen.show(&json!({ "items": items }), |screen| {
                    let mut table = Table::new(&[">ID", "NAME", "SCOPE", "CREATED", "LAST USED", "REVOKED"]);
                    for item in &items {
                        let names = ["id", "name", "scope", "created_at", "used_at", "revoked_at"];
                        table.row(names.map(|name| text(item, name)));
                    }
                    screen.table(&table, "no tokens")
                })
            }
            Self::Revoke { id, force } => {
                let query = [("force", force.to_string())];
                let answer = api.delete(&["tokens", &id.to_string()], &query).await?;
                screen.show(&answer, |screen| screen.line(format!("token {id} revoked")))
            }
        }
    }
}
