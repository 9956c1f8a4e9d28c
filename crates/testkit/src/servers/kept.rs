//! Starting a server, sharing it between the processes of a test run, and ending it for certain.
//!
//! Every test may run in a process of its own, and any of them may be killed. So no test owns a shared server: a small
//! shell script keeps it, for as long as some process holds a lock that the kernel takes back when the process is gone.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::ports::free_ports;

const KEEPER: &str = include_str!("keeper.sh");
const LAUNCH: &str = include_str!("launch.sh");

/// Seconds that a shared server stays without a user: the next test may be about to start.
const LINGER_S: u32 = 20;
/// How often to look whether a server answers.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Most of a server's output that is shown when it does not start, in characters.
const OUTPUT_CHARS_MAX: usize = 4_000;

/// Fields of `stat` behind the name: the state, and the process group.
const STATE: usize = 0;
const GROUP: usize = 2;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// How to run a server.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Its name, for folders and messages.
    pub name: &'static str,
    /// The ports it needs, by the names of the shell variables that tell them to the script.
    pub ports: &'static [&'static str],
    /// The shell script that runs it, in the foreground and in a folder of its own where everything belongs that it
    /// writes. It is run once more in the same folder when the server is started again. It also says who shares a
    /// server: those whose script is the same.
    pub script: &'static str,
    /// Whether the server answers now.
    pub ready: fn(&Kept) -> bool,
    /// How long a start may take.
    pub ready_within: Duration,
    /// Ends it when it is used no more.
    pub end: Signal,
}

/// What can be done to a server's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once, as a crash would.
    Kill,
    /// Asks it to end at once, in order.
    Quit,
    /// Stops it where it is: connections stay open and nothing answers.
    Stop,
    /// Lets it go on.
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// Whether every thread of this process group is stopped, or gone.
fn stands_still(group: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter(|process| field(&process.path(), GROUP).as_deref() == Some(group)).all(|process| {
        let threads = fs::read_dir(process.path().join("task")).into_iter().flatten().flatten();
        threads
            .into_iter()
            .all(|thread| field(&thread.path(), STATE).is_none_or(|state| matches!(&*state, "T" | "Z" | "X")))
    })
}

/// A field of `stat`, counted from behind the name, which may have blanks and brackets itself (proc(5)).
fn field(of: &Path, number: usize) -> Option<String> {
    let stat = fs::read_to_string(of.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(number).map(str::to_owned)
}

/// A server that runs until this and every other handle to it, in whatever process, is gone.
#[derive(Debug)]
pub struct Kept {
    recipe: Recipe,
    folder: PathBuf,
    /// Locked; the keeper waits for it.
    _user: File,
}

impl Kept {
    /// The server that all tests of all processes share: started by the first. Blocks until it answers.
    pub fn shared(recipe: Recipe) -> Self {
        let shared = || -> io::Result<Self> {
            let home = home_of(&recipe)?;
            Self::use_of(recipe, &home, &LINGER_S.to_string())
        };
        shared().unwrap_or_else(|error| panic!("cannot share {}: {error}", recipe.name))
    }

    /// A server of one's own, to be killed and started at will. Blocks until it answers.
    pub fn own(recipe: Recipe) -> Self {
        let own = || -> io::Result<Self> {
            let home = base()?.join(format!("own-{}-{}", recipe.name, unique()));
            fs::create_dir(&home)?;
            Self::use_of(recipe, &home, "own")
        };
        own().unwrap_or_else(|error| panic!("cannot run {}: {error}", recipe.name))
    }

    fn use_of(recipe: Recipe, home: &Path, linger: &str) -> io::Result<Self> {
        let user = OpenOptions::new().create(true).append(true).open(home.join("users"))?;
        user.lock_shared()?;
        let run = home.join(format!("run-{}", unique()));
        fs::create_dir(&run)?;
        fs::write(run.join("start.sh"), format!("{}{}", assignments(recipe.ports), recipe.script))?;
        fs::write(run.join("launch.sh"), LAUNCH)?;
        let mut keeper = Command::new("setsid")
            .args(["sh", "-c", KEEPER, "keeper"])
            .args([home, &run])
            .args([linger, recipe.end.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut told = Vec::new();
        keeper.stdout.take().expect("it was asked for").read_to_end(&mut told)?;
        let folder = PathBuf::from(fs::read_to_string(home.join("current"))?.trim_end());
        let kept = Self { recipe, folder, _user: user };
        kept.wait_until_ready();
        Ok(kept)
    }

    /// The number of a port that its recipe names.
    pub fn port(&self, name: &str) -> u16 {
        let script = fs::read_to_string(self.folder.join("start.sh")).expect("written before it was started");
        let number = |line: &str| line.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        script.lines().find_map(number).unwrap_or_else(|| panic!("{} has no port {name}", self.recipe.name))
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends a signal to all its processes. For servers of one's own: others would suffer from it.
    pub fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.folder.join("pid")).expect("written before the server was started");
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" -- \"-$2\"", "kill", signal.name(), pid.trim_end()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "{} cannot be sent {signal:?}", self.recipe.name);
        if signal == Signal::Stop {
            // One thread takes the signal and stops the others, which may answer until its turn has come.
            let deadline = Instant::now() + self.recipe.ready_within;
            while !stands_still(pid.trim_end()) {
                assert!(Instant::now() < deadline, "{} does not stop", self.recipe.name);
                thread::yield_now();
            }
        }
    }

    /// Blocks until its first process is gone.
    pub(super) fn wait_until_ended(&self) {
        let deadline = Instant::now() + self.recipe.ready_within;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "{} does not end", self.recipe.name);
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts it again in its folder after it has ended. Blocks until it answers.
    pub fn start_again(&self) {
        self.launch_again();
        self.wait_until_ready();
    }

    /// As [`Kept::start_again`], without waiting.
    pub fn launch_again(&self) {
        fs::remove_file(self.folder.join("pid")).expect("it was started before");
        // The shell ends at once, so that nobody has to wait for it as a parent.
        let launched = Command::new("sh")
            .args(["-c", "setsid sh launch.sh \"$1\" >/dev/null 2>&1 </dev/null &", "launch"])
            .arg(&self.folder)
            .current_dir(&self.folder)
            .status();
        assert!(launched.is_ok_and(|status| status.success()), "{} cannot be started", self.recipe.name);
        self.wait_for("process", |kept| kept.folder.join("pid").exists());
    }

    /// Blocks until it answers.
    pub fn wait_until_ready(&self) {
        self.wait_for("answer", self.recipe.ready);
    }

    fn wait_for(&self, what: &str, there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + self.recipe.ready_within;
        while !there(self) {
            if Instant::now() > deadline {
                self.fail(&format!("no {what} within {:?}", self.recipe.ready_within));
            }
            if self.has_ended() {
                self.fail("it has ended by itself");
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Its first process is gone, though it was there.
    fn has_ended(&self) -> bool {
        let Ok(pid) = fs::read_to_string(self.folder.join("pid")) else { return false };
        // A number taken over by another process is not it.
        fs::read_link(Path::new("/proc").join(pid.trim_end()).join("cwd")).ok() != Some(self.folder.clone())
    }

    fn fail(&self, why: &str) -> ! {
        let output = fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let skipped = output.chars().count().saturating_sub(OUTPUT_CHARS_MAX);
        let output: String = output.chars().skip(skipped).collect();
        panic!("{}: {why}\n{output}", self.recipe.name)
    }
}

/// One folder for each script: builds that run a server in other ways do not share it.
fn home_of(recipe: &Recipe) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (KEEPER, LAUNCH, recipe.script).hash(&mut hasher);
    let home = base()?.join(format!("{}-{:016x}", recipe.name, hasher.finish()));
    fs::create_dir_all(&home)?;
    Ok(home)
}

/// The head of the script: one assignment a line.
fn assignments(names: &[&str]) -> String {
    let ports = names.iter().zip(free_ports(names.len()));
    ports.fold(String::new(), |head, (name, port)| head + &format!("{name}={port}\n"))
}

/// Where all servers of this user are.
fn base() -> io::Result<PathBuf> {
    let user = fs::metadata("/proc/self")?.uid();
    let base = std::env::temp_dir().join(format!("onhand-servers-{user}"));
    fs::create_dir_all(&base)?;
    if fs::metadata(&base)?.uid() != user {
        return Err(io::Error::other(format!("{} belongs to somebody else", base.display())));
    }
    base.canonicalize()
}

fn unique() -> String {
    format!("{}-{}", process::id(), RUNS.fetch_add(1, Ordering::Relaxed))
}
