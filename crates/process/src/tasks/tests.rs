//! Early ends, the order of stopping, the deadline.

use std::future::{pending, ready};

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
#[error("the queue is gone")]
struct QueueGone {
    source: std::io::Error,
}

/// A shutdown that never comes.
fn never() -> std::future::Pending<&'static str> {
    pending()
}

fn early(exit: Exit) -> String {
    match exit {
        Exit::TaskEnded(early) => early.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_returns_ends_the_process() {
    let tasks = Tasks::new();
    let stop = tasks.stopping(Stage::Work);
    tasks.spawn("other", async move { stop.cancelled().await });
    tasks.spawn("short", ready(()));
    let exit = tasks.run(never, &Health::new(), DEADLINE).await;
    assert_eq!(exit.number(), 70);
    assert_eq!(early(exit), "task short returned although nobody told it to");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_ends_the_process_with_every_cause() {
    let tasks = Tasks::new();
    let error = QueueGone { source: std::io::Error::other("connection reset") };
    tasks.spawn("consumer", ready(Err::<(), _>(error)));
    let exit = tasks.run(never, &Health::new(), DEADLINE).await;
    assert_eq!(early(exit), "task consumer failed: the queue is gone: connection reset");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_ends_the_process() {
    let tasks = Tasks::new();
    tasks.spawn("broken", async {
        assert!(DEADLINE.is_zero(), "a number went wrong");
    });
    let exit = tasks.run(never, &Health::new(), DEADLINE).await;
    assert_eq!(early(exit), "task broken panicked: a number went wrong");
}

#[tokio::test(start_paused = true)]
async fn stages_stop_in_order_and_readiness_goes_first() {
    let tasks = Tasks::new();
    let health = Health::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let stages =
        [(Stage::Relay, "relay"), (Stage::Serve, "serve"), (Stage::Intake, "intake"), (Stage::Work, "work")];
    for (stage, name) in stages {
        let (stop, order, health) = (tasks.stopping(stage), Arc::clone(&order), health.clone());
        tasks.spawn_in(stage, name, async move {
            stop.cancelled().await;
            assert!(!health.report().ready);
            tokio::time::sleep(Duration::from_secs(1)).await;
            lock(&order).push(name);
        });
    }
    let mut signals = 0;
    let shutdown = || {
        signals += 1;
        if signals == 1 { ready("SIGTERM").left_future() } else { pending().right_future() }
    };
    let exit = tasks.run(shutdown, &health, DEADLINE).await;
    assert_eq!(exit, Exit::Stopped);
    assert_eq!(*lock(&order), ["intake", "serve", "work", "relay"]);
    assert_eq!(exit.number(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_for_the_grace_while_no_work_is_taken_in() {
    let (tasks, grace) = (Tasks::new(), Duration::from_secs(3));
    let started = Instant::now();
    let ended = Arc::new(Mutex::new(Vec::new()));
    for stage in Stage::ALL {
        let (stop, ended) = (tasks.stopping(stage), Arc::clone(&ended));
        tasks.spawn_in(stage, "task", async move {
            stop.cancelled().await;
            lock(&ended).push((stage, started.elapsed()));
        });
    }
    // The deadline is not shortened by it.
    let overdue = tasks.drain(Drain { grace, deadline: Duration::from_millis(1) }).await;
    assert_eq!(overdue, Vec::<String>::new());
    let expected = [Duration::ZERO, grace, grace, grace];
    assert_eq!(*lock(&ended), Stage::ALL.into_iter().zip(expected).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn overdue_tasks_are_named_and_do_not_keep_later_stages_from_flushing() {
    let tasks = Tasks::new();
    tasks.spawn_in(Stage::Intake, "stuck", pending::<()>());
    let stop = tasks.stopping(Stage::Relay);
    let (flushed, was_flushed) = tokio::sync::oneshot::channel();
    tasks.spawn_in(Stage::Relay, "relay", async move {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        flushed.send(()).expect("the test waits for it");
    });
    let started = Instant::now();
    assert_eq!(tasks.drain(DEADLINE).await, ["stuck"]);
    assert_eq!(started.elapsed(), DEADLINE);
    assert_eq!(was_flushed.await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_late_but_before_the_deadline_is_not_overdue() {
    let tasks = Tasks::new();
    let stop = tasks.stopping(Stage::Intake);
    tasks.spawn_in(Stage::Intake, "slow", async move {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_secs(9)).await;
    });
    assert_eq!(tasks.drain(DEADLINE).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_stops_at_once() {
    let tasks = Tasks::new();
    tasks.spawn("stuck", pending::<()>());
    let started = Instant::now();
    let exit = tasks.run(|| ready("SIGINT"), &Health::new(), DEADLINE).await;
    assert_eq!(exit, Exit::Overdue(vec!["stuck".to_owned()]));
    assert_eq!(exit.number(), 75);
    assert!(started.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_is_really_gone() {
    let tasks = Tasks::new();
    let (held, gone) = tokio::sync::oneshot::channel::<()>();
    tasks.spawn("stuck", async move {
        pending::<()>().await;
        drop(held);
    });
    assert_eq!(tasks.drain(DEADLINE).await, ["stuck"]);
    let gone = tokio::time::timeout(DEADLINE, gone).await.expect("it is cut off at once");
    gone.expect_err("its state was dropped with it");
}
