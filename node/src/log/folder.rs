//! The files of one log. Each is written beside its place and renamed into it, so that a reader never sees
//! half of one; the checkpoint comes last, when everything it speaks of lies on the disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use yunling_protocol::log::merkle::{Hash, Nodes};
use yunling_protocol::log::tile::{self, Tile, TileKind};

use super::{CHECKPOINT_FILE, Kind, LIFE_FILE, LOG_FOLDER, LogError, Served};

/// Name of a file that is being written; no path of a log ends so.
const PARTIAL_NAME: &str = ".new";

/// The folder of one log.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Folder of the log of a life in a home.
    pub fn of(home: &Path, generation: u64) -> Self {
        Self { path: home.join(LOG_FOLDER).join(generation.to_string()) }
    }

    /// Any folder that holds a log.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> LogError {
        move |source| LogError::Io { path: path.to_path_buf(), source }
    }

    /// A file, none where there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(Self::io(&path)(e)),
        }
    }

    /// Writes files and then, once they are on the disk, the checkpoint.
    pub fn publish(&self, files: &[(Tile, Vec<u8>)], note: &str) -> Result<(), LogError> {
        self.write_tiles(files)?;
        self.publish_checkpoint(note)?;
        for (tile, _) in files.iter().filter(|(tile, _)| tile.is_full()) {
            self.forget_partial(*tile)?;
        }
        Ok(())
    }

    /// Writes tiles and bundles; nothing speaks of them yet.
    pub fn write_tiles(&self, files: &[(Tile, Vec<u8>)]) -> Result<(), LogError> {
        let mut folders = BTreeSet::new();
        for (tile, bytes) in files {
            self.write(&tile.to_string(), bytes, &mut folders)?;
        }
        sync_folders(&folders)
    }

    /// Replaces the checkpoint.
    pub fn publish_checkpoint(&self, note: &str) -> Result<(), LogError> {
        let mut folders = BTreeSet::new();
        self.write(CHECKPOINT_FILE, note.as_bytes(), &mut folders)?;
        sync_folders(&folders)
    }

    /// Writes the record that begins the log.
    pub fn publish_life(&self, record: &[u8]) -> Result<(), LogError> {
        let mut folders = BTreeSet::new();
        self.write(LIFE_FILE, record, &mut folders)?;
        sync_folders(&folders)
    }

    fn write(&self, name: &str, bytes: &[u8], folders: &mut BTreeSet<PathBuf>) -> Result<(), LogError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path).to_path_buf();
        let failed = Self::io(&path);
        // Every folder on the way may be new, and its name lies in the one above it.
        let mut above = Some(folder.as_path());
        while let Some(one) = above.filter(|one| one.starts_with(&self.path)) {
            folders.insert(one.to_path_buf());
            above = one.parent();
        }
        if let Some(top) = self.path.parent() {
            folders.insert(top.to_path_buf());
        }
        fs::create_dir_all(&folder).map_err(&failed)?;
        let half = path.with_added_extension(&PARTIAL_NAME[1..]);
        let mut file = File::create(&half).map_err(&failed)?;
        file.write_all(bytes).map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        fs::rename(&half, &path).map_err(&failed)
    }

    /// Removes the partial tiles that a full one replaces (tlog-tiles allows it).
    fn forget_partial(&self, tile: Tile) -> Result<(), LogError> {
        let folder = self.path.join(format!("{tile}.p"));
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Self::io(&folder)(e)),
            _ => Ok(()),
        }
    }

    /// Removes the folder with all its files.
    pub fn remove(&self) -> Result<(), LogError> {
        match fs::remove_dir_all(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Self::io(&self.path)(e)),
            _ => Ok(()),
        }
    }

    /// The bytes of a tile or bundle: its own file, the full one, or a wider partial one, cut to its width.
    pub fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, LogError> {
        if let Some(bytes) = self.read(&tile.to_string())? {
            return Ok(Some(bytes));
        }
        if tile.is_full() {
            return Ok(None);
        }
        if let Some(bytes) = self.read(&tile.full().to_string())? {
            return cut(tile, bytes).map(Some);
        }
        let folder = self.path.join(format!("{}.p", tile.full()));
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(None) };
        let widths = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u16>().ok());
        let Some(width) = widths.filter(|w| *w > tile.width).min() else { return Ok(None) };
        match self.read(&Tile { width, ..tile }.to_string())? {
            Some(bytes) => cut(tile, bytes).map(Some),
            None => Ok(None),
        }
    }

    /// A file by the path that somebody asks for, none for any other path than those of a log.
    pub fn served(&self, path: &str) -> Result<Option<Served>, LogError> {
        let found = match path {
            CHECKPOINT_FILE => {
                return Ok(self.read(path)?.map(|bytes| Served { kind: Kind::Checkpoint, bytes }));
            }
            LIFE_FILE => self.read(path)?,
            _ => match Tile::parse(path) {
                Some(tile) => self.tile(tile)?,
                None => None,
            },
        };
        Ok(found.map(|bytes| Served { kind: Kind::Tile, bytes }))
    }
}

fn sync_folders(folders: &BTreeSet<PathBuf>) -> Result<(), LogError> {
    for folder in folders {
        File::open(folder).and_then(|file| file.sync_all()).map_err(Folder::io(folder))?;
    }
    Ok(())
}

/// The first `tile.width` hashes or entries of a wider file.
fn cut(tile: Tile, mut bytes: Vec<u8>) -> Result<Vec<u8>, LogError> {
    let damaged = LogError::Damaged("a tile has another length than its name says");
    let length = match tile.kind {
        TileKind::Hashes(_) => usize::from(tile.width) * 32,
        TileKind::Entries => {
            let mut at = 0;
            for _ in 0..tile.width {
                let Some(head) = bytes.get(at..at + 2) else { return Err(damaged) };
                at += 2 + usize::from(u16::from_be_bytes([head[0], head[1]]));
            }
            at
        }
    };
    if bytes.len() < length {
        return Err(damaged);
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The nodes of a log of a given size, read from its tiles.
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    /// Its files.
    pub folder: &'a Folder,
    /// Entries.
    pub size: u64,
}

impl Nodes for Tiles<'_> {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        let lacks = LogError::Damaged("a tile is missing");
        let Some((tile, start, count)) = Tile::of_node(level, index, self.size) else { return Err(lacks) };
        let bytes = self.folder.tile(tile)?.ok_or(lacks)?;
        let wrong = LogError::Damaged("a tile has another length than its name says");
        let hashes = tile::decode_hashes(&bytes, tile.width).map_err(|_| wrong)?;
        Ok(tile::node_in_tile(&hashes, start, count)?)
    }
}
