//! The first look at an opened engine: whose it is, and whether all is there.
//!
//! In goes an engine that opened without complaint, which proves little: it takes damage in its
//! files for the end of its log. Out comes what the writer needs, or what is missing. A new store,
//! and one of a version before tallies, gets its first tally here.

use std::fs::File;
use std::io;

use yunling_protocol::store::Table;

use super::form::{self, FORM};
use super::home::Home;
use super::record::{decode, encode, raw_key};
use super::state::{Fault, State, Values};
use super::tally::file::{Found, TallyFile, find};
use super::tally::{TALLY_KEY, Tally};
use super::{OWNER_KEY, OpenError};

/// The engine's data as a file of our own, and the way to bring it onto the disk.
pub(super) struct DataFile {
    file: File,
    /// Called before each sync: tests look at the file, or let the sync fail.
    #[cfg(test)]
    pub(super) before: Option<Box<dyn FnMut() -> io::Result<()> + Send>>,
}

impl DataFile {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(test)]
            before: None,
        }
    }

    /// Returns when the disk keeps what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(before) = &mut self.before {
            before()?;
        }
        self.file.sync_all()
    }
}

/// What the writer begins with.
pub(super) struct Begun {
    pub(super) data_file: DataFile,
    pub(super) tally_file: TallyFile,
    pub(super) tally: Tally,
}

/// Checks owner and tally, or makes them when the store is new.
pub(super) fn begin(home: &Home, state: &State, owner: &[u8]) -> Result<Begun, OpenError> {
    let io = |source| OpenError::Io { path: home.folder().to_path_buf(), source };
    let lost = |why: String| OpenError::Lost { path: home.folder().to_path_buf(), why };
    let mut data_file = DataFile::new(home.data_file()?);
    let found = find(home.folder()).map_err(io)?;
    let stored = state.call(|db| db.get(TALLY_KEY)).map_err(|fault| home.error(&fault))?;
    let tally = match stored {
        Some(stored) => {
            let tally = Tally::parse(&stored).ok_or_else(|| lost("the tally is damaged".to_owned()))?;
            check_number(&tally, found).map_err(lost)?;
            let form = check_owner(home, state, owner)?;
            met(state, |db| tally.compare(db)).map_err(|fault| home.error(&fault))?.map_err(lost)?;
            if form < FORM { own(home, state, owner, &tally)? } else { tally }
        }
        None => {
            check_uncounted(found).map_err(lost)?;
            first_tally(home, state, owner)?
        }
    };
    data_file.sync().map_err(io)?;
    // Not before the tree is on the disk: it may be ahead of the file, never behind.
    let mut tally_file = TallyFile::open(home.folder()).map_err(io)?;
    tally_file.write(&tally).map_err(io)?;
    tally_file.sync().map_err(io)?;
    form::note(home.folder()).map_err(io)?;
    Ok(Begun { data_file, tally_file, tally })
}

/// Looks through the whole tree; a panic over it is the engine's last call, as any other.
fn met<T>(state: &State, look: impl FnOnce(&::sled::Db) -> Result<T, Fault>) -> Result<T, Fault> {
    state.noted(look(state.db()?))
}

fn check_number(tally: &Tally, found: Found) -> Result<(), String> {
    match found {
        Found::Nothing => Err("the file tally is missing".to_owned()),
        Found::Unreadable => Err("the file tally is damaged".to_owned()),
        Found::Mark(mark) if tally.number < mark.number => {
            Err(format!("{} groups were written, the last one there is {}", mark.number, tally.number))
        }
        Found::Mark(mark) if tally.number == mark.number && tally.digest() != mark.digest => {
            Err("the file tally belongs to another state of the store".to_owned())
        }
        Found::Mark(_) => Ok(()),
    }
}

// Right for a new store, also one whose making was cut off, and for a store of version 0.1.0.
fn check_uncounted(found: Found) -> Result<(), String> {
    match found {
        Found::Nothing => Ok(()),
        Found::Mark(mark) if mark.number == 0 => Ok(()),
        Found::Mark(mark) => Err(format!("{} groups were written, none of them is there", mark.number)),
        Found::Unreadable => Err("the file tally is damaged, and so is the store".to_owned()),
    }
}

/// Whether the store is the owner's, and of a form known here; gives it.
fn check_owner(home: &Home, state: &State, owner: &[u8]) -> Result<u8, OpenError> {
    let path = home.folder().to_path_buf();
    let key = raw_key(Table::Meta, OWNER_KEY);
    let Some(stored) = state.call(|db| db.get(&key)).map_err(|fault| home.error(&fault))? else {
        return Err(OpenError::Damaged { path, why: "it has records but no owner".to_owned() });
    };
    let form = stored.first().copied().unwrap_or_default();
    // Where the file says otherwise it is this byte that is damaged, which no checksum covers.
    let noted = form::read(home.folder()).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    if form > FORM && noted.is_none() {
        return Err(form::newer(home.folder(), form.into()));
    }
    match decode(&key, &stored) {
        Ok(found) if found == owner => Ok(form),
        Ok(_) => Err(OpenError::Owner { path }),
        Err(error) => Err(OpenError::Damaged { path, why: error.to_string() }),
    }
}

/// Makes the owner of a new store, and counts what is there.
fn first_tally(home: &Home, state: &State, owner: &[u8]) -> Result<Tally, OpenError> {
    let told = |fault| home.error(&fault);
    if !state.call(|db| Ok(db.is_empty())).map_err(told)? {
        check_owner(home, state, owner)?;
    }
    TallyFile::make(home.folder())
        .map_err(|source| OpenError::Io { path: home.folder().to_path_buf(), source })?;
    let tally = met(state, Tally::of).map_err(told)?;
    own(home, state, owner, &tally)
}

/// Writes the owner's record, also where it is, for the form that it names; gives the tally after it.
fn own(home: &Home, state: &State, owner: &[u8], tally: &Tally) -> Result<Tally, OpenError> {
    let told = |fault| home.error(&fault);
    let key = raw_key(Table::Meta, OWNER_KEY);
    let old = state.call(|db| db.get(&key)).map_err(told)?.map(|stored| stored.to_vec());
    let new = encode(&key, owner);
    let tally =
        tally.after(&Values::from([(key.clone(), old)]), &Values::from([(key.clone(), Some(new.clone()))]));
    let mut batch = ::sled::Batch::default();
    batch.insert(key, new);
    batch.insert(TALLY_KEY, tally.stored());
    state.call(|db| db.apply_batch(batch).and_then(|()| db.flush())).map_err(told)?;
    Ok(tally)
}
