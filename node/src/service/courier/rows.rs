//! What a node remembers of the courier files to and from a peer, in table `inbox`: how far the files
//! have come, and the requests of the peer with what is to be answered.

use std::collections::BTreeMap;

use yunling_protocol::cbor::{self, CborError, Fields, MapBuilder, Value};
use yunling_protocol::day::UnixTime;
use yunling_protocol::message::wire::FRAME_BYTES_MAX;
use yunling_protocol::name::NodeName;
use yunling_protocol::store::{BATCH_PUTS_MAX, Batch, Key, Put, Read as _, Table, scan_all};

use super::{Node, Refusal};

/// Place of a file among those of its sender: generation of its life, number.
pub(super) type Place = (u64, u64);

/// Most requests remembered of one peer: what two full files ask. The oldest go first; the peer asks
/// again whatever it still waits for.
pub(super) const ROWS_MAX: usize = 2 * yunling_protocol::courier::ITEMS_MAX;
/// Bytes of one batch of rows, far below what a batch may hold.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How far the files of one peer have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The newest file to the peer.
    pub(super) sent: Place,
    /// When it was made.
    pub(super) sent_at: UnixTime,
    /// The newest file from the peer.
    pub(super) seen: Place,
    /// When that was made.
    pub(super) seen_at: UnixTime,
    /// Whether that held all the peer asked.
    pub(super) seen_whole: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let never = UnixTime(0);
        Self { sent: (0, 0), sent_at: never, seen: (0, 0), seen_at: never, seen_whole: false }
    }
}

/// A request of a peer, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The newest file that asked.
    pub(super) asked: Place,
    /// What is known of it.
    pub(super) kept: Kept,
}

/// What is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// The request frame: the answer may be another one by the time of the next file.
    Frame(Vec<u8>),
    /// A pull: parts of the dossier are the answer.
    Pull(Vec<u8>),
    /// An answer that stays.
    Answer(Vec<u8>),
}

pub(super) type Rows = BTreeMap<[u8; 32], Row>;

fn prefix(peer: &NodeName, kind: u8) -> Vec<u8> {
    // A name holds no zero byte.
    [peer.as_str().as_bytes(), &[0, kind]].concat()
}

fn progress_key(peer: &NodeName) -> Key {
    Key::new(Table::Inbox, prefix(peer, b's'))
}

fn row_key(peer: &NodeName, id: &[u8; 32]) -> Key {
    Key::new(Table::Inbox, [&prefix(peer, b'r'), &id[..]].concat())
}

impl Progress {
    fn encode(&self) -> Vec<u8> {
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::int(self.sent.0))
            .put(3, cbor::int(self.sent.1))
            .put(4, cbor::int(self.sent_at.0))
            .put(5, cbor::int(self.seen.0))
            .put(6, cbor::int(self.seen.1))
            .put(7, cbor::int(self.seen_at.0))
            .put_opt(8, self.seen_whole.then_some(Value::Bool(true)));
        cbor::encode(&map.build())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, 256)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let progress = Self {
            sent: (f.uint(2)?, f.uint(3)?),
            sent_at: UnixTime(f.int(4)?),
            seen: (f.uint(5)?, f.uint(6)?),
            seen_at: UnixTime(f.int(7)?),
            seen_whole: f.flag(8)?,
        };
        f.finish()?;
        Ok(progress)
    }
}

impl Row {
    fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match &self.kept {
            Kept::Frame(bytes) => (1, bytes),
            Kept::Pull(bytes) => (2, bytes),
            Kept::Answer(bytes) => (3, bytes),
        };
        let map = MapBuilder::new()
            .put(1, cbor::int(1))
            .put(2, cbor::int(self.asked.0))
            .put(3, cbor::int(self.asked.1))
            .put(4, cbor::int(kind))
            .put(5, cbor::bytes(bytes.as_slice()));
        cbor::encode(&map.build())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut f = Fields::open(cbor::decode(bytes, FRAME_BYTES_MAX)?)?;
        if f.uint(1)? != 1 {
            return Err(CborError::WrongType(1));
        }
        let asked = (f.uint(2)?, f.uint(3)?);
        let (kind, bytes) = (f.uint(4)?, f.bytes(5, FRAME_BYTES_MAX)?);
        let kept = match kind {
            1 => Kept::Frame(bytes),
            2 => Kept::Pull(bytes),
            3 => Kept::Answer(bytes),
            _ => return Err(CborError::WrongType(4)),
        };
        f.finish()?;
        Ok(Self { asked, kept })
    }
}

fn damaged(error: CborError) -> Refusal {
    Refusal::new("store-damaged").with("cause", error)
}

impl Node {
    /// How far the files of a peer have come.
    pub(super) fn courier_progress(&self, peer: &NodeName) -> Result<Progress, Refusal> {
        let key = progress_key(peer);
        let stored = self.get(key.table, &key.key)?;
        stored.map_or(Ok(Progress::default()), |bytes| Progress::decode(&bytes).map_err(damaged))
    }

    /// Stores how far they have come.
    pub(super) fn keep_progress(&self, peer: &NodeName, progress: &Progress) -> Result<(), Refusal> {
        let put = vec![Put::Set(progress_key(peer), progress.encode())];
        Ok(self.commit(Batch { expect: vec![], put })?)
    }

    /// The requests of a peer.
    pub(super) fn courier_rows(&self, peer: &NodeName) -> Result<Rows, Refusal> {
        let mut rows = Rows::new();
        scan_all::<Refusal>(self, Table::Inbox, &prefix(peer, b'r'), |key, bytes| {
            let id = key.last_chunk::<32>().copied().ok_or_else(|| damaged(CborError::Missing(0)))?;
            rows.insert(id, Row::decode(&bytes).map_err(damaged)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Stores the rows that are no longer as they were; rows over the limit are dropped, oldest first.
    pub(super) fn keep_rows(&self, peer: &NodeName, before: &Rows, mut rows: Rows) -> Result<(), Refusal> {
        if rows.len() > ROWS_MAX {
            let mut places: Vec<(Place, [u8; 32])> = rows.iter().map(|(id, r)| (r.asked, *id)).collect();
            places.sort_unstable();
            for (_, id) in &places[..rows.len() - ROWS_MAX] {
                rows.remove(id);
            }
        }
        let gone = before.keys().filter(|id| !rows.contains_key(*id));
        let mut puts: Vec<Put> = gone.map(|id| Put::Delete(row_key(peer, id))).collect();
        let changed = rows.iter().filter(|(id, row)| before.get(*id) != Some(*row));
        puts.extend(changed.map(|(id, row)| Put::Set(row_key(peer, id), row.encode())));
        let (mut batch, mut bytes) = (Batch::default(), 0);
        for put in puts {
            let size = put.key().key.len() + put.value().map_or(0, <[u8]>::len);
            if bytes + size > BATCH_BYTES || batch.put.len() == BATCH_PUTS_MAX / 2 {
                self.commit(std::mem::take(&mut batch))?;
                bytes = 0;
            }
            bytes += size;
            batch.put.push(put);
        }
        Ok(self.commit(batch)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_progress_survive_the_store() {
        let kept = [Kept::Frame(vec![1; 60_000]), Kept::Pull(vec![2]), Kept::Answer(vec![])];
        for kept in kept {
            let row = Row { asked: (3, 9), kept };
            let bytes = row.encode();
            assert!(bytes.len() <= yunling_protocol::store::VALUE_BYTES_MAX);
            assert_eq!(Row::decode(&bytes), Ok(row));
        }
        let progress = Progress { sent: (1, 2), seen: (3, 4), seen_whole: true, ..Progress::default() };
        assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
    }
}
