//! Rows read from the engine's log without the engine: what is left where it panics, refuses, or
//! takes damage for the end of its log.
//!
//! The log is a file of segments, each a head and messages with a checksum. A message is a whole page
//! of the tree (an *image*), one change of a page (a *link*), or nothing of ours. The state of a page
//! is its newest image and the links after it. What cannot be read is skipped to the next message
//! that can. A row counts only when our own checksum, which covers its key, is right; so nothing is
//! invented, but a row may be an older one, and one that was deleted may come back: both are borne
//! by who asks (see `crate::repair`). Read from sled 0.34.7 alone: `pagecache/logger.rs`,
//! `serialization.rs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::home::SEGMENT_BYTES;
use super::record::decode;
use super::state::RawItem;

/// Bytes of a segment's head: checksum, place in the log, newest stable place.
const SEGMENT_HEAD_BYTES: usize = 20;
/// All bits but the highest of a place are turned over.
const PLACE_MASK: u64 = i64::MAX as u64;

/// Kinds of messages that matter; the others hold no rows, or never occur with values as small as ours.
const CAP: u8 = 2;
const FREE: u8 = 4;
const IMAGE: u8 = 8;
const LINK: u8 = 10;
const KIND_MAX: u8 = 11;

/// Where the body of a message lies in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    len: usize,
}

/// What the log says of one page of the tree.
#[derive(Debug, Default)]
struct Page {
    /// Where in the log the newest image stands, and where in the file.
    image: Option<(u64, Place)>,
    links: Vec<Place>,
}

/// The pages of a log, by their number.
#[derive(Debug, Default)]
pub(super) struct Carved {
    pages: BTreeMap<u64, Page>,
    /// Pieces of the log that could not be read.
    pub(super) skipped: u64,
}

/// Finds every message of the log that can be read.
pub(super) fn carve(log: &File) -> io::Result<Carved> {
    let mut segments = Vec::new();
    let len = log.metadata()?.len();
    let mut bytes = vec![0; SEGMENT_BYTES];
    for at in (0..len).step_by(SEGMENT_BYTES) {
        let segment = read_segment(log, at, len, &mut bytes)?;
        segments.extend(number_of(segment).map(|number| (number, at)));
    }
    segments.sort_unstable();
    let mut carved = Carved::default();
    for (number, at) in segments {
        let segment = read_segment(log, at, len, &mut bytes)?;
        carved.take_segment(number, at, segment);
    }
    Ok(carved)
}

fn read_segment<'b>(log: &File, at: u64, len: u64, bytes: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let rest = usize::try_from(len - at).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES);
    log.read_exact_at(&mut bytes[..rest], at)?;
    Ok(&bytes[..rest])
}

/// The running number of a segment: from its head, or from its first whole message when the head is
/// what was damaged.
fn number_of(segment: &[u8]) -> Option<u64> {
    let head = segment.get(..SEGMENT_HEAD_BYTES)?;
    let (check, rest) = head.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*check) == !crc32fast::hash(rest) {
        let place = u64::from_le_bytes(*rest.first_chunk::<8>()?) ^ PLACE_MASK;
        return Some(place / SEGMENT_BYTES as u64);
    }
    let from = (SEGMENT_HEAD_BYTES..written(segment)).find_map(|at| Message::read(segment, at));
    from.map(|message| message.segment)
}

/// Bytes of a segment up to the last one that is not blank.
fn written(segment: &[u8]) -> usize {
    segment.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A message whose checksum is right.
struct Message {
    kind: u8,
    segment: u64,
    page: u64,
    body: std::ops::Range<usize>,
}

impl Message {
    fn read(segment: &[u8], at: usize) -> Option<Self> {
        let mut rest = Bytes(segment.get(at..)?);
        let check = u32::from_le_bytes(*rest.take(4)?.first_chunk()?);
        let kind = rest.byte().filter(|kind| (1..=KIND_MAX).contains(kind))?;
        let len = usize::try_from(rest.number()?).ok()?;
        let (number, page) = (rest.number()?, rest.number()?);
        let start = segment.len() - rest.0.len();
        let body = start..start.checked_add(len).filter(|end| *end <= segment.len())?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&segment[body.clone()]);
        hasher.update(&segment[at + 4..start]);
        (check == !hasher.finalize()).then_some(Self { kind, segment: number, page, body })
    }
}

impl Carved {
    fn take_segment(&mut self, number: u64, file_at: u64, segment: &[u8]) {
        let end = written(segment);
        let (mut at, mut lost) = (SEGMENT_HEAD_BYTES, false);
        while at < end {
            // A message of another segment is one that the segment held before it was used again.
            let Some(message) = Message::read(segment, at).filter(|m| m.segment == number) else {
                self.skipped += u64::from(!lost);
                (at, lost) = (at + 1, true);
                continue;
            };
            if message.kind == CAP {
                return;
            }
            let place = Place { at: file_at + message.body.start as u64, len: message.body.len() };
            let in_log = number * SEGMENT_BYTES as u64 + at as u64;
            match message.kind {
                FREE => drop(self.pages.remove(&message.page)),
                IMAGE => {
                    let page = Page { image: Some((in_log, place)), links: Vec::new() };
                    self.pages.insert(message.page, page);
                }
                LINK => self.pages.entry(message.page).or_default().links.push(place),
                _ => {}
            }
            (at, lost) = (message.body.end, false);
        }
    }

    /// Calls `each` for every row of every page, the page with the oldest image first: of two rows at
    /// one key the later one is the newer. Gives how many entries were no right row.
    pub(super) fn rows<E: From<io::Error>>(
        &self,
        log: &File,
        mut each: impl FnMut(RawItem) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut pages: Vec<&Page> = self.pages.values().collect();
        pages.sort_by_key(|page| page.image.map(|(in_log, _)| in_log));
        let mut wrong = 0;
        for page in pages {
            let (rows, bad) = page.rows(log)?;
            wrong += bad;
            rows.into_iter().try_for_each(&mut each)?;
        }
        Ok(wrong)
    }
}

fn body(log: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; place.len];
    log.read_exact_at(&mut bytes, place.at)?;
    Ok(bytes)
}

/// Rows of one leaf, by their whole keys.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

impl Page {
    /// Its rows, and how many of its pieces could not be read.
    fn rows(&self, log: &File) -> io::Result<(Rows, u64)> {
        let mut rows = BTreeMap::new();
        let (mut prefix, mut wrong) = (Vec::new(), 0);
        if let Some((_, place)) = self.image {
            let image = body(log, place)?;
            match leaf(&image) {
                Some(Leaf::Rows(found, entries)) => {
                    prefix = found;
                    rows.extend(entries);
                }
                Some(Leaf::Other) => return Ok((rows, 0)),
                None => wrong += 1,
            }
        }
        for place in &self.links {
            let link = body(log, *place)?;
            let mut rest = Bytes(&link);
            match (rest.byte(), rest.string(), rest.string()) {
                (Some(0), Some(key), Some(value)) => {
                    rows.insert([&prefix, key].concat(), value.to_vec());
                }
                (Some(1), Some(key), _) => drop(rows.remove(&[&prefix, key].concat())),
                _ => {}
            }
        }
        let all = rows.len();
        rows.retain(|key, stored| is_right(key, stored));
        wrong += (all - rows.len()) as u64;
        Ok((rows, wrong))
    }
}

/// Whether it is a row of ours and whole.
fn is_right(key: &[u8], stored: &[u8]) -> bool {
    decode(key, stored).is_ok()
}

enum Leaf {
    /// The beginning that all keys share, and the rows by their whole key.
    Rows(Vec<u8>, Vec<RawItem>),
    /// A page that points to other pages, or one of the engine's own tree.
    Other,
}

/// Reads the image of a page.
fn leaf(image: &[u8]) -> Option<Leaf> {
    let mut rest = Bytes(image);
    let (_next, _merging_child) = (rest.number()?, rest.number()?);
    let (_merging, prefix_len) = (rest.byte()?, rest.byte()?);
    let (low, _high) = (rest.string()?, rest.string()?);
    let prefix = low.get(..usize::from(prefix_len))?.to_vec();
    if rest.byte()? != 0 {
        return Some(Leaf::Other);
    }
    let count = usize::try_from(rest.number()?).ok().filter(|count| *count <= image.len())?;
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        keys.push([&prefix, rest.string()?].concat());
    }
    let mut rows = Vec::with_capacity(count);
    for key in keys {
        rows.push((key, rest.string()?.to_vec()));
    }
    Some(Leaf::Rows(prefix, rows))
}

/// The rest of some bytes, in the engine's own form of numbers and strings.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|one| one[0])
    }

    /// The numbers of SQLite 4: one byte up to 240, then one to eight more.
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=240 => Some(u64::from(small)),
            two @ 241..=248 => Some(240 + 256 * (u64::from(two) - 241) + u64::from(self.byte()?)),
            249 => Some(2288 + 256 * u64::from(self.byte()?) + u64::from(self.byte()?)),
            more => {
                let len = usize::from(more) - 247;
                let mut whole = [0; 8];
                whole[..len].copy_from_slice(self.take(len)?);
                Some(u64::from_le_bytes(whole))
            }
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }
}
