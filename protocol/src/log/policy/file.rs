//! Policy files of other tools (`c2sp.org/tlog-policy`): lines `log`, `witness`, `group` and
//! `quorum`. Names are octets, not text; only whole lines are comments.

use std::collections::BTreeMap;

use crate::log::checkpoint::{Checkpoint, CheckpointError};
use crate::log::note::{KeyType, NoteError, NoteKey, VkeyError};

/// Largest policy file, bytes: hundreds of lines.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Most logs, and most witnesses and groups together; the specification asks for 32 of each.
const LINES_MAX: usize = 256;

/// Why a policy file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// Over [`POLICY_BYTES_MAX`] or too many lines.
    #[error("the policy file is too large")]
    TooLarge,
    /// A control character other than tab and newline.
    #[error("a control character in the policy file")]
    ControlCharacter,
    /// A line of another form, at this line number from 1.
    #[error("line {0} is not a line of a policy")]
    Line(usize),
    /// A key text.
    #[error("line {0}: {1}")]
    Key(usize, VkeyError),
    /// A key of the wrong signature type for what it does.
    #[error("line {0}: the key's type does not fit")]
    KeyType(usize),
    /// The same public key twice among the logs, or among the witnesses.
    #[error("line {0}: the key is listed already")]
    RepeatedKey(usize),
    /// A name that is taken, `none` among them.
    #[error("line {0}: the name is taken")]
    RepeatedName(usize),
    /// A name that no line before defines.
    #[error("line {0}: the name is not defined above")]
    UnknownName(usize),
    /// A name that is a member of a group already.
    #[error("line {0}: the name is a member of a group already")]
    RepeatedMember(usize),
    /// k is not a number from 1 to n.
    #[error("line {0}: the threshold does not fit the group")]
    Threshold(usize),
    /// No quorum line, or more than one.
    #[error("a policy has exactly one quorum line")]
    Quorum,
}

/// Why a checkpoint does not satisfy a policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// Not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// None of the policy's logs of this origin signed it.
    #[error("no known log of this origin signed the checkpoint")]
    NoLog,
    /// The cosignatures do not satisfy the quorum.
    #[error("the cosignatures do not satisfy the quorum")]
    NoQuorum,
}

/// A component of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    Witness(NoteKey),
    Group { threshold: usize, members: Vec<usize> },
}

/// A parsed policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    logs: Vec<NoteKey>,
    components: Vec<(Vec<u8>, Component)>,
    quorum: Top,
}

struct Parser {
    logs: Vec<NoteKey>,
    components: Vec<(Vec<u8>, Component)>,
    names: BTreeMap<Vec<u8>, usize>,
    in_group: Vec<bool>,
    quorum: Option<Top>,
}

/// What the quorum line names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Top {
    Nothing,
    Component(usize),
}

impl PolicyFile {
    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyFileError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyFileError::TooLarge);
        }
        if bytes.iter().any(|b| (*b < 0x20 && !matches!(b, b'\t' | b'\n')) || *b == 0x7f) {
            return Err(PolicyFileError::ControlCharacter);
        }
        let mut parser = Parser {
            logs: Vec::new(),
            components: Vec::new(),
            names: BTreeMap::new(),
            in_group: Vec::new(),
            quorum: None,
        };
        for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let words: Vec<&[u8]> =
                line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
            parser.line(at + 1, &words)?;
        }
        let quorum = parser.quorum.ok_or(PolicyFileError::Quorum)?;
        Ok(Self { logs: parser.logs, components: parser.components, quorum })
    }

    /// Keys of the logs it lists.
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// Names and keys of the witnesses, in the order of the file.
    pub fn witnesses(&self) -> impl Iterator<Item = (&[u8], &NoteKey)> {
        self.components.iter().filter_map(|(name, component)| match component {
            Component::Witness(key) => Some((name.as_slice(), key)),
            Component::Group { .. } => None,
        })
    }

    /// Whether the quorum is satisfied when exactly the witnesses that `cosigned` names have.
    pub fn satisfied(&self, cosigned: impl Fn(&[u8], &NoteKey) -> bool) -> bool {
        let Top::Component(quorum) = self.quorum else { return true };
        let mut witnessed = Vec::with_capacity(self.components.len());
        for (name, component) in &self.components {
            // Members stand before their group, so each is decided already.
            witnessed.push(match component {
                Component::Witness(key) => cosigned(name, key),
                Component::Group { threshold, members } => {
                    members.iter().filter(|at| witnessed.get(**at) == Some(&true)).count() >= *threshold
                }
            });
        }
        witnessed.get(quorum) == Some(&true)
    }

    /// Checks a checkpoint with its signatures: signed by a log that the file lists (or one of
    /// `more_logs`, known from elsewhere) under the name of its origin, and cosigned by a quorum.
    pub fn verify(&self, note: &[u8], more_logs: &[NoteKey]) -> Result<Checkpoint, PolicyRefusal> {
        let (note, checkpoint) = Checkpoint::parse(note)?;
        let mut logs: Vec<NoteKey> = Vec::new();
        for key in self.logs.iter().chain(more_logs).filter(|key| key.name() == checkpoint.origin) {
            // A key known from both sides is one key, not an ambiguous one.
            if !logs.contains(key) {
                logs.push(key.clone());
            }
        }
        match note.verify(&logs) {
            Ok(_) => {}
            Err(NoteError::NoKnownSignature) => return Err(PolicyRefusal::NoLog),
            Err(error) => return Err(CheckpointError::from(error).into()),
        }
        let keys: Vec<NoteKey> = self.witnesses().map(|(_, key)| key.clone()).collect();
        let found = match note.verify(&keys) {
            Ok(found) => found,
            Err(NoteError::NoKnownSignature) => Vec::new(),
            Err(error) => return Err(CheckpointError::from(error).into()),
        };
        let enough = self.satisfied(|_, key| found.iter().any(|known| known.key == key));
        if enough { Ok(checkpoint) } else { Err(PolicyRefusal::NoQuorum) }
    }
}

impl Parser {
    fn line(&mut self, at: usize, words: &[&[u8]]) -> Result<(), PolicyFileError> {
        match words {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(at, key),
            [b"witness", name, key] | [b"witness", name, key, _] => self.witness(at, name, key),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(at, name, threshold, members)
            }
            [b"quorum", name] => {
                let named =
                    if *name == b"none" { Top::Nothing } else { Top::Component(self.find(at, name)?) };
                if self.quorum.replace(named).is_some() { Err(PolicyFileError::Quorum) } else { Ok(()) }
            }
            _ => Err(PolicyFileError::Line(at)),
        }
    }

    fn log(&mut self, at: usize, key: &[u8]) -> Result<(), PolicyFileError> {
        let key = parse_key(at, key)?;
        if key.key_type() != KeyType::Ed25519 {
            return Err(PolicyFileError::KeyType(at));
        }
        if self.logs.iter().any(|other| other.public() == key.public()) {
            return Err(PolicyFileError::RepeatedKey(at));
        }
        if self.logs.len() >= LINES_MAX {
            return Err(PolicyFileError::TooLarge);
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, at: usize, name: &[u8], key: &[u8]) -> Result<(), PolicyFileError> {
        let key = parse_key(at, key)?;
        // Files in use list witnesses by plain Ed25519 keys; what a witness makes is a cosignature.
        let key = NoteKey::new(key.name(), KeyType::CosignatureV1, key.public())
            .map_err(|error| PolicyFileError::Key(at, error))?;
        let same = |(_, other): &(Vec<u8>, Component)| matches!(other, Component::Witness(other) if other.public() == key.public());
        if self.components.iter().any(same) {
            return Err(PolicyFileError::RepeatedKey(at));
        }
        self.define(at, name, Component::Witness(key))
    }

    fn group(
        &mut self,
        at: usize,
        name: &[u8],
        threshold: &[u8],
        names: &[&[u8]],
    ) -> Result<(), PolicyFileError> {
        let threshold = match threshold {
            b"all" => names.len(),
            b"any" => 1,
            number => std::str::from_utf8(number)
                .ok()
                .and_then(crate::log::checkpoint::decimal)
                .and_then(|k| usize::try_from(k).ok())
                .filter(|k| (1..=names.len()).contains(k))
                .ok_or(PolicyFileError::Threshold(at))?,
        };
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            let index = self.find(at, member)?;
            // Each name counts in one way only.
            if std::mem::replace(&mut self.in_group[index], true) {
                return Err(PolicyFileError::RepeatedMember(at));
            }
            members.push(index);
        }
        self.define(at, name, Component::Group { threshold, members })
    }

    fn find(&self, at: usize, name: &[u8]) -> Result<usize, PolicyFileError> {
        self.names.get(name).copied().ok_or(PolicyFileError::UnknownName(at))
    }

    fn define(&mut self, at: usize, name: &[u8], component: Component) -> Result<(), PolicyFileError> {
        if self.components.len() >= LINES_MAX {
            return Err(PolicyFileError::TooLarge);
        }
        let index = self.components.len();
        if name == b"none" || self.names.insert(name.to_vec(), index).is_some() {
            return Err(PolicyFileError::RepeatedName(at));
        }
        self.components.push((name.to_vec(), component));
        self.in_group.push(false);
        Ok(())
    }
}

fn parse_key(at: usize, text: &[u8]) -> Result<NoteKey, PolicyFileError> {
    let text = std::str::from_utf8(text).map_err(|_| PolicyFileError::Key(at, VkeyError::Form))?;
    NoteKey::parse(text).map_err(|error| PolicyFileError::Key(at, error))
}
