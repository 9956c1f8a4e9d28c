//! Whatever comes over the wire, decoding answers; and what it accepts, it can send.

use onhand_proto::{Envelope, Kind, Message};
use proptest::prelude::*;

use crate::cases;

fn check(bytes: &[u8]) {
    for kind in Kind::ALL {
        if let Ok(message) = Message::decode(kind.type_name(), bytes) {
            let again = Message::decode(kind.type_name(), &message.encode().unwrap()).unwrap();
            assert_eq!(again, message);
        }
    }
    if let Ok(envelope) = Envelope::from_bytes(bytes) {
        assert_eq!(Envelope::from_bytes(&envelope.clone().into_bytes()).unwrap(), envelope);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn bytes_out_of_nowhere(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    /// Near misses reach further into the parser than noise does.
    #[test]
    fn golden_bytes_with_damage(
        case in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut golden: Vec<_> =
            cases::messages().into_iter().map(|(_, message)| message.encode().unwrap()).collect();
        golden.push(cases::envelope().into_bytes());
        let mut bytes = golden.swap_remove(case.index(golden.len()));
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
        bytes.truncate(keep.index(bytes.len()) + 1);
        check(&bytes);
    }

    #[test]
    fn any_type_name(name in ".{0,40}") {
        prop_assert!(Message::decode(&name, &[]).is_err());
    }
}
