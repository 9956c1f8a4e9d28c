//! A fixed rate: each call begins when it is due, whatever became of those before.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Calls of one caller that may be late at once.
const LATE_MAX: usize = 4_096;

/// What is called at a fixed rate; each makes one call after the other.
pub(crate) trait Caller: Send + 'static {
    /// Whether the answer was the wanted one.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// What a fixed rate came to.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// From when a call was due to its answer, in order of length.
    pub(crate) took: Vec<Duration>,
    /// Answers that were not the wanted ones.
    pub(crate) refused: usize,
}

/// So many calls a second, given to the callers in turns.
pub(crate) async fn at_a_rate<C: Caller>(
    callers: Vec<C>,
    rate: f64,
    lasts: Duration,
) -> anyhow::Result<Answered> {
    let mut turns = Vec::new();
    let mut running = JoinSet::new();
    for mut caller in callers {
        let (turn, mut due) = mpsc::channel::<Instant>(LATE_MAX);
        turns.push(turn);
        running.spawn(async move {
            let mut answered = Answered::default();
            while let Some(due) = due.recv().await {
                if caller.call().await? {
                    answered.took.push(due.elapsed());
                } else {
                    answered.refused += 1;
                }
            }
            anyhow::Ok(answered)
        });
    }
    // A thread of its own: timers of the runtime are coarser than the answers.
    let clock = std::thread::spawn(move || -> anyhow::Result<()> {
        let start = Instant::now();
        let pause = Duration::from_secs_f64(1.0 / rate);
        let mut due = start;
        for turn in turns.iter().cycle() {
            if due.duration_since(start) >= lasts {
                break;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            turn.try_send(due).context("a caller does not keep up at all")?;
            due += pause;
        }
        Ok(())
    });
    let mut all = Answered::default();
    while let Some(answered) = running.join_next().await {
        let answered = answered??;
        all.took.extend(answered.took);
        all.refused += answered.refused;
    }
    clock.join().map_err(|_| anyhow::anyhow!("the clock panicked"))??;
    all.took.sort_unstable();
    Ok(all)
}
