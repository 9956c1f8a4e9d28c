//! `onhand restored`: the data directory holds a backup from earlier, and the shops have gone on since.

use serde_json::json;

use crate::arguments::Global;
use crate::connection;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::standalone;

pub(super) async fn run(global: &Global, screen: Screen) -> Result<(), Failure> {
    let path = connection::data_dir(global)?;
    let done = standalone::restored(&path).await?;
    let (shops, stocks) = (done.begun.shop_count, done.begun.stock_count);
    let aside = done.spool_aside.map(|aside| aside.display().to_string());
    let answer = json!({ "shops": shops, "stocks": stocks, "spool_aside": aside });
    screen.show(&answer, |screen| {
        screen.line(format!(
            "a new epoch has begun: {stocks} stocks of {shops} shops are compared with proof before anything is pushed"
        ))?;
        if let Some(aside) = aside {
            screen.line(format!("the spool that was there is now in {aside}; delete it once all is well"))?;
        }
        screen.line("start it with `onhand up`")
    })
}
