//! That brokers are shared, come back, and leave nothing behind.

use std::path::Path;
use std::time::Instant;

use super::*;

fn alive(pid: &str) -> bool {
    Path::new("/proc").join(pid).join("environ").exists()
}

fn wait_until(what: &str, there: impl Fn() -> bool) {
    let deadline = Instant::now() + ANSWER_WITHIN;
    while !there() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn one_broker_serves_all_and_gives_each_its_own_host() {
    let (first, second) = (RabbitMq::shared(), RabbitMq::shared());
    assert_eq!(first.port(), second.port());
    let (one, other) = (first.vhost().await, second.vhost().await);
    assert_ne!(one.url(), other.url());
    let hosts = first.api("GET", "vhosts", Value::Null).await;
    let names: Vec<&str> =
        hosts.as_array().unwrap().iter().filter_map(|host| host["name"].as_str()).collect();
    assert!(names.contains(&one.name.as_str()) && names.contains(&other.name.as_str()), "{names:?}");
}

#[tokio::test]
async fn an_own_broker_comes_back_with_what_it_kept_and_leaves_nothing() {
    let broker = RabbitMq::own();
    let vhost = broker.vhost().await;
    broker.control(&["set_vm_memory_high_watermark", "0.5"]);
    for is_orderly in [false, true] {
        if is_orderly {
            broker.shut_down();
        } else {
            broker.kept().signal(Signal::Kill);
        }
        wait_until("it is gone at once", || !answers(broker.kept()));
        broker.kept().start_again();
        let hosts = broker.api("GET", "vhosts", Value::Null).await;
        assert!(hosts.as_array().unwrap().iter().any(|host| host["name"] == vhost.name.as_str()), "{hosts}");
    }
    let folder = broker.kept().folder().to_path_buf();
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    assert!(alive(pid.trim_end()));
    drop(broker);
    wait_until("its processes and files go with it", || !alive(pid.trim_end()) && !folder.exists());
}

#[test]
fn a_server_that_cannot_start_says_why_at_once() {
    const BROKEN: Recipe = Recipe { name: "broken", script: "echo it is not installed; exit 1", ..RECIPE };
    let started = Instant::now();
    let failed = std::panic::catch_unwind(|| Kept::own(BROKEN)).unwrap_err();
    let why = failed.downcast_ref::<String>().unwrap();
    assert!(why.contains("ended by itself") && why.contains("it is not installed"), "{why}");
    assert!(started.elapsed() < ANSWER_WITHIN, "{:?}", started.elapsed());
}
