//! Ports for servers that cannot be told to choose one.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Below the ports that Linux gives to connections and to listeners on port 0 (32768 and up): a server binds its port
/// seconds after it was chosen, and until then nobody may be given it by chance.
const FIRST: u32 = 10_000;
/// How many there are to choose from.
const COUNT: u32 = 20_000;

static TRIES: AtomicU32 = AtomicU32::new(0);

/// Ports of the loopback address on which nobody listens now.
pub fn free_ports(count: usize) -> Vec<u16> {
    let mut listeners = Vec::with_capacity(count);
    let ports = std::iter::repeat_with(|| {
        let listener = std::iter::repeat_with(candidate)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|bound| (port, bound)));
        let (port, listener) = listener.expect("candidates never end");
        // Held until all are chosen, so that they differ.
        listeners.push(listener);
        port
    });
    let ports = ports.take(count).collect();
    drop(listeners);
    ports
}

/// Another one each time and in each process.
fn candidate() -> u16 {
    let nanos =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let tries = TRIES.fetch_add(1, Ordering::Relaxed);
    let mixed = (nanos ^ process::id().rotate_left(16)).wrapping_add(tries).wrapping_mul(0x9E37_79B9);
    u16::try_from(FIRST + (mixed >> 8) % COUNT).expect("the range ends below 65536")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports = free_ports(20);
        let mut sorted = ports.clone();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]), "{ports:?}");
        assert!(ports.iter().all(|port| (10_000..30_000).contains(port)), "{ports:?}");
    }
}
