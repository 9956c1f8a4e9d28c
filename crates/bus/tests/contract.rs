//! What every transport must keep, run for each of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "contract/amqp.rs"]
mod amqp;
#[path = "contract/letters.rs"]
mod letters;
#[path = "contract/local.rs"]
mod local;
#[path = "contract/suite.rs"]
mod suite;

/// One test for each clause of the contract.
macro_rules! contract {
    ($transport:ident: $factory:ty) => {
        contract!(@ $transport: $factory;
            confirmed_messages_survive_a_crash
            messages_of_a_shop_keep_their_order
            each_message_is_answered_for_itself
            a_crash_redelivers_and_counts
            what_comes_ahead_is_bounded_and_keeps_its_order
            what_comes_ahead_counts_while_a_batch_is_handled
            nothing_overtakes_a_message_to_be_retried
            what_failed_twice_is_delivered_with_few_then_alone
            all_can_be_thrown_away_while_nobody_consumes
            what_fails_for_ever_is_dead_lettered
            dead_letters_are_kept_replayed_and_discarded
            what_is_given_up_is_offered_before_what_follows
            a_letter_whose_removal_was_cut_off_is_offered_again
            a_letter_that_is_left_stays
            letters_of_a_queue_that_another_consumes_can_be_kept
            a_pause_keeps_the_batch_and_does_not_count
            a_slow_handler_gets_bounded_batches
            a_batch_may_wait_to_fill
            a_waiting_consumer_is_woken
            a_flow_that_does_not_keep_up_is_told
            a_stop_finishes_what_was_handed_over
            a_queue_has_one_consumer
            an_undecided_message_is_delivered_again
        );
    };
    (@ $transport:ident: $factory:ty; $($clause:ident)*) => {
        mod $transport {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $clause() {
                    $crate::suite::$clause::<$factory>().await;
                }
            )*
        }
    };
}

contract!(over_spool: crate::local::LocalBus);
contract!(over_amqp: crate::amqp::AmqpBus);
