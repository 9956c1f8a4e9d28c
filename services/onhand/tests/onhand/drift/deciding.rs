//! A person decides about differences that were left as they were set: each decision has its effect exactly once, though all
//! processes die before it can be known.

use super::{Case, PROOF_PATIENCE, Stage, UNITS, available_of, sku, text};
use crate::deployment::Deployment;
use crate::harness::{Bench, until};

/// Policy, what was changed, what is decided, what the shop shows in the end, what the hub has available then.
const DECISIONS: [(&str, Case, &str, i64, i64); 6] = [
    ("withhold", Case::Raised, "correct", UNITS, UNITS),
    ("withhold", Case::Lowered, "adopt", UNITS - 4, UNITS - 4),
    ("withhold", Case::Imported, "leave", UNITS - 5, UNITS),
    ("alert", Case::Raised, "adopt", UNITS + 3, UNITS + 3),
    ("alert", Case::Pushed, "correct", UNITS + 1, UNITS + 1),
    ("correct", Case::Lowered, "correct", UNITS, UNITS),
];

fn command<'a>(policy: &'a str, thing: &'a str, decision: &'a str) -> [&'a str; 9] {
    ["drift", "decide", policy, thing, decision, "--key", thing, "--reason", "looked"]
}

/// What a shop is kept from showing, as far as the hub knows.
async fn withheld_of(bench: &Bench, thing: &str) -> String {
    let explained = bench.run(&["explain", thing, "--json"]).await.json();
    text(&explained["shops"][0]["withheld"])
}

pub(super) async fn people_decide(bench: &Bench, deployment: &mut Deployment, stages: &[Stage]) {
    for (policy, case, decision, ..) in DECISIONS {
        let said = bench.run(&command(policy, &sku(policy, case), decision)).await.good();
        assert!(said.starts_with(&sku(policy, case)), "{said}");
    }
    for process in deployment.processes() {
        deployment.kill(bench, process).await;
        deployment.launch(bench, process);
    }
    deployment.all_listen(bench).await;
    // Who did not hear the answer asks once more.
    for (policy, case, decision, ..) in DECISIONS {
        bench.run(&command(policy, &sku(policy, case), decision)).await.good();
    }
    for (policy, case, decision, shown, available) in DECISIONS {
        let stage = stages.iter().find(|stage| stage.policy == policy).unwrap();
        let thing = sku(policy, case);
        until(&format!("{thing} is as it was decided"), PROOF_PATIENCE, async || {
            let is_so = stage.shows(case) == Some(shown) && available_of(bench, &thing).await == available;
            let is_left = decision == "leave";
            (is_so && (is_left || withheld_of(bench, &thing).await == "0")).then_some(())
        })
        .await;
        let listed = bench.run(&["drift", "list", policy, "--json"]).await.json();
        let row =
            listed["items"].as_array().unwrap().iter().find(|item| item["sku"] == thing.as_str()).unwrap();
        assert_eq!(row["decided"]["decision"], decision, "{row}");
        let explained = bench.run(&["explain", &thing]).await.good();
        assert!(explained.contains(&format!("decided to {decision} it")), "{explained}");
    }
    let moved = bench.run(&["movements", &sku("withhold", Case::Lowered), "--json"]).await.json();
    let adjusted: Vec<_> =
        moved["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "adjustment").collect();
    assert_eq!(adjusted.len(), 1, "{moved}");
    assert_eq!(
        (text(&adjusted[0]["on_hand_change"]), text(&adjusted[0]["reason"])),
        ("-4".into(), "looked".into())
    );
    let again = ["drift", "decide", "alert", &sku("alert", Case::Pushed), "adopt"];
    let refused = bench.run(&again).await;
    assert!(refused.code != Some(0) && refused.err.contains("nothing of stock"), "{refused:?}");
}
