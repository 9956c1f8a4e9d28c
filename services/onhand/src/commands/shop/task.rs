//! Long work of onhand for one shop: waiting for it with a bar, and what it reports.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::api::Api;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen::{Screen, as_text, printable, rows, text};

/// Somebody has to log in and read a page meanwhile.
const GRANT_POLL_PAUSE: Duration = Duration::from_secs(1);
const POLL_PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked whether the shop answers.
const SHOP_LOOK_PAUSE: Duration = Duration::from_secs(1);
/// A shop that does not answer is waited for so long, unless another time is given.
pub(super) const AWAY_MAX: Duration = Duration::from_mins(2);
/// Reading 100,000 products at a slow shop's pace takes most of an hour.
const WAIT_MAX: Duration = Duration::from_hours(2);

/// Waits until the task that `started` names is done; the task as it is then.
pub(crate) async fn wait(api: &Api, started: &Value, shop: &str) -> Result<Value, Failure> {
    wait_at_most(api, started, shop, AWAY_MAX).await
}

/// The same; a shop that does not answer for `away_max` is waited for no longer.
pub(super) async fn wait_at_most(
    api: &Api,
    started: &Value,
    shop: &str,
    away_max: Duration,
) -> Result<Value, Failure> {
    let task = ended(api, started, shop, away_max).await?;
    if is_done(&task) { Ok(task) } else { Err(failed(&task, shop)) }
}

/// Waits until the task that `started` names is over, done or not; the task as it is then.
pub(super) async fn ended(
    api: &Api,
    started: &Value,
    shop: &str,
    away_max: Duration,
) -> Result<Value, Failure> {
    let id = as_text(started.get("task"));
    let progress = Progress::counting("waiting");
    let deadline = Instant::now() + WAIT_MAX;
    let mut away = Away { shop, since: None, told: String::new() };
    let mut look_at = Instant::now();
    loop {
        let task = api.get(&["tasks", &id], &[]).await?;
        match task.get("state").and_then(Value::as_str) {
            Some("done" | "failed") => return Ok(task),
            _ if Instant::now() > deadline => return Err(failed(&task, shop)),
            _ => {}
        }
        if Instant::now() >= look_at {
            look_at = Instant::now() + SHOP_LOOK_PAUSE;
            let found = api.get(&["shops", shop], &[]).await?;
            if let Some(waited) = away.look(&found, &progress)
                && waited >= away_max
            {
                return Err(away.failure(&text(&task, "kind"), waited));
            }
        }
        let number = |name| task.get(name).and_then(Value::as_u64).unwrap_or(0);
        progress.show(&text(&task, "phase"), number("done"), number("total"));
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

/// A shop that does not answer while somebody waits for work in it.
struct Away<'a> {
    shop: &'a str,
    /// Since when that is seen here.
    since: Option<Instant>,
    /// What was said of it last.
    told: String,
}

impl Away<'_> {
    /// Says what the shop is waited for; for how long it has been, if it is.
    fn look(&mut self, shop: &Value, progress: &Progress) -> Option<Duration> {
        let reading = shop.get("reading").unwrap_or(&Value::Null);
        if reading.get("failing_since").is_none_or(Value::is_null) {
            self.since = None;
            self.told.clear();
            return None;
        }
        let failure = text(reading, "failure");
        if self.told != failure {
            progress.say(&format!("shop {} cannot be read, waiting for it: {failure}", self.shop));
            self.told = failure;
        }
        Some(self.since.get_or_insert_with(Instant::now).elapsed())
    }

    fn failure(self, kind: &str, waited: Duration) -> Failure {
        Failure::ShopAway {
            kind: kind.to_owned(),
            shop: self.shop.to_owned(),
            seconds: waited.as_secs(),
            cause: self.told,
        }
    }
}

/// Waits until the shop has granted its keys; the grant as it is then.
pub(super) async fn granted(api: &Api, grant: &str, shop: &str) -> Result<Value, Failure> {
    let progress = Progress::counting("waiting for the shop's owner");
    loop {
        let found = api.get(&["grants", grant], &[]).await?;
        let refused = |cause: String| Failure::NotConnected { shop: shop.to_owned(), cause };
        match found.get("state").and_then(Value::as_str) {
            Some("connected") => return Ok(found),
            Some("failed") => return Err(refused(text(&found, "failure"))),
            // It expires by itself, so this ends.
            Some("waiting") => {}
            _ => return Err(refused("nobody agreed in time; run the command again".to_owned())),
        }
        progress.show("waiting for the shop's owner", 0, 0);
        tokio::time::sleep(GRANT_POLL_PAUSE).await;
    }
}

/// It came to its end.
pub(super) fn is_done(task: &Value) -> bool {
    text(task, "state") == "done"
}

/// Why it did not.
pub(super) fn failed(task: &Value, shop: &str) -> Failure {
    let report = task.get("report").unwrap_or(&Value::Null);
    let findings = rows(report, "findings").iter().map(finding).collect::<Vec<_>>().join("; ");
    let cause = match (findings.is_empty(), report.get("failure")) {
        (false, _) => findings,
        (true, Some(said)) => as_text(Some(said)),
        (true, None) => {
            format!("it ended in the phase `{}`; the log of onhand says why", text(task, "phase"))
        }
    };
    let (kind, shop) = (text(task, "kind"), shop.to_owned());
    if kind == "connect" {
        Failure::NotConnected { shop, cause }
    } else {
        Failure::TaskFailed { kind, shop, cause }
    }
}

/// Whether nothing was found that stands in the way.
pub(super) fn works(task: &Value) -> bool {
    let report = task.get("report").unwrap_or(&Value::Null);
    !rows(report, "findings").iter().any(|finding| text(finding, "severity") == "fatal")
}

/// What was read, and what was found.
pub(super) fn read(screen: Screen, task: &Value) -> Result<(), Failure> {
    let report = task.get("report").unwrap_or(&Value::Null);
    for found in rows(report, "findings") {
        screen.line(format!("{}: {}", text(found, "severity"), finding(found)))?;
    }
    let number = |name| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    if number("listings") + number("orders") > 0 {
        let (listings, stocks) = (number("listings"), number("stocks"));
        screen.line(format!(
            "read {listings} products with {stocks} stocks, {} of them mapped by SKU, and {} orders",
            number("mapped"),
            number("orders")
        ))?;
    }
    if number("webhooks") > 0 {
        screen.line(format!("{} webhooks are in place in the shop", number("webhooks")))?;
    }
    if number("unusable_orders") > 0 {
        let unusable = number("unusable_orders");
        screen.line(format!("{unusable} orders cannot be used; the log says why"))?;
    }
    Ok(())
}

/// The same, and what cannot be mapped.
pub(super) fn report(screen: Screen, task: &Value) -> Result<(), Failure> {
    read(screen, task)?;
    let report = task.get("report").unwrap_or(&Value::Null);
    for (kind, count) in report.get("problem_counts").and_then(Value::as_object).into_iter().flatten() {
        screen.line(format!("{count} {}", problem(kind)))?;
        for product in rows(report, "problems").iter().filter(|problem| text(problem, "kind") == *kind) {
            screen.line(format!("  {}", listing(product)))?;
        }
    }
    Ok(())
}

/// What is wrong, after "3 ", and what to do.
fn problem(kind: &str) -> &str {
    match kind {
        "missing_sku" => {
            "without SKU, so their orders wait; give them one in the shop, or map them with `onhand parked map`"
        }
        "duplicate_sku" => {
            "with a SKU that another product of the shop has; their orders count, their stock is not pushed"
        }
        "unmanaged" => {
            "without stock management; turn on `Manage stock?` in the shop, or their stock is not pushed"
        }
        "stock_at_parent" => "variations whose stock is kept by their product; they share it",
        "not_published" => "not on sale",
        "unusable" => "that cannot be read",
        other => other,
    }
}

/// A product in a line.
fn listing(product: &Value) -> String {
    let mut words = vec![text(product, "product")];
    for (name, label) in
        [("variation", "variation"), ("sku", "SKU"), ("name", ""), ("taken_by", "SKU taken by")]
    {
        if product.get(name).is_some_and(|value| !value.is_null()) {
            words.push(format!("{label} {}", text(product, name)).trim().to_owned());
        }
    }
    words.join(", ")
}

fn finding(found: &Value) -> String {
    let part = |name| found.get(name).and_then(Value::as_str).unwrap_or_default();
    printable(&[part("what"), part("todo")].join(" ")).trim().to_owned()
}
