//! A client of C2SP logs: it knows a URL and a verifier key, and is made of nothing but the crates `signed_note`
//! and `tlog_tiles`. What the office writes is what others read.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree,
    record_hash,
};

/// Height of the tiles (C2SP tlog-tiles).
const HEIGHT: u8 = 8;

/// A log on a web server.
pub(super) struct Client {
    port: u16,
    prefix: String,
    vkey: String,
    /// Requests made.
    pub(super) asked: Cell<u64>,
}

impl Client {
    /// The log below `prefix` of the server at `port`, signed by the key that `vkey` names.
    pub(super) fn new(port: u16, prefix: &str, vkey: &str) -> Self {
        Self { port, prefix: prefix.to_owned(), vkey: vkey.to_owned(), asked: Cell::new(0) }
    }

    fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.asked.set(self.asked.get() + 1);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is there");
        let head =
            format!("GET {}/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", self.prefix);
        stream.write_all(head.as_bytes()).expect("request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answer");
        let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let status = String::from_utf8_lossy(&answer[..split]).into_owned();
        (status.split(' ').nth(1) == Some("200")).then(|| answer[split + 4..].to_vec())
    }

    /// The newest checkpoint, if its signature holds.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, String> {
        let bytes = self.get("checkpoint").ok_or("no checkpoint")?;
        self.verified(&bytes)
    }

    /// A checkpoint, if the log's signature on it holds.
    pub(super) fn verified(&self, bytes: &[u8]) -> Result<Checkpoint, String> {
        let key = StandardVerifier::new(&self.vkey).map_err(|e| e.to_string())?;
        let note = Note::from_bytes(bytes).map_err(|e| e.to_string())?;
        note.verify(&VerifierList::new(vec![Box::new(key)])).map_err(|e| e.to_string())?;
        Checkpoint::from_bytes(note.text()).map_err(|e| e.to_string())
    }

    /// The entries under a checkpoint, as the bundles give them.
    pub(super) fn entries(&self, head: &Checkpoint) -> Result<Vec<Vec<u8>>, String> {
        let mut entries = Vec::new();
        while (entries.len() as u64) < head.size() {
            let first = entries.len() as u64;
            let width = (head.size() - first).min(256) as u32;
            let bytes = self.tile(&Tile::new(HEIGHT, 0, first / 256, width, true)).ok_or("no bundle")?;
            let mut rest = bytes.as_slice();
            while let Some((length, tail)) = rest.split_first_chunk::<2>() {
                let (entry, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into()).ok_or("cut")?;
                entries.push(entry.to_vec());
                rest = tail;
            }
            if entries.len() as u64 != first + u64::from(width) {
                return Err("a bundle with more or fewer entries".into());
            }
        }
        Ok(entries)
    }

    /// Checks that every entry lies at its place under the checkpoint.
    pub(super) fn includes_all(&self, head: &Checkpoint, entries: &[Vec<u8>]) -> Result<(), Error> {
        let hashes = TileHashReader::new(head.size(), *head.hash(), self);
        for (index, entry) in (0..).zip(entries) {
            let proof = prove_record(head.size(), index, &hashes)?;
            check_record(&proof, head.size(), *head.hash(), index, record_hash(entry))?;
        }
        Ok(())
    }

    /// Checks that the newer checkpoint only adds to the older.
    pub(super) fn extends(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), Error> {
        let hashes = TileHashReader::new(new.size(), *new.hash(), self);
        let proof = prove_tree(new.size(), old.size(), &hashes)?;
        check_tree(&proof, new.size(), *new.hash(), old.size(), *old.hash())
    }

    /// The crate writes the height into the path and calls entries data, as Go's checksum database does.
    fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        let path = tile.path();
        let rest = path.strip_prefix("tile/8/").expect("height 8");
        self.get(&match rest.strip_prefix("data/") {
            Some(rest) => format!("tile/entries/{rest}"),
            None => format!("tile/{rest}"),
        })
    }
}

impl TileReader for Client {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| self.tile(tile).ok_or_else(|| Error::InvalidInput("no such tile".into()));
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}
