//! What a backup says of itself, signed by the node's statement key.

use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder, Value};
use yunling_protocol::cose::{CoseError, Sign1, Typ, sign1};
use yunling_protocol::day::UnixTime;
use yunling_protocol::key::{KeyEntry, Role, SignError, Signer};
use yunling_protocol::message::Life;
use yunling_protocol::name::NodeName;

/// Version of the whole format; it also stands in the head of the file.
pub(super) const VERSION: u8 = 1;
/// Largest manifest: it has three parts of a hundred bytes.
pub(super) const MANIFEST_BYTES_MAX: usize = 16 * 1024;

const TYP: &str = "yunling/backup";
const AAD: &[u8] = b"yunling/backup/1";
const NAME_BYTES_MAX: usize = 64;
const PARTS_MAX: usize = 16;

/// A part of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of the rows with their lengths.
    pub bytes: u64,
    /// Their SHA-256.
    pub hash: [u8; 32],
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Node.
    pub node: NodeName,
    /// Division code.
    pub division: String,
    /// Whether it is a trial node.
    pub trial: bool,
    /// Life of the node when it was made.
    pub life: Life,
    /// When.
    pub made_at: UnixTime,
    /// Statement key that signed it.
    pub key: [u8; 32],
    /// Bytes of head and encrypted content.
    pub bytes: u64,
    /// Their SHA-256.
    pub hash: [u8; 32],
    /// Whether a passphrase opens it; else the identity of the node's recipient.
    pub passphrase: bool,
    /// Parts of the content, before encryption.
    pub parts: Vec<Part>,
}

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Its form.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Its signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// A version this program does not know.
    #[error("version {0}")]
    Newer(u64),
}

impl Manifest {
    /// Rows of a part.
    pub fn rows(&self, part: &str) -> u64 {
        self.parts.iter().find(|p| p.name == part).map_or(0, |p| p.rows)
    }

    /// Signed bytes.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        let part = |p: &Part| {
            Value::Array(vec![
                cbor::text(&*p.name),
                cbor::int(p.rows),
                cbor::int(p.bytes),
                cbor::bytes(p.hash),
            ])
        };
        let map = MapBuilder::new()
            .put(1, cbor::int(VERSION))
            .put(2, cbor::text(self.node.as_str()))
            .put(3, cbor::text(&*self.division))
            .put_opt(4, self.trial.then_some(Value::Bool(true)))
            .put(5, cbor::int(self.life.generation))
            .put(6, cbor::bytes(self.life.mark))
            .put(7, cbor::int(self.made_at.0))
            .put(8, cbor::bytes(self.key))
            .put(9, cbor::int(self.bytes))
            .put(10, cbor::bytes(self.hash))
            .put_opt(11, self.passphrase.then_some(Value::Bool(true)))
            .put(12, Value::Array(self.parts.iter().map(part).collect()));
        sign1(signer, &Typ::Text(TYP.to_owned()), AAD, &cbor::encode(&map.build()))
    }

    /// Reads signed bytes and checks the signature by the key that it names.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let sign1 = Sign1::parse(bytes, MANIFEST_BYTES_MAX)?;
        let mut f = Fields::open(cbor::decode(&sign1.payload, MANIFEST_BYTES_MAX)?)?;
        let version = f.uint(1)?;
        if version != u64::from(VERSION) {
            return Err(ManifestError::Newer(version));
        }
        let manifest = Self {
            node: NodeName::parse(&f.text(2, NAME_BYTES_MAX)?).map_err(|_| CborError::WrongType(2))?,
            division: f.text(3, NAME_BYTES_MAX)?,
            trial: f.flag(4)?,
            life: Life { generation: f.uint(5)?, mark: f.array(6)? },
            made_at: UnixTime(f.int(7)?),
            key: f.array(8)?,
            bytes: f.uint(9)?,
            hash: f.array(10)?,
            passphrase: f.flag(11)?,
            parts: f.list(12, PARTS_MAX)?.into_iter().map(part).collect::<Result<_, _>>()?,
        };
        f.finish()?;
        if sign1.typ != Some(Typ::Text(TYP.to_owned())) || !sign1.unprotected.is_empty() {
            return Err(CborError::Shape("a signed manifest of a backup is expected").into());
        }
        let key = KeyEntry::new(Role::Statement, manifest.key, manifest.made_at, None)?;
        sign1.verify(AAD, [&key])?;
        Ok(manifest)
    }
}

fn part(value: Value) -> Result<Part, CborError> {
    let Value::Array(items) = value else { return Err(CborError::WrongType(12)) };
    let Ok::<[Value; 4], _>([name, rows, bytes, hash]) = items.try_into() else {
        return Err(CborError::WrongType(12));
    };
    Ok(Part {
        name: cbor::as_text(name, 12, NAME_BYTES_MAX)?,
        rows: cbor::as_uint(&rows, 12)?,
        bytes: cbor::as_uint(&bytes, 12)?,
        hash: cbor::as_array(hash, 12)?,
    })
}
