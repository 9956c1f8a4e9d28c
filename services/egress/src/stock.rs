//! One stock as egress keeps it, and what a level, an answer or a read makes of it. Decides, does no I/O.

use std::time::Duration;

use process::backoff;
use proto::{LevelChanged, StockEdited};
use push::{
    CALL_DEADLINE, Distrust, Drift, DriftAction, DriftClass, DriftPolicy, Next, Settle, Settled, Target,
};
use store::{DriftDecided, DriftRow, PushNotes, PushRow, SettleWish, Told};
use values::{Quantity, ReadNumber, Timestamp};

use crate::settings::Settings;

/// The ledger is asked again about an edit when it has not answered for so long.
const ADOPT_PATIENCE: Duration = Duration::from_secs(30);
/// A push whose call ended, or was never made, is known as that by then.
const LOST_AFTER: Duration = CALL_DEADLINE.saturating_mul(2);
/// After so many comparisons in a row that proved nothing, people are told.
const UNSETTLED_TRIES: u32 = 6;

/// Why a stock is to be settled, as codes.
pub(crate) mod why {
    pub(crate) const UNKNOWN_BASE: &str = "unknown_base";
    pub(crate) const READ_BACK: &str = "read_back";
    pub(crate) const SALE_INSIDE_PUSH: &str = "sale_inside_push";
    pub(crate) const UNTRUSTED: &str = "untrusted";
    pub(crate) const DRIFT: &str = "drift";
}

/// Why an edit that the ledger was asked to take over came to nothing, as codes, beside the ledger's own reasons.
mod unanswered {
    /// The shop no longer has the stock, or it has no SKU.
    pub(super) const REMOVED: &str = "removed";
    /// It was compared with what holds no more.
    pub(super) const NEW_LEVELS: &str = "new_levels";
}

/// Why nothing can be pushed, beside the refusals of `connector`.
pub(crate) const UNMANAGED: &str = "unmanaged";

/// A stock's state and what is noted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) row: PushRow,
    pub(crate) notes: PushNotes,
}

/// What made a level be published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// When it was published.
    pub(crate) at: Timestamp,
    /// The trace it belongs to.
    pub(crate) trace: Option<&'a str>,
}

/// What a level came to, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LevelOutcome {
    /// It was newer than what was known.
    pub(crate) fresh: bool,
    /// What its proof came to, if it was not looked at before.
    pub(crate) settled: Option<Settled>,
    /// A difference that is to be kept for people.
    pub(crate) drift: Option<DriftRow>,
    /// What became of an edit that the ledger was asked to take over.
    pub(crate) decided: Option<DriftDecided>,
    /// A sale may have fallen into a push.
    pub(crate) sale_inside_push: bool,
}

impl Stock {
    /// Takes a level of a shop that wants such a policy.
    pub(crate) fn apply(
        &mut self,
        level: &LevelChanged,
        cause: Cause<'_>,
        policy: DriftPolicy,
        now: Timestamp,
        settings: &Settings,
    ) -> LevelOutcome {
        let target = Target {
            epoch: level.epoch,
            revision: level.revision,
            level: level.level,
            untaken: level.untaken,
            taken_total: level.taken_total,
            step: level.step,
            released: level.released,
        };
        let known = self.row.push.target;
        if known.is_some_and(|known| known.is_newer_than(&target)) {
            return LevelOutcome::default();
        }
        let fresh = self.row.push.retarget(target);
        if known.is_some_and(|known| known.epoch != target.epoch) {
            // Somebody mapped it anew, or the hub was restored: what stood in the way may be gone.
            self.unblock();
        }
        self.row.sku = Some(level.sku.clone());
        self.notes.parent = level.parent;
        self.row.removed = level.removed;
        let decided = self.given_up(level).or_else(|| self.decided(level));
        if level.removed {
            self.remove();
            return LevelOutcome { fresh, decided, ..LevelOutcome::default() };
        }
        let (settled, drift) = self.prove(level, policy, now, settings).unwrap_or_default();
        let sale_inside_push =
            level.order_dates.is_some_and(|(first, last)| self.row.push.sale_inside_push(first, last));
        if sale_inside_push {
            self.wish(why::SALE_INSIDE_PUSH, now + settings.settle_delay);
        }
        if self.wants_base() {
            self.wish(why::UNKNOWN_BASE, now + settings.settle_window);
        }
        if let Some(trace) = cause.trace.filter(|_| fresh) {
            self.notes.caused_by(trace);
        }
        self.note_want(cause.at, now);
        self.plan(now, settings.flush_window);
        LevelOutcome { fresh, settled, drift, decided, sale_inside_push }
    }

    /// Nothing is pushed to it any more, and what was known of it proves nothing if it ever comes back. A push in doubt
    /// stays in doubt: if it comes back, that is read first.
    fn remove(&mut self) {
        self.unblock();
        self.row.push.base = None;
        self.row.due_at = None;
        self.notes.wish = None;
        self.want_nothing();
    }

    /// The ledger answers what it was asked.
    fn decided(&mut self, level: &LevelChanged) -> Option<DriftDecided> {
        let adoption = level.adoption.as_ref()?;
        let asked = self.row.push.adopting()?.number;
        let action = self.row.push.adopted(adoption.number, adoption.refused.is_none())?;
        let why = adoption.refused.as_ref().map(|why| why.as_str().to_owned());
        Some(DriftDecided { stock: self.row.id, number: asked, action, why })
    }

    /// What it was asked holds no more, and the ledger answers no such question. If it had done so before, the level says it.
    fn given_up(&mut self, level: &LevelChanged) -> Option<DriftDecided> {
        let (asked, why) = if level.removed {
            (self.row.push.base?.adopting?.number, unanswered::REMOVED)
        } else {
            (self.row.push.outdated_adoption()?.number, unanswered::NEW_LEVELS)
        };
        let answer = level.adoption.as_ref().filter(|adoption| adoption.number >= asked);
        let (action, why) = match answer.map(|adoption| &adoption.refused) {
            Some(None) => (DriftAction::Adopted, None),
            Some(Some(refused)) => (DriftAction::None, Some(refused.as_str())),
            None => (DriftAction::None, Some(why)),
        };
        Some(DriftDecided { stock: self.row.id, number: asked, action, why: why.map(str::to_owned) })
    }

    /// What a proof that was not taken in before comes to, and what is to be kept of it for people.
    fn prove(
        &mut self,
        level: &LevelChanged,
        policy: DriftPolicy,
        now: Timestamp,
        settings: &Settings,
    ) -> Option<(Option<Settled>, Option<DriftRow>)> {
        let proof = level.settle.as_ref().filter(|proof| proof.number > self.row.push.settled)?;
        let first_look = proof.number > self.notes.proof_seen;
        self.notes.proof_seen = self.notes.proof_seen.max(proof.number);
        let Some(shown) = proof.shown else {
            if self.row.push.adopting().is_some() {
                // As any other proof, it waits for the ledger's answer, which goes with what the stock was compared with.
                let distrust = Settled::Untrusted(Distrust::Adopting);
                return first_look.then(|| (Some(distrust), self.not_proven(proof, now, settings)));
            }
            return Some((None, self.cannot_be_proven(proof.number, now)));
        };
        let settled = self.row.push.settle(&Settle {
            number: proof.number,
            epoch: level.epoch,
            shown,
            asked: proof.asked,
            answered: proof.answered,
            taken_total: proof.taken_total,
            quiet: proof.quiet,
            dated: proof.modified_at,
            policy,
        });
        match settled {
            Settled::Trusted(drift) => {
                // It shows a quantity, so it may be pushed to again; if not, the next push will tell.
                self.unblock();
                let before = self.notes.wish.take();
                let drift = drift.map(|drift| {
                    // A difference is looked at once more: what was found may have been a moment's. If somebody else
                    // changes the stock all the time, ever more seldom.
                    let drifts = before.filter(|wish| wish.why == why::DRIFT).map_or(0, |wish| wish.tries);
                    self.wish_again(why::DRIFT, drifts.saturating_add(1), now, settings);
                    self.found(proof.number, &drift, now)
                });
                Some((Some(settled), drift))
            }
            Settled::Untrusted(_) => {
                first_look.then(|| (Some(settled), self.not_proven(proof, now, settings)))
            }
        }
    }

    /// It is compared again; after many tries, people are told.
    fn not_proven(
        &mut self,
        proof: &proto::Settled,
        now: Timestamp,
        settings: &Settings,
    ) -> Option<DriftRow> {
        // Looks at a difference that were trusted are no tries without trust.
        let before = self.notes.wish.as_ref().filter(|wish| wish.why == why::UNTRUSTED);
        let tries = before.map_or(0, |wish| wish.tries).saturating_add(1);
        self.wish_again(why::UNTRUSTED, tries, now, settings);
        (tries == UNSETTLED_TRIES).then(|| {
            let expected = self.row.push.expected();
            DriftRow { expected, shown: proof.shown, ..self.difference(proof.number, now) }
        })
    }

    /// The shop keeps no quantity there: what it kept before says nothing once it does again.
    fn cannot_be_proven(&mut self, number: ReadNumber, now: Timestamp) -> Option<DriftRow> {
        let expected = self.row.push.expected();
        let is_news = self.row.blocked.as_deref() != Some(UNMANAGED);
        self.row.push.settled = number;
        self.row.push.base = None;
        self.notes.wish = None;
        if self.row.blocked.is_none() {
            self.block(UNMANAGED);
        }
        let class = DriftClass::Unmanaged;
        is_news.then(|| DriftRow { class, expected, ..self.difference(number, now) })
    }

    /// A difference about which nothing is known or done yet.
    fn difference(&self, number: ReadNumber, now: Timestamp) -> DriftRow {
        DriftRow {
            stock: self.row.id,
            number,
            at: now,
            class: DriftClass::Unsettled,
            expected: None,
            shown: None,
            action: DriftAction::None,
            why: None,
            sku: self.row.sku.clone(),
        }
    }

    fn found(&self, number: ReadNumber, drift: &Drift, now: Timestamp) -> DriftRow {
        DriftRow::found(self.row.id, self.row.sku.clone(), number, drift, now)
    }

    fn wish_again(&mut self, why: &str, tries: u32, now: Timestamp, settings: &Settings) {
        let due_at = now + settings.settle_repeat.ceiling(tries);
        self.notes.wish = Some(SettleWish { why: why.to_owned(), due_at, tries, asked: false });
    }

    fn wants_base(&self) -> bool {
        self.notes.wish.is_none()
            && self.row.blocked.is_none()
            && !self.row.removed
            && self.row.push.target.is_some()
            && self.row.push.expected().is_none()
    }

    /// Wishes for a settle; one that was asked for and is not answered counts for this too: what it cannot prove, it
    /// will say.
    pub(crate) fn wish(&mut self, why: &str, due_at: Timestamp) {
        match &mut self.notes.wish {
            // Nothing can be pushed, so nothing need be proven.
            None if self.row.blocked.is_some() => {}
            Some(wish) if wish.asked => {}
            Some(wish) => wish.due_at = wish.due_at.min(due_at),
            None => {
                self.notes.wish = Some(SettleWish { why: why.to_owned(), due_at, tries: 0, asked: false });
            }
        }
    }

    /// When a settle is to be asked for. Not while a push is in doubt, for then it could prove nothing: the stock is read
    /// back first.
    fn asks_at(&self) -> Option<Timestamp> {
        let wish = self.notes.wish.as_ref().filter(|_| self.row.push.doubtful_until.is_none());
        wish.map(|wish| wish.due_at)
    }

    /// Whether a settle is to be asked for now.
    pub(crate) fn asks(&self, now: Timestamp) -> bool {
        self.asks_at().is_some_and(|due_at| due_at <= now)
    }

    /// A settle was asked for.
    pub(crate) fn asked(&mut self, now: Timestamp, settings: &Settings) {
        if let Some(wish) = &mut self.notes.wish {
            wish.asked = true;
            wish.due_at = now + settings.settle_patience;
        }
        self.plan(now, Duration::ZERO);
    }

    /// What the ledger is to be asked about an edit, by then.
    pub(crate) fn asks_to_adopt(&self, by: Timestamp) -> Option<StockEdited> {
        let target = self.row.push.target.filter(|_| !self.row.removed)?;
        let adopting = self.row.push.adopting().filter(|adopting| adopting.ask_at <= by)?;
        Some(StockEdited {
            stock: self.row.id,
            epoch: target.epoch,
            number: adopting.number,
            difference: adopting.difference,
        })
    }

    /// The ledger was asked.
    pub(crate) fn asked_to_adopt(&mut self, now: Timestamp) {
        self.row.push.asked_to_adopt(now + ADOPT_PATIENCE);
        self.plan(now, Duration::ZERO);
    }

    /// What to do for it, as far as it may be done.
    pub(crate) fn next(&self, now: Timestamp) -> Next {
        if self.row.removed {
            return Next::Nothing;
        }
        let held = self.notes.held_until.filter(|until| now < *until);
        match (self.row.push.next(now), held) {
            (Next::Push(_) | Next::Settle, _) if self.row.blocked.is_some() => Next::Nothing,
            (Next::Push(_) | Next::ReadBack, Some(until)) => Next::Wait(until),
            (next, _) => next,
        }
    }

    fn note_want(&mut self, at: Timestamp, now: Timestamp) {
        if matches!(self.next(now), Next::Push(_)) {
            self.notes.wanted_since.get_or_insert(at);
        } else if matches!(self.next(now), Next::Nothing) {
            self.want_nothing();
        }
    }

    /// The shop shows what it should, or nothing can be done about it.
    fn want_nothing(&mut self) {
        self.notes.wanted_since = None;
        self.notes.traces.clear();
    }

    /// Sets when it is looked at next: a push waits for others for `window`, unless one waits already.
    pub(crate) fn plan(&mut self, now: Timestamp, window: Duration) {
        let push = match self.next(now) {
            Next::Push(_) => Some(self.row.due_at.map_or(now + window, |due| due.min(now + window))),
            Next::ReadBack => Some(now),
            // The answer of a push under way sets it; one that is never answered was found at the start.
            Next::Wait(_) if self.row.push.intent.is_some() => None,
            Next::Wait(until) => Some(until),
            Next::Settle | Next::Nothing => None,
        };
        let adopt = self.row.push.adopting().map(|adopting| adopting.ask_at);
        self.row.due_at = push.into_iter().chain(self.asks_at()).chain(adopt).min();
    }

    /// Something that can pass stood in the way: it is tried again later.
    pub(crate) fn hold_back(&mut self, now: Timestamp, settings: &Settings) {
        self.notes.refusals = self.notes.refusals.saturating_add(1);
        let pause = settings.refusal.ceiling(self.notes.refusals) / 2
            + settings.refusal.delay(self.notes.refusals, backoff::random()) / 2;
        self.notes.held_until = Some(now + pause);
        self.row.due_at = None;
        self.plan(now, Duration::ZERO);
    }

    /// The shop took something: nothing stands in the way.
    fn let_go(&mut self) {
        self.notes.refusals = 0;
        self.notes.held_until = None;
    }

    pub(crate) fn block(&mut self, cause: &str) {
        self.row.blocked = Some(cause.to_owned());
        self.want_nothing();
        self.notes.wish = None;
    }

    fn unblock(&mut self) {
        self.row.blocked = None;
        self.let_go();
    }

    /// Journals a push; to be stored before the call is made.
    pub(crate) fn begin(&mut self, delta: Quantity, owner: &str, now: Timestamp) {
        self.row.push.begin(delta, now);
        self.row.intent_owner = Some(owner.to_owned());
        self.row.due_at = None;
        self.plan(now, Duration::ZERO);
    }

    /// Whether the push that `owner` began at `started_at` is still the one that waits for an answer.
    pub(crate) fn awaits(&self, owner: &str, started_at: Timestamp) -> bool {
        self.row.intent_owner.as_deref() == Some(owner)
            && self.row.push.intent.is_some_and(|intent| intent.started_at == started_at)
    }

    /// Whether a push was journaled whose answer `owner` does not wait for: somebody else began it, or it was long ago. Of such
    /// a one the database said that it was not journaled, though it was, and no call was made.
    pub(crate) fn is_stray(row: &PushRow, owner: &str, now: Timestamp) -> bool {
        row.push.intent.is_some_and(|intent| {
            row.intent_owner.as_deref() != Some(owner) || now.since(intent.started_at) >= LOST_AFTER
        })
    }

    /// Notes what a push was answered; before the rules hear of it.
    pub(crate) fn answered(&mut self, answer: &str) {
        if let Some(intent) = self.row.push.intent {
            let told = Told { at: intent.started_at, delta: intent.delta, answer: answer.to_owned() };
            self.row.told = Some(told.clone());
            self.notes.remember(told);
        }
        self.row.intent_owner = None;
    }

    /// The first `causes` of its traces have come to their push.
    pub(crate) fn caused(&mut self, causes: usize) {
        let causes = causes.min(self.notes.traces.len());
        self.notes.traces.drain(..causes);
    }

    /// The shop did it, at `date` of its clock at the latest, within `took` of the journaling. Gives back since when it
    /// should have, if it shows now what it should.
    pub(crate) fn succeeded(&mut self, date: Timestamp, took: Duration, now: Timestamp) -> Option<Timestamp> {
        self.answered("applied");
        self.row.push.succeeded(date, took);
        self.let_go();
        let since = self.notes.wanted_since.take();
        self.note_want(now, now);
        self.row.due_at = None;
        self.plan(now, Duration::ZERO);
        since
    }

    /// The shop certainly did not do it, and said why.
    pub(crate) fn refused(&mut self, why: &str) {
        self.answered(why);
        self.row.push.refused();
    }

    /// The shop was told nothing.
    pub(crate) fn unsent(&mut self, now: Timestamp) {
        self.row.intent_owner = None;
        self.row.push.refused();
        self.row.due_at = None;
        self.plan(now, Duration::ZERO);
    }

    /// Nobody knows whether the push arrived.
    pub(crate) fn uncertain(&mut self, answer: &str, now: Timestamp) {
        self.answered(answer);
        self.row.push.uncertain();
        self.row.due_at = None;
        self.let_go();
        self.plan(now, Duration::ZERO);
    }

    /// The stock was read after its doubtful push could no longer take effect.
    pub(crate) fn read_back(
        &mut self,
        shown: Quantity,
        expected: Quantity,
        date: Timestamp,
        now: Timestamp,
        settings: &Settings,
    ) {
        self.let_go();
        self.row.push.read_back(shown, expected, date);
        self.wish(why::READ_BACK, now + settings.settle_delay);
        self.note_want(now, now);
        self.plan(now, Duration::ZERO);
    }

    /// It was to be read back, and the shop keeps no quantity there any more.
    pub(crate) fn cannot_be_read(
        &mut self,
        cause: &str,
        date: Timestamp,
        now: Timestamp,
        settings: &Settings,
    ) {
        if self.row.push.adopting().is_some() {
            // What is known goes once the ledger has answered what is asked of it.
            return self.hold_back(now, settings);
        }
        let expected = self.row.push.expected().unwrap_or_default();
        self.row.push.read_back(expected, expected, date);
        self.row.push.base = None;
        self.let_go();
        self.block(cause);
        self.plan(now, Duration::ZERO);
    }
}
