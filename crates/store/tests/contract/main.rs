//! What every backend of the store must do alike. Each test is generic over the database it runs on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

extern crate onhand_store as store;

mod alerts;
mod batch;
mod catalogue;
mod check;
mod database;
mod egress;
mod egress_drifts;
mod egress_notes;
mod egress_seen;
mod epoch;
mod exports;
mod grants;
mod ingress;
mod ingress_reconcile;
mod ingress_tasks;
mod ingress_webhooks;
mod many_writers;
mod mapping;
mod orders;
mod outbox;
mod postgres_schema;
mod registry;
mod shards;
mod shipments;
mod upkeep;
mod wishes;
mod world;

/// Runs every test of the contract on every backend.
macro_rules! contract {
    ($($module:ident { $($test:ident),* $(,)? })*) => {
        contract! { sqlite on crate::database::SqliteFile: $($module { $($test),* })* }
        contract! { postgres on crate::database::Postgres: $($module { $($test),* })* }
    };
    ($backend:ident on $database:ty: $($module:ident { $($test:ident),* })*) => {
        mod $backend {
            $(mod $module {
                $(#[tokio::test]
                async fn $test() {
                    crate::$module::$test::<$database>().await.unwrap();
                })*
            })*
        }
    };
}

contract! {
    registry {
        warehouses_have_unique_names, a_shop_comes_back_as_it_was_added, names_and_warehouses_of_shops_are_checked,
        a_removed_shop_gives_its_name_and_secrets_up, secrets_are_unreadable_under_another_key,
        secrets_can_be_rotated, every_webhook_address_is_listed, a_store_that_is_away_is_busy_until_it_is_there,
        a_removed_shop_comes_back_as_itself, tokens_are_known_by_their_hash_only,
        the_last_administrator_is_kept_unless_that_is_meant, opening_twice_changes_nothing,
    }
    catalogue {
        a_listing_leads_elsewhere_as_soon_as_it_is_mapped_so,
        a_listing_maps_its_stock, a_sku_has_one_stock_a_shop, two_shops_may_sell_one_sku, a_renamed_sku_stays_mapped,
        variations_of_a_parent_share_its_stock, an_older_read_changes_nothing, an_unmanaged_stock_is_removed,
        mapping_by_hand_starts_an_epoch,
    }
    mapping {
        a_table_says_what_a_listing_is, a_table_with_a_wrong_entry_changes_nothing,
        what_nobody_says_any_more_goes_by_its_code, what_keeps_no_quantity_may_be_said_to_be_a_sku,
        a_code_that_differs_in_case_and_blanks_is_matched_if_alone, an_exact_code_wins_whatever_is_read_first,
        a_hint_that_differs_is_told,
        a_listing_without_a_code_is_the_sku_of_its_name_if_asked_for, what_is_so_anyway_is_not_written_down,
        a_catalogue_is_told_with_how_it_stands, what_is_to_be_read_again_is_named_with_what_is_known,
    }
    orders {
        an_order_round_trips_with_everything, lines_that_go_are_gone, a_batch_of_500_is_one_transaction,
        a_dropped_batch_leaves_nothing, operation_keys_tell_same_from_other, unknown_skus_are_made,
        doubt_names_its_stocks, what_is_held_and_not_taken, movements_cannot_be_changed,
        readers_explain_a_number,
    }
    wishes {
        a_wish_stays_until_it_is_asked_for, orders_no_read_confirmed_are_found, marks_are_cleared_one_by_one,
        unresolved_lines_make_a_picture_incomplete, a_code_stands_in_for_a_stock, doubt_leaves_unmanaged_lines_out,
        traces_go_out_with_levels, a_shop_is_connected_within_a_batch,
    }
    outbox {
        newest_wins, order_dates_gather_until_published, shops_are_shared_out, what_was_published_can_be_again,
        who_saves_is_told_what_waits, what_is_damaged_is_told_apart,
    }
    upkeep {
        a_changed_shop_marks_its_skus, a_mapped_listing_marks_its_orders, expired_orders_are_found,
        rereads_are_asked_for_once_in_a_while, incomplete_shops_are_marked_and_cleared, dead_messages_can_be_taken,
        a_dead_message_is_kept_once, a_dead_message_of_no_fact_makes_nothing_incomplete,
        approvals_are_decided_once, operation_keys_are_forgotten, orphans_and_parked_lines_are_listed,
        a_line_without_stock_waits_for_nobody, a_code_that_becomes_known_finds_its_orders,
        a_line_that_cannot_be_read_is_listed_with_its_cause,
    }
    check {
        a_sound_ledger_is_sound, a_wrong_balance_is_found, a_missing_movement_is_found, a_broken_chain_is_found,
        wrong_reserved_is_found, a_wrong_order_sum_is_found, wrong_taken_is_found, wrong_untaken_is_found,
        a_wrong_level_is_found, a_level_published_ahead_is_found,
    }
    egress {
        push_state_round_trips, an_intent_survives_its_process, due_stocks_come_by_shop, lanes_are_shown,
    }
    egress_drifts {
        differences_are_listed_newest_first, the_oldest_of_a_stock_are_forgotten, what_became_of_an_edit_is_noted,
        edits_of_many_at_once_are_of_one_class, a_base_of_before_is_understood,
        of_each_stock_the_newest_is_told_that_concerns_people, of_one_read_the_last_is_kept,
        decisions_are_numbered_by_stock_and_the_last_are_kept,
    }
    egress_notes { notes_round_trip, what_is_due_comes_by_product, what_nobody_loaded_is_saved_too }
    egress_seen { what_was_seen_is_saved, what_somebody_changed_is_left_alone, what_was_never_seen_is_left_alone }
    exports { every_movement_is_exported_once, every_order_is_exported_with_its_lines }
    epoch { nothing_of_before_is_believed, everything_since_is_read_again, no_edit_waits_for_the_ledger_any_more }
    ingress {
        a_reader_has_the_shop_for_itself, a_stale_fence_gets_nothing, read_numbers_are_never_given_twice,
        a_stock_is_settled_once, a_settle_wanted_meanwhile_stays_due,
        a_settle_that_can_prove_nothing_yet_is_left_for_later,
    }
    grants { a_state_is_repeated_once_and_in_time, what_came_of_a_grant_is_told }
    ingress_tasks {
        a_task_is_asked_for_once_until_it_runs, an_order_wanted_again_meanwhile_stays, shops_with_work_are_found,
        a_reading_round_trips,
    }
    alerts {
        only_whose_turn_it_is_writes, one_alert_of_a_key_is_open, what_did_not_last_is_not_listed,
        what_begins_again_is_acknowledged_again, notices_wait_until_they_are_sent, too_little_is_found_by_its_sku,
        what_is_told_of_an_alert_keeps_its_order, what_was_told_of_an_alert_is_kept,
        trouble_of_shops_is_found, what_waits_is_counted_by_shop,
    }
    ingress_reconcile {
        a_run_lists_every_stock_of_its_shop, a_shop_has_one_run_at_a_time, what_is_read_is_judged_once,
        what_is_not_decided_at_the_end_is_unsettled, a_stock_that_just_sold_is_left_for_later,
        egress_says_what_a_proof_came_to, a_comparison_without_consequences_is_found,
        a_schedule_is_kept_until_it_is_another, a_day_is_counted_once, old_runs_are_forgotten_in_bounded_steps,
        what_is_unmanaged_is_listed_by_the_newest_run_alone,
    }
    ingress_webhooks {
        kept_webhooks_round_trip, a_condition_has_a_beginning_and_an_end, conditions_and_webhooks_are_of_one_shop,
    }
    shipments {
        shipments_are_numbered_by_order, a_shipment_is_published_until_it_was, what_a_shop_is_told_round_trips,
        after_a_restore_a_note_is_looked_for_first, what_shops_were_told_is_forgotten_in_time, tags_go_with_the_movements_of_their_time,
    }
    shards {
        a_member_alone_has_everything, members_share, a_member_that_leaves_keeps_what_it_has_yet_to_end,
        a_dead_member_loses_its_shards, the_number_of_shards_is_noted,
    }
}
