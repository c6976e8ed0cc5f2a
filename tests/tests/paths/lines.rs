//! A slow and lossy line, on loopback: needs no privilege.

use std::time::Duration;

use yunling_tests::forwarder::{Quality, Tally, connections, datagrams};
use yunling_tests::office::{Office, Plan, free_port};

use super::scene::{bounded, move_once, volunteer};

/// 2 % lost, 300 ms each way: worse than a satellite.
const BAD: Quality = Quality { delay: Duration::from_millis(300), lost_in_thousand: 20 };

fn judge(what: &str, lines: [std::sync::Arc<Tally>; 2]) {
    let [a, b] = lines.map(|line| line.counts());
    let (passed, lost) = (a.0 + b.0, a.1 + b.1);
    println!("{what}: {passed} packets passed, {lost} lost");
    assert!(passed > 0 && lost > 0, "the line was not bad");
}

#[test]
fn two_percent_loss_and_300_ms_delay_carry_a_move_over_quic() {
    bounded(|folder| {
        let [kunming, dali] = [("kunming", "530100"), ("dali", "532900")].map(|(name, division)| {
            let (line, own) = (free_port(), free_port());
            let plan = Plan {
                listen: vec![format!("/ip4/127.0.0.1/udp/{own}/quic-v1")],
                external: Some(format!("/ip4/127.0.0.1/udp/{line}/quic-v1")),
                ..Plan::default()
            };
            (Office::open_with(folder, name, division, plan), datagrams(line, own, BAD))
        });
        kunming.0.peer_with(&dali.0);
        let dossier = volunteer(&kunming.0, 5);
        move_once(&kunming.0, &dali.0, &dossier);
        judge("quic", [kunming.1, dali.1]);
    });
}

#[test]
fn two_percent_loss_and_300_ms_delay_carry_a_move_over_tcp() {
    bounded(|folder| {
        let [kunming, dali] = [("kunming", "530100"), ("dali", "532900")].map(|(name, division)| {
            let (line, own) = (free_port(), free_port());
            let plan = Plan {
                listen: vec![format!("/ip4/127.0.0.1/tcp/{own}")],
                external: Some(format!("/ip4/127.0.0.1/tcp/{line}")),
                ..Plan::default()
            };
            (Office::open_with(folder, name, division, plan), connections(line, own, BAD))
        });
        kunming.0.peer_with(&dali.0);
        let dossier = volunteer(&kunming.0, 6);
        move_once(&kunming.0, &dali.0, &dossier);
        judge("tcp", [kunming.1, dali.1]);
    });
}
