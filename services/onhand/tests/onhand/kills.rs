//! A hundred deaths at any moment under load: nothing is lost, nothing counted twice, and every shop comes right.

use std::sync::Arc;

use tokio::time::sleep;

use crate::deployment::{Deployment, Form, Process, Servers};
use crate::load::{Dice, Load, seed};
use crate::world::hasty_bench;

/// Of either form.
const KILLS: usize = 50;
/// Between the start of the one process and its death. The short ones die before they listen.
const LIFE_MS: (u64, u64) = (20, 2_000);
/// Between two deaths of replicas. Some fall into a start, many into the time in which the leases of those before have not
/// ended yet.
const HURRY_MS: (u64, u64) = (10, 300);
/// And some leave time for the shards to be taken over.
const REST_MS: (u64, u64) = (1_000, 4_000);

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice::seeded(seed);
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), Form::Standalone, None).await;
    let world = Arc::new(world);
    let load = Load::begin(&world, deployment.api(), seed);
    let [process] = deployment.processes()[..] else { panic!("there is one process") };
    for _ in 0..KILLS {
        sleep(dice.millis(LIFE_MS)).await;
        deployment.kill(&world.bench, process).await;
        deployment.launch(&world.bench, process);
    }
    deployment.all_listen(&world.bench).await;
    let received = load.end().await;

    deployment.ends_well(&world, &received).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_of_replicas_under_load_lose_nothing() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice::seeded(seed);
    let (form, servers) = (Form::Distributed { replicas: 2 }, Servers::shared().await);
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), form, Some(servers)).await;
    let world = Arc::new(world);
    let load = Load::begin(&world, deployment.api(), seed);
    let mut left = victims(&deployment, &mut dice);
    let mut last = left[0];
    while let Some(next) = left.pop() {
        let is_hurry = dice.below(3) > 0;
        sleep(dice.millis(if is_hurry { HURRY_MS } else { REST_MS })).await;
        // Often the one that has just been started.
        let victim = if dice.below(4) == 0 { last } else { next };
        deployment.kill(&world.bench, victim).await;
        deployment.launch(&world.bench, victim);
        last = victim;
    }
    deployment.all_listen(&world.bench).await;
    let received = load.end().await;

    deployment.ends_well(&world, &received).await;
}

/// Every process about as often, in any order.
fn victims(deployment: &Deployment, dice: &mut Dice) -> Vec<Process> {
    let mut victims: Vec<Process> = deployment.processes().into_iter().cycle().take(KILLS).collect();
    for index in (1..victims.len()).rev() {
        victims.swap(index, dice.below(index + 1));
    }
    victims
}
