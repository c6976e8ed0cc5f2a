//! A member whose software is wrong or malicious: it holds a key that is let in, speaks the protocol
//! names, and sends what it likes.

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{SwarmBuilder, swarm::SwarmEvent};

use super::*;

/// A bare libp2p peer that opens raw streams.
struct Hostile {
    id: PeerId,
    control: libp2p_stream::Control,
}

impl Hostile {
    /// Connects to `node`, which must know it afterwards.
    async fn against(node: &Node) -> Self {
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_quic()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        let id = *swarm.local_peer_id();
        let control = swarm.behaviour().new_control();
        let card = PeerAddress { peer: id, addresses: vec![] };
        node.net.set_peers(vec![card]).await.unwrap();
        swarm.dial(node.net.listen_addresses()[0].clone()).unwrap();
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
        tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        // The dialler knows of a connection first; asked before, the node would look for an address.
        until("the node has the connection", || node.net.connected().iter().any(|c| c.peer == id)).await;
        Self { id, control }
    }

    async fn open(&mut self, node: &Node, protocol: &'static str) -> libp2p::Stream {
        self.control.open_stream(node.id(), StreamProtocol::new(protocol)).await.unwrap()
    }
}

/// A node with a hostile member and a modest one, which must not suffer from the other.
async fn scene(limits: Limits) -> (Node, Hostile, Node) {
    let node = Node::on(QUIC, limits).await;
    let hostile = Hostile::against(&node).await;
    let modest = Node::on(QUIC, quick()).await;
    let cards = vec![PeerAddress { peer: hostile.id, addresses: vec![] }, modest.card()];
    node.net.set_peers(cards).await.unwrap();
    modest.knows(&[&node]).await;
    (node, hostile, modest)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_counted_and_others_are_served() {
    bounded(async {
        let (node, mut hostile, modest) = scene(quick()).await;
        let over_cap = [&[0][..], &u32::MAX.to_be_bytes()].concat();
        let unknown_kind = vec![9; 100];
        let cut = vec![0, 0, 0, 1, 0, 5];
        for (count, bytes) in [over_cap, unknown_kind, cut].iter().enumerate() {
            let mut stream = hostile.open(&node, RPC_PROTOCOL).await;
            stream.write_all(bytes).await.unwrap();
            stream.close().await.unwrap();
            until("the bad request is counted", || {
                node.net.counter(Counter::RequestsBad) == count as u64 + 1
            })
            .await;
        }
        let mut stream = hostile.open(&node, BULK_PROTOCOL).await;
        stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        until("the bad bulk request is counted", || node.net.counter(Counter::BulkServeFailed) == 1).await;
        assert_eq!(node.service.answered.load(Ordering::SeqCst), 0);
        modest.ask(&node, script(ECHO, 1)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_held_open_in_silence_end_by_a_timer_and_harm_nobody_else() {
    bounded(async {
        let limits = Limits {
            request_timeout_max: Duration::from_secs(3),
            frame_timeout: Duration::from_secs(3),
            ..quick()
        };
        let (node, mut hostile, modest) = scene(limits).await;
        let mut held = Vec::new();
        for protocol in [RPC_PROTOCOL, BULK_PROTOCOL] {
            for _ in 0..100 {
                let mut stream = hostile.open(&node, protocol).await;
                // Half a length, and no more.
                let _ = stream.write_all(&[0, 0]).await;
                held.push(stream);
            }
        }
        modest.ask(&node, script(ECHO, 1)).await.unwrap();
        let mut reader = modest.net.bulk(node.id(), script(ECHO, 3)).await.unwrap();
        for index in 0..3 {
            assert_eq!(reader.next().await.unwrap(), Some(frame(index)));
        }
        until("bulk streams end by their timer", || {
            let places = limits::BULK_IN_PER_PEER_MAX as u64;
            node.net.counter(Counter::BulkServeFailed) >= places
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_answers_nothing_of_ours_is_named_as_such() {
    bounded(async {
        let (node, hostile, _modest) = scene(quick()).await;
        let began = Clock::now();
        // On a busy machine a dial may take longer than these quick limits allow; tried again then.
        let answer = loop {
            let request = node.net.request(hostile.id, script(ECHO, 1), PATIENCE);
            let code = request.await.unwrap_err().code();
            if code != "net-dial-addresses" || began.elapsed() > PATIENCE {
                break code;
            }
        };
        assert_eq!(answer, "net-unsupported");
        let bulk = node.net.bulk(hostile.id, script(ECHO, 1)).await;
        assert_eq!(bulk.err().unwrap().code(), "net-unsupported");
    })
    .await;
}

/// Sends a whole request on a stream of its own and leaves the stream open.
async fn asked(hostile: &mut Hostile, node: &Node, protocol: &'static str, request: &[u8]) -> libp2p::Stream {
    let mut stream = hostile.open(node, protocol).await;
    let kind: &[u8] = if protocol == RPC_PROTOCOL { &[0] } else { &[] };
    let bytes = [kind, &(request.len() as u32).to_be_bytes(), request].concat();
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_asks_for_too_much_at_once_is_told_busy_and_others_go_on() {
    bounded(async {
        let (node, mut hostile, modest) = scene(quick()).await;
        let mut streams = Vec::new();
        for _ in 0..90 {
            streams.push(asked(&mut hostile, &node, RPC_PROTOCOL, &script(PAUSE, 4_000)).await);
        }
        modest.ask(&node, script(ECHO, 1)).await.unwrap();
        let statuses = streams.iter_mut().map(|stream| async {
            let mut status = [0];
            stream.read_exact(&mut status).await.unwrap();
            u32::from(status[0])
        });
        let statuses = futures::future::join_all(statuses).await;
        let answered = statuses.iter().filter(|status| **status == 0).count();
        let busy = statuses.iter().filter(|status| **status == 1).count();
        assert_eq!(
            (answered, busy),
            (limits::REQUESTS_IN_PER_PEER_MAX, 90 - limits::REQUESTS_IN_PER_PEER_MAX)
        );
        assert_eq!(node.net.counter(Counter::RequestsBusy), busy as u64);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_streams_beyond_a_members_places_are_told_busy() {
    bounded(async {
        let (node, mut hostile, modest) = scene(quick()).await;
        let mut streams = Vec::new();
        for place in 0..limits::BULK_IN_PER_PEER_MAX + 4 {
            let mut stream = asked(&mut hostile, &node, BULK_PROTOCOL, &script(STALL, 1)).await;
            let mut status = [9];
            stream.read_exact(&mut status).await.unwrap();
            let expected = if place < limits::BULK_IN_PER_PEER_MAX { 0 } else { 2 };
            assert_eq!(status[0], expected, "stream {place}");
            streams.push(stream);
        }
        assert_eq!(node.net.counter(Counter::BulkBusy), 4);
        modest.net.bulk(node.id(), script(ECHO, 1)).await.unwrap();
    })
    .await;
}
