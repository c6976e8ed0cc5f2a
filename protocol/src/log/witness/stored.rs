//! A witness's decision with what lies in its store: what it cosigned last, and what it promised to a restored
//! node.

use super::{AddCheckpoint, Decision, Seen, Witnesser, decide};
use crate::ledger::set;
use crate::log::note::NoteKey;
use crate::log::{Origin, rows};
use crate::office::DecideError;
use crate::recovery::rejoin;
use crate::store::{Batch, Read};

/// Decides about a request; the batch must be durable before the answer leaves. It expects all that was read:
/// that no other checkpoint of this log was judged, and no promise made, in between. `keys` are those of a log
/// that is witnessed here.
pub fn judge(
    read: &(impl Read + ?Sized),
    witness: &Witnesser<'_>,
    request: &AddCheckpoint,
    keys: Option<&[NoteKey]>,
) -> Result<(Decision, Batch), DecideError> {
    let mut batch = Batch::default();
    let origin = Origin::parse(&request.checkpoint.origin);
    let allowed = match &origin {
        Some(origin) => rejoin::may_cosign(read, origin, &mut batch)?,
        None => false,
    };
    let Some(origin) = origin.filter(|_| allowed) else {
        return Ok((decide(witness, request, None, None)?, Batch::default()));
    };
    let key = rows::witnessed_key(&origin.hash());
    let stored = read.get(key.table, &key.key)?;
    let seen = stored.as_deref().map(Seen::decode).transpose()?;
    let decided = decide(witness, request, keys, seen.as_ref())?;
    match &decided.store {
        Some((_, seen)) => {
            batch.expect_read(key.table, key.key.clone(), stored.as_deref());
            set(&mut batch, key, seen.encode());
        }
        None => batch = Batch::default(),
    }
    Ok((decided, batch))
}
