//! Requests and answers.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_over_each_transport() {
    bounded(async {
        for (listen, transport) in [(QUIC, Transport::Quic), (TCP, Transport::Tcp)] {
            let (a, b) = pair(listen, quick()).await;
            let request = script(ECHO, 5);
            assert_eq!(a.ask(&b, request.clone()).await.unwrap(), request);
            assert_eq!(b.ask(&a, request.clone()).await.unwrap(), request);
            let open = a.net.connected();
            assert_eq!(open.len(), 1, "the second request used the same connection");
            assert_eq!(open[0].transport, transport);
            assert!(open[0].accepted && open[0].dialled);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_the_cap_arrives_and_one_byte_more_is_refused() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let cap = RESPONSE_BYTES_MAX as u32;
            let answer = a.ask(&b, script(SIZE, cap)).await.unwrap();
            assert_eq!(answer.len(), RESPONSE_BYTES_MAX);
            let error = a.ask(&b, script(SIZE, cap + 1)).await.unwrap_err();
            assert_eq!(error.code(), "net-too-large");
            assert!(error.outcome_unknown());
            assert_eq!(b.net.counter(Counter::ServiceFailed), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_the_cap_is_not_sent() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        let full = vec![ECHO; REQUEST_BYTES_MAX];
        assert_eq!(a.ask(&b, full.clone()).await.unwrap(), full);
        let error = a.ask(&b, vec![ECHO; REQUEST_BYTES_MAX + 1]).await;
        assert_eq!(error.unwrap_err().code(), "net-too-large");
        assert_eq!(b.net.counter(Counter::RequestsReceived), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_at_once_are_all_answered() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let asked = (0..100).map(|i| {
                let a = &a;
                let b = &b;
                async move {
                    let request = script(ECHO, i);
                    assert_eq!(a.ask(b, request.clone()).await.unwrap(), request);
                }
            });
            futures::future::join_all(asked).await;
            let most = b.service.most_running.load(Ordering::SeqCst);
            assert!(most <= limits::REQUESTS_OUT_PER_PEER_MAX, "{most} at once");
            assert_eq!(b.net.counter(Counter::RequestsBusy), 0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_peer_runs_into_the_timer_and_the_outcome_is_unknown() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let began = Clock::now();
            let limit = Duration::from_millis(800);
            let request = a.net.request(b.id(), script(STALL, 0), limit);
            let error = request.await.unwrap_err();
            assert_eq!(error.code(), "net-timeout");
            assert!(error.outcome_unknown());
            assert!(began.elapsed() < Duration::from_secs(5));
            assert_eq!(a.net.counter(Counter::RequestsTimedOut), 1);
            // The connection is not blamed for it.
            a.ask(&b, script(ECHO, 1)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_panics_or_dawdles_is_a_failed_peer_not_a_dead_one() {
    bounded(async {
        let limits = Limits { service_timeout: Duration::from_millis(300), ..quick() };
        let (a, b) = pair(QUIC, limits).await;
        for what in [PANIC, STALL] {
            let error = a.ask(&b, script(what, 0)).await.unwrap_err();
            assert_eq!(error.code(), "net-peer-failed");
        }
        a.ask(&b, script(ECHO, 1)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_a_dial_error_at_the_step_connect() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            b.net.shutdown().await;
            let error = a.ask(&b, script(ECHO, 1)).await.unwrap_err();
            assert_eq!(error.code(), "net-dial-connect", "{error}");
            assert!(!error.outcome_unknown());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_address_is_a_dial_error_at_the_step_identity() {
    bounded(async {
        for listen in [QUIC, TCP] {
            let (a, b) = pair(listen, quick()).await;
            let claimed = Node::on(listen, quick()).await.id();
            let card = PeerAddress { peer: claimed, addresses: b.net.listen_addresses() };
            a.net.set_peers(vec![card]).await.unwrap();
            let request = a.net.request(claimed, script(ECHO, 1), PATIENCE);
            assert_eq!(request.await.unwrap_err().code(), "net-dial-identity");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_name_and_a_missing_address_name_their_steps() {
    bounded(async {
        let a = Node::on(QUIC, quick()).await;
        let peer = Node::on(QUIC, quick()).await.id();
        for (address, code) in
            [(Some("/dns4/node.invalid/tcp/7440"), "net-dial-resolve"), (None, "net-dial-addresses")]
        {
            let addresses = address.iter().map(|text| text.parse().unwrap()).collect();
            let card = PeerAddress { peer, addresses };
            a.net.set_peers(vec![card]).await.unwrap();
            let request = a.net.request(peer, script(ECHO, 1), PATIENCE);
            let error = request.await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_on_the_port_is_a_dial_error_at_the_step_handshake() {
    bounded(async {
        let a = Node::on(TCP, quick()).await;
        let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = web.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = web.accept().await {
                use tokio::io::AsyncWriteExt;
                let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let peer = PeerId::random();
        let address = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let addresses = vec![address];
        a.net.set_peers(vec![PeerAddress { peer, addresses }]).await.unwrap();
        let request = a.net.request(peer, script(ECHO, 1), PATIENCE);
        let error = request.await.unwrap_err();
        assert_eq!(error.code(), "net-dial-handshake", "{error}");
        let steps = a.net.test(peer).await;
        let names: Vec<_> = steps.iter().map(|step| (step.name, step.ok)).collect();
        assert_eq!(names, [("addresses", true), ("tcp-port", true), ("tcp", false)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_network_answers_that_it_is_stopped() {
    bounded(async {
        let (a, b) = pair(QUIC, quick()).await;
        let asked = a.ask(&b, script(STALL, 0));
        let stop = async {
            let received = || b.net.counter(Counter::RequestsReceived) == 1;
            until("the request arrives", received).await;
            a.net.shutdown().await;
        };
        let (outcome, ()) = tokio::join!(asked, stop);
        assert_eq!(outcome.unwrap_err().code(), "net-stopped");
        assert_eq!(a.ask(&b, vec![ECHO]).await.unwrap_err().code(), "net-stopped");
        let bulk = a.net.bulk(b.id(), script(ECHO, 1)).await;
        assert_eq!(bulk.err().unwrap().code(), "net-stopped");
        a.net.shutdown().await;
    })
    .await;
}
