//! Node cards: who a node is, until the roster says it.
//!
//! A card names the node, its division, keys by role and addresses, and is signed by its own
//! statement key. It proves nothing by itself: an operator pins it after comparing the
//! fingerprint with the other office. It is also what `proof verify --trust` reads.

pub mod follow;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::cbor::{self, CborError, Fields, MapBuilder, Value};
use crate::cose::{self, CoseError, Sign1, Typ};
use crate::day::UnixTime;
use crate::division::DivisionCode;
use crate::key::{KeyEntry, Role, SignError, Signer};
use crate::name::NodeName;
use crate::statement::attestation::SHORT_TEXT_BYTES_MAX;

/// Prefix of the text form.
pub const CARD_PREFIX: &str = "YC1:";
/// Largest card in bytes: eight roles, a few overlapping keys each, and addresses.
pub const CARD_BYTES_MAX: usize = 8 * 1024;
/// Most keys on one card: eight roles with up to seven overlapping keys each.
pub const KEYS_MAX: usize = 56;
/// Most addresses on one card; more than a small office has.
const ADDRESSES_MAX: usize = 16;
const TYP: &str = "yunling/card";
const AAD: &[u8] = b"yunling/card/1";

/// What kind of member a node is (DESIGN §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// 州/市
    Prefecture = 1,
    /// 县/区
    County = 2,
    /// 组织
    Organization = 3,
    /// 服务站
    StationHub = 4,
    /// 观察
    Observer = 5,
}

/// A node's own statement of its name, keys and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Node name.
    pub name: NodeName,
    /// Chinese title shown to people.
    pub title_zh: String,
    /// English title.
    pub title_en: String,
    /// Division of the office.
    pub division: DivisionCode,
    /// Kind of member.
    pub kind: NodeKind,
    /// Keys by role with windows.
    pub keys: Vec<KeyEntry>,
    /// Multiaddresses in text form.
    pub addresses: Vec<String>,
    /// How people reach the office; stands in consents as the receiver's contact.
    pub contact: String,
    /// When it was made; of two cards of one node the newer counts.
    pub made_at: UnixTime,
    /// A trial node (试用).
    pub trial: bool,
}

/// Why a card was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The text does not begin with the prefix or is not base64url.
    #[error("the text is not a node card: it must begin with {CARD_PREFIX}")]
    Text,
    /// Encoding.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Envelope or signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// A role key is missing or given twice for one window.
    #[error("the card must list a {0} key")]
    MissingKey(&'static str),
}

impl CardError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Text => "card-text",
            Self::Cbor(_) => "card-encoding",
            Self::Cose(_) => "card-signature",
            Self::MissingKey(_) => "card-missing-key",
        }
    }
}

impl Card {
    /// Signs the card with the node's statement key.
    pub fn sign(&self, signer: &dyn Signer) -> Result<SignedCard, SignError> {
        let texts = |list: &[String]| list.iter().map(|t| cbor::text(t.as_str())).collect::<Vec<_>>();
        let addresses = texts(&self.addresses);
        let payload = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::text(self.name.as_str()))
            .put(3, cbor::text(self.title_zh.as_str()))
            .put(4, cbor::text(self.title_en.as_str()))
            .put(5, cbor::int(self.division.0))
            .put(6, cbor::int(self.kind as u64))
            .put(7, Value::Array(self.keys.iter().map(KeyEntry::to_value).collect()))
            .put_opt(8, (!addresses.is_empty()).then_some(Value::Array(addresses)))
            .put(9, cbor::int(self.made_at.0))
            .put(10, cbor::text(self.contact.as_str()))
            .put_opt(11, self.trial.then_some(Value::Bool(true)))
            .build();
        let bytes = cose::sign1(signer, &Typ::Text(TYP.into()), AAD, &cbor::encode(&payload))?;
        Ok(SignedCard { card: self.clone(), bytes })
    }

    /// Keys of one role.
    pub fn keys_of(&self, role: Role) -> impl Iterator<Item = &KeyEntry> {
        self.keys.iter().filter(move |k| k.role == role)
    }
}

/// A card with the bytes its node signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedCard {
    /// Content.
    pub card: Card,
    bytes: Vec<u8>,
}

impl fmt::Debug for SignedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCard({})", self.card.name)
    }
}

impl SignedCard {
    /// Parses and checks a card against its own statement key.
    pub fn parse(bytes: &[u8]) -> Result<Self, CardError> {
        let sign1 = Sign1::parse(bytes, CARD_BYTES_MAX)?;
        if sign1.typ != Some(Typ::Text(TYP.into())) || !sign1.unprotected.is_empty() {
            return Err(CborError::Shape("typ of a card is expected").into());
        }
        let card = read_payload(&sign1.payload)?;
        for role in Role::ALL {
            if card.keys_of(role).next().is_none() {
                return Err(CardError::MissingKey(role.word()));
            }
        }
        sign1.verify(AAD, card.keys_of(Role::Statement))?;
        Ok(Self { card, bytes: bytes.to_vec() })
    }

    /// Reads the text form; blanks and line breaks inside are ignored.
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        let clean: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let rest = clean.strip_prefix(CARD_PREFIX).ok_or(CardError::Text)?;
        Self::parse(&BASE64URL_NOPAD.decode(rest.as_bytes()).map_err(|_| CardError::Text)?)
    }

    /// One-line text form.
    pub fn to_text(&self) -> String {
        format!("{CARD_PREFIX}{}", BASE64URL_NOPAD.encode(&self.bytes))
    }

    /// Signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Fingerprint that two offices compare by telephone: eight groups of four digits over the
    /// identity keys (statement and recovery), the same on every reprint of the card.
    pub fn fingerprint(&self) -> String {
        let mut hasher =
            Sha256::new().chain_update(b"yunling/fingerprint/1").chain_update(self.card.name.as_str());
        for role in [Role::Statement, Role::Recovery] {
            for key in self.card.keys_of(role) {
                hasher.update(key.public);
            }
        }
        digit_groups(&hasher.finalize().into())
    }

    /// Which of these keys signed the card: a card of new keys counts when a key known before vouches
    /// for it ([`crate::roster::key_change`]).
    pub fn signed_by<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k KeyEntry>,
    ) -> Result<&'k KeyEntry, CoseError> {
        Sign1::parse(&self.bytes, CARD_BYTES_MAX)?.verify(AAD, keys)
    }
}

/// A digest as people read it out on the telephone: eight groups of four digits (106 bits).
pub fn digit_groups(digest: &[u8; 32]) -> String {
    let groups = digest.chunks(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]) % 10_000);
    groups.map(|g| format!("{g:04}")).collect::<Vec<_>>().join(" ")
}

fn read_payload(payload: &[u8]) -> Result<Card, CardError> {
    let mut f = Fields::open(cbor::decode(payload, CARD_BYTES_MAX)?)?;
    if f.uint(1)? != 1 {
        return Err(CborError::WrongType(1).into());
    }
    let kind = match f.uint(6)? {
        1 => NodeKind::Prefecture,
        2 => NodeKind::County,
        3 => NodeKind::Organization,
        4 => NodeKind::StationHub,
        5 => NodeKind::Observer,
        _ => return Err(CborError::WrongType(6).into()),
    };
    let keys = f.list(7, KEYS_MAX)?.into_iter().map(KeyEntry::from_value).collect::<Result<Vec<_>, _>>()?;
    let addresses = f
        .list(8, ADDRESSES_MAX)?
        .into_iter()
        .map(|v| cbor::as_text(v, 8, SHORT_TEXT_BYTES_MAX))
        .collect::<Result<Vec<_>, _>>()?;
    let card = Card {
        name: crate::name::node_name(&mut f, 2)?,
        title_zh: f.text(3, SHORT_TEXT_BYTES_MAX)?,
        title_en: f.text(4, SHORT_TEXT_BYTES_MAX)?,
        division: DivisionCode(u32::try_from(f.uint(5)?).map_err(|_| CborError::WrongType(5))?),
        kind,
        keys,
        addresses,
        made_at: UnixTime(f.int(9)?),
        contact: f.text(10, SHORT_TEXT_BYTES_MAX)?,
        trial: f.flag(11)?,
    };
    f.finish()?;
    Ok(card)
}
