//! The consumer loop over a broker: the same decisions as over a spool, and a queue is taken up again whenever the
//! broker is there.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Amqp;
use super::incoming::{Incoming, Lost, Next};
use super::letters::{Letter, Letters};
use super::link::Waits;
use super::trouble::{Trouble, Use, chain};
use crate::bus::BusError;
use crate::consume::{ConsumeError, Handler, Limits, decide, wait};
use crate::delivery::{Custody, Delivery, Disposition};
use crate::keep::{KEEP_EVERY, Keeper, OfHandler};
use crate::publish::PublishError;
use crate::topology::QueueName;

/// How often to look for letters that the broker has given up by itself.
const LETTERS_EVERY: Duration = Duration::from_secs(30);

/// Why one turn with a channel came to its end.
enum Ended {
    Stopped,
    Lost(String),
    Failed(ConsumeError),
}

impl From<Lost> for Ended {
    fn from(Lost(why): Lost) -> Self {
        Self::Lost(why)
    }
}

pub(crate) async fn run<H: Handler>(
    amqp: &Amqp,
    queue: QueueName,
    limits: Limits,
    handler: &mut H,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let limits = Limits { messages_max: limits.messages_max.max(1), ..limits };
    let mut waits = Waits::between_connections();
    let mut letters = Letters::new(amqp, queue);
    let trouble = Trouble::of_queue(&amqp.shared.options, queue);
    while !stop.is_cancelled() {
        let why = match Incoming::open(amqp, queue, &limits).await {
            Ok(incoming) => {
                waits.began();
                let (letters, trouble) = (&mut letters, &trouble);
                let mut turn = Turn { queue, limits, handler, stop, incoming, letters, trouble };
                let ended = tokio::select! {
                    biased;
                    ended = turn.batches() => ended,
                    never = trouble.over_if_it_holds(Use::Consuming) => match never {},
                };
                turn.incoming.close().await;
                match ended {
                    Ended::Stopped => return Ok(()),
                    Ended::Failed(error) => return Err(error),
                    Ended::Lost(why) => why,
                }
            }
            Err(source @ BusError::UnknownQueue(_)) => return Err(ConsumeError::Open { queue, source }),
            Err(BusError::Broker(gone)) if gone.is_not_found() => {
                let made = amqp.shared.make_again(queue).await;
                chain(&made.err().unwrap_or(BusError::Broker(gone)))
            }
            Err(unavailable) => chain(&unavailable),
        };
        // That there is no connection is said once, and not for each queue.
        if amqp.shared.consumes() {
            trouble.is(Use::Consuming, &why);
        }
        wait(waits.next(), stop).await;
    }
    Ok(())
}

/// Offers the dead letters of a queue that another consumes.
pub(crate) async fn keep<K: Keeper>(
    amqp: &Amqp,
    queue: QueueName,
    keeper: &mut K,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    amqp.hand(queue).map_err(|source| ConsumeError::Open { queue, source })?;
    let mut letters = Letters::new(amqp, queue);
    while !stop.is_cancelled() {
        match old_letters(&mut letters, keeper, queue, stop).await {
            Ok(()) | Err(Ended::Lost(_) | Ended::Stopped) => {}
            Err(Ended::Failed(error)) => return Err(error),
        }
        wait(KEEP_EVERY, stop).await;
    }
    Ok(())
}

/// Consuming over one channel.
struct Turn<'a, 'b, H> {
    queue: QueueName,
    limits: Limits,
    handler: &'b mut H,
    stop: &'b CancellationToken,
    incoming: Incoming<'a>,
    letters: &'b mut Letters<'a>,
    trouble: &'b Trouble,
}

impl<H: Handler> Turn<'_, '_, H> {
    /// Batch after batch, until something ends it.
    async fn batches(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.batch().await {
                return ended;
            }
        }
    }

    async fn batch(&mut self) -> Result<(), Ended> {
        if self.letters.is_time() {
            old_letters(self.letters, &mut OfHandler(self.handler), self.queue, self.stop).await?;
        }
        let look = sleep(self.letters.time_left());
        let next = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Ended::Stopped),
            next = self.incoming.next(&self.limits) => next?,
            () = look => return Ok(()),
        };
        match next {
            Next::Letter(held) => {
                let (tag, letter) = (held.tag, Letters::of_held(held));
                self.give_up(letter).await?;
                self.incoming.ack(vec![tag]).await?;
            }
            Next::Batch(batch) => self.handle(&batch).await?,
        }
        Ok(())
    }

    async fn handle(&mut self, batch: &[Delivery]) -> Result<(), Ended> {
        let Some(dispositions) = self.decided(batch).await else {
            return Err(Ended::Stopped);
        };
        if dispositions.len() != batch.len() {
            let (queue, delivered, decided) = (self.queue, batch.len(), dispositions.len());
            return Err(Ended::Failed(ConsumeError::Undecided { queue, delivered, decided }));
        }
        let (mut done, mut again, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut retry_after = None;
        for ((tag, delivery), disposition) in self.incoming.out().into_iter().zip(batch).zip(dispositions) {
            match disposition {
                Disposition::Ack => done.push(tag),
                Disposition::RetryAfter(after) => {
                    retry_after = retry_after.max(Some(after));
                    again.push((tag, delivery));
                }
                Disposition::DeadLetter { reason } => dead.push((tag, delivery, reason)),
            }
        }
        let retry_from = Instant::now();
        // First, so that the broker sends them again before it sends anything else.
        self.incoming.send_back(&again).await?;
        for (tag, delivery, reason) in dead {
            let letter = Letters::of_delivery(delivery, &reason);
            self.give_up(letter).await?;
            done.push(tag);
        }
        self.incoming.ack(done).await?;
        if let Some(after) = retry_after {
            wait(after.saturating_sub(retry_from.elapsed()), self.stop).await;
        }
        Ok(())
    }

    /// What the handler makes of a batch, whatever becomes of the channel meanwhile.
    async fn decided(&mut self, batch: &[Delivery]) -> Option<Vec<Disposition>> {
        // Boxed: it is large, and whatever consumes would be as large.
        let mut deciding = Box::pin(decide(self.handler, batch, self.stop));
        tokio::select! {
            biased;
            decided = &mut deciding => return decided,
            () = self.incoming.take_in() => {}
        }
        deciding.await
    }

    /// Offers a letter in the place of its message; if it is left to the transport, puts it with the dead.
    async fn give_up(&mut self, letter: Letter) -> Result<(), Ended> {
        let one = std::slice::from_ref(&letter);
        let custody = offer(&mut OfHandler(self.handler), one, self.queue, self.stop).await?;
        if custody.contains(&Custody::Left) {
            let mut waits = Waits::between_connections();
            while let Err(error) = self.letters.bury(&letter).await {
                if !matches!(error, PublishError::Unavailable { .. }) {
                    self.trouble.is(Use::Publishing, &chain(&error));
                }
                wait(waits.next(), self.stop).await;
                if self.stop.is_cancelled() {
                    return Err(Ended::Stopped);
                }
            }
            self.trouble.is_over(Use::Publishing);
        }
        Ok(())
    }
}

/// Offers what is with the dead already: left by an earlier consumer, or put there by the broker.
async fn old_letters<K: Keeper>(
    of_queue: &mut Letters<'_>,
    keeper: &mut K,
    queue: QueueName,
    stop: &CancellationToken,
) -> Result<(), Ended> {
    // Being unable to look is no reason to keep what is not dead from being handled.
    let pass = of_queue.pass().await;
    of_queue.tell(pass.as_ref().err());
    let Ok(Some(mut pass)) = pass else { return Ok(()) };
    let offered = loop {
        let letters = match of_queue.some(&mut pass).await {
            Ok(letters) if !letters.is_empty() => letters,
            Ok(_) | Err(_) => break Ok(()),
        };
        match offer(keeper, &letters, queue, stop).await {
            Ok(custody) if of_queue.settle(&mut pass, &letters, &custody).await.is_ok() => {}
            Ok(_) => break Ok(()),
            Err(ended) => break Err(ended),
        }
    };
    // If this fails its channel is gone, and the letters are back just as well.
    pass.end().await.ok();
    offered
}

async fn offer<K: Keeper>(
    keeper: &mut K,
    letters: &[Letter],
    queue: QueueName,
    stop: &CancellationToken,
) -> Result<Vec<Custody>, Ended> {
    let shown: Vec<_> = letters.iter().map(|letter| letter.shown.clone()).collect();
    loop {
        match keeper.take_over(&shown).await {
            Ok(custody) if custody.len() == letters.len() => return Ok(custody),
            Ok(custody) => {
                let (delivered, decided) = (letters.len(), custody.len());
                return Err(Ended::Failed(ConsumeError::Undecided { queue, delivered, decided }));
            }
            Err(pause) => wait(pause.0, stop).await,
        }
        if stop.is_cancelled() {
            return Err(Ended::Stopped);
        }
    }
}

impl Letters<'_> {
    fn time_left(&self) -> Duration {
        LETTERS_EVERY.saturating_sub(self.since_looked())
    }

    fn is_time(&self) -> bool {
        self.time_left().is_zero()
    }
}
