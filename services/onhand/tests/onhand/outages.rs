//! Broker and database go away and come back under load, in order and by a crash: nothing is lost, nothing counted twice,
//! and no service ends for it.

use std::sync::Arc;

use testkit::servers::Signal;
use testkit::servers::postgres::Shutdown;
use tokio::time::sleep;

use crate::deployment::{Deployment, Form, Servers};
use crate::load::{Dice, Load, seed};
use crate::world::hasty_bench;

/// Of the broker, and of the database.
const RESTARTS: usize = 10;
/// How long a server stays away, besides its start.
const AWAY_MS: (u64, u64) = (0, 2_000);
/// Between the start of the broker, which takes it some seconds, and its next end.
const BROKER_REST_MS: (u64, u64) = (1_000, 5_000);
/// Between the start of the database and its next end. Both are away together now and then.
const DATABASE_REST_MS: (u64, u64) = (4_000, 12_000);

#[tokio::test(flavor = "multi_thread")]
async fn ten_restarts_of_broker_and_database_under_load_lose_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let (form, servers) = (Form::Distributed { replicas: 2 }, Servers::own().await);
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), form, Some(servers)).await;
    let world = Arc::new(world);
    let load = Load::begin(&world, deployment.api(), seed);
    let servers = deployment.servers.clone().unwrap();
    tokio::join!(
        restart_broker(&servers, Dice::seeded(seed + 3)),
        restart_database(&servers, Dice::seeded(seed + 4)),
    );
    deployment.all_run(&world.bench);
    let received = load.end().await;

    deployment.ends_well(&world, &received).await;
}

async fn restart_broker(servers: &Arc<Servers>, mut dice: Dice) {
    for restart in 0..RESTARTS {
        sleep(dice.millis(BROKER_REST_MS)).await;
        blocking(servers, move |servers| {
            if restart % 2 == 0 {
                servers.broker.kept().signal(Signal::Kill);
            } else {
                servers.broker.shut_down();
            }
        })
        .await;
        sleep(dice.millis(AWAY_MS)).await;
        blocking(servers, |servers| servers.broker.kept().start_again()).await;
    }
}

async fn restart_database(servers: &Arc<Servers>, mut dice: Dice) {
    for restart in 0..RESTARTS {
        sleep(dice.millis(DATABASE_REST_MS)).await;
        blocking(servers, move |servers| {
            let server = servers.database.server();
            match restart % 3 {
                0 => server.shut_down(Shutdown::Fast),
                1 => server.shut_down(Shutdown::Immediate),
                _ => server.kept().signal(Signal::Kill),
            }
        })
        .await;
        sleep(dice.millis(AWAY_MS)).await;
        blocking(servers, |servers| servers.database.server().kept().start_again()).await;
    }
}

async fn blocking(servers: &Arc<Servers>, act: impl FnOnce(&Servers) + Send + 'static) {
    let servers = Arc::clone(servers);
    tokio::task::spawn_blocking(move || act(&servers)).await.unwrap();
}
