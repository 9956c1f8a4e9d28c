//! `onhand approve`: consent to what is too large to be done unasked.

use clap::Args;
use serde_json::json;

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, Table, text};

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// `list`, or the number of what is approved.
    #[arg(value_name = "list|ID", default_value = "list", value_parser = parse_what)]
    what: What,
    /// Refuse it instead.
    #[arg(long)]
    refuse: bool,
}

#[derive(Debug, Clone, Copy)]
enum What {
    List,
    One(u64),
}

fn parse_what(text: &str) -> Result<What, String> {
    match text {
        "list" => Ok(What::List),
        number => number.parse().map(What::One).map_err(|_| "it wants `list` or a number".to_owned()),
    }
}

impl Approve {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let What::One(id) = self.what else {
            return list(api, screen).await;
        };
        let decision = if self.refuse { "refuse" } else { "approve" };
        let answer = api.post(&["approvals", &id.to_string(), decision], &json!({})).await?;
        let said = if self.refuse { "refused" } else { "approved" };
        screen.show(&answer, |screen| screen.line(format!("{id} {said}")))
    }
}

async fn list(api: &Api, screen: Screen) -> Result<(), Failure> {
    let items = api.list(&["approvals"], &[], None).await?;
    screen.show(&json!({ "items": items }), |screen| {
        let mut table = Table::new(&[">ID", "KIND", "SINCE", "WHAT"]);
        for item in &items {
            table.row(["id", "kind", "at", "summary"].map(|name| text(item, name)));
        }
        screen.table(&table, "nothing waits for consent")
    })
}
