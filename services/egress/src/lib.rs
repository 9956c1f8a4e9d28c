//! egress of onhand: carries levels out to the shops, in few calls, without putting sold units back.
//!
//! * **Levels in.** The consumers of `egress.levels` keep the newest level of each stock ([`start`]); a backlog is
//!   never longer than there are stocks. Replicas share the shards, and with them the shops.
//! * **A lane for each shop** makes its calls: it gathers what waits, journals what it is about to do, calls, and
//!   stores what came of it. The rules are those of crate `push`; here is what happens between them and the world.
//! * **Doubt.** A push without an answer is never repeated: it is taken as done, read back when it can no longer take
//!   effect, and settled.
//!
//! What was journaled and not finished when a process died is found by its successor and treated as doubtful.

mod asks;
mod gate;
mod lane;
mod lanes;
mod levels;
mod observe;
mod report;
mod roster;
mod settings;
mod shared;
mod stock;
mod trace;
mod work;

use std::sync::Arc;
use std::time::Duration;

use bus::{ConsumeError, Flow};
use connector_woocommerce::{Access, Client, ShopUrl, SignIn, Timeouts};
use process::metrics::Metrics;
use process::{Stage, Tasks};
use proto::Shard;
use shards::{Held, Member};
use store::{Shop, ShopSecrets};
use tokio_util::sync::CancellationToken;

pub use observe::METRICS;
pub use settings::Settings;
pub use shared::{Clock, Connect, ConnectError, Parts};

use levels::Levels;
use observe::Observe;
use shared::Shared;

/// Whose shards are shared.
const SERVICE: &str = "egress";
/// Levels that wait for longer before they are taken in make the process not ready.
const LEVELS_WAIT_MAX: Duration = Duration::from_mins(5);
/// So long after the shops were last looked after, it is not ready. How the shops themselves answer does not count.
const LANES_PATIENCE: Duration = Duration::from_mins(1);

/// Starts egress: on each shard that this process holds a consumer of levels, and the lanes of its shops, so that a level
/// wakes its lane in the same process.
pub fn start(parts: Parts, tasks: &Tasks, metrics: &Metrics) {
    let (health, name) = (parts.health.clone(), parts.member.clone());
    let shared = Arc::new(Shared::new(parts, Observe::new(metrics)));
    let pulse = health.check("egress.lanes").pulse(LANES_PATIENCE);
    tasks.spawn("egress: shops", roster::run(Arc::clone(&shared), pulse, tasks.stopping(Stage::Work)));
    let shard_count = shared.bus.topology().shards(Flow::EgressLevels);
    let member = Member {
        store: Arc::clone(&shared.store),
        service: SERVICE,
        shard_count,
        name,
        lasts: shards::LEASE,
        clock: process::clock::now,
    };
    let (bus, intake) = (shared.bus.clone(), tasks.stopping(Stage::Intake));
    let work = {
        let (shared, intake) = (shared, intake.clone());
        move |held: Held| work_on(Arc::clone(&shared), held, shard_count, intake.clone())
    };
    tasks.spawn("egress: shards", shards::run(member, work, tasks.stopping(Stage::Work)));
    let keeps_up = health.check("egress.levels").watch(intake, move || {
        let bus = bus.clone();
        async move { bus.keeps_up(Flow::EgressLevels, LEVELS_WAIT_MAX).await.map_err(|lag| lag.to_string()) }
    });
    tasks.spawn_in(Stage::Intake, "egress: check", keeps_up);
}

/// What is done for one shard. Levels are taken in until `intake` or the shard's own stop; the lanes end with the latter.
async fn work_on(
    shared: Arc<Shared>,
    held: Held,
    count: u16,
    intake: CancellationToken,
) -> Result<(), ConsumeError> {
    let shard = Shard { index: held.index, count };
    let queue = shared.bus.topology().queues(Flow::EgressLevels).nth(usize::from(held.index));
    let queue = queue.expect("as many shards are shared as there are queues");
    let taking_in = async {
        let (stop, mut levels) = (held.stop.child_token(), Levels::new(Arc::clone(&shared)));
        let limits = levels::limits(&shared.settings);
        let consuming = shared.bus.consume(queue, limits, &mut levels, &stop);
        let taken_in = shards::until_either(&stop, &intake, consuming).await;
        if taken_in.is_err() {
            // The process cannot go on; what the lanes have under way is finished first.
            held.stop.cancel();
        }
        taken_in
    };
    let (taken_in, ()) = tokio::join!(taking_in, lanes::run(Arc::clone(&shared), shard, held.stop.clone()));
    taken_in
}

/// Calls WooCommerce shops, with the usual times.
pub fn woocommerce() -> Connect {
    woocommerce_within(Timeouts::default())
}

/// Calls WooCommerce shops, within other times.
pub fn woocommerce_within(timeouts: Timeouts) -> Connect {
    Arc::new(move |shop: &Shop, secrets: &ShopSecrets| {
        let url: ShopUrl = shop.settings.url.parse().map_err(ConnectError::Address)?;
        let access = Access {
            url,
            consumer_key: secrets.consumer_key.clone(),
            consumer_secret: secrets.consumer_secret.clone(),
            sign_in: match shop.settings.sign_in {
                store::SignIn::Header => SignIn::Header,
                store::SignIn::Query => SignIn::Query,
            },
            private_addresses_allowed: shop.settings.private_allowed,
            root_certificate: None,
        };
        Client::with_timeouts(access, timeouts).map_err(ConnectError::Client)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ledger::{Routing, StatusMap};
    use store::{Connector, Opening, PollSettings, ShopSettings, ShopState};
    use values::{Quantity, ShopId, Timestamp, WarehouseId};

    use super::*;

    fn shop(sign_in: store::SignIn) -> Shop {
        Shop {
            id: ShopId::new(1).unwrap(),
            name: "shop".to_owned(),
            connector: Connector::Woocommerce,
            settings: ShopSettings {
                url: "https://shop.example".to_owned(),
                routing: Routing::new([WarehouseId::new(1).unwrap()]).unwrap(),
                buffer: Quantity::ZERO,
                statuses: StatusMap::default(),
                pending_hold: Duration::from_hours(1),
                poll: PollSettings::default(),
                private_allowed: false,
                sign_in,
                orphaned: store::Orphaned::Keep,
                shipping: store::Shipping::default(),
                tags: store::Tags::default(),
                drift: store::DriftPolicy::Correct,
            },
            tag_set: None,
            opening: Opening::None,
            baseline_last: None,
            state: ShopState::Active,
            created_at: Timestamp::from_seconds(0),
        }
    }

    #[test]
    fn a_shop_is_told_who_calls_it_as_the_registry_says() {
        let secrets = ShopSecrets {
            consumer_key: "ck_1".into(),
            consumer_secret: "cs_1".into(),
            webhook_secret: "ws_1".into(),
            webhook_secret_previous: None,
        };
        for (sign_in, expected) in [(store::SignIn::Header, "Header"), (store::SignIn::Query, "Query")] {
            let client = woocommerce()(&shop(sign_in), &secrets).unwrap();
            assert!(format!("{client:?}").contains(&format!("sign_in: {expected}")), "{client:?}");
        }
    }
}
