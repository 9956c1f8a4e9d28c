//! What the standalone process costs: time from start to its first answer, and memory.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::root::root;
use crate::run::run_unseen;

/// It answers long before, or something is wrong.
const START_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);
const IDLE_FOR: Duration = Duration::from_secs(3);
const LOADED: [&str; 6] = ["demo", "--for", "20s", "--orders-per-second", "100", "--json"];
const ROUNDS: usize = 5;
/// What has to be reached; of memory as much as three services may have, for it is all of them.
const MOST_START_MS: f64 = 200.0;
const MOST_IDLE_MIB: f64 = 90.0;
const MOST_LOADED_MIB: f64 = 384.0;

pub(super) fn measure() -> anyhow::Result<Vec<Value>> {
    run_unseen(&["cargo", "build", "--release", "--locked", "--package", "onhand"])?;
    let mut starts = Vec::new();
    let mut idle = 0;
    for _ in 0..ROUNDS {
        let (took, memory) = start_and_idle()?;
        starts.push(took.as_secs_f64() * 1_000.0);
        idle = idle.max(memory);
    }
    starts.sort_by(f64::total_cmp);
    let start = starts.get(ROUNDS / 2).copied().unwrap_or_default();
    let mut demo = onhand(&LOADED)?;
    let mut loaded = 0;
    while demo.try_wait()?.is_none() {
        loaded = loaded.max(memory(&demo, "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(200));
    }
    let figure = |name: &str, value: f64, unit: &str, most: f64| json!({ "name": name, "value": value, "unit": unit, "most": most });
    Ok(vec![
        figure("start to the first 2xx, with a new data directory", start, "ms", MOST_START_MS),
        figure("memory, idle", mebibytes(idle), "MiB", MOST_IDLE_MIB),
        figure("memory, 100 orders/s, two fake shops included", mebibytes(loaded), "MiB", MOST_LOADED_MIB),
    ])
}

fn start_and_idle() -> anyhow::Result<(Duration, u64)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let data = tempfile::tempdir()?;
    let folder = data.path().to_str().context("the path of a temporary directory is text")?;
    let began = Instant::now();
    let mut child = onhand(&["up", "--data-dir", folder, "--listen", &address.to_string()])?;
    let answered = first_answer(address, began);
    std::thread::sleep(IDLE_FOR);
    let memory = memory(&child, "VmRSS:");
    child.kill()?;
    child.wait()?;
    Ok((answered?, memory.context("the process is gone")?))
}

fn first_answer(address: SocketAddr, began: Instant) -> anyhow::Result<Duration> {
    while began.elapsed() < START_MAX {
        if healthy(address).unwrap_or(false) {
            return Ok(began.elapsed());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("no answer within {START_MAX:?}")
}

fn healthy(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_MAX))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn onhand(arguments: &[&str]) -> anyhow::Result<Child> {
    let program = root().join("target/release/onhand");
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("cannot start {}", program.display()))
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(child: &Child, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}

fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1_024.0
}
