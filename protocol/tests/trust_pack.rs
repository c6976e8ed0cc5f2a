//! A trust pack of a province: its size, and that its parts are what counts.

#![allow(clippy::unwrap_used)]

use sha2::{Digest, Sha256};
use yunling_protocol::card::{Card, NodeKind};
use yunling_protocol::day::UnixTime;
use yunling_protocol::division::DivisionCode;
use yunling_protocol::key::{KeyEntry, Role, Signer as _, SoftSigner};
use yunling_protocol::member::{Member, Members};
use yunling_protocol::name::NodeName;
use yunling_protocol::status::token::{Heading, sign};
use yunling_protocol::status::{ENTRIES, LIST_SECONDS, Status, StatusList, StatusLists, TTL_SECONDS};
use yunling_protocol::trust_pack::TrustPack;

const NOW: UnixTime = UnixTime(1_795_000_000);
const NODES: u32 = 16;

fn signer(node: u32, role: Role) -> SoftSigner {
    SoftSigner::from_seed(&Sha256::digest([&node.to_be_bytes()[..], &[role as u8]].concat()).into())
}

fn name(node: u32) -> NodeName {
    NodeName::parse(&format!("vol.yn.cn/53{node:02}00")).unwrap()
}

fn member(node: u32) -> Member {
    let keys =
        Role::ALL.map(|role| KeyEntry::new(role, signer(node, role).public(), UnixTime(0), None).unwrap());
    let card = Card {
        name: name(node),
        title_zh: "试用办公室".into(),
        title_en: "Trial office".into(),
        division: DivisionCode(532_900),
        kind: NodeKind::Prefecture,
        keys: keys.to_vec(),
        addresses: vec!["/dns4/vol.yn.cn/udp/7440/quic-v1".into()],
        contact: String::new(),
        made_at: UnixTime(0),
        trial: false,
    };
    Member { card: card.sign(&signer(node, Role::Statement)).unwrap(), removed_at: None }
}

fn heading(node: u32) -> Heading {
    Heading {
        issuer: name(node),
        uri: "yunling:s/1".into(),
        issued: NOW,
        expires: UnixTime(NOW.0 + LIST_SECONDS),
        ttl: TTL_SECONDS,
    }
}

/// A million proofs: 1 % revoked and 2 % superseded, at random places.
fn list(node: u32) -> StatusList {
    let mut list = StatusList::new();
    let draws = |what: u32, count: u32| {
        (0..count).map(move |n| {
            let drawn = Sha256::digest([node, what, n].map(u32::to_be_bytes).concat());
            u32::from_be_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]) % ENTRIES
        })
    };
    let (mut revoked, mut superseded) = (ENTRIES / 100, ENTRIES / 50);
    for (count, what, word) in [(&mut revoked, 1, Status::Revoked), (&mut superseded, 2, Status::Superseded)]
    {
        for place in draws(what, u32::MAX) {
            if *count == 0 {
                break;
            }
            if list.status(u64::from(place)) == Ok(Status::Valid) {
                list.set(u64::from(place), word).unwrap();
                *count -= 1;
            }
        }
    }
    list
}

#[test]
fn sixteen_offices_of_a_million_proofs_fit_into_a_megabyte() {
    let mut pack = TrustPack::new(NOW, name(0));
    // What the other parts will take: a roster and a checkpoint with three cosignatures each.
    pack.rosters.push(vec![0x55; 8 * 1024]);
    for node in 0..NODES {
        pack.lists.push(sign(&signer(node, Role::Status), &heading(node), &list(node)).unwrap());
        pack.checkpoints.push("x".repeat(600));
        pack.cards.push(member(node).card.bytes().to_vec());
    }
    let bytes = pack.encode();
    println!(
        "trust pack of {NODES} nodes: {} bytes, one list {} bytes",
        bytes.len(),
        pack.lists.iter().map(Vec::len).max().unwrap()
    );
    assert!(bytes.len() <= 1_000_000, "{} bytes", bytes.len());
    let read = TrustPack::decode(&bytes).unwrap();
    assert_eq!(read, pack);

    let mut members = Members::default();
    (0..NODES).for_each(|node| members.insert(member(node)));
    let mut lists = StatusLists::default();
    for token in read.tokens() {
        assert_eq!(lists.add(token.unwrap(), &members, NOW), Ok(true));
    }
    assert_eq!(lists.iter().count(), NODES as usize);
    let words = lists.iter().next().unwrap().list().changed().fold([0u32; 4], |mut sums, (_, n)| {
        sums[usize::from(n)] += 1;
        sums
    });
    assert_eq!(words, [0, ENTRIES / 100, 0, ENTRIES / 50]);
}

#[test]
fn a_list_counts_by_its_own_signature_and_the_newer_one_stays() {
    let mut members = Members::default();
    members.insert(member(1));
    let mut lists = StatusLists::default();
    let made = |node: u32, by: u32, role, at: i64| {
        let heading = Heading { issued: UnixTime(NOW.0 + at), ..heading(node) };
        let bytes = sign(&signer(by, role), &heading, &StatusList::new()).unwrap();
        yunling_protocol::status::StatusToken::parse(&bytes).unwrap()
    };
    let code = |result: Result<bool, yunling_protocol::status::StatusError>| result.map_err(|e| e.code());
    assert_eq!(code(lists.add(made(1, 1, Role::Status, 0), &members, NOW)), Ok(true));
    assert_eq!(code(lists.add(made(1, 1, Role::Status, -60), &members, NOW)), Ok(false), "an older one");
    assert_eq!(code(lists.add(made(1, 1, Role::Status, 60), &members, NOW)), Ok(true));
    assert_eq!(lists.iter().count(), 1);
    let signature = Err("status-list-signature");
    assert_eq!(code(lists.add(made(1, 1, Role::Proof, 90), &members, NOW)), signature, "another role");
    assert_eq!(code(lists.add(made(1, 2, Role::Status, 90), &members, NOW)), signature, "another node");
    assert_eq!(
        code(lists.add(made(2, 2, Role::Status, 90), &members, NOW)),
        Err("status-list-unknown-issuer")
    );
    assert_eq!(
        code(lists.add(made(1, 1, Role::Status, 3_600), &members, NOW)),
        Err("status-list-from-future")
    );
    assert_eq!(lists.iter().next().unwrap().heading.issued, UnixTime(NOW.0 + 60), "refused ones leave it");
}

#[test]
fn a_cut_or_longer_pack_is_refused() {
    let mut pack = TrustPack::new(NOW, name(0));
    pack.lists.push(vec![1, 2, 3]);
    let bytes = pack.encode();
    assert_eq!(TrustPack::decode(&bytes), Ok(pack.clone()));
    for end in 0..bytes.len() {
        assert!(TrustPack::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert!(TrustPack::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    let too_large = TrustPack { lists: vec![vec![0; 300_000]], ..pack.clone() };
    assert!(TrustPack::decode(&too_large.encode()).is_err());
    let too_many = TrustPack { cards: vec![vec![0]; 1_025], ..pack };
    assert!(TrustPack::decode(&too_many.encode()).is_err());
}
