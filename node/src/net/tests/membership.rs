//! Who is let in, standing links, announcements, and the connection test.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_peer_is_refused_counted_and_told_apart() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let a = Node::on(listen, quick()).await;
            let b = Node::on(listen, quick()).await;
            a.knows(&[&b]).await;
            let error = a.ask(&b, script(ECHO, 1)).await.unwrap_err();
            assert_eq!(error.code(), "net-refused", "{error}");
            until("the refusal is counted", || b.net.counter(Counter::UnknownRefused) >= 1).await;
            let bulk = a.net.bulk(b.id(), script(ECHO, 1)).await;
            assert_eq!(bulk.err().unwrap().code(), "net-refused");
            assert_eq!(b.service.answered.load(Ordering::SeqCst), 0);
            assert!(b.net.connected().is_empty());
            // Once let in, it works.
            b.knows(&[&a]).await;
            a.ask(&b, script(ECHO, 1)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_this_node_does_not_know_is_not_dialled() {
    bounded(async {
        let a = Node::on(QUIC, quick()).await;
        let b = Node::on(QUIC, quick()).await;
        let error = a.ask(&b, script(ECHO, 1)).await.unwrap_err();
        assert_eq!(error.code(), "net-unknown-peer");
        assert_eq!(b.net.counter(Counter::UnknownRefused), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_cut_in_the_middle_of_its_stream() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let mut reader = a.net.bulk(b.id(), script(STALL, 1)).await.unwrap();
            reader.next().await.unwrap().unwrap();
            b.net.set_peers(vec![]).await.unwrap();
            assert_eq!(reader.next().await.unwrap_err().code(), "net-bulk-cut");
            until("the connection is gone", || a.net.connected().is_empty()).await;
            let error = a.ask(&b, script(ECHO, 1)).await.unwrap_err();
            assert_eq!(error.code(), "net-refused");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stays_keeps_its_connection_when_the_list_changes() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        let other = Node::on(QUIC, quick()).await;
        b.knows(&[&a, &other]).await;
        a.knows(&[&other, &b]).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        assert_eq!(a.net.counter(Counter::ConnectionsOpened), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_restarts_on_its_port_is_reached_again() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            a.ask(&b, script(ECHO, 1)).await.unwrap();
            let address = b.net.listen_addresses()[0].to_string();
            b.net.shutdown().await;
            let b = restarted(b.seed, &address).await;
            b.knows(&[&a]).await;
            a.ask(&b, script(ECHO, 2)).await.unwrap();
        }
    })
    .await;
}

/// The system may need a moment before a port is free again.
async fn restarted(seed: [u8; 32], address: &str) -> Node {
    let began = Clock::now();
    loop {
        match Node::with_seed(seed, address, quick()).await {
            Ok(node) => return node,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_links_come_up_by_themselves_and_come_back() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let standing = Limits { standing_links_max: 16, ..quick() };
            let (a, b) = pair(listen, standing).await;
            let up = || a.net.connected().iter().any(|c| c.accepted);
            until("the link is up", up).await;
            let address = b.net.listen_addresses()[0].to_string();
            b.net.shutdown().await;
            until("the link is down", || a.net.connected().is_empty()).await;
            let b = restarted(b.seed, &address).await;
            b.knows(&[&a]).await;
            until("the link is back", up).await;
        }
    })
    .await;
}

/// A node in a runtime of its own, to be dropped without a goodbye as a killed process is.
pub(super) fn on_own_runtime(seed: [u8; 32], address: String) -> (tokio::runtime::Runtime, Node) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let node = std::thread::scope(|scope| {
        let start = || runtime.block_on(restarted(seed, &address));
        scope.spawn(start).join().unwrap()
    });
    (runtime, node)
}

/// Asks until there is an answer. The dead connection may cost some tries, never the way itself;
/// how long it takes is the machine's affair.
async fn reaches(from: &Node, to: &Node) {
    let began = Clock::now();
    while let Err(error) = from.ask(to, script(ECHO, 2)).await {
        assert!(began.elapsed() < PATIENCE, "never reached again: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_died_without_a_goodbye_is_reached_again() {
    bounded(async {
        for listen in [QUIC, TCP] {
            // Whoever dialled the connection that the dead peer left behind, and whoever speaks first.
            for (a_dials, b_speaks) in [(true, false), (false, false), (true, true), (false, true)] {
                let a = Node::on(listen, quick()).await;
                let (runtime, b) = on_own_runtime([9; 32], listen.to_owned());
                a.knows(&[&b]).await;
                b.knows(&[&a]).await;
                let (from, to) = if a_dials { (&a, &b) } else { (&b, &a) };
                from.ask(to, script(ECHO, 1)).await.unwrap();
                let address = b.net.listen_addresses()[0].to_string();
                runtime.shutdown_background();
                let (runtime, b) = on_own_runtime([9; 32], address);
                b.knows(&[&a]).await;
                if b_speaks {
                    reaches(&b, &a).await;
                }
                reaches(&a, &b).await;
                runtime.shutdown_background();
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_and_both_transports_listen_on_one_port() {
    bounded(async {
        let free = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let listen = ["ip4/0.0.0.0/udp", "ip4/0.0.0.0/tcp", "ip6/::/udp", "ip6/::/tcp"].map(|way| {
            let quic = if way.ends_with("udp") { "/quic-v1" } else { "" };
            format!("/{way}/{port}{quic}").parse().unwrap()
        });
        let config = NetConfig { listen: listen.to_vec(), ..config([3; 32], quick()) };
        let net = Net::start(config, Arc::new(Scripted::default())).await.unwrap();
        let open = net.listen_addresses();
        for transport in [Transport::Quic, Transport::Tcp] {
            assert!(open.iter().any(|address| Transport::of(address) == transport), "{open:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_at_start() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let a = Node::on(listen, quick()).await;
            let address = a.net.listen_addresses()[0].to_string();
            let second = Node::with_seed([7; 32], &address, quick()).await;
            if let Err(error) = second {
                assert_eq!(error.code(), "net-listen");
            } else {
                panic!("{address} was opened twice");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_of_a_member_arrives_and_a_long_one_is_refused() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        let began = Clock::now();
        let mut number = 0_u32;
        // Subscriptions travel beside requests; until they are there nobody listens.
        while b.service.notices.lock().unwrap().is_empty() {
            assert!(began.elapsed() < PATIENCE, "no announcement arrived");
            number += 1;
            let _ = a.net.announce(number.to_be_bytes().to_vec()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(b.service.notices.lock().unwrap()[0].0, a.id());
        let full = vec![5; limits::NOTICE_BYTES_MAX];
        a.net.announce(full.clone()).await.unwrap();
        until("the longest announcement arrives", || {
            let notices = b.service.notices.lock().unwrap();
            notices.iter().any(|(_, notice)| *notice == full)
        })
        .await;
        let long = a.net.announce(vec![5; limits::NOTICE_BYTES_MAX + 1]).await;
        assert_eq!(long.unwrap_err().code(), "net-too-large");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_of_a_stranger_is_not_handed_on() {
    bounded(async {
        // A line of three: a and c know only b. What a says, b may hear and c may not.
        let a = Node::on(QUIC, quick()).await;
        let b = Node::on(QUIC, quick()).await;
        let c = Node::on(QUIC, quick()).await;
        a.knows(&[&b]).await;
        b.knows(&[&a, &c]).await;
        c.knows(&[&b]).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        c.ask(&b, script(ECHO, 1)).await.unwrap();
        let began = Clock::now();
        let mut number = 0_u32;
        while c.net.counter(Counter::NoticesIgnored) == 0 {
            assert!(began.elapsed() < PATIENCE, "nothing was forwarded");
            number += 1;
            let _ = a.net.announce(number.to_be_bytes().to_vec()).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!b.service.notices.lock().unwrap().is_empty());
        assert!(c.service.notices.lock().unwrap().is_empty());
    })
    .await;
}

fn outline(steps: &[TestStep]) -> Vec<(&'static str, bool)> {
    steps.iter().map(|step| (step.name, step.ok)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_test_walks_every_step() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        assert_eq!(
            outline(&a.net.test(b.id()).await),
            [("addresses", true), ("quic", true), ("identity", true), ("allow-list", true), ("echo", true)]
        );
        until("the test's connection is closed", || a.net.connected().is_empty()).await;
        let (a, b) = pair(TCP, quick()).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        let steps = a.net.test(b.id()).await;
        assert_eq!(
            outline(&steps),
            [
                ("addresses", true),
                ("tcp-port", true),
                ("tcp", true),
                ("identity", true),
                ("allow-list", true),
                ("echo", true)
            ]
        );
        a.ask(&b, script(ECHO, 1)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_test_names_the_step_that_fails() {
    bounded(async {
        let a = Node::on(TCP, quick()).await;
        let b = Node::on(TCP, quick()).await;
        let unknown = a.net.test(b.id()).await;
        assert_eq!(unknown[0].code, Some("net-unknown-peer"));
        // The other office has not accepted yet.
        a.knows(&[&b]).await;
        let steps = a.net.test(b.id()).await;
        let last = steps.last().unwrap();
        assert_eq!((last.name, last.code), ("allow-list", Some("net-refused")));
        // A name that does not resolve, and a port where nobody is.
        let port = b.net.listen_addresses()[0].clone();
        b.net.shutdown().await;
        let card = PeerAddress {
            peer: b.id(),
            addresses: vec![port, "/dns4/node.invalid/tcp/7440".parse().unwrap()],
        };
        a.net.set_peers(vec![card]).await.unwrap();
        let steps = a.net.test(b.id()).await;
        let failed: Vec<_> = steps.iter().filter(|step| !step.ok).collect();
        let failed: Vec<_> = failed.iter().map(|step| (step.name, step.code)).collect();
        assert_eq!(
            failed,
            [
                ("resolve", Some("net-dial-resolve")),
                ("tcp-port", Some("net-dial-connect")),
                ("tcp-port", Some("net-dial-connect")),
            ]
        );
    })
    .await;
}
