//! What goes wrong, and how often: a set of named ratios drawn from the seed.
//!
//! Each run leaves some faults out altogether, so that also the effects of the others alone are
//! seen, and draws the ratios of the rest.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// A kind of fault, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A message or an answer never arrives.
    Loss,
    /// A message or an answer arrives twice.
    Duplication,
    /// A message is overtaken by later ones.
    Reordering,
    /// A message takes much longer than usual.
    Delay,
    /// Nothing passes from one node to another for a while, though the other way is open.
    Partition,
    /// A node stops after a decision, before it is on the disk.
    CrashBefore,
    /// A node stops between two batches that belong to one piece of work.
    CrashBetween,
    /// A node stops when a decision is on the disk, before its effects.
    CrashAfter,
    /// A node stops while nothing in particular happens.
    PowerCut,
    /// A decision is durable only a while later, and others are made meanwhile.
    SlowDisk,
    /// The clock of a node is wrong.
    Skew,
    /// A node answers nobody for the whole hostile phase.
    Silence,
    /// A bulk copy ends early.
    CutCopy,
    /// A peer sends what it may not.
    Lie,
    /// A node is set back to an older state of its disk.
    Restore,
}

impl Fault {
    /// Every kind, in the order of the summary.
    pub const ALL: [Self; 15] = [
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Delay,
        Self::Partition,
        Self::CrashBefore,
        Self::CrashBetween,
        Self::CrashAfter,
        Self::PowerCut,
        Self::SlowDisk,
        Self::Skew,
        Self::Silence,
        Self::CutCopy,
        Self::Lie,
        Self::Restore,
    ];

    /// The word of the summary and of a trace, Chinese first.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loss => "丢失 loss",
            Self::Duplication => "重复 duplication",
            Self::Reordering => "乱序 reordering",
            Self::Delay => "延迟 delay",
            Self::Partition => "单向中断 one-way partition",
            Self::CrashBefore => "落盘前崩溃 crash before durable",
            Self::CrashBetween => "批次间崩溃 crash between batches",
            Self::CrashAfter => "落盘后崩溃 crash after durable",
            Self::PowerCut => "断电 power cut",
            Self::SlowDisk => "慢盘 slow disk",
            Self::Skew => "时钟偏差 clock skew",
            Self::Silence => "不应答 silent peer",
            Self::CutCopy => "复制中断 copy cut short",
            Self::Lie => "欺骗 lying peer",
            Self::Restore => "旧备份恢复 stale restore",
        }
    }
}

/// Ratios of one run, per mille of the occasions each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Of messages and answers.
    pub loss: u64,
    /// Of messages and answers.
    pub duplication: u64,
    /// Of messages: held back a little, so that others pass.
    pub reordering: u64,
    /// Of messages: held back long.
    pub delay: u64,
    /// Of looks at a link.
    pub partition: u64,
    /// Of decisions.
    pub crash_before: u64,
    /// Of gaps between batches.
    pub crash_between: u64,
    /// Of decisions.
    pub crash_after: u64,
    /// Of moments.
    pub power_cut: u64,
    /// Of commits.
    pub slow_disk: u64,
    /// Of nodes.
    pub skew: u64,
    /// Of runs: one node of the run.
    pub silence: u64,
    /// Of bulk copies.
    pub cut_copy: u64,
    /// Of moments.
    pub lie: u64,
    /// Of moments, for a node that has a backup.
    pub restore: u64,
}

impl Faults {
    /// No faults: the calm phase.
    pub fn none() -> Self {
        Self::default()
    }

    /// Draws the ratios of a run.
    pub fn drawn(dice: &Dice) -> Self {
        // Two of three runs have a given fault at all.
        let draw = |most: u64| if dice.chance(650) { 1 + dice.below(most) } else { 0 };
        Self {
            loss: draw(250),
            duplication: draw(200),
            reordering: draw(250),
            delay: draw(60),
            partition: draw(40),
            crash_before: draw(60),
            crash_between: draw(150),
            crash_after: draw(60),
            power_cut: draw(15),
            slow_disk: draw(250),
            skew: draw(400),
            silence: draw(250),
            cut_copy: draw(300),
            lie: draw(60),
            restore: draw(40),
        }
    }
}

/// Faults that happened, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected(BTreeMap<Fault, u64>);

impl Injected {
    /// Counts one.
    pub fn count(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// How many of a kind.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or_default()
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }
}
