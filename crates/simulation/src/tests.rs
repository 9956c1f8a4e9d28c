//! Every scenario passes as designed and fails with each bug it is there for; random runs pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Bug, Scenario, run_seed, scenarios};

/// Random runs of the test suite; thousands more are run on demand.
const SEEDS: u64 = 1_000;

fn failures(scenario: &Scenario, bug: Option<Bug>) -> Vec<String> {
    (0..3).flat_map(|seed| scenario.run(seed, bug, false).failures).collect()
}

#[test]
fn scenarios_pass_as_designed() {
    for scenario in scenarios() {
        let failures = failures(&scenario, None);
        assert!(failures.is_empty(), "{}: {failures:#?}", scenario.name);
    }
}

#[test]
fn scenarios_notice_their_bugs() {
    let mut missed = Vec::new();
    for scenario in scenarios() {
        for bug in scenario.caught {
            let caught = catch_unwind(AssertUnwindSafe(|| !failures(&scenario, Some(*bug)).is_empty()));
            if !caught.unwrap_or(true) {
                missed.push((scenario.name, *bug));
            }
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

#[test]
fn random_runs_pass() {
    for seed in 0..SEEDS {
        let report = run_seed(seed, false);
        assert!(report.failures.is_empty(), "seed {seed}: {:#?}", report.failures);
    }
}
