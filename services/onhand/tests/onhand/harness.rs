//! Runs the program as people do, and looks until something is so.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that needs no waiting.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long what waits for proof may take: a minute until an unanswered push is known, half until it is proven.
pub(crate) const PROOF_PATIENCE: Duration = Duration::from_mins(4);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A directory of its own, and how the program runs there.
#[derive(Debug)]
pub(crate) struct Bench {
    directory: TempDir,
    /// Settings of every run.
    settings: Vec<(String, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, if it went well.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{} {}", self.out, self.err);
        self.out
    }

    /// What it printed as JSON, if it went well.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.good();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// A running `onhand up` or `onhand serve`. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) url: String,
    child: Child,
}

/// The same before it has said that it listens. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Starting {
    child: Child,
    says: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        // Clients made by the tests themselves need it too.
        process::install_tls_provider();
        Self { directory: tempfile::tempdir().unwrap(), settings: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(set, _)| set != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// The content of a new file.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onhand"));
        command
            .env_clear()
            .env("HOME", self.directory.path())
            .env("ONHAND_DATA_DIR", self.data_dir())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// With something on standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read it may be gone by now.
        stdin.write_all(input.as_bytes()).await.ok();
        drop(stdin);
        let output = timeout(PROOF_PATIENCE, child.wait_with_output()).await;
        let Output { status, stdout, stderr } = output.expect("it ends").unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Starts `onhand up` and waits until it listens; its log goes to the file `log`.
    pub(crate) async fn up(&self, listen: &str) -> Up {
        self.spawn_up(listen).listening(self).await
    }

    /// Starts `onhand up` and waits for nothing.
    pub(crate) fn spawn_up(&self, listen: &str) -> Starting {
        let child = self.command(&["up", "--listen", listen]).stderr(self.log_file()).spawn().unwrap();
        Starting { child, says: "onhand is up at ".to_owned() }
    }

    /// Starts `onhand serve`; its log goes to the file `log` as well. Its spool is of the name.
    pub(crate) fn spawn_serve(&self, service: &str, listen: &str, spool: &str) -> Starting {
        let mut command = self.command(&["serve", service]);
        command.env(format!("ONHAND_{}_LISTEN", service.to_uppercase()), listen);
        command.env("ONHAND_INGRESS_SPOOL_DIR", self.path(spool)).stderr(self.log_file());
        Starting { child: command.spawn().unwrap(), says: format!("onhand {service} is up at ") }
    }

    fn log_file(&self) -> Stdio {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        Stdio::from(log)
    }

    /// What was set for every run.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("admin.token")).unwrap().trim().to_owned()
    }
}

impl Starting {
    /// Waits until it listens.
    pub(crate) async fn listening(mut self, bench: &Bench) -> Up {
        let stdout = self.child.stdout.take().unwrap();
        let first = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await;
        let first = first.expect("it starts in time").unwrap().unwrap_or_default();
        let url = first.strip_prefix(&self.says);
        let url = url.unwrap_or_else(|| panic!("{first}: {}", bench.log())).to_owned();
        Up { url, child: self.child }
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self, bench: &Bench) {
        kill(&mut self.child, bench).await;
    }
}

impl Up {
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self, bench: &Bench) {
        kill(&mut self.child, bench).await;
    }

    /// Whether it runs still.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop; its exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        signal(&self.child, "-TERM").await;
        timeout(PATIENCE, self.child.wait()).await.expect("it stops in time").unwrap().code()
    }
}

async fn kill(child: &mut Child, bench: &Bench) {
    signal(child, "-KILL").await;
    let status = timeout(PATIENCE, child.wait()).await.expect("it is gone").unwrap();
    assert_eq!(status.code(), None, "it was killed, it did not end itself: {}", bench.log());
}

/// Sends a signal to a process of ours.
async fn signal(child: &Child, signal: &str) {
    // None: it has ended already.
    let Some(pid) = child.id() else { return };
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success());
}

/// Looks until `probe` gives something.
pub(crate) async fn until<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// The mode of a file, without its type.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
