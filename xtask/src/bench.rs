//! `cargo xtask bench`: every figure beside a limit measured in the same run, as a table and as JSON.
//!
//! A bench is an example program that prints its figures as one line of JSON, the last it prints:
//! `{"figures":[{"name":…,"value":…,"unit":…,"limit":…,"ratio":…,"least":…,"most":…}]}`. `limit` is what was measured beside
//! it, `ratio` what the figure is of that; `least` or `most` is what the ratio (without one, the value) must reach.

mod footprint;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::root::root;
use crate::run::{output, run_unseen};

const INVENTORY_SKUS: &str = "100000";
const INVENTORY_ORDERS: &str = "20000";

/// Not an example: the process itself is looked at from outside.
const FOOTPRINT: &str = "";

/// Examples that run `onhand` itself.
const NEED_THE_PROGRAM: [&str; 2] = ["end_to_end", "agreement"];

struct Bench {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    arguments: &'static [&'static str],
}

const BENCHES: [Bench; 14] = [
    Bench {
        name: "inventory",
        about: "orders from the queue to the ledger on SQLite, beside a raw insert of the same rows",
        example: "batch_rate",
        arguments: &[],
    },
    Bench {
        name: "orders",
        about: "orders from a broker to PostgreSQL, beside raw inserts, a transaction for each, and one row that all update",
        example: "order_rate",
        arguments: &["orders"],
    },
    Bench {
        name: "fan-out",
        about: "the same where fifty shops sell each SKU",
        example: "order_rate",
        arguments: &["fan-out"],
    },
    Bench {
        name: "flat",
        about: "processor time of an order with many SKUs and shops, beside the same with few",
        example: "order_rate",
        arguments: &["flat"],
    },
    Bench {
        name: "ingress",
        about: "webhooks to a broker of its own and into the spool, beside the same bytes sent there raw",
        example: "webhook_rate",
        arguments: &[],
    },
    Bench {
        name: "egress",
        about: "calls beside the fewest there can be, and beside a call for each change; after an outage",
        example: "economy",
        arguments: &[],
    },
    Bench {
        name: "race",
        about: "sold units that pushes put back, and units sold that were not there, beside other ways to write",
        example: "agreement",
        arguments: &["race"],
    },
    Bench {
        name: "reconcile",
        about: "a large shop changed behind onhand's back, compared as a whole while it sells: all found, each put right once",
        example: "agreement",
        arguments: &["reconcile"],
    },
    Bench { name: "simulation", about: "virtual time beside real time", example: "pace", arguments: &[] },
    Bench {
        name: "footprint",
        about: "memory, and time from start to the first answer",
        example: FOOTPRINT,
        arguments: &[],
    },
    Bench {
        name: "end-to-end",
        about: "an order from shop to shop through three processes beside its floor, and what each process costs",
        example: "end_to_end",
        arguments: &[],
    },
    Bench {
        name: "spool",
        about: "durable appends, beside a raw append gathered the same way",
        example: "append_rate",
        arguments: &[],
    },
    Bench {
        name: "broker",
        about: "publishing to a broker of its own and emptying the spool, beside the client library alone",
        example: "amqp_rate",
        arguments: &[],
    },
    Bench {
        name: "store",
        about: "saving batches, beside a raw insert of the same rows",
        example: "save_rate",
        arguments: &[],
    },
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which; all unless told.
    names: Vec<String>,
    /// Prints JSON alone.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(unknown) =
            self.names.iter().find(|name| !BENCHES.iter().any(|bench| bench.name == **name))
        {
            let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
            bail!("there is no bench {unknown:?}; there are: {}", known.join(", "));
        }
        let wanted =
            |bench: &&Bench| self.names.is_empty() || self.names.iter().any(|name| name == bench.name);
        // All at once: built one by one, each would choose other features of the same libraries, and build those again.
        run_unseen(&["cargo", "build", "--release", "--locked", "--workspace", "--examples"])?;
        let mut results = Vec::new();
        let mut missed = Vec::new();
        for bench in BENCHES.iter().filter(wanted) {
            let figures = figures(bench)?;
            if !self.json {
                println!("\n{}: {}", bench.name, bench.about);
            }
            for figure in &figures {
                let reached = reached(figure);
                if !self.json {
                    println!("{}", line(figure, reached));
                }
                if reached == Some(false) {
                    missed.push(format!("{}: {}", bench.name, figure["name"].as_str().unwrap_or_default()));
                }
            }
            results.push(json!({ "bench": bench.name, "figures": figures }));
        }
        if self.json {
            println!("{}", json!({ "benches": results }));
        }
        if !missed.is_empty() {
            bail!("not reached: {}", missed.join("; "));
        }
        Ok(())
    }
}

fn figures(bench: &Bench) -> anyhow::Result<Vec<Value>> {
    if bench.example == FOOTPRINT {
        return footprint::measure();
    }
    if NEED_THE_PROGRAM.contains(&bench.example) {
        run_unseen(&["cargo", "build", "--release", "--locked", "--package", "onhand"])?;
    }
    let mut arguments: Vec<String> = bench.arguments.iter().map(|word| (*word).to_owned()).collect();
    if bench.name == "inventory" {
        // Its limit: the same rows written raw, measured right before.
        let raw = example("save_rate", &[])?;
        let limit =
            raw.first().and_then(|figure| figure["limit"].as_f64()).context("the store gave no limit")?;
        arguments = vec![INVENTORY_SKUS.to_owned(), INVENTORY_ORDERS.to_owned(), format!("{limit:.0}")];
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    example(bench.example, &arguments)
}

fn example(example: &str, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let program = root().join("target/release/examples").join(example);
    let program = program.to_str().context("the path of the project is text")?;
    let mut line = vec![program];
    line.extend(arguments);
    let printed = output(&line)?;
    let last = printed.lines().rev().find(|line| line.starts_with('{'));
    let last = last.with_context(|| format!("{example} printed no figures"))?;
    let parsed: Value = serde_json::from_str(last).context("its figures are no JSON")?;
    parsed["figures"].as_array().cloned().context("its JSON has no figures")
}

/// `None` where nothing was to be reached.
fn reached(figure: &Value) -> Option<bool> {
    let measured = figure["ratio"].as_f64().or_else(|| figure["value"].as_f64())?;
    if let Some(least) = figure["least"].as_f64() {
        return Some(measured >= least);
    }
    figure["most"].as_f64().map(|most| measured <= most)
}

fn line(figure: &Value, reached: Option<bool>) -> String {
    let number = |key: &str| figure[key].as_f64();
    let text = |key: &str| figure[key].as_str().unwrap_or_default();
    let value = number("value").unwrap_or_default();
    let limit = number("limit").zip(number("ratio"));
    let limit = limit.map_or(String::new(), |(limit, ratio)| format!(" of {limit:>14.1} = {ratio:>8.2}"));
    let least = number("least").map(|least| format!("  (at least {least})"));
    let most = number("most").map(|most| format!("  (at most {most})"));
    let verdict = match reached {
        Some(true) => "  reached",
        Some(false) => "  NOT REACHED",
        None => "",
    };
    let goal = least.or(most).unwrap_or_default();
    format!("  {:<44} {value:>14.1} {:<10}{limit}{goal}{verdict}", text("name"), text("unit"))
}
