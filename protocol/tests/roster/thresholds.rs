//! Who must sign: the five cases of rust-tuf#42 and what else could be counted wrongly.

use yunling_protocol::key::{ALG_ED25519, ALG_EDDSA};
use yunling_protocol::roster::{
    Adoption, Chain, Roster, RosterError, STEPS_MAX, STEWARDS_MAX, SignedRoster, Steward,
};

use crate::world::{
    LIFE_DAYS, START, advance, after, chain, chain_of, first, next, sign, steward_key, stewards, try_sign,
};

/// Version 1 with threshold 3 of stewards 1, 2, 3; version 2 with `threshold` of `keys`, signed `by`.
fn case(threshold: u64, keys: &[u8], by: &[u8]) -> Result<Adoption, RosterError> {
    let one = Roster { threshold: 3, stewards: stewards(&[1, 2, 3]), ..first() };
    let begun = Chain::begin(sign(&one, &[1, 2, 3]), &one.fingerprint(), false, START);
    let mut chain = begun.unwrap();
    let two = Roster { threshold, stewards: stewards(keys), ..next(chain.newest(), 1) };
    let result = chain.adopt(sign(&two, by), after(1));
    assert_eq!(chain.newest().roster().version, if result.is_ok() { 2 } else { 1 });
    result
}

#[test]
fn the_five_cases_of_rust_tuf_42() {
    let before = Err(RosterError::ThresholdBefore { have: 2, need: 3 });
    let own = Err(RosterError::ThresholdOwn { have: 2, need: 3 });
    assert_eq!(case(3, &[4, 5, 6], &[1, 2, 4, 5, 6]), before, "1: the old threshold is not met");
    assert_eq!(case(3, &[4, 5, 6], &[1, 2, 3, 5, 6]), own, "2: the new threshold is not met");
    assert_eq!(case(3, &[1, 2, 4], &[1, 2, 3]), own, "3: keys in both, the new one has not signed");
    assert_eq!(case(3, &[1, 2, 4], &[1, 2, 4]), before, "4: keys in both, the old one has not signed");
    assert_eq!(case(2, &[3, 4, 5], &[1, 2, 3, 4, 5]), Ok(Adoption::Adopted), "5: both are met");
}

#[test]
fn a_first_version_needs_its_own_threshold_and_the_pinned_stewards() {
    let one = first();
    let begin = |by: &[u8], pin: &str| Chain::begin(sign(&one, by), pin, false, START).map(|_| ());
    let pin = one.fingerprint();
    assert_eq!(begin(&[], &pin), Err(RosterError::ThresholdOwn { have: 0, need: 2 }));
    assert_eq!(begin(&[2], &pin), Err(RosterError::ThresholdOwn { have: 1, need: 2 }));
    assert_eq!(begin(&[2, 3], &pin), Ok(()));
    assert_eq!(begin(&[2, 3], &pin.replace(' ', "")), Ok(()), "blanks do not matter");
    assert_eq!(pin.split(' ').map(str::len).collect::<Vec<_>>(), [4; 8]);
    // The same stewards with another threshold are another trust.
    let other = Roster { threshold: 1, ..first() };
    assert_ne!(other.fingerprint(), pin);
    let given = other.fingerprint();
    let result = Chain::begin(sign(&other, &[1, 2]), &pin, false, START);
    assert_eq!(result, Err(RosterError::Pin { given, pinned: pin }));
}

#[test]
fn one_key_counts_once_however_often_it_signs() {
    let chain = chain();
    let mut two = SignedRoster::draft(&next(chain.newest(), 1)).unwrap();
    // One key under both numbers of its algorithm: two signatures, each of which verifies.
    two.sign_with_alg(&steward_key(1), ALG_ED25519).unwrap();
    two.sign_with_alg(&steward_key(1), ALG_EDDSA).unwrap();
    assert_eq!(two.signatures(), 2);
    let two = SignedRoster::parse(&two.bytes()).unwrap();
    let signed = two.signers(chain.newest().roster().stewards.iter()).unwrap();
    assert_eq!(signed.len(), 1, "both signatures are good");
    let result = chain.clone().adopt(two, after(1));
    assert_eq!(result, Err(RosterError::ThresholdBefore { have: 1, need: 2 }));
}

#[test]
fn the_same_signature_again_is_not_read() {
    let chain = chain();
    let mut two = SignedRoster::draft(&next(chain.newest(), 1)).unwrap();
    two.sign(&steward_key(1)).unwrap();
    two.sign(&steward_key(1)).unwrap();
    assert_eq!(two.signatures(), 1, "signing again adds nothing");
    let bytes = two.bytes();
    // By hand: the list of one becomes a list of two, its item stands twice.
    let at = bytes.len() - (1 + 14 + 1 + 66);
    assert_eq!(bytes[at - 1..=at], [0x81, 0x83], "head of the list and of its item");
    let twice = [&bytes[..at - 1], &[0x82], &bytes[at..], &bytes[at..]].concat();
    assert_eq!(SignedRoster::parse(&twice).unwrap_err().code(), "roster-encoding");
    assert!(SignedRoster::parse(&[&bytes[..at - 1], &[0x81], &bytes[at..]].concat()).is_ok());
}

#[test]
fn a_steward_listed_twice_is_refused() {
    let mut one = first();
    let again = Steward::new("the same under another name".into(), *one.stewards[0].public()).unwrap();
    one.stewards.insert(0, again);
    assert_eq!(SignedRoster::draft(&one), Err(RosterError::StewardTwice));
    assert_eq!(RosterError::StewardTwice.code(), "roster-steward-twice");
}

#[test]
fn thresholds_of_none_or_of_more_than_all_are_refused() {
    for (k, n) in [(0, 3), (4, 3), (u64::MAX, 3)] {
        let roster = Roster { threshold: k, ..first() };
        assert_eq!(SignedRoster::draft(&roster), Err(RosterError::Threshold { k, n }));
    }
    let many: Vec<u8> = (1..=STEWARDS_MAX as u8 + 1).collect();
    let roster = Roster { stewards: stewards(&many), ..first() };
    assert_eq!(SignedRoster::draft(&roster).unwrap_err().code(), "roster-encoding");
    let roster = Roster { stewards: stewards(&many[1..]), ..first() };
    assert!(SignedRoster::draft(&roster).is_ok());
}

#[test]
fn a_signature_of_nobody_we_know_refuses_all() {
    let mut chain = chain();
    let two = next(chain.newest(), 1);
    assert_eq!(chain.adopt(sign(&two, &[1, 2, 9]), after(1)), Err(RosterError::SignerUnknown));
    assert_eq!(chain.adopt(sign(&two, &[1, 2]), after(1)), Ok(Adoption::Adopted));
}

#[test]
fn signatures_made_apart_are_put_together() {
    let mut chain = chain();
    let two = next(chain.newest(), 1);
    let (mut left, right) = (sign(&two, &[1]), sign(&two, &[3]));
    assert!(left.merge(&right));
    assert_eq!(left, sign(&two, &[3, 1]), "in whatever order");
    let other = sign(&next(chain.newest(), 2), &[2]);
    assert!(!left.merge(&other) && left.signatures() == 2, "another version gives nothing");
    assert_eq!(chain.adopt(left, after(1)), Ok(Adoption::Adopted));
}

#[test]
fn a_skipped_version_is_refused_and_says_what_is_missing() {
    let mut chain = chain();
    let two = sign(&next(chain.newest(), 1), &[1, 2]);
    let three = sign(&next(&two, 2), &[1, 2]);
    let refused = Err(RosterError::Skipped { have: 1, given: 3 });
    assert_eq!(chain.adopt(three.clone(), after(2)), refused);
    assert_eq!(chain.adopt(two, after(2)), Ok(Adoption::Adopted));
    assert_eq!(chain.adopt(three, after(2)), Ok(Adoption::Adopted));
    assert_eq!(
        Chain::begin(sign(&next(chain.newest(), 3), &[1, 2]), "", false, after(3)),
        Err(RosterError::NotFirst(4))
    );
}

#[test]
fn a_version_that_follows_another_one_is_refused() {
    let mut chain = chain();
    let two = Roster { previous: Some([7; 32]), ..next(chain.newest(), 1) };
    assert_eq!(chain.adopt(sign(&two, &[1, 2]), after(1)), Err(RosterError::Previous(2)));
    for (version, previous) in [(0, None), (1, Some([7; 32])), (2, None), (u64::MAX, Some([7; 32]))] {
        let roster = Roster { version, previous, ..first() };
        assert_eq!(SignedRoster::draft(&roster), Err(RosterError::Version));
    }
}

#[test]
fn an_older_version_changes_nothing_and_a_fork_is_an_alarm() {
    let mut chain = chain();
    advance(&mut chain, 1, |_| ()).unwrap();
    advance(&mut chain, 2, |_| ()).unwrap();
    let before = chain.clone();
    let two = chain.version(2).unwrap().as_ref().clone();
    assert_eq!(chain.adopt(two.clone(), after(3)), Ok(Adoption::Known), "a rollback");
    let mut more = two.clone();
    more.sign(&steward_key(3)).unwrap();
    assert_eq!(chain.adopt(more, after(3)), Ok(Adoption::Known), "one signature more is no other version");
    let one = chain.version(1).unwrap().as_ref().clone();
    let other = Roster { expires: after(LIFE_DAYS + 9), ..next(&one, 1) };
    let fork = sign(&other, &[2, 3]);
    let (held, given) = (two.hash(), fork.hash());
    assert_ne!(held, given);
    assert_eq!(chain.adopt(fork, after(3)), Err(RosterError::Fork { version: 2, held, given }));
    // Without the stewards' signatures it is only a bad file: nobody can raise the alarm by himself.
    let forged = Err(RosterError::ThresholdBefore { have: 1, need: 2 });
    assert_eq!(chain.adopt(sign(&other, &[2]), after(3)), forged);
    assert_eq!(chain, before, "nothing changed");
}

#[test]
fn a_fork_of_the_first_version_is_an_alarm_too() {
    let mut chain = chain();
    let other = Roster { expires: after(LIFE_DAYS + 9), ..first() };
    assert_eq!(chain.adopt(sign(&other, &[1, 3]), START).unwrap_err().code(), "roster-fork");
    let strangers = Roster { stewards: stewards(&[4, 5, 6]), ..first() };
    assert_eq!(chain.adopt(sign(&strangers, &[4, 5]), START).unwrap_err().code(), "roster-pin");
}

#[test]
fn an_expired_version_between_does_not_stop_an_update() {
    let mut chain = chain();
    let two = Roster { expires: after(2), ..next(chain.newest(), 1) };
    let two = sign(&two, &[1, 2]);
    let three = sign(&next(&two, 5), &[1, 2]);
    let update = chain.update(&[two.bytes(), three.bytes()], after(50));
    assert_eq!((update.adopted.len(), update.refused), (2, None));
    assert!(chain.newest().roster().expires > after(50));
}

#[test]
fn more_steps_than_allowed_are_refused_before_any_is_read() {
    let mut chain = chain();
    let two = sign(&next(chain.newest(), 1), &[1, 2]).bytes();
    let many = vec![two; STEPS_MAX + 1];
    let update = chain.update(&many, after(1));
    assert_eq!((update.adopted.len(), update.refused), (0, Some(RosterError::Steps(STEPS_MAX + 1))));
    let update = chain.update(&many[..STEPS_MAX], after(1));
    assert_eq!((update.adopted.len(), update.refused), (1, None), "repeats are passed over");
}

#[test]
fn as_many_steps_as_allowed_are_taken_one_after_the_other() {
    // Without nodes, so that only the steps take time.
    let mut chain = chain_of(&Roster { nodes: vec![], ..first() });
    let mut versions = Vec::new();
    let mut newest = chain.newest().as_ref().clone();
    for _ in 0..STEPS_MAX {
        newest = sign(&next(&newest, 1), &[1, 2]);
        versions.push(newest.bytes());
    }
    let began = std::time::Instant::now();
    let update = chain.update(&versions, after(1));
    println!("{STEPS_MAX} steps in {:?}", began.elapsed());
    assert_eq!((update.adopted.len(), update.refused), (STEPS_MAX, None));
    assert_eq!(chain.newest().roster().version, STEPS_MAX as u64 + 1);
}

#[test]
fn dates_must_go_forward_and_not_be_in_the_future() {
    let mut chain = chain();
    advance(&mut chain, 5, |_| ()).unwrap();
    assert_eq!(advance(&mut chain, 4, |_| ()), Err(RosterError::IssuedEarlier(3)));
    let three = sign(&next(chain.newest(), 6), &[1, 2]);
    assert_eq!(chain.adopt(three.clone(), after(5)), Err(RosterError::FromFuture(3)));
    let almost = yunling_protocol::day::UnixTime(after(6).0 - 600);
    assert_eq!(chain.adopt(three, almost), Ok(Adoption::Adopted), "ten minutes are let pass");
    let over = Roster { expires: START, ..first() };
    assert_eq!(try_sign(&over, &[1]), Err(RosterError::Expires));
}

#[test]
fn trial_and_real_never_mix() {
    let mut trial = first();
    trial.trial = true;
    assert_eq!(try_sign(&trial, &[1]), Err(RosterError::Trial), "cards of real offices");
    trial.nodes.clear();
    let one = sign(&trial, &[1, 2]);
    let pin = trial.fingerprint();
    assert_eq!(Chain::begin(one.clone(), &pin, false, START), Err(RosterError::Trial), "a real home");
    let mut chain = Chain::begin(one, &pin, true, START).unwrap();
    assert_eq!(advance(&mut chain, 1, |roster| roster.trial = false), Err(RosterError::Trial));
}

proptest::proptest! {
    /// No byte of a version can be changed so that it is still taken, not even in a signature too many.
    #[test]
    fn no_single_changed_byte_is_adopted(at in 0usize..1 << 20, flip in 1u8..) {
        let (chain, two) = shared();
        let mut bytes = two.clone();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        let update = chain.clone().update(&[bytes], after(1));
        proptest::prop_assert!(update.adopted.is_empty() && update.refused.is_some(), "byte {at} ^ {flip:#04x}");
    }
}

fn shared() -> &'static (Chain, Vec<u8>) {
    static MADE: std::sync::OnceLock<(Chain, Vec<u8>)> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let chain = chain();
        let two = sign(&next(chain.newest(), 1), &[1, 2, 3]).bytes();
        assert_eq!(chain.clone().update(std::slice::from_ref(&two), after(1)).adopted.len(), 1);
        (chain, two)
    })
}
