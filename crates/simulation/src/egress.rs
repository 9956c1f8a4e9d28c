//! Egress, in memory: what is known of each stock of one shop, and the calls under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use push::{Adopting, Drift, DriftAction, DriftPolicy, Intent, Next, Settle, Settled, StockPush, Target};
use values::{Epoch, HolderId, Moment, Quantity, ReadNumber, Step, Timestamp};

use crate::bug::Bug;
use crate::inventory::Row;

/// How a call ended for egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, says the shop, at this time of its clock.
    Done(Timestamp),
    /// Not done, says the shop.
    Refused,
    /// No answer.
    Lost,
}

#[derive(Debug, Default)]
pub(crate) struct Egress {
    pub(crate) stocks: BTreeMap<HolderId, StockPush>,
    /// The call a stock waits for; a reply to another is too late.
    pub(crate) calls: BTreeMap<HolderId, u64>,
    /// Edits that people are told the ledger is asked about.
    pub(crate) open_edits: BTreeSet<(HolderId, ReadNumber)>,
    pub(crate) down: bool,
    pub(crate) push_count: u64,
}

/// What a level told egress to do besides pushing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing.
    None,
    /// Settle the stock soon.
    Settle,
    /// Take so many units for goods received.
    Adopt(Quantity),
}

impl Egress {
    /// Takes a level row; `None` in `bug` is the rule as designed.
    pub(crate) fn take(
        &mut self,
        holder: HolderId,
        row: &Row,
        policy: DriftPolicy,
        bug: Option<Bug>,
    ) -> Wish {
        let stock = self.stocks.entry(holder).or_default();
        let untaken = if bug == Some(Bug::ForgetUntaken) { Quantity::ZERO } else { row.untaken };
        stock.retarget(Target {
            epoch: row.epoch,
            revision: row.revision,
            level: row.level,
            untaken,
            taken_total: row.taken_total,
            step: Step::ONE,
            released: Quantity::ZERO,
        });
        if bug != Some(Bug::LeaveEditsOpen)
            && let Some(outdated) = stock.outdated_adoption()
        {
            self.open_edits.remove(&(holder, outdated.number));
        }
        let asked = stock.adopting();
        if let (Some((number, taken_over)), Some(asked)) = (row.adoption, asked)
            && stock.adopted(number, taken_over).is_some()
        {
            self.open_edits.remove(&(holder, asked.number));
        }
        let policy = match bug {
            Some(Bug::PushAgainstEdits) => DriftPolicy::Correct,
            Some(Bug::KeepEdits) if policy == DriftPolicy::Correct => DriftPolicy::Withhold,
            _ => policy,
        };
        let mut wish = Wish::None;
        if let Some(proof) = row.proof
            && proof.number > stock.settled
        {
            if bug == Some(Bug::SettleAnytime) {
                stock.intent = None;
                stock.doubtful_until = None;
                stock.log.clear();
            }
            let settled = stock.settle(&Settle {
                number: proof.number,
                epoch: row.epoch,
                shown: proof.shown,
                asked: Moment { shop: proof.t1, hub: proof.read_at },
                answered: Moment { shop: proof.t1, hub: proof.read_at },
                taken_total: proof.taken_total,
                quiet: proof.quiet,
                dated: proof.dated,
                policy,
            });
            if matches!(settled, Settled::Trusted(Some(Drift { action: DriftAction::Adopting, .. }))) {
                self.open_edits.insert((holder, proof.number));
            }
            if bug == Some(Bug::AdoptDrift)
                && let (Settled::Trusted(_), Some(target)) = (settled, stock.target)
            {
                let found = stock.expected().unwrap_or_default() - target.goal(Quantity::ZERO);
                return if found.is_positive() { Wish::Adopt(found) } else { Wish::None };
            }
            // A difference that was found is looked at once more; a settle that proved nothing is made again.
            if !matches!(settled, Settled::Trusted(None)) {
                wish = Wish::Settle;
            }
        } else if stock.expected().is_none() {
            wish = Wish::Settle;
        }
        if let Some((first, last)) = row.order_dates
            && bug != Some(Bug::IgnoreSaleInsidePush)
            && stock.sale_inside_push(first, last)
        {
            wish = Wish::Settle;
        }
        // Nothing is proven while a push is in doubt; once it no longer is, the stock is settled anyway.
        if stock.doubtful_until.is_some() && wish == Wish::Settle { Wish::None } else { wish }
    }

    /// Edits that inventory is to be asked about now.
    pub(crate) fn edits(&self, now: Timestamp) -> Vec<(HolderId, Epoch, Adopting)> {
        let edit = |(holder, stock): (&HolderId, &StockPush)| {
            let adopting = stock.adopting().filter(|adopting| adopting.ask_at <= now)?;
            Some((*holder, stock.target?.epoch, adopting))
        };
        self.stocks.iter().filter_map(edit).collect()
    }

    /// The pushes due now, journaled.
    pub(crate) fn begin(&mut self, now: Timestamp, call: &mut u64) -> Vec<(HolderId, u64, Intent)> {
        let mut begun = Vec::new();
        for (holder, stock) in &mut self.stocks {
            if let Next::Push(delta) = stock.next(now) {
                *call += 1;
                begun.push((*holder, *call, stock.begin(delta, now)));
                self.calls.insert(*holder, *call);
                self.push_count += 1;
            }
        }
        begun
    }

    /// Takes an answer; `false` if nobody waits for it any more.
    pub(crate) fn answered(
        &mut self,
        holder: HolderId,
        call: u64,
        answer: Answer,
        took: Duration,
        bug: Option<Bug>,
    ) -> bool {
        if self.down || self.calls.get(&holder) != Some(&call) {
            return false;
        }
        self.calls.remove(&holder);
        let Some(stock) = self.stocks.get_mut(&holder) else { return false };
        match answer {
            Answer::Done(date) => stock.succeeded(date, took),
            Answer::Refused => stock.refused(),
            Answer::Lost if bug == Some(Bug::RepeatUncertain) => stock.refused(),
            Answer::Lost => {
                stock.uncertain();
                if bug == Some(Bug::ForgetUncertain) {
                    stock.doubtful_until = None;
                    stock.log.clear();
                    stock.base.iter_mut().for_each(|base| base.slack = Quantity::ZERO);
                }
            }
        }
        true
    }

    /// Starts again after a crash: what was journaled and not finished is doubtful.
    pub(crate) fn restart(&mut self, bug: Option<Bug>) {
        self.down = false;
        self.calls.clear();
        for stock in self.stocks.values_mut().filter(|stock| stock.intent.is_some()) {
            match bug {
                Some(Bug::ForgetIntents) => stock.refused(),
                Some(Bug::TrustIntents) => stock.succeeded(Timestamp::default(), Duration::ZERO),
                _ => stock.uncertain(),
            }
        }
    }
}
