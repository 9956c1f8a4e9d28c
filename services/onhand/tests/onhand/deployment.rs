//! The program as it is deployed: one process, or each service in processes of its own over a database and a broker.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use testkit::servers::free_ports;
use testkit::servers::postgres::{Database, Postgres};
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::task::JoinSet;

use crate::harness::{Bench, PROOF_PATIENCE, Starting, Up, until};
use crate::world::{World, all_is_sound, comes_right, connected, nothing_lost_or_doubled, poll_often};

/// Into how many shards the shops are divided.
pub(crate) const SHARDS: &str = "4";
/// How long one look at a health page may take.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Which processes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All services in one.
    Standalone,
    /// So many of each service.
    Distributed { replicas: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    /// `onhand up`.
    Whole,
    Ingress,
    Inventory,
    Egress,
}

/// A process, whichever life it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) service: Service,
    pub(crate) replica: usize,
}

#[derive(Debug)]
enum Life {
    Starting(Starting),
    Up(Up),
}

/// Where the distributed form keeps everything.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) database: Database,
    pub(crate) broker: RabbitMq,
    pub(crate) vhost: Vhost,
}

/// Processes, each at the same address in all of its lives, and the servers they need.
#[derive(Debug)]
pub(crate) struct Deployment {
    lives: BTreeMap<Process, Life>,
    addresses: BTreeMap<Process, String>,
    pub(crate) servers: Option<Arc<Servers>>,
}

impl Form {
    fn processes(self) -> Vec<Process> {
        let of = |service| move |replica| Process { service, replica };
        match self {
            Self::Standalone => vec![Process { service: Service::Whole, replica: 0 }],
            Self::Distributed { replicas } => [Service::Inventory, Service::Ingress, Service::Egress]
                .into_iter()
                .flat_map(|service| (0..replicas).map(of(service)))
                .collect(),
        }
    }
}

impl Servers {
    /// Those that all tests share.
    pub(crate) async fn shared() -> Self {
        let both = || (RabbitMq::shared(), Postgres::shared());
        Self::of(tokio::task::spawn_blocking(both).await.unwrap()).await
    }

    /// For one test alone, which may do to them what it likes.
    pub(crate) async fn own() -> Self {
        let both = || (RabbitMq::own(), Postgres::own());
        Self::of(tokio::task::spawn_blocking(both).await.unwrap()).await
    }

    async fn of((broker, postgres): (RabbitMq, Postgres)) -> Self {
        let database = postgres.database("nothing", |_| async {}).await;
        let vhost = broker.vhost().await;
        Self { database, broker, vhost }
    }

    /// Messages that wait in the queues whose name has this part, as the broker knew some seconds ago.
    pub(crate) async fn waiting(&self, part: &str) -> u64 {
        let waits = |queue: &Value| queue["messages"].as_u64().unwrap_or(0);
        self.all_queues().await.iter().filter(|queue| name(queue).contains(part)).map(waits).sum()
    }

    /// Queues whose name has this part.
    pub(crate) async fn queues(&self, part: &str) -> Vec<String> {
        let queues = self.all_queues().await;
        queues.iter().map(|queue| name(queue).to_owned()).filter(|name| name.contains(part)).collect()
    }

    async fn all_queues(&self) -> Vec<Value> {
        let queues = self.broker.api("GET", &format!("queues/{}", self.vhost.name), Value::Null).await;
        queues.as_array().unwrap().clone()
    }
}

fn name(queue: &Value) -> &str {
    queue["name"].as_str().unwrap()
}

impl Deployment {
    /// Every process runs, and commands of the bench find the API. Of servers only the distributed form needs some.
    pub(crate) async fn start(bench: &mut Bench, form: Form, servers: Option<Servers>) -> Self {
        let processes = form.processes();
        let ports = free_ports(processes.len());
        let at = |port| format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let addresses: BTreeMap<_, _> = processes.into_iter().zip(ports.into_iter().map(at)).collect();
        let mut deployment = Self { lives: BTreeMap::new(), addresses, servers: servers.map(Arc::new) };
        bench.set("ONHAND_URL", &deployment.api()[0]);
        bench.set("ONHAND_PUBLIC_URL", &deployment.webhooks()[0]);
        // Tests make webhooks that go to several addresses, which nobody is to correct.
        bench.set("ONHAND_MAKE_WEBHOOKS", "false");
        if let Some(servers) = &deployment.servers {
            prepare(bench, servers).await;
        }
        deployment.begin_all(bench).await;
        deployment
    }

    /// The same with goods and shops that are proven once and read often.
    pub(crate) async fn with_world(mut bench: Bench, form: Form, servers: Option<Servers>) -> (Self, World) {
        let mut deployment = Self::start(&mut bench, form, servers).await;
        let world = connected(bench, &deployment.webhooks()).await;
        deployment.stop(&world.bench).await;
        poll_often(&world.bench).await;
        deployment.begin_all(&world.bench).await;
        (deployment, world)
    }

    pub(crate) fn processes(&self) -> Vec<Process> {
        self.addresses.keys().copied().collect()
    }

    pub(crate) fn url(&self, process: Process) -> String {
        format!("http://{}", self.addresses[&process])
    }

    fn urls(&self, service: Service) -> Vec<String> {
        let serves = |process: &&Process| process.service == service || process.service == Service::Whole;
        self.addresses.keys().filter(serves).map(|process| self.url(*process)).collect()
    }

    /// Where the API is.
    pub(crate) fn api(&self) -> Vec<String> {
        self.urls(Service::Inventory)
    }

    /// Where webhooks go.
    pub(crate) fn webhooks(&self) -> Vec<String> {
        self.urls(Service::Ingress)
    }

    /// Starts a process and waits for nothing.
    pub(crate) fn launch(&mut self, bench: &Bench, process: Process) {
        let Process { service, replica } = process;
        let (address, spool) = (&self.addresses[&process], format!("spool-{replica}"));
        let starting = match service {
            Service::Whole => bench.spawn_up(address),
            Service::Ingress => bench.spawn_serve("ingress", address, &spool),
            Service::Inventory => bench.spawn_serve("inventory", address, &spool),
            Service::Egress => bench.spawn_serve("egress", address, &spool),
        };
        assert!(self.lives.insert(process, Life::Starting(starting)).is_none(), "{process:?} runs already");
    }

    /// Waits until everything that was started listens.
    pub(crate) async fn all_listen(&mut self, bench: &Bench) {
        for (process, life) in std::mem::take(&mut self.lives) {
            let up = match life {
                Life::Starting(starting) => starting.listening(bench).await,
                Life::Up(up) => up,
            };
            self.lives.insert(process, Life::Up(up));
        }
    }

    /// Starts what does not run.
    pub(crate) async fn begin_all(&mut self, bench: &Bench) {
        for process in self.processes() {
            if !self.lives.contains_key(&process) {
                self.launch(bench, process);
            }
        }
        self.all_listen(bench).await;
    }

    /// Ends a process at once, whatever it does.
    pub(crate) async fn kill(&mut self, bench: &Bench, process: Process) {
        match self.lives.remove(&process).unwrap() {
            Life::Starting(starting) => starting.kill(bench).await,
            Life::Up(up) => up.kill(bench).await,
        }
    }

    /// Ends a process in order.
    pub(crate) async fn terminate(&mut self, bench: &Bench, process: Process) {
        let Some(Life::Up(up)) = self.lives.remove(&process) else { panic!("{process:?} does not listen") };
        assert_eq!(up.terminate().await, Some(0), "{process:?}: {}", bench.log());
    }

    /// Ends processes in order, all at the same time, and starts them again. They are ready afterwards.
    pub(crate) async fn restart(&mut self, bench: &Bench, processes: &[Process]) {
        let mut ending = JoinSet::new();
        for process in processes {
            let Some(Life::Up(up)) = self.lives.remove(process) else {
                panic!("{process:?} does not listen")
            };
            ending.spawn(up.terminate());
        }
        while let Some(code) = ending.join_next().await {
            assert_eq!(code.unwrap(), Some(0), "{}", bench.log());
        }
        self.begin_all(bench).await;
        self.all_are_ready().await;
    }

    /// Ends every process of a service in order.
    pub(crate) async fn terminate_all(&mut self, bench: &Bench, service: Service) {
        let running: Vec<_> =
            self.lives.keys().copied().filter(|process| process.service == service).collect();
        for process in running {
            self.terminate(bench, process).await;
        }
    }

    /// Every process ends in order.
    pub(crate) async fn stop(&mut self, bench: &Bench) {
        self.all_listen(bench).await;
        for process in self.lives.keys().copied().collect::<Vec<_>>() {
            self.terminate(bench, process).await;
        }
    }

    /// Waits until all that was bought and received shows everywhere, and ends in order: nothing was given up, lost or counted
    /// twice.
    pub(crate) async fn ends_well(&mut self, world: &World, received: &BTreeMap<usize, i64>) {
        comes_right(world, received).await;
        all_is_sound(&world.bench).await;
        self.all_are_ready().await;
        if let Some(servers) = &self.servers {
            assert_eq!(servers.waiting("dead").await, 0, "no message was given up");
        }
        self.stop(&world.bench).await;
        nothing_lost_or_doubled(world).await;
    }

    /// Nothing has ended by itself.
    pub(crate) fn all_run(&mut self, bench: &Bench) {
        for (process, life) in &mut self.lives {
            let Life::Up(up) = life else { continue };
            assert!(up.runs(), "{process:?} has ended: {}", bench.log());
        }
    }

    /// Waits until each process says that it keeps up.
    pub(crate) async fn all_are_ready(&self) {
        let looker = Looker::new();
        for process in self.processes() {
            let working = if process.service == Service::Inventory { "/working" } else { "" };
            let url = self.url(process) + working;
            until(&format!("{process:?} is ready"), PROOF_PATIENCE, async || {
                looker.is_ready(&url).await.then_some(())
            })
            .await;
        }
    }
}

/// Database and broker are made ready for the services.
async fn prepare(bench: &mut Bench, servers: &Servers) {
    bench.set("ONHAND_DATABASE_URL", &servers.database.url());
    bench.set("ONHAND_BROKER_URL", &servers.vhost.url());
    bench.set("ONHAND_SHARDS", SHARDS);
    std::fs::create_dir(bench.data_dir()).unwrap();
    let (key, token) = (bench.data_dir().join("secret.key"), bench.data_dir().join("admin.token"));
    bench.set("ONHAND_SECRET_KEY_FILE", key.to_str().unwrap());
    let migrated = bench.run(&["migrate", "--admin-token-file", token.to_str().unwrap()]).await.good();
    assert!(migrated.contains("4 shards") && migrated.contains("secret key was made"), "{migrated}");
}

/// Looks at health pages; to make one takes long.
#[derive(Debug, Clone)]
pub(crate) struct Looker(Client);

impl Looker {
    pub(crate) fn new() -> Self {
        Self(Client::builder().no_proxy().timeout(READY_TIMEOUT).build().unwrap())
    }

    pub(crate) async fn is_ready(&self, url: &str) -> bool {
        let asked = self.0.get(format!("{url}/readyz")).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }
}
