//! Firewalls and address translation, in namespaces: a core that stands for the net between, and one
//! namespace for each office.

use yunling_tests::namespace::{Namespace, available};
use yunling_tests::office::{Office, Plan, until};

use super::scene::{PORT, at, bounded, doctor, move_once, moved_once, office, steps, volunteer};

/// Where the relay is.
const RELAY_IP: &str = "10.77.3.2";

/// The core and an office each on cables 1, 2 and 3.
struct Net {
    core: Namespace,
    ends: [Namespace; 3],
}

fn net() -> Net {
    let core = Namespace::new("core");
    let ends = [("a", 1), ("b", 2), ("r", 3)].map(|(role, number)| {
        let end = Namespace::new(role);
        core.cable(&end, number);
        end.through(&format!("10.77.{number}.1"));
        end
    });
    Net { core, ends }
}

/// What the relay's log says that others write into their configuration.
fn relay_line(relay: &Office, with: &str) -> String {
    until("the relay says its address", || {
        let log = relay.log_end();
        let words = log.split(|c: char| c.is_whitespace() || c == '=');
        words
            .filter(|w| w.starts_with("/ip4/") && w.contains("/p2p/"))
            .find(|w| w.contains(with))
            .map(str::to_owned)
    })
}

fn relayed(relay: &str, listen: Vec<String>) -> Plan {
    Plan { listen, relays: vec![relay.to_owned()], ..Plan::default() }
}

fn through_relay(a: &Office, b: &Office, relay: &Office) {
    for office in [a, b] {
        office.peer_with(relay);
        until("a place at the relay", || {
            office.log_end().contains("can be reached through the relay").then_some(())
        });
    }
    a.peer_with(b);
}

fn ok(steps: &[(String, bool)], name: &str) -> Option<bool> {
    let of_name: Vec<bool> = steps.iter().filter(|(n, _)| n == name).map(|(_, ok)| *ok).collect();
    (!of_name.is_empty()).then(|| of_name.contains(&true))
}

#[test]
fn without_udp_a_move_goes_over_tcp() {
    if !available() {
        return;
    }
    bounded(|folder| {
        let Net { core, ends: [a, b, _] } = net();
        core.filter(&["meta l4proto udp drop"]);
        let listen = |ip| Plan { listen: at(ip), ..Plan::default() };
        let kunming = office(folder, &a, "kunming", "530100", listen("10.77.1.2"));
        let dali = office(folder, &b, "dali", "532900", listen("10.77.2.2"));
        kunming.peer_with(&dali);
        let dossier = volunteer(&kunming, 1);
        move_once(&kunming, &dali, &dossier);
        let steps = steps(&dali, "kunming");
        assert_eq!((ok(&steps, "quic"), ok(&steps, "tcp")), (Some(false), Some(true)));
        let checks = doctor(&dali);
        let direct = checks.iter().any(|(c, fields)| c == "peer-direct" && fields["transport"] == "tcp");
        assert!(direct, "{checks:?}");
    });
}

#[test]
fn with_nothing_but_443_out_a_move_goes_over_the_websocket_of_a_relay() {
    if !available() {
        return;
    }
    bounded(|folder| {
        let Net { core, ends: [a, b, r] } = net();
        // Both offices: out to port 443 of TCP, and nothing in.
        core.filter(&[
            "ct state established,related accept",
            "iifname { c1, c2 } oifname c3 tcp dport 443 accept",
            "drop",
        ]);
        let listen = [at(RELAY_IP), vec![format!("/ip4/{RELAY_IP}/tcp/443/ws")]].concat();
        let relay = office(folder, &r, "yuxi", "530400", Plan { relay: true, listen, ..Plan::default() });
        let line = relay_line(&relay, "/443/ws");
        let kunming = office(folder, &a, "kunming", "530100", relayed(&line, at("10.77.1.2")));
        let dali = office(folder, &b, "dali", "532900", relayed(&line, at("10.77.2.2")));
        through_relay(&kunming, &dali, &relay);
        let dossier = volunteer(&kunming, 2);
        move_once(&kunming, &dali, &dossier);
        let way = steps(&dali, "kunming");
        assert_eq!((ok(&way, "tcp-port"), ok(&way, "relay")), (Some(false), Some(true)));
        let to_relay = steps(&dali, "yuxi");
        assert_eq!((ok(&to_relay, "tcp"), ok(&to_relay, "websocket")), (None, Some(true)));
        assert_eq!(ok(&to_relay, "quic"), Some(false));
    });
}

#[test]
fn both_behind_symmetric_nat_a_move_goes_through_the_relay() {
    if !available() {
        return;
    }
    bounded(|folder| {
        let Net { core, ends: [box_a, box_b, r] } = net();
        let [a, b] = [(&box_a, 1, 11), (&box_b, 2, 12)].map(|(nat, outer, inner)| {
            let office = Namespace::new("office");
            nat.cable(&office, inner);
            office.through(&format!("10.77.{inner}.1"));
            nat.hide(inner, outer);
            office
        });
        let plan = Plan { relay: true, listen: at(RELAY_IP), ..Plan::default() };
        let relay = office(folder, &r, "yuxi", "530400", plan);
        let line = relay_line(&relay, "/quic-v1");
        let any = vec![format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1"), format!("/ip4/0.0.0.0/tcp/{PORT}")];
        let kunming = office(folder, &a, "kunming", "530100", relayed(&line, any.clone()));
        let dali = office(folder, &b, "dali", "532900", relayed(&line, any));
        through_relay(&kunming, &dali, &relay);
        let dossier = volunteer(&kunming, 3);
        move_once(&kunming, &dali, &dossier);
        let way = steps(&dali, "kunming");
        assert_eq!((ok(&way, "quic"), ok(&way, "relay")), (Some(false), Some(true)));
        let checks = doctor(&kunming);
        for (code, key, value) in [
            ("reach-relay", "relays", "yuxi"),
            ("relay-held", "relay", "yuxi"),
            ("peer-relayed", "peer", "dali"),
        ] {
            let named = checks.iter().any(|(c, fields)| c == code && fields[key] == value);
            assert!(named, "{code} of {value}: {checks:?}");
        }
        assert_eq!(kunming.ok(&["status"])["reach"]["state"], "relay");
        for office in [&kunming, &dali] {
            assert!(!office.log_end().contains("direct way found"), "the relay was not needed");
        }
        drop(core);
    });
}

#[test]
fn a_line_dead_in_one_direction_halts_a_move_and_healing_ends_it_once() {
    if !available() {
        return;
    }
    bounded(|folder| {
        let Net { core, ends: [a, b, _] } = net();
        core.filter(&[]);
        let listen = |ip| Plan { listen: at(ip), ..Plan::default() };
        let kunming = office(folder, &a, "kunming", "530100", listen("10.77.1.2"));
        let dali = office(folder, &b, "dali", "532900", listen("10.77.2.2"));
        kunming.peer_with(&dali);
        let dossier = volunteer(&kunming, 4);
        let before = kunming.dossier(&dossier);
        for (number, dead) in
            [("iifname c1 oifname c2 drop"), ("iifname c2 oifname c1 drop")].iter().enumerate()
        {
            let (from, to) = if number == 0 { (&kunming, &dali) } else { (&dali, &kunming) };
            let code = from.authorize(&dossier, &to.name);
            // What the asking office sends arrives, or what it is answered, but never both.
            core.inside("nft", &[&format!("add rule inet wall pass {dead}")]);
            let transfer = to.start_transfer(&from.name, &code);
            std::thread::sleep(std::time::Duration::from_secs(4));
            assert_ne!(to.stage(&transfer).as_deref(), Some("completed"), "over a dead line");
            assert!(from.is_custodian(&dossier) != to.is_custodian(&dossier), "one custodian");
            core.unfilter();
            for office in [to, from] {
                office.ok(&["peer", "list"]);
            }
            to.ok(&["transfer", "resume", &transfer]);
            for office in [to, from] {
                office.wait_stage(&transfer, "completed");
            }
            moved_once(from, to, &dossier, &before);
        }
    });
}
