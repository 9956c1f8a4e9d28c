//! The wire contract cannot change unnoticed: old bytes keep their meaning, and a meaning keeps its bytes.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};

use onhand_proto::{DecodeError, EncodeError, Envelope, FieldProblem, Kind, Message, ReadWanted, Wanted};
use values::{OrderId, ShopId};

#[path = "golden/cases.rs"]
mod cases;
#[path = "golden/random_bytes.rs"]
mod random_bytes;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/fixtures")
}

fn read(name: &str) -> (Vec<u8>, String) {
    let text = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
    let (hex, _) = text.split_once("\n\n").unwrap();
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    (digits.chunks(2).map(byte).collect(), text)
}

#[test]
fn golden_bytes_keep_their_meaning() {
    for (name, message) in cases::messages() {
        let (bytes, text) = read(name);
        let type_name = message.kind().type_name();
        assert!(name.starts_with(type_name), "{name} is a {type_name}");
        assert_eq!(Message::decode(type_name, &bytes).unwrap(), message, "{name}");
        assert_eq!(cases::fixture(&message.encode().unwrap(), &message), text, "{name}");
    }
    let (bytes, text) = read("stored");
    let envelope = Envelope::from_bytes(&bytes).unwrap();
    assert_eq!(envelope, cases::envelope());
    assert_eq!(envelope.open().unwrap(), cases::messages().swap_remove(0).1);
    assert_eq!(cases::fixture(&envelope.clone().into_bytes(), &envelope), text);
}

#[test]
fn every_message_and_every_fixture_is_golden() {
    let names: Vec<_> = cases::messages().into_iter().map(|(name, _)| format!("{name}.txt")).collect();
    for kind in Kind::ALL {
        assert!(names.iter().any(|name| name.starts_with(kind.type_name())), "{kind}");
    }
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "stored.txt" || names.contains(&name), "{name} belongs to no case");
    }
}

#[test]
fn a_newer_version_is_not_an_unknown_message() {
    let error = Message::decode("level.changed.v2", &[]).unwrap_err();
    assert!(matches!(error, DecodeError::FutureVersion { name: "level.changed", version: 2 }));
    assert!(matches!(Message::decode("level.dropped.v1", &[]), Err(DecodeError::UnknownType(_))));
}

#[test]
fn the_refused_field_is_named() {
    let (bytes, _) = read("order.observed.v1.webhook");
    let refused = |from: &[u8], to: &[u8], kind: Kind, bytes: &[u8]| {
        let start = bytes.windows(from.len()).position(|window| window == from).unwrap();
        let mut changed = bytes.to_vec();
        changed[start..start + from.len()].copy_from_slice(to);
        match Message::decode(kind.type_name(), &changed).unwrap_err() {
            DecodeError::Field { field, problem, .. } => (field, problem),
            other => panic!("{other}"),
        }
    };
    let (field, problem) = refused(b"TEE-RED-M", b"TEE\nRED-M", Kind::OrderObserved, &bytes);
    assert_eq!(field, "present.lines[0].sku");
    assert_eq!(problem.to_string(), "a SKU may not hold control characters");
    let (field, problem) = refused(b"\x08\x03", b"\x08\x00", Kind::OrderObserved, &bytes);
    assert_eq!((field.as_str(), problem), ("shop", FieldProblem::Missing));
    let nothing = Message::decode("read.wanted.v1", &[]).unwrap_err();
    assert_eq!(nothing.to_string(), "field what of read.wanted.v1 is refused");
}

#[test]
fn lists_are_bounded_both_ways() {
    let order = OrderId::new(1).unwrap();
    let wanted = |count| {
        let what = Wanted::Orders(vec![order; count]);
        Message::from(ReadWanted { shop: ShopId::new(1).unwrap(), what }).encode()
    };
    assert!(wanted(100).is_ok());
    let too_many = EncodeError::TooMany { message: "read.wanted.v1", field: "orders", count: 101, max: 100 };
    assert_eq!(wanted(101), Err(too_many));
    // 101 orders as a peer without our bound would send them: field 1 packed, inside field 2, after shop 1.
    let mut bytes = vec![0x08, 1, 0x12, 103, 0x0a, 101];
    bytes.extend([1; 101]);
    match Message::decode("read.wanted.v1", &bytes).unwrap_err() {
        DecodeError::Field { field, problem, .. } => {
            assert_eq!((field.as_str(), problem), ("orders", FieldProblem::TooMany { count: 101, max: 100 }));
        }
        other => panic!("{other}"),
    }
}
