//! Every kind of difference under every policy, in real processes: told as what it is, and answered as the shop wants; edits
//! are taken over exactly once though the processes die meanwhile.

mod deciding;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::fake_shop::{FakeShop, Fault, FaultKind};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, ProductEdit, Status, Topic};
use tokio::time::{Instant, MissedTickBehavior, interval};
use values::{HolderId, ProductId, Quantity};

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::world::{add_shop_told_of, all_is_sound, hasty_bench, hasty_shop, poll_often};

/// What the hub and the shop have of each thing at first.
const UNITS: i64 = 100;
/// How far a shop's clock is set ahead, so that what was just written counts as whole.
const AHEAD: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pushes of the shop that hears of them all.
const ROUNDS: i64 = 12;
/// Reads of products while they are made: the comparisons of a stock that has just been connected.
const READS_MAX: u64 = 6;
const POLICIES: [&str; 4] = ["correct", "withhold", "adopt", "alert"];
/// How a call that pushes begins.
const PUSH: &str = "POST products/batch";

/// What happened to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Case {
    Raised,
    Lowered,
    /// By an import or SQL.
    Imported,
    /// Raised by somebody while it was being sold, of which the webhooks tell late.
    Sold,
    /// Raised by somebody after we had pushed.
    Pushed,
    /// A push was cut off before it arrived.
    Doubtful,
}

impl Case {
    const ALL: [Self; 6] =
        [Self::Raised, Self::Lowered, Self::Imported, Self::Sold, Self::Pushed, Self::Doubtful];

    /// Class, action, what the shop shows in the end, what the hub has available then.
    fn expected(self, policy: &str) -> (&'static str, &'static str, i64, i64) {
        let edit = |raised| {
            by(policy, if raised { "corrected" } else { "withheld" }, "withheld", "adopted", "alerted")
        };
        let ours = by(policy, "corrected", "corrected", "corrected", "alerted");
        let adopted = |difference| if policy == "adopt" { difference } else { 0 };
        match self {
            Self::Raised => ("edit_up", edit(true), by(policy, 100, 103, 103, 103), UNITS + adopted(3)),
            Self::Lowered => ("edit_down", edit(false), 96, UNITS + adopted(-4)),
            Self::Imported => ("bulk_edit", edit(false), 95, UNITS + adopted(-5)),
            Self::Sold => ("edit_up", edit(true), by(policy, 98, 103, 103, 103), UNITS - 2 + adopted(5)),
            Self::Pushed => ("lost_update", ours, by(policy, 101, 101, 101, 103), UNITS + 1),
            Self::Doubtful => ("doubtful_call", ours, by(policy, 104, 104, 104, 100), UNITS + 4),
        }
    }
}

/// What is so under that policy.
fn by<T>(policy: &str, correct: T, withhold: T, adopt: T, alert: T) -> T {
    match policy {
        "correct" => correct,
        "withhold" => withhold,
        "adopt" => adopt,
        _ => alert,
    }
}

/// What becomes of the webhooks that tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// They arrive when all has been read, the last one first.
    Late,
    Never,
}

/// A shop with a thing for each case, and a warehouse of its own.
struct Stage {
    policy: &'static str,
    shop: FakeShop,
    products: BTreeMap<Case, ProductId>,
}

impl Stage {
    async fn build(policy: &'static str) -> Self {
        let shop = FakeShop::start(hasty_shop()).await.unwrap();
        let add = |case: Case| {
            let new = NewProduct::simple(sku(policy, case).parse().ok(), UNITS);
            (case, shop.with_model(|model, now| model.add_product(new, now)))
        };
        let products = Case::ALL.map(add).into();
        Self { policy, shop, products }
    }

    fn holder(&self, case: Case) -> HolderId {
        self.products[&case].into()
    }

    fn shows(&self, case: Case) -> Option<i64> {
        self.shop.with_model(|model, _| model.stock(self.holder(case)))
    }

    async fn act(&self, change: Change) {
        self.shop.act(change.clone()).await.unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
    }

    async fn set(&self, case: Case, quantity: i64) {
        self.act(Change::SetStock { holder: self.holder(case), quantity }).await;
    }

    /// Goods come in, and their push is cut off; others come in, and are pushed.
    async fn push(&self, bench: &Bench) {
        let receive = async |case, quantity: &str| {
            let sku = sku(self.policy, case);
            bench.run(&["stock", "receive", &sku, quantity, "-w", self.policy]).await.good();
        };
        self.shop.fault(Fault::next(PUSH, FaultKind::CutBefore));
        receive(Case::Doubtful, "4").await;
        until("a push is in doubt", PROOF_PATIENCE, async || {
            let explained = bench.run(&["explain", &sku(self.policy, Case::Doubtful)]).await.good();
            explained.contains("a push was not answered").then_some(())
        })
        .await;
        receive(Case::Pushed, "1").await;
        until("a receipt is pushed", PROOF_PATIENCE, async || {
            (self.shows(Case::Pushed) == Some(UNITS + 1)).then_some(())
        })
        .await;
    }

    /// What people and programs do; nothing of it is told while it happens, or at all.
    async fn change(&self, told: Told) {
        if told == Told::Late {
            self.shop.hold_deliveries(true);
        }
        self.set(Case::Raised, UNITS + 3).await;
        self.set(Case::Lowered, UNITS - 4).await;
        self.set(Case::Pushed, UNITS + 3).await;
        let imported = self.holder(Case::Imported);
        self.act(Change::SetStockSilently { holder: imported, quantity: UNITS - 5 }).await;
        let sale = || {
            let line = NewLine::of(self.products[&Case::Sold], 1);
            Change::CreateOrder(NewOrder::by_checkout(Status::Processing, vec![line]))
        };
        self.act(sale()).await;
        self.set(Case::Sold, self.shows(Case::Sold).unwrap() + 5).await;
        self.act(sale()).await;
        self.shop.run_queue().await;
        self.shop.set_clock_offset_micros(i64::try_from(AHEAD.as_micros()).unwrap());
    }

    /// What is not as it should be.
    async fn wrong(&self, bench: &Bench) -> Vec<String> {
        let listed = bench.run(&["drift", "list", self.policy, "--json"]).await.json();
        let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for item in listed["items"].as_array().unwrap() {
            let told = (text(&item["class"]), text(&item["action"]));
            found.entry(text(&item["sku"])).or_default().push(told);
        }
        let mut wrong = Vec::new();
        for case in Case::ALL {
            let (class, action, shown, available) = case.expected(self.policy);
            let told = found.remove(&sku(self.policy, case)).unwrap_or_default();
            let left = available_of(bench, &sku(self.policy, case)).await;
            let is = (told, self.shows(case), left);
            let expected = (vec![(class.to_owned(), action.to_owned())], Some(shown), available);
            if is != expected {
                wrong.push(format!("{} {case:?}: {is:?} instead of {expected:?}", self.policy));
            }
        }
        wrong
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn sku(policy: &str, case: Case) -> String {
    format!("{policy}-{case:?}")
}

async fn available_of(bench: &Bench, sku: &str) -> i64 {
    let stock = bench.run(&["stock", "get", sku, "--json"]).await.json();
    let rows = stock["items"][0]["warehouses"].as_array().unwrap().iter();
    let sum: Quantity = rows.map(|row| text(&row["available"]).parse::<Quantity>().unwrap()).sum();
    sum.whole_units().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_told_and_answered_in_one_process() {
    run(Form::Standalone, Told::Late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_told_and_answered_over_rabbitmq_and_postgresql() {
    run(Form::Distributed { replicas: 1 }, Told::Late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_told_and_answered_without_webhooks_in_one_process() {
    run(Form::Standalone, Told::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_told_and_answered_without_webhooks_over_rabbitmq_and_postgresql() {
    run(Form::Distributed { replicas: 1 }, Told::Never).await;
}

/// A shop tells of every call that changes a product, and of every call that changes nothing as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_shop_tells_of_our_own_calls_makes_no_call() {
    let mut bench = hasty_bench();
    let mut deployment = Deployment::start(&mut bench, Form::Standalone, None).await;
    bench.run(&["warehouse", "add", "main"]).await.good();
    let stage = Stage::build("correct").await;
    let (topics, thing) = ([Topic::ProductUpdated], sku("correct", Case::Raised));
    import(&bench, "correct", "main").await;
    add_shop_told_of(&bench, "correct", &stage.shop, &deployment.webhooks()[0], &topics).await;
    is_proven(&bench, &thing).await;
    stage.shop.take_counts();
    for round in 1..=ROUNDS {
        bench.run(&["stock", "receive", &thing, "1", "-w", "main"]).await.good();
        until("the receipt is pushed", PROOF_PATIENCE, async || {
            (stage.shows(Case::Raised) == Some(UNITS + round)).then_some(())
        })
        .await;
        // Somebody saves the product as it is, as a program does that writes what is there already.
        let nothing =
            Change::SaveProduct { holder: stage.holder(Case::Raised), edit: ProductEdit::default() };
        stage.act(nothing).await;
        stage.shop.run_queue().await;
    }
    until("all of it is told", PROOF_PATIENCE, async || {
        (i64::try_from(stage.shop.counts().deliveries).unwrap() >= ROUNDS).then_some(())
    })
    .await;
    // What hears of itself would call again within the window in which pushes gather.
    bench.run(&["stock", "receive", &thing, "1", "-w", "main"]).await.good();
    until("the last receipt is pushed", PROOF_PATIENCE, async || {
        (stage.shows(Case::Raised) == Some(UNITS + ROUNDS + 1)).then_some(())
    })
    .await;
    let counts = stage.shop.counts();
    let pushes = u64::try_from(ROUNDS).unwrap() + 1;
    assert_eq!(counts.calls_of("POST") + counts.calls_of("PUT"), pushes, "{counts:?}");
    assert_eq!((counts.stock_writes, counts.stock_writes_without_effect), (pushes, 0), "{counts:?}");
    assert!(counts.calls_of("GET products") <= READS_MAX, "each delivery is no reason to read: {counts:?}");
    deployment.stop(&bench).await;
}

async fn run(form: Form, told: Told) {
    let servers = if form == Form::Standalone { None } else { Some(Servers::shared().await) };
    let mut bench = hasty_bench();
    let mut deployment = Deployment::start(&mut bench, form, servers).await;
    let stages = set_up(&bench, &deployment.webhooks()[0]).await;
    deployment.stop(&bench).await;
    poll_often(&bench).await;
    deployment.begin_all(&bench).await;
    all_are_proven(&bench).await;

    for stage in &stages {
        if told == Told::Never {
            stage.shop.lose_deliveries(u64::MAX);
            stage.shop.take_counts();
        }
        stage.push(&bench).await;
        stage.change(told).await;
    }
    for stage in &stages {
        bench.run(&["shop", "sync", stage.policy]).await.good();
    }
    // Death comes when the first edits are being taken over.
    until("an edit is found", PROOF_PATIENCE, async || {
        let listed = bench.run(&["drift", "list", "adopt", "--json"]).await.json();
        let actions = listed["items"].as_array().unwrap().iter().map(|item| text(&item["action"]));
        actions.into_iter().any(|action| action.starts_with("adopt")).then_some(())
    })
    .await;
    for process in deployment.processes() {
        deployment.kill(&bench, process).await;
        deployment.launch(&bench, process);
    }
    deployment.all_listen(&bench).await;
    all_comes_right(&bench, &stages).await;
    for stage in &stages {
        let counts = stage.shop.counts();
        match told {
            Told::Late => assert!(stage.shop.send_held(true).await > 0, "there was something to tell late"),
            Told::Never => {
                assert!(counts.deliveries > 0, "there was something to tell");
                assert_eq!(counts.deliveries, counts.deliveries_failed, "none arrived: {counts:?}");
            }
        }
    }
    all_comes_right(&bench, &stages).await;
    told_to_people(&bench).await;
    deciding::people_decide(&bench, &mut deployment, &stages).await;
    all_is_sound(&bench).await;
    deployment.stop(&bench).await;
}

async fn set_up(bench: &Bench, webhooks: &str) -> Vec<Stage> {
    let mut stages = Vec::new();
    bench.run(&["warehouse", "add", "main"]).await.good();
    for policy in POLICIES {
        let stage = Stage::build(policy).await;
        bench.run(&["warehouse", "add", policy]).await.good();
        import(bench, policy, policy).await;
        let topics = [Topic::OrderCreated, Topic::OrderUpdated, Topic::ProductUpdated];
        add_shop_told_of(bench, policy, &stage.shop, webhooks, &topics).await;
        let set = ["shop", "set", policy, "--drift", policy, "--warehouses", policy];
        bench.run(&set).await.good();
        let shown = bench.run(&["shop", "show", policy]).await.good();
        assert!(shown.lines().any(|line| line.starts_with("drift ") && line.ends_with(policy)), "{shown}");
        stages.push(stage);
    }
    stages
}

/// The goods of a shop come into a warehouse.
async fn import(bench: &Bench, policy: &str, warehouse: &str) {
    let lines: Vec<String> =
        Case::ALL.iter().map(|case| format!("{},{UNITS}\n", sku(policy, *case))).collect();
    let file = bench.file(policy, &format!("sku,quantity\n{}", lines.concat()));
    bench.run(&["stock", "import", &file, "-w", warehouse]).await.good();
}

async fn all_are_proven(bench: &Bench) {
    for policy in POLICIES {
        for case in Case::ALL {
            is_proven(bench, &sku(policy, case)).await;
        }
    }
}

async fn is_proven(bench: &Bench, sku: &str) {
    until(&format!("{sku} is proven"), PROOF_PATIENCE, async || {
        let explained = bench.run(&["explain", sku, "--json"]).await.json();
        (!explained["shops"][0]["shows"].is_null()).then_some(())
    })
    .await;
}

async fn all_comes_right(bench: &Bench, stages: &[Stage]) {
    let (deadline, mut look) = (Instant::now() + PROOF_PATIENCE, interval(LOOK_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let mut wrong = Vec::new();
        for stage in stages {
            wrong.extend(stage.wrong(bench).await);
        }
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{wrong:#?}\n{}", bench.log());
    }
}

/// One adjustment for an edit that was taken over, and words for everybody.
async fn told_to_people(bench: &Bench) {
    for (case, change) in
        [(Case::Raised, "3"), (Case::Lowered, "-4"), (Case::Imported, "-5"), (Case::Sold, "5")]
    {
        let moved = bench.run(&["movements", &sku("adopt", case), "--json"]).await.json();
        let adjusted = moved["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "adjustment");
        let changes: Vec<_> = adjusted.map(|item| text(&item["on_hand_change"])).collect();
        assert_eq!(changes, [change], "{case:?}: {moved}");
    }
    let explained = bench.run(&["explain", &sku("correct", Case::Raised)]).await.good();
    let said =
        "it showed 3 more than it should: somebody raised it in the shop; the shop is told the difference";
    assert!(explained.contains(said), "{explained}");
    let kept = bench.run(&["explain", &sku("withhold", Case::Raised)]).await.good();
    assert!(kept.contains("left in: somebody put it into the shop"), "{kept}");
    let listed = bench.run(&["drift", "list", "--since", "1h"]).await.good();
    assert_eq!(listed.lines().filter(|line| line.contains("bulk_edit")).count(), POLICIES.len(), "{listed}");
    let none = bench.run(&["drift", "list", "--since", "2100-01-01T00:00:00Z"]).await.good();
    assert_eq!(none, "no differences were found\n");
}
