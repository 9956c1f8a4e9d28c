//! Which addresses may be called at all. Where a shop is, or who is to be told, is typed by a person, so it must not lead into
//! our own network: whoever calls checks the very addresses that he connects to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be called. Allowing private networks allows one's own machine and one's own networks; where
/// clouds hand out their secrets (link-local) and what is no host (multicast, reserved) stays refused for all.
pub fn may_call(address: IpAddr, private_allowed: bool) -> bool {
    match address {
        IpAddr::V4(v4) => may_call_v4(v4, private_allowed),
        IpAddr::V6(v6) => may_call_v6(v6, private_allowed),
    }
}

fn may_call_v4(address: Ipv4Addr, private_allowed: bool) -> bool {
    let never = matches!(
        address.octets(),
        [0 | 224..=255, ..] // this network, multicast, reserved, broadcast
            | [169, 254, ..] // link-local: metadata of clouds
            | [192, 0, 0 | 2, _] // protocols, documentation
            | [192, 88, 99, _] // relays
            | [198, 18 | 19, ..] // benchmarks
            | [198, 51, 100, _] | [203, 0, 113, _] // documentation
    );
    let own = matches!(
        address.octets(),
        [10 | 127, ..] | [100, 64..=127, ..] | [172, 16..=31, ..] | [192, 168, ..]
    );
    // Alibaba keeps its metadata inside the range of carriers.
    let metadata = address == Ipv4Addr::new(100, 100, 100, 200);
    !never && !metadata && (private_allowed || !own)
}

fn may_call_v6(address: Ipv6Addr, private_allowed: bool) -> bool {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        may_call_v4(Ipv4Addr::new(a, b, c, d), private_allowed)
    };
    match segments {
        // Where Amazon keeps its metadata, tunnels, documentation.
        [0xfd00, 0x0ec2, ..] | [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            false
        }
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] => private_allowed,
        // IPv4 in other clothes: mapped, and translated.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_only_unless_allowed() {
        for (text, public, own) in [
            ("8.8.8.8", true, true),
            ("2606:4700::1111", true, true),
            ("::ffff:8.8.8.8", true, true),
            ("64:ff9b::808:808", true, true),
            ("127.0.0.1", false, true),
            ("127.8.9.1", false, true),
            ("10.0.0.5", false, true),
            ("172.31.255.255", false, true),
            ("172.32.0.1", true, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("100.128.0.1", true, true),
            ("::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("::ffff:10.0.0.1", false, true),
            ("64:ff9b::7f00:1", false, true),
            ("fd12::1", false, true),
            ("fc00::1", false, true),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("100.100.100.200", false, false),
            ("fd00:ec2::254", false, false),
            ("fe80::1", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("::7f00:1", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("198.18.0.1", false, false),
            ("192.0.2.1", false, false),
            ("ff02::1", false, false),
            ("2002:7f00:1::", false, false),
            ("2001:db8::1", false, false),
            ("2001::1", false, false),
            ("fec0::1", false, false),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(may_call(address, false), public, "{text}");
            assert_eq!(may_call(address, true), own, "{text} when allowed");
        }
    }
}
