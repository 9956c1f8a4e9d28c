//! Replays the recorded REST transcripts against a shop and says where it answers otherwise.
//!
//! It writes to the shop: it makes goods, orders and webhooks of its own, and deletes them at the end. Ends with 0 if all
//! answers agree, with 1 if some differ, it was interrupted or something was left behind, with 2 if the shop cannot be asked.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its user")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use onhand_testkit::conformance::{
    Credentials, Outcome, ReplayError, Report, Target, Transcript, census, fixtures, load, replay_anywhere,
};
use serde_json::{Value, json};

/// Some answer differs, or something was left in the shop.
const DIFFERS: u8 = 1;
/// Nothing can be said of the shop.
const CANNOT: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    about = "Replays the recorded WooCommerce transcripts against a shop",
    after_help = "It makes products, orders and webhooks, and deletes what it made. Orders send e-mails as the shop is set up \
                  to send them. Use a shop that is there for tests."
)]
struct Arguments {
    /// The shop's address, without a trailing slash.
    #[arg(long)]
    url: String,
    /// Consumer key that may read and write.
    #[arg(long)]
    key: String,
    /// File with its secret; `-` for standard input.
    #[arg(long, conflicts_with = "secret")]
    secret_file: Option<PathBuf>,
    /// Its secret. Other users of the machine can see it here; prefer `--secret-file`.
    #[arg(long, env = "ONHAND_WOO_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The shop's address over plain http, for what is answered otherwise there.
    #[arg(long)]
    plain_url: Option<String>,
    /// Goes on though the shop has orders or products of its own.
    #[arg(long)]
    yes: bool,
    /// Only transcripts whose name begins so. Most build on those before them, and are skipped without.
    #[arg(long)]
    only: Vec<String>,
    /// Prints one JSON object with every check.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(CANNOT)
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let transcripts = transcripts(&arguments.only)?;
    let target = target(&arguments)?;
    let (target, there) = match census(&target).await {
        // Over plain http WooCommerce believes no key but in a signature, and says no more than that.
        Err(ReplayError::Refused { status: 401, .. }) if target.base_url.starts_with("http://") => {
            let plain_url = target.plain_url.clone().or_else(|| Some(target.base_url.clone()));
            let target = Target { oauth: true, plain_url, ..target };
            let there = census(&target).await?;
            (target, there)
        }
        there => (target, there?),
    };
    if !arguments.yes && (there.order_count > 0 || there.other_product_count > 0) {
        bail!(
            "the shop has {} orders and {} products of its own: this is for shops that are there for tests. It would touch \
             nothing of theirs, but its orders count, and send e-mails. With --yes it goes on",
            there.order_count,
            there.other_product_count
        );
    }
    let stop = async {
        interrupted().await;
        eprintln!("interrupted: what was made is deleted; interrupt once more to leave it");
    };
    let give_up = async {
        interrupted().await;
        interrupted().await;
    };
    let (report, replayed) = replay_anywhere(&target, &transcripts, stop, give_up).await;
    if arguments.json {
        println!("{}", as_json(&target, &transcripts, &report, replayed.as_ref().err()));
    } else {
        print(&report, &transcripts);
    }
    replayed?;
    let is_clean = report.left.is_empty() && report.doubtful.is_empty() && !report.stopped;
    let agrees = report.differing().next().is_none() && is_clean;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then there is no other end than its own.
        std::future::pending::<()>().await;
    }
}

fn target(arguments: &Arguments) -> anyhow::Result<Target> {
    Ok(Target {
        base_url: arguments.url.trim_end_matches('/').to_owned(),
        plain_url: arguments.plain_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
        oauth: false,
        full: Credentials { key: arguments.key.clone(), secret: secret(arguments)? },
        read_only: None,
        write_only: None,
        same_history: false,
    })
}

fn transcripts(only: &[String]) -> anyhow::Result<Vec<Transcript>> {
    let wanted = |transcript: &Transcript| {
        only.is_empty() || only.iter().any(|start| transcript.name.starts_with(start))
    };
    let transcripts: Vec<Transcript> = load(&fixtures("rest"))?.into_iter().filter(wanted).collect();
    if transcripts.is_empty() {
        bail!("no transcript begins with {}", only.join(" or "));
    }
    Ok(transcripts)
}

fn request<'a>(transcripts: &'a [Transcript], name: &str) -> (&'a str, &'a str) {
    let found = transcripts.iter().find(|transcript| transcript.name == name);
    found.map_or(("", ""), |transcript| (&transcript.method, &transcript.path))
}

fn print(report: &Report, transcripts: &[Transcript]) {
    for (name, reason) in report.skipped() {
        println!("skipped  {name}: {reason}");
    }
    for (name, places) in report.differing() {
        let (method, path) = request(transcripts, name);
        println!("differs  {name}  {method} {path}");
        for place in places {
            println!("    {place}");
        }
    }
    for path in &report.left {
        println!("left     {path}: it could not be deleted; do it by hand");
    }
    for list in &report.doubtful {
        println!("unknown  {list}: a call got no answer; one more may have been made, see the newest");
    }
    let (agreed, differing) = (report.agreed(), report.differing().count());
    println!("{agreed} agree, {differing} differ, {} skipped", report.skipped().count());
    if report.stopped {
        println!("interrupted; the others were not asked");
    }
}

fn as_json(
    target: &Target,
    transcripts: &[Transcript],
    report: &Report,
    failure: Option<&ReplayError>,
) -> Value {
    let check = |(name, outcome): &(String, Outcome)| {
        let (method, path) = request(transcripts, name);
        let mut check = json!({ "name": name, "method": method, "path": path });
        let word = match outcome {
            Outcome::Agrees => "agrees",
            Outcome::Differs(places) => {
                let places = places
                    .iter()
                    .map(|place| json!({ "at": place.at, "recorded": place.recorded, "found": place.found }));
                check["differences"] = places.collect();
                "differs"
            }
            Outcome::Skipped(reason) => {
                check["reason"] = reason.as_str().into();
                "skipped"
            }
        };
        check["outcome"] = word.into();
        check
    };
    json!({
        "url": target.base_url,
        "agree": report.agreed(),
        "differ": report.differing().count(),
        "skipped": report.skipped().count(),
        "stopped": report.stopped,
        "failure": failure.map(ToString::to_string),
        "left": report.left,
        "doubtful": report.doubtful,
        "checks": report.outcomes.iter().map(check).collect::<Vec<_>>(),
    })
}

fn secret(arguments: &Arguments) -> anyhow::Result<String> {
    let read = match (&arguments.secret, &arguments.secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(path)) if path.as_os_str() == "-" => {
            std::io::read_to_string(std::io::stdin()).context("no secret on standard input")?
        }
        (None, Some(path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, None) => bail!("give the key's secret with --secret-file FILE (or - for standard input)"),
    };
    Ok(read.trim().to_owned())
}
