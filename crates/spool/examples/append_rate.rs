//! How fast records become durable, beside what the disk allows in the same run.
//!
//! Three ways, interleaved: the spool; the same gathering of concurrent appends into a plain file with one
//! `fdatasync` a batch; and a plain loop of `write` and `fdatasync` with full batches, which has no callers at all.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use onhand_spool::{Options, open};
use tokio::sync::{mpsc, oneshot};

const APPENDERS: usize = 256;
const RECORD_BYTES: usize = 2_000;
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

type Waiting = (Vec<u8>, oneshot::Sender<()>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(".")?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rates[0].push(spool(folder.path()).await?);
        rates[1].push(gathered_raw(folder.path()).await?);
        rates[2].push(plain_raw(folder.path())?);
    }
    let [spool, gathered, plain] = rates.map(median);
    let mut out = std::io::stdout();
    writeln!(out, "{APPENDERS} appenders, {RECORD_BYTES} B records, median of {ROUNDS} rounds, records/s")?;
    writeln!(out, "spool                    {spool:>9.0}")?;
    writeln!(out, "raw, gathered the same   {gathered:>9.0}   spool is {:.0} %", 100.0 * spool / gathered)?;
    writeln!(out, "raw, full batches        {plain:>9.0}   spool is {:.0} %", 100.0 * spool / plain)?;
    writeln!(
        out,
        "{{\"figures\":[{{\"name\":\"appends, beside the same gathering\",\"value\":{spool:.0},\"unit\":\"records/s\",\
         \"limit\":{gathered:.0},\"ratio\":{:.3},\"least\":0.5}},{{\"name\":\"appends, beside full raw batches\",\
         \"value\":{spool:.0},\"unit\":\"records/s\",\"limit\":{plain:.0},\"ratio\":{:.3}}}]}}",
        spool / gathered,
        spool / plain,
    )?;
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

fn rate(count: u32, since: Instant) -> f64 {
    f64::from(count) / since.elapsed().as_secs_f64()
}

async fn spool(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let path = folder.join("spool.db");
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(folder.join(format!("spool.db{suffix}"))));
    }
    let (spool, writer) = open(Options::at(path)).await?;
    #[expect(clippy::disallowed_methods, reason = "a bench has no task set")]
    let writer = tokio::spawn(writer.run());
    let queue = spool.queue("orders").await?;
    let rate = drive(move || {
        let queue = queue.clone();
        async move { queue.append(7, vec![7; RECORD_BYTES]).await.is_ok() }
    })
    .await;
    drop(spool);
    writer.await??;
    Ok(rate)
}

/// Every appender appends one after the other until the round is over.
async fn drive<F: Future<Output = bool> + Send + 'static>(
    append: impl Fn() -> F + Clone + Send + 'static,
) -> f64 {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..APPENDERS {
        let append = append.clone();
        tasks.spawn(async move {
            let mut count = 0_u32;
            while start.elapsed() < ROUND && append().await {
                count += 1;
            }
            count
        });
    }
    let counts = tasks.join_all().await;
    rate(counts.into_iter().sum(), start)
}

async fn gathered_raw(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut file = File::create(folder.join("raw"))?;
    let (sender, mut receiver) = mpsc::channel::<Waiting>(APPENDERS);
    let writer = std::thread::spawn(move || -> std::io::Result<()> {
        let mut batch = Vec::new();
        while receiver.blocking_recv_many(&mut batch, APPENDERS) > 0 {
            let bytes: Vec<u8> =
                batch.iter().map(|(record, _)| record.as_slice()).collect::<Vec<_>>().concat();
            file.write_all(&bytes)?;
            file.sync_data()?;
            for (_, done) in batch.drain(..) {
                done.send(()).ok();
            }
        }
        Ok(())
    });
    let rate = drive(move || {
        let sender = sender.clone();
        async move {
            let (done, wait) = oneshot::channel();
            sender.send((vec![7; RECORD_BYTES], done)).await.is_ok() && wait.await.is_ok()
        }
    })
    .await;
    writer.join().map_err(|_| "the raw writer panicked")??;
    Ok(rate)
}

fn plain_raw(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut file = File::create(folder.join("raw"))?;
    let batch = vec![7; APPENDERS * RECORD_BYTES];
    let start = Instant::now();
    let mut batches = 0_u32;
    while start.elapsed() < ROUND {
        file.write_all(&batch)?;
        file.sync_data()?;
        batches += 1;
    }
    Ok(rate(batches, start) * f64::from(u32::try_from(APPENDERS)?))
}
