//! Runs the simulation from the command line: seeds by the thousand, one scenario, or every rule broken once.
#![expect(clippy::print_stdout, reason = "a command line tool speaks to its user")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use onhand_simulation::{Report, Scenario, run_seed, scenarios};

/// Scenarios draw the small delays of a run by a seed, too; these are tried.
const SCENARIO_SEEDS: u64 = 20;

/// Seeds that failed and are listed; more are only counted.
const LISTED_MAX: usize = 20;

#[derive(Debug, Parser)]
#[command(about = "Simulates shops, buyers and faults on virtual time, and judges by an oracle")]
struct Arguments {
    /// How many random runs.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only the scenario of this name.
    #[arg(long, conflicts_with = "bugs")]
    scenario: Option<String>,
    /// Breaks every rule once, and says which scenario noticed.
    #[arg(long)]
    bugs: bool,
    /// Prints what happened, line by line, in the scenario or in the first seed.
    #[arg(long)]
    trace: bool,
    /// Prints the summary as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Runs at a time; the machine's cores unless told.
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let passed = if arguments.bugs {
        break_every_rule()
    } else if let Some(name) = &arguments.scenario {
        run_scenario(name, arguments.trace)
    } else if arguments.trace {
        show(&run_seed(arguments.from, true))
    } else {
        let named = run_all_scenarios();
        sweep(&arguments) && named
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_scenario(name: &str, trace: bool) -> bool {
    let Some(scenario) = scenarios().into_iter().find(|scenario| scenario.name == name) else {
        println!("there is no scenario {name:?}; there are:");
        for scenario in scenarios() {
            println!("  {}", scenario.name);
        }
        return false;
    };
    if trace {
        return show(&scenario.run(0, None, true));
    }
    passes(&scenario)
}

fn run_all_scenarios() -> bool {
    // All are run, also after one has failed.
    scenarios().iter().filter(|scenario| !passes(scenario)).count() == 0
}

fn passes(scenario: &Scenario) -> bool {
    let failed = (0..SCENARIO_SEEDS).find_map(|seed| {
        let failures = scenario.run(seed, None, false).failures;
        (!failures.is_empty()).then_some((seed, failures))
    });
    match failed {
        None => println!("ok      {}", scenario.name),
        Some((seed, ref failures)) => println!("FAILED  {} (seed {seed}): {failures:#?}", scenario.name),
    }
    failed.is_none()
}

fn show(report: &Report) -> bool {
    for line in report.trace.iter().chain(&report.failures) {
        println!("{line}");
    }
    report.failures.is_empty()
}

fn break_every_rule() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = 0_u32;
    for scenario in scenarios() {
        for bug in scenario.caught {
            let notices = |seed| {
                let run = || !scenario.run(seed, Some(*bug), false).failures.is_empty();
                // An assertion of the ledger that fails has noticed as well.
                catch_unwind(AssertUnwindSafe(run)).unwrap_or(true)
            };
            let noticed = (0..SCENARIO_SEEDS).any(notices);
            missed += u32::from(!noticed);
            println!("{}  {bug:?} by {:?}", if noticed { "noticed" } else { "MISSED " }, scenario.name);
        }
    }
    missed == 0
}

/// Runs seeds on several threads; which thread runs which does not matter.
fn sweep(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from.saturating_add(arguments.seeds);
    let work = || {
        let mut sum = Sum::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return sum;
            }
            sum.add(seed, &run_seed(seed, false));
        }
    };
    let sums: Vec<Sum> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a run does not panic")).collect()
    });
    let sum = sums.into_iter().fold(Sum::default(), Sum::and);
    sum.print(arguments, began.elapsed());
    sum.failed.is_empty()
}

#[derive(Debug, Default)]
struct Sum {
    order_count: u64,
    push_count: u64,
    fault_count: u64,
    event_count: u64,
    virtual_time: Duration,
    failed: Vec<(u64, String)>,
}

impl Sum {
    fn add(&mut self, seed: u64, report: &Report) {
        self.order_count += report.order_count;
        self.push_count += report.push_count;
        self.fault_count += report.fault_count;
        self.event_count += report.event_count;
        self.virtual_time += report.virtual_time;
        self.failed.extend(report.failures.first().map(|failure| (seed, failure.clone())));
    }

    fn and(mut self, other: Self) -> Self {
        self.order_count += other.order_count;
        self.push_count += other.push_count;
        self.fault_count += other.fault_count;
        self.event_count += other.event_count;
        self.virtual_time += other.virtual_time;
        self.failed.extend(other.failed);
        self
    }

    fn print(&self, arguments: &Arguments, took: Duration) {
        let failed = self.failed.len();
        let faster = self.virtual_time.as_secs() / took.as_secs().max(1);
        for (seed, failure) in self.failed.iter().take(LISTED_MAX) {
            println!("seed {seed}: {failure}");
        }
        if arguments.json {
            println!(
                "{{\"seeds\":{},\"failed\":{failed},\"orders\":{},\"pushes\":{},\"faults\":{},\"events\":{},\
                 \"virtual_seconds\":{},\"seconds\":{:.3},\"times_real_time\":{faster}}}",
                arguments.seeds,
                self.order_count,
                self.push_count,
                self.fault_count,
                self.event_count,
                self.virtual_time.as_secs(),
                took.as_secs_f64(),
            );
        } else {
            println!(
                "{} seeds, {} simulated orders, {} pushes, {} faults: {failed} failed. {} h of virtual time in {:.1} s \
                 ({faster} times real time)",
                arguments.seeds,
                self.order_count,
                self.push_count,
                self.fault_count,
                self.virtual_time.as_secs() / 3_600,
                took.as_secs_f64(),
            );
        }
    }
}
