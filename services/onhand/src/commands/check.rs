//! `onhand check`: the ledger against itself.

use crate::api::Api;
use crate::failure::Failure;
use crate::screen::{Screen, as_text, rows, text};

pub(super) async fn run(api: &Api, screen: Screen) -> Result<(), Failure> {
    let answer = api.get(&["check"], &[]).await?;
    let broken = rows(&answer, "broken");
    screen.show(&answer, |screen| {
        if broken.is_empty() {
            return screen.line("the ledger is sound");
        }
        for row in broken {
            let line = if row.is_object() { text(row, "what") } else { as_text(Some(row)) };
            screen.line(line)?;
        }
        Ok(())
    })?;
    if broken.is_empty() { Ok(()) } else { Err(Failure::Broken { count: broken.len() }) }
}
