//! The order in which things are given out, whatever the order in which they came.

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use proto::{CONTENT_TYPE, Properties, ShardKey};
use values::Timestamp;

use super::*;

const LIMITS: Limits =
    Limits { messages_max: 10, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };

fn held(tag: DeliveryTag, number: u128, count: u32) -> Held {
    let sent = wire::properties(&Properties {
        message_id: Uuid::from_u128(number),
        message_type: "order.observed.v1".to_owned(),
        content_type: CONTENT_TYPE.to_owned(),
        timestamp: Timestamp::from_seconds(1),
        app_id: "test".to_owned(),
        traceparent: None,
        shard_key: ShardKey::new(1),
    })
    .unwrap();
    let mut headers = sent.headers().clone().unwrap();
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(i64::from(count)));
    Held::new(tag, sent.with_headers(headers), vec![0; 100])
}

fn numbers(batch: &[Held]) -> Vec<u128> {
    batch.iter().map(|held| held.id().unwrap().as_u128()).collect()
}

fn filled(messages: &[(DeliveryTag, u128, u32)]) -> Buffer {
    let mut buffer = Buffer::default();
    for (tag, number, count) in messages {
        buffer.arrived(held(*tag, *number, *count));
    }
    buffer
}

#[test]
fn what_went_back_is_given_out_before_what_had_come() {
    let mut buffer = filled(&[(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0)]);
    let out = buffer.batch(&Limits { messages_max: 2, ..LIMITS });
    assert_eq!(numbers(&out), [1, 2]);
    for held in &out {
        buffer.sent_back(held.tag, held.id().unwrap(), held.count);
    }
    assert!(!buffer.is_ready(), "3 must not pass 1");
    // Behind a copy of 1 that was published twice.
    for (tag, number, count) in [(5, 1, 0), (6, 2, 1)] {
        buffer.arrived(held(tag, number, count));
        assert!(!buffer.is_ready());
    }
    buffer.arrived(held(7, 1, 1));
    assert!(buffer.is_ready());
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [1, 2, 3, 4, 1]);
}

#[test]
fn a_message_that_failed_before_is_with_few_and_then_alone() {
    let mut buffer = filled(&[(1, 1, 1), (2, 2, 3), (3, 3, 0), (4, 4, 0)]);
    assert!(buffer.is_enough(&LIMITS), "2 ends the batch");
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [1]);
    assert!(buffer.is_enough(&LIMITS));
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [2]);
    assert!(!buffer.is_enough(&LIMITS));
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [3, 4]);

    let limits = Limits { messages_max: 100, ..LIMITS };
    let many: Vec<_> =
        (1..=90).map(|number| (number, u128::from(number), u32::from(number > 40) * 2)).collect();
    let mut buffer = filled(&many);
    assert!(buffer.is_enough(&limits));
    let sizes: Vec<usize> =
        std::iter::from_fn(|| Some(buffer.batch(&limits).len()).filter(|size| *size > 0)).collect();
    assert_eq!(sizes, [40, 32, 18], "more than few that did not fail, then few that did");
    let mut buffer = filled(&[(1, 1, 0), (2, 2, 2), (3, 3, 0)]);
    assert!(!buffer.is_enough(&limits), "there is room for more");
    assert_eq!(numbers(&buffer.batch(&limits)), [1, 2, 3]);
}

#[test]
fn a_batch_ends_at_its_bytes() {
    let bytes = held(1, 1, 0).bytes();
    let mut buffer = filled(&[(1, 1, 0), (2, 2, 0), (3, 3, 0)]);
    let limits = Limits { bytes_max: bytes + 1, ..LIMITS };
    assert!(buffer.is_enough(&limits));
    assert_eq!(numbers(&buffer.batch(&limits)), [1, 2]);
    assert_eq!(numbers(&buffer.batch(&Limits { messages_max: 0, bytes_max: 0, ..LIMITS })), [3]);
}

#[test]
fn what_is_not_to_be_delivered_is_no_part_of_a_batch() {
    let mut buffer = filled(&[(1, 1, 0), (2, 2, DELIVERY_LIMIT + 1)]);
    buffer.arrived(Held::new(3, BasicProperties::default(), vec![1]));
    buffer.arrived(held(4, 4, DELIVERY_LIMIT));
    assert!(buffer.letter().is_none());
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [1]);
    assert_eq!(buffer.letter().unwrap().tag, 2);
    assert!(matches!(buffer.letter().unwrap().content, Content::Unreadable { .. }));
    assert!(buffer.letter().is_none());
    assert_eq!(numbers(&buffer.batch(&LIMITS)), [4]);
}

#[test]
fn acknowledgements_are_few_and_settle_nothing_else() {
    let check = |tags: &[DeliveryTag], expected: &[(DeliveryTag, bool)], left: usize| {
        let mut buffer = filled(&[(1, 1, 0), (2, 2, 0), (3, 3, 0), (5, 5, 0)]);
        assert_eq!(buffer.acks(tags.to_vec()), expected);
        assert_eq!(buffer.open(), left);
    };
    check(&[1, 2, 3, 5], &[(5, true)], 0);
    check(&[2, 1], &[(2, true)], 2);
    check(&[1, 2, 5], &[(2, true), (5, false)], 1);
    check(&[2, 3], &[(2, false), (3, false)], 2);
    check(&[], &[], 4);
    let mut buffer = filled(&[(1, 1, 0), (2, 2, 0), (3, 3, 0)]);
    buffer.sent_back(2, Uuid::from_u128(2), 0);
    assert_eq!(buffer.acks(vec![1, 3]), [(3, true)], "2 is not waited for");
}

#[test]
fn headers_of_others_are_let_be() {
    let held = Held::new(1, BasicProperties::default().with_headers(FieldTable::default()), Vec::new());
    assert_eq!((held.count, held.made()), (0, i64::MAX));
}
