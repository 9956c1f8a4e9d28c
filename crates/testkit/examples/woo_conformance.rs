//! Replays the recorded REST transcripts against a shop and says where it answers otherwise.
//!
//! The shop is written to: orders are made and changed, quantities set. Point it at a shop that is there for tests, with the
//! recorded catalogue (by SKU, or by name).
#![expect(clippy::print_stdout, reason = "a command line tool speaks to its user")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use onhand_testkit::conformance::{Credentials, Target, Transcript, fixtures, load, replay};

#[derive(Debug, Parser)]
#[command(about = "Replays the recorded WooCommerce transcripts against a shop")]
struct Arguments {
    /// The shop's address over https (or where Basic authentication works), without a trailing slash.
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
    /// Only transcripts whose name begins so.
    #[arg(long)]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let secret = secret(&arguments)?;
    let target = Target {
        base_url: arguments.url.trim_end_matches('/').to_owned(),
        plain_url: arguments.plain_url,
        full: Credentials { key: arguments.key, secret },
        read_only: None,
        write_only: None,
        same_history: false,
    };
    let wanted = |transcript: &Transcript| {
        arguments.only.is_empty() || arguments.only.iter().any(|start| transcript.name.starts_with(start))
    };
    let transcripts: Vec<Transcript> = load(&fixtures("rest"))?.into_iter().filter(wanted).collect();
    if transcripts.is_empty() {
        bail!("no transcript begins with {}", arguments.only.join(" or "));
    }
    let report = replay(&target, &transcripts, &mut |_| {}).await?;
    for (name, reason) in report.skipped() {
        println!("skipped  {name}: {reason}");
    }
    for (name, places) in report.differing() {
        println!("differs  {name}\n    {}", places.join("\n    "));
    }
    let (agreed, differing) = (report.agreed(), report.differing().count());
    println!("{agreed} agree, {differing} differ, {} skipped", report.skipped().count());
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
