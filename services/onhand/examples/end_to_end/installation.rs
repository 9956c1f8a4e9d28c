//! The three services as processes of their own over throwaway servers, and what they cost.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use testkit::servers::free_ports;
use testkit::servers::postgres::{Database, Postgres};
use testkit::servers::rabbitmq::RabbitMq;

pub(crate) const SERVICES: [&str; 3] = ["ingress", "inventory", "egress"];
/// It is ready long before, or something is wrong.
const READY_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Everything gathers and waits as little as can be set: what is left is what the work takes.
const SETTINGS: [(&str, &str); 5] = [
    ("ONHAND_INVENTORY_BATCH_WAIT_MS", "0"),
    ("ONHAND_EGRESS_FLUSH_WINDOW_MS", "0"),
    ("ONHAND_SHOP_CALLS_PER_MINUTE_MAX", "60000"),
    ("ONHAND_SHOP_READS_PERCENT", "10"),
    ("ONHAND_PROCESS_LOG_LEVEL", "warn"),
];

/// What a service keeps in memory, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) most: f64,
}

/// Servers, and the processes that run over them. All of it ends with this.
#[derive(Debug)]
pub(crate) struct Installation {
    program: PathBuf,
    folder: TempDir,
    settings: BTreeMap<String, String>,
    listen: BTreeMap<&'static str, SocketAddr>,
    running: BTreeMap<&'static str, Child>,
    pub(crate) database: Database,
    pub(crate) broker_url: String,
    _broker: RabbitMq,
}

impl Installation {
    /// Servers that are prepared; no service runs yet. The database may count its statements, which costs some of it.
    pub(crate) async fn prepare(counts: bool) -> anyhow::Result<Self> {
        let broker = RabbitMq::own();
        let server = if counts { Postgres::counting() } else { Postgres::durable() };
        let broker_url = broker.vhost().await.url();
        let database = server.database("nothing", |_| async {}).await;
        let folder = tempfile::tempdir_in(".")?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut settings: BTreeMap<String, String> =
            SETTINGS.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let ports = free_ports(SERVICES.len());
        let listen: BTreeMap<_, _> = SERVICES
            .into_iter()
            .zip(ports)
            .map(|(service, port)| (service, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
            .collect();
        for (service, address) in &listen {
            settings.insert(format!("ONHAND_{}_LISTEN", service.to_uppercase()), address.to_string());
        }
        let url = |service| listen.get(service).map(|address| format!("http://{address}"));
        for (name, value) in [
            ("ONHAND_DATABASE_URL", database.url()),
            ("ONHAND_BROKER_URL", broker_url.clone()),
            ("ONHAND_DATA_DIR", path("data")),
            ("ONHAND_SECRET_KEY_FILE", path("data/secret.key")),
            ("ONHAND_INGRESS_SPOOL_DIR", path("spool")),
            ("ONHAND_PUBLIC_URL", url("ingress").context("ingress listens")?),
            ("ONHAND_URL", url("inventory").context("inventory listens")?),
            ("HOME", path("")),
        ] {
            settings.insert(name.to_owned(), value);
        }
        std::fs::create_dir(path("data"))?;
        let token = path("data/admin.token");
        let program = beside_examples("onhand")?;
        let running = BTreeMap::new();
        let this = Self { program, folder, settings, listen, running, database, broker_url, _broker: broker };
        this.run(&["migrate", "--admin-token-file", &token], "")?;
        Ok(this)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.settings).args(arguments);
        command
    }

    /// Runs a command, with something on standard input; what it prints.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("it was asked for")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "onhand {}: {told}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What a command prints as JSON.
    pub(crate) fn ask(&self, arguments: &[&str], input: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.run(arguments, input)?)?)
    }

    /// Starts a service; how long until it says that it is ready.
    pub(crate) fn start(&mut self, service: &'static str) -> anyhow::Result<Duration> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder().join("log"))?;
        let address = *self.listen.get(service).context("it is one of ours")?;
        let began = Instant::now();
        let mut command = self.command(&["serve", service]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        self.running.insert(service, child);
        while began.elapsed() < READY_MAX {
            if is_ready(address).unwrap_or(false) {
                return Ok(began.elapsed());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("{service} is not ready within {READY_MAX:?}")
    }

    /// Asks a service to stop, and waits until it has.
    pub(crate) fn stop(&mut self, service: &'static str) -> anyhow::Result<()> {
        let mut child = self.running.remove(service).context("it runs")?;
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        ensure!(sent.success() && child.wait()?.success(), "{service} does not stop in order");
        Ok(())
    }

    pub(crate) fn memory(&self, service: &str) -> anyhow::Result<Memory> {
        let child = self.running.get(service).context("it runs")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            let kibibytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(f64::from(kibibytes) / 1_024.0)
        };
        line("VmRSS:").zip(line("VmHWM:")).map(|(now, most)| Memory { now, most }).context("it is gone")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A program of the same build.
fn beside_examples(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.parent().and_then(Path::parent).map(|folder| folder.join(name));
    let program = program.filter(|program| program.exists());
    program.with_context(|| format!("build {name} first, in the same profile"))
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READY_MAX))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
