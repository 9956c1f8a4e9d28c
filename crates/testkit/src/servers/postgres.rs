//! A throwaway PostgreSQL: one for all tests with a database for each, or one of one's own to be killed.

use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::kept::{Kept, Recipe, Signal};

/// One second of processor time, which other tests compete for.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long the server may take to answer one statement.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);
/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 3 << 16;

const RECIPE: Recipe = Recipe {
    name: "postgres",
    ports: &["POSTGRES_PORT"],
    script: include_str!("postgres.sh"),
    ready: answers,
    ready_within: READY_WITHIN,
    end: Signal::Quit,
};

/// The same, but what is committed outlives the machine, and there is more memory: as it is run in earnest.
const DURABLE: Recipe = Recipe {
    name: "durable-postgres",
    script: concat!("durable=yes\n", include_str!("postgres.sh")),
    ..RECIPE
};

/// A durable one that counts its statements and their time.
const COUNTING: Recipe = Recipe {
    name: "counting-postgres",
    script: concat!("durable=yes\ncounting=yes\n", include_str!("postgres.sh")),
    ..RECIPE
};

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// How a server ends that is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It ends every session, writes everything down and ends.
    Fast,
    /// It ends at once and has to recover when it is started again.
    Immediate,
}

/// A server that runs.
#[derive(Debug)]
pub struct Postgres {
    kept: Kept,
}

impl Postgres {
    /// The one that all tests share. Do nothing to it that others feel.
    pub fn shared() -> Self {
        Self { kept: Kept::shared(RECIPE) }
    }

    /// One for this test alone. To stop it stops its first process only: no new connection is answered then.
    pub fn own() -> Self {
        Self { kept: Kept::own(RECIPE) }
    }

    /// One for this program alone, to measure: it writes to disk what it confirms.
    pub fn durable() -> Self {
        Self { kept: Kept::own(DURABLE) }
    }

    /// A durable one that counts each statement and its time in `pg_stat_statements`, which costs some of it.
    pub fn counting() -> Self {
        Self { kept: Kept::own(COUNTING) }
    }

    /// To stop it, to kill it and to start it again.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Asks it to end, and blocks until it has. For servers of one's own.
    pub fn shut_down(&self, how: Shutdown) {
        let signal = match how {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        let file = self.kept.folder().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(file).expect("there is one while it runs");
        let pid = pid.lines().next().expect("its first line is the number of the process").to_owned();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "it cannot be sent {signal}");
        self.kept.wait_until_ended();
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.kept.port("POSTGRES_PORT")
    }

    /// A database that nobody else uses: a copy of a template. `prepare` makes the template, given its address, if there is
    /// none yet for this `content` (all that it is made from, as the text of the migrations).
    pub async fn database<Made: Future<Output = ()>>(
        self,
        content: &str,
        prepare: impl FnOnce(String) -> Made,
    ) -> Database {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let template = format!("template_{:016x}", hasher.finish());
        self.make_template(&template, prepare).await;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let run = self.kept.folder().file_name().unwrap_or_default().to_string_lossy().replace('-', "_");
        let name = format!("test_{run}_{}_{number}", process::id());
        self.run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { server: self, name }
    }

    async fn make_template<Made: Future<Output = ()>>(
        &self,
        template: &str,
        prepare: impl FnOnce(String) -> Made,
    ) {
        let known = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
        if !self.run("postgres", &known).is_empty() {
            return;
        }
        // One process makes it; the others wait for that.
        let path = std::env::temp_dir().join(format!("onhand-{}-{template}.lock", self.port()));
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        lock.lock().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if self.run("postgres", &known).is_empty() {
            let draft = format!("{template}_draft");
            self.run("postgres", &format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)"));
            self.run("postgres", &format!("CREATE DATABASE {draft} TEMPLATE template0"));
            prepare(self.url(&draft)).await;
            self.run("postgres", &format!("ALTER DATABASE {draft} RENAME TO {template}"));
        }
        drop(std::fs::remove_file(path));
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())
    }

    /// Runs statements in a database; the first column of every row that they answer.
    fn run(&self, database: &str, sql: &str) -> Vec<String> {
        let answer = Session::begin(self.port(), database).and_then(|mut session| session.run(sql));
        answer.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// A database of a server; dropped with this.
#[derive(Debug)]
pub struct Database {
    server: Postgres,
    name: String,
}

impl Database {
    /// Its address. Everybody is let in.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// The server it is on.
    pub fn server(&self) -> &Postgres {
        &self.server
    }

    /// A connection of one's own, for as long as it is kept.
    pub fn session(&self) -> io::Result<Session> {
        Session::begin(self.server.port(), &self.name)
    }

    /// Runs statements; the first column of every row that they answer, as text. Panics if one is refused.
    pub fn run(&self, sql: &str) -> Vec<String> {
        self.server.run(&self.name, sql)
    }

    /// The same, with what the server says against it.
    pub fn try_run(&self, sql: &str) -> io::Result<Vec<String>> {
        Session::begin(self.server.port(), &self.name)?.run(sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let gone = Session::begin(self.server.port(), "postgres")
            .and_then(|mut session| session.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        // A server that was killed by its test has none.
        drop(gone);
    }
}

/// A connection that speaks as much of the protocol as is needed to run statements.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
}

impl Session {
    fn begin(port: u16, database: &str) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let mut session = Self { stream };
        let hello = format!("user\0postgres\0database\0{database}\0\0");
        session.send(&[], &[&PROTOCOL.to_be_bytes(), hello.as_bytes()].concat())?;
        session.answer()?;
        Ok(session)
    }

    /// Runs statements; the first column of every row that they answer, as text.
    pub fn run(&mut self, sql: &str) -> io::Result<Vec<String>> {
        self.send(b"Q", format!("{sql}\0").as_bytes())?;
        self.answer()
    }

    fn send(&mut self, kind: &[u8], content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len() + 4).map_err(io::Error::other)?;
        self.stream.write_all(&[kind, &length.to_be_bytes(), content].concat())
    }

    /// Reads until the server is ready for the next statement.
    fn answer(&mut self) -> io::Result<Vec<String>> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let (kind, content) = self.message()?;
            match kind {
                b'D' => rows.push(first_column(&content)),
                b'E' => {
                    let text = String::from_utf8_lossy(&content).replace('\0', " ");
                    refused = Some(io::Error::other(text));
                }
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length).saturating_sub(4);
        let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut content)?;
        Ok((kind, content))
    }
}

/// After the number of columns: its length, then itself.
fn first_column(row: &[u8]) -> String {
    let length = row.get(2..6).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let end = usize::try_from(length).map_or(6, |length| length.saturating_add(6));
    row.get(6..end).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

/// Whether it lets somebody in.
fn answers(kept: &Kept) -> bool {
    Session::begin(kept.port("POSTGRES_PORT"), "postgres").is_ok()
}

#[cfg(test)]
mod tests;
