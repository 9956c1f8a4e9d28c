//! How many webhooks a second are answered once they are durable, and how soon, beside what remains if all that ingress
//! does is left out: the same clients against a plain server that appends the same bytes to a file, or publishes them with
//! the client library alone. `cargo run --release -p onhand-ingress --example webhook_rate [part…]`; it starts a broker.
#![expect(clippy::print_stdout, reason = "a measurement speaks to its user")]

mod cpu;
mod load;
mod pace;
mod raw;
mod served;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bus::Bus;
use serde_json::{Value, json};
use testkit::servers::Signal;
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::runtime::{Builder, Runtime};

use load::{Mode, Request};
use pace::Answered;
use raw::{Append, Raw};
use served::Ingress;

const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const SECRET: &str = "secret";
/// How long the broker's going and coming may take to be noticed.
const NOTICED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// As in the program; the plain server has it, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What each ratio must reach.
const LEAST_SPOOL: f64 = 0.5;
const LEAST_KEPT: f64 = 0.7;
const LEAST_EACH: f64 = 0.55;
const MOST_LATENCY: f64 = 3.0;
const LEAST_AWAY: f64 = 0.7;
const LEAST_DRAINED: f64 = 0.6;

/// What can be measured alone.
const PARTS: [&str; 5] = ["spool", "kept", "each", "latency", "outage"];

/// One figure, round by round, beside what was measured next to it.
#[derive(Debug, Default)]
struct Series {
    ours: Vec<f64>,
    limit: Vec<f64>,
}

impl Series {
    fn push(&mut self, ours: f64, limit: f64) {
        self.ours.push(ours);
        self.limit.push(limit);
    }

    fn figure(&self, name: &str, unit: &str, bound: Option<(&str, f64)>) -> Option<Value> {
        let ratios: Vec<f64> = self.ours.iter().zip(&self.limit).map(|(ours, limit)| ours / limit).collect();
        let (ours, limit, ratio) = (median(&self.ours)?, median(&self.limit)?, median(&ratios)?);
        let spread: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        println!("{name:<52} {ours:>9.2} {unit:<3} of {limit:>9.2}: {ratio:.2} ({})", spread.join(" "));
        let mut figure = json!({ "name": name, "unit": unit, "value": ours, "limit": limit, "ratio": ratio });
        if let Some((bound, value)) = bound {
            figure[bound] = value.into();
        }
        Some(figure)
    }
}

#[derive(Debug, Default)]
struct Measured {
    spool: Series,
    kept: Series,
    each: Series,
    latency: Series,
    /// The client library alone at the same rate: what no answer that waits for a confirm can be better than.
    library: Series,
    /// Answers beside single confirms of the same time, not of an idle broker.
    meanwhile: Series,
    refused: usize,
    away: Series,
    drained: Series,
    kept_micros: Vec<f64>,
    raw_micros: Vec<f64>,
}

/// The generator, and the threads of the server it drives.
struct Bench {
    load: Runtime,
    served: Runtime,
    parts: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    ensure!(parts.iter().all(|part| PARTS.contains(&part.as_str())), "the parts are: {}", PARTS.join(", "));
    let load = Builder::new_multi_thread().worker_threads(2).thread_name("load").enable_all().build()?;
    let bench = Bench { load, served: served::threads()?, parts };
    let folder = tempfile::tempdir_in(".")?;
    let mut measured = Measured::default();
    if bench.wants("spool") {
        for round in 0..ROUNDS {
            bench.spool(&folder.path().join(round.to_string()), &mut measured)?;
        }
    }
    if PARTS.iter().skip(1).any(|part| bench.wants(part)) {
        bench.broker(&folder.path().join("broker"), &mut measured)?;
    }
    println!("{}", json!({ "figures": measured.figures() }));
    Ok(())
}

impl Measured {
    fn figures(&self) -> Vec<Value> {
        let least = |least| Some(("least", least));
        let latency =
            self.latency.figure("99 % of answers at half of that, after", "ms", Some(("most", MOST_LATENCY)));
        let refused = latency.as_ref().map(|_| {
            json!({ "name": "answers other than 200 at half of that", "unit": "", "value": self.refused, "most": 0.0 })
        });
        let micros = median(&self.kept_micros).zip(median(&self.raw_micros)).map(|(ours, raw)| {
            println!("processor time a webhook: {ours:.1} µs, behind the plain server {raw:.1} µs");
            json!({ "name": "processor time a webhook, kept connections", "unit": "µs", "value": ours, "limit": raw, "ratio": ours / raw })
        });
        let figures = [
            self.spool.figure("into the spool, a connection each", "/s", least(LEAST_SPOOL)),
            self.kept.figure("to a broker, kept connections", "/s", least(LEAST_KEPT)),
            self.each.figure("to a broker, a connection each", "/s", least(LEAST_EACH)),
            micros,
            latency,
            refused,
            self.library.figure("99 % of confirms at that rate, library alone", "ms", None),
            self.meanwhile.figure("99 % of answers, of single confirms meanwhile", "ms", None),
            self.away.figure("the broker stopped, kept connections", "/s", least(LEAST_AWAY)),
            self.drained.figure("from the spool to the broker", "/s", least(LEAST_DRAINED)),
        ];
        figures.into_iter().flatten().collect()
    }
}

impl Bench {
    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    /// Answers a second.
    fn rate(&self, address: SocketAddr, request: &Request, mode: Mode) -> anyhow::Result<f64> {
        self.load.block_on(load::as_fast_as_answered(address, request, mode, ROUND))
    }

    /// The standalone form: no broker.
    fn spool(&self, folder: &Path, measured: &mut Measured) -> anyhow::Result<()> {
        std::fs::create_dir(folder)?;
        let ingress = self.served.block_on(Ingress::over_spool(folder))?;
        let ours = self.rate(ingress.address, &ingress.request, Mode::Each)?;
        self.served.block_on(ingress.stop());
        measured.spool.push(ours, self.appended(folder, Mode::Each)?);
        Ok(())
    }

    fn appended(&self, folder: &Path, mode: Mode) -> anyhow::Result<f64> {
        let append = self.served.block_on(Append::start(folder))?;
        let rate = self.rate(append.address, &Request::to(raw::PATH)?, mode)?;
        self.served.block_on(append.stop())?;
        Ok(rate)
    }

    fn broker(&self, folder: &Path, measured: &mut Measured) -> anyhow::Result<()> {
        std::fs::create_dir(folder)?;
        let broker = RabbitMq::own();
        let vhost = self.load.block_on(broker.vhost());
        let ingress = self.served.block_on(Ingress::over_broker(folder, &vhost.url()))?;
        // One webhook, to have its message.
        self.at_a_rate(&ingress, 1.0, Duration::from_millis(1))?;
        let raw = self.served.block_on(Raw::like_the_one_in(&vhost.url(), &ingress.queue))?;
        let (raw_address, server) = self.served.block_on(raw.serve())?;
        let raw_server = (raw_address, &raw);
        for round in 1..=ROUNDS {
            let rate = self.kept(&ingress, raw_server, measured)?;
            self.each(&ingress, raw_server, measured)?;
            self.latency(&ingress, &raw, rate, measured)?;
            println!("round {round} of {ROUNDS}");
        }
        drop(server);
        if self.wants("outage") {
            for _ in 0..ROUNDS {
                self.outage(folder, (&broker, &vhost), &ingress, &raw, measured)?;
            }
        }
        self.served.block_on(ingress.stop());
        Ok(())
    }

    fn kept(
        &self,
        ingress: &Ingress,
        raw: (SocketAddr, &Raw),
        measured: &mut Measured,
    ) -> anyhow::Result<f64> {
        if !self.wants("kept") && !self.wants("latency") {
            return Ok(0.0);
        }
        let (ours, micros) = self.timed(ingress.address, &ingress.request)?;
        self.load.block_on(raw.1.purge())?;
        let (limit, raw_micros) = self.timed(raw.0, &Request::to(raw::PATH)?)?;
        self.load.block_on(raw.1.purge())?;
        measured.kept.push(ours, limit);
        measured.kept_micros.push(micros);
        measured.raw_micros.push(raw_micros);
        Ok(ours)
    }

    /// Answers a second over kept connections, and the processor time of the server for each.
    fn timed(&self, address: SocketAddr, request: &Request) -> anyhow::Result<(f64, f64)> {
        let (before, began) = (cpu::served_micros()?, Instant::now());
        let rate = self.rate(address, request, Mode::Kept)?;
        let micros = f64::from(u32::try_from(cpu::served_micros()? - before)?);
        Ok((rate, micros / (rate * began.elapsed().as_secs_f64())))
    }

    fn each(
        &self,
        ingress: &Ingress,
        raw: (SocketAddr, &Raw),
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        if self.wants("each") {
            let ours = self.rate(ingress.address, &ingress.request, Mode::Each)?;
            self.load.block_on(raw.1.purge())?;
            let limit = self.rate(raw.0, &Request::to(raw::PATH)?, Mode::Each)?;
            self.load.block_on(raw.1.purge())?;
            measured.each.push(ours, limit);
        }
        Ok(())
    }

    fn latency(
        &self,
        ingress: &Ingress,
        raw: &Raw,
        rate: f64,
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        if self.wants("latency") {
            let half = rate / 2.0;
            let answered = self.at_a_rate(ingress, half, ROUND)?;
            self.load.block_on(raw.purge())?;
            let library = pace::at_a_rate(raw.callers(load::CONNECTIONS), half, ROUND);
            let library = self.load.block_on(library)?;
            self.load.block_on(raw.purge())?;
            let both = async {
                let callers = load::connected(ingress.address, &ingress.request).await?;
                tokio::try_join!(pace::at_a_rate(callers, half, ROUND), raw.one_by_one(ROUND))
            };
            let (busy, meanwhile) = self.load.block_on(both)?;
            self.load.block_on(raw.purge())?;
            let alone = self.load.block_on(raw.one_by_one(ROUND))?;
            self.load.block_on(raw.purge())?;
            let idle = late(&alone, 990)?;
            measured.latency.push(late(&answered.took, 990)?, idle);
            measured.library.push(late(&library.took, 990)?, idle);
            measured.meanwhile.push(late(&busy.took, 990)?, late(&meanwhile, 990)?);
            for (what, took) in [
                ("answers", &answered.took),
                ("confirms at the same rate, library alone", &library.took),
                ("single confirms meanwhile", &meanwhile),
                ("single confirms, nothing else", &alone),
            ] {
                let (half, most, worst) = (late(took, 500)?, late(took, 990)?, late(took, 999)?);
                println!(
                    "{what}: 50 % within {half:.2} ms, 99 % within {most:.2} ms, 99.9 % within {worst:.2} ms"
                );
            }
            measured.refused += answered.refused + busy.refused;
        }
        Ok(())
    }

    /// So many webhooks a second, each sent when it is due.
    fn at_a_rate(&self, ingress: &Ingress, rate: f64, lasts: Duration) -> anyhow::Result<Answered> {
        self.load.block_on(async {
            let callers = load::connected(ingress.address, &ingress.request).await?;
            pace::at_a_rate(callers, rate, lasts).await
        })
    }

    /// The broker goes, webhooks come, the broker comes again.
    fn outage(
        &self,
        folder: &Path,
        (broker, vhost): (&RabbitMq, &Vhost),
        ingress: &Ingress,
        raw: &Raw,
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        broker.kept().signal(Signal::Kill);
        until("the broker's end is noticed", || ingress.hints.reachable().is_err())?;
        let away = self.rate(ingress.address, &ingress.request, Mode::Kept)?;
        measured.away.push(away, self.appended(folder, Mode::Kept)?);
        let spooled = ingress.hints.unsent();
        broker.kept().start_again();
        let (drained, rest) = drained(&ingress.hints, spooled)?;
        let raw = self.load.block_on(raw.again(&vhost.url()))?;
        self.load.block_on(raw.purge())?;
        measured.drained.push(drained, self.load.block_on(raw.many(rest))?);
        self.load.block_on(raw.purge())
    }
}

/// Messages a second from the spool to the broker, and how many: from when the first of them were there.
fn drained(hints: &Bus, spooled: u64) -> anyhow::Result<(f64, usize)> {
    until("the broker takes messages again", || hints.unsent() < spooled)?;
    let (rest, began) = (u32::try_from(hints.unsent())?, Instant::now());
    until("the spool is empty", || hints.unsent() == 0)?;
    Ok((f64::from(rest) / began.elapsed().as_secs_f64(), usize::try_from(rest)?))
}

fn until(what: &str, so: impl Fn() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !so() {
        ensure!(began.elapsed() < NOTICED_WITHIN, "not within {NOTICED_WITHIN:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// What so many of 1,000 are below, in milliseconds.
fn late(took: &[Duration], of_thousand: usize) -> anyhow::Result<f64> {
    let at = took.len() * of_thousand / 1_000;
    Ok(took.get(at).context("nothing was answered")?.as_secs_f64() * 1_000.0)
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
