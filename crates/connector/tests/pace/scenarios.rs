//! What each kind of limit comes to.

use std::time::Duration;

use onhand_connector::{CALLS_PER_REFUSAL, Ceiling, PaceConfig};

use crate::shop::{Phase, Run, SECOND, Shop, Tells};

/// Enough for 100 calls a second of 100 ms each.
const WIDE: PaceConfig = PaceConfig {
    start: 1,
    min: 1,
    max: 64,
    pause: SECOND,
    pause_max: Duration::from_hours(1),
    ceiling: None,
};
/// Of a limit, in thousandths.
const USED_MIN: u32 = 900;
/// Of all calls, in thousandths.
const REFUSED_MAX: u32 = 10;
/// How much a shop saves up, in milliseconds of its limit.
const SAVES: [u32; 4] = [0, 200, 1_000, 10_000];

/// Seconds after `from` from which on the limit is made use of for ten seconds.
fn settled(run: &Run, from: u64, end: u64) -> u64 {
    let found = (from..end - 10).find(|at| run.used(*at, at + 10) >= USED_MIN);
    found.unwrap_or(end) - from
}

#[test]
fn a_hidden_limit_is_used_and_not_exceeded() {
    for tells in [Tells::Nothing, Tells::Seconds] {
        for saves_ms in SAVES {
            for limit in [1, 2, 5, 10, 30, 100] {
                // The first minute is for learning; then so long that one refusal in a hundred can be seen.
                let end = if limit < 10 { 3_660 } else { 660 };
                let shop = Shop { saves_ms, tells, ..Shop::with_limit(limit) };
                let run = Run::new(shop, WIDE).until(end);
                let (used, refused) = (run.used(60, end), run.refused(60, end));
                assert!(used >= USED_MIN, "{tells:?}, saves {saves_ms} ms, {limit}/s: used {used}");
                assert!(refused <= REFUSED_MAX, "{tells:?}, saves {saves_ms} ms, {limit}/s: {refused}");
            }
        }
    }
}

#[test]
fn a_limit_that_falls_is_found_within_ten_seconds() {
    for tells in [Tells::Nothing, Tells::Seconds] {
        for saves_ms in SAVES {
            for (before, after) in [(100, 50), (100, 30), (50, 20), (20, 10)] {
                let shop =
                    Shop { saves_ms, tells, ..Shop::with_limit(before) }.then(300, Phase::Limit(after));
                let run = Run::new(shop, WIDE).until(400);
                let (took, refused) = (settled(&run, 300, 400), run.refused(0, 400));
                // Where it asks us to stay away for a second each time, those do not count.
                let asked =
                    if tells == Tells::Seconds { u64::from(run.count(429, 300, 310)).min(5) } else { 0 };
                assert!(took <= 10 + asked, "{tells:?}, saves {saves_ms} ms, {before} to {after}: {took} s");
                assert!(
                    refused <= REFUSED_MAX,
                    "{tells:?}, saves {saves_ms} ms, {before} to {after}: {refused}"
                );
            }
        }
    }
}

#[test]
fn a_limit_that_rises_is_found_within_ten_seconds_of_the_calls_that_risking_a_refusal_needs() {
    for saves_ms in SAVES {
        for (before, after) in [(50, 100), (30, 100), (20, 40), (10, 20), (10, 100)] {
            let shop = Shop { saves_ms, ..Shop::with_limit(before) }.then(300, Phase::Limit(after));
            let run = Run::new(shop, WIDE).until(500);
            // What was refused last has to be outweighed by calls that were taken, at the old rate.
            let in_last = run.count(429, 270, 300).max(2);
            let earned = u64::from(in_last * CALLS_PER_REFUSAL / before);
            let (took, refused) = (settled(&run, 300, 500), run.refused(0, 500));
            assert!(took <= 10 + earned, "saves {saves_ms} ms, {before} to {after}: {took} s");
            assert!(refused <= REFUSED_MAX, "saves {saves_ms} ms, {before} to {after}: {refused}");
        }
    }
}

#[test]
fn a_shop_that_was_down_is_at_its_limit_again_within_ten_seconds() {
    for down in [1, 5, 20] {
        let shop = Shop::with_limit(50).then(100, Phase::Down).then(100 + down, Phase::Limit(50));
        let run = Run::new(shop, WIDE).until(200);
        let took = settled(&run, 100 + down, 200);
        assert!(took <= 10, "down for {down} s: {took} s");
    }
}

#[test]
fn a_shop_of_few_cores_is_kept_busy_and_not_flooded() {
    for cores in [1, 2, 4, 8] {
        let shop = Shop { cores, saves_ms: 1_000, ..Shop::with_limit(100_000) };
        let run = Run::new(shop, WIDE).until(100);
        let most = usize::try_from(cores).unwrap() * 2 + 1;
        assert!(run.most_at_once <= most, "{cores} cores: {} calls at once", run.most_at_once);
        // 110 ms on the average.
        let bears = cores * 50_000 / 110;
        assert!(run.count(200, 50, 100) * 1_000 / bears >= USED_MIN, "{cores} cores");
    }
}

#[test]
fn a_ceiling_holds_in_any_minute() {
    for calls in [6, 60, 280, 6_000] {
        let burst = (calls / 6_u32).max(1);
        let ceiling = Ceiling { burst, period: Duration::from_mins(1) / (calls - burst) };
        let run =
            Run::new(Shop::with_limit(100_000), PaceConfig { ceiling: Some(ceiling), ..WIDE }).until(300);
        let mut starts: Vec<Duration> = run.made.iter().map(|made| made.started).collect();
        starts.sort_unstable();
        let most = usize::try_from(calls).unwrap();
        for window in starts.windows(most + 1) {
            let span = window[most] - window[0];
            assert!(span >= Duration::from_mins(1), "{calls} a minute: one more after {span:?}");
        }
        assert!(starts.len() >= most * 4, "{calls} a minute: only {} in five", starts.len());
    }
}

#[test]
fn what_a_shop_asks_for_is_waited_for() {
    let shop = Shop { tells: Tells::Seconds, ..Shop::with_limit(30) };
    let run = Run::new(shop, WIDE).until(100);
    let mut refusals = run.made.iter().filter(|made| made.status == 429).peekable();
    assert!(refusals.peek().is_some());
    for refused in refusals {
        let inside = run.made.iter().filter(|made| made.started > refused.ends);
        let first = inside.map(|made| made.started).min().unwrap();
        assert!(first >= refused.ends + SECOND, "{first:?} after {:?}", refused.ends);
    }
}

#[test]
fn a_shop_that_refused_all_for_an_hour_is_called_as_before_half_an_hour_later() {
    let shop = Shop::with_limit(50).then(100, Phase::Limit(0)).then(3_700, Phase::Limit(50));
    let run = Run::new(shop, WIDE).until(5_600);
    let used = run.used(5_500, 5_560);
    assert!(used >= USED_MIN, "{used}");
    let refused = run.count(429, 100, 3_700);
    assert!(refused <= 150, "{refused} calls in an hour in which it refused all");
}
