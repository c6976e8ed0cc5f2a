//! Nodes that can only meet through a third one.

use super::*;

const WS: &str = "/ip4/127.0.0.1/tcp/0/ws";
/// Frames of 256 bytes that make 5 MiB: forty times what the library's own limit lets through.
const FRAMES_OF_5_MIB: u32 = 5 * 1024 * 1024 / 256;

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

async fn relay_on(listen: &str) -> Node {
    let listen = vec![listen.parse().unwrap()];
    Node::with(NetConfig { relay: true, listen, ..config(seed(), quick()) }).await.unwrap()
}

/// A node that asks for a place at `relay`; it listens where `listen` says, if anywhere.
async fn behind(relay: &Node, listen: &[&str]) -> Node {
    let address = relay.net.listen_addresses()[0].clone();
    let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
    let relays = vec![(relay.id(), address)];
    Node::with(NetConfig { listen, relays, ..config(seed(), quick()) }).await.unwrap()
}

/// What the card of a node behind a relay shows: the way through the relay and no other.
fn card_through(relay: &Node, node: &Node) -> PeerAddress {
    let address = circuit_address(relay.id(), &relay.net.listen_addresses()[0]);
    PeerAddress { peer: node.id(), addresses: vec![address] }
}

async fn introduce(relay: &Node, a: &Node, b: &Node) {
    let bare = |node: &Node| PeerAddress { peer: node.id(), addresses: vec![] };
    relay.net.set_peers(vec![bare(a), bare(b)]).await.unwrap();
    a.net.set_peers(vec![relay.card(), card_through(relay, b)]).await.unwrap();
    b.net.set_peers(vec![relay.card(), card_through(relay, a)]).await.unwrap();
}

async fn has_place(node: &Node, relay: &Node) {
    until("the relay gives a place", || node.net.reach().relays == [relay.id()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_without_an_open_port_exchange_requests_and_five_mebibytes() {
    bounded(async {
        for listen in [QUIC, TCP, WS] {
            let relay = relay_on(listen).await;
            let (a, b) = (behind(&relay, &[]).await, behind(&relay, &[]).await);
            introduce(&relay, &a, &b).await;
            has_place(&b, &relay).await;
            has_place(&a, &relay).await;
            let request = script(ECHO, 5);
            // Both look for a direct way meanwhile; a circuit that closes under the first request is asked again.
            let mut tries = 0;
            let answer = loop {
                match a.ask(&b, request.clone()).await {
                    Ok(answer) => break answer,
                    Err(error) => assert!(tries < 3, "{listen}: {error}"),
                }
                tries += 1;
            };
            assert_eq!(answer, request, "{listen}");
            assert_eq!(b.ask(&a, request.clone()).await.unwrap(), request, "{listen}");
            let mut reader = a.net.bulk(b.id(), script(ECHO, FRAMES_OF_5_MIB)).await.unwrap();
            let mut bytes = 0;
            while let Some(frame) = reader.next().await.unwrap() {
                bytes += frame.len();
            }
            assert_eq!(bytes, 5 * 1024 * 1024, "{listen}");
            let on = |node: &Node, peer: &Node| {
                let all = node.net.connected().into_iter().filter(|c| c.peer == peer.id());
                all.map(|c| c.transport).collect::<Vec<_>>()
            };
            assert_eq!((on(&a, &b), on(&b, &a)), (vec![Transport::Relay], vec![Transport::Relay]));
            let kind = Transport::of(&listen.parse().unwrap());
            assert_eq!(on(&a, &relay), [kind]);
            assert!(relay.net.counter(Counter::RelayCircuits) >= 1);
            let steps: Vec<_> = a.net.test(b.id()).await.iter().map(|s| (s.name, s.ok)).collect();
            let walked = ["addresses", "relay", "identity", "allow-list", "echo"].map(|name| (name, true));
            assert_eq!(steps, walked);
            assert_eq!(relay.service.answered.load(Ordering::SeqCst), 0, "the relay saw no request");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_way_replaces_the_circuit() {
    bounded(async {
        let relay = relay_on(QUIC).await;
        let (a, b) = (behind(&relay, &[QUIC]).await, behind(&relay, &[QUIC]).await);
        introduce(&relay, &a, &b).await;
        has_place(&b, &relay).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        let on = |node: &Node, peer: &Node| {
            let all = node.net.connected().into_iter().filter(|c| c.peer == peer.id() && c.accepted);
            all.map(|c| c.transport).collect::<Vec<_>>()
        };
        until("a direct connection stands", || on(&a, &b).contains(&Transport::Quic)).await;
        until("the circuit is closed", || !on(&a, &b).contains(&Transport::Relay)).await;
        a.ask(&b, script(ECHO, 2)).await.unwrap();
        until("the relay has reached a node directly", || {
            !a.net.reach().direct.is_empty() || !b.net.reach().direct.is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_place_is_asked_for_again() {
    bounded(async {
        let relay = relay_on(TCP).await;
        let (a, b) = (behind(&relay, &[]).await, behind(&relay, &[]).await);
        introduce(&relay, &a, &b).await;
        has_place(&b, &relay).await;
        a.ask(&b, script(ECHO, 1)).await.unwrap();
        let listen = relay.net.listen_addresses();
        relay.net.shutdown().await;
        until("the place is lost", || b.net.reach().relays.is_empty()).await;
        let began = Clock::now();
        let again = loop {
            let config = NetConfig { relay: true, listen: listen.clone(), ..config(relay.seed, quick()) };
            match Node::with(config).await {
                Ok(again) => break again,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        introduce(&again, &a, &b).await;
        has_place(&b, &again).await;
        a.ask(&b, script(ECHO, 2)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_members_of_the_relay_get_a_place_or_a_circuit() {
    bounded(async {
        let relay = relay_on(TCP).await;
        let (member, stranger) = (behind(&relay, &[]).await, behind(&relay, &[]).await);
        let bare = |node: &Node| PeerAddress { peer: node.id(), addresses: vec![] };
        relay.net.set_peers(vec![bare(&member)]).await.unwrap();
        member.net.set_peers(vec![relay.card(), card_through(&relay, &stranger)]).await.unwrap();
        stranger.net.set_peers(vec![relay.card(), card_through(&relay, &member)]).await.unwrap();
        has_place(&member, &relay).await;
        until("the stranger is refused", || relay.net.counter(Counter::UnknownRefused) >= 1).await;
        assert!(stranger.net.reach().relays.is_empty());
        let error = stranger.ask(&member, script(ECHO, 1)).await.unwrap_err();
        assert!(error.code().starts_with("net-dial-"), "{error}");
        let error = member.ask(&stranger, script(ECHO, 1)).await.unwrap_err();
        assert_eq!(error.code(), "net-dial-relay", "{error}");
        let steps = member.net.test(stranger.id()).await;
        let last = steps.last().unwrap();
        assert_eq!((last.name, last.code), ("relay", Some("net-dial-relay")));
        assert_eq!(relay.net.counter(Counter::RelayCircuits), 0);
        assert_eq!(member.service.answered.load(Ordering::SeqCst), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_no_relay_gives_no_place() {
    bounded(async {
        let plain = Node::on(TCP, quick()).await;
        let a = behind(&plain, &[]).await;
        plain.net.set_peers(vec![PeerAddress { peer: a.id(), addresses: vec![] }]).await.unwrap();
        a.knows(&[&plain]).await;
        a.ask(&plain, script(ECHO, 1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(a.net.reach().relays.is_empty());
        // It goes on asking, and is served otherwise.
        a.ask(&plain, script(ECHO, 2)).await.unwrap();
    })
    .await;
}
