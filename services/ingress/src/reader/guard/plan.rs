//! What is to be done about the webhooks of a shop, from what the shop lists and what we know: which of them are ours, which
//! of those are broken, and which are to be deleted and made. No calls.

use std::collections::{BTreeMap, BTreeSet};

use connector::{Webhook, WebhookStatus};
use store::KeptWebhook;

/// What was wrong with a webhook of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It is not there any more.
    Missing,
    /// The shop gave it up after seven failures in a row, or somebody switched it off.
    Disabled,
    /// Somebody paused it.
    Paused,
    /// Somebody changed what it tells of, or where to.
    Edited,
    /// There is another of the same topic.
    Doubled,
}

impl Fault {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Disabled => "disabled",
            Self::Paused => "paused",
            Self::Edited => "edited",
            Self::Doubled => "doubled",
        }
    }

    /// While it was so, something may not have been told.
    pub(crate) const fn lost_something(self) -> bool {
        !matches!(self, Self::Doubled)
    }
}

/// How a webhook of ours is known.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    /// Where it delivers.
    pub(super) address: &'a str,
    /// The end of that, which cannot be guessed: whatever delivers there is ours, also through an address we had before.
    pub(super) path: &'a str,
    /// Says that it was made with the present address and secret.
    pub(super) mark: &'a str,
    pub(super) topics: &'static [&'static str],
    pub(super) name: fn(&str) -> String,
}

/// What is to be done; deletions come first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) delete: Vec<i64>,
    pub(super) create: Vec<&'static str>,
    /// Good ones that we do not know yet: made by hand, or by us just before a crash.
    pub(super) adopt: Vec<(&'static str, i64)>,
    /// Topics that are as they should be.
    pub(super) good: usize,
    /// What was found to be wrong, by topic.
    pub(super) faults: BTreeSet<(String, Fault)>,
}

/// What one webhook in the list is.
enum Is {
    Foreign,
    Good(&'static str),
    /// It was made with another secret, or for an address we had before.
    Outdated,
    Broken(String, Fault),
}

fn comes_here(webhook: &Webhook, path: &str) -> bool {
    webhook.delivery_url.trim_end_matches('/').ends_with(path)
}

/// Those of others are never touched: ours deliver to our address, or are known by number and still have our name.
pub(crate) fn is_ours(webhook: &Webhook, kept: &[KeptWebhook], path: &str, name: fn(&str) -> String) -> bool {
    let known = kept.iter().find(|kept| kept.webhook == Some(webhook.id));
    comes_here(webhook, path) || known.is_some_and(|known| webhook.name == name(&known.topic))
}

impl Ours<'_> {
    fn look(&self, webhook: &Webhook, kept: &[KeptWebhook]) -> Is {
        if !is_ours(webhook, kept, self.path, self.name) {
            return Is::Foreign;
        }
        let known = kept.iter().find(|kept| kept.webhook == Some(webhook.id));
        let comes_here = comes_here(webhook, self.path);
        let topic = known.map_or(webhook.topic.as_str(), |known| known.topic.as_str());
        let broken = |fault| Is::Broken(topic.to_owned(), fault);
        match webhook.status {
            WebhookStatus::Active => {}
            WebhookStatus::Paused => return broken(Fault::Paused),
            WebhookStatus::Disabled | WebhookStatus::Other => return broken(Fault::Disabled),
        }
        let is_of_now = known.and_then(|known| known.mark.as_deref()).is_none_or(|mark| mark == self.mark);
        let needed = self.topics.iter().find(|needed| **needed == webhook.topic);
        match needed {
            Some(needed) if topic == webhook.topic && webhook.delivery_url == self.address => {
                if is_of_now {
                    Is::Good(needed)
                } else {
                    Is::Outdated
                }
            }
            Some(_) if topic == webhook.topic && comes_here && !is_of_now => Is::Outdated,
            _ => broken(Fault::Edited),
        }
    }

    pub(super) fn plan(&self, listed: &[Webhook], kept: &[KeptWebhook]) -> Plan {
        let mut plan = Plan::default();
        let mut good: BTreeMap<&'static str, Vec<i64>> = BTreeMap::new();
        let mut outdated = BTreeSet::new();
        for webhook in listed {
            match self.look(webhook, kept) {
                Is::Foreign => {}
                Is::Good(topic) => good.entry(topic).or_default().push(webhook.id),
                Is::Outdated => {
                    outdated.insert(webhook.topic.as_str());
                    plan.delete.push(webhook.id);
                }
                Is::Broken(topic, fault) => {
                    plan.faults.insert((topic, fault));
                    plan.delete.push(webhook.id);
                }
            }
        }
        for topic in self.topics {
            let known = kept.iter().find(|kept| kept.topic == *topic).and_then(|kept| kept.webhook);
            let mut found = good.remove(topic).unwrap_or_default();
            found.sort_unstable();
            let stays =
                found.iter().copied().find(|id| Some(*id) == known).or_else(|| found.first().copied());
            let Some(stays) = stays else {
                let is_said = plan.faults.iter().any(|(said, _)| said == topic);
                if known.is_some() && !is_said && !outdated.contains(topic) {
                    plan.faults.insert(((*topic).to_owned(), Fault::Missing));
                }
                plan.create.push(topic);
                continue;
            };
            plan.good += 1;
            if known != Some(stays) {
                plan.adopt.push((topic, stays));
            }
            let others = found.into_iter().filter(|id| *id != stays);
            let before = plan.delete.len();
            plan.delete.extend(others);
            if plan.delete.len() > before {
                plan.faults.insert(((*topic).to_owned(), Fault::Doubled));
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://hub.example/webhooks/t";
    const TOPICS: &[&str] = &["order.created", "order.updated"];

    fn ours() -> Ours<'static> {
        let name = |topic: &str| format!("onhand {topic}");
        Ours { address: ADDRESS, path: "/webhooks/t", mark: "now", topics: TOPICS, name }
    }

    fn webhook(id: i64, topic: &str) -> Webhook {
        Webhook {
            id,
            name: format!("onhand {topic}"),
            topic: topic.to_owned(),
            status: WebhookStatus::Active,
            delivery_url: ADDRESS.to_owned(),
        }
    }

    fn kept(id: i64, topic: &str) -> KeptWebhook {
        KeptWebhook {
            topic: topic.to_owned(),
            webhook: Some(id),
            mark: Some("now".to_owned()),
            made_at: None,
            delivered_at: None,
        }
    }

    fn both() -> Vec<KeptWebhook> {
        vec![kept(1, "order.created"), kept(2, "order.updated")]
    }

    #[test]
    fn nothing_is_done_to_what_is_good_or_not_ours() {
        let foreign = [
            Webhook { delivery_url: "https://other.example/hook".to_owned(), ..webhook(7, "order.updated") },
            Webhook {
                status: WebhookStatus::Disabled,
                delivery_url: "https://hub.example/webhooks/u".to_owned(),
                ..webhook(8, "order.created")
            },
        ];
        let listed =
            [vec![webhook(1, "order.created"), webhook(2, "order.updated")], foreign.to_vec()].concat();
        assert_eq!(ours().plan(&listed, &both()), Plan { good: 2, ..Plan::default() });
        // Its number was ours once; it has neither our name nor our address, so it is somebody's now.
        let reused = Webhook {
            name: "ERP".to_owned(),
            delivery_url: "https://erp.example/".to_owned(),
            ..webhook(2, "order.updated")
        };
        let plan = ours().plan(&[webhook(1, "order.created"), reused], &both());
        assert_eq!((plan.delete, plan.create), (vec![], vec!["order.updated"]));
    }

    #[test]
    fn a_shop_that_has_none_is_given_all_without_a_word_and_one_that_lost_them_is_not() {
        assert_eq!(ours().plan(&[], &[]), Plan { create: TOPICS.to_vec(), ..Plan::default() });
        let lost = ours().plan(&[], &both());
        assert_eq!(lost.create, TOPICS);
        assert_eq!(lost.faults.iter().map(|(_, fault)| *fault).collect::<Vec<_>>(), [Fault::Missing; 2]);
    }

    #[test]
    fn each_way_to_break_one_is_told_apart_and_mended_alike() {
        let updated = || webhook(2, "order.updated");
        let elsewhere = "https://elsewhere.example/".to_owned();
        for (broken, fault) in [
            (Webhook { status: WebhookStatus::Disabled, ..updated() }, Fault::Disabled),
            (Webhook { status: WebhookStatus::Other, ..updated() }, Fault::Disabled),
            (Webhook { status: WebhookStatus::Paused, ..updated() }, Fault::Paused),
            (Webhook { topic: "coupon.created".to_owned(), ..updated() }, Fault::Edited),
            (Webhook { topic: "order.created".to_owned(), ..updated() }, Fault::Edited),
            (Webhook { delivery_url: elsewhere, ..updated() }, Fault::Edited),
            (Webhook { delivery_url: format!("http://x{ADDRESS}"), ..updated() }, Fault::Edited),
            (Webhook { delivery_url: format!("{ADDRESS}/"), ..updated() }, Fault::Edited),
        ] {
            let plan = ours().plan(&[webhook(1, "order.created"), broken.clone()], &both());
            assert_eq!(
                (plan.delete, plan.create, plan.good),
                (vec![2], vec!["order.updated"], 1),
                "{broken:?}"
            );
            assert_eq!(plan.faults, BTreeSet::from([("order.updated".to_owned(), fault)]), "{broken:?}");
        }
    }

    #[test]
    fn what_was_made_before_a_crash_or_by_hand_is_taken_over_and_doubles_are_reduced() {
        let listed = [webhook(5, "order.updated"), webhook(4, "order.updated"), webhook(1, "order.created")];
        let plan = ours().plan(&listed, &[]);
        assert_eq!((plan.adopt, plan.delete), (vec![("order.created", 1), ("order.updated", 4)], vec![5]));
        assert_eq!(plan.faults, BTreeSet::from([("order.updated".to_owned(), Fault::Doubled)]));
        // The one that is known stays, whatever its number.
        let plan = ours().plan(&listed, &[kept(1, "order.created"), kept(5, "order.updated")]);
        assert_eq!((plan.adopt, plan.delete, plan.good), (vec![], vec![4], 2));
    }

    #[test]
    fn another_secret_or_address_of_ours_is_no_fault_but_needs_new_ones() {
        let old = |id, topic| KeptWebhook { mark: Some("before".to_owned()), ..kept(id, topic) };
        let kept = [old(1, "order.created"), old(2, "order.updated")];
        let moved = Webhook {
            delivery_url: "https://old.example/webhooks/t".to_owned(),
            ..webhook(2, "order.updated")
        };
        let plan = ours().plan(&[webhook(1, "order.created"), moved], &kept);
        assert_eq!((plan.delete, plan.create), (vec![1, 2], TOPICS.to_vec()));
        assert_eq!(plan.faults, BTreeSet::new());
    }
}
