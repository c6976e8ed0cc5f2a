//! Courier files: what is refused before anything of them is believed.

#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)]
#[path = "golden/samples.rs"]
mod samples;

use samples::{SIGNED_AT, courier_cover as cover, courier_items as items, name, signer, trust};
use yunling_protocol::cbor::CborError;
use yunling_protocol::courier::{CourierError, Cover, FILE_BYTES_MAX, ITEMS_MAX, Item, Parcel, Writer};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::Role;

const FROM: &str = "vol.yn.cn/532900";
const ME: &str = "vol.yn.cn/530100";

fn parcel() -> Vec<u8> {
    let mut writer = Writer::default();
    assert!(items().iter().all(|item| writer.put(item)));
    writer.finish(&cover())
}

/// What lies closed in a file does not matter to the cover: the parcel stands for itself here.
fn file() -> Vec<u8> {
    cover().write(&signer(Role::Statement), &parcel()).unwrap()
}

fn open(file: &[u8]) -> Result<(Cover, &[u8]), CourierError> {
    Cover::open(file, &name(ME), &trust(), false, SIGNED_AT)
}

#[test]
fn what_was_written_is_read() {
    let file = file();
    let (read, closed) = open(&file).unwrap();
    assert_eq!((read.number, read.life), (3, cover().life));
    assert_eq!(Parcel::read(closed, &read), Ok(Parcel { whole: true, items: items() }));
}

#[test]
fn a_file_cut_at_any_byte_or_with_bytes_behind_is_refused() {
    let file = file();
    for end in 0..file.len() {
        let error = open(&file[..end]).unwrap_err();
        assert!(matches!(error, CourierError::Cut { .. } | CourierError::Form), "{end}: {error}");
    }
    assert!(matches!(open(&[&file[..], &[0]].concat()), Err(CourierError::Cut { .. })));
}

#[test]
fn a_file_with_a_flipped_bit_in_any_byte_is_refused() {
    let file = file();
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(open(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn the_wrong_office_an_unknown_sender_a_trial_and_a_clock_ahead_have_their_own_words() {
    let file = file();
    let as_ = |me: &str, trial, now| Cover::open(&file, &name(me), &trust(), trial, now).map(|_| ());
    assert_eq!(as_("yuxi", false, SIGNED_AT), Err(CourierError::NotForMe(name(ME))));
    assert_eq!(as_(ME, true, SIGNED_AT), Err(CourierError::Trial));
    assert_eq!(as_(ME, false, UnixTime(SIGNED_AT.0 - 601)), Err(CourierError::Clock(SIGNED_AT)));
    assert_eq!(as_(ME, false, UnixTime(SIGNED_AT.0 - 600)), Ok(()));
    let foreign = Cover { from: name("nobody"), ..cover() }.write(&signer(Role::Statement), b"x").unwrap();
    assert_eq!(open(&foreign).unwrap_err(), CourierError::UnknownSender(name("nobody")));
    let forged = cover().write(&signer(Role::Proof), &parcel()).unwrap();
    assert_eq!(open(&forged).unwrap_err(), CourierError::Signature(name(FROM)));
}

#[test]
fn a_parcel_under_the_cover_of_another_or_too_many_items_are_refused() {
    let parcel = parcel();
    let other = |cover: Cover| matches!(Parcel::read(&parcel, &cover), Err(CborError::Shape(_)));
    assert!(
        other(Cover { from: name("mallory"), ..cover() }),
        "who puts an own cover on it is not the writer"
    );
    assert!(other(Cover { to: name("yuxi"), ..cover() }));
    assert!(other(Cover { number: 4, ..cover() }));
    for end in 1..parcel.len() {
        // At the end of an item what is left reads as a shorter parcel: only the cover tells.
        let read = Parcel::read(&parcel[..end], &cover());
        assert!(read.is_err() || read.is_ok_and(|p| p.items.len() < items().len()), "{end}");
    }
    let mut writer = Writer::default();
    for _ in 0..ITEMS_MAX {
        assert!(writer.put(&Item::Request(vec![1])));
    }
    assert!(!writer.put(&Item::Request(vec![1])) && writer.whole());
    writer.leave_out();
    let mut many = writer.finish(&cover());
    let whole = Parcel::read(&many, &cover()).unwrap();
    assert!(!whole.whole, "what did not fit is told");
    many.extend_from_slice(&[0, 0, 0, 4, 0x82, 0x01, 0x41, 0x01]);
    assert!(Parcel::read(&many, &cover()).is_err());
}

#[test]
fn the_largest_file_is_filled_and_read_and_a_larger_one_is_not() {
    let mut writer = Writer::default();
    while writer.put(&Item::Request(vec![9; 60_000])) {}
    assert!(writer.room() < 60_100);
    let file = cover().write(&signer(Role::Statement), &writer.finish(&cover())).unwrap();
    assert!(open(&file).is_ok());
    let large = vec![0; FILE_BYTES_MAX + 1];
    assert_eq!(open(&large).unwrap_err(), CourierError::Large { bytes: large.len() as u64 });
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(0u8.., 0..400)) {
        let _ = open(&bytes);
        let _ = Parcel::read(&bytes, &cover());
    }
}
