//! Random work against a model that is a plain list.

use onhand_spool::{Limit, Outcome};
use proptest::prelude::*;

use crate::{Process, append};

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    /// Claim at most so many, then settle each by its letter: ack, retry, dead, leave.
    Work(usize, Vec<u8>),
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_u64).prop_map(Step::Append),
        6 => (1..30_usize, prop::collection::vec(0..8_u8, 30)).prop_map(|(most, fates)| Step::Work(most, fates)),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// A record as the model has it: key and attempts.
type Waiting = (u64, u32);

async fn play(steps: Vec<Step>) {
    let mut process = Process::start().await;
    let mut queue = process.queue().await;
    let mut consumer = queue.consumer().await.unwrap();
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut dead: Vec<Waiting> = Vec::new();
    let mut appended = 0;
    // The key after the newest one given out since the consumer began.
    let mut given_out = 0;
    for step in steps {
        match step {
            Step::Append(count) => {
                append(&queue, appended..appended + count).await;
                waiting.extend((appended..appended + count).map(|key| (key, 0)));
                appended += count;
            }
            Step::Work(most, fates) => {
                let limit = Limit { records: most, bytes: usize::MAX, together };
                let batch = consumer.claim(limit).await.unwrap();
                let real: Vec<Waiting> =
                    batch.iter().map(|claimed| (claimed.key, claimed.attempts)).collect();
                assert_eq!(real, expected_batch(&waiting, most));
                given_out = real.iter().map(|(key, _)| key + 1).max().unwrap_or(0).max(given_out);
                let mut outcomes = Vec::new();
                for (claimed, fate) in batch.iter().zip(fates) {
                    let outcome = match fate {
                        0..5 => Outcome::Ack,
                        5 => Outcome::Retry,
                        6 => Outcome::Dead { reason: "unwanted".to_owned() },
                        _ => continue,
                    };
                    apply(&mut waiting, &mut dead, claimed.key, &outcome);
                    outcomes.push((claimed.seq, outcome));
                }
                consumer.settle(outcomes).await.unwrap();
            }
            Step::Crash | Step::Restart => {
                consumer.flush().await.unwrap();
                drop((queue, consumer));
                process = if matches!(step, Step::Crash) {
                    process.killed().await
                } else {
                    process.restarted().await
                };
                queue = process.queue().await;
                assert_eq!(usize::try_from(queue.depth().await.unwrap().records).unwrap(), waiting.len());
                consumer = queue.consumer().await.unwrap();
                waiting
                    .iter_mut()
                    .filter(|(key, _)| *key < given_out)
                    .for_each(|(_, attempts)| *attempts += 1);
                given_out = 0;
            }
        }
    }
    consumer.flush().await.unwrap();
    assert_eq!(usize::try_from(consumer.backlog()).unwrap(), waiting.len());
    let buried = queue.dead(None, 1_000).await.unwrap();
    assert_eq!(buried.into_iter().map(|dead| (dead.key, dead.attempts)).collect::<Vec<_>>(), dead);
}

fn expected_batch(waiting: &[Waiting], most: usize) -> Vec<Waiting> {
    let fits = |count: &usize| {
        let all = waiting.iter().take(*count);
        *count == 1 || *count <= all.map(|record| together(record.1)).fold(most, usize::min)
    };
    let count = (1..=waiting.len()).take_while(fits).last().unwrap_or(0);
    waiting.iter().take(count).copied().collect()
}

/// Some that failed before come by threes, then alone.
fn together(attempts: u32) -> usize {
    match attempts {
        ..2 => usize::MAX,
        2 => 3,
        _ => 1,
    }
}

fn apply(waiting: &mut Vec<Waiting>, dead: &mut Vec<Waiting>, key: u64, outcome: &Outcome) {
    let at = waiting.iter().position(|(waiting, _)| *waiting == key).unwrap();
    match outcome {
        Outcome::Ack => {
            waiting.remove(at);
        }
        Outcome::Retry => waiting[at].1 += 1,
        Outcome::Dead { .. } => dead.push(waiting.remove(at)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_is_a_list(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
